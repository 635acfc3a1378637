/* One-time codes as people type them. */
#include "shared/crypto/onecode.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

void fuzz_one(struct slice input)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(onecode_done) struct onecode code = {0}, again = {0};
    static const struct onecode none;

    if (onecode_read(input, &code) != RC_OK) {
        CHECK(memcmp(&code, &none, sizeof code) == 0);
        return;
    }
    CHECK_OK(onecode_write(&code, &text));
    CHECK(text.n == ONECODE_TEXT);
    CHECK_OK(onecode_read(buf_slice(&text), &again));
    CHECK(memcmp(&code, &again, sizeof code) == 0);
}
