/* The admin service: each operation, and that only administrators of now may. */
#include "tests/unit/unit.h"

#include "tests/unit/as_service.h"

static struct as_keys root;

static int begin(void **state)
{
    struct name name = named("root");

    start_services(state);
    root = both_keys(600000);
    add_keys("root", &root);
    assert_ok(as_store_set_admin(store, &name, true));
    hold_ticket("root", AS_ADMIN_NAME);
    return 0;
}

static enum rc call(const char *op, json_t **ret)
{
    AUTO(buf_done) struct buf ticket_text = {0};

    get_challenge(&ticket_text);
    return audited.rc == RC_NO_CHALLENGE ? send_op(&ticket_text, op, ret) : audited.rc;
}

/* Does it, and expects that it is done. */
static json_t *done(const char *op)
{
    json_t *answer = NULL;
    assert_ok(call(op, &answer));
    assert_true(is_ok(answer));
    assert_string_equal(audited.kind, "admin");
    assert_string_equal(audited.client, "root");
    assert_string_equal(audited.refusal, "");
    return answer;
}

static void does(const char *op)
{
    json_t *answer = done(op);
    json_done(&answer);
}

static void refuses(const char *op, const char *code)
{
    AUTO(json_done) json_t *answer = NULL;
    assert_ok(call(op, &answer));
    assert_false(is_ok(answer));
    assert_slice(member(answer, "code"), code);
    assert_string_equal(audited.refusal, code);
}

static enum rc fails(const char *op)
{
    AUTO(json_done) json_t *answer = NULL;
    return call(op, &answer);
}

static enum rc item_text(void *ctx, const struct as_feed_item *item)
{
    return buf_printf(ctx, "%s %.*s;", feed_kind_name(item->kind), SLICE_FMT(item->text));
}

static void assert_feed(const char *want)
{
    AUTO(buf_done) struct buf seen = {0};
    int64_t seq;
    assert_ok(as_store_feed(store, 0, 100, NOW, item_text, &seen, &seq));
    assert_slice(buf_slice(&seen), want);
}

static void nobody_but_an_administrator__gets_anything(void **state)
{
    struct name name = named("root");

    (void)state;
    hold_ticket("alice", AS_ADMIN_NAME);
    assert_rc(fails("{\"op\":\"user_list\"}"), RC_NOT_ADMIN);
    assert_string_equal(audited.client, "alice");
    assert_string_equal(audited.what, "user_list");
    assert_rc(fails("{\"op\":\"nothing\"}"), RC_NOT_ADMIN);
    assert_string_equal(rc_wire(RC_NOT_ADMIN), "KDC_ERR_POLICY");

    hold_ticket("root", AS_ADMIN_NAME);
    does("{\"op\":\"user_list\"}");
    assert_ok(as_store_set_admin(store, &name, false)); /* the flag counts as it is now */
    assert_rc(fails("{\"op\":\"user_list\"}"), RC_NOT_ADMIN);
    assert_ok(as_store_set_admin(store, &name, true));
    assert_ok(as_store_cut_off(store, &name, NOW));
    assert_rc(fails("{\"op\":\"user_list\"}"), RC_CUT_OFF);
}

static void user_add__makes_a_user_who_needs_the_code(void **state)
{
    struct onecode code;
    uint8_t id[ONECODE_ID_LEN];
    struct as_code about;
    struct key key;

    (void)state;
    AUTO(json_done) json_t *answer = done("{\"op\":\"user_add\",\"name\":\"bob\"}");
    assert_int_equal(found("bob").profiles, 0);
    assert_false(found("bob").is_admin);
    assert_ok(onecode_read(member(answer, "onecode"), &code));
    assert_int_equal(number(answer, "expires"), NOW + 3600);
    assert_ok(onecode_id(&code, id));
    assert_ok(as_store_code_find(store, id, NOW, &about, &key));
    assert_int_equal(about.kind, AS_CODE_RESET);
    assert_slice(name_slice(&about.name), "bob");
    assert_string_equal(audited.what, "user_add");
    assert_string_equal(audited.target, "bob");
    refuses("{\"op\":\"user_add\",\"name\":\"BOB\"}", "exists");
    assert_rc(fails("{\"op\":\"user_add\",\"name\":\" x\"}"), RC_MALFORMED);
    assert_rc(fails("{\"op\":\"user_add\"}"), RC_MALFORMED);
}

static void codes__are_made_for_resets_and_invitations(void **state)
{
    struct onecode code;

    (void)state;
    AUTO(json_done) json_t *reset = done("{\"op\":\"user_reset\",\"name\":\"alice\"}");
    assert_ok(onecode_read(member(reset, "onecode"), &code));
    AUTO(json_done) json_t *any = done("{\"op\":\"invite\"}");
    assert_ok(onecode_read(member(any, "onecode"), &code));
    does("{\"op\":\"invite\",\"name\":\"carol\"}");
    assert_string_equal(audited.target, "carol");
    refuses("{\"op\":\"invite\",\"name\":\"alice\"}", "exists");
    refuses("{\"op\":\"user_reset\",\"name\":\"nobody\"}", "not_found");
    assert_int_equal(found("alice").profiles, PROFILE_SEALED | PROFILE_CLASSIC); /* until the code is used */
}

/* Who has found an administrator's ticket cannot make it a password, nor another administrator. */
static void taking_over__needs_a_login_of_the_last_minutes(void **state)
{
    (void)state;
    refuses("{\"op\":\"user_reset\",\"name\":\"root\"}", "not_oneself");
    ticket.auth_time = NOW - 900;
    does("{\"op\":\"user_reset\",\"name\":\"alice\"}");
    ticket.auth_time = NOW - 901;
    refuses("{\"op\":\"user_reset\",\"name\":\"alice\"}", "old_login");
    refuses("{\"op\":\"admin_grant\",\"name\":\"alice\"}", "old_login");
    refuses("{\"op\":\"user_del\",\"name\":\"alice\"}", "old_login"); /* or her name would be anybody's */
    assert_false(found("alice").is_admin);
    does("{\"op\":\"user_cut_off\",\"name\":\"alice\"}");
    does("{\"op\":\"user_list\"}");
}

static void users__are_disabled_enabled_cut_off_and_deleted(void **state)
{
    struct as_principal p;
    struct name name = named("alice");

    (void)state;
    does("{\"op\":\"user_disable\",\"name\":\"alice\"}");
    assert_true(found("alice").disabled);
    does("{\"op\":\"user_enable\",\"name\":\"alice\"}");
    assert_false(found("alice").disabled);
    does("{\"op\":\"user_cut_off\",\"name\":\"alice\"}");
    assert_int_equal(found("alice").epoch, 2);
    does("{\"op\":\"user_profiles\",\"name\":\"alice\",\"profiles\":\"sealed\"}");
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
    refuses("{\"op\":\"user_profiles\",\"name\":\"alice\",\"profiles\":\"classic\"}", "no_key");
    assert_rc(fails("{\"op\":\"user_profiles\",\"name\":\"alice\",\"profiles\":\"none\"}"), RC_MALFORMED);
    does("{\"op\":\"user_del\",\"name\":\"alice\"}");
    assert_rc(as_store_find(store, &name, &p), RC_NO_CLIENT);
    assert_feed("epoch ;epoch ;epoch ;epoch ;");
    refuses("{\"op\":\"user_del\",\"name\":\"alice\"}", "not_found");
    refuses("{\"op\":\"user_disable\",\"name\":\"alice\"}", "not_found");
    refuses("{\"op\":\"user_cut_off\",\"name\":\"alice\"}", "not_found");
}

static void admin_flag__is_granted_and_revoked(void **state)
{
    (void)state;
    does("{\"op\":\"admin_grant\",\"name\":\"alice\"}");
    assert_true(found("alice").is_admin);
    assert_string_equal(audited.target, "alice");
    does("{\"op\":\"admin_revoke\",\"name\":\"alice\"}");
    assert_false(found("alice").is_admin);
    refuses("{\"op\":\"admin_grant\",\"name\":\"nobody\"}", "not_found");
}

static char unlocked[16];

static void unlock(void *ctx, const struct name *user)
{
    (void)ctx;
    keep(unlocked, sizeof unlocked, name_slice(user));
}

static void unlock__goes_to_whoever_counts(void **state)
{
    (void)state;
    refuses("{\"op\":\"user_unlock\",\"name\":\"alice\"}", "unavailable");
    env.unlock = unlock;
    refuses("{\"op\":\"user_unlock\",\"name\":\"nobody\"}", "not_found");
    assert_string_equal(unlocked, "");
    does("{\"op\":\"user_unlock\",\"name\":\"alice\"}");
    assert_string_equal(unlocked, "alice");
}

static void users__are_listed_in_parts_and_shown(void **state)
{
    (void)state;
    AUTO(json_done) json_t *all = done("{\"op\":\"user_list\"}");
    assert_int_equal(json_array_size(json_object_get(all, "users")), 2);
    assert_true(json_is_false(json_object_get(all, "more")));
    AUTO(json_done) json_t *first = done("{\"op\":\"user_list\",\"limit\":1}");
    const json_t *user = json_array_get(json_object_get(first, "users"), 0);
    assert_slice(member(user, "name"), "alice");
    assert_true(json_is_true(json_object_get(first, "more")));
    AUTO(json_done) json_t *rest = done("{\"op\":\"user_list\",\"limit\":1,\"after\":\"alice\"}");
    assert_slice(member(json_array_get(json_object_get(rest, "users"), 0), "name"), "root");
    assert_true(json_is_false(json_object_get(rest, "more")));
    AUTO(json_done) json_t *prefix = done("{\"op\":\"user_list\",\"prefix\":\"ro\"}");
    assert_int_equal(json_array_size(json_object_get(prefix, "users")), 1);
    assert_rc(fails("{\"op\":\"user_list\",\"limit\":0}"), RC_MALFORMED);
    assert_rc(fails("{\"op\":\"user_list\",\"limit\":201}"), RC_MALFORMED);
    assert_rc(fails("{\"op\":\"user_list\",\"prefix\":1}"), RC_MALFORMED);

    AUTO(json_done) json_t *shown = done("{\"op\":\"user_show\",\"name\":\"root\"}");
    assert_true(json_is_true(json_object_get(json_object_get(shown, "user"), "admin")));
    refuses("{\"op\":\"user_show\",\"name\":\"nobody\"}", "not_found");
}

static void orders__go_into_the_feed(void **state)
{
    (void)state;
    does("{\"op\":\"chat_kick\",\"user\":\"alice\"}");
    does("{\"op\":\"chat_notice\",\"text\":\"at noon\"}");
    does("{\"op\":\"drain\",\"daemon\":\"chat\"}");
    does("{\"op\":\"shutdown\",\"daemon\":\"tgs\"}");
    assert_string_equal(audited.target, "tgs");
    does("{\"op\":\"service_rotate\",\"name\":\"chat\"}");
    AUTO(json_done) json_t *rotated = done("{\"op\":\"tgs_rotate\"}");
    assert_int_equal(number(rotated, "kvno"), 4);
    assert_int_equal(number(rotated, "key_from"), NOW + 60);
    does("{\"op\":\"service_rotate\",\"name\":\"tgs\"}");
    assert_feed("kick ;notice at noon;drain chat;shutdown tgs;rotate chat;rotate tgs;rotate tgs;");
    refuses("{\"op\":\"chat_kick\",\"user\":\"nobody\"}", "not_found");
    assert_rc(fails("{\"op\":\"chat_notice\",\"text\":\"\"}"), RC_MALFORMED);
    assert_rc(fails("{\"op\":\"drain\",\"daemon\":\"nginx\"}"), RC_MALFORMED);
    refuses("{\"op\":\"service_rotate\",\"name\":\"kerb/admin\"}", "unavailable"); /* nobody would bring us the key */
    refuses("{\"op\":\"service_rotate\",\"name\":\"kerb/changepw\"}", "unavailable");
    refuses("{\"op\":\"service_list\"}", "unavailable");
    refuses("{\"op\":\"format_disk\"}", "unknown_op");
}

static int stopped;

static void stop_us(bool at_once)
{
    stopped = at_once ? 2 : 1;
}

static void as__stops_itself(void **state)
{
    (void)state;
    refuses("{\"op\":\"drain\",\"daemon\":\"as\"}", "unavailable");
    env.stop = stop_us;
    does("{\"op\":\"drain\",\"daemon\":\"as\"}");
    assert_int_equal(stopped, 1);
    does("{\"op\":\"shutdown\",\"daemon\":\"as\"}");
    assert_int_equal(stopped, 2);
    assert_feed("");
}

static void notice__is_bounded(void **state)
{
    AUTO(buf_done) struct buf op = {0};

    (void)state;
    assert_ok(buf_text(&op, "{\"op\":\"chat_notice\",\"text\":\""));
    for (int i = 0; i < FEED_TEXT_MAX + 1; i++)
        assert_ok(buf_byte(&op, 'x'));
    assert_ok(buf_text(&op, "\"}"));
    refuses(buf_cstr(&op), "limit");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, stop_services)
    const struct CMUnitTest tests[] = {
        TEST(nobody_but_an_administrator__gets_anything),
        TEST(user_add__makes_a_user_who_needs_the_code),
        TEST(codes__are_made_for_resets_and_invitations),
        TEST(taking_over__needs_a_login_of_the_last_minutes),
        TEST(users__are_disabled_enabled_cut_off_and_deleted),
        TEST(admin_flag__is_granted_and_revoked),
        TEST(unlock__goes_to_whoever_counts),
        TEST(users__are_listed_in_parts_and_shown),
        TEST(orders__go_into_the_feed),
        TEST(as__stops_itself),
        TEST(notice__is_bounded),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
