/*
 * Envelopes: the input as one from the wire; and as a text that is sealed, opened, and damaged in the place that its
 * first two bytes name.
 */
#include "shared/crypto/envelope.h"

#include "tests/fuzz/fuzz.h"

static struct envelope_key key;
static const struct envelope_aad *aad;

void fuzz_open(void)
{
    static struct envelope_aad all;
    struct key k;

    fuzz_key(ETYPE_AES128_CBC_HS256, 3, &k);
    CHECK_OK(envelope_derive(&k, LABEL_ROW, &key));
    all = (struct envelope_aad){slice_text("KERB"), slice_text("alice"), slice_text("chat"), slice_text("context")};
    aad = &all;
}

/* Whatever is refused leaves no text behind. */
static enum rc try_open(struct slice envelope)
{
    AUTO(buf_done) struct buf plain = {0};

    CHECK_OK(buf_text(&plain, "of before"));
    enum rc rc = envelope_open(&key, aad, envelope, &plain);
    CHECK(rc == RC_OK || (rc == RC_MODIFIED && plain.n == 0));
    return rc;
}

void fuzz_one(struct slice input)
{
    AUTO(buf_done) struct buf envelope = {0}, plain = {0};
    uint32_t kvno;

    CHECK(try_open(input) == RC_MODIFIED); /* who guesses a tag has found a fault */
    CHECK(envelope_kvno(input, &kvno) != RC_OK || input.n >= ENVELOPE_HEAD);
    if (input.n < 2)
        return;
    struct slice text = slice_of(input.p + 2, input.n - 2);
    CHECK_OK(envelope_seal(&key, aad, text, &envelope));
    CHECK(envelope.n <= text.n + ENVELOPE_OVERHEAD);
    CHECK_OK(envelope_kvno(buf_slice(&envelope), &kvno));
    CHECK(kvno == 3);
    CHECK_OK(envelope_open(&key, aad, buf_slice(&envelope), &plain));
    CHECK(slice_eq(buf_slice(&plain), text));
    size_t at = (size_t)(input.p[0] << 8 | input.p[1]) % (8 * envelope.n);
    envelope.p[at / 8] ^= (uint8_t)(1U << at % 8);
    CHECK(try_open(buf_slice(&envelope)) == RC_MODIFIED);
    envelope.p[at / 8] ^= (uint8_t)(1U << at % 8);
    CHECK(try_open(slice_of(envelope.p, at / 8)) == RC_MODIFIED);
}
