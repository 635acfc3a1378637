/* Registration: with and without a code, and every way to be refused. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "as/register.h"
#include "tests/unit/as_world.h"

static struct pool writers;
static struct as_store *writer;
static struct as_keys fresh;
static struct onecode code;
static struct {
    const char *name, *bound_name, *bound_server;
    enum label label;
    bool with_code, plain_keys;
    long long iterations;
} ask;
static char error_code[32];

static int begin(void **state)
{
    start(state);
    assert_ok(as_store_open(&conf, DB_WRITE, &writer));
    pool_init(&writers);
    pool_put(&writers, writer);
    env.writers = &writers;
    fresh = both_keys(600000);
    memset(&ask, 0, sizeof ask);
    ask.name = ask.bound_name = "bob";
    ask.bound_server = AS_REGISTER_NAME;
    ask.label = LABEL_NEW_KEYS;
    ask.iterations = 600000;
    return 0;
}

static int end(void **state)
{
    assert_ptr_equal(pool_drain(&writers), writer);
    pool_done(&writers);
    as_store_close(writer);
    return stop(state);
}

static void realm_takes(const char *word)
{
    memcpy(conf.realm_registration, word, strlen(word) + 1);
}

static void make_code(enum as_code_kind kind, const char *text)
{
    struct name name;

    if (text)
        name = named(text);
    assert_ok(as_store_code_make(store, kind, text ? &name : NULL, NOW, &code));
    ask.with_code = true;
}

static void make_body(struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0};
    uint8_t id[ONECODE_ID_LEN];

    assert_ok(onecode_id(&code, id));
    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_text(&w, "name", slice_text(ask.name));
    jw_text(&w, "nonce", slice_text(NONCE));
    if (ask.with_code)
        jw_base64url(&w, "code_id", SLICE(id));
    jw_close(&w, '}');
    assert_ok(jw_end(&w));
    assert_ok(base64url_encode(buf_slice(&plain), out));
}

static void make_keys(const struct buf *body, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, context = {0};
    struct key key;

    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_base64url(&w, "salt", SLICE(fresh.params.salt));
    jw_int(&w, "iterations", ask.iterations);
    jw_base64url(&w, "key", key_slice(&fresh.sealed));
    jw_base64url(&w, "classic", key_slice(&fresh.classic));
    jw_close(&w, '}');
    assert_ok(jw_end(&w));
    if (!ask.with_code || ask.plain_keys) {
        assert_ok(base64url_encode(buf_slice(&plain), out));
        return;
    }
    assert_ok(onecode_key(&code, &key));
    context_of(&context, body, NULL, NULL);
    struct bound b = {conf.realm_name, ask.bound_name, ask.bound_server, buf_slice(&context)};
    seal_text(&key, ask.label, &b, buf_cstr(&plain), out);
}

static enum rc post_text(const char *text)
{
    const struct http_request http = {slice_text(text), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};
    AUTO(json_done) json_t *answer = NULL;
    unsigned before = audited.n;

    as_register_post(&env, &http, &reply);
    assert_int_equal(audited.n, before + 1);
    assert_int_equal(reply.status, rc_http(audited.rc));
    assert_string_equal(audited.kind, "register");
    assert_ok(json_parse_object(buf_slice(&reply.body), JSON_DEPTH_HTTP, &answer));
    buf_done(&reply.body);
    const char *told = json_string_value(json_object_get(answer, "code"));
    snprintf(error_code, sizeof error_code, "%s", told ? told : "");
    assert_int_equal(json_is_true(json_object_get(answer, "ok")), audited.rc == RC_OK);
    return audited.rc;
}

static enum rc post_it(void)
{
    AUTO(buf_done) struct buf body = {0}, keys = {0}, text = {0};

    make_body(&body);
    make_keys(&body, &keys);
    assert_ok(buf_printf(&text, "{\"v\":1,\"body\":\"%s\",\"keys\":\"%s\"}", buf_cstr(&body), buf_cstr(&keys)));
    return post_text(buf_cstr(&text));
}

static void open_realm__takes_everybody(void **state)
{
    struct as_login login;
    struct name name = named("bob");

    (void)state;
    realm_takes("open");
    assert_ok(post_it());
    assert_string_equal(audited.what, "open");
    assert_string_equal(audited.client, "bob");
    assert_int_equal(found("bob").profiles, PROFILE_SEALED | PROFILE_CLASSIC);
    assert_false(found("bob").is_admin);
    assert_ok(as_store_login(store, &name, ETYPE_AES128_CBC_HS256, &login));
    assert_memory_equal(login.secret.key.bytes, fresh.sealed.bytes, 32);
    assert_int_equal(login.params.iterations, 600000);

    assert_rc(post_it(), RC_NAME_TAKEN);
    assert_string_equal(error_code, "exists");
    ask.name = "BOB";
    assert_rc(post_it(), RC_NAME_TAKEN);
}

static void closed_realm__takes_nobody(void **state)
{
    (void)state;
    assert_rc(post_it(), RC_REGISTRATION_CLOSED);
    assert_string_equal(error_code, "closed");
    realm_takes("invite");
    assert_rc(post_it(), RC_REGISTRATION_CLOSED);
    realm_takes("closed");
    make_code(AS_CODE_REGISTER, NULL);
    assert_rc(post_it(), RC_REGISTRATION_CLOSED);
}

static void invitation__makes_one_account(void **state)
{
    (void)state;
    realm_takes("invite");
    make_code(AS_CODE_REGISTER, NULL);
    assert_ok(post_it());
    assert_string_equal(audited.what, "register");
    assert_int_equal(found("bob").profiles, PROFILE_SEALED | PROFILE_CLASSIC);
    ask.name = ask.bound_name = "carol";
    assert_rc(post_it(), RC_BAD_CODE);
    assert_string_equal(rc_wire(RC_BAD_CODE), "KDC_ERR_PREAUTH_FAILED");
}

static void invitation__for_a_name_is_for_no_other(void **state)
{
    (void)state;
    realm_takes("invite");
    make_code(AS_CODE_REGISTER, "carol");
    assert_rc(post_it(), RC_BAD_CODE);
    ask.name = ask.bound_name = "carol";
    assert_ok(post_it());
}

static void invitation__ends_after_an_hour(void **state)
{
    (void)state;
    realm_takes("invite");
    make_code(AS_CODE_REGISTER, NULL);
    now_s = NOW + 3601;
    assert_rc(post_it(), RC_BAD_CODE);
    now_s = NOW + 3600;
    assert_ok(post_it());
}

static void invitation__for_a_taken_name_is_not_used_up(void **state)
{
    (void)state;
    realm_takes("invite");
    make_code(AS_CODE_REGISTER, NULL);
    ask.name = ask.bound_name = "alice";
    assert_rc(post_it(), RC_NAME_TAKEN);
    ask.name = ask.bound_name = "bob";
    assert_ok(post_it());
}

static void reset__replaces_the_keys_also_in_a_closed_realm(void **state)
{
    struct as_login login;
    struct name name = named("alice");

    (void)state;
    make_code(AS_CODE_RESET, "alice");
    ask.name = ask.bound_name = "alice";
    assert_ok(post_it());
    assert_string_equal(audited.what, "reset");
    assert_ok(as_store_login(store, &name, ETYPE_AES128_CBC_HS256, &login));
    assert_memory_equal(login.secret.key.bytes, fresh.sealed.bytes, 32);
    assert_int_equal(found("alice").epoch, 1);
    assert_rc(post_it(), RC_BAD_CODE);
}

static void reset__brings_no_classic_key_back(void **state)
{
    struct name name = named("alice");

    (void)state;
    assert_ok(as_store_keep_profiles(store, &name, PROFILE_SEALED, NOW));
    make_code(AS_CODE_RESET, "alice");
    ask.name = ask.bound_name = "alice";
    assert_ok(post_it());
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
}

static void reset__of_a_deleted_user_is_not_his_successors(void **state)
{
    struct name name = named("alice");

    (void)state;
    make_code(AS_CODE_RESET, "alice");
    assert_ok(as_store_delete(store, &name, NOW));
    ask.name = ask.bound_name = "alice";
    assert_rc(post_it(), RC_BAD_CODE);
    add_keys("alice", &alice);
    assert_rc(post_it(), RC_BAD_CODE);
}

static void first_admin_code__makes_an_administrator(void **state)
{
    (void)state;
    make_code(AS_CODE_ADMIN, NULL);
    assert_ok(post_it());
    assert_true(found("bob").is_admin);
}

static void keys__must_be_sealed_under_the_code_for_that_name_and_body(void **state)
{
    (void)state;
    make_code(AS_CODE_ADMIN, NULL);
    ask.bound_name = "mallory";
    assert_rc(post_it(), RC_BAD_CODE);
    ask.bound_name = "bob";
    ask.bound_server = "kerb/changepw";
    assert_rc(post_it(), RC_BAD_CODE);
    ask.bound_server = AS_REGISTER_NAME;
    ask.label = LABEL_AS_PREAUTH;
    assert_rc(post_it(), RC_BAD_CODE);
    ask.label = LABEL_NEW_KEYS;
    ask.plain_keys = true;
    assert_rc(post_it(), RC_BAD_CODE);
    realm_takes("open"); /* a code that is shown is checked, in an open realm too */
    assert_rc(post_it(), RC_BAD_CODE);
    ask.plain_keys = false;
    struct onecode right = code;
    code.bytes[0] ^= 1;
    assert_rc(post_it(), RC_BAD_CODE);
    code = right;
    assert_ok(post_it());
}

static void keys__keep_the_policy(void **state)
{
    (void)state;
    realm_takes("open");
    ask.iterations = 199999;
    assert_rc(post_it(), RC_WEAK_KEYS);
    assert_string_equal(error_code, "policy");
    ask.iterations = 10000001;
    assert_rc(post_it(), RC_WEAK_KEYS);
    ask.iterations = 600000;
    memcpy(conf.realm_profiles, "sealed", 7);
    assert_ok(post_it());
    assert_int_equal(found("bob").profiles, PROFILE_SEALED);
}

static void requests__that_are_not_whole_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "{\"v\":1}",
        "{\"v\":2,\"body\":\"e30\",\"keys\":\"e30\"}",
        "{\"v\":1,\"body\":\"e30\",\"keys\":\"e30\"}",
        "{\"v\":1,\"body\":\"e30\"}",
        "{\"v\":1,\"body\":1,\"keys\":\"e30\"}",
        /* {"name":"bob"} without a nonce */
        "{\"v\":1,\"body\":\"eyJuYW1lIjoiYm9iIn0\",\"keys\":\"e30\"}",
    };

    (void)state;
    realm_takes("open");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_rc(post_text(texts[i]), RC_MALFORMED);
    ask.name = " bob";
    assert_rc(post_it(), RC_MALFORMED);
}

/*
 * Who changes a password asks the gate with the one writer in his hands. So whoever has a place at the gate must never
 * wait for the writer: the two would wait for each other for ever.
 */
static void *register_in_thread(void *arg)
{
    (void)arg;
    assert_rc(post_it(), RC_OK);
    return NULL;
}

static void request__that_waits_for_the_writer_holds_no_place_at_the_gate(void **state)
{
    const struct gate_limits limits = {.principal_free = 1,
                                       .principal_hold_s = 1,
                                       .network_free = 1, /* one place */
                                       .network_window_s = 60,
                                       .forget_s = 60};
    struct gate_try attempt;
    pthread_t thread;

    (void)state;
    realm_takes("open");
    assert_ok(gate_open(&limits, NULL, NOW, &env.gate));
    struct as_store *held = pool_take(&writers);
    assert_int_equal(pthread_create(&thread, NULL, register_in_thread, NULL), 0);
    (void)usleep(100000);
    (void)alarm(5);
    assert_rc(gate_ask(env.gate, slice_text("alice"), "192.0.2.7", NOW, &attempt), RC_OK);
    gate_tell(env.gate, &attempt, RC_OK, NOW);
    pool_put(&writers, held);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)alarm(0);
    gate_close(env.gate);
    env.gate = NULL;
}

static void open_realm__takes_so_many_of_one_network(void **state)
{
    const struct gate_limits limits = {
        .principal_free = 1, .principal_hold_s = 1, .network_free = 2, .network_window_s = 60, .forget_s = 60};

    (void)state;
    realm_takes("open");
    assert_ok(gate_open(&limits, NULL, NOW, &env.gate));
    assert_rc(post_it(), RC_OK);
    ask.name = "second";
    assert_rc(post_it(), RC_OK);
    ask.name = "third";
    assert_rc(post_it(), RC_FLOODED);
    gate_close(env.gate);
    env.gate = NULL;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(open_realm__takes_everybody),
        TEST(open_realm__takes_so_many_of_one_network),
        TEST(closed_realm__takes_nobody),
        TEST(invitation__makes_one_account),
        TEST(invitation__for_a_name_is_for_no_other),
        TEST(invitation__ends_after_an_hour),
        TEST(invitation__for_a_taken_name_is_not_used_up),
        TEST(reset__replaces_the_keys_also_in_a_closed_realm),
        TEST(reset__brings_no_classic_key_back),
        TEST(reset__of_a_deleted_user_is_not_his_successors),
        TEST(first_admin_code__makes_an_administrator),
        TEST(keys__must_be_sealed_under_the_code_for_that_name_and_body),
        TEST(keys__keep_the_policy),
        TEST(requests__that_are_not_whole_are_refused),
        TEST(request__that_waits_for_the_writer_holds_no_place_at_the_gate),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
