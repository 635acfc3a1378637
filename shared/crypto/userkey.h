/*
 * The sealed profile's user key: PBKDF2 over the password in NFC, salted with realm, client and 16 random bytes.
 *
 *   key = PBKDF2-HMAC-SHA-256(password NFC, "A128CBC-HS256" | 00 | LP(realm) | LP(client) | salt[16], iterations, 32)
 *
 * Source: RFC 8018 s.5.2; the form of the salt follows RFC 7518 s.4.8.1.1.
 */
#ifndef KERB_CRYPTO_USERKEY_H
#define KERB_CRYPTO_USERKEY_H

#include "shared/crypto/key.h"

#define USERKEY_SALT           16
#define USERKEY_ITERATIONS     600000   /* what new keys get unless the realm says otherwise */
#define USERKEY_ITERATIONS_MIN 200000   /* a client refuses fewer: an attacker would have asked for them */
#define USERKEY_ITERATIONS_MAX 10000000 /* ... and more: they would only keep it busy (2 s and up) */
#define PASSWORD_MAX           1024     /* bytes */

struct userkey_params {
    uint8_t salt[USERKEY_SALT];
    uint32_t iterations;
};

/* A random salt. */
MUST enum rc userkey_params_make(uint32_t iterations, struct userkey_params *ret);

/*
 * Takes time: about 0.2 us an iteration. The result has etype aes128-cbc-hs256 and kvno 0.
 * Errors: MALFORMED (password empty, over PASSWORD_MAX, not UTF-8), LIMIT (iterations 0 or above the maximum), CRYPTO.
 */
MUST enum rc userkey_derive(struct slice password, const struct name *realm, const struct name *client,
                            const struct userkey_params *params, struct key *ret);

#endif
