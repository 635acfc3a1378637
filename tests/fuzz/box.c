/* The classic box: the input as a box from the wire, and as the text in one, with the original's padding and with ours.
 */
#include "shared/crypto/box.h"

#include <string.h>

#include "shared/base/base64.h"
#include "tests/fuzz/fuzz.h"

static struct key key;

void fuzz_open(void)
{
    fuzz_key(ETYPE_AES128_CBC, 0, &key);
}

static void check_opened(const struct buf *text)
{
    CHECK(text->n > 0);
    CHECK(!memchr(" \t\r\n", text->p[0], 4) && !memchr(" \t\r\n", text->p[text->n - 1], 4));
}

/* What is remembered against a replay does not depend on the IV, which anybody may change. */
static void check_other_iv(struct slice wire, const uint8_t replay[SHA256_LEN])
{
    AUTO(buf_done) struct buf raw = {0}, changed = {0}, text = {0};
    uint8_t other[SHA256_LEN];

    CHECK_OK(base64_decode_lenient(wire, &raw));
    raw.p[3] ^= 1;
    CHECK_OK(base64_encode(buf_slice(&raw), &changed));
    if (box_open(key.bytes, buf_slice(&changed), &text, other) == RC_OK && raw.n > 2 * AES_BLOCK)
        CHECK(memcmp(replay, other, SHA256_LEN) == 0);
}

static void open_wire(struct slice wire)
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t replay[SHA256_LEN];

    CHECK_OK(buf_text(&text, "old"));
    if (box_open(key.bytes, wire, &text, replay) == RC_OK)
        check_opened(&text);
}

static void open_sealed(struct slice plain)
{
    AUTO(buf_done) struct buf wire = {0}, text = {0};
    uint8_t replay[SHA256_LEN];

    CHECK_OK(box_seal(key.bytes, plain, &wire));
    struct slice trimmed = slice_trim(plain, " \t\r\n");
    enum rc rc = box_open(key.bytes, buf_slice(&wire), &text, replay);
    CHECK((rc == RC_OK) == (trimmed.n > 0));
    if (rc != RC_OK)
        return;
    check_opened(&text);
    CHECK(slice_eq(buf_slice(&text), trimmed));
    if (trimmed.n == plain.n)
        check_other_iv(buf_slice(&wire), replay);
}

void fuzz_one(struct slice input)
{
    open_wire(input);
    open_sealed(input);
}
