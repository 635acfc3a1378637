/* Shares, one a line, of the field that the first byte chooses: their text, and a secret of as many as there are. */
#include <string.h>

#include "shamir/shamir.h"
#include "tests/fuzz/fuzz.h"

static const struct shamir_field *fields[4];

void fuzz_open(void)
{
    static const char *const names[] = {"2^127-1", "2^130-5", "2^255-19", "2^521-1"};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        fields[i] = shamir_field_named(names[i]);
        CHECK(fields[i]);
    }
}

/* One spelling per share: what parses is written as it was. */
static bool parse(const struct shamir_field *f, struct slice text, struct shamir_share *ret)
{
    AUTO(buf_done) struct buf again = {0};

    *ret = (struct shamir_share){0};
    if (shamir_share_parse(f, text, ret) != RC_OK) {
        CHECK(ret->index == 0);
        return false;
    }
    CHECK(ret->index > 0 && text.n <= SHAMIR_TEXT_MAX);
    CHECK_OK(shamir_share_text(f, ret, &again));
    CHECK(slice_eq(buf_slice(&again), text));
    return true;
}

static bool has_twice(const struct shamir_share *shares, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (shares[i].index == shares[k].index)
                return true;
    return false;
}

void fuzz_one(struct slice input)
{
    const struct shamir_field *f = fields[fuzz_choice(&input, ARRAY_LEN(fields))];
    struct shamir_share shares[8];
    uint8_t secret[SHAMIR_VALUE_MAX];
    size_t n = 0;

    while (input.n && n < ARRAY_LEN(shares))
        n += parse(f, fuzz_line(&input), &shares[n]);
    enum rc rc = shamir_combine(f, shares, n, secret);
    CHECK(rc == (n == 0 ? RC_LIMIT : has_twice(shares, n) ? RC_MALFORMED : RC_OK));
    if (rc == RC_OK && n == 1) /* a polynomial of degree 0 */
        CHECK(memcmp(secret, shares[0].value, shamir_value_len(f)) == 0);
}
