/*
 * The chat connection: login, records, replies found by their label, tickets renewed, and coming back.
 *
 * What arrives is opened at once, inside ws (so a share is written down before the ping behind it is answered), and
 * waits in an inbox until the program may be called.
 */
#include "client/chat.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat_feed.h"
#include "client/ws.h"
#include "shared/base/base64.h"

#define PATH             "/chat"
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS   30000
#define INBOX_MAX        4096 /* messages that wait for the program */
#define FLUSH_MS         3000 /* at the end, for shares on their way */
#define CODE_PROTOCOL    4501
#define CODE_FATAL       4500 /* from here on a new connection would fare no better */
#define CODE_CUT_OFF     4503
#define CODE_TOO_BIG     1009
#define CODE_POLICY      1008
#define CID_TIME         6 /* bytes of a message's name that tell its time */

struct letter {
    STAILQ_ENTRY(letter) of_inbox;
    json_t *json;
};

struct kerb_chat {
    struct kerb *k;
    struct kerb_chat_options o;
    struct name service;
    char device[64];
    struct ws *ws;             /* NULL: lost, to be sought at retry_ms */
    struct cache_entry ticket; /* for its login */
    struct chat_session session;
    struct chat_keeper *keeper;
    struct chat_presence presence;
    struct chat_feed *feed;    /* of what is handed out; NULL: nothing is */
    struct chat_resume resume; /* where the last connection stood */
    bool has_resume;
    uint64_t processed; /* records of this one that are in the inbox, or were */
    STAILQ_HEAD(, letter) inbox;
    size_t inbox_n;
    bool is_ready; /* the server's handshake has come */
    bool was_ready;
    bool wants_fresh;      /* the chat did not take the ticket that was kept: try once with a new one */
    bool is_over;          /* for good */
    enum kerb_status over; /* ... because */
    char why[512];         /* ... in words */
    int64_t retry_ms;      /* monotonic */
    int64_t return_ms;     /* after how long the server that ends wants us back; 0: it has not said */
    unsigned backoff_ms;
    uint64_t last_id;
    uint64_t awaited; /* the reply that chat_call waits for; 0: none */
    json_t *reply;
};

struct kerb *chat_handle(struct kerb_chat *c)
{
    return c->k;
}

struct chat_keeper *chat_keeper(struct kerb_chat *c)
{
    return c->keeper;
}

void chat_tell(struct kerb_chat *c, enum kerb_chat_event event, const char *text)
{
    if (c->o.event)
        c->o.event(c->o.ctx, event, text);
}

/* --- its end --- */

static void over(struct kerb_chat *c, enum kerb_status status, const char *why)
{
    if (c->is_over)
        return;
    c->is_over = true;
    c->over = status;
    (void)snprintf(c->why, sizeof c->why, "%s", why);
}

static enum rc tell_over(struct kerb_chat *c)
{
    return client_fail(c->k, c->over, "%s", c->why);
}

/* The server does not keep to the protocol, or is not who it should be. */
static void distrust(struct kerb_chat *c, const char *why)
{
    char text[200];

    (void)snprintf(text, sizeof text, "the chat cannot be trusted: %s", why);
    over(c, KERB_UNTRUSTED, text);
    ws_end(c->ws, CODE_PROTOCOL);
}

static const char *words_of_code(unsigned code)
{
    static const struct {
        unsigned code;
        const char *words;
    } codes[] = {
        {4000, "the chat restarts"                                                                             },
        {4001, "the chat had a fault"                                                                          },
        {4002, "the ticket is over"                                                                            },
        {4003, "this client was too slow"                                                                      },
        {4004, "the chat had no sign of life from us"                                                          },
        {4500, "the chat does not take the ticket: kerb login"                                                 },
        {4501, "the chat did not understand this client"                                                       },
        {4502, "the login took too long"                                                                       },
        {4503, "the account was cut off, disabled or shown the door; kerb login tells whether it is good again"},
        {4504, "too many connections from this address"                                                        },
        {4505, "the chat speaks another version"                                                               },
        {4506, "the chat does not take connections from here"                                                  },
        {4507, "another connection has taken over"                                                             },
        {1009, "a message was larger than the chat takes"                                                      },
        {1013, "the chat has too much to do"                                                                   },
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return codes[i].words;
    return "the connection was lost";
}

/* --- tickets --- */

/*
 * The file may have changed since: renewed, logged out, another user. Not for a short connection: it may be part of a
 * login that is not in the file yet.
 */
static enum rc reload(struct kerb_chat *c)
{
    struct kerb *k = c->k;

    if (k->no_cache || c->o.stay_lost)
        return RC_OK;
    cache_done(&k->cache);
    TRY(client_load(k));
    if (!slice_eq(name_slice(&k->cache.client), name_slice(&c->session.client)) ||
        !slice_eq(name_slice(&k->cache.realm), name_slice(&c->session.realm)))
        return client_fail(k, KERB_NO_TICKET, "somebody else is logged in now: %s", k->cache.client.s);
    return RC_OK;
}

static enum rc fresh_ticket(struct kerb_chat *c, struct cache_entry *ret)
{
    TRY(reload(c));
    return client_fresh_ticket(c->k, &c->service, ret);
}

/* --- a connection that is lost --- */

/* The chat ends a connection in the same way for somebody who was shown the door only: the TGS knows. */
static void over_because_cut_off(struct kerb_chat *c, const char *why)
{
    AUTO(cache_entry_done) struct cache_entry ticket = {0};

    if (fresh_ticket(c, &ticket) != RC_OK && c->k->status == KERB_EXPIRED)
        over(c, KERB_EXPIRED, kerb_error(c->k));
    over(c, KERB_UNREACHABLE, why);
}

/* Where the next connection goes on. One that was never welcomed leaves it as it was. */
static void keep_resume(struct kerb_chat *c)
{
    if (c->feed)
        feed_lost(c->feed);
    if (!c->session.has_keys)
        return;
    memcpy(c->resume.token, c->session.token, CHAT_TOKEN);
    c->resume.last = (int64_t)c->processed - 1;
    c->has_resume = true;
}

/* Half of it, and up to as much again: clients that lost the same server do not all come back at once. */
static int64_t spread(unsigned pause_ms)
{
    uint8_t random[4] = {0};

    if (random_bytes(random, sizeof random) != RC_OK)
        return pause_ms;
    return pause_ms / 2 + get_u32be(random) % (pause_ms / 2 + 1);
}

static void back_off(struct kerb_chat *c)
{
    c->retry_ms = clock_monotonic_ms() + (c->return_ms ? c->return_ms : spread(c->backoff_ms));
    c->return_ms = 0;
    c->backoff_ms = c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : c->backoff_ms * 2;
}

static void lost(struct kerb_chat *c)
{
    unsigned code = ws_close_code(c->ws);
    char why[400];

    if (ws_error(c->ws)[0])
        (void)snprintf(why, sizeof why, "no connection to the chat at %s: %s", kerb_url(c->k), ws_error(c->ws));
    else
        (void)snprintf(why, sizeof why, "%s", words_of_code(code));
    bool was_ready = c->is_ready;
    c->is_ready = false;
    keep_resume(c);
    ws_close(c->ws);
    c->ws = NULL;
    if ((code == CODE_FATAL || code == CODE_CUT_OFF) && !was_ready && !c->wants_fresh) {
        c->wants_fresh = true;
        c->retry_ms = clock_monotonic_ms();
        return;
    }
    if (code == CODE_CUT_OFF)
        over_because_cut_off(c, why);
    else if (code == CODE_TOO_BIG || code == CODE_POLICY || code >= CODE_FATAL)
        over(c, code == CODE_FATAL ? KERB_REFUSED : KERB_UNREACHABLE, why);
    else if (c->o.stay_lost || !c->was_ready)
        over(c, KERB_UNREACHABLE, why);
    back_off(c);
    if (was_ready && !c->is_over)
        chat_tell(c, KERB_CHAT_LOST, why);
}

/* --- what the server says --- */

static enum rc send_json(struct kerb_chat *c, struct slice json)
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
    if (fresh_ticket(c, &ticket) == RC_OK && chat_session_reauth(&c->session, required, &ticket, &json) == RC_OK &&
        send_json(c, buf_slice(&json)) == RC_OK)
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
        distrust(c, "it is of another realm, or another service");
    else if (rc != RC_OK)
        distrust(c, "its challenge is damaged");
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
        distrust(c, "it sends what is no message");
    } else if (slice_eq(type, slice_text("challenge")) && !c->session.login.n) {
        answer_challenge(c, frame);
    } else if (slice_eq(type, slice_text("welcome"))) {
        if (chat_session_welcome(&c->session, frame) != RC_OK)
            distrust(c, "it does not know the key of its own ticket");
        client_trace(c->k, "   chat: welcome opened with the session key; keys of both directions made");
    } else if (!slice_eq(type, slice_text("error"))) { /* the close code behind it says all */
        distrust(c, "it sends messages in a wrong order");
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
        distrust(c, "a message does not open in its place");
        return;
    }
    if (json_parse_object(buf_slice(&text), JSON_DEPTH_CHAT, &j) != RC_OK || json_get_text(j, "type", &type) != RC_OK) {
        distrust(c, "it sends what is no message");
        return;
    }
    chat_trace_record(c->k, "<-", buf_slice(&text), message.n);
    if (!c->is_ready) {
        if (!slice_eq(type, slice_text("handshake"))) {
            distrust(c, "it does not begin with a handshake");
            return;
        }
        c->is_ready = true;
        c->wants_fresh = false;
        c->backoff_ms = BACKOFF_FIRST_MS;
    }
    keeper_saw(c, c->keeper, j);
    put_in_inbox(c, j);
}

static void on_message(void *ctx, struct slice message, bool is_binary)
{
    struct kerb_chat *c = ctx;

    if (c->is_over)
        return;
    if (is_binary != c->session.has_keys)
        distrust(c, "it sends messages of another profile");
    else if (is_binary)
        record(c, message);
    else
        plain_frame(c, message);
}

/* --- the inbox --- */

static uint64_t id_of(const json_t *j)
{
    struct slice text;
    uint64_t id = 0;

    if (json_get_text(j, "id", &text) != RC_OK || text.n < 2 || text.p[0] != 'k' ||
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

/* A server that asks for too long is asked sooner. */
static void take_restart(struct kerb_chat *c, const json_t *j)
{
    int64_t ms;

    if (json_get_int(j, "retry_after_ms", &ms) == RC_OK && ms > 0)
        c->return_ms = ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void deliver(struct kerb_chat *c, json_t *j)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    uint64_t id = id_of(j);

    if (strcmp(type, "restart") == 0) {
        take_restart(c, j);
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
static bool drain(struct kerb_chat *c)
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

/* --- connecting --- */

static enum rc connect_now(struct kerb_chat *c)
{
    AUTO(buf_done) struct buf url = {0};
    struct name realm = c->session.realm, client = c->session.client;

    /* before the server's clock for the login runs */
    TRY(c->wants_fresh ? fresh_ticket(c, &c->ticket) : client_ticket(c->k, &c->service, &c->ticket));
    if (!client.n) {
        realm = c->k->cache.realm;
        client = c->k->cache.client;
    }
    TRY(client_url(c->k, PATH, &url));
    chat_session_done(&c->session);
    chat_session_init(&c->session, &realm, &client);
    c->processed = 0;
    const struct ws_options o = {.url = (const char *)url.p,
                                 .ca_file = c->k->ca_file,
                                 .protocol = CHAT_SUBPROTOCOL,
                                 .timeout_s = c->k->timeout_s,
                                 .message = on_message,
                                 .ctx = c};
    client_trace(c->k, "-> websocket %s, subprotocol %s", (const char *)url.p, CHAT_SUBPROTOCOL);
    if (ws_open(&o, &c->ws) != RC_OK)
        return client_fail(c->k, KERB_BAD_CONFIG, "the chat cannot be reached with the URL %s", kerb_url(c->k));
    return RC_OK;
}

/* A failure that time may heal only makes the pause longer. */
static void seek(struct kerb_chat *c)
{
    enum rc rc = reload(c);

    if (rc == RC_OK)
        rc = connect_now(c);
    if (rc == RC_OK)
        return;
    enum kerb_status status = client_end(c->k, rc);
    if (status != KERB_UNREACHABLE && status != KERB_SERVER_ERROR && status != KERB_BUSY)
        over(c, status, kerb_error(c->k));
    back_off(c);
}

static bool wait_lost(struct kerb_chat *c, int other_fd, int timeout_ms)
{
    int64_t left = c->retry_ms - clock_monotonic_ms();
    struct pollfd fd = {.fd = other_fd, .events = POLLIN};

    if (left > 0)
        return poll(&fd, 1, left < timeout_ms ? (int)left : timeout_ms) > 0;
    seek(c);
    return false;
}

/* One round; *ret_other: the other descriptor can be read. */
static enum rc step(struct kerb_chat *c, int other_fd, int timeout_ms, bool *ret_other, bool *ret_some)
{
    *ret_other = false;
    *ret_some = drain(c);
    if (c->is_over)
        return tell_over(c);
    if (*ret_some)
        return RC_OK;
    if (c->feed && c->is_ready) {
        int due_ms = feed_poll(c->feed, clock_monotonic_ms());
        timeout_ms = due_ms < timeout_ms ? due_ms : timeout_ms;
    }
    *ret_other = c->ws ? ws_wait(c->ws, other_fd, timeout_ms) : wait_lost(c, other_fd, timeout_ms);
    *ret_some = drain(c);
    if (c->ws && ws_state(c->ws) == WS_CLOSED)
        lost(c);
    return c->is_over ? tell_over(c) : RC_OK;
}

/* Until the server's handshake, or the end. */
static enum rc await_ready(struct kerb_chat *c)
{
    int64_t end = clock_monotonic_ms() + (int64_t)c->k->timeout_s * 1000;
    bool other, some;

    while (!c->was_ready) {
        TRY(step(c, -1, 100, &other, &some));
        if (clock_monotonic_ms() > end)
            return client_fail(c->k, KERB_UNREACHABLE, "the chat at %s does not answer", kerb_url(c->k));
    }
    return RC_OK;
}

static enum rc start(struct kerb_chat *c)
{
    struct kerb *k = c->k;

    TRY(client_name(k, "service", c->o.service ? c->o.service : CHAT_SERVICE, &c->service));
    (void)snprintf(c->device, sizeof c->device, "%s", c->o.device ? c->o.device : "kerb");
    if (c->o.message && !(c->feed = feed_new(&(struct feed_ops){feed_hands_out, feed_asks, c})))
        return RC_NO_MEMORY;
    TRY(connect_now(c));
    if (keeper_new(k, &c->keeper) != RC_OK)
        return client_fail(k, KERB_BAD_CACHE,
                           "%s.shares: cannot be read, or others could read it; shares are kept there for a moment",
                           kerb_cache_path(k));
    return await_ready(c);
}

enum rc chat_open(struct kerb *k, const struct kerb_chat_options *options, struct kerb_chat **ret)
{
    struct kerb_chat *c = calloc(1, sizeof *c);

    if (!c)
        return RC_NO_MEMORY;
    c->k = k;
    c->o = *options;
    c->backoff_ms = BACKOFF_FIRST_MS;
    STAILQ_INIT(&c->inbox);
    enum rc rc = start(c);
    if (rc != RC_OK) {
        kerb_chat_close(c);
        return rc;
    }
    *ret = c;
    return RC_OK;
}

enum kerb_status kerb_chat_open(struct kerb *k, const struct kerb_chat_options *options, struct kerb_chat **ret)
{
    static const struct kerb_chat_options none;

    client_begin(k);
    return client_end(k, chat_open(k, options ? options : &none, ret));
}

void kerb_chat_close(struct kerb_chat *c)
{
    int64_t end = clock_monotonic_ms() + FLUSH_MS;
    bool other, some;

    if (!c)
        return;
    c->o.message = NULL;
    c->o.stay_lost = true;
    while (c->is_ready && keeper_is_busy(c->keeper) && clock_monotonic_ms() < end)
        if (step(c, -1, 100, &other, &some) != RC_OK)
            break;
    ws_close(c->ws);
    c->is_over = true;
    (void)drain(c);
    json_done(&c->reply);
    keeper_free(c->keeper);
    feed_free(c->feed);
    wipe(&c->resume, sizeof c->resume);
    chat_session_done(&c->session);
    cache_entry_done(&c->ticket);
    free(c);
}

/* --- for the program --- */

enum kerb_status kerb_chat_wait(struct kerb_chat *c, int other_fd, int timeout_ms, bool *ret_other)
{
    bool other = false, some = false;
    int64_t end = clock_monotonic_ms() + timeout_ms, left = timeout_ms;
    enum rc rc = RC_OK;

    client_begin(c->k);
    do {
        rc = step(c, other_fd, (int)left, &other, &some);
        left = end - clock_monotonic_ms();
    } while (rc == RC_OK && !other && !some && left > 0);
    if (ret_other)
        *ret_other = other;
    return client_end(c->k, rc);
}

enum rc chat_send(struct kerb_chat *c, const json_t *request, uint64_t *ret_id)
{
    AUTO(json_done) json_t *labelled = json_copy((json_t *)(uintptr_t)request);
    AUTO(str_done) char *text = NULL;
    char id[CHAT_ID_MAX];

    if (c->is_over)
        return tell_over(c);
    if (!c->ws || !c->is_ready)
        return client_fail(c->k, KERB_UNREACHABLE, "there is no connection to the chat at the moment");
    (void)snprintf(id, sizeof id, "k%llu", (unsigned long long)++c->last_id);
    if (!labelled || json_object_set_new(labelled, "id", json_string(id)) != 0)
        return RC_NO_MEMORY;
    text = json_dumps(labelled, JSON_COMPACT);
    if (!text)
        return RC_NO_MEMORY;
    if (ret_id)
        *ret_id = c->last_id;
    enum rc rc = send_json(c, slice_text(text));
    return rc == RC_OK ? RC_OK : client_fail(c->k, KERB_UNREACHABLE, "too much waits to be sent to the chat");
}

/* A name for a message: ids of one sender grow with the time, which keeps the server's index of them compact. */
static enum rc make_cid(json_t *request)
{
    AUTO(buf_done) struct buf bytes = {0}, text = {0};
    uint8_t id[ID_LEN];

    TRY(random_bytes(id, sizeof id));
    TRY(buf_u64be(&bytes, (uint64_t)clock_ms() << 16));
    memcpy(id, bytes.p, CID_TIME);
    TRY(base64url_encode(SLICE(id), &text));
    if (!buf_cstr(&text) || json_object_set_new(request, "cid", json_string((const char *)text.p)) != 0)
        return RC_NO_MEMORY;
    return RC_OK;
}

/* A message has a name, and so can be sent again without being stored twice. */
static bool is_message(const json_t *request)
{
    struct slice type;
    return json_get_text(request, "type", &type) == RC_OK && slice_eq(type, slice_text("new_message"));
}

static enum rc await_connection(struct kerb_chat *c, int64_t end_ms)
{
    bool other, some;

    while (!c->is_ready && clock_monotonic_ms() < end_ms)
        TRY(step(c, -1, 100, &other, &some));
    return RC_OK;
}

/* Errors: UNREACHABLE, told; *ret_lost: the connection went before the reply came. */
static enum rc call_once(struct kerb_chat *c, const json_t *request, int64_t end_ms, bool *ret_lost)
{
    bool other, some;

    *ret_lost = false;
    TRY(chat_send(c, request, &c->awaited));
    const struct ws *ws = c->ws;
    while (c->awaited) {
        TRY(step(c, -1, 100, &other, &some));
        *ret_lost = c->awaited && c->ws != ws;
        if (*ret_lost || (c->awaited && clock_monotonic_ms() > end_ms)) {
            c->awaited = 0;
            return client_fail(c->k, KERB_UNREACHABLE,
                               "no answer from the chat; what was asked for may have been done");
        }
    }
    return RC_OK;
}

/* How long the server wants us to wait before we ask again; 0: it has answered. */
static int64_t wait_of(const json_t *reply)
{
    const char *type = json_string_value(json_object_get(reply, "type"));
    int64_t ms = 0;

    if (!type || strcmp(type, "error") != 0 || json_get_int(reply, "retry_after_ms", &ms) != RC_OK)
        return 0;
    return ms > 0 ? ms : 0;
}

static enum rc pause_for(struct kerb_chat *c, int64_t ms)
{
    int64_t end_ms = clock_monotonic_ms() + ms;
    bool other, some;

    for (int64_t left = ms; left > 0; left = end_ms - clock_monotonic_ms())
        TRY(step(c, -1, left < 100 ? (int)left : 100, &other, &some));
    return RC_OK;
}

static enum rc call_until(struct kerb_chat *c, const json_t *request, int64_t end_ms)
{
    bool may_repeat = is_message(request), lost, again;
    enum rc rc;

    do {
        if (may_repeat)
            TRY(await_connection(c, end_ms));
        rc = call_once(c, request, end_ms, &lost);
        int64_t wait_ms = rc == RC_OK ? wait_of(c->reply) : 0;
        again = (lost && may_repeat) || wait_ms > 0;
        if (wait_ms > 0 && clock_monotonic_ms() + wait_ms < end_ms) {
            json_done(&c->reply);
            TRY(pause_for(c, wait_ms));
        } else if (wait_ms > 0) {
            again = false;
        }
    } while (again && clock_monotonic_ms() < end_ms);
    if (rc == RC_OK && !c->reply)
        return client_fail(c->k, KERB_BUSY, "the chat has too much to do: try again later");
    return rc;
}

enum rc chat_call(struct kerb_chat *c, const json_t *request, json_t **ret)
{
    AUTO(json_done) json_t *named = json_copy((json_t *)(uintptr_t)request);

    if (!named)
        return RC_NO_MEMORY;
    if (is_message(named) && !json_object_get(named, "cid"))
        TRY(make_cid(named));
    TRY(call_until(c, named, clock_monotonic_ms() + (int64_t)c->k->timeout_s * 1000));
    *ret = c->reply;
    c->reply = NULL;
    return RC_OK;
}

static enum rc read_request(struct kerb_chat *c, const char *json, json_t **ret)
{
    if (json_parse_object(slice_text(json), JSON_DEPTH_CHAT - 1, ret) == RC_OK)
        return RC_OK;
    return client_fail(c->k, KERB_BAD_ARGUMENT, "what is asked for is not a JSON object");
}

enum kerb_status kerb_chat_send(struct kerb_chat *c, const char *json, uint64_t *ret_id)
{
    AUTO(json_done) json_t *request = NULL;

    client_begin(c->k);
    enum rc rc = read_request(c, json, &request);
    if (rc == RC_OK)
        rc = chat_send(c, request, ret_id);
    return client_end(c->k, rc);
}

enum kerb_status kerb_chat_call(struct kerb_chat *c, const char *json, char **ret_json)
{
    AUTO(json_done) json_t *request = NULL, *reply = NULL;

    client_begin(c->k);
    enum rc rc = read_request(c, json, &request);
    if (rc == RC_OK)
        rc = chat_call(c, request, &reply);
    if (rc == RC_OK) {
        char *text = json_dumps(reply, JSON_COMPACT);
        if (text)
            *ret_json = text;
        else
            rc = RC_NO_MEMORY;
    }
    return client_end(c->k, rc);
}

bool kerb_chat_has_vault(const struct kerb_chat *c)
{
    return c->k->cache.vault.has;
}
