/* Forms and JSON objects as parameters. */
#include "shared/service/params.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static void expect(const char *body, const char *name, const char *value)
{
    AUTO(params_done) struct params p = {0};
    struct slice got;

    assert_ok(params_parse(slice_text(body), &p));
    assert_ok(params_text(&p, name, 4096, &got));
    assert_slice(got, value);
}

static void params_parse__reads_forms_and_json(void **state)
{
    static const struct {
        const char *body, *name, *value;
    } good[] = {
        {"login=alice&encrypted=x",                "login",     "alice"        },
        {"login=alice&encrypted=x",                "encrypted", "x"            },
        {"encrypted=ab+/c==",                      "encrypted", "ab /c=="      }, /* raw base64: '+' is a space, the second '=' is value */
        {"encrypted=+bc",                          "encrypted", " bc"          }, /* nothing is trimmed */
        {"a=%2B%3d%26",                            "a",         "+=&"          },
        {"na%6De=v",                               "name",      "v"            },
        {"login=J\xC3\xBCrgen",                    "login",     "J\xC3\xBCrgen"},
        {"a&b=1",                                  "a",         ""             },
        {"a=1&",                                   "a",         "1"            },
        {"&&a=1",                                  "a",         "1"            },
        {"{\"login\": \"alice\", \"n\": 5}",       "login",     "alice"        },
        {" \r\n\t{\"login\":\"a\\u00fc\"}",        "login",     "a\xC3\xBC"    },
        {"{\"extra\":{\"x\":[1]},\"login\":\"\"}", "login",     ""             },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        expect(good[i].body, good[i].name, good[i].value);
}

static void params_parse__refuses(void **state)
{
    static const char *const bad[] = {
        "a=%",
        "a=%4",
        "a=%zz",
        "a=%4g",
        "a=1%00",
        "%00=1",
        "a=1&a=2",
        "a=1&%61=2",
        "=1",
        "a=1&=2",
        "{",
        "{\"a\":\"1\",\"a\":\"2\"}",
        "{\"a\":\"1\"}x",
        "{\"a\":\"\xFF\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":1}}}}}}}}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(params_done) struct params p = {0};
        assert_rc(params_parse(slice_text(bad[i]), &p), RC_MALFORMED);
    }
}

static void params_parse__refuses_a_zero_byte(void **state)
{
    AUTO(params_done) struct params p = {0};

    (void)state;
    assert_rc(params_parse(slice_of("a=b\0c", 5), &p), RC_MALFORMED);
}

static void params_parse__refuses_one_parameter_too_many(void **state)
{
    AUTO(buf_done) struct buf body = {0};

    (void)state;
    for (int i = 0; i < PARAMS_MAX; i++)
        assert_ok(buf_printf(&body, "p%d=1&", i));
    AUTO(params_done) struct params fits = {0};
    assert_ok(params_parse(buf_slice(&body), &fits));
    assert_int_equal(fits.n, PARAMS_MAX);
    assert_ok(buf_text(&body, "one=more"));
    AUTO(params_done) struct params more = {0};
    assert_rc(params_parse(buf_slice(&body), &more), RC_MALFORMED);
}

static void params_text__refuses(void **state)
{
    static const struct {
        const char *body, *name;
        size_t max;
    } bad[] = {
        {"a=1",               "b", 10},
        {"",                  "a", 10},
        {"a=12345",           "a", 4 },
        {"{\"a\":1}",         "a", 10},
        {"{\"a\":null}",      "a", 10},
        {"{}",                "a", 10},
        {"{\"a\":\"12345\"}", "a", 4 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(params_done) struct params p = {0};
        struct slice got;
        assert_ok(params_parse(slice_text(bad[i].body), &p));
        assert_rc(params_text(&p, bad[i].name, bad[i].max, &got), RC_MALFORMED);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_parse__reads_forms_and_json),
        cmocka_unit_test(params_parse__refuses),
        cmocka_unit_test(params_parse__refuses_a_zero_byte),
        cmocka_unit_test(params_parse__refuses_one_parameter_too_many),
        cmocka_unit_test(params_text__refuses),
    };

    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
