/*
 * The primitives, all OpenSSL's: random, SHA-256, HMAC, HKDF, PBKDF2, AES-128-CBC with HMAC, constant-time compare.
 *
 * Algorithms are fetched once; each thread keeps its own contexts, so no call allocates on the hot path.
 * Thread: any. Errors: CRYPTO (OpenSSL failed), MODIFIED where a tag is checked.
 */
#ifndef KERB_CRYPTO_PRIMITIVES_H
#define KERB_CRYPTO_PRIMITIVES_H

#include "shared/base/buf.h"

#define SHA256_LEN 32
#define AES_BLOCK  16
#define AES128_KEY 16
#define AEAD_KEY   32 /* MAC[16] | ENC[16] */
#define AEAD_TAG   16

/* Once per process, before threads: fetches the algorithms, makes the secure heap. Errors: CRYPTO. */
MUST enum rc crypto_setup(void);

/*
 * False when the secure heap could not be locked into memory (RLIMIT_MEMLOCK is too small): keys still lie there, out
 * of core dumps, but may be swapped. A daemon says so in its log and goes on.
 */
bool crypto_keys_are_locked(void);

/* Uniform bytes from OpenSSL's DRBG, drawn from it in larger pieces per thread. */
MUST enum rc random_bytes(void *p, size_t n);

/* True when equal; takes the same time wherever the difference is. */
bool ct_equal(const void *a, const void *b, size_t n);

MUST enum rc sha256(struct slice data, uint8_t out[SHA256_LEN]);
MUST enum rc sha256_parts(const struct slice *parts, size_t n, uint8_t out[SHA256_LEN]); /* one behind the other */
MUST enum rc hmac_sha256(struct slice key, struct slice data, uint8_t out[SHA256_LEN]);

/* Source: RFC 5869 (extract and expand). out_len at most 255 * 32. An empty salt is 32 zero bytes. */
MUST enum rc hkdf_sha256(struct slice ikm, struct slice salt, struct slice info, uint8_t *out, size_t out_len);

/* The two halves, where one extract serves several keys. */
MUST enum rc hkdf_extract(struct slice salt, struct slice ikm, uint8_t prk[SHA256_LEN]);
MUST enum rc hkdf_expand(const uint8_t prk[SHA256_LEN], struct slice info, uint8_t *out, size_t out_len);

/* Source: RFC 8018 s.5.2. */
MUST enum rc pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations, uint8_t *out, size_t out_len);

/*
 * AES-128-CBC with PKCS#7 padding. encrypt appends plain.n rounded up to the next whole block.
 * decrypt_raw appends all blocks and leaves the padding to the caller. Errors: MALFORMED (not whole blocks, or none).
 */
MUST enum rc aes128_cbc_encrypt(const uint8_t key[AES128_KEY], const uint8_t iv[AES_BLOCK], struct slice plain,
                                struct buf *out);
MUST enum rc aes128_cbc_decrypt_raw(const uint8_t key[AES128_KEY], const uint8_t iv[AES_BLOCK], struct slice ct,
                                    struct buf *out);

/* The length of the text before PKCS#7 padding, or false when the padding is not consistent. Source: RFC 5652 s.6.3. */
bool pkcs7_unpad(struct slice padded, size_t *ret_n);

/*
 * A128CBC-HS256: encrypt, then MAC; the tag is compared in constant time before any block is decrypted.
 * Out: appended. Errors of open: MODIFIED, for every way to be wrong.
 * Source: RFC 7518 s.5.2.2 and s.5.2.3.
 */
MUST enum rc aead_seal(const uint8_t key[AEAD_KEY], const uint8_t iv[AES_BLOCK], struct slice aad, struct slice plain,
                       struct buf *out_ct, uint8_t tag[AEAD_TAG]);
MUST enum rc aead_open(const uint8_t key[AEAD_KEY], const uint8_t iv[AES_BLOCK], struct slice aad, struct slice ct,
                       const uint8_t tag[AEAD_TAG], struct buf *out_plain);

#endif
