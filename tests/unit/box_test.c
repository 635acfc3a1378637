/* The classic box: every vector of tests/vectors/classic.json, and what the replay digest covers. */
#include "shared/crypto/box.h"

#include <string.h>

#include "tests/unit/vectors.h"

static json_t *classic;

static int load(void **state)
{
    (void)state;
    classic = vectors_load("classic.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_done(&classic);
    return 0;
}

static const json_t *cases(const char *name)
{
    const json_t *list = json_object_get(classic, name);
    assert_true(json_array_size(list) > 0);
    return list;
}

static void key_of(const json_t *c, uint8_t key[BOX_KEY])
{
    AUTO(buf_done) struct buf b = vector_hex(c, "key_hex");
    assert_int_equal(b.n, BOX_KEY);
    memcpy(key, b.p, BOX_KEY);
}

static bool is_object(struct slice text)
{
    AUTO(json_done) json_t *j = NULL;
    return json_parse_object(text, JSON_DEPTH_HTTP, &j) == RC_OK;
}

/* What every reader of a box does. */
static bool opens_as_object(const uint8_t key[BOX_KEY], struct slice wire, struct buf *text)
{
    uint8_t replay[SHA256_LEN];
    enum rc rc = box_open(key, wire, text, replay);

    assert_true(rc == RC_OK || rc == RC_MODIFIED);
    return rc == RC_OK && is_object(buf_slice(text));
}

static void box_password_key__gives_every_vector(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach (cases("password_key"), i, c) {
        AUTO(buf_done) struct buf password = vector_hex(c, "password_hex"), b64 = {0};
        uint8_t want[BOX_KEY], got[BOX_KEY];
        key_of(c, want);
        assert_ok(box_password_key(buf_slice(&password), got));
        assert_memory_equal(got, want, BOX_KEY);
        assert_ok(base64_encode(SLICE(got), &b64));
        assert_bytes(buf_slice(&b64), vector_text(c, "key_b64"));
    }
}

static void open_as(const json_t *c, struct slice wire, struct slice want)
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t key[BOX_KEY], replay[SHA256_LEN];

    key_of(c, key);
    if (box_open(key, wire, &text, replay) != RC_OK)
        fail_msg("%.*s does not open", SLICE_FMT(vector_text(c, "id")));
    assert_bytes(buf_slice(&text), want);
}

static void box_open__opens_every_encrypted_vector(void **state)
{
    (void)state;
    size_t i, spaced = 0;
    json_t *c;
    json_array_foreach (cases("encrypt"), i, c) {
        struct slice want = slice_trim(vector_text(c, "plaintext"), " \t\r\n");
        open_as(c, vector_text(c, "wire"), want);
        if (json_object_get(c, "wire_plus_as_space")) {
            open_as(c, vector_text(c, "wire_plus_as_space"), want);
            spaced++;
        }
        assert_int_equal(is_object(want), json_is_true(json_object_get(c, "is_json_object")));
    }
    assert_true(spaced > 0);
}

static void aes128_cbc_encrypt__gives_the_wire_of_every_vector(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach (cases("encrypt"), i, c) {
        AUTO(buf_done) struct buf iv = vector_hex(c, "iv_hex"), raw = {0}, plain = {0}, wire = {0};
        uint8_t key[BOX_KEY];
        bool spaces = vector_is(c, "padding", "space");
        key_of(c, key);
        assert_ok(buf_add(&plain, vector_text(c, "plaintext")));
        while (spaces && plain.n % AES_BLOCK)
            assert_ok(buf_byte(&plain, ' '));
        assert_ok(buf_add(&raw, buf_slice(&iv)));
        assert_ok(aes128_cbc_encrypt(key, iv.p, buf_slice(&plain), &raw));
        if (spaces)
            raw.n -= AES_BLOCK; /* the padding that the original does not write */
        assert_ok(base64_encode(buf_slice(&raw), &wire));
        assert_bytes(buf_slice(&wire), vector_text(c, "wire"));
    }
}

static void box_open__opens_what_only_peers_write(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach (cases("decrypt"), i, c) {
        open_as(c, vector_text(c, "wire"), vector_text(c, "expect"));
    }
}

static void box_open__refuses_every_refuse_vector(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach (cases("refuse"), i, c) {
        AUTO(buf_done) struct buf text = {0};
        uint8_t key[BOX_KEY];
        key_of(c, key);
        if (opens_as_object(key, vector_text(c, "wire"), &text))
            fail_msg("%.*s gives an object", SLICE_FMT(vector_text(c, "id")));
    }
}

static void box_open__follows_the_advice_where_the_original_differs(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach (cases("original_differs"), i, c) {
        AUTO(buf_done) struct buf text = {0};
        uint8_t key[BOX_KEY];
        key_of(c, key);
        bool opens = opens_as_object(key, vector_text(c, "wire"), &text);
        if (!vector_is(c, "advice", "either") && opens != vector_is(c, "advice", "accept"))
            fail_msg("%.*s: opens is %d", SLICE_FMT(vector_text(c, "id")), opens);
        if (vector_is(c, "advice", "accept"))
            assert_bytes(buf_slice(&text), vector_text(c, "expect"));
    }
}

static const uint8_t some_key[BOX_KEY] = "sixteen letters";

/* Seals text exactly as given (whole blocks, no padding added unless asked), opens it, gives the digest. */
static enum rc digest_of(const uint8_t iv[AES_BLOCK], const char *text, bool cut_padding, uint8_t replay[SHA256_LEN])
{
    AUTO(buf_done) struct buf raw = {0}, wire = {0}, opened = {0};

    assert_ok(buf_add(&raw, slice_of(iv, AES_BLOCK)));
    assert_ok(aes128_cbc_encrypt(some_key, iv, slice_text(text), &raw));
    if (cut_padding)
        raw.n -= AES_BLOCK;
    assert_ok(base64_encode(buf_slice(&raw), &wire));
    return box_open(some_key, buf_slice(&wire), &opened, replay);
}

static void box_open__digest_ignores_a_cut_padding_block(void **state)
{
    (void)state;
    const uint8_t iv[AES_BLOCK] = {1};
    const char *aligned = "{\"user\":\"alice\"}";
    uint8_t a[SHA256_LEN], b[SHA256_LEN];

    assert_int_equal(strlen(aligned), AES_BLOCK);
    assert_ok(digest_of(iv, aligned, false, a));
    assert_ok(digest_of(iv, aligned, true, b));
    assert_memory_equal(a, b, SHA256_LEN);
}

static void box_open__digest_ignores_an_iv_that_re_spaces_the_text(void **state)
{
    (void)state;
    const char *before = "{\"user\": \"alice\", \"x\": 1}", *after = "{ \"user\":\"alice\", \"x\": 1}";
    uint8_t iv[AES_BLOCK] = {7}, moved[AES_BLOCK], a[SHA256_LEN], b[SHA256_LEN];

    /* the same ciphertext under another IV is what sealing the other text under the moved IV gives */
    for (size_t i = 0; i < AES_BLOCK; i++)
        moved[i] = iv[i] ^ (uint8_t)before[i] ^ (uint8_t)after[i];
    assert_ok(digest_of(iv, before, false, a));
    assert_ok(digest_of(moved, after, false, b));
    assert_memory_equal(a, b, SHA256_LEN);
}

static void box_open__digest_ignores_blocks_of_blanks_in_front(void **state)
{
    (void)state;
    const char *text = "                {\"user\":\"alice\",\"timestamp\":1}";
    uint8_t iv[AES_BLOCK] = {9}, a[SHA256_LEN], b[SHA256_LEN];
    AUTO(buf_done) struct buf raw = {0}, wire = {0}, opened = {0};

    assert_ok(digest_of(iv, text, false, a));
    /* without its first block: that block is the IV of the rest */
    assert_ok(aes128_cbc_encrypt(some_key, iv, slice_text(text), &raw));
    assert_ok(base64_encode(buf_slice(&raw), &wire));
    assert_ok(box_open(some_key, buf_slice(&wire), &opened, b));
    assert_bytes(buf_slice(&opened), slice_text(text + AES_BLOCK));
    assert_memory_equal(a, b, SHA256_LEN);
}

static void box_open__digest_tells_two_texts_apart(void **state)
{
    (void)state;
    const uint8_t iv[AES_BLOCK] = {1};
    uint8_t a[SHA256_LEN], b[SHA256_LEN], c[SHA256_LEN];

    assert_ok(digest_of(iv, "{\"user\": \"alice\", \"t\": 1}", false, a));
    assert_ok(digest_of(iv, "{\"user\": \"alice\", \"t\": 2}", false, b));
    assert_memory_not_equal(a, b, SHA256_LEN);
    const uint8_t other[AES_BLOCK] = {2}; /* the same text sealed again: an honest second login */
    assert_ok(digest_of(other, "{\"user\": \"alice\", \"t\": 1}", false, c));
    assert_memory_not_equal(a, c, SHA256_LEN);
}

static void box_seal__round_trips_every_length(void **state)
{
    (void)state;
    char text[100];

    memset(text, 'x', sizeof(text));
    for (size_t n = 1; n < sizeof(text); n++) {
        AUTO(buf_done) struct buf wire = {0}, opened = {0};
        uint8_t replay[SHA256_LEN];
        assert_ok(box_seal(some_key, slice_of(text, n), &wire));
        assert_int_equal(wire.n, base64_len(AES_BLOCK + (n / AES_BLOCK + 1) * AES_BLOCK));
        assert_ok(box_open(some_key, buf_slice(&wire), &opened, replay));
        assert_bytes(buf_slice(&opened), slice_of(text, n));
    }
}

static void box_open__keeps_what_it_was_given_when_it_fails(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf opened = {0};
    uint8_t replay[SHA256_LEN];

    assert_ok(buf_text(&opened, "before"));
    assert_rc(box_open(some_key, slice_text("AAAA"), &opened, replay), RC_MODIFIED);
    assert_bytes(buf_slice(&opened), slice_text("before"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_password_key__gives_every_vector),
        cmocka_unit_test(box_open__opens_every_encrypted_vector),
        cmocka_unit_test(aes128_cbc_encrypt__gives_the_wire_of_every_vector),
        cmocka_unit_test(box_open__opens_what_only_peers_write),
        cmocka_unit_test(box_open__refuses_every_refuse_vector),
        cmocka_unit_test(box_open__follows_the_advice_where_the_original_differs),
        cmocka_unit_test(box_open__digest_ignores_a_cut_padding_block),
        cmocka_unit_test(box_open__digest_ignores_an_iv_that_re_spaces_the_text),
        cmocka_unit_test(box_open__digest_ignores_blocks_of_blanks_in_front),
        cmocka_unit_test(box_open__digest_tells_two_texts_apart),
        cmocka_unit_test(box_seal__round_trips_every_length),
        cmocka_unit_test(box_open__keeps_what_it_was_given_when_it_fails),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
