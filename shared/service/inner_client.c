/* One exchange with an inner listener; the connection is closed behind it. */
#include "shared/service/inner_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/service/inner.h"
#include "shared/service/listen.h"

#define HEAD_MAX 4096 /* bytes of an answer's head: ours take about 200 */

struct wire {
    int fd, stop_fd;
    int64_t end_ms; /* on the monotonic clock */
};

static void wire_done(struct wire *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
}

/* Waits until the socket is ready. Errors: STOPPED, IO (time is up). */
static enum rc await(const struct wire *w, short events)
{
    struct pollfd p[2] = {
        {.fd = w->fd,      .events = events},
        {.fd = w->stop_fd, .events = POLLIN}, /* a negative one is skipped */
    };

    for (;;) {
        int64_t left_ms = w->end_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return RC_IO;
        int n = poll(p, 2, (int)left_ms);
        if (n < 0 && errno != EINTR)
            return RC_IO;
        if (n > 0 && p[1].revents)
            return RC_STOPPED;
        if (n > 0 && p[0].revents)
            return RC_OK;
    }
}

static enum rc connect_to(struct wire *w, const char *address)
{
    struct listen_address a;
    int error = 0;
    socklen_t len = sizeof error;

    if (!listen_is_loopback(address) || listen_parse(address, &a) != RC_OK)
        return RC_BAD_CONFIG;
    w->fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (w->fd < 0)
        return RC_IO;
    if (connect(w->fd, (const struct sockaddr *)&a.sa, a.len) == 0)
        return RC_OK;
    if (errno != EINPROGRESS)
        return RC_IO;
    TRY(await(w, POLLOUT));
    return getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? RC_OK : RC_IO;
}

static enum rc send_all(const struct wire *w, struct slice s)
{
    while (s.n) {
        TRY(await(w, POLLOUT));
        ssize_t n = send(w->fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return RC_IO;
        s = slice_of(s.p + n, s.n - (size_t)n);
    }
    return RC_OK;
}

/* Until the peer closes. */
static enum rc receive_all(const struct wire *w, struct buf *out)
{
    for (;;) {
        TRY(await(w, POLLIN));
        TRY(buf_reserve(out, 4096));
        ssize_t n = recv(w->fd, out->p + out->n, out->cap - out->n, 0);
        if (n == 0)
            return RC_OK;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0 || out->n + (size_t)n > HEAD_MAX + INNER_ANSWER_MAX)
            return RC_IO;
        out->n += (size_t)n;
    }
}

/* The value of a header in a head of whole lines; false when it is not there once. */
static bool header(struct slice head, const char *name, struct slice *ret)
{
    size_t name_n = strlen(name), found = 0;

    while (head.n) {
        const uint8_t *end = memmem(head.p, head.n, "\r\n", 2);
        size_t n = end ? (size_t)(end - head.p) : head.n, skip = end ? n + 2 : n;
        if (n > name_n && strncasecmp((const char *)head.p, name, name_n) == 0 && head.p[name_n] == ':') {
            struct slice value = slice_of(head.p + name_n + 1, n - name_n - 1);
            while (value.n && value.p[0] == ' ')
                value = slice_of(value.p + 1, value.n - 1);
            *ret = value;
            found++;
        }
        head = slice_of(head.p + skip, head.n - skip);
    }
    return found == 1;
}

/* The length that the head names must be what came: a peer that died in the middle shows. */
static enum rc split(struct slice answer, int *ret_status, struct slice *ret_body)
{
    struct slice head = answer, text;
    uint64_t status, length;

    const uint8_t *end = memmem(answer.p, answer.n, "\r\n\r\n", 4);
    if (!end || end - answer.p > HEAD_MAX || answer.n < 12 || memcmp(answer.p, "HTTP/1.1 ", 9) != 0)
        return RC_IO;
    head.n = (size_t)(end - answer.p);
    *ret_body = slice_of(end + 4, answer.n - head.n - 4);
    if (parse_u64(slice_of(answer.p + 9, 3), 599, &status) != RC_OK || !header(head, "Content-Length", &text) ||
        parse_u64(text, INNER_ANSWER_MAX, &length) != RC_OK || length != ret_body->n)
        return RC_IO;
    *ret_status = (int)status;
    return RC_OK;
}

enum rc inner_post(const char *address, const char *path, struct slice body, int timeout_ms, int stop_fd,
                   int *ret_status, struct buf *ret_body)
{
    AUTO(wire_done) struct wire w = {.fd = -1, .stop_fd = stop_fd, .end_ms = clock_monotonic_ms() + timeout_ms};
    AUTO(buf_done) struct buf request = {0}, answer = {0};
    struct slice answer_body;

    TRY(buf_printf(&request,
                   "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n",
                   path, address, body.n));
    TRY(buf_add(&request, body));
    TRY(connect_to(&w, address));
    TRY(send_all(&w, buf_slice(&request)));
    TRY(receive_all(&w, &answer));
    TRY(split(buf_slice(&answer), ret_status, &answer_body));
    return buf_add(ret_body, answer_body);
}
