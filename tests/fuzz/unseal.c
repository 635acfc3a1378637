/* The packet with which a daemon that waits for its shares answers. */
#include <string.h>

#include "shared/db/shares.h"
#include "shared/unseal/packet.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

void fuzz_one(struct slice input)
{
    AUTO(buf_done) struct buf text = {0};
    struct unseal_reply r = {0}, again = {0};

    if (unseal_reply_read(input, &r) != RC_OK)
        return;
    CHECK(r.told.number <= SHARES_MAX && r.told.have <= SHARES_MAX && r.told.need <= SHARES_MAX);
    CHECK_OK(unseal_reply_write(&r, &text));
    CHECK(text.n <= PACKET_MAX);
    CHECK_OK(unseal_reply_read(buf_slice(&text), &again));
    CHECK(r.rc == again.rc && r.told.number == again.told.number && r.told.have == again.told.have &&
          r.told.need == again.told.need && r.told.is_complete == again.told.is_complete);
}
