/* A share as text: "3-1f", one spelling per share. Digits are computed, not looked up. */
#include <string.h>

#include "shamir/field.h"
#include "shared/base/text.h"

enum rc shamir_share_text(const struct shamir_field *f, const struct shamir_share *s, struct buf *out)
{
    size_t digits = f->bytes * 2, first = 0;

    if (s->index == 0 || s->index > f->index_max)
        return RC_MALFORMED;
    TRY(buf_reserve(out, SHAMIR_TEXT_MAX));
    TRY(buf_printf(out, "%u-", s->index));
    while (first < digits - 1 && !(s->value[first / 2] >> (first % 2 ? 0 : 4) & 15)) /* its length shows them anyway */
        first++;
    for (size_t i = first; i < digits; i++) {
        unsigned d = s->value[i / 2] >> (i % 2 ? 0 : 4) & 15;
        TRY(buf_byte(out, (uint8_t)('0' + d + ((9 - d) >> 31) * ('a' - '0' - 10))));
    }
    return RC_OK;
}

/* The value of a lower-case digit, or 16 and more. */
static unsigned digit_value(uint8_t c)
{
    unsigned decimal = (unsigned)c - '0', letter = (unsigned)c - 'a';
    unsigned is_decimal = ((decimal - 10) & ~decimal) >> 31, is_letter = ((letter - 6) & ~letter) >> 31;

    return ((0 - is_decimal) & decimal) | ((0 - is_letter) & (letter + 10)) | (1 ^ is_decimal ^ is_letter) << 4;
}

enum rc shamir_share_parse(const struct shamir_field *f, struct slice text, struct shamir_share *ret)
{
    AUTO(shamir_share_done) struct shamir_share s = {0};
    AUTO(fe_done) struct fe value = {0};
    uint64_t index;

    const uint8_t *dash = text.n ? memchr(text.p, '-', text.n) : NULL;
    if (!dash)
        return RC_MALFORMED;
    TRY(parse_u64(slice_of(text.p, (size_t)(dash - text.p)), f->index_max, &index));
    struct slice hex = slice_of(dash + 1, text.n - (size_t)(dash + 1 - text.p));
    if (index == 0 || hex.n == 0 || hex.n > f->bytes * 2 || (hex.n > 1 && hex.p[0] == '0'))
        return RC_MALFORMED;

    unsigned wrong = 0;
    for (size_t i = 0; i < hex.n; i++) {
        unsigned d = digit_value(hex.p[hex.n - 1 - i]);
        wrong |= d >> 4;
        s.value[f->bytes - 1 - i / 2] |= (uint8_t)((d & 15) << (i % 2 ? 4 : 0));
    }
    if (wrong || !fe_from_bytes(f, s.value, &value))
        return RC_MALFORMED;
    s.index = (uint8_t)index;
    *ret = s;
    return RC_OK;
}
