/* The classic authenticator: the input as a box from the wire, and as the text in one. */
#include "shared/ticket/authenticator.h"

#include "tests/fuzz/fuzz.h"

static struct key key;

void fuzz_open(void)
{
    fuzz_key(ETYPE_AES128_CBC, 0, &key);
}

static void try_open(struct slice wire)
{
    struct authenticator a = {.time_s = 1};

    if (authenticator_open(key.bytes, wire, &a) != RC_OK)
        return;
    CHECK(a.client.n > 0 && utf8_valid(name_slice(&a.client)));
    CHECK(a.time_s >= 0);
}

void fuzz_one(struct slice input)
{
    AUTO(buf_done) struct buf wire = {0};

    try_open(input);
    CHECK_OK(box_seal(key.bytes, input, &wire));
    try_open(buf_slice(&wire));
}
