/* One-time codes: one spelling out, forgiving spellings in. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "shared/crypto/onecode.h"

static const struct onecode sample = {
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0xff}
};

static void write__groups_26_letters(void **state)
{
    AUTO(buf_done) struct buf text = {0};

    (void)state;
    assert_ok(onecode_write(&sample, &text));
    assert_slice(buf_slice(&text), "000g4-0r40m-30e20-9185g-r38ezw");
}

static void read__takes_what_was_written(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        AUTO(buf_done) struct buf text = {0};
        struct onecode made, got;
        assert_ok(onecode_make(&made));
        assert_ok(onecode_write(&made, &text));
        assert_int_equal(text.n, ONECODE_TEXT);
        assert_ok(onecode_read(buf_slice(&text), &got));
        assert_memory_equal(made.bytes, got.bytes, ONECODE_LEN);
    }
}

static void read__forgives_case_blanks_and_letters_that_look_alike(void **state)
{
    struct onecode got;

    (void)state;
    assert_ok(onecode_read(slice_text("000g40r40m30e209185gr38ezw"), &got));
    assert_ok(onecode_read(slice_text(" OOOG4 oR40M 30E20 9I85G R38EZ W"), &got));
}

static void read__refuses_what_is_no_code(void **state)
{
    static const char *const wrong[] = {
        "",
        "-",
        "000g40r40m30e209185gr38ez",   /* a letter short */
        "000g40r40m30e209185gr38ezw0", /* one too many */
        "000g40r40m30e209185gr38ezu",  /* no such letter */
        "000g40r40m30e209185gr38ezz",  /* unused bits */
        "000g40r40m30e209185gr38ez\xc3",
    };
    struct onecode got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_rc(onecode_read(slice_text(wrong[i]), &got), RC_MALFORMED);
}

static void id_and_key__are_derived_as_the_protocol_says(void **state)
{
    uint8_t id[ONECODE_ID_LEN], again[ONECODE_ID_LEN];
    struct key key;

    (void)state;
    assert_ok(onecode_id(&sample, id));
    assert_ok(onecode_id(&sample, again));
    assert_ok(onecode_key(&sample, &key));
    assert_memory_equal(id, again, sizeof id);
    assert_memory_equal(id, "\x77\x0a\x6b\xcd\xb8\xcc\xca\x06", sizeof id); /* computed apart, in Python */
    assert_int_equal(key.n, 32);
    assert_memory_equal(key.bytes, "\xe0\x23\x92\x15\x29\x9a\x76\x37\x4c\x74\x62\x36\x15\xf3\xd8\x8a", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write__groups_26_letters),
        cmocka_unit_test(read__takes_what_was_written),
        cmocka_unit_test(read__forgives_case_blanks_and_letters_that_look_alike),
        cmocka_unit_test(read__refuses_what_is_no_code),
        cmocka_unit_test(id_and_key__are_derived_as_the_protocol_says),
    };
    if (crypto_setup() != RC_OK)
        abort();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
