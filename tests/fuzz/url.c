/* The URL of a realm, as a person types it. */
#include <string.h>

#include "client/http.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

void fuzz_one(struct slice input)
{
    AUTO(str_done) char *text = slice_dup(input);
    AUTO(buf_done) struct buf url = {0}, again = {0};

    if (http_url_check(text, &url) != RC_OK) {
        CHECK(url.n == 0);
        return;
    }
    CHECK(buf_cstr(&url));
    CHECK(strncmp((char *)url.p, "http://", 7) == 0 || strncmp((char *)url.p, "https://", 8) == 0);
    CHECK(!memchr(url.p, '#', url.n) && !memchr(url.p, '?', url.n));
    const char *host = strstr((char *)url.p, "://") + 3;
    CHECK(!memchr(host, '@', strcspn(host, "/")));   /* no user */
    CHECK_OK(http_url_check((char *)url.p, &again)); /* in one spelling */
    CHECK(slice_eq(buf_slice(&url), buf_slice(&again)));
}
