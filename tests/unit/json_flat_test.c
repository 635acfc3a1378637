/* The quick reader of flat objects: whatever it takes, Jansson takes, and reads the same. */
#include "shared/base/json_flat.h"

#include "shared/base/json.h"
#include "shared/crypto/primitives.h"
#include "tests/unit/unit.h"

static json_t *jansson(struct slice text)
{
    json_error_t error;
    return json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
}

/* True when the quick reader takes it. */
static bool agrees(struct slice text)
{
    json_t *quick = json_flat(text, 2);

    if (!quick)
        return false;
    json_t *slow = jansson(text);
    if (!slow || !json_equal(quick, slow))
        fail_msg("not what Jansson reads: %.*s", SLICE_FMT(text));
    json_decref(quick);
    json_decref(slow);
    return true;
}

static void flat__reads_what_requests_are(void **state)
{
    static const char *const good[] = {
        "{}",
        " {\t}\r\n",
        "{\"v\": 1, \"tgt\": \"AQEAAAAB-_\", \"authenticator\": \"x\", \"body\": \"\"}",
        "{\"v\":1,\"more\":{\"a\":\"b\"}}",
        "{\n  \"user_name\" : \"alice\",\n  \"timestamp\" : \"2026-11-20 10:00:00\"\n}\n",
        "{\"a\":true,\"b\":false,\"c\":null,\"d\":0,\"e\":-0,\"f\":-17,\"g\":999999999999999999}",
        "{\"\":\"empty names are names\"}",
        "{\"a\":[],\"b\":[ ],\"c\":[\"one\"],\"d\" : [ \"one\" , \"\" ] }",
        "{\"text\":\"all of !#$%&'()*+,-./:;<=>?@[]^_`{|}~\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (i != 3) /* nested: Jansson's */
            assert_true(agrees(slice_text(good[i])));
    assert_false(agrees(slice_text(good[3])));
}

static void flat__leaves_the_rest_to_jansson(void **state)
{
    static const char *const other[] = {
        "",
        "{",
        "}",
        "[]",
        "\"x\"",
        "{}x",
        "{} {}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":1",
        "{\"a\":\"x",
        "{\"a\":\"x\\n\"}",
        "{\"a\\u0062\":1}",
        "{\"a\":\"\xc3\xa9\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\x1f\"}",
        "{\"a\":\"\x7f\x80\"}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":1.5}",
        "{\"a\":1e3}",
        "{\"a\":1000000000000000000}",
        "{\"a\":99999999999999999999}",
        "{\"a\":tru}",
        "{\"a\":trueish}",
        "{\"a\":[1]}",
        "{\"a\":[\"b\",]}",
        "{\"a\":[,\"b\"]}",
        "{\"a\":[\"b\" \"c\"]}",
        "{\"a\":[\"b\"}",
        "{\"a\":[\"b\"",
        "{\"a\":[",
        "{\"a\":[[\"b\"]]}",
        "{\"a\":[\"\xc3\xa9\"]}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"twice\",\"b\":1,\"a\":\"twice\"}",
        "\xef\xbb\xbf{}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        assert_null(json_flat(slice_text(other[i]), 2));
    assert_null(json_flat(slice_of("{}\0", 3), 2));
    assert_null(json_flat(slice_of("{\"a\":\"x\0y\"}", 11), 2));
}

static void flat__reads_every_cut_of_a_text_as_jansson_does(void **state)
{
    static const char text[] = "{\"service\":\"chat\", \"nonce\":\"AAECAwQF\",\"lifetime_s\":-60, \"x\" : null, "
                               "\"y\":true, \"z\":[\"a\", \"b\"]}";

    (void)state;
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_false(agrees(slice_of(text, n)));
    assert_true(agrees(slice_of(text, sizeof text - 1)));
}

/* Whatever is changed in it, at every place. */
static void flat__never_takes_what_jansson_refuses(void **state)
{
    static const char text[] =
        "{\"a_longer_name\":\"a longer text than eight\",\"n\":-120, \"t\":true,\"u\":null,\"l\":[\"a\",\"bc\"]}";
    static const char letters[] = "{}[]\",:\\ \t\n\x01\x1f\x7f\x80\xc3\xa9\xff"
                                  "0179-+.eEtrufalsn/u";
    uint8_t copy[sizeof text - 1];
    unsigned taken = 0;

    (void)state;
    for (size_t i = 0; i < sizeof copy; i++) {
        for (size_t j = 0; j < sizeof letters; j++) { /* the zero byte, too */
            memcpy(copy, text, sizeof copy);
            copy[i] = (uint8_t)letters[j];
            taken += agrees(SLICE(copy));
        }
    }
    assert_true(taken > 500);
}

static void flat__never_takes_what_jansson_refuses_by_chance(void **state)
{
    static const char letters[] = "{}{}\"\"\"\"::,,  abtruefalsnul0123456789-\\\xc3";
    uint8_t random[24], made[24];
    unsigned taken = 0;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        assert_ok(random_bytes(random, sizeof random));
        size_t n = 2 + random[0] % (sizeof made - 2);
        for (size_t j = 0; j < n; j++)
            made[j] = (uint8_t)letters[random[j] % (sizeof letters - 1)];
        made[0] = '{';
        made[n - 1] = '}';
        taken += agrees(slice_of(made, n));
    }
    assert_true(taken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat__reads_what_requests_are),
        cmocka_unit_test(flat__leaves_the_rest_to_jansson),
        cmocka_unit_test(flat__reads_every_cut_of_a_text_as_jansson_does),
        cmocka_unit_test(flat__never_takes_what_jansson_refuses),
        cmocka_unit_test(flat__never_takes_what_jansson_refuses_by_chance),
    };
    json_setup();
    if (crypto_setup() != RC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
