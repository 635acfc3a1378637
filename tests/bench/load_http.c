/*
 * Load for AS and TGS: posts each line of a file once, over N kept-alive connections with one request in flight each.
 *
 * Usage: load_http PORT PATH FILE CONNECTIONS [STATUS ANSWERS]. Prints one JSON object: requests, how many were
 * answered with STATUS (200), the greatest length of such an answer's body, seconds, and the times of the median and
 * the slowest of 100. The bodies of these answers go to the file ANSWERS, one a line in the order of the requests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/net.h"

#define CONNECTIONS_MAX 1000
#define ANSWER_MAX      65536
#define PATIENCE_US     10000000

struct conn {
    int fd;
    bool is_busy;
    uint64_t sent_us;
    size_t n, number; /* number of the request */
    char in[ANSWER_MAX + 1];
};

static struct conn conns[CONNECTIONS_MAX];
static struct spread times;

static struct {
    const char *path;
    FILE *file;
    const char *status;
    char **answers; /* by request; NULL: not wanted */
    size_t sent, answered, ok, reply_len;
} load;

static void keep(const struct conn *c, const char *body, size_t n)
{
    static size_t cap = 1;

    if (c->number >= cap) {
        size_t more = c->number + 4096;
        load.answers = reallocarray(load.answers, more, sizeof(char *));
        if (!load.answers)
            die("out of memory");
        memset(load.answers + cap, 0, (more - cap) * sizeof(char *));
        cap = more;
    }
    load.answers[c->number] = strndup(body, n);
}

static void write_answers(const char *path)
{
    FILE *out = fopen(path, "w");

    if (!out)
        die("cannot write %s", path);
    for (size_t i = 0; i < load.sent; i++)
        fprintf(out, "%s\n", load.answers[i]);
    if (fclose(out) != 0)
        die("cannot write %s", path);
}

/* Posts the next line of the file; returns false when there is none. */
static bool post_next(struct conn *c)
{
    static char *line;
    static size_t cap;
    static struct buf out;

    ssize_t n = getline(&line, &cap, load.file);
    if (n <= 0)
        return false;
    if (line[n - 1] == '\n')
        n--;
    buf_reset(&out);
    CHECK(buf_printf(&out,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                     "Content-Length: %zd\r\n\r\n",
                     load.path, n));
    CHECK(buf_add(&out, slice_of(line, (size_t)n)));
    c->is_busy = true;
    c->n = 0;
    c->number = load.sent;
    c->sent_us = monotonic_us();
    send_whole(c->fd, out.p, out.n);
    load.sent++;
    return true;
}

/* Looks whether the answer is whole; counts it. */
static bool is_answered(struct conn *c)
{
    c->in[c->n] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return false;
    const char *length = strcasestr(c->in, "\r\nContent-Length:");
    if (!length || length > end)
        die("answer without Content-Length");
    size_t body = (size_t)strtoul(length + 17, NULL, 10), have = c->n - (size_t)(end + 4 - c->in);
    if (have < body)
        return false;
    if (have > body)
        die("more than one answer to a request");
    spread_add(&times, monotonic_us() - c->sent_us);
    load.answered++;
    if (strncmp(c->in + 9, load.status, 3) == 0) {
        load.ok++;
        if (load.answers)
            keep(c, end + 4, body);
        load.reply_len = body > load.reply_len ? body : load.reply_len;
    } else if (load.answered - load.ok == 1) {
        fprintf(stderr, "refused: %s\n", c->in);
    }
    return true;
}

static void read_answer(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->n, ANSWER_MAX - c->n, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("connection lost: %s", n ? strerror(errno) : "closed by the server");
    c->n += (size_t)n;
    if (is_answered(c))
        c->is_busy = post_next(c);
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 7)
        die("usage: load_http PORT PATH FILE CONNECTIONS [STATUS ANSWERS]");
    load.status = argc == 7 ? argv[5] : "200";
    load.answers = argc == 7 ? calloc(1, sizeof(char *)) : NULL;
    int port = (int)number_arg(argv[1], 1, 65535), n = (int)number_arg(argv[4], 1, CONNECTIONS_MAX);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    load.path = argv[2];
    load.file = fopen(argv[3], "r");
    if (!load.file || loop < 0)
        die("cannot open %s: %s", argv[3], strerror(errno));
    for (int i = 0; i < n; i++) {
        conns[i].fd = tcp_connect(port);
        set_nonblocking(conns[i].fd);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
        if (epoll_ctl(loop, EPOLL_CTL_ADD, conns[i].fd, &e) != 0)
            die("epoll_ctl: %s", strerror(errno));
    }
    uint64_t start = monotonic_us(), last = start;
    for (int i = 0; i < n; i++)
        (void)post_next(&conns[i]);
    while (load.answered < load.sent) {
        struct epoll_event events[64];
        int got = epoll_wait(loop, events, 64, 0); /* awake: a server does not pay for waking its load */
        if (got > 0)
            last = monotonic_us();
        else if (monotonic_us() - last > PATIENCE_US)
            die("no answer for 10 s; %zu of %zu answered", load.answered, load.sent);
        for (int i = 0; i < got; i++)
            read_answer(events[i].data.ptr);
    }
    if (argc == 7)
        write_answers(argv[6]);
    double seconds = (double)(monotonic_us() - start) / 1e6;
    printf(
        "{\"requests\": %zu, \"ok\": %zu, \"reply_len\": %zu, \"seconds\": %.4f, \"p50_us\": %lu, \"p99_us\": %lu}\n",
        load.answered, load.ok, load.reply_len, seconds, (unsigned long)spread_at(&times, 0.5),
        (unsigned long)spread_at(&times, 0.99));
    return 0;
}
