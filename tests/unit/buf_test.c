/* Slices and buffers. */
#include "shared/base/buf.h"

#include <string.h>

#include "tests/unit/unit.h"

static void slice_cmp__orders_bytewise_and_shorter_first(void **state)
{
    (void)state;
    assert_true(slice_cmp(slice_text("a"), slice_text("b")) < 0);
    assert_true(slice_cmp(slice_text("b"), slice_text("aa")) > 0);
    assert_true(slice_cmp(slice_text("a"), slice_text("aa")) < 0);
    assert_true(slice_cmp(slice_text("\xFF"), slice_text("a")) > 0);
    assert_int_equal(slice_cmp(slice_text("a"), slice_text("a")), 0);
    assert_int_equal(slice_cmp(slice_of(NULL, 0), slice_text("")), 0);
}

static void slice_eq__needs_the_same_length(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_of(NULL, 0), slice_text("")));
    assert_false(slice_eq(slice_text("a"), slice_text("")));
    assert_false(slice_eq(slice_of("a\0b", 3), slice_of("a\0c", 3)));
}

static void slice_trim__takes_the_blanks_at_both_ends_only(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_trim(slice_text(" \ta b\t "), " \t"), slice_text("a b")));
    assert_true(slice_eq(slice_trim(slice_text("\na\n"), " \t"), slice_text("\na\n")));
    assert_true(slice_eq(slice_trim(slice_of(" \0 ", 3), " "), slice_of("\0", 1)));
    assert_int_equal(slice_trim(slice_text(" \t "), " \t").n, 0);
    assert_int_equal(slice_trim(slice_of(NULL, 0), " ").n, 0);
}

static void buf_add__grows_and_keeps(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};

    for (int i = 0; i < 5000; i++)
        assert_ok(buf_byte(&b, (uint8_t)i));
    assert_int_equal(b.n, 5000);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(b.p[i], (uint8_t)i);
    assert_ok(buf_add(&b, slice_of(NULL, 0)));
    assert_int_equal(b.n, 5000);
}

static void buf_reserve__refuses_what_cannot_be(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};

    assert_ok(buf_text(&b, "kept"));
    assert_rc(buf_reserve(&b, SIZE_MAX), RC_NO_MEMORY);
    assert_rc(buf_reserve(&b, SIZE_MAX - 3), RC_NO_MEMORY);
    assert_slice(buf_slice(&b), "kept");
}

static void buf_numbers__are_big_endian(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};
    static const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

    assert_ok(buf_u16be(&b, 0x0102));
    assert_ok(buf_u32be(&b, 0x03040506));
    assert_ok(buf_u64be(&b, 0x0708090A0B0C0D0E));
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    assert_int_equal(get_u32be(b.p + 2), 0x03040506);
    assert_true(get_u64be(b.p + 6) == 0x0708090A0B0C0D0E);
}

static void buf_lp__refuses_more_than_its_length_can_say(void **state)
{
    (void)state;
    static uint8_t big[65536];
    AUTO(buf_done) struct buf b = {0};

    assert_rc(buf_lp(&b, SLICE(big)), RC_LIMIT);
    assert_int_equal(b.n, 0);
    assert_ok(buf_lp(&b, slice_of(big, 65535)));
    assert_int_equal(b.n, 65537);
    assert_int_equal(b.p[0] << 8 | b.p[1], 65535);
}

static void buf_printf__writes_every_length(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};

    for (int width = 1; width < 300; width++) {
        buf_reset(&b);
        assert_ok(buf_printf(&b, "%0*d", width, 7));
        assert_int_equal(b.n, width);
        assert_int_equal(b.p[width - 1], '7');
    }
}

static void buf_cstr__ends_in_a_zero_that_is_not_counted(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};

    assert_string_equal(buf_cstr(&b), "");
    assert_ok(buf_text(&b, "text"));
    assert_string_equal(buf_cstr(&b), "text");
    assert_int_equal(b.n, 4);
}

static void buf_reset__wipes_the_content(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};
    const uint8_t zeros[6] = {0};

    assert_ok(buf_text(&b, "secret"));
    buf_reset(&b);
    assert_int_equal(b.n, 0);
    assert_memory_equal(b.p, zeros, 6);
}

static void buf_take__leaves_an_empty_buffer(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf b = {0};

    assert_ok(buf_text(&b, "text"));
    AUTO(buf_done) struct buf taken = buf_take(&b);
    assert_slice(buf_slice(&taken), "text");
    assert_null(b.p);
    assert_ok(buf_text(&b, "again"));
    assert_slice(buf_slice(&b), "again");
}

static void wipe__clears_and_accepts_null(void **state)
{
    (void)state;
    char text[] = "secret";
    const char zeros[sizeof(text)] = {0};

    wipe(text, sizeof(text));
    assert_memory_equal(text, zeros, sizeof(text));
    wipe(NULL, 0);
}

static void slice_dup__ends_in_a_zero(void **state)
{
    (void)state;
    AUTO(str_done) char *s = slice_dup(slice_of("abcd", 2));

    assert_string_equal(s, "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_cmp__orders_bytewise_and_shorter_first),
        cmocka_unit_test(slice_eq__needs_the_same_length),
        cmocka_unit_test(slice_trim__takes_the_blanks_at_both_ends_only),
        cmocka_unit_test(buf_add__grows_and_keeps),
        cmocka_unit_test(buf_reserve__refuses_what_cannot_be),
        cmocka_unit_test(buf_numbers__are_big_endian),
        cmocka_unit_test(buf_lp__refuses_more_than_its_length_can_say),
        cmocka_unit_test(buf_printf__writes_every_length),
        cmocka_unit_test(buf_cstr__ends_in_a_zero_that_is_not_counted),
        cmocka_unit_test(buf_reset__wipes_the_content),
        cmocka_unit_test(buf_take__leaves_an_empty_buffer),
        cmocka_unit_test(wipe__clears_and_accepts_null),
        cmocka_unit_test(slice_dup__ends_in_a_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
