/*
 * Accepting: our own socket, so that we decide how many, and when no more.
 *
 * Out of descriptors: the socket stays readable, so the poll is stopped for a while instead of spinning on it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "chat/edge/internal.h"

static void resume(uv_timer_t *timer)
{
    listen_start(timer->data);
}

static void pause_accepting(struct edge *e, int why)
{
    log_note(LOG_ERROR, "accept", "%s; waiting %d ms", strerrordesc_np(why), ACCEPT_PAUSE_MS);
    (void)uv_poll_stop(&e->listener);
    (void)uv_timer_start(&e->again, resume, ACCEPT_PAUSE_MS, 0);
}

static void adopt(struct edge *e, int fd)
{
    const int on = 1;

    if (e->sockets_n >= e->connections_max + CONNECTIONS_SPARE) {
        if (quota_take(&e->refusals))
            log_note(LOG_WARN, "connection_refused", "chat.connections_max is reached");
        http_refuse_socket(fd);
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)lws_adopt_socket_vhost(e->vhost, fd); /* closes it, when it cannot */
}

/* What a peer did, or a network that is gone for a moment: the next one may be fine. Source: accept(2). */
static bool is_peers_fault(int why)
{
    return why == ECONNABORTED || why == EPROTO || why == EINTR || why == EPERM || why == ENETDOWN ||
           why == ENOPROTOOPT || why == EHOSTDOWN || why == EHOSTUNREACH || why == ENETUNREACH;
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct edge *e = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_WAKE; i++) {
        int fd = accept4(e->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            adopt(e, fd);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (!is_peers_fault(errno)) {
            pause_accepting(e, errno);
            return;
        }
    }
}

void listen_start(struct edge *e)
{
    if (e->listen_fd >= 0)
        (void)uv_poll_start(&e->listener, UV_READABLE, readable);
}

void listen_stop(struct edge *e)
{
    if (e->listen_fd < 0)
        return;
    (void)uv_poll_stop(&e->listener);
    (void)close(e->listen_fd);
    e->listen_fd = -1;
}
