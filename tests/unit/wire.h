/*
 * The chat's wire for one test: a keytab, a state directory, tickets and frames as a client or an attacker makes them.
 */
#ifndef KERB_TESTS_WIRE_H
#define KERB_TESTS_WIRE_H

#include "chat/wire/wire.h"
#include "shared/base/base64.h"
#include "shared/crypto/box.h"
#include "tests/unit/state.h"

#define WIRE_NOW     1790000000
#define WIRE_STARTED (WIRE_NOW - 100) /* when the daemon started */
#define WIRE_KVNO    3

struct wire_kit {
    struct conf conf;
    struct name service;
    struct key service_key;
    struct keytab_file *keytab;
    char *state_dir;
    int64_t started_s;
    struct wire *wire;
    struct wire_conn *conn;
    struct ticket ticket;    /* good, unless the test spoils it */
    struct chat_event event; /* the last one read */
};

static inline struct name wire_name(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static inline void kit_start(struct wire_kit *kit)
{
    struct wire_options options = {.conf = &kit->conf,
                                   .service = kit->service,
                                   .keytab = kit->keytab,
                                   .state_dir = kit->state_dir,
                                   .started_s = kit->started_s};

    assert_ok(wire_open(&options, &kit->wire));
    kit->conn = wire_conn_new(kit->wire, WIRE_CLASSIC, "127.0.0.1");
    assert_non_null(kit->conn);
}

static inline void kit_stop(struct wire_kit *kit)
{
    wire_conn_free(kit->conn);
    wire_close(kit->wire);
    kit->conn = NULL;
    kit->wire = NULL;
}

static inline void kit_new_conn(struct wire_kit *kit)
{
    wire_conn_free(kit->conn);
    kit->conn = wire_conn_new(kit->wire, WIRE_CLASSIC, "127.0.0.1");
    assert_non_null(kit->conn);
}

static inline void kit_ticket(struct wire_kit *kit, const char *client)
{
    struct ticket *t = &kit->ticket;

    *t = (struct ticket){.kind = TICKET_SERVICE,
                         .client = wire_name(client),
                         .address = "127.0.0.1",
                         .server = kit->service,
                         .auth_time = WIRE_NOW - 50,
                         .start = WIRE_NOW - 50,
                         .end = WIRE_NOW + 3600};
    memset(t->client_id, client[0], ID_LEN);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &t->session));
    assert_ok(random_bytes(t->id, ID_LEN));
    assert_ok(random_bytes(t->parent_id, ID_LEN));
}

static inline int kit_setup(void **state)
{
    struct wire_kit *kit = calloc(1, sizeof(*kit));
    AUTO(keytab_done) struct keytab *keytab = NULL;

    assert_non_null(kit);
    state_make(&kit->conf, "chat");
    kit->state_dir = state_path(&kit->conf, "chat");
    kit->service = wire_name("chat");
    kit->started_s = WIRE_STARTED;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, WIRE_KVNO, 0, &kit->service_key));
    assert_ok(keytab_new(&keytab));
    assert_ok(keytab_add(keytab, &kit->service, &kit->service_key));
    AUTO(str_done) char *path = state_path(&kit->conf, "chat/chat.keytab");
    assert_ok(keytab_save(keytab, path));
    assert_ok(keytab_file_open(path, &kit->keytab));
    kit_ticket(kit, "alice");
    kit_start(kit);
    *state = kit;
    return 0;
}

static inline int kit_teardown(void **state)
{
    struct wire_kit *kit = *state;

    kit_stop(kit);
    keytab_file_close(kit->keytab);
    state_remove(&kit->conf);
    str_done(&kit->state_dir);
    ticket_done(&kit->ticket);
    key_done(&kit->service_key);
    free(kit);
    return 0;
}

static inline struct buf kit_sealed_ticket(const struct wire_kit *kit, const struct key *key, const struct name *realm)
{
    struct buf text = {0};
    assert_ok(ticket_seal(key, realm, &kit->ticket, &text));
    return text;
}

static inline struct buf kit_box(const struct key *session, const char *text)
{
    struct buf box = {0};
    assert_ok(box_seal(session->bytes, slice_text(text), &box));
    return box;
}

static inline struct buf kit_authenticator(const struct key *session, const char *name, int64_t stamp_s)
{
    struct buf text = {0};
    char stamp[CLASSIC_TIME_LEN + 1];

    time_format_classic(stamp_s, stamp);
    assert_ok(buf_printf(&text, "{\"user_name\": \"%s\", \"timestamp\": \"%s\"}", name, stamp));
    struct buf box = kit_box(session, buf_cstr(&text));
    buf_done(&text);
    return box;
}

static inline enum rc kit_read(struct wire_kit *kit, struct slice message, int64_t now_s)
{
    enum rc rc;
    wire_read(kit->conn, message, false, now_s, &kit->event, &rc);
    assert_true((rc == RC_OK) == (kit->event.kind != CHAT_REFUSED));
    return rc;
}

/* Logs in with this ticket and this authenticator; `more` stands behind in the JSON. */
static inline enum rc kit_login_as(struct wire_kit *kit, struct slice ticket, struct slice authenticator,
                                   const char *more, int64_t now_s)
{
    AUTO(buf_done) struct buf frame = {0};

    assert_ok(buf_printf(&frame,
                         "{\"type\":\"login\",\"service\":\"chat\",\"service_ticket\":\"%.*s\","
                         "\"authenticator\":\"%.*s\"%s}",
                         SLICE_FMT(ticket), SLICE_FMT(authenticator), more));
    return kit_read(kit, buf_slice(&frame), now_s);
}

/* The login of the kit's ticket, honest but for what the test has done to it. */
static inline enum rc kit_login_at(struct wire_kit *kit, int64_t stamp_s, int64_t now_s)
{
    AUTO(buf_done) struct buf ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    AUTO(buf_done) struct buf a = kit_authenticator(&kit->ticket.session, kit->ticket.client.s, stamp_s);

    return kit_login_as(kit, buf_slice(&ticket), buf_slice(&a), "", now_s);
}

static inline enum rc kit_login(struct wire_kit *kit)
{
    return kit_login_at(kit, WIRE_NOW, WIRE_NOW);
}

/* A frame under the session key; "@" in the text becomes the stamp. */
static inline struct buf kit_frame(const struct wire_kit *kit, const char *json, int64_t stamp_s)
{
    struct buf text = {0};
    char stamp[CLASSIC_TIME_LEN + 1];

    time_format_classic(stamp_s, stamp);
    for (; *json; json++)
        assert_ok(*json == '@' ? buf_text(&text, stamp) : buf_byte(&text, (uint8_t)*json));
    struct buf box = {0};
    assert_ok(box_seal(kit->ticket.session.bytes, buf_slice(&text), &box));
    buf_done(&text);
    return box;
}

static inline enum rc kit_send_at(struct wire_kit *kit, const char *json, int64_t stamp_s, int64_t now_s)
{
    AUTO(buf_done) struct buf box = kit_frame(kit, json, stamp_s);
    return kit_read(kit, buf_slice(&box), now_s);
}

static inline enum rc kit_send(struct wire_kit *kit, const char *json)
{
    return kit_send_at(kit, json, WIRE_NOW, WIRE_NOW);
}

#define assert_code(kit, want)                                                               \
    do {                                                                                     \
        assert_int_equal((kit)->event.kind, CHAT_REFUSED);                                   \
        assert_string_equal(chat_code_word((kit)->event.code), chat_code_word(CODE_##want)); \
    } while (0)

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

#endif
