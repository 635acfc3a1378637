/* The sealed connection: its handshake as a client sees it, and what an attacker may try with its frames. */
#include "shared/crypto/record.h"
#include "tests/unit/wire.h"

#define NONCE 32

/* A client of one connection. */
struct client {
    struct wire_kit *kit;
    struct buf challenge, login, welcome;
    uint8_t nonce[NONCE];
    struct ecdh *pair;
    uint8_t point[ECDH_POINT];
    struct record_stream c2s, s2c;
    bool has_point;     /* the test has chosen it */
    const char *resume; /* of the authenticator; NULL: none */
    uint8_t token[SHA256_LEN];
};

static void get_bytes(const json_t *j, const char *name, uint8_t *out, size_t n)
{
    AUTO(buf_done) struct buf bytes = {0};
    struct slice text;

    assert_ok(json_get_text(j, name, &text));
    assert_ok(base64url_decode(text, &bytes));
    assert_int_equal(bytes.n, n);
    memcpy(out, bytes.p, n);
}

static int sealed_setup(void **state)
{
    struct client *c = calloc(1, sizeof(*c));
    void *kit = NULL;

    assert_non_null(c);
    assert_int_equal(kit_setup(&kit), 0);
    c->kit = kit;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &c->kit->ticket.session));
    *state = c;
    return 0;
}

static void client_forget(struct client *c)
{
    buf_done(&c->challenge);
    buf_done(&c->login);
    buf_done(&c->welcome);
    ecdh_free(c->pair);
    c->pair = NULL;
    record_stream_done(&c->c2s);
    record_stream_done(&c->s2c);
}

static int sealed_teardown(void **state)
{
    struct client *c = *state;
    void *kit = c->kit;

    client_forget(c);
    (void)kit_teardown(&kit);
    free(c);
    return 0;
}

/* A new connection; its challenge is taken. */
static void client_connect(struct client *c)
{
    AUTO(json_done) json_t *j = NULL;

    client_forget(c);
    wire_conn_free(c->kit->conn);
    c->kit->conn = wire_conn_new(c->kit->wire, WIRE_SEALED, "127.0.0.1");
    assert_non_null(c->kit->conn);
    assert_ok(wire_handshake(c->kit->conn, WIRE_NOW, &c->challenge));
    assert_ok(json_parse_object(buf_slice(&c->challenge), JSON_DEPTH_CHAT, &j));
    get_bytes(j, "nonce", c->nonce, NONCE);
    if (!c->has_point)
        assert_ok(ecdh_new(&c->pair, c->point));
}

static struct envelope_aad aad_of(const struct client *c, const struct buf *context)
{
    return (struct envelope_aad){.realm = name_slice(&c->kit->conf.realm),
                                 .client = name_slice(&c->kit->ticket.client),
                                 .server = name_slice(&c->kit->service),
                                 .context = buf_slice(context)};
}

/* The authenticator of this ticket text for this nonce, as base64url. */
static struct buf authenticator(const struct client *c, struct slice ticket, enum label label, const char *name)
{
    AUTO(buf_done) struct buf context = {0}, plain = {0}, envelope = {0};
    struct envelope_key key;
    struct buf text = {0};

    struct jw j = jw_start(&plain);
    jw_open(&j, NULL, '{');
    jw_text(&j, "client", slice_text(name));
    jw_base64url(&j, "nonce", slice_of(c->nonce, NONCE));
    jw_base64url(&j, "ecdh", slice_of(c->point, ECDH_POINT));
    jw_int(&j, "time", 1); /* measured, never refused */
    jw_text(&j, "device", slice_text("test"));
    if (c->resume)
        jw_raw(&j, "resume", slice_text(c->resume));
    jw_close(&j, '}');
    assert_ok(jw_end(&j));
    assert_ok(envelope_context(&ticket, 1, &context));
    assert_ok(buf_add(&context, slice_of(c->nonce, NONCE)));
    struct envelope_aad aad = aad_of(c, &context);
    assert_ok(envelope_derive(&c->kit->ticket.session, label, &key));
    assert_ok(envelope_seal(&key, &aad, buf_slice(&plain), &envelope));
    assert_ok(base64url_encode(buf_slice(&envelope), &text));
    return text;
}

static enum rc client_read(struct client *c, struct slice message, bool is_binary)
{
    enum rc rc;
    wire_read(c->kit->conn, message, is_binary, WIRE_NOW, &c->kit->event, &rc);
    return rc;
}

static enum rc client_login_as(struct client *c, enum label label, const char *name)
{
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(c->kit, &c->kit->service_key, &c->kit->conf.realm);
    AUTO(buf_done) struct buf a = authenticator(c, buf_slice(&ticket), label, name);

    buf_reset(&c->login);
    assert_ok(buf_printf(&c->login, "{\"type\":\"login\",\"v\":1,\"ticket\":\"%.*s\",\"authenticator\":\"%.*s\"}",
                         SLICE_FMT(buf_slice(&ticket)), SLICE_FMT(buf_slice(&a))));
    return client_read(c, buf_slice(&c->login), false);
}

/* From the welcome to the keys of both directions. */
static void client_take_welcome(struct client *c)
{
    AUTO(json_done) json_t *j = NULL, *reply = NULL;
    AUTO(buf_done) struct buf envelope = {0}, plain = {0}, context = {0};
    struct record_secrets secrets;
    struct record_parties parties = {.realm = name_slice(&c->kit->conf.realm),
                                     .client = name_slice(&c->kit->ticket.client),
                                     .server = name_slice(&c->kit->service)};
    struct envelope_key key;
    struct slice text, login = buf_slice(&c->login);
    uint8_t point[ECDH_POINT];

    assert_ok(wire_handshake(c->kit->conn, WIRE_NOW, &c->welcome));
    assert_ok(json_parse_object(buf_slice(&c->welcome), JSON_DEPTH_CHAT, &j));
    assert_ok(json_get_text(j, "reply", &text));
    assert_ok(base64url_decode(text, &envelope));
    assert_ok(envelope_context(&login, 1, &context));
    struct envelope_aad aad = aad_of(c, &context);
    assert_ok(envelope_derive(&c->kit->ticket.session, LABEL_AP_REPLY, &key));
    assert_ok(envelope_open(&key, &aad, buf_slice(&envelope), &plain));
    assert_ok(json_parse_object(buf_slice(&plain), JSON_DEPTH_CHAT, &reply));
    get_bytes(reply, "session_id", parties.session_id, RECORD_SESSION_ID);
    get_bytes(reply, "ecdh", point, ECDH_POINT);
    get_bytes(reply, "resume", c->token, sizeof(c->token));
    memcpy(secrets.session, c->kit->ticket.session.bytes, AEAD_KEY);
    assert_ok(ecdh_shared(c->pair, point, secrets.ecdh));
    const struct slice frames[3] = {buf_slice(&c->challenge), login, buf_slice(&c->welcome)};
    assert_ok(record_keys(&secrets, frames, &parties, &c->c2s, &c->s2c));
}

static void client_login(struct client *c)
{
    client_connect(c);
    assert_ok(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"));
    assert_int_equal(c->kit->event.kind, CHAT_LOGIN);
    client_take_welcome(c);
}

static struct buf client_record(struct client *c, const char *json)
{
    struct buf record = {0};
    assert_ok(record_seal(&c->c2s, slice_text(json), &record));
    return record;
}

static enum rc client_send(struct client *c, const char *json)
{
    AUTO(buf_done) struct buf record = client_record(c, json);
    return client_read(c, buf_slice(&record), true);
}

#define assert_refused(c, want)                                                                 \
    do {                                                                                        \
        assert_int_equal((c)->kit->event.kind, CHAT_REFUSED);                                   \
        assert_string_equal(chat_code_word((c)->kit->event.code), chat_code_word(CODE_##want)); \
    } while (0)

static void sealed__logs_in_and_talks_in_records(void **state)
{
    struct client *c = *state;
    AUTO(buf_done) struct buf out = {0}, text = {0};
    bool is_binary;

    client_login(c);
    assert_true(c->kit->event.login->sealed && c->kit->event.login->extensions);
    assert_int_equal(c->kit->event.login->ticket_end_s, c->kit->ticket.end);
    assert_ok(client_send(c, "{\"type\":\"online\"}"));
    assert_int_equal(c->kit->event.request->cmd, CMD_ONLINE);
    for (int i = 0; i < 3; i++) {
        buf_reset(&out);
        assert_ok(wire_seal(c->kit->conn, slice_text("{\"a\":1}"), &out, &is_binary));
        assert_true(is_binary);
        assert_ok(record_open(&c->s2c, buf_slice(&out), &text));
        assert_slice(buf_slice(&text), "{\"a\":1}");
    }
}

#define TOKEN_TEXT "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE" /* 32 bytes of 1 */

static void sealed__tells_of_a_token_its_hash_and_how_far_it_was_read(void **state)
{
    struct client *c = *state;
    uint8_t token[SHA256_LEN], hash[SHA256_LEN];

    memset(token, 1, sizeof(token));
    assert_ok(sha256(SLICE(token), hash));
    c->resume = "{\"token\":\"" TOKEN_TEXT "\",\"last\":41}";
    client_login(c);
    const struct chat_login *login = c->kit->event.login;
    assert_memory_equal(login->resumes, hash, SHA256_LEN);
    assert_int_equal(login->seen, 42);
    assert_ok(sha256(SLICE(c->token), hash)); /* of the new connection's own */
    assert_memory_equal(login->token, hash, SHA256_LEN);
    memcpy(token, c->token, sizeof(token));
    c->resume = "{\"token\":\"" TOKEN_TEXT "\",\"last\":-1}";
    client_login(c);
    assert_int_equal(c->kit->event.login->seen, 0);
    assert_memory_not_equal(token, c->token, sizeof(token));
    c->resume = NULL;
    client_login(c);
    assert_null(c->kit->event.login->resumes);
    assert_non_null(c->kit->event.login->token);
}

static void sealed__refuses_a_resume_that_is_malformed(void **state)
{
    static const char *const bad[] = {
        "null",
        "1",
        "\"" TOKEN_TEXT "\"",
        "[]",
        "{}",
        "{\"token\":\"" TOKEN_TEXT "\"}",
        "{\"last\":1}",
        "{\"token\":\"\",\"last\":1}",
        "{\"token\":1,\"last\":1}",
        "{\"token\":\"AQ" TOKEN_TEXT "\",\"last\":1}",
        "{\"token\":\"AQEB\",\"last\":1}",
        "{\"token\":\"" TOKEN_TEXT "=\",\"last\":1}",
        "{\"token\":\"" TOKEN_TEXT "\",\"last\":-2}",
        "{\"token\":\"" TOKEN_TEXT "\",\"last\":\"1\"}",
        "{\"token\":\"" TOKEN_TEXT "\",\"last\":1.0}",
        "{\"token\":\"" TOKEN_TEXT "\",\"last\":9223372036854775807}",
    };
    struct client *c = *state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        c->resume = bad[i];
        client_connect(c);
        assert_rc(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"), RC_MALFORMED);
        assert_refused(c, LOGIN_FAILED);
    }
}

static void sealed__refuses_a_login_frame_on_another_connection(void **state)
{
    struct client *c = *state;

    client_connect(c);
    assert_ok(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"));
    AUTO(buf_done) struct buf recorded = buf_take(&c->login);
    client_connect(c);
    assert_rc(client_read(c, buf_slice(&recorded), false), RC_MODIFIED);
    assert_refused(c, LOGIN_FAILED);
}

static void sealed__takes_one_try_per_challenge(void **state)
{
    struct client *c = *state;

    client_connect(c);
    assert_rc(client_login_as(c, LABEL_AP_REPLY, "alice"), RC_MODIFIED);
    assert_rc(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"), RC_REPEAT);
    assert_refused(c, LOGIN_FAILED);
}

static void sealed__refuses_an_authenticator_of_another_kind_or_name(void **state)
{
    struct client *c = *state;

    client_connect(c);
    assert_rc(client_login_as(c, LABEL_TGS_AUTHENTICATOR, "alice"), RC_MODIFIED);
    client_connect(c);
    assert_rc(client_login_as(c, LABEL_AP_AUTHENTICATOR, "bob"), RC_BAD_MATCH);
}

static void sealed__refuses_a_classic_ticket_and_classic_a_sealed_one(void **state)
{
    struct client *c = *state;

    assert_rc(kit_login(c->kit), RC_BAD_ETYPE); /* the sealed ticket on a classic connection */
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &c->kit->ticket.session));
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(c->kit, &c->kit->service_key, &c->kit->conf.realm);
    client_connect(c);
    AUTO(buf_done) struct buf frame = {0};
    assert_ok(buf_printf(&frame, "{\"type\":\"login\",\"v\":1,\"ticket\":\"%.*s\",\"authenticator\":\"AAAA\"}",
                         SLICE_FMT(buf_slice(&ticket))));
    assert_rc(client_read(c, buf_slice(&frame), false), RC_BAD_ETYPE);
}

static void sealed__refuses_points_that_are_not_on_the_curve(void **state)
{
    struct client *c = *state;

    c->has_point = true;
    memset(c->point, 0, sizeof(c->point));
    c->point[0] = 4; /* 0, 0 */
    client_connect(c);
    assert_rc(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"), RC_MALFORMED);
    c->point[0] = 2; /* a compressed one */
    client_connect(c);
    assert_rc(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"), RC_MALFORMED);
    memset(c->point + 1, 0xff, sizeof(c->point) - 1);
    c->point[0] = 4;
    client_connect(c);
    assert_rc(client_login_as(c, LABEL_AP_AUTHENTICATOR, "alice"), RC_MALFORMED);
    assert_refused(c, LOGIN_FAILED);
}

static void sealed__refuses_another_version(void **state)
{
    struct client *c = *state;
    static const char *const frames[] = {"{\"type\":\"login\",\"v\":2}", "{\"type\":\"login\"}",
                                         "{\"type\":\"login\",\"v\":\"1\"}"};

    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        client_connect(c);
        assert_rc(client_read(c, slice_text(frames[i]), false), RC_MALFORMED);
        assert_refused(c, VERSION);
    }
}

static void sealed__refuses_a_record_that_is_replayed_skipped_or_changed(void **state)
{
    struct client *c = *state;

    client_login(c);
    AUTO(buf_done) struct buf first = client_record(c, "{\"type\":\"online\"}");
    AUTO(buf_done) struct buf second = client_record(c, "{\"type\":\"online\"}");
    assert_int_not_equal(client_read(c, buf_slice(&second), true), RC_OK); /* the first was dropped */
    assert_refused(c, BROKEN);
    assert_ok(client_read(c, buf_slice(&first), true));
    assert_int_not_equal(client_read(c, buf_slice(&first), true), RC_OK);
    assert_refused(c, BROKEN);
    for (size_t i = 0; i < second.n; i++) {
        second.p[i] ^= 1;
        assert_int_not_equal(client_read(c, buf_slice(&second), true), RC_OK);
        second.p[i] ^= 1;
    }
    for (size_t n = 0; n < second.n; n++)
        assert_int_not_equal(client_read(c, slice_of(second.p, n), true), RC_OK);
    assert_ok(client_read(c, buf_slice(&second), true));
}

static void sealed__refuses_its_own_records_turned_back(void **state)
{
    struct client *c = *state;
    AUTO(buf_done) struct buf ours = {0};
    bool is_binary;

    client_login(c);
    assert_ok(wire_seal(c->kit->conn, slice_text("{\"type\":\"online\"}"), &ours, &is_binary));
    assert_int_not_equal(client_read(c, buf_slice(&ours), true), RC_OK);
    assert_refused(c, BROKEN);
}

static void sealed__refuses_messages_of_the_other_phase_and_profile(void **state)
{
    struct client *c = *state;

    client_connect(c);
    assert_rc(client_read(c, slice_text("{\"type\":\"login\"}"), true), RC_MALFORMED);
    assert_refused(c, MALFORMED);
    assert_rc(client_read(c, slice_text("{\"type\":\"online\"}"), false), RC_BAD_PREAUTH);
    assert_refused(c, NOT_LOGGED_IN);
    client_login(c);
    assert_rc(client_read(c, slice_text("{\"type\":\"online\"}"), false), RC_MALFORMED);
    assert_refused(c, BROKEN);
    client_login(c);
    assert_rc(client_send(c, "{\"type\":\"login\",\"v\":1}"), RC_MALFORMED);
    assert_refused(c, LOGGED_IN);
}

static void sealed__needs_no_stamp_but_a_true_from(void **state)
{
    struct client *c = *state;

    client_login(c);
    assert_ok(client_send(c, "{\"type\":\"new_message\",\"room\":\"r\",\"message\":\"hi\",\"from\":\"alice\"}"));
    assert_rc(client_send(c, "{\"type\":\"new_message\",\"room\":\"r\",\"message\":\"hi\",\"from\":\"bob\"}"),
              RC_BAD_MATCH);
    assert_refused(c, WRONG_FROM);
}

/* What reauth_required said; the nonce is the client's to name. */
static void client_asked(struct client *c)
{
    AUTO(buf_done) struct buf json = {0};
    AUTO(json_done) json_t *j = NULL;

    assert_ok(wire_ask_reauth(c->kit->conn, WIRE_NOW, &json));
    assert_ok(json_parse_object(buf_slice(&json), JSON_DEPTH_CHAT, &j));
    get_bytes(j, "nonce", c->nonce, NONCE);
}

static enum rc client_reauth(struct client *c)
{
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(c->kit, &c->kit->service_key, &c->kit->conf.realm);
    AUTO(buf_done) struct buf a = authenticator(c, buf_slice(&ticket), LABEL_AP_AUTHENTICATOR, "alice");
    AUTO(buf_done) struct buf text = {0};

    assert_ok(buf_printf(&text, "{\"type\":\"reauth\",\"ticket\":\"%.*s\",\"authenticator\":\"%.*s\"}",
                         SLICE_FMT(buf_slice(&ticket)), SLICE_FMT(buf_slice(&a))));
    return client_send(c, buf_cstr(&text));
}

static void reauth__takes_a_newer_ticket_and_keeps_the_keys(void **state)
{
    struct client *c = *state;

    client_login(c);
    client_asked(c);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &c->kit->ticket.session));
    c->kit->ticket.end += 3600;
    assert_ok(client_reauth(c));
    assert_int_equal(c->kit->event.kind, CHAT_REAUTH);
    assert_int_equal(c->kit->event.login->ticket_end_s, c->kit->ticket.end);
    assert_ok(client_send(c, "{\"type\":\"online\"}"));
}

static void reauth__refuses_without_being_asked_twice_and_for_another(void **state)
{
    struct client *c = *state;

    client_login(c);
    assert_rc(client_reauth(c), RC_REPEAT);
    assert_refused(c, LOGIN_FAILED);
    client_login(c);
    client_asked(c);
    assert_ok(client_reauth(c));
    assert_rc(client_reauth(c), RC_REPEAT);
    client_login(c);
    client_asked(c);
    memset(c->kit->ticket.client_id, 'x', ID_LEN); /* the name is the same, the principal is not */
    assert_rc(client_reauth(c), RC_BAD_MATCH);
}

static void sealed__is_refused_where_the_realm_is_classic_only(void **state)
{
    struct client *c = *state;

    assert_true(wire_allows(c->kit->wire, WIRE_SEALED) && wire_allows(c->kit->wire, WIRE_CLASSIC));
    (void)snprintf(c->kit->conf.realm_profiles, sizeof(c->kit->conf.realm_profiles), "classic");
    assert_false(wire_allows(c->kit->wire, WIRE_SEALED));
    assert_true(wire_allows(c->kit->wire, WIRE_CLASSIC));
}

#define SEALED_TEST(f) cmocka_unit_test_setup_teardown(f, sealed_setup, sealed_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEALED_TEST(sealed__logs_in_and_talks_in_records),
        SEALED_TEST(sealed__tells_of_a_token_its_hash_and_how_far_it_was_read),
        SEALED_TEST(sealed__refuses_a_resume_that_is_malformed),
        SEALED_TEST(sealed__refuses_a_login_frame_on_another_connection),
        SEALED_TEST(sealed__takes_one_try_per_challenge),
        SEALED_TEST(sealed__refuses_an_authenticator_of_another_kind_or_name),
        SEALED_TEST(sealed__refuses_a_classic_ticket_and_classic_a_sealed_one),
        SEALED_TEST(sealed__refuses_points_that_are_not_on_the_curve),
        SEALED_TEST(sealed__refuses_another_version),
        SEALED_TEST(sealed__refuses_a_record_that_is_replayed_skipped_or_changed),
        SEALED_TEST(sealed__refuses_its_own_records_turned_back),
        SEALED_TEST(sealed__refuses_messages_of_the_other_phase_and_profile),
        SEALED_TEST(sealed__needs_no_stamp_but_a_true_from),
        SEALED_TEST(reauth__takes_a_newer_ticket_and_keeps_the_keys),
        SEALED_TEST(reauth__refuses_without_being_asked_twice_and_for_another),
        SEALED_TEST(sealed__is_refused_where_the_realm_is_classic_only),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
