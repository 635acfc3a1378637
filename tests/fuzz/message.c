/*
 * Websocket messages put together from what libwebsockets hands over: pieces of frames, frames of messages.
 *
 * The input is a list of frames of three bytes: flags, length, length of a piece. libwebsockets is played here, and so
 * is everything behind the assembly, which must get each message once, whole, and none that is too long.
 */
#include "chat/edge/internal.h"
#include "tests/fuzz/fuzz.h"

#define FRAME_MAX 1024

enum { IS_LAST = 1, IS_BINARY = 2, IS_LONG = 4, IS_ANNOUNCED = 8, HAS_PONG = 16 };

static struct conf conf;
static struct edge edge;

/* What libwebsockets says of the piece at hand. */
static struct {
    bool is_first, is_final, is_binary;
    size_t left;
} now;

/* What should come out, and what has. */
static struct {
    struct buf whole;
    bool is_expected, is_read;
    unsigned close_code;
} world;

int __wrap_lws_is_first_fragment(struct lws *wsi);
int __wrap_lws_is_final_fragment(struct lws *wsi);
int __wrap_lws_frame_is_binary(struct lws *wsi);
size_t __wrap_lws_remaining_packet_payload(struct lws *wsi);
void __wrap_wire_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s, struct chat_event *ret,
                      enum rc *ret_rc);
bool __wrap_wire_conn_is_authed(const struct wire_conn *c);
void __wrap_edge_step(struct edge *e, struct chat_event *ev);
void __wrap_edge_depart(struct session *s);
void __wrap_queue_close(struct session *s, unsigned code);

int __wrap_lws_is_first_fragment(struct lws *wsi)
{
    (void)wsi;
    return now.is_first;
}

int __wrap_lws_is_final_fragment(struct lws *wsi)
{
    (void)wsi;
    return now.is_final;
}

int __wrap_lws_frame_is_binary(struct lws *wsi)
{
    (void)wsi;
    return now.is_binary;
}

size_t __wrap_lws_remaining_packet_payload(struct lws *wsi)
{
    (void)wsi;
    return now.left;
}

void __wrap_wire_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s, struct chat_event *ret,
                      enum rc *ret_rc)
{
    (void)c, (void)time_s;
    CHECK(world.is_expected && !world.is_read);
    CHECK(message.n <= FRAME_MAX && slice_eq(message, buf_slice(&world.whole)));
    CHECK(is_binary == now.is_binary);
    world.is_read = true;
    *ret = (struct chat_event){.kind = CHAT_REQUEST};
    *ret_rc = RC_OK;
}

bool __wrap_wire_conn_is_authed(const struct wire_conn *c)
{
    (void)c;
    return true;
}

void __wrap_edge_step(struct edge *e, struct chat_event *ev)
{
    CHECK(e == &edge && (ev->kind == CHAT_REQUEST || ev->kind == CHAT_PONG));
}

void __wrap_edge_depart(struct session *s)
{
    CHECK(s->is_closing);
}

void __wrap_queue_close(struct session *s, unsigned code)
{
    CHECK(!s->is_closing);
    world.close_code = code;
}

void fuzz_open(void)
{
    conf_default(&conf);
    conf.chat_frame_max = FRAME_MAX;
    edge.o.conf = &conf;
    for (size_t i = 0; i < LIFE_COUNT; i++)
        TAILQ_INIT(&edge.life[i]);
}

/* Bytes that differ from one another, so that a lost or doubled one shows. */
static struct slice payload(size_t n)
{
    static uint8_t bytes[4 * FRAME_MAX];
    static uint8_t next;

    for (size_t i = 0; i < n; i++)
        bytes[i] = next++;
    return slice_of(bytes, n);
}

static void receive(struct session *s, struct slice piece)
{
    bool was_closing = s->is_closing;

    if (now.is_first)
        buf_reset(&world.whole);
    bool is_too_long = world.whole.n + piece.n + now.left > FRAME_MAX;
    world.is_expected = now.is_final && !is_too_long && !was_closing;
    world.is_read = false;
    if (!is_too_long)
        CHECK_OK(buf_add(&world.whole, piece));
    session_receive(s, piece);
    CHECK(world.is_read == world.is_expected);
    CHECK(s->is_closing == (was_closing || is_too_long));
    CHECK(!s->is_closing || world.close_code == CLOSE_TOO_BIG);
    CHECK(s->in.n <= FRAME_MAX && (!now.is_final || s->in.n == 0));
    CHECK(s->is_closing ? s->in.p == NULL : now.is_final || slice_eq(buf_slice(&s->in), buf_slice(&world.whole)));
}

/* A frame in pieces; also an empty one is one piece. An announced length may never come. */
static void receive_frame(struct session *s, const uint8_t head[3], bool *is_first)
{
    size_t n = (size_t)head[1] * (head[0] & IS_LONG ? 8 : 1), step = (size_t)head[2] + 1;
    struct slice rest = payload(n);

    now.is_binary = (head[0] & IS_BINARY) != 0;
    do {
        size_t take = rest.n < step ? rest.n : step;
        now.is_first = *is_first;
        now.left = rest.n - take + (head[0] & IS_ANNOUNCED ? SIZE_MAX / 2 : 0);
        now.is_final = (head[0] & IS_LAST) && now.left == 0;
        receive(s, slice_of(rest.p, take));
        if (head[0] & HAS_PONG) /* between the pieces of a message */
            session_pong(s, slice_text("17"));
        *is_first = now.is_final;
        rest = slice_of(rest.p + take, rest.n - take);
    } while (rest.n > 0);
}

void fuzz_one(struct slice input)
{
    struct session s = {.edge = &edge, .wsi = (struct lws *)(void *)&now, .conn = (struct chat_conn *)(void *)&now};
    bool is_first = true;

    life_enter(&s, LIFE_ALIVE);
    while (input.n >= 3) {
        receive_frame(&s, input.p, &is_first);
        input = slice_of(input.p + 3, input.n - 3);
    }
    life_leave(&s);
    buf_done(&s.in);
    buf_done(&world.whole);
}
