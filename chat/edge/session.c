/*
 * A session: a websocket from its upgrade to its end.
 *
 * It is closed by a close frame of our own behind what is queued; the peer's answer, the end of the socket or five
 * seconds end it. libwebsockets would lose the close frame under libuv, or send it before what it holds back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "chat/edge/internal.h"

#define CODE_NORMAL 1000 /* RFC 6455 s.7.4.1 */

static void log_session(const struct session *s, enum log_level level, const char *event, const char *reason)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_str(&line, "op_id", s->op_id);
    log_str(&line, "address", s->from);
    if (s->wire && wire_conn_name(s->wire).n > 0)
        log_slice(&line, "user", wire_conn_name(s->wire));
    if (reason)
        log_str(&line, "reason", reason);
    if (s->close_code)
        log_num(&line, "code", s->close_code);
    log_end(&line);
}

static const char *close_reason(const struct session *s)
{
    static const struct {
        unsigned code;
        const char *text;
    } reasons[] = {
        {CLOSE_RESTART,        "restart"             },
        {CLOSE_INTERNAL,       "internal"            },
        {CLOSE_TICKET_EXPIRED, "ticket expired"      },
        {CLOSE_TOO_SLOW,       "too slow"            },
        {CLOSE_NO_PONG,        "no pong"             },
        {CLOSE_LOGIN_FAILED,   "login failed"        },
        {CLOSE_PROTOCOL,       "protocol error"      },
        {CLOSE_LOGIN_TIMEOUT,  "login timeout"       },
        {CLOSE_CUT_OFF,        "cut off"             },
        {CLOSE_VERSION,        "version"             },
        {CLOSE_TOO_MANY,       "too many connections"},
        {CLOSE_TAKEN_OVER,     "taken over"          },
        {CLOSE_TOO_BIG,        "message too big"     },
        {CLOSE_OVERLOADED,     "overloaded"          },
    };

    if (!s->is_closing)
        return s->has_peer_closed ? "closed by the client" : "connection lost";
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].code == s->close_code)
            return reasons[i].text;
    return "closed";
}

/* --- its beginning --- */

void session_free(struct session *s)
{
    wire_conn_free(s->wire);
    address_release(s->edge, s->address);
    buf_done(&s->in);
    buf_done(&s->out);
    lag_forget(s);
    free(s);
}

/* The websocket has been accepted so that these can be told by a close code. */
static unsigned refusal(const struct session *s)
{
    const struct edge *e = s->edge;

    if (e->drain != DRAIN_NONE)
        return CLOSE_RESTART;
    if (e->sessions_n > e->connections_max)
        return CLOSE_OVERLOADED;
    if (s->address->sessions_n > (size_t)e->o.conf->chat_connections_per_address_max)
        return CLOSE_TOO_MANY;
    return 0;
}

/* The challenge and the welcome go in front of everything that the core says. */
static void say_handshake(struct session *s)
{
    AUTO(buf_done) struct buf text = {0};

    if (wire_handshake(s->wire, clock_s(), &text) != RC_OK)
        session_close(s, CLOSE_INTERNAL);
    else
        queue_plain(s, buf_slice(&text));
}

struct session *session_open(struct edge *e, struct lws *wsi, enum wire_profile profile, const char *address)
{
    struct session *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->edge = e;
    (void)snprintf(s->from, sizeof(s->from), "%s", address);
    s->address = address_hold(e, address);
    s->wire = s->address ? wire_conn_new(e->o.wire, profile, address) : NULL;
    if (!s->wire) {
        session_free(s);
        return NULL;
    }
    s->wsi = wsi;
    op_id_make(s->op_id);
    e->sessions_n++;
    life_enter(s, LIFE_ALIVE);
    unsigned code = refusal(s);
    if (code != 0) {
        session_close(s, code);
        return s;
    }
    log_session(s, LOG_DEBUG, "connect", NULL);
    say_handshake(s);
    struct chat_event ev = {.kind = CHAT_CONNECTED, .edge = s};
    edge_step(e, &ev);
    s->conn = ev.conn;
    if (!s->conn)
        session_close(s, CLOSE_INTERNAL);
    return s;
}

/* --- what comes in --- */

static bool is_login(const struct chat_event *ev, const struct session *s)
{
    if (ev->kind == CHAT_LOGIN || ev->kind == CHAT_REAUTH)
        return true;
    return ev->kind == CHAT_REFUSED &&
           (ev->code == CODE_LOGIN_FAILED || (ev->code == CODE_RATE_LIMITED && !wire_conn_is_authed(s->wire)));
}

/* The wire let him in; the core may know more of him. */
static enum rc login_result(const struct session *s, enum rc rc)
{
    if (rc != RC_OK || !s->is_closing)
        return rc;
    return s->close_code == CLOSE_CUT_OFF ? RC_CUT_OFF : s->close_code == CLOSE_TOO_MANY ? RC_LIMIT : rc;
}

static void tell_login(const struct session *s, const struct chat_event *ev, bool was_authed, enum rc rc,
                       int64_t started_us)
{
    const struct wire_shown *shown = wire_shown(s->edge->o.wire);
    const struct decision d = {
        .event = was_authed ? "reauth" : "login",
        .op_id = s->op_id,
        .address = s->from,
        .profile = wire_conn_profile(s->wire) == WIRE_SEALED ? ETYPE_AES128_CBC_HS256 : ETYPE_AES128_CBC,
        .client = shown->has_ticket ? name_slice(&shown->client) : slice_of(NULL, 0),
        .service = name_slice(&s->edge->service),
        .ticket_in = shown->has_ticket ? shown->ticket : NULL,
        .rc = login_result(s, rc),
        .refusal = ev->kind == CHAT_REFUSED ? chat_code_word(ev->code) : NULL,
        .skew_s = shown->skew_s,
        .has_skew = shown->has_skew,
        .started_us = started_us,
    };

    ops_tell(s->edge->o.ops, &d);
}

static void count_resumed(const struct chat_event *ev)
{
    if (ev->resumed != RESUME_NOT_ASKED)
        metric_count(ev->resumed == RESUMED ? COUNT_resumed : COUNT_not_resumed, 1);
}

static void log_refusal(const struct session *s, const struct chat_event *ev, enum rc rc)
{
    struct log_line line;

    if (rc == RC_OK)
        return;
    if (rc == RC_REPEAT)
        metric_count(COUNT_replays, 1);
    log_begin(&line, LOG_DEBUG, "refused");
    log_str(&line, "op_id", s->op_id);
    log_str(&line, "address", s->from);
    if (wire_conn_name(s->wire).n > 0)
        log_slice(&line, "user", wire_conn_name(s->wire));
    log_rc(&line, rc);
    log_str(&line, "code", chat_code_word(ev->code));
    log_end(&line);
}

static void read_message(struct session *s, struct slice message, bool is_binary)
{
    const bool was_authed = wire_conn_is_authed(s->wire);
    const int64_t started_us = clock_monotonic_us();
    struct chat_event ev;
    enum rc rc;

    wire_read(s->wire, message, is_binary, clock_s(), &ev, &rc);
    if (ev.kind == CHAT_LOGIN)
        say_handshake(s);
    ev.conn = s->conn;
    ev.edge = s;
    if (!is_login(&ev, s)) {
        log_refusal(s, &ev, rc);
        edge_step(s->edge, &ev);
        return;
    }
    edge_step(s->edge, &ev);
    count_resumed(&ev);
    tell_login(s, &ev, was_authed, rc, started_us);
}

/* Ignored: what comes behind a close frame of either side, and while the daemon stops. */
static bool is_deaf(const struct session *s)
{
    return s->is_closing || s->has_peer_closed || !s->conn || s->edge->drain != DRAIN_NONE;
}

void session_read(struct session *s, struct slice message, bool is_binary)
{
    if (!is_deaf(s) && !pause_takes(s, message, is_binary))
        read_message(s, message, is_binary);
}

void session_receive(struct session *s, struct slice piece)
{
    bool is_first = lws_is_first_fragment(s->wsi) != 0, is_last = lws_is_final_fragment(s->wsi) != 0;
    size_t left = lws_remaining_packet_payload(s->wsi);

    life_touch(s);
    if (is_deaf(s))
        return;
    if (is_first)
        buf_reset(&s->in);
    if (s->in.n + piece.n > (size_t)s->edge->o.conf->chat_frame_max ||
        left > (size_t)s->edge->o.conf->chat_frame_max - s->in.n - piece.n) {
        session_close(s, CLOSE_TOO_BIG);
        return;
    }
    if (is_first && is_last) {
        session_read(s, piece, lws_frame_is_binary(s->wsi) != 0);
    } else if (buf_add(&s->in, piece) != RC_OK) {
        session_close(s, CLOSE_INTERNAL);
    } else if (is_last) {
        AUTO(buf_done) struct buf whole = buf_take(&s->in);
        session_read(s, buf_slice(&whole), lws_frame_is_binary(s->wsi) != 0);
    }
}

void session_pong(struct session *s, struct slice payload)
{
    uint64_t number;

    life_touch(s);
    if (is_deaf(s) || parse_u64(payload, UINT64_MAX, &number) != RC_OK)
        return;
    struct chat_event ev = {.kind = CHAT_PONG, .conn = s->conn, .edge = s, .ping = number};
    edge_step(s->edge, &ev);
}

void session_ask_reauth(struct session *s)
{
    AUTO(buf_done) struct buf json = {0};

    if (s->is_closing || !s->wsi)
        return;
    if (wire_ask_reauth(s->wire, clock_s(), &json) != RC_OK)
        session_close(s, CLOSE_INTERNAL);
    else
        queue_json(s, buf_slice(&json));
}

/* --- its end --- */

bool session_peer_closed(struct session *s, struct slice payload)
{
    s->has_peer_closed = true;
    queue_drop(s);
    if (s->is_closing)
        return true;
    if (payload.n >= 2)
        s->close_code = (uint16_t)(payload.p[0] << 8 | payload.p[1]);
    life_leave(s);
    life_enter(s, LIFE_CLOSING);
    edge_depart(s);
    return false;
}

bool session_said_goodbye(const struct session *s)
{
    return s->has_peer_closed && !s->is_closing && s->close_code == CODE_NORMAL;
}

void session_close(struct session *s, unsigned code)
{
    if (s->is_closing || s->has_peer_closed || !s->wsi)
        return;
    if (code == CLOSE_TOO_SLOW || code == CLOSE_NO_PONG)
        queue_drop(s);
    queue_close(s, code);
    s->is_closing = true;
    s->close_code = (uint16_t)code;
    s->wants_online = s->wants_presence = false;
    buf_done(&s->in);
    life_leave(s);
    life_enter(s, LIFE_CLOSING);
    edge_depart(s);
}

void session_kill(struct session *s)
{
    if (s->wsi)
        lws_set_timeout(s->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

void session_gone(struct session *s)
{
    struct edge *e = s->edge;

    log_session(s, wire_conn_is_authed(s->wire) || s->is_closing ? LOG_INFO : LOG_DEBUG, "close", close_reason(s));
    s->wsi = NULL;
    pause_end(s);
    life_leave(s);
    if (s->is_dirty)
        TAILQ_REMOVE(&e->dirty, s, in_dirty);
    s->is_dirty = false;
    if (s->is_choked)
        TAILQ_REMOVE(&e->choked, s, in_choked);
    s->is_choked = false;
    queue_release(s);
    e->sessions_n--;
    if (s->conn && e->drain != DRAIN_OVER)
        edge_depart(s); /* frees it when the core knows */
    else
        session_free(s);
}
