/* JSON: what the strict door refuses, and what the writer writes. */
#include "shared/base/json.h"

#include "tests/unit/unit.h"

static enum rc parse_depth(struct slice text, int depth)
{
    AUTO(json_done) json_t *j = NULL;
    enum rc rc = json_parse_object(text, depth, &j);
    assert_int_equal(rc == RC_OK, j != NULL);
    return rc;
}

static void json_parse_object__takes_an_object(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        " { } ",
        "{\n  \"a\" : 1\n}\n",
        "{\"a\":{\"a\":1}}",
        "{\"a\":\"\\u0412\\/\"}",
        "{\"\":null}",
        "{\"a\":\"[[[[[[[[[[{{{{{{\\\"[[[[[\"}",
        "{\"a\":\"\\ud83d\\udd11\"}",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_ok(parse_depth(slice_text(good[i]), JSON_DEPTH_HTTP));
}

static void json_parse_object__refuses_the_rest(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        " ",
        "1",
        "null",
        "\"text\"",
        "[]",
        "[{}]",
        "{",
        "{}x",
        "{}{}",
        "{}\v",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"b\":{\"a\":1,\"a\":1}}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xFF\"}",
        "{\"a\":\"\xC0\x80\"}",
        "{\"a\":\"\xED\xA0\x80\"}",
        "{\"a\":9223372036854775808}",
        "\xEF\xBB\xBF{}",
        "/**/{}",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (parse_depth(slice_text(wrong[i]), JSON_DEPTH_HTTP) != RC_MALFORMED)
            fail_msg("'%s' is read", wrong[i]);
    assert_rc(parse_depth(slice_of("{}\0", 3), JSON_DEPTH_HTTP), RC_MALFORMED);
    assert_rc(parse_depth(slice_of("{\"a\":\"\0\"}", 9), JSON_DEPTH_HTTP), RC_MALFORMED);
}

/* An object that is `depth` deep. */
static enum rc parse_deep(int depth, int max_depth)
{
    AUTO(buf_done) struct buf b = {0};

    assert_ok(buf_text(&b, "{\"a\":"));
    for (int i = 1; i < depth; i++)
        assert_ok(buf_byte(&b, '['));
    for (int i = 1; i < depth; i++)
        assert_ok(buf_byte(&b, ']'));
    if (depth == 1)
        assert_ok(buf_byte(&b, '1'));
    assert_ok(buf_byte(&b, '}'));
    return parse_depth(buf_slice(&b), max_depth);
}

static void json_parse_object__counts_the_depth(void **state)
{
    (void)state;
    assert_ok(parse_deep(8, JSON_DEPTH_HTTP));
    assert_rc(parse_deep(9, JSON_DEPTH_HTTP), RC_MALFORMED);
    assert_ok(parse_deep(16, JSON_DEPTH_CHAT));
    assert_rc(parse_deep(17, JSON_DEPTH_CHAT), RC_MALFORMED);
    assert_rc(parse_deep(100000, JSON_DEPTH_CHAT), RC_MALFORMED);
    assert_ok(parse_deep(1, 1));
}

static void json_get__reads_the_right_kind_only(void **state)
{
    (void)state;
    AUTO(json_done) json_t *j = NULL;
    const char *text =
        "{\"t\":\"x\",\"i\":-7,\"r\":1.0,\"n\":null,\"b\":true,\"time\":\"2015-05-23 09:44:47\",\"l\":[1]}";
    struct slice s;
    int64_t v = 0;

    assert_ok(json_parse_object(slice_text(text), JSON_DEPTH_HTTP, &j));
    assert_ok(json_get_text(j, "t", &s));
    assert_slice(s, "x");
    assert_ok(json_get_int(j, "i", &v));
    assert_int_equal(v, -7);
    assert_ok(json_get_time(j, "time", &v));
    assert_int_equal(v, 1432374287);
    static const char *const not_text[] = {"i", "r", "n", "b", "l", "none"};
    for (size_t i = 0; i < ARRAY_LEN(not_text); i++)
        assert_rc(json_get_text(j, not_text[i], &s), RC_MALFORMED);
    static const char *const not_int[] = {"t", "r", "n", "b", "l", "none"};
    for (size_t i = 0; i < ARRAY_LEN(not_int); i++)
        assert_rc(json_get_int(j, not_int[i], &v), RC_MALFORMED);
    assert_rc(json_get_time(j, "t", &v), RC_MALFORMED);
    assert_rc(json_get_time(j, "i", &v), RC_MALFORMED);
}

static void jw__writes_every_kind(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf out = {0};
    struct jw w = jw_start(&out);
    static const uint8_t bytes[] = {0xFB, 0xFF};

    jw_open(&w, NULL, '{');
    jw_text(&w, "t", slice_text("x"));
    jw_int(&w, "i", INT64_MIN);
    jw_bool(&w, "y", true);
    jw_bool(&w, "n", false);
    jw_base64(&w, "b", SLICE(bytes));
    jw_base64url(&w, "u", SLICE(bytes));
    jw_time(&w, "time", 0);
    jw_plain(&w, "plain", slice_text("AQEAAA-_"));
    jw_raw(&w, "raw", slice_text("{\"a\":[]}"));
    jw_open(&w, "empty", '[');
    jw_close(&w, ']');
    jw_open(&w, "list", '[');
    jw_int(&w, NULL, 1);
    jw_open(&w, NULL, '{');
    jw_close(&w, '}');
    jw_text(&w, NULL, slice_text(""));
    jw_close(&w, ']');
    jw_int(&w, "last", 2);
    jw_close(&w, '}');
    assert_ok(jw_end(&w));
    assert_slice(
        buf_slice(&out),
        "{\"t\":\"x\",\"i\":-9223372036854775808,\"y\":true,\"n\":false,\"b\":\"+/8=\","
        "\"u\":\"-_8\",\"time\":\"1970-01-01 00:00:00\",\"plain\":\"AQEAAA-_\",\"raw\":{\"a\":[]},\"empty\":[],"
        "\"list\":[1,{},\"\"],\"last\":2}");
    assert_ok(parse_depth(buf_slice(&out), JSON_DEPTH_HTTP));
}

static void jw_text__every_character_comes_back(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf out = {0}, text = {0};
    AUTO(json_done) json_t *j = NULL;
    struct slice got;

    for (int c = 1; c < 0x80; c++)
        assert_ok(buf_byte(&text, (uint8_t)c));
    assert_ok(buf_text(&text, "\xC2\x80Вася\xE2\x80\xA8\xF0\x9F\x94\x91"));
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "te\"xt", buf_slice(&text));
    jw_close(&w, '}');
    assert_ok(jw_end(&w));
    for (size_t i = 0; i < out.n; i++)
        assert_true(out.p[i] >= 0x20);
    assert_ok(json_parse_object(buf_slice(&out), 1, &j));
    assert_ok(json_get_text(j, "te\"xt", &got));
    assert_true(slice_eq(got, buf_slice(&text)));
}

/* Texts are looked through in blocks: each place of a block, and what begins like a control but is none. */
static void jw_text__escapes_in_every_place(void **state)
{
    static const uint8_t special[] = {'"', '\\', 0x01, 0x1F};

    (void)state;
    for (size_t at = 0; at < 20; at++) {
        for (size_t i = 0; i < sizeof special; i++) {
            AUTO(buf_done) struct buf out = {0};
            uint8_t text[20] = "!#[] \x7F!#[] !#[] !#[]";
            text[at] = special[i];
            struct jw w = jw_start(&out);
            jw_text(&w, NULL, SLICE(text));
            assert_ok(jw_end(&w));
            assert_int_equal(out.n, sizeof text + 2 + (special[i] < 0x20 ? 5 : 1));
            assert_int_equal(out.p[1 + at], '\\');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_parse_object__takes_an_object),
        cmocka_unit_test(json_parse_object__refuses_the_rest),
        cmocka_unit_test(json_parse_object__counts_the_depth),
        cmocka_unit_test(json_get__reads_the_right_kind_only),
        cmocka_unit_test(jw__writes_every_kind),
        cmocka_unit_test(jw_text__every_character_comes_back),
        cmocka_unit_test(jw_text__escapes_in_every_place),
    };

    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
