/*
 * Plain HTTP on the chat's port: health, and refusals.
 *
 * Each answer closes its connection. So there is no second request on one, and none of the ways in which 4.1.6 goes
 * wrong there: a second Upgrade, pipelined requests, bodies without a length.
 */
#include <stdio.h>

#include "chat/edge/internal.h"
#include "shared/service/feed.h"

#define ANSWER_MAX 1024 /* bytes of head and body: all are ours */

int http_answer(struct lws *wsi, const struct http_head *head, const char *body)
{
    uint8_t text[LWS_PRE + ANSWER_MAX];
    uint8_t *p = text + LWS_PRE;

    int n = snprintf((char *)p, ANSWER_MAX,
                     "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n%s",
                     head->status, head->phrase, strlen(body), head->extra, body);
    if (n > 0 && n < ANSWER_MAX)
        (void)lws_write(wsi, p, (size_t)n, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

static bool path_is(const char *path, const char *want)
{
    size_t n = strlen(want);
    return strncmp(path, want, n) == 0 && (path[n] == 0 || (path[n] == '/' && path[n + 1] == 0));
}

/* It fails, or has given nothing back for long. */
enum rc edge_store_health(const struct edge *e)
{
    TRY(e->o.store->ops->health(e->o.store));
    return e->jobs_n > 0 && clock_monotonic_ms() - e->store_moved_ms > STORE_STALL_MS ? RC_DB : RC_OK;
}

/* The store works, and there is a key that tickets may be sealed with. */
static enum rc readiness(struct edge *e)
{
    TRY(edge_store_health(e));
    TRY(ops_ready(e->o.ops));
    TRY(feed_ready(e->feed));
    const struct keytab *keys = keytab_hold(e->o.keytab);
    const struct key *key = keytab_current(keys, &e->service, ETYPE_AES128_CBC_HS256, clock_s());
    keytab_release(e->o.keytab, keys);
    if (!key)
        return RC_NO_KEY;
    return e->drain == DRAIN_NONE ? RC_OK : RC_LIMIT;
}

static int answer_ready(struct edge *e, struct lws *wsi)
{
    static const struct http_head ready = {200, "OK", ""}, not_ready = {503, "Service Unavailable", ""};
    struct log_line line;

    enum rc rc = readiness(e);
    if (rc != e->told_ready) { /* not each time that somebody asks */
        log_begin(&line, rc == RC_OK ? LOG_INFO : LOG_WARN, rc == RC_OK ? "ready" : "not_ready");
        log_rc(&line, rc);
        log_end(&line);
    }
    e->told_ready = rc;
    return rc == RC_OK ? http_answer(wsi, &ready, "{\"status\":\"ready\"}")
                       : http_answer(wsi, &not_ready, "{\"status\":\"not ready\"}");
}

int http_get(struct edge *e, struct lws *wsi, const char *path)
{
    static const struct http_head ok = {200, "OK", ""};
    static const struct http_head not_found = {404, "Not Found", ""};
    static const struct http_head method = {405, "Method Not Allowed", "Allow: GET\r\n"};
    static const struct http_head upgrade = {426, "Upgrade Required", "Upgrade: websocket\r\n"};

    bool is_health = path_is(path, "/healthz"), is_ready = path_is(path, "/readyz");
    if (!is_health && !is_ready && !path_is(path, "/chat"))
        return http_answer(wsi, &not_found, "{\"error\":\"no such path\"}");
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0)
        return http_answer(wsi, &method, "{\"error\":\"method is not GET\"}");
    if (is_ready)
        return answer_ready(e, wsi);
    if (is_health)
        return http_answer(wsi, &ok, "{\"status\":\"ok\"}");
    return http_answer(wsi, &upgrade, "{\"error\":\"this is a websocket\"}");
}

void http_refuse_socket(int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
                               "Connection: close\r\n\r\n";

    (void)send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}
