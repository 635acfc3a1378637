/* The reader of what jw has written: what comes back, and what is refused. */
#include "tests/unit/unit.h"

#include "shared/base/json.h"

static struct jr reader(const char *text)
{
    return jr_start(slice_text(text));
}

static void jr__gives_back_what_jw_wrote(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct name odd, back;

    (void)state;
    assert_ok(name_parse(slice_text("a\"b\\c \xc3\xb6"), &odd));
    struct jw w = jw_start(&text);
    jw_open(&w, NULL, '{');
    jw_text(&w, "name", name_slice(&odd));
    jw_int(&w, "least", INT64_MIN + 1);
    jw_int(&w, "most", INT64_MAX);
    jw_open(&w, "flags", '[');
    jw_text(&w, NULL, slice_text("one"));
    jw_text(&w, NULL, slice_text("two"));
    jw_close(&w, ']');
    jw_time(&w, "time", 1780000000);
    jw_text(&w, "empty", slice_text(""));
    jw_close(&w, '}');
    assert_ok(jw_end(&w));

    struct jr r = jr_start(buf_slice(&text));
    jr_open(&r, NULL, '{');
    assert_true(jr_is(&r, "name"));
    assert_false(jr_is(&r, "nam"));
    jr_name(&r, "name", &back);
    assert_true(slice_eq(name_slice(&odd), name_slice(&back)));
    assert_true(jr_int(&r, "least") == INT64_MIN + 1);
    assert_true(jr_int(&r, "most") == INT64_MAX);
    jr_open(&r, "flags", '[');
    assert_slice(jr_text(&r, NULL), "one");
    assert_slice(jr_text(&r, NULL), "two");
    jr_close(&r, ']');
    assert_int_equal(jr_time(&r, "time"), 1780000000);
    assert_int_equal(jr_text(&r, "empty").n, 0);
    jr_close(&r, '}');
    assert_ok(jr_end(&r));
}

/* Reads {"a":text,"b":int}. */
static enum rc read_two(const char *text)
{
    struct jr r = reader(text);
    jr_open(&r, NULL, '{');
    (void)jr_text(&r, "a");
    (void)jr_int(&r, "b");
    jr_close(&r, '}');
    return jr_end(&r);
}

static void jr__refuses_whatever_is_not_as_written(void **state)
{
    static const char good[] = "{\"a\":\"x\",\"b\":7}";
    static const char *const bad[] = {
        "{\"b\":7,\"a\":\"x\"}",    /* another order */
        "{\"a\":\"x\",\"c\":7}",    /* another name */
        "{\"a\":\"x\"\"b\":7}",     /* no comma */
        "{,\"a\":\"x\",\"b\":7}",   /* one too many */
        "{\"a\": \"x\",\"b\":7}",   /* a blank */
        "{\"a\":\"x\\n\",\"b\":7}", /* an escape */
        "{\"a\":1,\"b\":7}",        /* another kind */
        "{\"a\":\"x\",\"b\":\"7\"}", "{\"a\":\"x\",\"b\":07}",  "{\"a\":\"x\",\"b\":-}",
        "{\"a\":\"x\",\"b\":}",      "{\"a\":\"x\",\"b\":7.0}", "{\"a\":\"x\",\"b\":9223372036854775808}",
        "[\"a\":\"x\",\"b\":7}",
    };
    AUTO(buf_done) struct buf cut = {0};

    (void)state;
    assert_ok(read_two(good));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_rc(read_two(bad[i]), RC_MALFORMED);
    for (size_t n = 0; n + 1 < sizeof good; n++) {
        buf_done(&cut); /* memory of exactly this size, so that a sanitizer sees a read behind it */
        assert_ok(buf_add(&cut, slice_of(good, n)));
        assert_rc(read_two(buf_cstr(&cut)), RC_MALFORMED);
    }
}

static void jr__errors_stick(void **state)
{
    struct jr r = reader("{\"a\":\"x\",\"b\":7}");
    struct name name = {0};

    (void)state;
    jr_open(&r, NULL, '{');
    (void)jr_text(&r, "wrong");
    assert_int_equal(jr_text(&r, "a").n, 0);
    assert_int_equal(jr_int(&r, "b"), 0);
    assert_int_equal(jr_time(&r, "b"), 0);
    jr_name(&r, "a", &name);
    assert_int_equal(name.n, 0);
    assert_false(jr_is(&r, "a"));
    assert_rc(jr_end(&r), RC_MALFORMED);
}

static enum rc read_name(const char *text)
{
    struct jr r = reader(text);
    struct name name;
    jr_open(&r, NULL, '{');
    jr_name(&r, "n", &name);
    return jr_end(&r);
}

static void jr_name__refuses_what_is_no_name_in_its_one_spelling(void **state)
{
    AUTO(buf_done) struct buf text = {0};

    (void)state;
    assert_ok(read_name("{\"n\":\"alice\"}"));
    assert_rc(read_name("{\"n\":\"\"}"), RC_MALFORMED);
    assert_rc(read_name("{\"n\":\" alice\"}"), RC_MALFORMED);
    assert_rc(read_name("{\"n\":\"o\xcc\x88\"}"), RC_MALFORMED); /* not NFC */
    assert_rc(read_name("{\"n\":\"al\xff\"}"), RC_MALFORMED);
    assert_rc(read_name("{\"n\":\"alice"), RC_MALFORMED);
    assert_rc(read_name("{\"n\":\"alice\\"), RC_MALFORMED);
    assert_ok(buf_text(&text, "{\"n\":\""));
    for (int i = 0; i < 1000; i++)
        assert_ok(buf_byte(&text, 'a'));
    assert_ok(buf_text(&text, "\"}"));
    assert_rc(read_name(buf_cstr(&text)), RC_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jr__gives_back_what_jw_wrote),
        cmocka_unit_test(jr__refuses_whatever_is_not_as_written),
        cmocka_unit_test(jr__errors_stick),
        cmocka_unit_test(jr_name__refuses_what_is_no_name_in_its_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
