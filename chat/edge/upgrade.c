/*
 * The way from a request to a websocket: everything that libwebsockets 4.1.6 lets pass and RFC 6455 does not.
 *
 * Called while the headers are there. Each row of the table is one question; the first "no" is the answer.
 */
#include "chat/edge/internal.h"

#define HEADER_MAX    1024 /* bytes of a header that is looked at */
#define FORWARDED_MAX 4096 /* all of libwebsockets' header store */
#define KEY_LETTERS   24   /* base64 of 16 bytes; RFC 6455 s.4.1 */

struct header {
    char s[HEADER_MAX];
    int n; /* -1: too long; 0: absent or empty */
};

static void header_get(struct lws *wsi, enum lws_token_indexes token, struct header *ret)
{
    ret->n = lws_hdr_copy(wsi, ret->s, sizeof(ret->s), token);
    if (ret->n <= 0)
        ret->s[0] = 0;
}

/* All of it, also where it holds a zero byte. */
static bool header_is(const struct header *h, const char *text)
{
    return h->n >= 0 && slice_eq(slice_of(h->s, (size_t)h->n), slice_text(text));
}

static bool has(struct lws *wsi, enum lws_token_indexes token)
{
    return lws_hdr_total_length(wsi, token) > 0;
}

static bool is_get(const struct edge *e, struct lws *wsi)
{
    (void)e;
    return has(wsi, WSI_TOKEN_GET_URI);
}

static bool is_path(const struct edge *e, struct lws *wsi)
{
    struct header h;

    (void)e;
    header_get(wsi, WSI_TOKEN_GET_URI, &h);
    return header_is(&h, "/chat") || header_is(&h, "/chat/");
}

/* HTTP/1.1; and no body, which would be read as frames. */
static bool is_http_11(const struct edge *e, struct lws *wsi)
{
    struct header h;

    (void)e;
    header_get(wsi, WSI_TOKEN_HTTP, &h);
    if (!header_is(&h, "HTTP/1.1") || has(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING))
        return false;
    header_get(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, &h);
    return header_is(&h, "") || header_is(&h, "0");
}

static bool is_version_13(const struct edge *e, struct lws *wsi)
{
    struct header h;

    (void)e;
    header_get(wsi, WSI_TOKEN_VERSION, &h);
    return header_is(&h, "13");
}

static bool is_key(const struct edge *e, struct lws *wsi)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct header h;

    (void)e;
    header_get(wsi, WSI_TOKEN_KEY, &h);
    return h.n == KEY_LETTERS && strspn(h.s, alphabet) == KEY_LETTERS - 2 && strcmp(h.s + KEY_LETTERS - 2, "==") == 0;
}

enum wire_profile upgrade_profile(struct lws *wsi)
{
    return has(wsi, WSI_TOKEN_PROTOCOL) ? WIRE_SEALED : WIRE_CLASSIC;
}

/* No subprotocol, or exactly ours; and the realm serves that profile. */
static bool is_known_protocol(const struct edge *e, struct lws *wsi)
{
    struct header h;

    header_get(wsi, WSI_TOKEN_PROTOCOL, &h);
    if (!header_is(&h, "") && !header_is(&h, WIRE_SUBPROTOCOL))
        return false;
    return wire_allows(e->o.wire, upgrade_profile(wsi));
}

static bool is_origin(const struct edge *e, struct lws *wsi)
{
    struct header h;

    if (!has(wsi, WSI_TOKEN_ORIGIN))
        return true;
    header_get(wsi, WSI_TOKEN_ORIGIN, &h);
    return h.n > 0 && origin_is_allowed(e->o.conf->chat_origins, slice_of(h.s, (size_t)h.n));
}

static const struct check {
    bool (*holds)(const struct edge *e, struct lws *wsi);
    struct http_head head;
    const char *why;
} checks[] = {
    {is_get,            {405, "Method Not Allowed", "Allow: GET\r\n"},              "method is not GET"           },
    {is_path,           {404, "Not Found", ""},                                     "no such path"                },
    {is_http_11,        {400, "Bad Request", ""},                                   "not HTTP/1.1, or with a body"},
    {is_version_13,     {426, "Upgrade Required", "Sec-WebSocket-Version: 13\r\n"}, "not version 13"              },
    {is_key,            {400, "Bad Request", ""},                                   "no Sec-WebSocket-Key"        },
    {is_known_protocol, {400, "Bad Request", ""},                                   "unknown subprotocol"         },
    {is_origin,         {403, "Forbidden", ""},                                     "origin is not allowed"       },
};

static void log_refusal(struct edge *e, struct lws *wsi, const char *why)
{
    char address[ADDRESS_MAX];
    struct log_line line;

    if (!quota_take(&e->refusals))
        return;
    upgrade_address(e, wsi, address);
    log_begin(&line, LOG_INFO, "upgrade_refused");
    log_str(&line, "address", address);
    log_str(&line, "reason", why);
    log_end(&line);
}

int upgrade_check(struct edge *e, struct lws *wsi)
{
    char body[HEADER_MAX];

    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (checks[i].holds(e, wsi))
            continue;
        log_refusal(e, wsi, checks[i].why);
        (void)snprintf(body, sizeof(body), "{\"error\":\"%s\"}", checks[i].why);
        return http_answer(wsi, &checks[i].head, body);
    }
    return 0;
}

void upgrade_address(const struct edge *e, struct lws *wsi, char out[ADDRESS_MAX])
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    char forwarded[FORWARDED_MAX];

    int n = lws_hdr_copy(wsi, forwarded, sizeof(forwarded), WSI_TOKEN_X_FORWARDED_FOR);
    if (getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&peer, &len) != 0)
        peer.ss_family = AF_UNSPEC;
    proxy_client_address(&e->proxies, (const struct sockaddr *)&peer, slice_of(forwarded, n > 0 ? (size_t)n : 0), out);
}
