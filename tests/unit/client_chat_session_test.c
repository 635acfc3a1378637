/* The client's half of a sealed connection against the server's own wire, and what it refuses of a false server. */
#include "client/chat_session.h"
#include "tests/unit/wire.h"

struct pair {
    struct wire_kit *kit;
    struct chat_session s;
    struct cache_entry entry;
    struct buf challenge, login, welcome;
};

static void new_ticket(struct pair *p)
{
    cache_entry_done(&p->entry);
    p->entry.server = p->kit->service;
    p->entry.session = p->kit->ticket.session;
    p->entry.ticket = kit_sealed_ticket(p->kit, &p->kit->service_key, &p->kit->conf.realm);
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    void *kit = NULL;

    assert_non_null(p);
    assert_int_equal(kit_setup(&kit), 0);
    p->kit = kit;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &p->kit->ticket.session));
    new_ticket(p);
    chat_session_init(&p->s, &p->kit->conf.realm, &p->kit->ticket.client);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    void *kit = p->kit;

    chat_session_done(&p->s);
    cache_entry_done(&p->entry);
    buf_done(&p->challenge);
    buf_done(&p->login);
    buf_done(&p->welcome);
    (void)kit_teardown(&kit);
    free(p);
    return 0;
}

static enum rc server_reads(struct pair *p, struct slice message, bool is_binary)
{
    enum rc rc;
    wire_read(p->kit->conn, message, is_binary, WIRE_NOW, &p->kit->event, &rc);
    return rc;
}

/* A new connection, up to its challenge. */
static void connect_pair(struct pair *p)
{
    buf_reset(&p->challenge);
    buf_reset(&p->login);
    buf_reset(&p->welcome);
    wire_conn_free(p->kit->conn);
    p->kit->conn = wire_conn_new(p->kit->wire, WIRE_SEALED, "127.0.0.1");
    assert_non_null(p->kit->conn);
    assert_ok(wire_handshake(p->kit->conn, WIRE_NOW, &p->challenge));
}

static void log_in(struct pair *p)
{
    connect_pair(p);
    assert_ok(chat_session_login(&p->s, buf_slice(&p->challenge), &p->entry, "test", NULL, &p->login));
    assert_ok(server_reads(p, buf_slice(&p->login), false));
    assert_int_equal(p->kit->event.kind, CHAT_LOGIN);
    assert_ok(wire_handshake(p->kit->conn, WIRE_NOW, &p->welcome));
}

static void log_in_whole(struct pair *p)
{
    log_in(p);
    assert_ok(chat_session_welcome(&p->s, buf_slice(&p->welcome)));
}

static void session__resumes_where_the_last_one_stood(void **state)
{
    struct pair *p = *state;
    struct chat_resume resume = {.last = 41};
    uint8_t hash[SHA256_LEN];

    log_in_whole(p);
    memcpy(resume.token, p->s.token, CHAT_TOKEN);
    assert_ok(sha256(SLICE(resume.token), hash));
    assert_memory_equal(p->kit->event.login->token, hash, SHA256_LEN);
    chat_session_done(&p->s); /* that one dropped */
    chat_session_init(&p->s, &p->kit->conf.realm, &p->kit->ticket.client);
    connect_pair(p);
    assert_ok(chat_session_login(&p->s, buf_slice(&p->challenge), &p->entry, "test", &resume, &p->login));
    assert_ok(server_reads(p, buf_slice(&p->login), false));
    assert_memory_equal(p->kit->event.login->resumes, hash, SHA256_LEN);
    assert_int_equal(p->kit->event.login->seen, 42);
    assert_ok(wire_handshake(p->kit->conn, WIRE_NOW, &p->welcome));
    assert_ok(chat_session_welcome(&p->s, buf_slice(&p->welcome)));
    assert_memory_not_equal(p->s.token, resume.token, CHAT_TOKEN);
}

static struct buf server_says(struct pair *p, const char *json)
{
    struct buf record = {0};
    bool is_binary;

    assert_ok(wire_seal(p->kit->conn, slice_text(json), &record, &is_binary));
    assert_true(is_binary);
    return record;
}

static enum rc client_says(struct pair *p, const char *json)
{
    AUTO(buf_done) struct buf record = {0};

    assert_ok(chat_session_seal(&p->s, slice_text(json), &record));
    return server_reads(p, buf_slice(&record), true);
}

/* The text with its first `from` exchanged. */
static struct buf with(struct slice text, const char *from, const char *to)
{
    struct buf out = {0};
    const uint8_t *at = memmem(text.p, text.n, from, strlen(from));

    assert_non_null(at);
    size_t before = (size_t)(at - text.p);
    assert_ok(buf_add(&out, slice_of(text.p, before)));
    assert_ok(buf_text(&out, to));
    assert_ok(buf_add(&out, slice_of(at + strlen(from), text.n - before - strlen(from))));
    return out;
}

static void session__talks_with_the_server_in_both_directions(void **state)
{
    struct pair *p = *state;
    AUTO(buf_done) struct buf text = {0};

    log_in_whole(p);
    assert_int_equal(p->s.expires, p->kit->ticket.end);
    for (int i = 0; i < 3; i++) {
        AUTO(buf_done) struct buf record = server_says(p, "{\"type\":\"online\"}");
        assert_ok(chat_session_open(&p->s, buf_slice(&record), &text));
        assert_slice(buf_slice(&text), "{\"type\":\"online\"}");
        assert_ok(client_says(p, "{\"type\":\"online\"}"));
        assert_int_equal(p->kit->event.request->cmd, CMD_ONLINE);
    }
}

static void session__refuses_a_challenge_of_another_realm_service_or_version(void **state)
{
    struct pair *p = *state;
    static const struct {
        const char *from, *to;
        enum rc rc;
    } changes[] = {
        {"\"realm\":\"",     "\"realm\":\"X",      RC_NOT_US   },
        {"\"service\":\"",   "\"service\":\"X",    RC_NOT_US   },
        {"\"versions\":[1]", "\"versions\":[2]",   RC_MALFORMED},
        {"\"versions\":[1]", "\"versions\":[1.0]", RC_MALFORMED},
        {"\"versions\":[1]", "\"versions\":1",     RC_MALFORMED},
        {"\"nonce\":\"",     "\"nonce\":\"A",      RC_MALFORMED},
        {"\"nonce\"",        "\"once\"",           RC_MALFORMED},
        {"\"challenge\"",    "\"welcome\"",        RC_MALFORMED},
        {"{",                "[",                  RC_MALFORMED},
    };

    connect_pair(p);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        AUTO(buf_done) struct buf bad = with(buf_slice(&p->challenge), changes[i].from, changes[i].to);
        assert_rc(chat_session_login(&p->s, buf_slice(&bad), &p->entry, "test", NULL, &p->login), changes[i].rc);
        assert_int_equal(p->login.n, 0);
    }
}

static void session__refuses_a_welcome_that_is_not_for_this_login(void **state)
{
    struct pair *p = *state;
    AUTO(buf_done) struct buf earlier = {0};

    log_in(p);
    assert_ok(buf_add(&earlier, buf_slice(&p->welcome)));
    log_in(p); /* the server's answer to the first is given to the second */
    assert_rc(chat_session_welcome(&p->s, buf_slice(&earlier)), RC_MODIFIED);
    assert_false(p->s.has_keys);
    assert_ok(chat_session_welcome(&p->s, buf_slice(&p->welcome)));
}

static void session__refuses_a_welcome_without_the_ticket_s_key(void **state)
{
    struct pair *p = *state;

    log_in(p);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &p->s.session)); /* as if the server had another */
    assert_rc(chat_session_welcome(&p->s, buf_slice(&p->welcome)), RC_MODIFIED);
}

static void session__refuses_a_changed_welcome(void **state)
{
    struct pair *p = *state;
    const char *words[] = {"\"reply\":\"AQ", "\"welcome\"", "\"reply\""};
    const char *others[] = {"\"reply\":\"AB", "\"challenge\"", "\"answer\""};

    log_in(p);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        AUTO(buf_done) struct buf bad = with(buf_slice(&p->welcome), words[i], others[i]);
        assert_int_not_equal(chat_session_welcome(&p->s, buf_slice(&bad)), RC_OK);
        assert_false(p->s.has_keys);
    }
}

static void session__has_no_records_before_the_keys(void **state)
{
    struct pair *p = *state;
    AUTO(buf_done) struct buf out = {0};

    log_in(p);
    assert_rc(chat_session_seal(&p->s, slice_text("{}"), &out), RC_STOPPED);
    assert_rc(chat_session_open(&p->s, slice_text("0123456789012345678901234567890123456789"), &out), RC_STOPPED);
}

static void session__refuses_records_replayed_skipped_reflected_or_changed(void **state)
{
    struct pair *p = *state;
    AUTO(buf_done) struct buf text = {0}, own = {0};

    log_in_whole(p);
    AUTO(buf_done) struct buf first = server_says(p, "{\"a\":1}");
    AUTO(buf_done) struct buf second = server_says(p, "{\"a\":2}");
    assert_rc(chat_session_open(&p->s, buf_slice(&second), &text), RC_MODIFIED);
    assert_ok(chat_session_open(&p->s, buf_slice(&first), &text));
    assert_rc(chat_session_open(&p->s, buf_slice(&first), &text), RC_MODIFIED);
    assert_ok(chat_session_seal(&p->s, slice_text("{\"a\":2}"), &own));
    assert_rc(chat_session_open(&p->s, buf_slice(&own), &text), RC_MODIFIED);
    for (size_t i = 0; i < second.n; i++) {
        second.p[i] ^= 0x80;
        assert_rc(chat_session_open(&p->s, buf_slice(&second), &text), RC_MODIFIED);
        second.p[i] ^= 0x80;
    }
    assert_ok(chat_session_open(&p->s, buf_slice(&second), &text));
}

static void session__keeps_keys_and_numbers_over_a_new_ticket(void **state)
{
    struct pair *p = *state;
    AUTO(buf_done) struct buf asked = {0}, answer = {0};
    AUTO(json_done) json_t *j = NULL;

    log_in_whole(p);
    assert_ok(client_says(p, "{\"type\":\"online\"}"));
    assert_ok(wire_ask_reauth(p->kit->conn, WIRE_NOW, &asked));
    assert_ok(json_parse_object(buf_slice(&asked), JSON_DEPTH_CHAT, &j));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &p->kit->ticket.session));
    p->kit->ticket.end += 3600;
    new_ticket(p);
    assert_ok(chat_session_reauth(&p->s, j, &p->entry, &answer));
    assert_ok(client_says(p, buf_cstr(&answer)));
    assert_int_equal(p->kit->event.kind, CHAT_REAUTH);
    assert_ok(client_says(p, "{\"type\":\"online\"}"));
    assert_int_equal(p->kit->event.request->cmd, CMD_ONLINE);
}

static void session__gives_no_other_service_s_ticket_and_answers_no_broken_request(void **state)
{
    struct pair *p = *state;
    AUTO(buf_done) struct buf answer = {0};
    AUTO(json_done) json_t *short_nonce = json_pack("{s:s}", "nonce", "AAAA"), *j = NULL;
    AUTO(buf_done) struct buf asked = {0};

    log_in_whole(p);
    assert_rc(chat_session_reauth(&p->s, short_nonce, &p->entry, &answer), RC_MALFORMED);
    assert_ok(wire_ask_reauth(p->kit->conn, WIRE_NOW, &asked));
    assert_ok(json_parse_object(buf_slice(&asked), JSON_DEPTH_CHAT, &j));
    p->entry.server = wire_name("other");
    assert_rc(chat_session_reauth(&p->s, j, &p->entry, &answer), RC_NOT_US);
    assert_int_equal(answer.n, 0);
}

#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(session__talks_with_the_server_in_both_directions),
        SESSION_TEST(session__resumes_where_the_last_one_stood),
        SESSION_TEST(session__refuses_a_challenge_of_another_realm_service_or_version),
        SESSION_TEST(session__refuses_a_welcome_that_is_not_for_this_login),
        SESSION_TEST(session__refuses_a_welcome_without_the_ticket_s_key),
        SESSION_TEST(session__refuses_a_changed_welcome),
        SESSION_TEST(session__has_no_records_before_the_keys),
        SESSION_TEST(session__refuses_records_replayed_skipped_reflected_or_changed),
        SESSION_TEST(session__keeps_keys_and_numbers_over_a_new_ticket),
        SESSION_TEST(session__gives_no_other_service_s_ticket_and_answers_no_broken_request),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
