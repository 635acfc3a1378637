/*
 * Prime fields of up to 640 bits on 64-bit limbs, in constant time: the arithmetic under shamir.h.
 *
 * Elements are fully reduced. "Plain" is the number itself, "Montgomery" is the number times R = 2^(64 * limbs);
 * fe_mul(plain, Montgomery) is the plain product, so secrets stay plain and only public factors are converted.
 * What depends on the prime (number of limbs, exponents, loops) is public. Nothing branches on, or is indexed or
 * divided by, an element; each function wipes its scratch.
 *
 * Source: P. Montgomery, "Modular multiplication without trial division" (1985); C. Koc and others, "Analyzing and
 * comparing Montgomery multiplication algorithms" (1996), the method called CIOS.
 */
#ifndef KERB_SHAMIR_FIELD_H
#define KERB_SHAMIR_FIELD_H

#include "shamir/shamir.h"

#define FE_LIMBS (SHAMIR_VALUE_MAX / 8)

struct fe {
    uint64_t w[FE_LIMBS]; /* least significant first; limbs behind the field's own are zero */
};

struct shamir_field {
    size_t limbs, bytes;
    unsigned index_max;  /* 255, or prime - 1 where that is less: indices must differ modulo the prime */
    uint8_t top_mask;    /* bits of the first byte that an element may have */
    uint64_t p_inv;      /* -1 / prime modulo 2^64 */
    struct fe p;         /* the prime */
    struct fe p_minus_2; /* exponent of the inverse */
    struct fe one, rr;   /* Montgomery: 1 and R */
};

void fe_done(struct fe *a); /* wipes; for AUTO(fe_done) */

/* p: odd, at least 3, in *p alone. Fills the field. */
void field_setup(struct shamir_field *f, const struct fe *p);

/* f->bytes bytes, big-endian. Returns false when the number is not below the prime. */
MUST bool fe_from_bytes(const struct shamir_field *f, const uint8_t *bytes, struct fe *ret);
void fe_to_bytes(const struct shamir_field *f, const struct fe *a, uint8_t *out);

/* A small public number (at most f->index_max) in Montgomery form. */
struct fe fe_small(const struct shamir_field *f, unsigned n);

/* Results may lie where an operand does. */
void fe_add(const struct shamir_field *f, const struct fe *a, const struct fe *b, struct fe *ret);
void fe_sub(const struct shamir_field *f, const struct fe *a, const struct fe *b, struct fe *ret);
void fe_mul(const struct shamir_field *f, const struct fe *a, const struct fe *b, struct fe *ret); /* a * b / R */

/* 1 / a by Fermat's little theorem; both Montgomery. The inverse of 0 is 0. */
void fe_invert(const struct shamir_field *f, const struct fe *a, struct fe *ret);

/* A uniform element, by rejection. Errors: CRYPTO. */
MUST enum rc fe_random(const struct shamir_field *f, struct fe *ret);

/* The value at `index` of the polynomial with these coefficients, constant term first; n at least 1. */
void poly_at(const struct shamir_field *f, const struct fe *coefficients, size_t n, unsigned index, struct fe *ret);

#endif
