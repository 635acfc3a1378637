/* The sealed TGS exchange on a fake clock: what it grants and renews, and each rule refusing. */
#include "tests/unit/unit.h"

#include "tests/unit/boxes.h"
#include "tests/unit/sealing.h"
#include "tests/unit/tgs_world.h"

#define NONCE       "AAECAwQFBgcICQoLDA0ODw"
#define OTHER_NONCE "AAECAwQFBgcICQoLDA0ODA"

/* What the client does; a test changes it. */
static struct {
    const char *service, *more; /* of the body; more: further members */
    const char *client, *nonce; /* of the authenticator */
    const char *bound_client, *bound_service;
    enum label label;
    long long time_s;
} ask;

static struct buf tgt_text, body_text, request; /* what went out last */

static int begin(void **state)
{
    start(state);
    fill_tgt(ETYPE_AES128_CBC_HS256);
    tgt.renew_till = NOW + 86400;
    ask.service = "chat";
    ask.more = "";
    ask.client = ask.bound_client = "alice";
    ask.nonce = NONCE;
    ask.bound_service = NULL; /* the body's */
    ask.label = LABEL_TGS_AUTHENTICATOR;
    ask.time_s = NOW;
    return 0;
}

static int end(void **state)
{
    buf_done(&tgt_text);
    buf_done(&body_text);
    buf_done(&request);
    return stop(state);
}

static void make_body(void)
{
    AUTO(buf_done) struct buf plain = {0};

    buf_reset(&body_text);
    assert_ok(buf_printf(&plain, "{\"service\":\"%s\",\"nonce\":\"" NONCE "\"%s}", ask.service, ask.more));
    assert_ok(base64url_encode(buf_slice(&plain), &body_text));
}

static void make_authenticator(struct buf *out)
{
    AUTO(buf_done) struct buf context = {0}, plain = {0};

    context_of(&context, &tgt_text, &body_text, NULL);
    struct bound b = {conf.realm_name, ask.bound_client, ask.bound_service ? ask.bound_service : ask.service,
                      buf_slice(&context)};
    assert_ok(
        buf_printf(&plain, "{\"client\":\"%s\",\"time\":%lld,\"nonce\":\"%s\"}", ask.client, ask.time_s, ask.nonce));
    seal_text(&tgt.session, ask.label, &b, buf_cstr(&plain), out);
}

static void join(struct buf *authenticator)
{
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"tgt\":\"%s\",\"authenticator\":\"%s\",\"body\":\"%s\"}",
                         buf_cstr(&tgt_text), buf_cstr(authenticator), buf_cstr(&body_text)));
}

static void make_request(void)
{
    AUTO(buf_done) struct buf authenticator = {0};

    buf_reset(&tgt_text);
    seal_tgt(&tgt_text);
    make_body();
    make_authenticator(&authenticator);
    join(&authenticator);
}

/* Sends the request as it stands. */
static enum rc send_it(struct buf *ret)
{
    unsigned before = audited.n;
    AUTO(buf_done) struct buf answer = {0};

    int status = post(buf_cstr(&request), &answer);
    assert_int_equal(audited.n, before + 1);
    assert_int_equal(status, rc_http(audited.rc));
    assert_int_equal(audited.has_ticket, audited.rc == RC_OK);
    if (ret)
        *ret = buf_take(&answer);
    return audited.rc;
}

static enum rc send_new(void)
{
    make_request();
    return send_it(NULL);
}

static json_t *opened(const struct buf *answer)
{
    json_t *reply = NULL;
    uint8_t digest[SHA256_LEN];

    assert_ok(sha256(buf_slice(&request), digest));
    struct bound b = {conf.realm_name, "alice", ask.service, SLICE(digest)};
    assert_ok(open_reply(&tgt.session, LABEL_TGS_REPLY, &b, buf_slice(answer), &reply));
    return reply;
}

/* Asks, expects a grant, and opens what was granted with the server's key. */
static json_t *grant(const struct key *server_key, enum ticket_kind kind, struct ticket *ret)
{
    AUTO(buf_done) struct buf answer = {0};
    AUTO(keytab_done) struct keytab *kt = NULL;
    struct name server = named(ask.service);

    make_request();
    assert_ok(send_it(&answer));
    json_t *reply = opened(&answer);
    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &server, server_key));
    assert_ok(ticket_open(kt, &conf.realm, &server, kind, member_text(reply, "ticket"), now_s, ret));
    return reply;
}

static void assert_says_what_the_ticket_says(const json_t *reply, const struct ticket *t)
{
    AUTO(buf_done) struct buf key = {0};

    assert_slice(member_text(reply, "service"), ask.service);
    assert_slice(member_text(reply, "client"), "alice");
    assert_slice(member_text(reply, "nonce"), NONCE);
    assert_int_equal(member_int(reply, "start_time"), t->start);
    assert_int_equal(member_int(reply, "end_time"), t->end);
    assert_int_equal(member_int(reply, "renew_till"), t->renew_till);
    assert_ok(base64url_decode(member_text(reply, "session_key"), &key));
    assert_int_equal(key.n, 32);
    assert_memory_equal(key.p, t->session.bytes, 32);
    assert_memory_not_equal(key.p, tgt.session.bytes, 32);
}

static void sealed__grants_a_ticket_that_carries_on_the_tgt(void **state)
{
    AUTO(ticket_done) struct ticket t = {0};

    (void)state;
    AUTO(json_done) json_t *reply = grant(&chat, TICKET_SERVICE, &t);
    assert_says_what_the_ticket_says(reply, &t);
    assert_slice(name_slice(&t.client), "alice");
    assert_memory_equal(t.client_id, tgt.client_id, ID_LEN);
    assert_memory_equal(t.parent_id, tgt.id, ID_LEN);
    assert_memory_not_equal(t.id, tgt.id, ID_LEN);
    assert_string_equal(t.address, tgt.address);
    assert_int_equal(t.epoch, tgt.epoch);
    assert_int_equal(t.auth_time, tgt.auth_time);
    assert_int_equal(t.start, NOW);
    assert_int_equal(t.renew_till, 0);
    assert_int_equal(t.session.etype, ETYPE_AES128_CBC_HS256); /* its TGT's */
}

static void sealed__never_outlives_the_tgt_nor_the_policy(void **state)
{
    static const struct {
        int64_t policy_s, tgt_left_s;
        const char *more;
        int64_t got_s;
    } rows[] = {
        {3600, 1800, "",                                    1800},
        {600,  1800, "",                                    600 },
        {600,  1800, ",\"lifetime_s\":60",                  60  },
        {600,  1800, ",\"lifetime_s\":601",                 600 },
        {3600, 50,   ",\"lifetime_s\":60",                  50  },
        {3600, 50,   ",\"lifetime_s\":9223372036854775807", 50  },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(ticket_done) struct ticket t = {0};
        conf.policy_sealed_service_lifetime = rows[i].policy_s;
        tgt.end = NOW + rows[i].tgt_left_s;
        ask.more = rows[i].more;
        AUTO(json_done) json_t *reply = grant(&chat, TICKET_SERVICE, &t);
        assert_non_null(reply);
        assert_int_equal(t.end, NOW + rows[i].got_s);
    }
}

static void sealed__renews_the_tgt(void **state)
{
    AUTO(ticket_done) struct ticket t = {0};

    (void)state;
    ask.service = TGS_OWN_NAME;
    ask.more = ",\"options\":[\"renew\"]";
    AUTO(json_done) json_t *reply = grant(&tgs, TICKET_TGT, &t);
    assert_says_what_the_ticket_says(reply, &t);
    assert_int_equal(t.auth_time, tgt.auth_time);
    assert_int_equal(t.renew_till, tgt.renew_till);
    assert_int_equal(t.start, NOW);
    assert_int_equal(t.end, NOW + 36000);
    assert_int_equal(t.epoch, tgt.epoch);
    assert_memory_equal(t.client_id, tgt.client_id, ID_LEN);
    assert_memory_equal(t.parent_id, tgt.id, ID_LEN);

    tgt = t; /* the renewed one serves, and can be renewed again */
    ask.service = "chat";
    ask.more = "";
    assert_ok(send_new());
}

static void sealed__renews_up_to_renew_till(void **state)
{
    AUTO(ticket_done) struct ticket t = {0};

    (void)state;
    ask.service = TGS_OWN_NAME;
    ask.more = ",\"options\":[\"renew\"]";
    tgt.end = tgt.renew_till = NOW + 1000;
    AUTO(json_done) json_t *reply = grant(&tgs, TICKET_TGT, &t);
    assert_non_null(reply);
    assert_int_equal(t.end, NOW + 1000);

    now_s = NOW + 1000;
    assert_rc(send_new(), RC_TKT_EXPIRED);
    tgt.end += 1000; /* an AS that gave too much */
    assert_rc(send_new(), RC_RENEW_OVER);
    assert_string_equal(rc_wire(RC_RENEW_OVER), "KRB_AP_ERR_TKT_EXPIRED");
    now_s--;
    assert_ok(send_new());
}

static void sealed__renews_only_what_was_issued_so(void **state)
{
    (void)state;
    ask.more = ",\"options\":[\"renew\"]";
    assert_rc(send_new(), RC_NO_SERVICE); /* of the chat */
    ask.service = TGS_OWN_NAME;
    tgt.renew_till = 0;
    assert_rc(send_new(), RC_NOT_RENEWABLE);
    tgt.renew_till = NOW + 86400;
    assert_ok(send_new());
    ask.more = "";
    assert_rc(send_new(), RC_NO_SERVICE); /* a TGT is had by renewing alone */
}

static void sealed__renews_under_the_key_of_now(void **state)
{
    AUTO(ticket_done) struct ticket t = {0};
    struct key both[2] = {tgs};
    bool changed;

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 4, NOW, &both[1]));
    save_keytab(both, 2);
    assert_ok(keytab_file_refresh(env.keys, true, &changed));
    ask.service = TGS_OWN_NAME;
    ask.more = ",\"options\":[\"renew\"]";
    AUTO(json_done) json_t *reply = grant(&both[1], TICKET_TGT, &t);
    assert_int_equal(member_int(reply, "end_time"), t.end);
}

static void sealed__refuses_a_service_that_was_swapped_on_the_way(void **state)
{
    AUTO(buf_done) struct buf authenticator = {0};
    AUTO(key_done) struct key mail = {0};
    struct name name = named("mail");

    (void)state;
    assert_ok(tgs_store_add(store, &name, NOW, &mail));
    make_request();
    make_authenticator(&authenticator); /* for the chat */
    ask.service = "mail";
    make_body();
    join(&authenticator);
    assert_rc(send_it(NULL), RC_MODIFIED);

    ask.bound_service = "chat"; /* the hash right, the name not */
    assert_rc(send_new(), RC_MODIFIED);
    ask.bound_service = NULL;
    assert_ok(send_new());
}

static void sealed__refuses_an_authenticator_of_another_tgt(void **state)
{
    AUTO(buf_done) struct buf authenticator = {0};

    (void)state;
    make_request();
    make_authenticator(&authenticator);
    buf_reset(&tgt_text);
    seal_tgt(&tgt_text); /* the same ticket in another envelope */
    join(&authenticator);
    assert_rc(send_it(NULL), RC_MODIFIED);
}

static void sealed__refuses_authenticators_that_are_not_of_this_client(void **state)
{
    struct key session = tgt.session;

    (void)state;
    ask.client = "mallory";
    assert_rc(send_new(), RC_BAD_MATCH);
    ask.client = "Alice";
    assert_rc(send_new(), RC_BAD_MATCH);
    ask.bound_client = "mallory";
    assert_rc(send_new(), RC_MODIFIED);
    ask.client = ask.bound_client = "alice";

    ask.nonce = OTHER_NONCE;
    assert_rc(send_new(), RC_MODIFIED);
    ask.nonce = "";
    assert_rc(send_new(), RC_MODIFIED);
    ask.nonce = NONCE;

    make_request();
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &tgt.session));
    AUTO(buf_done) struct buf authenticator = {0};
    make_authenticator(&authenticator);
    join(&authenticator);
    assert_rc(send_it(NULL), RC_MODIFIED);
    tgt.session = session;
    assert_ok(send_new());
}

static void sealed__refuses_other_kinds_of_message(void **state)
{
    static const enum label others[] = {LABEL_AP_AUTHENTICATOR, LABEL_TGS_REPLY, LABEL_AS_PREAUTH, LABEL_TICKET};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        ask.label = others[i];
        assert_rc(send_new(), RC_MODIFIED);
    }
}

static void sealed__measures_the_clock_and_refuses_none(void **state)
{
    static const long long times[] = {0, -1, 1, NOW - 100000000, NOW + 100000000, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        ask.time_s = times[i];
        assert_ok(send_new());
    }
    ask.time_s = NOW - 77;
    assert_ok(send_new());
    assert_int_equal(audited.skew_s, -77);
}

static void sealed__answers_a_repeated_request_again(void **state)
{
    AUTO(buf_done) struct buf first = {0}, second = {0};

    (void)state;
    make_request();
    assert_ok(send_it(&first));
    assert_ok(send_it(&second));
    AUTO(json_done) json_t *a = opened(&first), *b = opened(&second);
    assert_string_not_equal(json_string_value(json_object_get(a, "session_key")),
                            json_string_value(json_object_get(b, "session_key")));
    assert_int_equal(replay_count(env.replay), 0);
}

static void sealed__answers_one_request_only(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    json_t *reply = NULL;
    uint8_t digest[SHA256_LEN];

    (void)state;
    make_request();
    assert_ok(send_it(&answer));
    make_request();
    assert_ok(sha256(buf_slice(&request), digest));
    struct bound b = {conf.realm_name, "alice", "chat", SLICE(digest)};
    assert_rc(open_reply(&tgt.session, LABEL_TGS_REPLY, &b, buf_slice(&answer), &reply), RC_MODIFIED);
}

static void sealed__takes_only_sealed_tickets(void **state)
{
    struct buf box = {0};

    (void)state;
    make_request();
    fill_tgt(ETYPE_AES128_CBC);
    buf_reset(&tgt_text);
    seal_tgt(&tgt_text);
    assert_ok(buf_text(&box, "AAAA"));
    join(&box);
    assert_rc(send_it(NULL), RC_BAD_ETYPE);
    assert_string_equal(rc_wire(RC_BAD_ETYPE), "KRB_AP_ERR_MODIFIED");
    buf_done(&box);
}

/* Every mixture of the profiles in one request is one of them, and is refused where its ticket is of the other. */
static void sealed__is_never_mixed_with_classic(void **state)
{
    AUTO(buf_done) struct buf box = {0}, text = {0}, classic = {0};

    (void)state;
    make_request(); /* of a sealed session */
    fill_tgt(ETYPE_AES128_CBC);
    seal_tgt(&classic);
    assert_ok(buf_printf(&text, "{\"user_name\": \"alice\", \"timestamp\": \"%s\"}", stamp_of(NOW)));
    box_of(tgt.session.bytes, buf_cstr(&text), &box);

    buf_reset(&request); /* a classic request that works ... */
    assert_ok(buf_printf(&request, "{\"tgs_ticket\":\"%s\",\"authenticator\":\"%s\",\"service\":\"chat\"}",
                         buf_cstr(&classic), buf_cstr(&box)));
    assert_ok(send_it(NULL));
    buf_reset(&request); /* ... is sealed, and malformed, with a v in it */
    assert_ok(buf_printf(&request, "{\"v\":1,\"tgs_ticket\":\"%s\",\"authenticator\":\"%s\",\"service\":\"chat\"}",
                         buf_cstr(&classic), buf_cstr(&box)));
    assert_rc(send_it(NULL), RC_MALFORMED);
    buf_reset(&request); /* a sealed TGT in a classic request */
    assert_ok(buf_printf(&request, "{\"tgs_ticket\":\"%s\",\"authenticator\":\"%s\",\"service\":\"chat\"}",
                         buf_cstr(&tgt_text), buf_cstr(&box)));
    assert_rc(send_it(NULL), RC_BAD_ETYPE);
    buf_reset(&request); /* both in one */
    assert_ok(buf_printf(&request,
                         "{\"v\":1,\"tgt\":\"%s\",\"tgs_ticket\":\"%s\",\"authenticator\":\"%s\",\"service\":\"chat\","
                         "\"body\":\"%s\"}",
                         buf_cstr(&classic), buf_cstr(&classic), buf_cstr(&box), buf_cstr(&body_text)));
    assert_rc(send_it(NULL), RC_BAD_ETYPE);
}

static void sealed__is_served_where_the_realm_allows_it(void **state)
{
    (void)state;
    (void)snprintf(conf.realm_profiles, sizeof conf.realm_profiles, "classic");
    assert_rc(send_new(), RC_PROFILE_OFF);
    (void)snprintf(conf.realm_profiles, sizeof conf.realm_profiles, "sealed");
    assert_ok(send_new());
}

static void sealed__refuses_tickets_that_do_not_count(void **state)
{
    (void)state;
    tgt.end = NOW;
    assert_rc(send_new(), RC_TKT_EXPIRED);
    tgt.end = NOW + 60;
    conf.realm_check_address = true;
    memcpy(tgt.address, "192.0.2.8", sizeof "192.0.2.8");
    assert_rc(send_new(), RC_BAD_ADDRESS);
    conf.realm_check_address = false;
    assert_ok(send_new());
    env.crash_s = NOW; /* nothing to forget: no cache */
    assert_ok(send_new());
    tgt.kind = TICKET_SERVICE;
    assert_rc(send_new(), RC_NOT_US);
}

static void sealed__knows_services_only(void **state)
{
    (void)state;
    ask.service = "mail";
    assert_rc(send_new(), RC_NO_SERVICE);
    ask.client = "mallory"; /* told to nobody who has not shown who he is */
    assert_rc(send_new(), RC_BAD_MATCH);
    ask.client = "alice";
    ask.service = "alice";
    assert_rc(send_new(), RC_NO_SERVICE);
    ask.service = "chat";
    state_sql(&conf, "tgs/tgs.db", "UPDATE service SET disabled = 1");
    assert_rc(send_new(), RC_SERVICE_DISABLED);
}

static void sealed__reads_bodies_strictly(void **state)
{
    static const char *const bad[] = {
        ",\"lifetime_s\":0",   ",\"lifetime_s\":-1",     ",\"lifetime_s\":\"60\"",
        ",\"lifetime_s\":1.5", ",\"options\":\"renew\"", ",\"options\":[\"forward\"]",
        ",\"options\":[7]",    ",\"service\":\"mail\"",  ",\"options\":[\"renew\",1]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask.more = bad[i];
        assert_rc(send_new(), RC_MALFORMED);
    }
    ask.more = ",\"options\":[],\"later\":{}";
    assert_ok(send_new());
}

static void sealed__reads_requests_strictly(void **state)
{
    static const char *const bad[] = {
        "{\"v\":1}",
        "{\"v\":2,\"tgt\":\"AAAA\",\"authenticator\":\"AAAA\",\"body\":\"e30\"}",
        "{\"v\":null,\"tgt\":\"AAAA\",\"authenticator\":\"AAAA\",\"body\":\"e30\"}",
        "{\"v\":1,\"tgt\":\"AAAA\",\"authenticator\":\"AAAA\",\"body\":\"e30\"}",  /* no service, no nonce */
        "{\"v\":1,\"tgt\":\"AAAA\",\"authenticator\":\"AAAA\",\"body\":\"e30=\"}", /* padded */
        "{\"v\":1,\"tgt\":\"AAAA\",\"authenticator\":\"AAAA\",\"body\":{}}",
        "{\"v\":1,\"tgt\":\"AAAA\",\"authenticator\":\"AAAA\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(post(bad[i], NULL), 400);
        assert_rc(audited.rc, RC_MALFORMED);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(sealed__grants_a_ticket_that_carries_on_the_tgt),
        TEST(sealed__never_outlives_the_tgt_nor_the_policy),
        TEST(sealed__renews_the_tgt),
        TEST(sealed__renews_up_to_renew_till),
        TEST(sealed__renews_only_what_was_issued_so),
        TEST(sealed__renews_under_the_key_of_now),
        TEST(sealed__refuses_a_service_that_was_swapped_on_the_way),
        TEST(sealed__refuses_an_authenticator_of_another_tgt),
        TEST(sealed__refuses_authenticators_that_are_not_of_this_client),
        TEST(sealed__refuses_other_kinds_of_message),
        TEST(sealed__measures_the_clock_and_refuses_none),
        TEST(sealed__answers_a_repeated_request_again),
        TEST(sealed__answers_one_request_only),
        TEST(sealed__takes_only_sealed_tickets),
        TEST(sealed__is_never_mixed_with_classic),
        TEST(sealed__is_served_where_the_realm_allows_it),
        TEST(sealed__refuses_tickets_that_do_not_count),
        TEST(sealed__knows_services_only),
        TEST(sealed__reads_bodies_strictly),
        TEST(sealed__reads_requests_strictly),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
