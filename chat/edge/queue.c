/*
 * What is to be written: whole frames, gathered per session, one write per session and turn of the loop.
 *
 * A push is sealed straight into the session's buffer. Buffers come from a pool and go back when they are empty: so a
 * quiet session has none, and a delivered frame allocates nothing. What is given to libwebsockets is always whole
 * frames, so the rest can be dropped at any time.
 *
 * What one reader can make us keep: queue_max bytes, or one push where that is longer, and beside it the rest of one
 * write that libwebsockets holds back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "chat/edge/internal.h"

#define FRAME_HEAD_MAX 10
#define OP_TEXT        0x81 /* final */
#define OP_BINARY      0x82
#define OP_CLOSE       0x88
#define OP_PING        0x89

/* --- frames: RFC 6455 s.5.2; a server's have no mask --- */

static size_t head_len(size_t n)
{
    return n < 126 ? 2 : n < 65536 ? 4 : FRAME_HEAD_MAX;
}

static void put_head(uint8_t *p, uint8_t op, size_t n)
{
    p[0] = op;
    if (n < 126) {
        p[1] = (uint8_t)n;
    } else if (n < 65536) {
        p[1] = 126;
        p[2] = (uint8_t)(n >> 8);
        p[3] = (uint8_t)n;
    } else {
        p[1] = 127;
        put_u64be(p + 2, n);
    }
}

static size_t frame_len(const uint8_t *p)
{
    size_t n = p[1];

    if (n == 126)
        n = (size_t)p[2] << 8 | p[3];
    else if (n == 127)
        n = (size_t)get_u64be(p + 2);
    return head_len(n) + n;
}

/* Whole frames for one write: as many as fit into a chunk, at least one. */
static size_t gather(const struct session *s)
{
    size_t left = s->out.n - s->out_at, n = frame_len(s->out.p + s->out_at);

    while (n < left) {
        size_t next = frame_len(s->out.p + s->out_at + n);
        if (n + next > WRITE_CHUNK)
            break;
        n += next;
    }
    return n;
}

/* --- buffers --- */

static void take_buffer(struct session *s)
{
    struct edge *e = s->edge;

    if (s->out.cap == 0 && e->pool_n > 0)
        s->out = e->pool[--e->pool_n];
}

/* What is in it is sealed or public: nothing to wipe. */
void queue_release(struct session *s)
{
    struct edge *e = s->edge;

    s->out.n = s->out_at = 0;
    if (s->out.cap == 0)
        return;
    if (e->pool_n == POOL_MAX || s->out.cap > POOL_BUF_MAX)
        buf_done(&s->out);
    else
        e->pool[e->pool_n++] = s->out;
    s->out = (struct buf){0};
}

/* Half of what is not in use goes every second. */
void pool_trim(struct edge *e)
{
    for (size_t n = (e->pool_n + 1) / 2; n > 0; n--)
        buf_done(&e->pool[--e->pool_n]);
}

void pool_free(struct edge *e)
{
    while (e->pool_n > 0)
        buf_done(&e->pool[--e->pool_n]);
}

/* --- queueing --- */

void queue_mark(struct session *s)
{
    if (s->is_dirty || !s->wsi)
        return;
    s->is_dirty = true;
    TAILQ_INSERT_TAIL(&s->edge->dirty, s, in_dirty);
}

/* What sealing will probably make of it: a record is a little longer than its text, a box is 4/3 of that. */
static size_t guess_sealed(const struct session *s, size_t n)
{
    if (!wire_conn_is_authed(s->wire))
        return n;
    return wire_conn_profile(s->wire) == WIRE_SEALED ? n + 40 : n / 12 * 16 + 48;
}

/* Seals behind a head of the size that it will probably need. */
static enum rc add_message(struct session *s, struct slice json)
{
    size_t at = s->out.n, guess = head_len(guess_sealed(s, json.n));
    bool is_binary;

    TRY(buf_reserve(&s->out, FRAME_HEAD_MAX + json.n / 3 * 4 + 64));
    s->out.n += guess;
    TRY(wire_seal(s->wire, json, &s->out, &is_binary));
    size_t n = s->out.n - at - guess, head = head_len(n);
    if (head != guess) {
        TRY(buf_reserve(&s->out, FRAME_HEAD_MAX));
        memmove(s->out.p + at + head, s->out.p + at + guess, n);
        s->out.n = at + head + n;
    }
    put_head(s->out.p + at, is_binary ? OP_BINARY : OP_TEXT, n);
    return RC_OK;
}

static void flush_one(struct session *s);

size_t queue_waiting(const struct session *s)
{
    return s->out.n - s->out_at;
}

/*
 * A reader who is too slow is closed. What the socket would take at once does not count, and a push that waits alone is
 * never too much: it could not be told otherwise.
 */
static void bound(struct session *s, size_t added)
{
    size_t max = (size_t)s->edge->o.conf->chat_queue_max;

    if (queue_waiting(s) > max)
        flush_one(s);
    if (queue_waiting(s) > max && queue_waiting(s) > added) {
        metric_count(COUNT_slow_readers, 1);
        session_close(s, CLOSE_TOO_SLOW);
    }
}

bool queue_json(struct session *s, struct slice json)
{
    if (s->is_closing || !s->wsi)
        return false;
    take_buffer(s);
    size_t before = s->out.n;
    if (add_message(s, json) != RC_OK) {
        s->out.n = before;
        session_close(s, CLOSE_INTERNAL);
        return false;
    }
    metric_count(COUNT_deliveries, 1);
    queue_mark(s);
    bound(s, s->out.n - before);
    return true;
}

void queue_plain(struct session *s, struct slice text)
{
    if (s->is_closing || !s->wsi || text.n == 0)
        return;
    take_buffer(s);
    if (buf_reserve(&s->out, FRAME_HEAD_MAX + text.n) != RC_OK) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    put_head(s->out.p + s->out.n, OP_TEXT, text.n);
    s->out.n += head_len(text.n);
    memcpy(s->out.p + s->out.n, text.p, text.n);
    s->out.n += text.n;
    queue_mark(s);
}

static void add_control(struct session *s, uint8_t op, struct slice payload)
{
    take_buffer(s);
    if (buf_reserve(&s->out, FRAME_HEAD_MAX + payload.n) != RC_OK)
        return; /* then it is not pinged, or closed without a word */
    put_head(s->out.p + s->out.n, op, payload.n);
    s->out.n += head_len(payload.n);
    if (payload.n > 0)
        memcpy(s->out.p + s->out.n, payload.p, payload.n);
    s->out.n += payload.n;
    queue_mark(s);
}

/* Letters, because libwebsockets 4.1.6 wants a pong after a text to be UTF-8, and does not tell of an empty one. */
void queue_ping(struct session *s, const uint64_t *number)
{
    char payload[24] = "alive";

    if (s->is_closing || !s->wsi)
        return;
    if (number)
        snprintf(payload, sizeof(payload), "%" PRIu64, *number);
    add_control(s, OP_PING, slice_text(payload));
}

void queue_close(struct session *s, unsigned code)
{
    const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    if (s->wsi)
        add_control(s, OP_CLOSE, SLICE(payload));
}

void queue_drop(struct session *s)
{
    queue_release(s);
}

void queue_online(struct session *s)
{
    if (s->is_closing)
        return;
    s->wants_online = true;
    queue_mark(s);
}

void queue_presence(struct session *s)
{
    if (s->is_closing)
        return;
    s->wants_presence = true;
    queue_mark(s);
}

/* --- writing --- */

static void add_push(struct session *s, const struct chat_push *push)
{
    struct edge *e = s->edge;

    if (wire_write(e->o.wire, push, wire_conn_profile(s->wire), &e->json[0]) == RC_OK)
        queue_json(s, buf_slice(&e->json[0]));
    else
        session_close(s, CLOSE_INTERNAL);
}

/* As of now: whatever changed since it was asked for is in it. */
static void add_online(struct session *s)
{
    struct chat_push push;

    s->wants_online = false;
    if (s->is_closing || !s->conn)
        return;
    chat_online_push(s->edge->o.chat, s->conn, clock_s(), &push);
    add_push(s, &push);
}

/* The same; it waits while the queue is long, and then tells at once what has changed meanwhile. */
static void add_presence(struct session *s)
{
    struct chat_push push;

    if (!lag_has_room(s))
        return;
    s->wants_presence = false;
    if (!s->is_closing && s->conn && chat_presence_push(s->edge->o.chat, s->conn, clock_s(), &push))
        add_push(s, &push);
}

/* held: bytes of the write that was cut. */
static void choke(struct session *s, size_t held)
{
    s->is_choked = true;
    s->held = held;
    s->choked_ms = (int64_t)uv_now(&s->edge->loop);
    TAILQ_INSERT_TAIL(&s->edge->choked, s, in_choked);
    (void)lws_callback_on_writable(s->wsi);
}

void queue_unchoke(struct session *s)
{
    if (!s->is_choked)
        return;
    s->is_choked = false;
    s->held = 0;
    TAILQ_REMOVE(&s->edge->choked, s, in_choked);
    queue_mark(s);
}

static void flush_one(struct session *s)
{
    if (s->is_choked || s->has_peer_closed || !s->wsi)
        return;
    while (s->out_at < s->out.n) {
        size_t n = gather(s);
        if (lws_write(s->wsi, s->out.p + s->out_at, n, LWS_WRITE_RAW) < 0) {
            queue_release(s);
            session_kill(s);
            return;
        }
        s->out_at += n;
        if (lws_partial_buffered(s->wsi)) {
            choke(s, n);
            break;
        }
    }
    if (s->out_at == s->out.n)
        queue_release(s);
    if (!s->is_choked && (!RB_EMPTY(&s->lags) || s->wants_presence))
        queue_mark(s); /* there is room to tell what was left out */
}

void queue_try(struct session *s)
{
    flush_one(s);
}

void queue_flush(struct edge *e)
{
    struct session *s;

    while ((s = TAILQ_FIRST(&e->dirty))) {
        TAILQ_REMOVE(&e->dirty, s, in_dirty);
        s->is_dirty = false;
        if (s->wants_online && !s->is_choked)
            add_online(s);
        if (s->wants_presence && !s->is_choked)
            add_presence(s);
        if (!s->is_choked)
            lag_tell(s);
        flush_one(s);
    }
    for (int i = 0; i < WIRE_PROFILES; i++)
        buf_reset(&e->json[i]); /* the last texts are not left lying about */
}
