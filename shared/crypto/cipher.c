/* AES-128-CBC, its padding, and A128CBC-HS256: the MAC is checked before any block is decrypted. */
#include <limits.h>

#include "shared/crypto/engine.h"

#define CIPHER_MAX ((size_t)INT_MAX - 2 * AES_BLOCK) /* OpenSSL counts in int */

/* Drops and wipes what was appended behind n. */
static void buf_cut(struct buf *b, size_t n)
{
    wipe(b->p ? b->p + n : NULL, b->n - n);
    b->n = n;
}

enum rc aes128_cbc_encrypt(const uint8_t key[AES128_KEY], const uint8_t iv[AES_BLOCK], struct slice plain,
                           struct buf *out)
{
    struct engine *e = engine_get();
    int n = 0, last = 0;

    if (!e || plain.n > CIPHER_MAX)
        return RC_CRYPTO;
    TRY(buf_reserve(out, plain.n + AES_BLOCK));
    uint8_t *to = out->p + out->n;
    if (!EVP_EncryptInit_ex2(e->encrypt, NULL, key, iv, NULL) ||
        (plain.n && !EVP_EncryptUpdate(e->encrypt, to, &n, plain.p, (int)plain.n)) ||
        !EVP_EncryptFinal_ex(e->encrypt, to + n, &last))
        return RC_CRYPTO;
    out->n += (size_t)n + (size_t)last;
    return RC_OK;
}

enum rc aes128_cbc_decrypt_raw(const uint8_t key[AES128_KEY], const uint8_t iv[AES_BLOCK], struct slice ct,
                               struct buf *out)
{
    struct engine *e = engine_get();
    int n = 0;

    if (ct.n == 0 || ct.n % AES_BLOCK)
        return RC_MALFORMED;
    if (!e || ct.n > CIPHER_MAX)
        return RC_CRYPTO;
    TRY(buf_reserve(out, ct.n + AES_BLOCK));
    if (!EVP_DecryptInit_ex2(e->decrypt, NULL, key, iv, NULL) ||
        !EVP_DecryptUpdate(e->decrypt, out->p + out->n, &n, ct.p, (int)ct.n) || (size_t)n != ct.n)
        return RC_CRYPTO;
    out->n += ct.n;
    return RC_OK;
}

bool pkcs7_unpad(struct slice padded, size_t *ret_n)
{
    if (padded.n == 0 || padded.n % AES_BLOCK)
        return false;
    uint8_t pad = padded.p[padded.n - 1], wrong = 0;
    if (pad < 1 || pad > AES_BLOCK)
        return false;
    for (size_t i = padded.n - pad; i < padded.n; i++)
        wrong |= padded.p[i] ^ pad;
    if (wrong)
        return false;
    *ret_n = padded.n - pad;
    return true;
}

static enum rc aead_tag(const uint8_t key[AEAD_KEY], const uint8_t iv[AES_BLOCK], struct slice aad, struct slice ct,
                        uint8_t full[SHA256_LEN])
{
    uint8_t al[8];

    put_u64be(al, (uint64_t)aad.n * 8);
    struct slice parts[4] = {aad, slice_of(iv, AES_BLOCK), ct, SLICE(al)};
    return hmac_parts(slice_of(key, AES128_KEY), parts, ARRAY_LEN(parts), full);
}

enum rc aead_seal(const uint8_t key[AEAD_KEY], const uint8_t iv[AES_BLOCK], struct slice aad, struct slice plain,
                  struct buf *out_ct, uint8_t tag[AEAD_TAG])
{
    uint8_t full[SHA256_LEN];
    size_t before = out_ct->n;

    TRY(aes128_cbc_encrypt(key + AES128_KEY, iv, plain, out_ct));
    enum rc rc = aead_tag(key, iv, aad, slice_of(out_ct->p + before, out_ct->n - before), full);
    if (rc != RC_OK) {
        buf_cut(out_ct, before);
        return rc;
    }
    for (size_t i = 0; i < AEAD_TAG; i++)
        tag[i] = full[i];
    return RC_OK;
}

enum rc aead_open(const uint8_t key[AEAD_KEY], const uint8_t iv[AES_BLOCK], struct slice aad, struct slice ct,
                  const uint8_t tag[AEAD_TAG], struct buf *out_plain)
{
    uint8_t full[SHA256_LEN];
    size_t before = out_plain->n, n = 0;

    TRY(aead_tag(key, iv, aad, ct, full));
    bool genuine = ct_equal(full, tag, AEAD_TAG);
    wipe(full, sizeof(full)); /* the right tag of a forged text must not lie about */
    if (!genuine || ct.n == 0 || ct.n % AES_BLOCK)
        return RC_MODIFIED;
    TRY(aes128_cbc_decrypt_raw(key + AES128_KEY, iv, ct, out_plain));
    if (!pkcs7_unpad(slice_of(out_plain->p + before, ct.n), &n)) {
        buf_cut(out_plain, before);
        return RC_MODIFIED;
    }
    buf_cut(out_plain, before + n);
    return RC_OK;
}
