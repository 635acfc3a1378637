/* libkerb: which messages of who is online are handed to the program. */
#include "client/chat.h"
#include "tests/unit/unit.h"

static enum presence_use read_one(struct chat_presence *p, const char *text)
{
    AUTO(json_done) json_t *j = NULL;

    assert_ok(json_parse_object(slice_text(text), JSON_DEPTH_CHAT, &j));
    return presence_read(p, j);
}

static void presence__is_taken_in_its_order(void **state)
{
    struct chat_presence p = {0};

    (void)state;
    assert_int_equal(read_one(&p, "{\"state\":7,\"count\":1,\"users\":[\"a\"]}"), PRESENCE_TAKE);
    assert_int_equal(read_one(&p, "{\"from\":7,\"state\":9,\"count\":3}"), PRESENCE_TAKE);
    assert_int_equal(read_one(&p, "{\"from\":9,\"state\":9,\"count\":3,\"available\":[\"r\"]}"), PRESENCE_TAKE);
    assert_int_equal(read_one(&p, "{\"from\":9,\"state\":10,\"count\":3}"), PRESENCE_TAKE);
    assert_int_equal(read_one(&p, "{\"state\":2,\"count\":1}"), PRESENCE_TAKE); /* a whole one stands for itself */
    assert_int_equal(read_one(&p, "{\"from\":2,\"state\":3,\"count\":1}"), PRESENCE_TAKE);
}

static void presence__with_a_gap_is_asked_for_anew(void **state)
{
    static const char *const wrong[] = {
        "{\"from\":6,\"state\":8,\"count\":1}",
        "{\"from\":8,\"state\":9,\"count\":1}",
        "{\"from\":\"7\",\"state\":8,\"count\":1}",
        "{\"from\":7,\"count\":1}",
        "{\"from\":7,\"state\":\"8\"}",
        "{\"count\":1}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct chat_presence p = {.has_state = true, .state = 7};
        assert_int_equal(read_one(&p, wrong[i]), PRESENCE_ASK);
        assert_int_equal(p.state, 7);
    }
}

static void presence__of_before_the_whole_is_dropped(void **state)
{
    struct chat_presence p = {.state = 7};

    (void)state;
    assert_int_equal(read_one(&p, "{\"from\":7,\"state\":8,\"count\":1}"), PRESENCE_DROP);
    assert_int_equal(read_one(&p, "{\"state\":8,\"count\":1}"), PRESENCE_TAKE);
    assert_int_equal(read_one(&p, "{\"from\":8,\"state\":9,\"count\":1}"), PRESENCE_TAKE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence__is_taken_in_its_order),
        cmocka_unit_test(presence__with_a_gap_is_asked_for_anew),
        cmocka_unit_test(presence__of_before_the_whole_is_dropped),
    };

    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
