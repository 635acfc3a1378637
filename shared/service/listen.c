/* Listening sockets. */
#include "shared/service/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 4096 /* connections that wait while we are busy; the kernel cuts it to somaxconn */

/* Splits "host:port" or "[host]:port". */
static bool split(struct slice text, struct slice *ret_host, struct slice *ret_port)
{
    const uint8_t *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;

    if (!colon)
        return false;
    struct slice host = slice_of(text.p, (size_t)(colon - text.p));
    *ret_port = slice_of(colon + 1, text.n - host.n - 1);
    bool bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (bracketed)
        host = slice_of(host.p + 1, host.n - 2);
    *ret_host = host;
    return host.n > 0 && host.n < ADDRESS_MAX && bracketed == (memchr(host.p, ':', host.n) != NULL);
}

enum rc listen_parse(const char *text, struct listen_address *ret)
{
    struct listen_address a = {0};
    struct slice host, port_text;
    uint64_t port;

    if (!split(slice_text(text), &host, &port_text) || parse_u64(port_text, 65535, &port) != RC_OK)
        return RC_BAD_CONFIG;
    memcpy(a.host, host.p, host.n);
    a.port = (unsigned)port;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&a.sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&a.sa;
    if (inet_pton(AF_INET, a.host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a.len = sizeof *v4;
    } else if (inet_pton(AF_INET6, a.host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        a.len = sizeof *v6;
    } else {
        return RC_BAD_CONFIG;
    }
    *ret = a;
    return RC_OK;
}

bool listen_is_loopback(const char *listen)
{
    struct listen_address a;

    if (listen_parse(listen, &a) != RC_OK)
        return false;
    if (a.sa.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)&a.sa)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)(const void *)&a.sa)->sin_addr.s_addr) >> 24 == 127;
}

static const char *why(int e)
{
    switch (e) {
    case EADDRINUSE:
        return "another program listens there";
    case EADDRNOTAVAIL:
        return "this machine does not have that address";
    case EACCES:
        return "ports below 1024 need more rights";
    default:
        return strerrordesc_np(e);
    }
}

static enum rc bound_port(int fd, unsigned *ret)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return RC_IO;
    *ret = sa.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)(void *)&sa)->sin6_port)
                                    : ntohs(((struct sockaddr_in *)(void *)&sa)->sin_port);
    return RC_OK;
}

static enum rc bind_and_listen(int fd, const struct listen_address *a, unsigned *ret_port)
{
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&a->sa, a->len) != 0 || listen(fd, BACKLOG) != 0)
        return RC_IO;
    return bound_port(fd, ret_port);
}

enum rc listen_open(const char *text, int *ret_fd, unsigned *ret_port, struct buf *error)
{
    struct listen_address a;

    if (listen_parse(text, &a) != RC_OK) {
        TRY(buf_printf(error, "'%s' is not address:port, e.g. 127.0.0.1:8801 or [::1]:8801", text));
        return RC_BAD_CONFIG;
    }
    int fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind_and_listen(fd, &a, ret_port) != RC_OK) {
        int saved = errno;
        if (fd >= 0)
            (void)close(fd);
        TRY(buf_printf(error, "cannot listen on %s: %s", text, why(saved)));
        return RC_IO;
    }
    *ret_fd = fd;
    return RC_OK;
}
