/* Constant-time arithmetic in a prime field: see field.h. */
#include "shamir/field.h"

#include <string.h>

#include "shared/crypto/primitives.h"

__extension__ typedef unsigned __int128 u128;

/* All ones when bit is 1, zero when it is 0, in a way that the compiler cannot turn back into a branch. */
static uint64_t mask_of(uint64_t bit)
{
    uint64_t mask = 0 - bit;
    __asm__("" : "+r"(mask));
    return mask;
}

void fe_done(struct fe *a)
{
    wipe(a, sizeof(*a));
}

/* r = a - b over n limbs; returns the borrow, 0 or 1. */
static uint64_t limbs_sub(uint64_t *r, const uint64_t *a, const uint64_t *b, size_t n)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < n; i++) {
        u128 d = (u128)a[i] - b[i] - borrow;
        r[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return borrow;
}

/* ret = t minus the prime if carry:t is not below it; carry:t is below twice the prime. */
static void reduce_once(const struct shamir_field *f, const uint64_t *t, uint64_t carry, struct fe *ret)
{
    AUTO(fe_done) struct fe less = {0};

    uint64_t borrow = limbs_sub(less.w, t, f->p.w, f->limbs);
    uint64_t keep = mask_of(borrow & ~carry & 1);
    for (size_t i = 0; i < f->limbs; i++)
        ret->w[i] = (t[i] & keep) | (less.w[i] & ~keep);
    for (size_t i = f->limbs; i < FE_LIMBS; i++)
        ret->w[i] = 0;
}

void fe_add(const struct shamir_field *f, const struct fe *a, const struct fe *b, struct fe *ret)
{
    AUTO(fe_done) struct fe sum = {0};
    uint64_t carry = 0;

    for (size_t i = 0; i < f->limbs; i++) {
        u128 s = (u128)a->w[i] + b->w[i] + carry;
        sum.w[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    reduce_once(f, sum.w, carry, ret);
}

void fe_sub(const struct shamir_field *f, const struct fe *a, const struct fe *b, struct fe *ret)
{
    AUTO(fe_done) struct fe diff = {0};
    uint64_t carry = 0;

    uint64_t negative = mask_of(limbs_sub(diff.w, a->w, b->w, f->limbs));
    for (size_t i = 0; i < f->limbs; i++) {
        u128 s = (u128)diff.w[i] + (f->p.w[i] & negative) + carry;
        diff.w[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    *ret = diff;
}

void fe_mul(const struct shamir_field *f, const struct fe *a, const struct fe *b, struct fe *ret)
{
    uint64_t t[FE_LIMBS + 2] = {0};
    size_t n = f->limbs;

    for (size_t i = 0; i < n; i++) {
        u128 s = 0;
        for (size_t j = 0; j < n; j++) {
            s = (u128)a->w[j] * b->w[i] + t[j] + (uint64_t)(s >> 64);
            t[j] = (uint64_t)s;
        }
        s = (u128)t[n] + (uint64_t)(s >> 64);
        t[n] = (uint64_t)s;
        t[n + 1] = (uint64_t)(s >> 64);

        uint64_t m = t[0] * f->p_inv; /* makes the lowest limb zero, which is then shifted out */
        s = (u128)m * f->p.w[0] + t[0];
        for (size_t j = 1; j < n; j++) {
            s = (u128)m * f->p.w[j] + t[j] + (uint64_t)(s >> 64);
            t[j - 1] = (uint64_t)s;
        }
        s = (u128)t[n] + (uint64_t)(s >> 64);
        t[n - 1] = (uint64_t)s;
        t[n] = t[n + 1] + (uint64_t)(s >> 64);
    }
    reduce_once(f, t, t[n], ret);
    wipe(t, sizeof(t));
}

void fe_invert(const struct shamir_field *f, const struct fe *a, struct fe *ret)
{
    AUTO(fe_done) struct fe power = f->one;
    AUTO(fe_done) struct fe base = *a;

    for (size_t bit = f->limbs * 64; bit-- > 0;) {
        fe_mul(f, &power, &power, &power);
        if (f->p_minus_2.w[bit / 64] >> bit % 64 & 1) /* the exponent is public */
            fe_mul(f, &power, &base, &power);
    }
    *ret = power;
}

bool fe_from_bytes(const struct shamir_field *f, const uint8_t *bytes, struct fe *ret)
{
    AUTO(fe_done) struct fe a = {0}, scratch = {0};

    for (size_t i = 0; i < f->bytes; i++)
        a.w[i / 8] |= (uint64_t)bytes[f->bytes - 1 - i] << 8 * (i % 8);
    if (!limbs_sub(scratch.w, a.w, f->p.w, f->limbs))
        return false;
    *ret = a;
    return true;
}

void fe_to_bytes(const struct shamir_field *f, const struct fe *a, uint8_t *out)
{
    for (size_t i = 0; i < f->bytes; i++)
        out[f->bytes - 1 - i] = (uint8_t)(a->w[i / 8] >> 8 * (i % 8));
}

struct fe fe_small(const struct shamir_field *f, unsigned n)
{
    struct fe a = {{n}};
    fe_mul(f, &a, &f->rr, &a);
    return a;
}

enum rc fe_random(const struct shamir_field *f, struct fe *ret)
{
    uint8_t bytes[SHAMIR_VALUE_MAX] = {0};
    enum rc rc;

    do {
        rc = random_bytes(bytes, f->bytes);
        bytes[0] &= f->top_mask;
    } while (rc == RC_OK && !fe_from_bytes(f, bytes, ret)); /* tells of rejected numbers only */
    wipe(bytes, sizeof(bytes));
    return rc;
}

void poly_at(const struct shamir_field *f, const struct fe *coefficients, size_t n, unsigned index, struct fe *ret)
{
    AUTO(fe_done) struct fe value = coefficients[n - 1];
    struct fe x = fe_small(f, index);

    for (size_t k = n - 1; k-- > 0;) { /* Horner's rule */
        fe_mul(f, &value, &x, &value);
        fe_add(f, &value, &coefficients[k], &value);
    }
    *ret = value;
}

/* The prime is public: here, and only here, numbers are looked at. */
void field_setup(struct shamir_field *f, const struct fe *p)
{
    *f = (struct shamir_field){.p = *p, .p_minus_2 = *p};
    for (f->limbs = FE_LIMBS; !p->w[f->limbs - 1];)
        f->limbs--;

    unsigned top_bits = 0;
    for (uint64_t top = p->w[f->limbs - 1]; top; top >>= 1)
        top_bits++;
    f->bytes = (f->limbs - 1) * 8 + (top_bits + 7) / 8;
    f->top_mask = (uint8_t)(0xff >> (7 - (top_bits - 1) % 8));
    f->index_max = f->limbs == 1 && p->w[0] <= SHAMIR_SHARES_MAX ? (unsigned)p->w[0] - 1 : SHAMIR_SHARES_MAX;

    f->p_minus_2.w[0] -= 2;
    if (p->w[0] < 2) /* borrow */
        for (size_t i = 1; i < f->limbs && !f->p_minus_2.w[i]--; i++)
            continue;

    uint64_t inverse = 1; /* Newton: each step doubles the bits that are right, and 1 is right modulo 2 */
    for (int i = 0; i < 6; i++)
        inverse *= 2 - p->w[0] * inverse;
    f->p_inv = 0 - inverse;

    struct fe power = {{1}}; /* doubled 64 * limbs times: R; as many times again: R * R */
    for (size_t i = 0; i < f->limbs * 128; i++) {
        if (i == f->limbs * 64)
            f->one = power;
        fe_add(f, &power, &power, &power);
    }
    f->rr = power;
}
