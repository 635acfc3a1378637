/* A daemon that waits for the shares of its master key. One thread, beside the worker that serves health. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"
#include "shared/service/http.h"
#include "shared/service/lifecycle.h"
#include "shared/unseal/packet.h"

#define LOOK_MS        100 /* how often signals are looked for */
#define BACKLOG        16
#define HEALTH_CONNS   64
#define HEALTH_TIMEOUT 10

struct wait {
    const struct conf *conf;
    struct master_place place;
    struct gather *gather;
    struct http *http;
    struct sockaddr_un address;
    int dir, fd; /* -1: none */
};

static void wait_done(struct wait *w)
{
    if (w->fd >= 0)
        (void)unlink(w->address.sun_path);
    unseal_fd_done(&w->fd);
    unseal_fd_done(&w->dir);
    http_stop(w->http, 0);
    gather_done(&w->gather);
    master_place_done(&w->place);
}

static enum rc told(struct buf *error, enum rc rc, const char *what)
{
    if (rc != RC_OK && error->n == 0 && buf_printf(error, "%s: %s", what, rc_text(rc)) != RC_OK)
        buf_reset(error);
    return rc;
}

static enum rc not_ready(void *ctx)
{
    (void)ctx;
    return RC_NO_SHARES;
}

static enum rc serve_health(struct wait *w, const char *listen, struct buf *error)
{
    static const struct proxy_list no_proxies;
    const struct http_options options = {
        .listen = listen,
        .threads = 1,
        .connections_max = HEALTH_CONNS,
        .request_timeout_s = HEALTH_TIMEOUT,
        .proxies = &no_proxies,
        .ready = not_ready,
    };
    return http_start(&options, &w->http, error);
}

/* A socket that a killed process left behind is taken away; the directory is ours alone. */
static enum rc open_socket(struct wait *w)
{
    TRY(dir_check_private(w->place.dir));
    TRY(unseal_address(w->place.dir, &w->address, &w->dir));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return RC_IO;
    (void)unlink(w->address.sun_path);
    if (bind(fd, (const struct sockaddr *)&w->address, sizeof w->address) != 0) {
        (void)close(fd);
        return RC_IO;
    }
    w->fd = fd; /* from here on it is removed at the end */
    if (chmod(w->address.sun_path, 0600) != 0 || listen(fd, BACKLOG) != 0)
        return RC_IO;
    return RC_OK;
}

static bool may_speak(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && (who.uid == 0 || who.uid == geteuid());
}

/* What the results mean of a share. */
static const char *refusal_of(enum rc rc)
{
    switch (rc) {
    case RC_NOT_US:
        return "it is not of this master key";
    case RC_REPEAT:
        return "it was handed in before";
    case RC_MALFORMED:
        return "it is no share";
    default:
        return rc_text(rc);
    }
}

static void note(const struct unseal_reply *r)
{
    if (r->rc == RC_OK)
        log_note(LOG_INFO, "unseal", "share %u taken: %u of %u", r->told.number, r->told.have, r->told.need);
    else
        log_note(LOG_WARN, "unseal", "share %u refused: %s", r->told.number, refusal_of(r->rc));
}

/* One packet in, one out. What a peer does wrong ends its connection, nothing else. */
static enum rc converse(struct wait *w, int fd)
{
    AUTO(buf_done) struct buf packet = {0}, answer = {0};
    struct unseal_reply r = {.rc = RC_OK};

    if (!may_speak(fd))
        return RC_NOT_US;
    TRY(unseal_receive(fd, &packet));
    if (slice_eq(buf_slice(&packet), slice_text("?"))) {
        gather_progress(w->gather, &r.told);
    } else {
        r.rc = gather_take(w->gather, buf_slice(&packet), &r.told);
        note(&r);
    }
    TRY(unseal_reply_write(&r, &answer));
    return unseal_send(fd, buf_slice(&answer));
}

static void look_at_socket(struct wait *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    if (poll(&p, 1, LOOK_MS) != 1)
        return;
    AUTO(unseal_fd_done) int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && converse(w, fd) != RC_OK)
        log_note(LOG_WARN, "unseal", "a connection was dropped");
}

static void tell_sealed(const struct wait *w)
{
    struct gather_told p;
    struct log_line line;

    gather_progress(w->gather, &p);
    log_begin(&line, LOG_INFO, "sealed");
    log_num(&line, "port", http_port(w->http));
    log_num(&line, "need", p.need);
    log_str(&line, "message", "waits for the shares of its master key: kerbadm unseal");
    log_end(&line);
    lifecycle_notify("READY=1\nSTATUS=waits for the shares of its master key");
}

static enum rc gather_all(struct wait *w)
{
    struct gather_told p;

    for (;;) {
        gather_progress(w->gather, &p);
        if (p.is_complete)
            return RC_OK;
        if (lifecycle_wait(0) == WAKE_STOP)
            return RC_STOPPED;
        look_at_socket(w);
    }
}

static enum rc start(struct wait *w, const char *listen, struct buf *error)
{
    TRY(told(error, gather_open(&w->place, &w->gather), MASTER_SHARES_NAME));
    TRY(told(error, open_socket(w), UNSEAL_SOCKET));
    return told(error, serve_health(w, listen, error), listen);
}

enum rc unseal_wait(const struct conf *conf, const char *daemon, const char *listen, struct buf *error)
{
    AUTO(wait_done) struct wait w = {.conf = conf, .dir = -1, .fd = -1};

    TRY(master_place_of(conf, daemon, &w.place));
    if (w.place.source != MASTER_SHARES)
        return RC_OK;
    TRY(start(&w, listen, error));
    tell_sealed(&w);
    TRY(gather_all(&w));
    log_note(LOG_INFO, "unsealed", "the master key is there");
    lifecycle_notify("STATUS=");
    return RC_OK;
}
