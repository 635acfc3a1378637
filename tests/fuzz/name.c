/* Texts: names and their folding, numbers, classic times, UTF-8. */
#include <string.h>

#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

static void check_name(struct slice input)
{
    AUTO(buf_done) struct buf folded = {0}, again = {0}, nfc = {0};
    struct name name = {.n = 7}, twice;

    if (name_parse(input, &name) != RC_OK) {
        CHECK(name.n == 7);
        return;
    }
    CHECK(utf8_valid(input));
    CHECK(name.n > 0 && name.n <= NAME_MAX_BYTES && name.s[name.n] == 0 && strlen(name.s) == name.n);
    CHECK(utf8_valid(name_slice(&name)) && utf8_chars(name_slice(&name)) <= NAME_MAX_CHARS);
    CHECK(name.s[0] != ' ' && name.s[name.n - 1] != ' ');
    CHECK_OK(text_nfc(input, &nfc));
    CHECK(slice_eq(buf_slice(&nfc), name_slice(&name)));
    CHECK_OK(name_parse(name_slice(&name), &twice)); /* its one spelling is its own */
    CHECK(slice_eq(name_slice(&name), name_slice(&twice)));
    CHECK_OK(name_fold(&name, &folded));
    CHECK_OK(name_fold(&twice, &again));
    CHECK(utf8_valid(buf_slice(&folded)) && slice_eq(buf_slice(&folded), buf_slice(&again)));
}

static void check_number(struct slice input)
{
    AUTO(buf_done) struct buf text = {0};
    uint64_t n, smaller = 0;

    if (parse_u64(input, UINT64_MAX, &n) != RC_OK)
        return;
    CHECK_OK(buf_printf(&text, "%llu", (unsigned long long)n));
    CHECK(slice_eq(buf_slice(&text), input));
    CHECK(n == 0 || parse_u64(input, n - 1, &smaller) == RC_MALFORMED);
    CHECK(smaller == 0);
}

static void check_time(struct slice input)
{
    char text[CLASSIC_TIME_LEN + 1];
    int64_t time_s;

    if (time_parse_classic(input, &time_s) != RC_OK)
        return;
    time_format_classic(time_s, text);
    CHECK(slice_eq(slice_text(text), input));
    CHECK(time_bounded(time_s) <= time_s && time_bounded(time_s) >= 0);
}

void fuzz_one(struct slice input)
{
    check_name(input);
    check_number(input);
    check_time(input);
}
