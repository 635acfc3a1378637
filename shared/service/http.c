/*
 * The HTTP server: libmicrohttpd's callbacks, the route table, and the way from one to the other.
 *
 * A connection has one record, made when it is accepted and used by all its requests in turn: libmicrohttpd handles one
 * request of a connection at a time, on the worker that owns it. libmicrohttpd calls on_request once behind the
 * headers, then for pieces of the body, then once more when it is whole; refusals wait for that last call, so that the
 * connection stays usable, unless the length of the body cannot be trusted.
 */
#include "shared/service/http.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shared/service/http_guard.h"
#include "shared/service/http_reaper.h"
#include "shared/service/http_reply.h"
#include "shared/service/listen.h"

#define CONNECTION_MEMORY 16384 /* bytes for headers; bodies come in pieces */
#define BODY_KEPT         4096  /* bytes that an idle connection keeps for its next body */
#define DRAIN_POLL_MS     5
#define PATH_SHOWN        128 /* bytes of a refused path in the log */

struct http {
    struct http_options options;
    struct MHD_Daemon *mhd;
    struct reaper reaper;
    int listen_fd; /* libmicrohttpd closes it */
    unsigned port;
    atomic_bool draining;
};

enum target { TARGET_NONE, TARGET_ROUTE, TARGET_HEALTH, TARGET_READY };

struct connection {
    struct watch watch;
    struct buf body;
    struct http_head head;
    enum rc rc; /* why the request is refused before any handler, or OK */
    enum target target;
    const struct http_route *route;
};

/* --- which handler --- */

/* True when the path is the route's, with or without one slash at its end. */
static bool path_is(const char *path, const char *route)
{
    size_t n = strlen(route);
    return strncmp(path, route, n) == 0 && (path[n] == 0 || (path[n] == '/' && path[n + 1] == 0));
}

static enum target find_target(const struct http *h, const char *path, const struct http_route **ret_route)
{
    for (size_t i = 0; i < h->options.routes_n; i++) {
        if (path_is(path, h->options.routes[i].path)) {
            *ret_route = &h->options.routes[i];
            return TARGET_ROUTE;
        }
    }
    return path_is(path, "/healthz") ? TARGET_HEALTH : path_is(path, "/readyz") ? TARGET_READY : TARGET_NONE;
}

static enum rc check_target(enum target target, const char *method)
{
    if (target == TARGET_NONE)
        return RC_NO_PATH;
    if (target == TARGET_ROUTE)
        return strcmp(method, MHD_HTTP_METHOD_POST) == 0 ? RC_OK : RC_BAD_METHOD;
    bool reads = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    return reads ? RC_OK : RC_BAD_METHOD;
}

/* --- one request --- */

static void client_address(const struct http *h, struct MHD_Connection *c, const struct connection *k,
                           char out[ADDRESS_MAX])
{
    AUTO(buf_done) struct buf joined = {0};
    static const struct proxy_list nobody = {0};

    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr) {
        out[0] = 0;
        return;
    }
    const struct proxy_list *proxies = h->options.proxies ? h->options.proxies : &nobody;
    struct slice forwarded = k->head.forwarded;
    if (k->head.forwarded_n > 1)
        forwarded = http_forwarded(c, &joined) == RC_OK ? buf_slice(&joined) : slice_of(NULL, 0);
    proxy_client_address(proxies, info->client_addr, forwarded, out);
}

static enum MHD_Result send_reply(struct http *h, struct MHD_Connection *c, struct http_reply *reply,
                                  struct http_extra extra)
{
    extra.close = extra.close || atomic_load_explicit(&h->draining, memory_order_relaxed);
    enum MHD_Result sent = http_reply_send(c, reply, &extra);
    buf_done(&reply->body);
    return sent;
}

static enum MHD_Result send_refusal(struct http *h, struct MHD_Connection *c, const struct connection *k,
                                    const char *path, bool close)
{
    char op_id[OP_ID_LEN + 1], address[ADDRESS_MAX];
    struct http_reply reply = {0};
    struct http_extra extra = {.close = close};
    struct log_line l;

    op_id_make(op_id);
    client_address(h, c, k, address);
    http_reply_error(&reply, k->rc, op_id);
    log_begin(&l, LOG_INFO, "http_refused");
    log_str(&l, "op_id", op_id);
    log_str(&l, "address", address);
    log_slice(&l, "path", slice_of(path, strnlen(path, PATH_SHOWN)));
    log_rc(&l, k->rc);
    log_end(&l);
    if (k->rc == RC_BAD_METHOD)
        extra.allow = k->target == TARGET_ROUTE ? "POST" : "GET, HEAD";
    return send_reply(h, c, &reply, extra);
}

static enum MHD_Result send_health(struct http *h, struct MHD_Connection *c, enum target target)
{
    struct http_reply reply = {.content_type = "application/json"};
    const char *word = "{\"status\":\"ok\"}";

    if (target == TARGET_READY) {
        bool draining = atomic_load_explicit(&h->draining, memory_order_relaxed);
        enum rc rc = h->options.ready ? h->options.ready(h->options.ready_ctx) : RC_OK;
        if (rc != RC_OK) {
            struct log_line l;
            log_begin(&l, LOG_WARN, "not_ready");
            log_rc(&l, rc);
            log_end(&l);
        }
        if (rc != RC_OK || draining) {
            reply.status = MHD_HTTP_SERVICE_UNAVAILABLE;
            word = "{\"status\":\"not ready\"}";
        }
    }
    if (buf_text(&reply.body, word) != RC_OK)
        return MHD_NO;
    return send_reply(h, c, &reply, (struct http_extra){0});
}

static enum MHD_Result serve_route(struct http *h, struct MHD_Connection *c, struct connection *k)
{
    char op_id[OP_ID_LEN + 1], address[ADDRESS_MAX];
    struct http_reply reply = {0};

    op_id_make(op_id);
    client_address(h, c, k, address);
    struct http_request request = {.body = buf_slice(&k->body), .address = address, .op_id = op_id};
    k->route->post(k->route->ctx, &request, &reply);
    return send_reply(h, c, &reply, (struct http_extra){0});
}

/* The headers are there: all is decided but the size of a chunked body. */
static enum MHD_Result begin(struct http *h, struct MHD_Connection *c, struct connection *k, const char *path,
                             const char *method, const char *version)
{
    watch_request(&k->watch);
    k->head = (struct http_head){0};
    k->target = find_target(h, path, &k->route);
    k->rc = http_guard(c, version, &k->head);
    if (k->rc != RC_OK)
        return send_refusal(h, c, k, path, true);
    k->rc = check_target(k->target, method);
    if (k->rc == RC_OK && buf_reserve(&k->body, (size_t)k->head.body_n) != RC_OK)
        k->rc = RC_NO_MEMORY;
    return MHD_YES;
}

/* The rest of a body that is refused already is read and forgotten. */
static void collect(struct connection *k, struct slice piece)
{
    if (k->rc != RC_OK)
        return;
    if (piece.n > HTTP_BODY_MAX - k->body.n)
        k->rc = RC_TOO_LARGE;
    else if (buf_add(&k->body, piece) != RC_OK)
        k->rc = RC_NO_MEMORY;
    if (k->rc != RC_OK)
        buf_reset(&k->body);
}

static enum MHD_Result finish(struct http *h, struct MHD_Connection *c, struct connection *k, const char *path)
{
    if (k->rc != RC_OK)
        return send_refusal(h, c, k, path, false);
    return k->target == TARGET_ROUTE ? serve_route(h, c, k) : send_health(h, c, k->target);
}

/* --- libmicrohttpd's callbacks --- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *piece, size_t *piece_n, void **con_cls)
{
    struct http *h = cls;
    struct connection *k = *con_cls;

    if (!k) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        k = info ? info->socket_context : NULL;
        if (!k)
            return MHD_NO;
        *con_cls = k;
        return begin(h, c, k, url, method, version);
    }
    if (*piece_n) {
        collect(k, slice_of(piece, *piece_n));
        *piece_n = 0;
        return MHD_YES;
    }
    return finish(h, c, k, url);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode how)
{
    struct connection *k = *con_cls;

    (void)cls;
    (void)c;
    (void)how;
    if (!k)
        return;
    if (k->body.cap > BODY_KEPT)
        buf_done(&k->body);
    else
        buf_reset(&k->body);
    *con_cls = NULL;
    watch_idle(&k->watch);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = cls;
    struct connection *k = *socket_context;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (k) {
            watch_remove(&h->reaper, &k->watch);
            buf_done(&k->body);
            free(k);
        }
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    k = info ? calloc(1, sizeof *k) : NULL;
    if (k)
        watch_add(&h->reaper, &k->watch, info->connect_fd);
    else if (info)
        (void)shutdown(info->connect_fd, SHUT_RDWR); /* nobody would watch it */
    *socket_context = k;
}

/* --- start and stop --- */

static struct MHD_Daemon *start_mhd(struct http *h)
{
    const struct http_options *o = &h->options;
    struct MHD_OptionItem pool[] = {
        {o->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)o->threads, NULL},
        {MHD_OPTION_END,                                                0,                    NULL},
    };
    unsigned limit = o->connections_max > o->threads ? o->connections_max : o->threads;

    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_request, h,
                            MHD_OPTION_LISTEN_SOCKET, h->listen_fd, MHD_OPTION_CONNECTION_LIMIT, limit,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
                            1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
                            on_connection, h, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

static enum rc start(struct http *h, struct buf *error)
{
    TRY(listen_open(h->options.listen, &h->listen_fd, &h->port, error));
    enum rc rc = reaper_start(&h->reaper, h->options.request_timeout_s, h->options.connections_max);
    if (rc != RC_OK) {
        (void)close(h->listen_fd);
        return rc;
    }
    h->mhd = start_mhd(h);
    if (h->mhd)
        return RC_OK;
    /* Whether libmicrohttpd has closed the socket depends on where it failed: a leak before the end is the lesser evil.
     */
    reaper_stop(&h->reaper);
    TRY(buf_printf(error, "the HTTP server on %s does not start", h->options.listen));
    return RC_IO;
}

enum rc http_start(const struct http_options *options, struct http **ret, struct buf *error)
{
    if (options->threads == 0 || options->request_timeout_s == 0)
        return RC_BAD_CONFIG;
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return RC_NO_MEMORY;
    h->options = *options;
    enum rc rc = start(h, error);
    if (rc != RC_OK) {
        free(h);
        return rc;
    }
    *ret = h;
    return RC_OK;
}

unsigned http_port(const struct http *h)
{
    return h->port;
}

size_t http_connections(struct http *h)
{
    return reaper_connections(&h->reaper);
}

/*
 * New connections are refused from here on. Not by MHD_quiesce_daemon: it and a busy worker both take the socket out of
 * the worker's epoll set, and who comes second ends the process (0.9.75). A socket that is shut down needs no taking
 * out; the price is that epoll reports it without end, so workers are busy while they drain.
 */
static void stop_listening(struct http *h)
{
    (void)shutdown(h->listen_fd, SHUT_RDWR);
}

void http_stop(struct http *h, unsigned grace_ms)
{
    const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};

    if (!h)
        return;
    atomic_store(&h->draining, true);
    stop_listening(h);
    reaper_drain(&h->reaper);
    int64_t end_ms = clock_monotonic_ms() + grace_ms;
    while (reaper_connections(&h->reaper) && clock_monotonic_ms() < end_ms)
        (void)nanosleep(&pause, NULL);
    MHD_stop_daemon(h->mhd);
    reaper_stop(&h->reaper);
    free(h);
}
