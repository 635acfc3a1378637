/*
 * Inside of shared/crypto: the algorithms fetched once and the contexts of the calling thread.
 *
 * A context keeps the last key it worked with until the next call or the end of its thread; both are wiped by OpenSSL.
 */
#ifndef KERB_CRYPTO_ENGINE_H
#define KERB_CRYPTO_ENGINE_H

#include <openssl/evp.h>

#include "shared/crypto/primitives.h"

#define RANDOM_POOL 4096 /* bytes drawn from the DRBG at a time: a draw of 16 costs as much as one of hundreds */

#define DERIVED_MAX 8 /* ticket keys that a thread remembers: a daemon uses one or two at a time */

/* A key that was derived, and what it was derived from. */
struct derived {
    bool used;
    uint8_t from[AEAD_KEY], key[AEAD_KEY];
};

struct engine {
    EVP_CIPHER_CTX *encrypt, *decrypt; /* AES-128-CBC; decrypt leaves the padding alone */
    EVP_MD_CTX *digest;                /* SHA-256, also of HMAC */
    unsigned forks;                    /* the value of the fork counter when the pool was filled */
    size_t pool_left;                  /* unused bytes, at the end of the pool */
    uint8_t pool[RANDOM_POOL];
    struct derived ticket[DERIVED_MAX]; /* wiped with the engine, at the end of the thread */
    size_t ticket_next;                 /* the slot that is overwritten next */
};

/* The contexts of this thread, made at its first call and freed at its end. NULL when OpenSSL fails. */
struct engine *engine_get(void);

/* How often this process is the child of a fork: a pool that was copied into a child must not be used there. */
unsigned engine_forks(void);

/* HMAC over several parts, as if they were joined. */
MUST enum rc hmac_parts(struct slice key, const struct slice *parts, size_t parts_n, uint8_t out[SHA256_LEN]);

#endif
