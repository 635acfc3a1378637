/* Loopback sockets and frames for the benchmark programs. */
#include "tests/bench/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

long number_arg(const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || *end || end == text || v < least || v > most)
        die("'%s' is not a number from %ld to %ld", text, least, most);
    return v;
}

uint64_t monotonic_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int tcp_listen(int *ret_port)
{
    struct sockaddr_in a = loopback(0);
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        die("cannot listen: %s", strerror(errno));
    *ret_port = ntohs(a.sin_port);
    return fd;
}

int tcp_connect(int port)
{
    struct sockaddr_in a = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        die("cannot connect to port %d: %s", port, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

void set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl: %s", strerror(errno));
}

void send_whole(int fd, const void *p, size_t n)
{
    ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
    if (sent != (ssize_t)n)
        die("cannot send %zu bytes: %s", n, sent < 0 ? strerror(errno) : "buffer is full");
}

bool ws_parse(const uint8_t *p, size_t n, struct ws_head *ret)
{
    if (n < 2)
        return false;
    *ret = (struct ws_head){.is_final = p[0] & 0x80, .opcode = p[0] & 15, .has_mask = p[1] & 0x80, .head = 2};
    ret->len = p[1] & 0x7f;
    size_t more = ret->len == 126 ? 2 : ret->len == 127 ? 8 : 0;
    if (n < 2 + more + (ret->has_mask ? 4 : 0))
        return false;
    if (more)
        ret->len = 0;
    for (size_t i = 0; i < more; i++)
        ret->len = ret->len << 8 | p[ret->head++];
    for (size_t i = 0; ret->has_mask && i < 4; i++)
        ret->mask[i] = p[ret->head++];
    return true;
}

size_t ws_write_head(uint8_t out[WS_HEAD_MAX], unsigned opcode, size_t len, bool is_client)
{
    size_t n = 2, more = len < 126 ? 0 : len < 65536 ? 2 : 8;

    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = (uint8_t)((is_client ? 0x80 : 0) | (more == 0 ? len : more == 2 ? 126 : 127));
    for (size_t i = more; i-- > 0;)
        out[n++] = (uint8_t)(len >> 8 * i);
    for (size_t i = 0; is_client && i < 4; i++)
        out[n++] = 0;
    return n;
}

void spread_add(struct spread *s, uint64_t us)
{
    size_t step = us / 10;
    s->count[step < SPREAD_STEPS ? step : SPREAD_STEPS - 1]++;
    s->n++;
}

uint64_t spread_at(const struct spread *s, double share)
{
    uint64_t want = (uint64_t)((double)s->n * share), seen = 0;
    size_t i = 0;

    while (i < SPREAD_STEPS - 1 && (seen += s->count[i]) <= want)
        i++;
    return i * 10 + 5;
}
