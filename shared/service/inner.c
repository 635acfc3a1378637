/* The inner listener: libmicrohttpd with a thread for each connection. */
#include "shared/service/inner.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/service/http_guard.h"
#include "shared/service/http_reply.h"
#include "shared/service/listen.h"

struct inner {
    const struct inner_route *routes;
    size_t routes_n;
    struct MHD_Daemon *mhd;
    unsigned port;
};

/* One request; made behind its headers, freed at its end. */
struct exchange {
    struct buf body;
    const struct inner_route *route;
    enum rc rc; /* why it is refused before any handler, or OK */
};

static bool path_is(const char *path, const char *route)
{
    size_t n = strlen(route);
    return strncmp(path, route, n) == 0 && (path[n] == 0 || (path[n] == '/' && path[n + 1] == 0));
}

static enum rc find_route(const struct inner *inner, const char *path, const char *method,
                          const struct inner_route **ret)
{
    enum rc rc = RC_NO_PATH;

    for (size_t i = 0; i < inner->routes_n; i++) {
        if (!path_is(path, inner->routes[i].path))
            continue;
        rc = RC_BAD_METHOD;
        if (strcmp(method, inner->routes[i].method) != 0)
            continue;
        *ret = &inner->routes[i];
        return RC_OK;
    }
    return rc;
}

static enum MHD_Result finish(struct MHD_Connection *c, struct exchange *x)
{
    char op_id[OP_ID_LEN + 1];
    struct http_reply reply = {0};
    const struct http_extra extra = {.allow = x->rc == RC_BAD_METHOD ? "GET, POST" : NULL, .close = x->rc != RC_OK};

    op_id_make(op_id);
    const struct http_request request = {.body = buf_slice(&x->body), .address = "", .op_id = op_id};
    if (x->rc == RC_OK)
        x->route->serve(x->route->ctx, &request, &reply);
    else
        http_reply_error(&reply, x->rc, op_id);
    enum MHD_Result sent = http_reply_send(c, &reply, &extra);
    buf_done(&reply.body);
    return sent;
}

static void collect(struct exchange *x, struct slice piece)
{
    if (x->rc != RC_OK)
        return;
    if (piece.n > HTTP_BODY_MAX - x->body.n)
        x->rc = RC_TOO_LARGE;
    else
        x->rc = buf_add(&x->body, piece);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *piece, size_t *piece_n, void **con_cls)
{
    struct inner *inner = cls;
    struct exchange *x = *con_cls;

    if (!x) {
        struct http_head head;
        x = calloc(1, sizeof *x);
        if (!x)
            return MHD_NO;
        *con_cls = x;
        x->rc = http_guard(c, version, &head);
        if (x->rc != RC_OK)
            return finish(c, x);
        x->rc = find_route(inner, url, method, &x->route);
        return MHD_YES;
    }
    if (*piece_n) {
        collect(x, slice_of(piece, *piece_n));
        *piece_n = 0;
        return MHD_YES;
    }
    return finish(c, x);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode how)
{
    struct exchange *x = *con_cls;

    (void)cls;
    (void)c;
    (void)how;
    *con_cls = NULL;
    if (!x)
        return;
    buf_done(&x->body);
    free(x);
}

static enum rc start(struct inner *inner, const char *listen, struct buf *error)
{
    int fd;

    if (!listen_is_loopback(listen)) {
        TRY(buf_printf(error, "'%s' is not an address of loopback, e.g. 127.0.0.1:8811", listen));
        return RC_BAD_CONFIG;
    }
    TRY(listen_open(listen, &fd, &inner->port, error));
    inner->mhd = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC, 0, NULL,
                                  NULL, on_request, inner, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                  (unsigned)INNER_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                  (unsigned)INNER_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED,
                                  on_completed, inner, MHD_OPTION_END);
    if (inner->mhd)
        return RC_OK;
    TRY(buf_printf(error, "the inner listener on %s does not start", listen));
    return RC_IO;
}

enum rc inner_start(const char *listen, const struct inner_route *routes, size_t routes_n, struct inner **ret,
                    struct buf *error)
{
    struct inner *inner = calloc(1, sizeof *inner);

    if (!inner)
        return RC_NO_MEMORY;
    inner->routes = routes;
    inner->routes_n = routes_n;
    enum rc rc = start(inner, listen, error);
    if (rc != RC_OK) {
        free(inner);
        return rc;
    }
    *ret = inner;
    return RC_OK;
}

unsigned inner_port(const struct inner *inner)
{
    return inner->port;
}

void inner_stop(struct inner *inner)
{
    if (!inner)
        return;
    MHD_stop_daemon(inner->mhd);
    free(inner);
}
