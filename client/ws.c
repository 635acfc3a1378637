/*
 * libwebsockets with its own poll loop: we wait for the socket (and for what the caller waits for), then let it work
 * without waiting. It keeps no timer that would need more than a look each second.
 */
#include "client/ws.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <libwebsockets.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

#define RX_PIECE       65536 /* bytes that are read at once */
#define FDS_MAX        16    /* descriptors that one connection needs at most, with room */
#define CONNECT_LOOK   10    /* ms between two looks while it connects: which socket that is changes on the way */
#define LOOK_MS        1000
#define GOODBYE_MS     500
#define PING_S         45 /* silence after which we ask whether the server is there */
#define SILENCE_S      60 /* ... and after which it is not */
#define CODE_NORMAL    1000
#define CODE_TOO_BIG   1009
#define HTTP_SWITCHING 101

struct out_message {
    STAILQ_ENTRY(out_message) of_queue;
    bool is_binary;
    struct buf bytes; /* LWS_PRE bytes, then the message */
};

struct ws {
    struct ws_options o;
    struct lws_context *context;
    struct lws *wsi; /* NULL when it is closed */
    enum ws_state state;
    STAILQ_HEAD(, out_message) out;
    size_t out_n;
    struct buf in;
    unsigned end_code, close_code;
    char error[256];
    char host[256], address[256], path[1024];
    int port;
    bool tls;
};

/* --- the URL --- */

static enum rc copy(char *out, size_t size, const char *from, size_t n)
{
    if (n == 0 || n >= size)
        return RC_MALFORMED;
    memcpy(out, from, n);
    out[n] = 0;
    return RC_OK;
}

/* Where the host ends: before its port, behind the bracket of an IPv6 address. */
static const char *host_end(const char *host, const char *end)
{
    const char *from = host;

    if (*host == '[' && !(from = memchr(host, ']', (size_t)(end - host))))
        return NULL;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    return colon ? colon : end;
}

static enum rc read_url(struct ws *w, const char *url)
{
    uint64_t port;

    w->tls = strncmp(url, "https://", strlen("https://")) == 0;
    if (!w->tls && strncmp(url, "http://", strlen("http://")) != 0)
        return RC_MALFORMED;
    const char *host = strstr(url, "://") + strlen("://"), *path = strchr(host, '/');
    if (!path)
        return RC_MALFORMED;
    const char *end = host_end(host, path);
    if (!end)
        return RC_MALFORMED;
    port = w->tls ? 443 : 80;
    if (end != path)
        TRY(parse_u64(slice_of(end + 1, (size_t)(path - end - 1)), 65535, &port));
    w->port = (int)port;
    TRY(copy(w->host, sizeof w->host, host, (size_t)(path - host)));
    TRY(copy(w->path, sizeof w->path, path, strlen(path)));
    return *host == '[' ? copy(w->address, sizeof w->address, host + 1, (size_t)(end - host - 2))
                        : copy(w->address, sizeof w->address, host, (size_t)(end - host));
}

/* --- what libwebsockets says --- */

static void closed(struct ws *w)
{
    w->state = WS_CLOSED;
    w->wsi = NULL;
}

static int give_up(struct ws *w, struct lws *wsi, unsigned code)
{
    lws_close_reason(wsi, (enum lws_close_status)code, NULL, 0);
    closed(w);
    return -1;
}

/* The server must speak our subprotocol, and say so. */
static int check_protocol(struct ws *w, struct lws *wsi)
{
    char name[64];

    int n = lws_hdr_copy(wsi, name, sizeof name, WSI_TOKEN_PROTOCOL);
    if (n > 0 && strcmp(name, w->o.protocol) == 0)
        return 0;
    (void)snprintf(w->error, sizeof w->error, "the server does not speak %s", w->o.protocol);
    return -1;
}

static int received(struct ws *w, struct lws *wsi, const void *p, size_t n)
{
    if (w->in.n + n + lws_remaining_packet_payload(wsi) > WS_MESSAGE_MAX)
        return give_up(w, wsi, CODE_TOO_BIG);
    bool last = lws_is_final_fragment(wsi);
    if (last && w->in.n == 0) {
        w->o.message(w->o.ctx, slice_of(p, n), lws_frame_is_binary(wsi));
        return 0;
    }
    if (buf_add(&w->in, slice_of(p, n)) != RC_OK)
        return give_up(w, wsi, CODE_TOO_BIG);
    if (last) {
        w->o.message(w->o.ctx, buf_slice(&w->in), lws_frame_is_binary(wsi));
        buf_reset(&w->in);
    }
    return 0;
}

static void drop_first(struct ws *w)
{
    struct out_message *m = STAILQ_FIRST(&w->out);

    STAILQ_REMOVE_HEAD(&w->out, of_queue);
    w->out_n--;
    buf_done(&m->bytes);
    free(m);
}

static int writable(struct ws *w, struct lws *wsi)
{
    struct out_message *m = STAILQ_FIRST(&w->out);

    if (m) {
        size_t n = m->bytes.n - LWS_PRE;
        int sent = lws_write(wsi, m->bytes.p + LWS_PRE, n, m->is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
        drop_first(w);
        if (sent < 0) {
            closed(w);
            return -1;
        }
    }
    if (w->out_n == 0 && w->end_code)
        return give_up(w, wsi, w->end_code);
    if (w->out_n > 0 || w->end_code)
        (void)lws_callback_on_writable(wsi);
    return 0;
}

static void failed(struct ws *w, struct lws *wsi, const char *text, size_t n)
{
    unsigned status = lws_http_client_http_response(wsi);

    closed(w);
    if (w->error[0])
        return;
    if (status && status != HTTP_SWITCHING)
        (void)snprintf(w->error, sizeof w->error, "the server answers with HTTP status %u", status);
    else
        (void)snprintf(w->error, sizeof w->error, "%.*s", text ? (int)n : 0, text ? text : "");
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct ws *w = user;

    if (!w)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        failed(w, wsi, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
        return check_protocol(w, wsi);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        w->state = WS_OPEN;
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return received(w, wsi, in, len);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return writable(w, wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (len >= 2)
            w->close_code = (unsigned)((const uint8_t *)in)[0] << 8 | ((const uint8_t *)in)[1];
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        closed(w);
        return 0;
    default:
        return 0;
    }
}

/* --- its life --- */

static const struct lws_protocols protocols[] = {
    {.name = "kerb",              .callback = callback, .rx_buffer_size = RX_PIECE, .tx_packet_size = RX_PIECE},
    {0},
};

static enum rc make_context(struct ws *w)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .gid = -1,
        .uid = -1,
        .fd_limit_per_thread = FDS_MAX,
        .pt_serv_buf_size = RX_PIECE,
        .timeout_secs = w->o.timeout_s,
        .connect_timeout_secs = w->o.timeout_s,
    };

    if (w->tls) {
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        if (w->o.ca_file[0]) {
            info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
            info.client_ssl_ca_filepath = w->o.ca_file;
        }
    }
    lws_set_log_level(0, NULL); /* what matters comes as text with the event */
    w->context = lws_create_context(&info);
    return w->context ? RC_OK : RC_IO;
}

static void connect_to(struct ws *w)
{
    static const lws_retry_bo_t alive = {.secs_since_valid_ping = PING_S, .secs_since_valid_hangup = SILENCE_S};
    struct lws_client_connect_info info = {
        .context = w->context,
        .address = w->address,
        .port = w->port,
        .ssl_connection = w->tls ? LCCSCF_USE_SSL : 0,
        .path = w->path,
        .host = w->host,
        .protocol = w->o.protocol,
        .local_protocol_name = protocols[0].name,
        .alpn = "http/1.1",
        .userdata = w,
        .pwsi = &w->wsi,
        .retry_and_idle_policy = &alive,
        .ietf_version_or_minus_one = -1,
    };

    info.ssl_connection |= LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
    if (!lws_client_connect_via_info(&info))
        closed(w);
}

enum rc ws_open(const struct ws_options *options, struct ws **ret)
{
    struct ws *w = calloc(1, sizeof *w);

    if (!w)
        return RC_NO_MEMORY;
    w->o = *options;
    STAILQ_INIT(&w->out);
    w->o.url = NULL; /* the caller's, and read here */
    enum rc rc = read_url(w, options->url);
    if (rc == RC_OK)
        rc = make_context(w);
    if (rc != RC_OK) {
        ws_close(w);
        return rc;
    }
    connect_to(w);
    *ret = w;
    return RC_OK;
}

void ws_close(struct ws *w)
{
    if (!w)
        return;
    if (w->state == WS_OPEN) {
        int64_t end = clock_monotonic_ms() + GOODBYE_MS;
        if (!w->end_code)
            ws_end(w, CODE_NORMAL);
        while (w->state == WS_OPEN && clock_monotonic_ms() < end)
            (void)ws_wait(w, -1, GOODBYE_MS / 10);
        (void)lws_service(w->context, -1);
    }
    if (w->context)
        lws_context_destroy(w->context);
    while (!STAILQ_EMPTY(&w->out))
        drop_first(w);
    buf_done(&w->in);
    free(w);
}

enum ws_state ws_state(const struct ws *w)
{
    return w->state;
}

unsigned ws_close_code(const struct ws *w)
{
    return w->close_code;
}

const char *ws_error(const struct ws *w)
{
    return w->error;
}

/* --- talking --- */

enum rc ws_send(struct ws *w, struct slice message, bool is_binary)
{
    static const uint8_t room[LWS_PRE];

    if (w->state != WS_OPEN || w->end_code)
        return RC_STOPPED;
    if (w->out_n >= WS_QUEUE_MAX)
        return RC_LIMIT;
    struct out_message *m = calloc(1, sizeof *m);
    if (!m)
        return RC_NO_MEMORY;
    m->is_binary = is_binary;
    enum rc rc = buf_add(&m->bytes, SLICE(room));
    if (rc == RC_OK)
        rc = buf_add(&m->bytes, message);
    if (rc != RC_OK) {
        buf_done(&m->bytes);
        free(m);
        return rc;
    }
    STAILQ_INSERT_TAIL(&w->out, m, of_queue);
    w->out_n++;
    (void)lws_callback_on_writable(w->wsi);
    return RC_OK;
}

void ws_end(struct ws *w, unsigned code)
{
    if (w->state != WS_OPEN || w->end_code)
        return;
    w->end_code = code;
    (void)lws_callback_on_writable(w->wsi);
}

/* What to wait for, and how long at most. */
static int fill(const struct ws *w, int other_fd, int timeout_ms, struct pollfd fds[2])
{
    bool wants_out = w->wsi && (w->out_n > 0 || w->end_code || lws_partial_buffered(w->wsi));
    int longest = w->state == WS_CONNECTING ? CONNECT_LOOK : LOOK_MS;

    fds[0] = (struct pollfd){.fd = other_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = w->state == WS_OPEN ? lws_get_socket_fd(w->wsi) : -1,
                             .events = (short)(POLLIN | (wants_out ? POLLOUT : 0))};
    return lws_service_adjust_timeout(w->context, timeout_ms < longest ? timeout_ms : longest, 0);
}

bool ws_wait(struct ws *w, int other_fd, int timeout_ms)
{
    struct pollfd fds[2];
    int64_t end = clock_monotonic_ms() + timeout_ms;

    for (;;) {
        int64_t left = end - clock_monotonic_ms();
        int ms = fill(w, other_fd, left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left, fds);
        enum ws_state before = w->state;
        int n = poll(fds, 2, ms);
        bool interrupted = n < 0 && errno == EINTR;
        if (w->state != WS_CLOSED)
            (void)lws_service(w->context, -1);
        bool other = n > 0 && fds[0].revents != 0;
        if (other || interrupted || w->state != before || (n > 0 && fds[1].revents) || left <= 0 ||
            w->state == WS_CLOSED)
            return other;
    }
}
