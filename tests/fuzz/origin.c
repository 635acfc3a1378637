/* The allow-list of origins (first line), and a browser's Origin header (the rest). */
#include <string.h>

#include "chat/edge/internal.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

void fuzz_one(struct slice input)
{
    AUTO(str_done) char *allowed = slice_dup(fuzz_line(&input));
    bool is_good = origins_are_well_formed(allowed);
    bool is_allowed = origin_is_allowed(allowed, input);

    CHECK(!origin_is_allowed("", input));
    CHECK(!is_good || !is_allowed || memmem(input.p, input.n, "://", 3));
    if (!is_allowed)
        return;
    CHECK(input.n > 0 && !memchr(input.p, ' ', input.n)); /* one word of the list, never two */
    CHECK(origin_is_allowed(allowed, slice_trim(input, "")));
    AUTO(buf_done) struct buf other = {0};
    CHECK_OK(buf_add(&other, input));
    CHECK_OK(buf_text(&other, ".evil"));
    AUTO(str_done) char *only = slice_dup(input);
    CHECK(!origin_is_allowed(only, buf_slice(&other)));
}
