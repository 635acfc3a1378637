/* Shamir's secret sharing: the fields, split and combine. */
#include "shamir/shamir.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shamir/field.h"

static const struct {
    const char *name; /* 2^power - minus */
    unsigned power, minus;
} named[] = {
    {"2^127-1",  127, 1 },
    {"2^130-5",  130, 5 },
    {"2^255-19", 255, 19},
    {"2^521-1",  521, 1 },
};

static struct shamir_field fields[ARRAY_LEN(named)];

static void fields_setup(void)
{
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        struct fe p = {0};
        for (unsigned bit = 0; bit < named[i].power; bit++)
            p.w[bit / 64] |= (uint64_t)1 << bit % 64;
        p.w[0] -= named[i].minus - 1;
        field_setup(&fields[i], &p);
    }
}

const struct shamir_field *shamir_field_named(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (pthread_once(&once, fields_setup) != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (strcmp(name, named[i].name) == 0)
            return &fields[i];
    return NULL;
}

enum rc shamir_field_new(struct slice prime, struct shamir_field **ret)
{
    struct fe p = {0};

    while (prime.n && prime.p[0] == 0) {
        prime.p++;
        prime.n--;
    }
    if (prime.n == 0 || prime.n > SHAMIR_VALUE_MAX || prime.p[prime.n - 1] % 2 == 0)
        return RC_MALFORMED;
    if (prime.n == 1 && prime.p[0] < 3)
        return RC_MALFORMED;
    for (size_t i = 0; i < prime.n; i++)
        p.w[i / 8] |= (uint64_t)prime.p[prime.n - 1 - i] << 8 * (i % 8);

    struct shamir_field *f = malloc(sizeof(*f));
    if (!f)
        return RC_NO_MEMORY;
    field_setup(f, &p);
    *ret = f;
    return RC_OK;
}

void shamir_field_free(struct shamir_field *f)
{
    free(f);
}

size_t shamir_value_len(const struct shamir_field *f)
{
    return f->bytes;
}

void shamir_share_done(struct shamir_share *s)
{
    wipe(s, sizeof(*s));
}

enum rc shamir_random(const struct shamir_field *f, uint8_t *out)
{
    AUTO(fe_done) struct fe a = {0};

    TRY(fe_random(f, &a));
    fe_to_bytes(f, &a, out);
    return RC_OK;
}

struct poly {
    struct fe c[SHAMIR_SHARES_MAX];
};

static void poly_done(struct poly *poly)
{
    wipe(poly, sizeof(*poly));
}

enum rc shamir_split(const struct shamir_field *f, const uint8_t *secret, unsigned threshold, unsigned n,
                     struct shamir_share *shares)
{
    AUTO(poly_done) struct poly poly = {0};
    AUTO(fe_done) struct fe value = {0};

    if (threshold < 1 || threshold > n || n > f->index_max)
        return RC_LIMIT;
    if (!fe_from_bytes(f, secret, &poly.c[0]))
        return RC_MALFORMED;
    for (unsigned i = 1; i < threshold; i++)
        TRY(fe_random(f, &poly.c[i])); /* the highest may be zero: uniform means every value */
    for (unsigned i = 0; i < n; i++) {
        poly_at(f, poly.c, threshold, i + 1, &value);
        shares[i] = (struct shamir_share){.index = (uint8_t)(i + 1)};
        fe_to_bytes(f, &value, shares[i].value);
    }
    return RC_OK;
}

/* Indices are public. */
static enum rc check_indices(const struct shamir_field *f, const struct shamir_share *shares, size_t n)
{
    bool seen[SHAMIR_SHARES_MAX + 1] = {false};

    if (n == 0 || n > SHAMIR_SHARES_MAX)
        return RC_LIMIT;
    for (size_t i = 0; i < n; i++) {
        unsigned index = shares[i].index;
        if (index == 0 || index > f->index_max || seen[index])
            return RC_MALFORMED;
        seen[index] = true;
    }
    return RC_OK;
}

/*
 * The factors of the shares in the value at 0, Montgomery: the product over all others of x_j / (x_j - x_i). That is
 * the product of all x_j over below_i = x_i times all (x_j - x_i), so that one inverse serves all of them.
 */
static void lagrange_at_0(const struct shamir_field *f, const struct shamir_share *shares, size_t n, struct fe *factor)
{
    struct fe x[SHAMIR_SHARES_MAX], below[SHAMIR_SHARES_MAX], product = f->one, d;
    struct fe all = f->one; /* of below, up to the one before i; then of its inverse */

    for (size_t i = 0; i < n; i++) {
        x[i] = fe_small(f, shares[i].index);
        fe_mul(f, &product, &x[i], &product);
    }
    for (size_t i = 0; i < n; i++) {
        below[i] = x[i];
        for (size_t j = 0; j < n; j++) {
            if (j == i)
                continue;
            fe_sub(f, &x[j], &x[i], &d);
            fe_mul(f, &below[i], &d, &below[i]);
        }
        factor[i] = all;
        fe_mul(f, &all, &below[i], &all);
    }
    fe_invert(f, &all, &all);
    fe_mul(f, &all, &product, &all);
    for (size_t i = n; i-- > 0;) {
        fe_mul(f, &factor[i], &all, &factor[i]);
        fe_mul(f, &all, &below[i], &all);
    }
}

enum rc shamir_combine(const struct shamir_field *f, const struct shamir_share *shares, size_t n, uint8_t *secret)
{
    AUTO(fe_done) struct fe sum = {0}, y = {0};
    struct fe factor[SHAMIR_SHARES_MAX];

    TRY(check_indices(f, shares, n));
    lagrange_at_0(f, shares, n, factor);
    for (size_t i = 0; i < n; i++) {
        if (!fe_from_bytes(f, shares[i].value, &y))
            return RC_MALFORMED;
        fe_mul(f, &y, &factor[i], &y);
        fe_add(f, &sum, &y, &sum);
    }
    fe_to_bytes(f, &sum, secret);
    return RC_OK;
}
