/*
 * Shamir's secret sharing over a prime field: split a secret into n shares of which any t rebuild it.
 *
 * Share number i is f(i) of a polynomial f of degree t-1 whose constant term is the secret and whose other
 * coefficients are uniform in the field. Fewer than t shares say nothing about the secret.
 * Arithmetic is on fixed-size numbers without branches or table look-ups that depend on secrets.
 *
 * Source: A. Shamir, "How to share a secret", CACM 22 (1979). Thread: any.
 */
#ifndef KERB_SHAMIR_H
#define KERB_SHAMIR_H

#include "shared/base/buf.h"

#define SHAMIR_SHARES_MAX 255
#define SHAMIR_VALUE_MAX  80  /* bytes of a field element, big-endian: primes of up to 640 bits */
#define SHAMIR_TEXT_MAX   168 /* letters of a share: "255-" and 160 digits, with room */

struct shamir_field; /* a prime, and what its arithmetic needs */

/* The fields by name: "2^127-1", "2^130-5", "2^255-19", "2^521-1". NULL for another name. */
const struct shamir_field *shamir_field_named(const char *name);

/* A field for a prime given as big-endian bytes (odd, at most 640 bits; that it is prime is the caller's word). */
MUST enum rc shamir_field_new(struct slice prime, struct shamir_field **ret);
void shamir_field_free(struct shamir_field *f);

/* Bytes of an element of the field. */
size_t shamir_value_len(const struct shamir_field *f);

struct shamir_share {
    uint8_t index;                   /* 1..255 */
    uint8_t value[SHAMIR_VALUE_MAX]; /* big-endian, shamir_value_len() bytes, below the prime */
};

void shamir_share_done(struct shamir_share *s); /* wipes */

/* A secret drawn uniformly from the field; out has shamir_value_len() bytes. Errors: CRYPTO. */
MUST enum rc shamir_random(const struct shamir_field *f, uint8_t *out);

/*
 * In:     secret - shamir_value_len() bytes, big-endian, below the prime; 1 <= threshold <= n <= 255
 * Out:    shares[0..n), numbered from 1
 * Errors: LIMIT (threshold, n), MALFORMED (secret not below the prime), CRYPTO
 */
MUST enum rc shamir_split(const struct shamir_field *f, const uint8_t *secret, unsigned threshold, unsigned n,
                          struct shamir_share *shares);

/*
 * In:     n shares: all of them are used, so give exactly the threshold
 * Out:    secret - shamir_value_len() bytes. Too few or wrong shares give a wrong secret: the caller has a commitment.
 * Errors: LIMIT (n is 0 or above 255), MALFORMED (index 0, an index twice, value not below the prime)
 */
MUST enum rc shamir_combine(const struct shamir_field *f, const struct shamir_share *shares, size_t n, uint8_t *secret);

/*
 * Share text: decimal index, '-', lower-case hexadecimal, both without leading zeros (zero is "0"); no other spelling.
 * Errors of parse: MALFORMED.
 */
MUST enum rc shamir_share_text(const struct shamir_field *f, const struct shamir_share *s, struct buf *out);
MUST enum rc shamir_share_parse(const struct shamir_field *f, struct slice text, struct shamir_share *ret);

#endif
