/* A change of password and a strengthened key: what is replaced, and every way to be refused. */
#include "tests/unit/unit.h"

#include "tests/unit/as_service.h"

/* New keys as the client seals them; a test changes how. */
static struct as_keys fresh;
static struct {
    struct key under;
    const char *client, *server;
    enum label label;
    bool without_classic;
    long long iterations;
    const char *raw; /* the whole text, instead */
} seal;

static int begin(void **state)
{
    start_services(state);
    fresh = both_keys(600000);
    memset(&seal, 0, sizeof seal);
    seal.under = alice.sealed;
    seal.client = "alice";
    seal.server = AS_CHANGEPW_NAME;
    seal.label = LABEL_NEW_KEYS;
    seal.iterations = 700000;
    hold_ticket("alice", AS_CHANGEPW_NAME);
    return 0;
}

static void keys_text(struct buf *out)
{
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_base64url(&w, "salt", SLICE(fresh.params.salt));
    jw_int(&w, "iterations", seal.iterations);
    jw_base64url(&w, "key", key_slice(&fresh.sealed));
    if (!seal.without_classic)
        jw_base64url(&w, "classic", key_slice(&fresh.classic));
    jw_close(&w, '}');
    assert_ok(jw_end(&w));
}

/* Changes the password: `op` with %s for the sealed keys. */
static enum rc change(const char *op, json_t **ret)
{
    AUTO(buf_done) struct buf ticket_text = {0}, plain = {0}, sealed = {0}, body = {0};
    uint8_t digest[SHA256_LEN];

    get_challenge(&ticket_text);
    if (audited.rc != RC_NO_CHALLENGE)
        return audited.rc;
    keys_text(&plain);
    assert_ok(sha256(buf_slice(&challenge), digest));
    struct bound b = {conf.realm_name, seal.client, seal.server, SLICE(digest)};
    seal_text(&seal.under, seal.label, &b, seal.raw ? seal.raw : buf_cstr(&plain), &sealed);
    assert_ok(buf_text(&body, "{\"keys\":\""));
    assert_ok(buf_add(&body, buf_slice(&sealed)));
    assert_ok(buf_printf(&body, "\",%s}", op));
    return send_op(&ticket_text, buf_cstr(&body), ret);
}

#define PASSWD     "\"op\":\"passwd\""
#define STRENGTHEN "\"op\":\"strengthen\""

static enum rc refused(const char *op)
{
    json_t *answer = NULL;
    enum rc rc = change(op, &answer);
    json_done(&answer);
    return rc;
}

/* The code that the client is told. */
static void assert_told(const char *op, const char *code)
{
    AUTO(json_done) json_t *answer = NULL;
    assert_ok(change(op, &answer));
    assert_false(is_ok(answer));
    assert_slice(member(answer, "code"), code);
    assert_string_equal(audited.refusal, code);
    assert_true(member(answer, "message").n > 0);
}

static struct as_login login_of(const char *text, enum etype etype)
{
    struct name name = named(text);
    struct as_login login;
    assert_ok(as_store_login(store, &name, etype, &login));
    return login;
}

static void passwd__replaces_the_keys_of_both_profiles(void **state)
{
    AUTO(json_done) json_t *answer = NULL;

    (void)state;
    assert_ok(change(PASSWD, &answer));
    assert_true(is_ok(answer));
    assert_int_equal(json_array_size(json_object_get(answer, "profiles")), 2);
    struct as_login sealed = login_of("alice", ETYPE_AES128_CBC_HS256), classic = login_of("alice", ETYPE_AES128_CBC);
    assert_memory_equal(sealed.secret.key.bytes, fresh.sealed.bytes, 32);
    assert_memory_equal(sealed.params.salt, fresh.params.salt, USERKEY_SALT);
    assert_int_equal(sealed.params.iterations, 700000);
    assert_memory_equal(classic.secret.key.bytes, fresh.classic.bytes, 16);
    assert_int_equal(found("alice").kvno, 2);
    assert_int_equal(found("alice").epoch, 0);
    assert_string_equal(audited.kind, "changepw");
    assert_string_equal(audited.what, "passwd");
    assert_string_equal(audited.client, "alice");
}

static void passwd__cuts_off_when_told_to(void **state)
{
    AUTO(json_done) json_t *answer = NULL;

    (void)state;
    assert_ok(change(PASSWD ",\"cut_off\":true", &answer));
    assert_true(is_ok(answer));
    assert_int_equal(found("alice").epoch, 1);
    seal.under = fresh.sealed;
    assert_rc(refused(PASSWD), RC_CUT_OFF); /* this ticket too */
}

static void ticket__of_before_a_cut_off_is_worth_nothing(void **state)
{
    struct name name = named("alice");

    (void)state;
    assert_ok(as_store_cut_off(store, &name, NOW));
    assert_rc(refused(PASSWD), RC_CUT_OFF);
    hold_ticket("alice", AS_CHANGEPW_NAME);
    assert_ok(as_store_set_disabled(store, &name, true, NOW));
    ticket.epoch = 99;
    assert_rc(refused(PASSWD), RC_CUT_OFF);
    assert_ok(as_store_set_disabled(store, &name, false, NOW));
    assert_ok(refused(PASSWD));
}

static void ticket__of_a_deleted_user_is_not_his_successors(void **state)
{
    struct name name = named("alice");

    (void)state;
    assert_ok(as_store_delete(store, &name, NOW));
    assert_rc(refused(PASSWD), RC_CUT_OFF);
    add_keys("alice", &alice); /* with the very same keys */
    assert_rc(refused(PASSWD), RC_CUT_OFF);
    hold_ticket("alice", AS_CHANGEPW_NAME);
    assert_ok(refused(PASSWD));
}

static void passwd__deletes_the_classic_key_when_none_is_sent(void **state)
{
    (void)state;
    seal.without_classic = true;
    assert_ok(refused(PASSWD));
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
}

static void passwd__brings_no_classic_key_back(void **state)
{
    AUTO(json_done) json_t *answer = NULL;
    struct name name = named("alice");

    (void)state;
    assert_ok(as_store_keep_profiles(store, &name, PROFILE_SEALED, NOW));
    hold_ticket("alice", AS_CHANGEPW_NAME);
    assert_ok(change(PASSWD, &answer));
    assert_int_equal(json_array_size(json_object_get(answer, "profiles")), 1);
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
}

static void passwd__keeps_no_classic_key_where_the_realm_has_none(void **state)
{
    (void)state;
    memcpy(conf.realm_profiles, "sealed", 7);
    assert_ok(refused(PASSWD));
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
}

static void keys__must_be_sealed_under_the_current_key(void **state)
{
    struct as_principal before = found("alice");

    (void)state;
    seal.under = fresh.sealed;
    assert_rc(refused(PASSWD), RC_BAD_PREAUTH);
    seal.under = ticket.session; /* a ticket is not enough */
    assert_rc(refused(PASSWD), RC_BAD_PREAUTH);
    assert_rc(refused(STRENGTHEN), RC_BAD_PREAUTH);
    seal.under = alice.sealed;
    seal.label = LABEL_AS_PREAUTH;
    assert_rc(refused(PASSWD), RC_BAD_PREAUTH);
    seal.label = LABEL_NEW_KEYS;
    seal.client = "bob";
    assert_rc(refused(PASSWD), RC_BAD_PREAUTH);
    seal.client = "alice";
    seal.server = AS_ADMIN_NAME;
    assert_rc(refused(PASSWD), RC_BAD_PREAUTH);
    assert_int_equal(found("alice").kvno, before.kvno);
}

static void keys__are_bound_to_their_challenge(void **state)
{
    AUTO(buf_done) struct buf ticket_text = {0}, plain = {0}, sealed = {0}, body = {0};
    AUTO(json_done) json_t *answer = NULL;
    uint8_t digest[SHA256_LEN];

    (void)state;
    get_challenge(&ticket_text);
    assert_ok(sha256(buf_slice(&challenge), digest));
    keys_text(&plain);
    struct bound b = {conf.realm_name, "alice", AS_CHANGEPW_NAME, SLICE(digest)};
    seal_text(&alice.sealed, LABEL_NEW_KEYS, &b, buf_cstr(&plain), &sealed);
    buf_reset(&ticket_text);
    get_challenge(&ticket_text); /* another one */
    assert_ok(buf_printf(&body, "{" PASSWD ",\"keys\":\"%s\"}", buf_cstr(&sealed)));
    assert_rc(send_op(&ticket_text, buf_cstr(&body), &answer), RC_BAD_PREAUTH);
}

static void request__that_comes_again_changes_nothing(void **state)
{
    AUTO(buf_done) struct buf sent = {0};

    (void)state;
    assert_ok(refused(PASSWD));
    assert_ok(buf_add(&sent, buf_slice(&request)));
    buf_reset(&request);
    assert_ok(buf_add(&request, buf_slice(&sent)));
    assert_int_equal(post_request(), 401);
    assert_rc(audited.rc, RC_NO_CHALLENGE);
    assert_int_equal(found("alice").kvno, 2);
}

static void passwd__refuses_iterations_that_clients_would_not_accept(void **state)
{
    (void)state;
    seal.iterations = 199999;
    assert_told(PASSWD, "policy");
    seal.iterations = 10000001;
    assert_told(PASSWD, "policy");
    seal.iterations = -1;
    assert_told(PASSWD, "policy");
    assert_int_equal(found("alice").kvno, 1);
    seal.iterations = 200000;
    assert_ok(refused(PASSWD));
    assert_int_equal(found("alice").kvno, 2);
}

static void strengthen__replaces_the_sealed_key_alone(void **state)
{
    AUTO(json_done) json_t *answer = NULL;

    (void)state;
    assert_ok(change(STRENGTHEN, &answer));
    assert_true(is_ok(answer));
    struct as_login sealed = login_of("alice", ETYPE_AES128_CBC_HS256), classic = login_of("alice", ETYPE_AES128_CBC);
    assert_memory_equal(sealed.secret.key.bytes, fresh.sealed.bytes, 32);
    assert_memory_equal(classic.secret.key.bytes, alice.classic.bytes, 16);
    assert_int_equal(found("alice").epoch, 0);
}

static void strengthen__makes_no_key_weaker(void **state)
{
    (void)state;
    seal.iterations = 654321;
    assert_told(STRENGTHEN, "not_stronger");
    seal.iterations = 200000;
    assert_told(STRENGTHEN, "not_stronger");
    assert_int_equal(found("alice").kvno, 1);
}

static void operations__that_are_none_are_told(void **state)
{
    (void)state;
    assert_told("\"op\":\"user_del\"", "unknown_op");
    assert_rc(refused("\"nop\":\"passwd\""), RC_MALFORMED);
    assert_rc(refused("\"op\":1"), RC_MALFORMED);
    assert_rc(refused(PASSWD ",\"cut_off\":1"), RC_MALFORMED);
    seal.raw = "{}";
    assert_rc(refused(PASSWD), RC_MALFORMED);
    seal.raw = "{\"salt\":\"AAAA\",\"iterations\":600000,\"key\":\"AAAA\"}";
    assert_rc(refused(PASSWD), RC_MALFORMED);
}

static void ticket__for_another_service_or_profile_is_refused(void **state)
{
    (void)state;
    hold_ticket("alice", AS_ADMIN_NAME);
    service = AS_CHANGEPW_NAME;
    assert_rc(refused(PASSWD), RC_MODIFIED);
    hold_ticket("alice", AS_CHANGEPW_NAME);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &ticket.session));
    assert_rc(refused(PASSWD), RC_BAD_ETYPE);
    hold_ticket("alice", AS_CHANGEPW_NAME);
    ticket.end = NOW;
    assert_rc(refused(PASSWD), RC_TKT_EXPIRED);
}

static void service__without_a_keytab_fails(void **state)
{
    struct ap *ap = env.changepw;

    (void)state;
    env.changepw = NULL;
    assert_rc(refused(PASSWD), RC_NO_KEY);
    env.changepw = ap;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, stop_services)
    const struct CMUnitTest tests[] = {
        TEST(passwd__replaces_the_keys_of_both_profiles),
        TEST(passwd__cuts_off_when_told_to),
        TEST(ticket__of_before_a_cut_off_is_worth_nothing),
        TEST(ticket__of_a_deleted_user_is_not_his_successors),
        TEST(passwd__deletes_the_classic_key_when_none_is_sent),
        TEST(passwd__brings_no_classic_key_back),
        TEST(passwd__keeps_no_classic_key_where_the_realm_has_none),
        TEST(keys__must_be_sealed_under_the_current_key),
        TEST(keys__are_bound_to_their_challenge),
        TEST(request__that_comes_again_changes_nothing),
        TEST(passwd__refuses_iterations_that_clients_would_not_accept),
        TEST(strengthen__replaces_the_sealed_key_alone),
        TEST(strengthen__makes_no_key_weaker),
        TEST(operations__that_are_none_are_told),
        TEST(ticket__for_another_service_or_profile_is_refused),
        TEST(service__without_a_keytab_fails),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
