/*
 * HTTP for AS and TGS: libmicrohttpd's epoll workers behind one handler interface.
 *
 * What it sees to: one route table, POST only (GET for health), bodies of at most HTTP_BODY_MAX (413), a total deadline
 * per request against slow clients, no duplicate or conflicting Content-Length and Transfer-Encoding, the client's
 * address behind trusted proxies, JSON errors with an op_id, and a drain that finishes what was begun.
 * Threads: workers of its own call the handlers, several at a time.
 * Source: RFC 9112 s.6.3 (message length), RFC 9110.
 */
#ifndef KERB_SERVICE_HTTP_H
#define KERB_SERVICE_HTTP_H

#include "shared/service/conf.h"
#include "shared/service/log.h"
#include "shared/service/proxy.h"

#define HTTP_BODY_MAX (16 * 1024) /* PROTOCOL.md section 1 */

struct http_request {
    struct slice body;
    const char *address; /* of the client, text */
    const char *op_id;
};

struct http_reply {
    int status;               /* 200 unless set */
    const char *content_type; /* "text/plain" unless set */
    struct buf body;          /* owned, released by the server */
    int retry_after_s;        /* 0: none */
};

/* Turns the code into the JSON error of the protocol. The reply's body is replaced. */
void http_reply_error(struct http_reply *reply, enum rc rc, const char *op_id);

/* The same with further members: write them to what open returns, then close. */
struct jw http_reply_error_open(struct http_reply *reply, enum rc rc, const char *op_id);
void http_reply_error_close(struct http_reply *reply, struct jw *w);

struct http_route {
    const char *path; /* served with and without a slash at its end */
    void (*post)(void *ctx, const struct http_request *req, struct http_reply *reply);
    void *ctx;
};

struct http_options {
    const char *listen; /* "address:port", "[::1]:port"; port 0 takes a free one */
    unsigned threads, connections_max, request_timeout_s;
    const struct proxy_list *proxies;
    const struct http_route *routes;
    size_t routes_n;
    /* GET /readyz: RC_OK or why not. GET /healthz answers 200 while the process serves. */
    enum rc (*ready)(void *ctx);
    void *ready_ctx;
};

struct http;

/* options are copied; what they point to must outlive the server. Errors: IO (told in error), BAD_CONFIG, NO_MEMORY. */
MUST enum rc http_start(const struct http_options *options, struct http **ret, struct buf *error);
unsigned http_port(const struct http *h);
size_t http_connections(struct http *h); /* open now */

/* Stops accepting, lets open requests finish for at most grace_ms, then frees everything. Accepts NULL. */
void http_stop(struct http *h, unsigned grace_ms);

#endif
