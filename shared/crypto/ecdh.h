/*
 * Ephemeral Diffie-Hellman on P-256: a fresh pair for each connection, so that a ticket's key that leaks later opens no
 * recorded session.
 *
 * Source: RFC 5903 s.9 (points, x-coordinate as secret), SEC 1 s.2.3.3 (uncompressed points), NIST SP 800-56A
 * s.5.6.2.3.
 */
#ifndef KERB_CRYPTO_ECDH_H
#define KERB_CRYPTO_ECDH_H

#include "shared/crypto/primitives.h"

#define ECDH_POINT  65 /* 04 | x[32] | y[32] */
#define ECDH_SECRET 32 /* the x-coordinate, big-endian */

struct ecdh; /* a private key */

MUST enum rc ecdh_new(struct ecdh **ret, uint8_t public_point[ECDH_POINT]);
void ecdh_free(struct ecdh *e);  /* wipes; accepts NULL */
void ecdh_done(struct ecdh **e); /* for AUTO */

/* Errors: MALFORMED (not an uncompressed point of the curve, or the point at infinity), CRYPTO. */
MUST enum rc ecdh_shared(const struct ecdh *e, const uint8_t peer[ECDH_POINT], uint8_t secret[ECDH_SECRET]);

#endif
