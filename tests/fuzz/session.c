/*
 * The client's side of a sealed connection. The first byte chooses what the server says: its challenge; what lies in
 * its welcome, or in its request for a new ticket ('@' becomes a nonce, '$' a point); a record.
 */
#include "client/chat_session.h"

#include "shared/base/base64.h"
#include "tests/fuzz/kit.h"

static struct cache_entry entry;
static struct buf point;

static void end(void)
{
    cache_entry_done(&entry);
    buf_done(&point);
}

void fuzz_open(void)
{
    AUTO(ecdh_done) struct ecdh *pair = NULL;
    uint8_t bytes[ECDH_POINT];

    kit_begin();
    kit_session(ETYPE_AES128_CBC_HS256);
    entry.server = kit->service;
    entry.session = kit->ticket.session;
    entry.ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    CHECK_OK(ecdh_new(&pair, bytes));
    CHECK_OK(base64url_encode(SLICE(bytes), &point));
    fuzz_at_exit(end);
}

/* A login that was sent is JSON of ours. */
static enum rc log_in(struct chat_session *s, struct slice challenge, struct buf *login)
{
    AUTO(json_done) json_t *j = NULL;

    enum rc rc = chat_session_login(s, challenge, &entry, "fuzz", NULL, login);
    if (rc == RC_OK)
        CHECK_OK(json_parse_object(buf_slice(login), JSON_DEPTH_CHAT, &j));
    else
        CHECK(login->n == 0);
    return rc;
}

static void honest_login(struct chat_session *s, struct buf *login)
{
    AUTO(buf_done) struct buf challenge = {0};

    kit_connect(WIRE_SEALED);
    CHECK_OK(wire_handshake(kit->conn, WIRE_NOW, &challenge));
    CHECK_OK(log_in(s, buf_slice(&challenge), login));
}

static void seal_welcome(struct slice login, struct slice plain, struct buf *out)
{
    AUTO(buf_done) struct buf context = {0}, filled = {0}, envelope = {0}, text = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};

    kit_fill(plain, '$', buf_slice(&point), &filled);
    CHECK_OK(envelope_context(&login, 1, &context));
    const struct envelope_aad aad = {.realm = name_slice(&kit->conf.realm),
                                     .client = name_slice(&kit->ticket.client),
                                     .server = name_slice(&kit->service),
                                     .context = buf_slice(&context)};
    CHECK_OK(envelope_derive(&entry.session, LABEL_AP_REPLY, &key));
    CHECK_OK(envelope_seal(&key, &aad, buf_slice(&filled), &envelope));
    CHECK_OK(base64url_encode(buf_slice(&envelope), &text));
    CHECK_OK(buf_printf(out, "{\"type\":\"welcome\",\"reply\":\"%.*s\"}", SLICE_FMT(buf_slice(&text))));
}

static void take_welcome(struct chat_session *s, struct slice welcome)
{
    AUTO(buf_done) struct buf record = {0};

    if (chat_session_welcome(s, welcome) == RC_OK) {
        CHECK(s->has_keys);
        CHECK_OK(chat_session_seal(s, slice_text("{}"), &record));
    } else {
        CHECK(!s->has_keys && chat_session_seal(s, slice_text("{}"), &record) == RC_STOPPED);
    }
}

static void take_record(struct chat_session *s, struct buf *login, struct slice record)
{
    AUTO(buf_done) struct buf welcome = {0}, text = {0};

    CHECK_OK(kit_reads(buf_slice(login), false));
    CHECK_OK(wire_handshake(kit->conn, WIRE_NOW, &welcome));
    CHECK_OK(chat_session_welcome(s, buf_slice(&welcome)));
    CHECK(chat_session_open(s, record, &text) == RC_MODIFIED && text.n == 0);
}

static void take_reauth(struct chat_session *s, struct slice plain)
{
    AUTO(buf_done) struct buf filled = {0}, answer = {0};
    AUTO(json_done) json_t *required = NULL, *j = NULL;

    kit_fill(plain, '@', slice_text("AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8"), &filled);
    if (json_parse_object(buf_slice(&filled), JSON_DEPTH_CHAT, &required) != RC_OK)
        return;
    if (chat_session_reauth(s, required, &entry, &answer) == RC_OK)
        CHECK_OK(json_parse_object(buf_slice(&answer), JSON_DEPTH_CHAT, &j));
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 5);
    AUTO(chat_session_done) struct chat_session s;
    AUTO(buf_done) struct buf login = {0}, welcome = {0};

    chat_session_init(&s, &kit->conf.realm, &kit->ticket.client);
    if (choice == 0) {
        (void)!log_in(&s, input, &login);
        return;
    }
    honest_login(&s, &login);
    if (choice == 1) {
        seal_welcome(buf_slice(&login), input, &welcome);
        take_welcome(&s, buf_slice(&welcome));
    } else if (choice == 2) {
        take_welcome(&s, input);
    } else if (choice == 3) {
        take_record(&s, &login, input);
    } else {
        take_reauth(&s, input);
    }
}
