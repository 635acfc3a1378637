/* The AS exchange on a fake clock: what it grants, and each rule refusing. */
#include "tests/unit/unit.h"

#include "as/login.h"
#include "tests/unit/boxes.h"
#include "tests/unit/state.h"
#include "tests/unit/users.h"

#define NOW 1780000000

static struct conf conf;
static struct as_store *store;
static struct pool pool;
static struct as_env env;
static struct key alice, tgs;
static int64_t now_s;

/* What the audit was told last. */
static struct {
    unsigned n;
    enum rc rc;
    bool has_ticket;
} audited;

static int64_t fake_clock(void)
{
    return now_s;
}

static int64_t fake_ticks(void)
{
    return 0;
}

static void audit(void *ctx, const struct as_event *event)
{
    (void)ctx;
    audited.n++;
    audited.rc = event->rc;
    audited.has_ticket = event->out != NULL;
}

static void add_user(const char *text, struct key *ret)
{
    struct name name = named(text);
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, ret));
    const struct as_keys keys = classic_keys(ret);
    assert_ok(as_store_add(store, &name, &keys, NOW));
}

static int start(void **state)
{
    bool clean;

    (void)state;
    state_make(&conf, "as");
    assert_ok(name_parse(slice_text(conf.realm_name), &conf.realm));
    assert_ok(as_store_open(&conf, DB_CREATE, &store));
    add_user("alice", &alice);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &tgs));
    assert_ok(as_store_add_tgs_key(store, &tgs));
    pool_init(&pool);
    pool_put(&pool, store);
    now_s = NOW;
    env = (struct as_env){.conf = &conf, .stores = &pool, .clock = fake_clock, .ticks = fake_ticks, .audit = audit};
    assert_ok(as_env_open(&env));
    assert_ok(replay_open(NULL, REPLAY_JOURNAL, NOW, &env.replay, &clean));
    memset(&audited, 0, sizeof audited);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    assert_ok(replay_close(env.replay));
    as_env_close(&env);
    assert_ptr_equal(pool_drain(&pool), store);
    pool_done(&pool);
    as_store_close(store);
    state_remove(&conf);
    return 0;
}

/* Serves the box for a login; the answer's body goes to ret_body when that is not NULL. */
static enum rc serve_box(const char *login, const struct buf *box, struct buf *ret_body)
{
    const struct as_req req = {.profile = ETYPE_AES128_CBC,
                               .login = slice_text(login),
                               .encrypted = buf_slice(box),
                               .address = "192.0.2.7",
                               .op_id = "op"};
    struct as_rep rep = {0};
    unsigned before = audited.n;

    enum rc rc = as_serve(&env, &req, &rep);
    assert_int_equal(audited.n, before + 1);
    assert_int_equal(audited.rc, rc);
    assert_int_equal(audited.has_ticket, rc == RC_OK);
    if (rc != RC_OK)
        assert_null(rep.body.p);
    if (ret_body)
        *ret_body = rep.body;
    else
        buf_done(&rep.body);
    return rc;
}

static enum rc serve_text(const char *login, const struct key *key, const char *text)
{
    AUTO(buf_done) struct buf box = {0};
    box_of(key->bytes, text, &box);
    return serve_box(login, &box, NULL);
}

static void proof(int64_t stamp_s, struct buf *out)
{
    AUTO(buf_done) struct buf text = {0};
    assert_ok(buf_printf(&text, "{\"tgs_name\": \"tgs\", \"timestamp\": \"%s\"}", stamp_of(stamp_s)));
    box_of(alice.bytes, buf_cstr(&text), out);
}

static enum rc serve_at(int64_t stamp_s)
{
    AUTO(buf_done) struct buf box = {0};
    proof(stamp_s, &box);
    return serve_box("alice", &box, NULL);
}

static void serve__grants_a_ticket_whose_fields_equal_the_replys(void **state)
{
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf body = {0};
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf key = {0};
    struct name tgs_name = named("tgs"), alice_name = named("alice");
    struct as_principal p;

    (void)state;
    proof(NOW - 5, &box);
    assert_ok(serve_box("alice", &box, &body));
    assert_int_not_equal(body.p[body.n - 1], '\n');
    AUTO(json_done) json_t *reply = box_object(alice.bytes, buf_slice(&body));

    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &tgs_name, &tgs));
    assert_ok(ticket_open(kt, &conf.realm, &tgs_name, TICKET_TGT, member_text(reply, "tgs_ticket"), NOW, &t));
    assert_ok(as_store_find(store, &alice_name, &p));
    assert_slice(name_slice(&t.client), "alice");
    assert_memory_equal(t.client_id, p.client_id, ID_LEN);
    assert_string_equal(t.address, "192.0.2.7");
    assert_int_equal(t.session.etype, ETYPE_AES128_CBC);
    assert_int_equal(t.start, NOW);
    assert_int_equal(t.auth_time, NOW);
    assert_int_equal(t.end, NOW + conf.policy_classic_tgt_lifetime);
    assert_int_equal(t.renew_till, 0);

    assert_slice(member_text(reply, "tgs_name"), "tgs");
    assert_int_equal(member_time(reply, "timestamp"), t.start);
    assert_int_equal(member_int(reply, "time_to_live"), t.end - t.start);
    assert_int_equal(member_int(reply, "tgs_ticket_time_to_live"), t.end - t.start);
    assert_int_equal(member_int(reply, "session_key_time_to_live"), t.end - t.start);
    assert_ok(base64_decode_lenient(member_text(reply, "session_key"), &key));
    assert_int_equal(key.n, 16);
    assert_memory_equal(key.p, t.session.bytes, 16);
}

static void serve__finds_the_name_in_its_one_spelling(void **state)
{
    struct key key;

    (void)state;
    add_user("j\xc3\xb6rg", &key);
    char text[96];
    snprintf(text, sizeof text, "{\"timestamp\":\"%s\",\"tgs_name\":\"tgs\"}", stamp_of(NOW));
    assert_ok(serve_text("jo\xcc\x88rg", &key, text));
    assert_rc(serve_text("Alice", &alice, text), RC_NO_CLIENT);
}

static void serve__refuses_names_that_cannot_be(void **state)
{
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    proof(NOW, &box);
    assert_rc(serve_box("", &box, NULL), RC_MALFORMED);
    assert_rc(serve_box("al\xff", &box, NULL), RC_MALFORMED);
    assert_rc(serve_box(" alice", &box, NULL), RC_MALFORMED);
    assert_rc(serve_box("al\nice", &box, NULL), RC_MALFORMED);
}

static void serve__gives_one_answer_to_whoever_may_not_log_in(void **state)
{
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf wrong = {0};
    struct key bob, other;
    struct name bob_name = named("bob");
    const enum rc all[] = {RC_NO_CLIENT, RC_BAD_PREAUTH, RC_CLIENT_DISABLED, RC_NO_CLIENT_KEY, RC_REFLECTED};

    (void)state;
    proof(NOW, &box);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &other));
    box_of(other.bytes, "{\"tgs_name\": \"tgs\", \"timestamp\": \"2026-05-28 20:26:40\"}", &wrong);
    assert_rc(serve_box("nobody", &box, NULL), RC_NO_CLIENT);
    assert_rc(serve_box("alice", &wrong, NULL), RC_BAD_PREAUTH);
    add_user("bob", &bob);
    assert_rc(serve_box("bob", &box, NULL), RC_BAD_PREAUTH);

    /* Disabled: refused with the right key too, also when the stamp is wrong, which only a proved key may hear. */
    assert_ok(as_store_set_disabled(store, &bob_name, true, NOW));
    char text[96];
    snprintf(text, sizeof text, "{\"timestamp\":\"%s\",\"tgs_name\":\"tgs\"}", stamp_of(NOW));
    assert_rc(serve_text("bob", &bob, text), RC_CLIENT_DISABLED);
    snprintf(text, sizeof text, "{\"timestamp\":\"%s\",\"tgs_name\":\"tgs\"}", stamp_of(NOW - 86400));
    assert_rc(serve_text("bob", &bob, text), RC_CLIENT_DISABLED);
    state_sql(&conf, "as/as.db", "DELETE FROM principal_key WHERE principal > 0");
    assert_rc(serve_box("alice", &box, NULL), RC_NO_CLIENT_KEY);

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_string_equal(rc_wire(all[i]), "KDC_ERR_PREAUTH_FAILED");
        assert_int_equal(rc_http(all[i]), 401);
    }
}

static void serve__refuses_what_is_no_whole_proof_with_one_answer(void **state)
{
    static const char *const texts[] = {
        "x",
        "[]",
        "{}",
        "{\"tgs_name\": \"tgs\"}",
        "{\"timestamp\": \"2026-05-28 20:26:40\"}",
        "{\"tgs_name\": 1, \"timestamp\": \"2026-05-28 20:26:40\"}",
        "{\"tgs_name\": \"tgs\", \"timestamp\": 1780000000}",
        "{\"tgs_name\": \"tgs\", \"timestamp\": \"2026-05-28T20:26:40\"}",
        "{\"tgs_name\": \"tgs\", \"timestamp\": \"2026-02-30 20:26:40\"}",
        "{\"tgs_name\": \"tgs\", \"tgs_name\": \"tgs\", \"timestamp\": \"2026-05-28 20:26:40\"}",
        "{\"tgs_name\": \"tgs\", \"timestamp\": \"2026-05-28 20:26:40\"} x",
    };
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_rc(serve_text("alice", &alice, texts[i]), RC_BAD_PREAUTH);
    assert_rc(serve_box("alice", &box, NULL), RC_BAD_PREAUTH);
    assert_ok(buf_text(&box, "AAAA!"));
    assert_rc(serve_box("alice", &box, NULL), RC_BAD_PREAUTH);
}

static void serve__refuses_its_own_reply_as_a_request(void **state)
{
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf body = {0};
    char text[192];

    (void)state;
    proof(NOW, &box);
    assert_ok(serve_box("alice", &box, &body));
    assert_rc(serve_box("alice", &body, NULL), RC_REFLECTED);
    snprintf(text, sizeof text, "{\"tgs_name\":\"tgs\",\"timestamp\":\"%s\",\"note\":\"session_key\"}", stamp_of(NOW));
    assert_rc(serve_text("alice", &alice, text), RC_REFLECTED);
    snprintf(text, sizeof text, "{\"tgs_name\":\"tgs\",\"timestamp\":\"%s\",\"tgs\\u005fticket\":1}", stamp_of(NOW));
    assert_rc(serve_text("alice", &alice, text), RC_REFLECTED);
}

static void serve__knows_one_tgs(void **state)
{
    char text[96];

    (void)state;
    snprintf(text, sizeof text, "{\"tgs_name\":\"chat\",\"timestamp\":\"%s\"}", stamp_of(NOW));
    assert_rc(serve_text("alice", &alice, text), RC_NO_SERVICE);
    assert_rc(serve_text("nobody", &alice, text), RC_NO_CLIENT);
}

static void serve__refuses_stamps_outside_the_skew(void **state)
{
    (void)state;
    conf.realm_clock_skew = 600;
    conf.realm_clock_skew_ahead = 50400;
    assert_ok(serve_at(NOW - 600));
    assert_rc(serve_at(NOW - 601), RC_SKEW);
    assert_ok(serve_at(NOW + 50400));
    assert_rc(serve_at(NOW + 50401), RC_SKEW);
}

static void serve__tells_the_skew_to_nobody_without_the_key(void **state)
{
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    proof(NOW - 86400, &box);
    assert_rc(serve_box("alice", &box, NULL), RC_SKEW);
    assert_rc(serve_box("nobody", &box, NULL), RC_NO_CLIENT);
}

static void serve__accepts_a_request_once(void **state)
{
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    proof(NOW, &box);
    assert_ok(serve_box("alice", &box, NULL));
    assert_rc(serve_box("alice", &box, NULL), RC_REPEAT);
    now_s += 599;
    assert_rc(serve_box("alice", &box, NULL), RC_REPEAT);
    now_s += 2;
    assert_rc(serve_box("alice", &box, NULL), RC_SKEW);
    now_s = NOW; /* the wall clock set back: the cache's own never goes back */
    assert_rc(serve_box("alice", &box, NULL), RC_REPEAT);
}

static void serve__remembers_a_stamp_that_lies_ahead_until_it_is_behind(void **state)
{
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    proof(NOW + 600, &box);
    assert_ok(serve_box("alice", &box, NULL));
    now_s = NOW + 1200;
    assert_rc(serve_box("alice", &box, NULL), RC_REPEAT);
    now_s++;
    assert_rc(serve_box("alice", &box, NULL), RC_SKEW);
}

static void serve__accepts_two_honest_requests_of_one_second(void **state)
{
    (void)state;
    assert_ok(serve_at(NOW));
    assert_ok(serve_at(NOW));
}

/* --- the gate --- */

static void with_gate(unsigned principal_free, unsigned network_free)
{
    const struct gate_limits limits = {.principal_free = principal_free,
                                       .principal_hold_s = 900,
                                       .network_free = network_free,
                                       .network_window_s = 60,
                                       .forget_s = 86400};
    assert_ok(gate_open(&limits, NULL, NOW, &env.gate));
}

static void serve__holds_a_client_with_the_right_key_too(void **state)
{
    AUTO(buf_done) struct buf right = {0}, wrong = {0};
    AUTO(key_done) struct key other = {0};

    (void)state;
    with_gate(3, 1000);
    proof(NOW, &right);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &other));
    box_of(other.bytes, "{\"tgs_name\": \"tgs\", \"timestamp\": \"2026-05-28 20:26:40\"}", &wrong);
    for (int i = 0; i < 3; i++)
        assert_rc(serve_box("alice", &wrong, NULL), RC_BAD_PREAUTH);
    assert_rc(serve_box("alice", &wrong, NULL), RC_HELD);
    assert_rc(serve_box("alice", &right, NULL), RC_HELD);
    assert_string_equal(rc_wire(RC_HELD), rc_wire(RC_BAD_PREAUTH));
    assert_int_equal(rc_http(RC_HELD), rc_http(RC_BAD_PREAUTH));
    assert_rc(serve_box("ALICE", &right, NULL), RC_NO_CLIENT); /* unknown: the same count, its own reason */
    now_s = NOW + 1;
    assert_ok(serve_box("alice", &right, NULL));
    gate_close(env.gate);
}

static void serve__turns_a_flooding_network_away_whatever_the_name(void **state)
{
    AUTO(buf_done) struct buf right = {0};
    char name[16];

    (void)state;
    with_gate(100, 5);
    proof(NOW, &right);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "nobody%d", i);
        assert_rc(serve_box(name, &right, NULL), RC_NO_CLIENT);
    }
    assert_rc(serve_box("alice", &right, NULL), RC_FLOODED);
    assert_int_equal(rc_http(RC_FLOODED), 429);
    now_s = NOW + 60;
    assert_ok(serve_box("alice", &right, NULL));
    gate_close(env.gate);
}

static void serve__counts_a_repeat_and_clears_nothing_by_it(void **state)
{
    AUTO(buf_done) struct buf right = {0}, again = {0};

    (void)state;
    with_gate(3, 1000);
    proof(NOW, &right);
    proof(NOW, &again);
    assert_ok(serve_box("alice", &right, NULL)); /* this network is familiar now, with a count of its own */
    for (int i = 0; i < 3; i++)
        assert_rc(serve_box("alice", &right, NULL), RC_REPEAT);
    assert_rc(serve_box("alice", &again, NULL), RC_HELD);
    gate_close(env.gate);
}

static void serve__gives_back_a_try_with_a_wrong_clock(void **state)
{
    char text[96];

    (void)state;
    with_gate(3, 1000);
    snprintf(text, sizeof text, "{\"timestamp\":\"%s\",\"tgs_name\":\"tgs\"}", stamp_of(NOW - 86400));
    for (int i = 0; i < 10; i++)
        assert_rc(serve_text("alice", &alice, text), RC_SKEW);
    gate_close(env.gate);
}

static void serve__refuses_a_repeat_whose_first_block_was_respaced(void **state)
{
    AUTO(buf_done) struct buf box = {0};
    const uint8_t turn[] = {'{' ^ ' ', ' ' ^ '{'};
    char text[96];

    (void)state;
    snprintf(text, sizeof text, "{  \"tgs_name\": \"tgs\", \"timestamp\": \"%s\"}", stamp_of(NOW));
    box_of(alice.bytes, text, &box);
    assert_ok(serve_box("alice", &box, NULL));
    box_turn_iv(&box, turn, sizeof turn);
    assert_rc(serve_box("alice", &box, NULL), RC_REPEAT);
}

static void serve__refuses_a_repeat_whose_padding_block_was_cut(void **state)
{
    AUTO(buf_done) struct buf box = {0};
    char text[96];

    (void)state;
    int n = snprintf(text, sizeof text, "{\"tgs_name\": \"tgs\",          \"timestamp\": \"%s\"}", stamp_of(NOW));
    assert_int_equal(n % AES_BLOCK, 0);
    box_of(alice.bytes, text, &box);
    assert_ok(serve_box("alice", &box, NULL));
    box_cut_block(&box);
    assert_rc(serve_box("alice", &box, NULL), RC_REPEAT);
}

static void serve__refuses_a_client_who_filled_his_share_and_no_other(void **state)
{
    struct as_principal p;
    struct name alice_name = named("alice");
    struct key bob;
    char text[96];

    (void)state;
    assert_ok(as_store_find(store, &alice_name, &p));
    for (uint32_t i = 0; i < REPLAY_PER_OWNER_MAX; i++) {
        uint8_t digest[SHA256_LEN] = {0};
        put_u32be(digest, i);
        assert_ok(replay_check(env.replay, p.client_id, digest, NOW + 600, NOW));
    }
    assert_rc(serve_at(NOW), RC_RATE_LIMITED);
    add_user("bob", &bob);
    snprintf(text, sizeof text, "{\"tgs_name\":\"tgs\",\"timestamp\":\"%s\"}", stamp_of(NOW));
    assert_ok(serve_text("bob", &bob, text));
}

static void serve__fails_without_a_tgs_key(void **state)
{
    (void)state;
    state_sql(&conf, "as/as.db", "DELETE FROM tgs_key");
    assert_rc(serve_at(NOW), RC_NO_KEY);
    assert_rc(as_ready(&env), RC_NO_KEY);
}

static void serve__fails_when_the_clients_row_was_meddled_with(void **state)
{
    (void)state;
    state_sql(&conf, "as/as.db", "UPDATE principal_key SET kvno = 9 WHERE principal > 0");
    assert_rc(serve_at(NOW), RC_BAD_ROW);
    assert_int_equal(rc_http(RC_BAD_ROW), 500);
}

/* --- over HTTP -------------------------------------------------------------------------------------------------- */

static int post(const char *body, struct buf *ret)
{
    const struct http_request req = {slice_text(body), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};

    as_login_post(&env, &req, &reply);
    if (ret)
        *ret = buf_take(&reply.body);
    buf_done(&reply.body);
    return reply.status;
}

static void login_post__reads_forms_and_json(void **state)
{
    AUTO(buf_done) struct buf form = {0};
    AUTO(buf_done) struct buf object = {0};
    AUTO(buf_done) struct buf body = {0};

    (void)state;
    assert_ok(buf_text(&form, "login=alice&encrypted=")); /* base64 as it is: '+' unescaped */
    proof(NOW, &form);
    assert_int_equal(post(buf_cstr(&form), &body), 200);
    json_t *reply = box_object(alice.bytes, buf_slice(&body));
    json_done(&reply);

    assert_ok(buf_text(&object, "{\"login\": \"alice\", \"encrypted\": \""));
    proof(NOW, &object);
    assert_ok(buf_text(&object, "\"}"));
    assert_int_equal(post(buf_cstr(&object), NULL), 200);
}

static void login_post__refuses_what_is_missing_or_too_long(void **state)
{
    AUTO(buf_done) struct buf body = {0};
    AUTO(buf_done) struct buf answer = {0};

    (void)state;
    assert_int_equal(post("login=alice", NULL), 400);
    assert_int_equal(post("encrypted=AAAA", NULL), 400);
    assert_int_equal(post("", NULL), 400);
    assert_int_equal(post("{\"login\": 1, \"encrypted\": \"AAAA\"}", NULL), 400);
    assert_rc(audited.rc, RC_MALFORMED);
    assert_ok(buf_text(&body, "encrypted=AAAA&login="));
    for (int i = 0; i <= AS_LOGIN_MAX; i++)
        assert_ok(buf_byte(&body, 'a'));
    assert_int_equal(post(buf_cstr(&body), NULL), 400);
    assert_int_equal(post("login=alice&encrypted=AAAA", &answer), 401);
    assert_non_null(memmem(answer.p, answer.n, "KDC_ERR_PREAUTH_FAILED", 22));
}

static void ready__needs_store_and_tgs_key(void **state)
{
    (void)state;
    assert_ok(as_ready(&env));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(serve__grants_a_ticket_whose_fields_equal_the_replys),
        TEST(serve__finds_the_name_in_its_one_spelling),
        TEST(serve__refuses_names_that_cannot_be),
        TEST(serve__gives_one_answer_to_whoever_may_not_log_in),
        TEST(serve__refuses_what_is_no_whole_proof_with_one_answer),
        TEST(serve__refuses_its_own_reply_as_a_request),
        TEST(serve__knows_one_tgs),
        TEST(serve__refuses_stamps_outside_the_skew),
        TEST(serve__tells_the_skew_to_nobody_without_the_key),
        TEST(serve__accepts_a_request_once),
        TEST(serve__remembers_a_stamp_that_lies_ahead_until_it_is_behind),
        TEST(serve__accepts_two_honest_requests_of_one_second),
        TEST(serve__holds_a_client_with_the_right_key_too),
        TEST(serve__turns_a_flooding_network_away_whatever_the_name),
        TEST(serve__counts_a_repeat_and_clears_nothing_by_it),
        TEST(serve__gives_back_a_try_with_a_wrong_clock),
        TEST(serve__refuses_a_repeat_whose_first_block_was_respaced),
        TEST(serve__refuses_a_repeat_whose_padding_block_was_cut),
        TEST(serve__refuses_a_client_who_filled_his_share_and_no_other),
        TEST(serve__fails_without_a_tgs_key),
        TEST(serve__fails_when_the_clients_row_was_meddled_with),
        TEST(login_post__reads_forms_and_json),
        TEST(login_post__refuses_what_is_missing_or_too_long),
        TEST(ready__needs_store_and_tgs_key),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
