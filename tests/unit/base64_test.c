/* Base64 and hexadecimal: one spelling per value. */
#include "shared/base/base64.h"

#include "tests/unit/unit.h"

typedef enum rc (*code_fn)(struct slice, struct buf *);

/* Source: RFC 4648 section 10. */
static const struct {
    const char *plain, *base64, *base64url, *hex;
} known[] = {
    {"",         "",         "",         ""            },
    {"f",        "Zg==",     "Zg",       "66"          },
    {"fo",       "Zm8=",     "Zm8",      "666f"        },
    {"foo",      "Zm9v",     "Zm9v",     "666f6f"      },
    {"foob",     "Zm9vYg==", "Zm9vYg",   "666f6f62"    },
    {"fooba",    "Zm9vYmE=", "Zm9vYmE",  "666f6f6261"  },
    {"foobar",   "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"},
    {"\xFB\xFF", "+/8=",     "-_8",      "fbff"        },
};

static void check(code_fn code, const char *in, const char *want)
{
    AUTO(buf_done) struct buf out = {0};

    assert_ok(code(slice_text(in), &out));
    assert_slice(buf_slice(&out), want);
}

static void refuse(code_fn code, const char *in)
{
    AUTO(buf_done) struct buf out = {0};

    assert_ok(buf_text(&out, "kept"));
    enum rc rc = code(slice_text(in), &out);
    if (rc != RC_MALFORMED)
        fail_msg("'%s': %s", in, rc_name(rc));
    assert_slice(buf_slice(&out), "kept");
}

static void base64__knows_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        check(base64_encode, known[i].plain, known[i].base64);
        check(base64url_encode, known[i].plain, known[i].base64url);
        check(hex_encode, known[i].plain, known[i].hex);
        check(base64_decode_lenient, known[i].base64, known[i].plain);
        check(base64url_decode, known[i].base64url, known[i].plain);
        check(hex_decode, known[i].hex, known[i].plain);
    }
}

static void base64__round_trips_every_length_and_byte(void **state)
{
    (void)state;
    uint8_t bytes[260];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        AUTO(buf_done) struct buf std = {0}, url = {0}, a = {0}, b = {0};
        assert_ok(base64_encode(slice_of(bytes, n), &std));
        assert_int_equal(std.n, base64_len(n));
        assert_ok(base64url_encode(slice_of(bytes, n), &url));
        assert_ok(base64_decode_lenient(buf_slice(&std), &a));
        assert_ok(base64url_decode(buf_slice(&url), &b));
        assert_true(slice_eq(buf_slice(&a), slice_of(bytes, n)));
        assert_true(slice_eq(buf_slice(&b), slice_of(bytes, n)));
    }
}

static void base64_decode_lenient__takes_what_clients_write(void **state)
{
    (void)state;
    check(base64_decode_lenient, " /8=", "\xFB\xFF"); /* '+' from an unescaped form, also as the first letter */
    check(base64_decode_lenient, "Zm9v\nYmFy\r\n", "foobar");
    check(base64_decode_lenient, "Zg=\r\n=\n", "f");
    check(base64_decode_lenient, "\n", "");
}

static void base64_decode_lenient__refuses_other_spellings(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z",     "Zg",   "Zg=",  "Zm9",      "Zg===",    "====", "=",     "Z===", "Zh==",    "Zm9=",
        "Zg==Z", "Zg=A", "=Zg=", "Zg==Zg==", "Zg==AAAA", "-_8=", "Zm9\t", "Zm9!", "Zm9\xC3",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        refuse(base64_decode_lenient, wrong[i]);
}

static void base64url_decode__refuses_all_but_one_spelling(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z", "Zg==", "Zh", "Zm9", "Zm8=", "+/8", " _8", "Zm9v\n", "Zm9vY", "Zm 9", "\xFF\xFF", "Zm9v=",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        refuse(base64url_decode, wrong[i]);
}

static void base64url_decode__refuses_a_zero_byte(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf out = {0};

    assert_rc(base64url_decode(slice_of("Zm\0v", 4), &out), RC_MALFORMED);
    assert_rc(base64_decode_lenient(slice_of("Zm\0v", 4), &out), RC_MALFORMED);
    assert_rc(hex_decode(slice_of("6\0", 2), &out), RC_MALFORMED);
}

static void base64url_decode_exact__takes_one_length(void **state)
{
    uint8_t got[5];

    (void)state;
    for (size_t n = 1; n <= sizeof got; n++) {
        AUTO(buf_done) struct buf text = {0};
        assert_ok(base64url_encode(slice_of("\xFB\xFFkerb", n), &text));
        for (size_t other = 0; other <= sizeof got; other++) {
            memset(got, 0xEE, sizeof got);
            assert_rc(base64url_decode_exact(buf_slice(&text), got, other), other == n ? RC_OK : RC_MALFORMED);
            for (size_t i = other; i < sizeof got; i++)
                assert_int_equal(got[i], 0xEE); /* nothing behind it was touched */
        }
        assert_ok(base64url_decode_exact(buf_slice(&text), got, n));
        assert_memory_equal(got, "\xFB\xFFkerb", n);
    }
    assert_rc(base64url_decode_exact(slice_text("Zh"), got, 1), RC_MALFORMED); /* bits behind the end */
    assert_rc(base64url_decode_exact(slice_text("Zg=="), got, 1), RC_MALFORMED);
    assert_rc(base64url_decode_exact(slice_text("Z+"), got, 1), RC_MALFORMED);
}

static void hex_decode__takes_both_cases_and_nothing_else(void **state)
{
    (void)state;
    check(hex_decode, "FBff", "\xFB\xFF");
    refuse(hex_decode, "f");
    refuse(hex_decode, "0x");
    refuse(hex_decode, "fg");
    refuse(hex_decode, " f");
    refuse(hex_decode, "\x10\x10"); /* digits with a bit less */
    refuse(hex_decode, "@@");
    refuse(hex_decode, "``");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64__knows_the_vectors_of_the_rfc),
        cmocka_unit_test(base64__round_trips_every_length_and_byte),
        cmocka_unit_test(base64_decode_lenient__takes_what_clients_write),
        cmocka_unit_test(base64_decode_lenient__refuses_other_spellings),
        cmocka_unit_test(base64url_decode__refuses_all_but_one_spelling),
        cmocka_unit_test(base64url_decode__refuses_a_zero_byte),
        cmocka_unit_test(base64url_decode_exact__takes_one_length),
        cmocka_unit_test(hex_decode__takes_both_cases_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
