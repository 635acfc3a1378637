/* Base64, strict and lenient, and hexadecimal: one spelling per value, and nothing is appended of a wrong one. */
#include "shared/base/base64.h"

#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

static enum rc encode_again(unsigned how, struct slice bytes, struct buf *out)
{
    return how == 0 ? base64url_encode(bytes, out) : how == 1 ? hex_encode(bytes, out) : base64_encode(bytes, out);
}

static enum rc decode(unsigned how, struct slice text, struct buf *out)
{
    return how == 0 ? base64url_decode(text, out) : how == 1 ? hex_decode(text, out) : base64_decode_lenient(text, out);
}

/* Is this the one spelling, but for what a lenient reader skips and for the case of hexadecimal? */
static bool is_spelling(unsigned how, struct slice text, struct slice canonical)
{
    size_t at = 0;

    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (how == 2 && (c == '\r' || c == '\n'))
            continue;
        if (how == 2 && c == ' ')
            c = '+';
        if (how == 1 && c >= 'A' && c <= 'F')
            c |= 0x20;
        if (at == canonical.n || canonical.p[at++] != c)
            return false;
    }
    return at == canonical.n;
}

void fuzz_one(struct slice input)
{
    unsigned how = fuzz_choice(&input, 3);
    AUTO(buf_done) struct buf bytes = {0}, text = {0}, back = {0};

    CHECK_OK(buf_text(&bytes, "before"));
    if (decode(how, input, &bytes) != RC_OK) {
        CHECK(slice_eq(buf_slice(&bytes), slice_text("before")));
    } else {
        struct slice added = slice_of(bytes.p + 6, bytes.n - 6);
        CHECK_OK(encode_again(how, added, &text));
        CHECK(is_spelling(how, input, buf_slice(&text)));
        CHECK(how != 2 || text.n == base64_len(added.n));
    }
    buf_reset(&text);
    CHECK_OK(encode_again(how, input, &text));
    CHECK_OK(decode(how, buf_slice(&text), &back));
    CHECK(slice_eq(buf_slice(&back), input));
}
