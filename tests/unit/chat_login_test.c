/* The login of the chat: who is let in, and everybody who is not. */
#include "tests/unit/wire.h"

static void login__tells_who_it_is(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW - 7);

    assert_false(wire_conn_is_authed(kit->conn));
    assert_ok(kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), ",\"extensions\":true,\"id\":\"L1\"", WIRE_NOW));
    const struct chat_login *login = kit->event.login;
    assert_int_equal(kit->event.kind, CHAT_LOGIN);
    assert_string_equal(login->client.s, "alice");
    assert_memory_equal(login->client_id, kit->ticket.client_id, ID_LEN);
    assert_int_equal(login->ticket_end_s, WIRE_NOW + 3600);
    assert_int_equal(login->authenticator_s, WIRE_NOW - 7);
    assert_true(login->extensions);
    assert_slice(login->label, "L1");
    assert_true(wire_conn_is_authed(kit->conn));
    assert_slice(wire_conn_name(kit->conn), "alice");
}

static void login__has_no_extensions_unless_true(void **state)
{
    static const char *const others[] = {"", ",\"extensions\":false", ",\"extensions\":1", ",\"extensions\":\"true\""};
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
        AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW);
        assert_ok(kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), others[i], WIRE_NOW));
        assert_false(kit->event.login->extensions);
        kit_new_conn(kit);
    }
}

static void refused(struct wire_kit *kit, enum rc is, enum rc want)
{
    assert_rc(is, want);
    assert_code(kit, LOGIN_FAILED);
    assert_false(wire_conn_is_authed(kit->conn));
}

static void login__refuses_other_services_and_realms(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(key_done) struct key other = {0};
    struct name realm = wire_name("ELSEWHERE");
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW);

    /* sealed under our key, but for another service, or in another realm */
    kit->ticket.server = wire_name("mail");
    refused(kit, kit_login(kit), RC_MODIFIED);
    kit->ticket.server = kit->service;
    AUTO(buf_done) struct buf foreign = kit_sealed_ticket(kit, &kit->service_key, &realm);
    refused(kit, kit_login_as(kit, buf_slice(&foreign), buf_slice(&a), "", WIRE_NOW), RC_MODIFIED);

    /* under another key of the same version, and of a version that is not here */
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, WIRE_KVNO, 0, &other));
    AUTO(buf_done) struct buf forged = kit_sealed_ticket(kit, &other, &kit->conf.realm);
    refused(kit, kit_login_as(kit, buf_slice(&forged), buf_slice(&a), "", WIRE_NOW), RC_MODIFIED);
    other = kit->service_key;
    other.kvno = WIRE_KVNO + 1;
    AUTO(buf_done) struct buf newer = kit_sealed_ticket(kit, &other, &kit->conf.realm);
    refused(kit, kit_login_as(kit, buf_slice(&newer), buf_slice(&a), "", WIRE_NOW), RC_NO_KVNO);

    /* a ticket for the TGS is none for a service */
    kit->ticket.kind = TICKET_TGT;
    refused(kit, kit_login(kit), RC_NOT_US);
    kit->ticket.kind = TICKET_SERVICE;
    assert_ok(kit_login(kit));
}

static void login__refuses_another_service_in_the_frame(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf frame = {0}, ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW);

    assert_ok(buf_printf(
        &frame, "{\"type\":\"login\",\"service\":\"mail\",\"service_ticket\":\"%.*s\",\"authenticator\":\"%.*s\"}",
        SLICE_FMT(buf_slice(&ticket)), SLICE_FMT(buf_slice(&a))));
    refused(kit, kit_read(kit, buf_slice(&frame), WIRE_NOW), RC_NO_SERVICE);
}

/* Every bit of the envelope; with it the IV, whose bits turned xdmin into admin in the original. */
static void login__refuses_every_flipped_bit(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf raw = {0};

    kit_ticket(kit, "xdmin");
    AUTO(buf_done) struct buf text = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "xdmin", WIRE_NOW);
    assert_ok(base64url_decode(buf_slice(&text), &raw));
    for (size_t bit = 0; bit < raw.n * 8; bit++) {
        AUTO(buf_done) struct buf bad = {0};
        raw.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_ok(base64url_encode(buf_slice(&raw), &bad));
        assert_true(kit_login_as(kit, buf_slice(&bad), buf_slice(&a), "", WIRE_NOW) != RC_OK);
        assert_code(kit, LOGIN_FAILED);
        raw.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_ok(kit_login_as(kit, buf_slice(&text), buf_slice(&a), "", WIRE_NOW));
}

static void login__refuses_what_is_no_ticket(void **state)
{
    static const char *const texts[] = {"", "A", "====", "AQEAAAAD", "not a ticket"};
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW);
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        refused(kit, kit_login_as(kit, slice_text(texts[i]), buf_slice(&a), "", WIRE_NOW), RC_MODIFIED);
    for (size_t n = 1; n < ticket.n; n += 7)
        refused(kit, kit_login_as(kit, slice_of(ticket.p, n), buf_slice(&a), "", WIRE_NOW), RC_MODIFIED);
}

static void login__refuses_a_ticket_out_of_its_time(void **state)
{
    struct wire_kit *kit = *state;

    refused(kit, kit_login_at(kit, kit->ticket.end, kit->ticket.end), RC_TKT_EXPIRED);
    refused(kit, kit_login_at(kit, kit->ticket.end + 1, kit->ticket.end + 1), RC_TKT_EXPIRED);
    kit->ticket.start = WIRE_NOW + 601;
    refused(kit, kit_login(kit), RC_TKT_EXPIRED);
    kit->ticket.start = WIRE_NOW - 50;
    assert_ok(kit_login_at(kit, kit->ticket.end - 1, kit->ticket.end - 1));
}

static void login__refuses_a_ticket_of_the_other_profile(void **state)
{
    struct wire_kit *kit = *state;

    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &kit->ticket.session));
    refused(kit, kit_login(kit), RC_BAD_ETYPE);
}

static void login__refuses_a_wrong_authenticator(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "\"alice\"",
        "{\"user_name\": \"alice\"}",
        "{\"timestamp\": \"2026-09-21 14:13:20\"}",
        "{\"user_name\": \"alice\", \"timestamp\": 1790000000}",
        "{\"user_name\": 1, \"timestamp\": \"2026-09-21 14:13:20\"}",
        "{\"user_name\": \"alice\", \"timestamp\": \"yesterday\"}",
        "{\"user_name\": \"alice\", \"timestamp\": \"2026-09-21 14:13:20\"} and more",
        "{\"user_name\": \"alice\", \"user_name\": \"alice\", \"timestamp\": \"2026-09-21 14:13:20\"}",
    };
    struct wire_kit *kit = *state;
    AUTO(key_done) struct key other = {0};
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(buf_done) struct buf a = kit_box(&kit->ticket.session, texts[i]);
        refused(kit, kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", WIRE_NOW), RC_MODIFIED);
    }
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &other));
    AUTO(buf_done) struct buf foreign = kit_authenticator(&other, "alice", WIRE_NOW);
    refused(kit, kit_login_as(kit, buf_slice(&ticket), buf_slice(&foreign), "", WIRE_NOW), RC_MODIFIED);
    refused(kit, kit_login_as(kit, buf_slice(&ticket), slice_text(""), "", WIRE_NOW), RC_MODIFIED);
}

static void login__refuses_another_name(void **state)
{
    static const char *const names[] = {"bob", "Alice", "alice2", "alic"};
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, names[i], WIRE_NOW);
        refused(kit, kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", WIRE_NOW), RC_BAD_MATCH);
    }
}

static void login__holds_the_stamp_against_the_clock(void **state)
{
    struct wire_kit *kit = *state;

    refused(kit, kit_login_at(kit, WIRE_NOW - 601, WIRE_NOW), RC_SKEW);
    refused(kit, kit_login_at(kit, WIRE_NOW + 601, WIRE_NOW), RC_SKEW);
    assert_ok(kit_login_at(kit, WIRE_NOW - 600, WIRE_NOW));
    kit_new_conn(kit);
    assert_ok(kit_login_at(kit, WIRE_NOW + 600, WIRE_NOW));
}

/* --- replay ------------------------------------------------------------------------------------------------------- */

static enum rc again(struct wire_kit *kit, struct slice ticket, const struct buf *raw, int64_t now_s)
{
    AUTO(buf_done) struct buf box = {0};

    kit_new_conn(kit);
    assert_ok(base64_encode(buf_slice(raw), &box));
    return kit_login_as(kit, ticket, buf_slice(&box), "", now_s);
}

static void login__refuses_an_authenticator_twice(void **state)
{
    /* 64 bytes, so the padding is a block of its own; a blank behind the brace, for the IV to change */
    static const char text[] = "{ \"user_name\":\"alice\"      ,\"timestamp\":\"2026-09-21 14:13:20\"}  ";
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf box = kit_box(&kit->ticket.session, text), raw = {0};
    struct slice t = buf_slice(&ticket);

    assert_int_equal(strlen(text), 64);
    assert_ok(base64_decode_lenient(buf_slice(&box), &raw));
    assert_ok(kit_login_as(kit, t, buf_slice(&box), "", WIRE_NOW));
    refused(kit, again(kit, t, &raw, WIRE_NOW), RC_REPEAT);
    refused(kit, again(kit, t, &raw, WIRE_NOW + 600), RC_REPEAT);

    raw.p[1] ^= ' ' ^ '\t'; /* IV changed: the text is re-spaced and means the same */
    refused(kit, again(kit, t, &raw, WIRE_NOW), RC_REPEAT);
    raw.p[1] ^= ' ' ^ '\t';
    raw.n -= AES_BLOCK; /* the pure padding block cut off */
    refused(kit, again(kit, t, &raw, WIRE_NOW), RC_REPEAT);

    kit_new_conn(kit);
    assert_ok(kit_login(kit)); /* an honest second login in the same second */
}

/* Somebody who fills his share of the replay cache, with however many tickets, hurts himself alone. */
static void login__is_bounded_per_client(void **state)
{
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < REPLAY_PER_OWNER_MAX; i++) {
        if (i % 512 == 0)
            kit_ticket(kit, "alice");
        kit_new_conn(kit);
        assert_ok(kit_login(kit));
    }
    kit_new_conn(kit);
    kit_ticket(kit, "alice");
    assert_rc(kit_login(kit), RC_RATE_LIMITED); /* his ticket is good: he may try again */
    assert_code(kit, RATE_LIMITED);
    assert_false(wire_conn_is_authed(kit->conn));
    kit_ticket(kit, "bob");
    assert_ok(kit_login(kit));
    kit_new_conn(kit);
    kit_ticket(kit, "alice");
    assert_ok(kit_login_at(kit, WIRE_NOW + 601, WIRE_NOW + 601));
}

static void login__remembers_authenticators_over_an_orderly_restart(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW + 500);

    assert_ok(kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", WIRE_NOW));
    kit_stop(kit);
    kit->started_s = WIRE_NOW + 10;
    kit_start(kit);
    refused(kit, kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", WIRE_NOW + 20), RC_REPEAT);
    assert_ok(kit_login_at(kit, WIRE_NOW + 20, WIRE_NOW + 20)); /* the ticket itself is good still */
}

/* A crash leaves nothing: what was accepted before it could come again, so its tickets are worth nothing. */
static void login__refuses_tickets_from_before_a_crash(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, "alice", WIRE_NOW + 500);
    AUTO(str_done) char *replay = state_path(&kit->conf, "chat/replay");

    assert_ok(kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", WIRE_NOW));
    kit_stop(kit);
    assert_int_equal(unlink(replay), 0);
    kit->started_s = WIRE_NOW + 10;
    kit_start(kit);
    refused(kit, kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", WIRE_NOW + 20), RC_TKT_BEFORE_CRASH);
    kit->ticket.start = WIRE_NOW + 10; /* of the second of the start itself */
    refused(kit, kit_login_at(kit, WIRE_NOW + 20, WIRE_NOW + 20), RC_TKT_BEFORE_CRASH);
    kit->ticket.start = WIRE_NOW + 11;
    assert_ok(kit_login_at(kit, WIRE_NOW + 20, WIRE_NOW + 20));
}

/* Without the stamps of frames a restart is none that old tickets may outlive. */
static void login__refuses_old_tickets_when_the_stamps_are_lost(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(str_done) char *stamps = state_path(&kit->conf, "chat/stamps");

    assert_ok(kit_login(kit));
    kit_stop(kit);
    assert_int_equal(unlink(stamps), 0);
    kit->started_s = WIRE_NOW + 10;
    kit_start(kit);
    refused(kit, kit_login_at(kit, WIRE_NOW + 20, WIRE_NOW + 20), RC_TKT_BEFORE_CRASH);
}

static void login__holds_the_address_when_told_to(void **state)
{
    struct wire_kit *kit = *state;

    (void)snprintf(kit->ticket.address, ADDRESS_MAX, "192.0.2.1");
    assert_ok(kit_login(kit));
    kit_new_conn(kit);
    kit->conf.realm_check_address = true;
    refused(kit, kit_login(kit), RC_BAD_ADDRESS);
    (void)snprintf(kit->ticket.address, ADDRESS_MAX, "127.0.0.1");
    assert_ok(kit_login(kit));
}

/* --- frames before the login -------------------------------------------------------------------------------------- */

static void login__wants_its_fields(void **state)
{
    static const char *const frames[] = {
        "{\"type\":\"login\"}",
        "{\"type\":\"login\",\"service\":\"chat\",\"authenticator\":\"x\"}",
        "{\"type\":\"login\",\"service\":\"chat\",\"service_ticket\":\"x\"}",
        "{\"type\":\"login\",\"service_ticket\":\"x\",\"authenticator\":\"x\"}",
        "{\"type\":\"login\",\"service\":1,\"service_ticket\":\"x\",\"authenticator\":\"x\"}",
        "{\"type\":\"login\",\"service\":\"chat\",\"service_ticket\":{},\"authenticator\":\"x\"}",
        "{\"type\":\"login\",\"service\":\"chat\",\"service_ticket\":\"x\",\"authenticator\":null}",
    };
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(frames); i++)
        refused(kit, kit_read(kit, slice_text(frames[i]), WIRE_NOW), RC_MALFORMED);
}

static void first_frame__is_a_login(void **state)
{
    static const char *const malformed[] = {"",
                                            " ",
                                            "x",
                                            "[]",
                                            "null",
                                            "{",
                                            "{}",
                                            "{\"type\":1}",
                                            "{\"type\":\"\"}",
                                            "{\"type\":\"hello\"}",
                                            "{\"type\":\"login\"} {}"};
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        assert_true(kit_read(kit, slice_text(malformed[i]), WIRE_NOW) != RC_OK);
        assert_code(kit, MALFORMED);
    }
    assert_true(kit_read(kit, slice_text("{\"type\":\"online\",\"id\":\"7\"}"), WIRE_NOW) != RC_OK);
    assert_code(kit, NOT_LOGGED_IN);
    assert_int_equal(kit->event.request->cmd, CMD_ONLINE);
    assert_slice(kit->event.request->label, "7");
    AUTO(buf_done) struct buf boxed = kit_frame(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}", WIRE_NOW);
    assert_true(kit_read(kit, buf_slice(&boxed), WIRE_NOW) != RC_OK);
    assert_code(kit, MALFORMED);
    assert_ok(kit_login(kit));
}

/* Before the login in clear, after it under the session key. */
static void answers__are_sealed_after_the_login(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf plain = {0}, sealed = {0}, opened = {0};
    uint8_t digest[SHA256_LEN];
    bool is_binary;

    assert_ok(wire_seal(kit->conn, slice_text("{\"a\":1}"), &plain, &is_binary));
    assert_slice(buf_slice(&plain), "{\"a\":1}");
    assert_ok(kit_login(kit));
    assert_ok(wire_seal(kit->conn, slice_text("{\"a\":1}"), &sealed, &is_binary));
    assert_ok(box_open(kit->ticket.session.bytes, buf_slice(&sealed), &opened, digest));
    assert_slice(buf_slice(&opened), "{\"a\":1}");
    assert_null(memchr(sealed.p, '\n', sealed.n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(login__tells_who_it_is),
        KIT_TEST(login__has_no_extensions_unless_true),
        KIT_TEST(login__refuses_other_services_and_realms),
        KIT_TEST(login__refuses_another_service_in_the_frame),
        KIT_TEST(login__refuses_every_flipped_bit),
        KIT_TEST(login__refuses_what_is_no_ticket),
        KIT_TEST(login__refuses_a_ticket_out_of_its_time),
        KIT_TEST(login__refuses_a_ticket_of_the_other_profile),
        KIT_TEST(login__refuses_a_wrong_authenticator),
        KIT_TEST(login__refuses_another_name),
        KIT_TEST(login__holds_the_stamp_against_the_clock),
        KIT_TEST(login__refuses_an_authenticator_twice),
        KIT_TEST(login__is_bounded_per_client),
        KIT_TEST(login__remembers_authenticators_over_an_orderly_restart),
        KIT_TEST(login__refuses_tickets_from_before_a_crash),
        KIT_TEST(login__refuses_old_tickets_when_the_stamps_are_lost),
        KIT_TEST(login__holds_the_address_when_told_to),
        KIT_TEST(login__wants_its_fields),
        KIT_TEST(first_frame__is_a_login),
        KIT_TEST(answers__are_sealed_after_the_login),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
