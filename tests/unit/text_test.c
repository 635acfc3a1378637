/* UTF-8, names, numbers and times. */
#include "shared/base/text.h"

#include <string.h>

#include "tests/unit/unit.h"

static void utf8_valid__takes_every_length(void **state)
{
    (void)state;
    assert_true(utf8_valid(slice_text("")));
    assert_true(utf8_valid(slice_text("a\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80")));
    assert_true(utf8_valid(slice_text("\xF4\x8F\xBF\xBF")));
    assert_int_equal(utf8_chars(slice_text("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91")), 4);
}

static void utf8_valid__refuses_what_is_not_utf8(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\x80", /* a continuation alone */
        "\xC3",
        "\xE2\x82",
        "\xF0\x9F\x94", /* cut off */
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xF0\x80\x80\x80", /* overlong */
        "\xED\xA0\x80",
        "\xED\xBF\xBF", /* surrogates */
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFE",
        "\xFF", /* above U+10FFFF */
        "\xC3\x28",
        "ab\xE2\x28\xA1",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(utf8_valid(slice_text(wrong[i])));
}

static enum rc parse(const char *text, struct name *ret)
{
    return name_parse(slice_text(text), ret);
}

static void name_parse__gives_the_one_spelling(void **state)
{
    (void)state;
    struct name composed, decomposed;

    assert_ok(parse("Zo\xC3\xAB", &composed));
    assert_ok(parse("Zoe\xCC\x88", &decomposed));
    assert_true(slice_eq(name_slice(&composed), name_slice(&decomposed)));
    assert_int_equal(composed.s[composed.n], 0);
    assert_ok(parse("a b", &composed));
    assert_slice(name_slice(&composed), "a b");
}

static void name_parse__refuses_what_is_no_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        " ",
        " a",
        "a ",
        "a\n",
        "a\tb",
        "\x01",
        "a\x7F",
        "a\xC2\x85"
        "b",
        "\xC2\xA0"
        "a",
        "a\xE3\x80\x80",
        "\xFF",
        "a\xED\xA0\x80",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct name name = {.n = 99};
        assert_rc(parse(wrong[i], &name), RC_MALFORMED);
        assert_int_equal(name.n, 99);
    }
    struct name name;
    assert_rc(name_parse(slice_of("a\0b", 3), &name), RC_MALFORMED);
}

/* n times the text. */
static enum rc parse_repeated(const char *text, size_t n, struct name *ret)
{
    AUTO(buf_done) struct buf b = {0};

    for (size_t i = 0; i < n; i++)
        assert_ok(buf_text(&b, text));
    return name_parse(buf_slice(&b), ret);
}

static void name_parse__counts_characters(void **state)
{
    (void)state;
    struct name name;

    assert_ok(parse_repeated("a", 64, &name));
    assert_rc(parse_repeated("a", 65, &name), RC_MALFORMED);
    assert_ok(parse_repeated("\xF0\x9F\x94\x91", 64, &name));
    assert_int_equal(name.n, NAME_MAX_BYTES);
    assert_rc(parse_repeated("\xF0\x9F\x94\x91", 65, &name), RC_MALFORMED);
    assert_ok(parse_repeated("e\xCC\x88", 64, &name));                      /* 128 code points that become 64 */
    assert_rc(parse_repeated("\xF0\x9D\x85\xA0", 32, &name), RC_MALFORMED); /* 32 that become 96 */
    assert_rc(parse_repeated("a", 100000, &name), RC_MALFORMED);
}

static void assert_fold(const char *a, const char *b, bool same)
{
    AUTO(buf_done) struct buf fa = {0}, fb = {0};
    struct name na, nb;

    assert_ok(parse(a, &na));
    assert_ok(parse(b, &nb));
    assert_ok(name_fold(&na, &fa));
    assert_ok(name_fold(&nb, &fb));
    assert_int_equal(slice_eq(buf_slice(&fa), buf_slice(&fb)), same);
}

static void name_fold__joins_what_differs_in_case_only(void **state)
{
    (void)state;
    assert_fold("Alice", "aLICE", true);
    assert_fold("Вася", "вася", true);
    assert_fold("Stra\xC3\x9F"
                "e",
                "STRASSE", true);
    assert_fold("\xCE\xA3", "\xCF\x82", true); /* capital sigma, final sigma */
    assert_fold("alice", "alice1", false);
    assert_fold("alice", "\xD0\xB0lice", false); /* a Cyrillic a */
}

static void parse_u64__reads_what_it_should(void **state)
{
    (void)state;
    uint64_t v = 9;

    assert_ok(parse_u64(slice_text("0"), 10, &v));
    assert_int_equal(v, 0);
    assert_ok(parse_u64(slice_text("18446744073709551615"), UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_ok(parse_u64(slice_text("65535"), 65535, &v));
}

static void parse_u64__refuses_the_rest(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "-1",
        "+1",
        "01",
        "00",
        " 1",
        "1 ",
        "1.0",
        "0x1",
        "1e3",
        "65536",
        "18446744073709551616",
        "99999999999999999999999",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        uint64_t v = 7;
        assert_rc(parse_u64(slice_text(wrong[i]), 65535, &v), RC_MALFORMED);
        assert_int_equal(v, 7);
    }
    uint64_t v = 7;
    assert_rc(parse_u64(slice_text("18446744073709551616"), UINT64_MAX, &v), RC_MALFORMED);
    assert_rc(parse_u64(slice_of("1\0", 2), 65535, &v), RC_MALFORMED);
}

static void time_classic__round_trips(void **state)
{
    (void)state;
    static const struct {
        int64_t s;
        const char *text;
    } cases[] = {
        {0,            "1970-01-01 00:00:00"},
        {951782400,    "2000-02-29 00:00:00"},
        {951868799,    "2000-02-29 23:59:59"},
        {1432374287,   "2015-05-23 09:44:47"},
        {1709164800,   "2024-02-29 00:00:00"},
        {2147483648,   "2038-01-19 03:14:08"},
        {4107542400,   "2100-03-01 00:00:00"},
        {253402300799, "9999-12-31 23:59:59"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CLASSIC_TIME_LEN + 1];
        int64_t s = -1;
        time_format_classic(cases[i].s, text);
        assert_string_equal(text, cases[i].text);
        assert_ok(time_parse_classic(slice_text(cases[i].text), &s));
        assert_true(s == cases[i].s);
    }
}

static void time_classic__every_day_for_400_years(void **state)
{
    (void)state;
    for (int64_t s = 43200; s < INT64_C(400) * 366 * 86400; s += 86400) {
        char text[CLASSIC_TIME_LEN + 1];
        int64_t again = -1;
        time_format_classic(s, text);
        assert_ok(time_parse_classic(slice_text(text), &again));
        assert_true(again == s);
    }
}

static void time_parse_classic__refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "2015-05-23",
        "2015-05-23T09:44:47",
        "2015-05-23 09:44:47 ",
        " 2015-05-23 09:44:47",
        "2015-05-23 09:44:47Z",
        "2015-5-23 09:44:470",
        "2015/05/23 09:44:47",
        "2015-00-23 09:44:47",
        "2015-13-23 09:44:47",
        "2015-05-00 09:44:47",
        "2015-05-32 09:44:47",
        "2015-04-31 09:44:47",
        "2015-02-29 09:44:47",
        "2100-02-29 09:44:47",
        "2015-05-23 24:00:00",
        "2015-05-23 09:60:47",
        "2015-05-23 09:44:60",
        "2015-05-23 -1:44:47",
        "2015-05-23 +9:44:47",
        "1969-12-31 23:59:59",
        "0000-01-01 00:00:00",
        "201\xD9\xA5-5-23 09:44:47",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        int64_t s = -7;
        if (time_parse_classic(slice_text(wrong[i]), &s) != RC_MALFORMED || s != -7)
            fail_msg("'%s' is read", wrong[i]);
    }
}

static void time_format_classic__stays_in_its_field(void **state)
{
    (void)state;
    char text[CLASSIC_TIME_LEN + 1];

    time_format_classic(INT64_C(253402300800), text); /* the year 10000 */
    assert_string_equal(text, "1970-01-01 00:00:00");
    time_format_classic(INT64_MAX, text);
    assert_string_equal(text, "1970-01-01 00:00:00");
}

static void clock__is_of_this_century(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_ms();

    assert_true(clock_s() > 1577836800 && clock_s() < 4102444800);
    assert_in_range(clock_ms() - clock_s() * 1000 + 1000, 0, 2000);
    assert_true(clock_monotonic_ms() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_valid__takes_every_length),
        cmocka_unit_test(utf8_valid__refuses_what_is_not_utf8),
        cmocka_unit_test(name_parse__gives_the_one_spelling),
        cmocka_unit_test(name_parse__refuses_what_is_no_name),
        cmocka_unit_test(name_parse__counts_characters),
        cmocka_unit_test(name_fold__joins_what_differs_in_case_only),
        cmocka_unit_test(parse_u64__reads_what_it_should),
        cmocka_unit_test(parse_u64__refuses_the_rest),
        cmocka_unit_test(time_classic__round_trips),
        cmocka_unit_test(time_classic__every_day_for_400_years),
        cmocka_unit_test(time_parse_classic__refuses_what_is_no_time),
        cmocka_unit_test(time_format_classic__stays_in_its_field),
        cmocka_unit_test(clock__is_of_this_century),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
