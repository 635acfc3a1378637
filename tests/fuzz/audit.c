/* A line of the audit log, as kerbadm reads it back. */
#include "shared/service/audit_chain.h"

#include <string.h>

#include "shared/base/base64.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

void fuzz_one(struct slice input)
{
    AUTO(buf_done) struct buf again = {0};
    uint8_t hash[SHA256_LEN];
    struct slice body;

    if (audit_line_split(input, &body, hash) != RC_OK)
        return;
    CHECK(body.n <= input.n);
    CHECK_OK(buf_add(&again, body));
    CHECK_OK(buf_text(&again, AUDIT_HASH_LEAD));
    CHECK_OK(base64url_encode(SLICE(hash), &again));
    CHECK_OK(buf_text(&again, AUDIT_HASH_TAIL));
    CHECK(again.n == input.n + 1 && memcmp(again.p, input.p, input.n) == 0);
}
