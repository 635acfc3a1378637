/* Which Origins may connect. */
#include "tests/unit/unit.h"

#include "chat/edge/internal.h"

static const char list[] = " http://Chat.example:8080/  https://kerb.example";

static bool allowed(const char *origin)
{
    return origin_is_allowed(list, slice_text(origin));
}

static void origin__in_the_list_is_allowed(void **state)
{
    (void)state;
    assert_true(allowed("http://chat.example:8080"));
    assert_true(allowed("https://kerb.example"));
}

static void origin__knows_no_case_and_no_slash_at_its_end(void **state)
{
    (void)state;
    assert_true(allowed("HTTP://CHAT.example:8080"));
    assert_true(allowed("http://chat.example:8080/"));
    assert_true(allowed("https://kerb.example/"));
}

static void origin__of_another_scheme_host_or_port_is_refused(void **state)
{
    static const char *const foreign[] = {
        "https://chat.example:8080",
        "http://chat.example",
        "http://chat.example:80801",
        "http://chat.example:808",
        "https://kerb.example:443",
        "https://kerb.example.evil",
        "https://evil",
        "https://kerb.exampl",
        "https://kerb.example//",
        "https://kerb.example/x",
        "null",
        "",
        "/",
        " ",
        "http://Chat.example:8080/  https://kerb.example",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        assert_false(allowed(foreign[i]));
}

static void empty_list__allows_no_origin(void **state)
{
    (void)state;
    assert_false(origin_is_allowed("", slice_text("http://chat.example")));
    assert_false(origin_is_allowed("", slice_text("")));
    assert_false(origin_is_allowed("  ", slice_text("/")));
    assert_false(origin_is_allowed("/", slice_text("/")));
}

static void list__of_anything_but_origins_is_refused(void **state)
{
    static const char *const bad[] = {"chat.example",
                                      "http://",
                                      "://chat.example",
                                      "http://chat.example/chat",
                                      "*",
                                      "https://kerb.example chat.example"};

    (void)state;
    assert_true(origins_are_well_formed(list));
    assert_true(origins_are_well_formed(""));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(origins_are_well_formed(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origin__in_the_list_is_allowed),
        cmocka_unit_test(origin__knows_no_case_and_no_slash_at_its_end),
        cmocka_unit_test(origin__of_another_scheme_host_or_port_is_refused),
        cmocka_unit_test(empty_list__allows_no_origin),
        cmocka_unit_test(list__of_anything_but_origins_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
