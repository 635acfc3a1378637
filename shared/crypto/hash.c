/* SHA-256 and what is made of it: HMAC, HKDF, PBKDF2. */
#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "shared/crypto/engine.h"

#define SHA256_BLOCK 64
#define HKDF_MAX     ((size_t)255 * SHA256_LEN)

static const uint8_t nothing[1]; /* OpenSSL takes a NULL key for "the same key again" */

bool ct_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

/* H(parts), behind what the digest was begun with. */
static bool hash_rest(struct engine *e, const struct slice *parts, size_t n, uint8_t out[SHA256_LEN])
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].n && !EVP_DigestUpdate(e->digest, parts[i].p, parts[i].n))
            return false;
    return EVP_DigestFinal_ex(e->digest, out, NULL);
}

enum rc sha256_parts(const struct slice *parts, size_t n, uint8_t out[SHA256_LEN])
{
    struct engine *e = engine_get();
    return e && EVP_DigestInit_ex2(e->digest, NULL, NULL) && hash_rest(e, parts, n, out) ? RC_OK : RC_CRYPTO;
}

enum rc sha256(struct slice data, uint8_t out[SHA256_LEN])
{
    return sha256_parts(&data, 1, out);
}

/* H(pad | parts), where pad is the key, filled with zeros to a block, XOR a byte. */
static bool hash_padded(struct engine *e, const uint8_t key[SHA256_BLOCK], uint8_t x, const struct slice *parts,
                        size_t parts_n, uint8_t out[SHA256_LEN])
{
    uint8_t pad[SHA256_BLOCK];

    for (size_t i = 0; i < SHA256_BLOCK; i++)
        pad[i] = key[i] ^ x;
    bool ok = EVP_DigestInit_ex2(e->digest, NULL, NULL) && EVP_DigestUpdate(e->digest, pad, sizeof(pad));
    wipe(pad, sizeof(pad));
    return ok && hash_rest(e, parts, parts_n, out);
}

/*
 * RFC 2104, over OpenSSL's SHA-256: its EVP_MAC copies contexts for each message, which costs more than the hashing of
 * a short one. Most of ours are short.
 */
enum rc hmac_parts(struct slice key, const struct slice *parts, size_t parts_n, uint8_t out[SHA256_LEN])
{
    uint8_t block[SHA256_BLOCK] = {0}, inner[SHA256_LEN];
    struct engine *e = engine_get();

    if (!e)
        return RC_CRYPTO;
    if (key.n > SHA256_BLOCK)
        TRY(sha256(key, block));
    else if (key.n)
        memcpy(block, key.p, key.n);
    bool ok = hash_padded(e, block, 0x36, parts, parts_n, inner) &&
              hash_padded(e, block, 0x5c, &(struct slice){inner, sizeof(inner)}, 1, out);
    wipe(block, sizeof(block));
    wipe(inner, sizeof(inner));
    return ok ? RC_OK : RC_CRYPTO;
}

enum rc hmac_sha256(struct slice key, struct slice data, uint8_t out[SHA256_LEN])
{
    return hmac_parts(key, &data, 1, out);
}

/* T(i) = HMAC(PRK, T(i-1) | info | i) */
enum rc hkdf_expand(const uint8_t prk[SHA256_LEN], struct slice info, uint8_t *out, size_t out_len)
{
    uint8_t t[SHA256_LEN], counter = 0;
    enum rc rc = out_len > HKDF_MAX ? RC_CRYPTO : RC_OK;

    for (size_t done = 0; rc == RC_OK && done < out_len;) {
        struct slice parts[3] = {slice_of(t, counter ? SHA256_LEN : 0), info, slice_of(&counter, 1)};
        counter++;
        rc = hmac_parts(slice_of(prk, SHA256_LEN), parts, ARRAY_LEN(parts), t);
        size_t n = out_len - done < SHA256_LEN ? out_len - done : SHA256_LEN;
        if (rc == RC_OK)
            memcpy(out + done, t, n);
        done += n;
    }
    wipe(t, sizeof(t));
    return rc;
}

enum rc hkdf_extract(struct slice salt, struct slice ikm, uint8_t prk[SHA256_LEN])
{
    static const uint8_t zeros[SHA256_LEN];

    return hmac_sha256(salt.n ? salt : SLICE(zeros), ikm, prk);
}

enum rc hkdf_sha256(struct slice ikm, struct slice salt, struct slice info, uint8_t *out, size_t out_len)
{
    uint8_t prk[SHA256_LEN];

    enum rc rc = hkdf_extract(salt, ikm, prk);
    if (rc == RC_OK)
        rc = hkdf_expand(prk, info, out, out_len);
    wipe(prk, sizeof(prk));
    return rc;
}

enum rc pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations, uint8_t *out, size_t out_len)
{
    if (password.n > INT_MAX || salt.n > INT_MAX || iterations == 0 || iterations > INT_MAX || out_len > INT_MAX)
        return RC_CRYPTO;
    const void *pw = password.n ? password.p : nothing, *sa = salt.n ? salt.p : nothing;
    return PKCS5_PBKDF2_HMAC(pw, (int)password.n, sa, (int)salt.n, (int)iterations, EVP_sha256(), (int)out_len, out) ==
                   1
               ? RC_OK
               : RC_CRYPTO;
}
