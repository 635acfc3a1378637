/* A client's websocket. */
#include "tests/bench/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_MAX   (4 * 1024 * 1024) /* more than the longest frame */
#define EVENTS_MAX 512

static int loop;
static SSL_CTX *tls;

void link_setup(bool with_tls)
{
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0)
        die("epoll: %s", strerror(errno));
    if (!with_tls)
        return;
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") != 1) /* the cheapest for the server */
        die("no TLS");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL); /* the certificate was made for this run */
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_default_read_buffer_len(tls, 65536);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

/* ---- bytes ---- */

static void send_bytes(struct link *l, const void *p, size_t n)
{
    if (!l->tls)
        send_whole(l->fd, p, n);
    else if (SSL_write(l->tls, p, (int)n) != (int)n)
        die("cannot send %zu bytes by TLS", n);
}

/* 0: nothing more has come. */
static size_t read_tls(struct link *l, uint8_t *p, size_t n)
{
    int got = SSL_read(l->tls, p, (int)n);

    if (got <= 0 && SSL_get_error(l->tls, got) != SSL_ERROR_WANT_READ)
        die("connection lost: TLS");
    return got > 0 ? (size_t)got : 0;
}

static size_t read_plain(struct link *l, uint8_t *p, size_t n)
{
    ssize_t got = recv(l->fd, p, n, MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN))
        die("connection lost: %s", got ? strerror(errno) : "closed by the server");
    return got > 0 ? (size_t)got : 0;
}

/* ---- frames ---- */

void link_send(struct link *l, unsigned opcode, struct slice payload)
{
    static struct buf out;
    uint8_t head[WS_HEAD_MAX];

    buf_reset(&out);
    CHECK(buf_add(&out, slice_of(head, ws_write_head(head, opcode, payload.n, true))));
    CHECK(buf_add(&out, payload));
    send_bytes(l, out.p, out.n);
}

/* A message in several frames is put together. */
static void on_data(struct link *l, const struct ws_head *h, struct slice payload)
{
    if (h->is_final && h->opcode != WS_CONTINUATION) {
        l->take(l, h->opcode, payload);
        return;
    }
    if (h->opcode != WS_CONTINUATION)
        l->part_opcode = h->opcode;
    CHECK(buf_add(&l->part, payload));
    if (!h->is_final)
        return;
    AUTO(buf_done) struct buf whole = buf_take(&l->part);
    l->take(l, l->part_opcode, buf_slice(&whole));
}

static void on_frame(struct link *l, const struct ws_head *h, struct slice payload)
{
    if (h->opcode <= WS_BINARY)
        on_data(l, h, payload);
    else if (h->opcode == WS_PING)
        link_send(l, WS_PONG, payload);
    else if (h->opcode == WS_CLOSE)
        die("closed by the server with %u", payload.n >= 2 ? payload.p[0] * 256u + payload.p[1] : 0u);
}

/* What came before lies in rest; whole frames are taken, the remainder is kept. */
void link_read(struct link *l)
{
    static uint8_t in[READ_MAX];
    size_t at = 0, have = l->rest.n, got = 1;
    struct ws_head h;

    if (have)
        memcpy(in, l->rest.p, have);
    while (got && have < sizeof(in)) {
        got = l->tls ? read_tls(l, in + have, sizeof(in) - have) : read_plain(l, in + have, sizeof(in) - have);
        have += got;
        if (!l->tls)
            break; /* the loop tells when more has come; of TLS there may be more in its own buffer */
    }
    while (ws_parse(in + at, have - at, &h) && have - at >= h.head + h.len) {
        on_frame(l, &h, slice_of(in + at + h.head, h.len));
        at += h.head + h.len;
    }
    buf_done(&l->rest);
    if (have > at)
        CHECK(buf_add(&l->rest, slice_of(in + at, have - at)));
}

void link_pump(int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];

    int n = epoll_wait(loop, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++)
        link_read(events[i].data.ptr);
}

/* ---- connecting ---- */

static void start_tls(struct link *l)
{
    l->tls = SSL_new(tls);
    if (!l->tls || SSL_set_fd(l->tls, l->fd) != 1 || SSL_connect(l->tls) != 1)
        die("no TLS connection");
}

/* While the socket still blocks. */
static size_t wait_some(struct link *l, char *p, size_t n)
{
    ssize_t got = l->tls ? SSL_read(l->tls, p, (int)n) : recv(l->fd, p, n, 0);

    if (got <= 0)
        die("no answer to the upgrade request");
    return (size_t)got;
}

static void read_answer(struct link *l)
{
    char in[4096];
    size_t have = 0;
    const char *end = NULL;

    while (!end) {
        have += wait_some(l, in + have, sizeof(in) - have);
        end = memmem(in, have, "\r\n\r\n", 4);
    }
    if (memcmp(in, "HTTP/1.1 101", 12) != 0)
        die("upgrade refused: %.*s", (int)have, in);
    size_t used = (size_t)(end + 4 - in);
    if (have > used)
        CHECK(buf_add(&l->rest, slice_of(in + used, have - used)));
}

void link_open(struct link *l, int port, const char *path, const char *subprotocol)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    char request[512];

    l->fd = tcp_connect(port);
    if (tls)
        start_tls(l);
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n%s%s%s\r\n",
                     path, port, subprotocol ? "Sec-WebSocket-Protocol: " : "", subprotocol ? subprotocol : "",
                     subprotocol ? "\r\n" : "");
    send_bytes(l, request, (size_t)n);
    read_answer(l);
    set_nonblocking(l->fd);
    if (epoll_ctl(loop, EPOLL_CTL_ADD, l->fd, &e) != 0)
        die("epoll_ctl: %s", strerror(errno));
}
