/* What others write cannot act on the terminal, nor hide from the reader. */
#include "client/show.h"
#include "tests/unit/unit.h"

static void assert_shown(const char *text, size_t n, const char *expected)
{
    AUTO(buf_done) struct buf b = {0};
    assert_string_equal(show(slice_of(text, n), &b), expected);
}

#define SHOWN(text, expected) assert_shown(text, sizeof(text) - 1, expected)

static void show__leaves_what_people_write(void **state)
{
    (void)state;
    SHOWN("", "");
    SHOWN("hello, world", "hello, world");
    SHOWN("Zoë says 你好 👋 \\o/", "Zoë says 你好 👋 \\o/");
}

static void show__escapes_every_control_character(void **state)
{
    (void)state;
    SHOWN("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07");
    SHOWN("one\ntwo\rthree\tfour\b", "one\\ntwo\\x0dthree\\tfour\\x08");
    SHOWN("a\x00z", "a\\x00z");
    for (int c = 0; c < 0x20; c++) {
        AUTO(buf_done) struct buf b = {0};
        const char one = (char)c;
        assert_int_equal(show(slice_of(&one, 1), &b)[0], '\\');
    }
    SHOWN("\x7f", "\\x7f");
    for (int c = 0x80; c < 0xa0; c++) { /* C1: a terminal may take U+009B as CSI */
        AUTO(buf_done) struct buf b = {0};
        const char two[2] = {(char)0xc2, (char)c};
        assert_int_equal(show(slice_of(two, 2), &b)[0], '\\');
    }
}

static void show__escapes_what_turns_or_hides_text(void **state)
{
    (void)state;
    SHOWN("abc\u202etxt.exe", "abc\\u202etxt.exe");
    SHOWN("\u2066x\u2069\u200f\u061c", "\\u2066x\\u2069\\u200f\\u061c");
    SHOWN("bo\u200bb", "bo\\u200bb");
    SHOWN("a\u2028b\u2029", "a\\u2028b\\u2029");
    SHOWN("\U000e0041", "\\ue0041");
}

static void show__escapes_bytes_that_are_no_text(void **state)
{
    (void)state;
    SHOWN("\x9b"
          "31m",
          "\\x9b31m");
    SHOWN("\xff\xfe", "\\xff\\xfe");
    SHOWN("\xe4\xbd", "\\xe4\\xbd");          /* cut */
    SHOWN("\xc0\x9b", "\\xc0\\x9b");          /* overlong ESC-like */
    SHOWN("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show__leaves_what_people_write),
        cmocka_unit_test(show__escapes_every_control_character),
        cmocka_unit_test(show__escapes_what_turns_or_hides_text),
        cmocka_unit_test(show__escapes_bytes_that_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
