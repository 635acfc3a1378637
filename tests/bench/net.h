/*
 * What the benchmark programs share: loopback sockets, WebSocket frame heads, numbers on the command line.
 * All of it ends the program when it fails: a benchmark that goes on after an error measures nothing.
 */
#ifndef KERB_TESTS_BENCH_NET_H
#define KERB_TESTS_BENCH_NET_H

#include "shared/base/buf.h"

void die(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));
#define CHECK(call)                                   \
    do {                                              \
        enum rc check_rc_ = (call);                   \
        if (check_rc_ != RC_OK)                       \
            die("%s: %s", #call, rc_text(check_rc_)); \
    } while (0)

/* A whole number from `least` to `most`. */
long number_arg(const char *text, long least, long most);

uint64_t monotonic_us(void);

int tcp_listen(int *ret_port); /* 127.0.0.1, a free port, non-blocking */
int tcp_connect(int port);     /* blocking, TCP_NODELAY */
void set_nonblocking(int fd);
void send_whole(int fd, const void *p, size_t n); /* what does not fit the socket's buffer is fatal */

/* A WebSocket frame's head. Source: RFC 6455 s.5.2. */
struct ws_head {
    bool is_final, has_mask;
    unsigned opcode;
    size_t head, len; /* bytes */
    uint8_t mask[4];
};

#define WS_CONTINUATION 0
#define WS_TEXT         1
#define WS_BINARY       2
#define WS_CLOSE        8
#define WS_PING         9
#define WS_PONG         10
#define WS_HEAD_MAX     14

/* Returns false when more bytes are needed. */
bool ws_parse(const uint8_t *p, size_t n, struct ws_head *ret);

/* Writes a final frame's head, with a mask of zeros when is_client. Returns its length. */
size_t ws_write_head(uint8_t out[WS_HEAD_MAX], unsigned opcode, size_t len, bool is_client);

/* Spread of times, in steps of 10 microseconds up to 2 seconds. */
#define SPREAD_STEPS 200000
struct spread {
    uint64_t n;
    uint32_t count[SPREAD_STEPS];
};
void spread_add(struct spread *s, uint64_t us);
uint64_t spread_at(const struct spread *s, double share); /* microseconds that this share of the times is within */

#endif
