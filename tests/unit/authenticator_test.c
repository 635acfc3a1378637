/* The classic authenticator and the skew. */
#include "shared/ticket/authenticator.h"

#include <string.h>

#include "shared/base/json.h"
#include "tests/unit/unit.h"

static const uint8_t key[BOX_KEY] = "sixteen letters";

static enum rc open_text(const char *text, struct authenticator *ret)
{
    AUTO(buf_done) struct buf wire = {0};

    assert_ok(box_seal(key, slice_text(text), &wire));
    return authenticator_open(key, buf_slice(&wire), ret);
}

static void authenticator_open__reads_name_and_time(void **state)
{
    (void)state;
    struct authenticator a = {0};

    assert_ok(open_text("{\"user_name\": \"alice\", \"timestamp\": \"2015-05-23 09:44:47\", \"more\": 1}", &a));
    assert_slice(name_slice(&a.client), "alice");
    assert_int_equal(a.time_s, 1432374287);
}

static void authenticator_open__brings_the_name_to_its_one_spelling(void **state)
{
    (void)state;
    struct authenticator a = {0};

    assert_ok(open_text("{\"user_name\": \"Zoe\\u0308\", \"timestamp\": \"2015-05-23 09:44:47\"}", &a));
    assert_slice(name_slice(&a.client), "Zo\xC3\xAB");
}

static void authenticator_open__refuses_what_is_no_authenticator(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "text",
        "{\"user_name\": \"alice\"}",
        "{\"timestamp\": \"2015-05-23 09:44:47\"}",
        "{\"user_name\": \"\", \"timestamp\": \"2015-05-23 09:44:47\"}",
        "{\"user_name\": 1, \"timestamp\": \"2015-05-23 09:44:47\"}",
        "{\"user_name\": \"alice\", \"timestamp\": 1432374287}",
        "{\"user_name\": \"alice\", \"timestamp\": \"2015-05-23T09:44:47\"}",
        "{\"user_name\": \"alice\", \"timestamp\": \"2015-02-29 09:44:47\"}",
        "{\"user_name\": \"alice\", \"user_name\": \"bob\", \"timestamp\": \"2015-05-23 09:44:47\"}",
        "{\"user_name\": \"alice\", \"timestamp\": \"2015-05-23 09:44:47\", \"x\":[[[[[[[[1]]]]]]]]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct authenticator a = {.time_s = -1};
        assert_rc(open_text(texts[i], &a), RC_MODIFIED);
        assert_int_equal(a.time_s, -1);
    }
}

static void authenticator_open__refuses_another_key(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf wire = {0};
    struct authenticator a = {0};
    const uint8_t other[BOX_KEY] = "sixteen signs..";

    assert_ok(box_seal(key, slice_text("{\"user_name\":\"alice\",\"timestamp\":\"2015-05-23 09:44:47\"}"), &wire));
    assert_ok(authenticator_open(key, buf_slice(&wire), &a));
    assert_rc(authenticator_open(other, buf_slice(&wire), &a), RC_MODIFIED);
    assert_rc(authenticator_open(key, slice_text("not base64!"), &a), RC_MODIFIED);
    assert_rc(authenticator_open(key, slice_text(""), &a), RC_MODIFIED);
}

static void skew_check__knows_both_ends(void **state)
{
    (void)state;
    const struct skew skew = {.behind_s = 600, .ahead_s = 50400};

    assert_ok(skew_check(&skew, 10000 - 600, 10000));
    assert_rc(skew_check(&skew, 10000 - 601, 10000), RC_SKEW);
    assert_ok(skew_check(&skew, 10000 + 50400, 10000));
    assert_rc(skew_check(&skew, 10000 + 50401, 10000), RC_SKEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authenticator_open__reads_name_and_time),
        cmocka_unit_test(authenticator_open__brings_the_name_to_its_one_spelling),
        cmocka_unit_test(authenticator_open__refuses_what_is_no_authenticator),
        cmocka_unit_test(authenticator_open__refuses_another_key),
        cmocka_unit_test(skew_check__knows_both_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
