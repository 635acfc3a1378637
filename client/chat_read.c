/* The chat connection: what the server says, from its challenge on; it waits in an inbox until the program may be
 * called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat_conn.h"
#include "client/chat_retry.h"

#define INBOX_MAX 4096 /* messages that wait for the program */

enum rc conn_send(struct kerb_chat *c, struct slice json)
{
    AUTO(buf_done) struct buf record = {0};

    TRY(chat_session_seal(&c->session, json, &record));
    TRY(ws_send(c->ws, buf_slice(&record), true));
    chat_trace_record(c->k, "->", json, record.n);
    return RC_OK;
}

static void reauth(struct kerb_chat *c, const json_t *required)
{
    AUTO(cache_entry_done) struct cache_entry ticket = {0};
    AUTO(buf_done) struct buf json = {0};

    /* Without a new ticket the connection lasts as long as the old one; then it is told why. */
    if (conn_fresh_ticket(c, &ticket) == RC_OK && chat_session_reauth(&c->session, required, &ticket, &json) == RC_OK &&
        conn_send(c, buf_slice(&json)) == RC_OK)
        client_trace(c->k, "   chat: a fresh ticket is sent on the same connection");
}

static void answer_challenge(struct kerb_chat *c, struct slice frame)
{
    AUTO(buf_done) struct buf login = {0};

    enum rc rc =
        chat_session_login(&c->session, frame, &c->ticket, c->device, c->has_resume ? &c->resume : NULL, &login);
    cache_entry_done(&c->ticket); /* a challenge is good for one login */
    if (rc == RC_OK)
        rc = ws_send(c->ws, buf_slice(&login), false);
    if (rc == RC_NOT_US)
        conn_distrust(c, "it is of another realm, or another service");
    else if (rc != RC_OK)
        conn_distrust(c, "its challenge is damaged");
    client_trace(c->k,
                 "   chat: challenge %zu bytes; login %zu bytes with the ticket and an authenticator under its "
                 "session key, bound to ticket and nonce",
                 frame.n, login.n);
}

/* Text frames, before the keys. */
static void plain_frame(struct kerb_chat *c, struct slice frame)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice type;

    if (json_parse_object(frame, JSON_DEPTH_CHAT, &j) != RC_OK || json_get_text(j, "type", &type) != RC_OK) {
        conn_distrust(c, "it sends what is no message");
    } else if (slice_eq(type, slice_text("challenge")) && !c->session.login.n) {
        answer_challenge(c, frame);
    } else if (slice_eq(type, slice_text("welcome"))) {
        if (chat_session_welcome(&c->session, frame) != RC_OK)
            conn_distrust(c, "it does not know the key of its own ticket");
        client_trace(c->k, "   chat: welcome opened with the session key; keys of both directions made");
    } else if (!slice_eq(type, slice_text("error"))) { /* the close code behind it says all */
        conn_distrust(c, "it sends messages in a wrong order");
    }
}

static void put_in_inbox(struct kerb_chat *c, json_t *json)
{
    struct letter *letter = c->inbox_n < INBOX_MAX ? calloc(1, sizeof *letter) : NULL;

    if (!letter) {
        ws_end(c->ws, CODE_TOO_BIG);
        return;
    }
    letter->json = json_incref(json);
    c->processed++;
    STAILQ_INSERT_TAIL(&c->inbox, letter, of_inbox);
    c->inbox_n++;
}

static void record(struct kerb_chat *c, struct slice message)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(json_done) json_t *j = NULL;
    struct slice type;

    if (chat_session_open(&c->session, message, &text) != RC_OK) {
        conn_distrust(c, "a message does not open in its place");
        return;
    }
    if (json_parse_object(buf_slice(&text), JSON_DEPTH_CHAT, &j) != RC_OK || json_get_text(j, "type", &type) != RC_OK) {
        conn_distrust(c, "it sends what is no message");
        return;
    }
    chat_trace_record(c->k, "<-", buf_slice(&text), message.n);
    if (!c->is_ready) {
        if (!slice_eq(type, slice_text("handshake"))) {
            conn_distrust(c, "it does not begin with a handshake");
            return;
        }
        c->is_ready = true;
        c->wants_fresh = false;
        c->backoff_ms = BACKOFF_FIRST_MS;
    }
    keeper_saw(c, c->keeper, j);
    put_in_inbox(c, j);
}

void conn_read(void *ctx, struct slice message, bool is_binary)
{
    struct kerb_chat *c = ctx;

    if (c->is_over)
        return;
    if (is_binary != c->session.has_keys)
        conn_distrust(c, "it sends messages of another profile");
    else if (is_binary)
        record(c, message);
    else
        plain_frame(c, message);
}

/* --- the inbox --- */

uint64_t chat_id_of(const json_t *message)
{
    struct slice text;
    uint64_t id = 0;

    if (json_get_text(message, "id", &text) != RC_OK || text.n < 2 || text.p[0] != 'k' ||
        parse_u64(slice_of(text.p + 1, text.n - 1), UINT64_MAX, &id) != RC_OK)
        return 0;
    return id;
}

static void hand_out(struct kerb_chat *c, json_t *j)
{
    const char *type = json_string_value(json_object_get(j, "type"));

    if (!c->o.message)
        return;
    char *text = json_dumps(j, JSON_COMPACT);
    if (text)
        c->o.message(c->o.ctx, type, text);
    str_done(&text);
}

static void feed_hands_out(void *ctx, json_t *message)
{
    hand_out(ctx, message);
}

static enum rc feed_asks(void *ctx, const char *room, int64_t after, uint64_t *ret_id)
{
    AUTO(json_done)
    json_t *request = json_pack("{s:s, s:s, s:I, s:i}", "type", "get_history", "room", room, "after", (json_int_t)after,
                                "limit", FEED_PAGE);

    return request ? chat_send(ctx, request, ret_id) : RC_NO_MEMORY;
}

enum rc conn_feed(struct kerb_chat *c)
{
    const struct feed_ops ops = {.hand_out = feed_hands_out, .ask = feed_asks, .ctx = c};

    if (!c->o.message)
        return RC_OK;
    c->feed = feed_new(&ops);
    return c->feed ? RC_OK : RC_NO_MEMORY;
}

static void deliver(struct kerb_chat *c, json_t *j)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    uint64_t id = chat_id_of(j);

    if (strcmp(type, "restart") == 0) {
        c->return_ms = retry_after(j);
    } else if (strcmp(type, "reauth_required") == 0) {
        reauth(c, j);
    } else if (c->o.presence && strcmp(type, "presence") == 0 && !presence_follows(c, &c->presence, j)) {
        return;
    } else if (strcmp(type, "handshake") == 0) {
        keeper_login(c, c->keeper);
        if (c->o.presence)
            presence_login(c, &c->presence);
        if (c->was_ready)
            chat_tell(c, KERB_CHAT_BACK, "");
        c->was_ready = true;
        hand_out(c, j);
        if (c->feed)
            feed_login(c->feed, j, clock_monotonic_ms());
    } else if (c->feed && feed_takes(c->feed, j, id, clock_monotonic_ms())) {
        return;
    } else if (id && id == c->awaited) {
        c->reply = json_incref(j);
        c->awaited = 0;
    } else if (!id || !keeper_took(c, c->keeper, j, id)) {
        hand_out(c, j);
    }
}

/* True when there was something. */
bool conn_drain(struct kerb_chat *c)
{
    struct letter *letter;
    bool some = false;

    while ((letter = STAILQ_FIRST(&c->inbox))) {
        STAILQ_REMOVE_HEAD(&c->inbox, of_inbox);
        c->inbox_n--;
        deliver(c, letter->json);
        json_decref(letter->json);
        free(letter);
        some = true;
    }
    return some;
}
