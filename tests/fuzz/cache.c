/* The file of a user's tickets: what is read is written as what is read. */
#include "client/cache.h"

#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

void fuzz_one(struct slice input)
{
    AUTO(cache_done) struct cache c = {0}, again = {0};
    AUTO(buf_done) struct buf text = {0}, twice = {0};

    if (cache_read(input, &c) != RC_OK) {
        CHECK(c.n == 0 && c.url.p == NULL && !c.vault.has);
        return;
    }
    CHECK(c.n <= CACHE_ENTRIES_MAX);
    for (size_t i = 0; i < c.n; i++) {
        CHECK(c.entries[i].session.etype == ETYPE_AES128_CBC_HS256 && c.entries[i].ticket.n > 0);
        CHECK(c.entries[i].start <= c.entries[i].end);
    }
    CHECK_OK(cache_write(&c, &text));
    CHECK_OK(cache_read(buf_slice(&text), &again));
    CHECK_OK(cache_write(&again, &twice));
    CHECK(slice_eq(buf_slice(&text), buf_slice(&twice)));
}
