/* The TGS exchange on a fake clock: what it grants, and each rule refusing. */
#include "tests/unit/unit.h"

#include "tests/unit/boxes.h"
#include "tests/unit/tgs_world.h"

static enum rc serve(const struct buf *ticket, const struct buf *box, const char *service, struct buf *ret_body)
{
    const struct tgs_req req = {
        .profile = ETYPE_AES128_CBC,
        .authenticator = buf_slice(box),
        .tgs_ticket = buf_slice(ticket),
        .service = slice_text(service),
        .address = "192.0.2.7",
        .op_id = "op",
    };
    struct tgs_rep rep = {0};
    unsigned before = audited.n;

    enum rc rc = tgs_serve(&env, &req, &rep);
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

static void authenticator_of(const char *user, int64_t stamp_s, struct buf *out)
{
    AUTO(buf_done) struct buf text = {0};
    assert_ok(buf_printf(&text, "{\"user_name\": \"%s\", \"timestamp\": \"%s\"}", user, stamp_of(stamp_s)));
    box_of(tgt.session.bytes, buf_cstr(&text), out);
}

/* Asks for a service with the TGT as it stands. */
static enum rc ask_as(const char *user, int64_t stamp_s, const char *service)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};
    seal_tgt(&ticket);
    authenticator_of(user, stamp_s, &box);
    return serve(&ticket, &box, service, NULL);
}

static enum rc ask(void)
{
    return ask_as("alice", now_s, "chat");
}

static void serve__grants_a_ticket_that_carries_on_the_tgt(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf body = {0};
    AUTO(buf_done) struct buf key = {0};
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(ticket_done) struct ticket t = {0};
    struct name service = named("chat");

    (void)state;
    seal_tgt(&ticket);
    authenticator_of("alice", NOW, &box);
    assert_ok(serve(&ticket, &box, "chat", &body));
    assert_int_not_equal(body.p[body.n - 1], '\n');
    AUTO(json_done) json_t *reply = box_object(tgt.session.bytes, buf_slice(&body));

    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &service, &chat));
    assert_ok(ticket_open(kt, &conf.realm, &service, TICKET_SERVICE, member_text(reply, "service_ticket"), NOW, &t));
    assert_slice(name_slice(&t.client), "alice");
    assert_memory_equal(t.client_id, tgt.client_id, ID_LEN);
    assert_memory_equal(t.parent_id, tgt.id, ID_LEN);
    assert_memory_not_equal(t.id, tgt.id, ID_LEN);
    assert_string_equal(t.address, tgt.address);
    assert_int_equal(t.epoch, tgt.epoch);
    assert_int_equal(t.auth_time, tgt.auth_time);
    assert_int_equal(t.start, NOW);
    assert_int_equal(t.end, tgt.end); /* the policy's hour is cut */
    assert_int_equal(t.session.etype, ETYPE_AES128_CBC);
    assert_memory_not_equal(t.session.bytes, tgt.session.bytes, 16);

    assert_slice(member_text(reply, "service"), "chat");
    assert_int_equal(member_time(reply, "timestamp"), t.start);
    assert_int_equal(member_int(reply, "time_to_live"), t.end - t.start);
    assert_ok(base64_decode_lenient(member_text(reply, "client_service_sk"), &key));
    assert_int_equal(key.n, 16);
    assert_memory_equal(key.p, t.session.bytes, 16);
}

static void serve__gives_no_more_than_the_policy_does(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf body = {0};

    (void)state;
    conf.policy_classic_service_lifetime = 300;
    seal_tgt(&ticket);
    authenticator_of("alice", NOW, &box);
    assert_ok(serve(&ticket, &box, "chat", &body));
    AUTO(json_done) json_t *reply = box_object(tgt.session.bytes, buf_slice(&body));
    assert_int_equal(member_int(reply, "time_to_live"), 300);
}

static void serve__refuses_every_turned_letter_of_a_ticket(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    seal_tgt(&ticket);
    authenticator_of("alice", NOW, &box);
    for (size_t i = 0; i < ticket.n; i++) {
        uint8_t was = ticket.p[i];
        ticket.p[i] = was == 'A' ? 'B' : 'A';
        enum rc rc = serve(&ticket, &box, "chat", NULL);
        assert_string_equal(rc_wire(rc), "KRB_AP_ERR_MODIFIED");
        assert_false(audited.has_tgt);
        ticket.p[i] = was;
    }
    assert_ok(serve(&ticket, &box, "chat", NULL));
}

static void serve__refuses_a_ticket_past_its_end(void **state)
{
    (void)state;
    tgt.end = NOW - 1;
    assert_rc(ask(), RC_TKT_EXPIRED);
    assert_true(audited.has_tgt);
}

static void serve__refuses_tickets_that_are_not_its_own(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf foreign = {0};
    struct name realm = named("ELSEWHERE");

    (void)state;
    authenticator_of("alice", NOW, &box);

    /* a service ticket of its own issuing */
    tgt.kind = TICKET_SERVICE;
    tgt.server = named("chat");
    assert_ok(ticket_seal(&chat, &conf.realm, &tgt, &ticket));
    assert_string_equal(rc_wire(serve(&ticket, &box, "chat", NULL)), "KRB_AP_ERR_MODIFIED");

    /* another realm under the same key */
    tgt.kind = TICKET_TGT;
    tgt.server = env.name;
    assert_ok(ticket_seal(&tgs, &realm, &tgt, &foreign));
    assert_string_equal(rc_wire(serve(&foreign, &box, "chat", NULL)), "KRB_AP_ERR_MODIFIED");
}

static void serve__opens_with_the_key_version_that_the_ticket_names(void **state)
{
    struct key next[2] = {tgs};
    bool changed;

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 4, NOW, &next[1]));
    save_keytab(next, 2);
    assert_ok(keytab_file_refresh(env.keys, true, &changed));
    assert_ok(ask());
    save_keytab(next + 1, 1);
    assert_ok(keytab_file_refresh(env.keys, true, &changed));
    assert_rc(ask(), RC_NO_KVNO);
}

static void serve__refuses_a_sealed_ticket_in_a_classic_request(void **state)
{
    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &tgt.session));
    assert_rc(ask(), RC_BAD_ETYPE);
}

static void serve__refuses_classic_where_the_realm_dropped_it(void **state)
{
    (void)state;
    (void)snprintf(conf.realm_profiles, sizeof conf.realm_profiles, "sealed");
    assert_rc(ask(), RC_PROFILE_OFF);
    (void)snprintf(conf.realm_profiles, sizeof conf.realm_profiles, "sealed, classic");
    assert_ok(ask());
}

static void serve__binds_the_address_when_the_realm_says_so(void **state)
{
    (void)state;
    memcpy(tgt.address, "192.0.2.8", sizeof "192.0.2.8");
    assert_ok(ask());
    conf.realm_check_address = true;
    assert_rc(ask(), RC_BAD_ADDRESS);
    memcpy(tgt.address, "192.0.2.7", sizeof "192.0.2.7");
    assert_ok(ask());
    conf.realm_check_address = false;
}

static void serve__refuses_an_authenticator_under_another_key(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    seal_tgt(&ticket);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &tgt.session));
    authenticator_of("alice", NOW, &box);
    assert_rc(serve(&ticket, &box, "chat", NULL), RC_MODIFIED);
    buf_reset(&box);
    assert_ok(buf_text(&box, "not base64"));
    assert_rc(serve(&ticket, &box, "chat", NULL), RC_MODIFIED);
}

static void serve__refuses_somebody_elses_ticket(void **state)
{
    (void)state;
    assert_rc(ask_as("mallory", NOW, "chat"), RC_BAD_MATCH);
    assert_rc(ask_as("Alice", NOW, "chat"), RC_BAD_MATCH);
}

static void serve__refuses_stamps_outside_the_skew(void **state)
{
    (void)state;
    assert_ok(ask_as("alice", NOW - 600, "chat"));
    assert_rc(ask_as("alice", NOW - 601, "chat"), RC_SKEW);
    assert_ok(ask_as("alice", NOW + 600, "chat"));
    assert_rc(ask_as("alice", NOW + 601, "chat"), RC_SKEW);
}

static void serve__refuses_tickets_of_before_a_crash(void **state)
{
    (void)state;
    env.crash_s = tgt.start;
    assert_rc(ask(), RC_TKT_BEFORE_CRASH);
    assert_string_equal(rc_wire(RC_TKT_BEFORE_CRASH), "KRB_AP_ERR_TKT_EXPIRED");
    env.crash_s = tgt.start - 1;
    assert_ok(ask());
}

static void serve__accepts_an_authenticator_once(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};

    (void)state;
    seal_tgt(&ticket);
    authenticator_of("alice", NOW, &box);
    assert_ok(serve(&ticket, &box, "chat", NULL));
    assert_rc(serve(&ticket, &box, "chat", NULL), RC_REPEAT);
    now_s += 600;
    assert_rc(serve(&ticket, &box, "chat", NULL), RC_REPEAT);
    assert_ok(ask());
    assert_ok(ask()); /* two honest ones of one second */
}

static void serve__refuses_a_repeat_that_was_dressed_up(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf whole = {0};
    const uint8_t turn[] = {'{' ^ ' ', ' ' ^ '{'};
    char text[96];

    (void)state;
    seal_tgt(&ticket);
    snprintf(text, sizeof text, "{  \"user_name\": \"alice\", \"timestamp\": \"%s\"}", stamp_of(NOW));
    box_of(tgt.session.bytes, text, &box);
    assert_ok(serve(&ticket, &box, "chat", NULL));
    box_turn_iv(&box, turn, sizeof turn);
    assert_rc(serve(&ticket, &box, "chat", NULL), RC_REPEAT);

    int n = snprintf(text, sizeof text, "{\"user_name\": \"alice\",       \"timestamp\": \"%s\"}", stamp_of(NOW));
    assert_int_equal(n % AES_BLOCK, 0);
    box_of(tgt.session.bytes, text, &whole);
    assert_ok(serve(&ticket, &whole, "chat", NULL));
    box_cut_block(&whole);
    assert_rc(serve(&ticket, &whole, "chat", NULL), RC_REPEAT);
}

static void serve__refuses_a_client_who_filled_his_share_and_no_other(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < REPLAY_PER_OWNER_MAX; i++) {
        uint8_t digest[SHA256_LEN] = {0};
        put_u32be(digest, i);
        assert_ok(replay_check(env.replay, tgt.client_id, digest, NOW + 600, NOW));
    }
    assert_rc(ask(), RC_RATE_LIMITED);
    assert_ok(random_bytes(tgt.id, ID_LEN)); /* another TGT is no way around it */
    assert_rc(ask(), RC_RATE_LIMITED);
    fill_tgt(ETYPE_AES128_CBC); /* of somebody else */
    assert_ok(ask());
}

static void serve__knows_services_only(void **state)
{
    (void)state;
    assert_rc(ask_as("alice", NOW, "mail"), RC_NO_SERVICE);
    assert_rc(ask_as("alice", NOW, "alice"), RC_NO_SERVICE); /* a user is no target */
    assert_rc(ask_as("alice", NOW, "tgs"), RC_NO_SERVICE);
    assert_rc(ask_as("alice", NOW, ""), RC_MALFORMED);
    assert_rc(ask_as("alice", NOW, "ch\xff"), RC_MALFORMED);
    state_sql(&conf, "tgs/tgs.db", "UPDATE service SET disabled = 1");
    assert_rc(ask(), RC_SERVICE_DISABLED);
}

static void serve__tells_of_services_only_who_is_authenticated(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf box = {0};
    AUTO(buf_done) struct buf none = {0};

    (void)state;
    seal_tgt(&ticket);
    authenticator_of("alice", NOW, &box);
    assert_rc(serve(&ticket, &none, "mail", NULL), RC_MODIFIED);
    assert_rc(serve(&none, &box, "mail", NULL), RC_MODIFIED);
    assert_rc(ask_as("mallory", NOW, "mail"), RC_BAD_MATCH);
    assert_ok(serve(&ticket, &box, "chat", NULL));
    assert_rc(serve(&ticket, &box, "mail", NULL), RC_REPEAT);
}

/* --- over HTTP -------------------------------------------------------------------------------------------------- */

static void grant_post__reads_forms_and_json(void **state)
{
    AUTO(buf_done) struct buf form = {0};
    AUTO(buf_done) struct buf object = {0};
    AUTO(buf_done) struct buf body = {0};

    (void)state;
    assert_ok(buf_text(&form, "service=chat&tgs_ticket=")); /* both pasted as they are */
    seal_tgt(&form);
    assert_ok(buf_text(&form, "&authenticator="));
    authenticator_of("alice", NOW, &form);
    assert_int_equal(post(buf_cstr(&form), &body), 200);
    json_t *reply = box_object(tgt.session.bytes, buf_slice(&body));
    json_done(&reply);

    assert_ok(buf_text(&object, "{\"service\": \"chat\", \"tgs_ticket\": \""));
    seal_tgt(&object);
    assert_ok(buf_text(&object, "\", \"authenticator\": \""));
    authenticator_of("alice", NOW, &object);
    assert_ok(buf_text(&object, "\"}"));
    assert_int_equal(post(buf_cstr(&object), NULL), 200);
}

static void grant_post__refuses_what_is_missing(void **state)
{
    AUTO(buf_done) struct buf answer = {0};

    (void)state;
    assert_int_equal(post("service=chat&tgs_ticket=AAAA", NULL), 400);
    assert_int_equal(post("service=chat&authenticator=AAAA", NULL), 400);
    assert_int_equal(post("tgs_ticket=AAAA&authenticator=AAAA", NULL), 400);
    assert_int_equal(post("[]", NULL), 400);
    assert_rc(audited.rc, RC_MALFORMED);
    assert_int_equal(post("service=chat&tgs_ticket=AAAA&authenticator=AAAA", &answer), 401);
    assert_non_null(memmem(answer.p, answer.n, "KRB_AP_ERR_MODIFIED", 19));
}

static void ready__needs_a_key_whose_time_has_come(void **state)
{
    struct key later;
    bool changed;

    (void)state;
    assert_ok(tgs_ready(&env));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 4, NOW + 1, &later));
    save_keytab(&later, 1);
    assert_ok(keytab_file_refresh(env.keys, true, &changed));
    assert_rc(tgs_ready(&env), RC_NO_KEY);
    now_s++;
    assert_ok(tgs_ready(&env));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(serve__grants_a_ticket_that_carries_on_the_tgt),
        TEST(serve__gives_no_more_than_the_policy_does),
        TEST(serve__refuses_every_turned_letter_of_a_ticket),
        TEST(serve__refuses_a_ticket_past_its_end),
        TEST(serve__refuses_tickets_that_are_not_its_own),
        TEST(serve__opens_with_the_key_version_that_the_ticket_names),
        TEST(serve__refuses_a_sealed_ticket_in_a_classic_request),
        TEST(serve__refuses_classic_where_the_realm_dropped_it),
        TEST(serve__binds_the_address_when_the_realm_says_so),
        TEST(serve__refuses_an_authenticator_under_another_key),
        TEST(serve__refuses_somebody_elses_ticket),
        TEST(serve__refuses_stamps_outside_the_skew),
        TEST(serve__refuses_tickets_of_before_a_crash),
        TEST(serve__accepts_an_authenticator_once),
        TEST(serve__refuses_a_repeat_that_was_dressed_up),
        TEST(serve__refuses_a_client_who_filled_his_share_and_no_other),
        TEST(serve__knows_services_only),
        TEST(serve__tells_of_services_only_who_is_authenticated),
        TEST(grant_post__reads_forms_and_json),
        TEST(grant_post__refuses_what_is_missing),
        TEST(ready__needs_a_key_whose_time_has_come),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
