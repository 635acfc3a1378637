/*
 * libwebsockets: a guest in our loop, and its callbacks.
 *
 * What is set and why: UTF-8 is checked (off by default); the retry policy is all zero, since the default one puts
 * every connection into one sorted list; writes are cut at 64 KiB, not at 4; no extensions, no listening socket of its
 * own.
 */
#include "chat/edge/internal.h"

/* Kept by libwebsockets per connection, zeroed by it. */
struct upgrade {
    char address[ADDRESS_MAX];
    enum wire_profile profile;
    struct session *session; /* NULL: not established, or gone */
};

static struct edge *edge_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

static int established(struct lws *wsi, struct upgrade *u)
{
    u->session = session_open(edge_of(wsi), wsi, u->profile, u->address);
    return u->session ? 0 : -1;
}

/* CVE-2025-11677: on a second request `in` is freed memory and the headers are gone; nothing may touch it then. */
static int confirm_upgrade(struct lws *wsi, const char *in)
{
    if (lws_hdr_total_length(wsi, WSI_TOKEN_UPGRADE) == 0 || strcasecmp(in, "websocket") != 0)
        return -1;
    return upgrade_check(edge_of(wsi), wsi);
}

static void count_socket(struct lws *wsi, int change)
{
    struct edge *e = edge_of(wsi);
    e->sockets_n += (size_t)change;
}

/* Before it is a websocket. */
static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, struct upgrade *u, void *in)
{
    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE:
        count_socket(wsi, 1);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        count_socket(wsi, -1);
        return 0;
    case LWS_CALLBACK_RAW_ADOPT: /* the CONNECT method makes a raw connection without any time-out */
        return -1;
    case LWS_CALLBACK_HTTP:
        return http_get(edge_of(wsi), wsi, in);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return confirm_upgrade(wsi, in);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* the last time that headers are there */
        upgrade_address(edge_of(wsi), wsi, u->address);
        u->profile = upgrade_profile(wsi);
        return 0;
    default:
        return 0;
    }
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct upgrade *u = user;
    struct session *s = u ? u->session : NULL;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        return established(wsi, u);
    case LWS_CALLBACK_RECEIVE:
        if (!s)
            return -1;
        session_receive(s, slice_of(in, len));
        return 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        if (s)
            session_pong(s, slice_of(in, len));
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return s && session_peer_closed(s, slice_of(in, len)) ? -1 : 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        if (s)
            queue_unchoke(s);
        return 0;
    case LWS_CALLBACK_CLOSED:
        if (s) {
            u->session = NULL;
            session_gone(s);
        }
        return 0;
    default:
        return http_callback(wsi, reason, u, in);
    }
}

static const struct lws_protocols protocols[] = {
    {
     .name = "chat",
     .callback = callback,
     .per_session_data_size = sizeof(struct upgrade),
     .rx_buffer_size = RX_PIECE,
     .tx_packet_size = WRITE_CHUNK,
     },
    {
     .name = WIRE_SUBPROTOCOL, /* echoed to a client that offers it */
        .callback = callback,
     .per_session_data_size = sizeof(struct upgrade),
     .rx_buffer_size = RX_PIECE,
     .tx_packet_size = WRITE_CHUNK,
     },
    {0                 },
};

/* Peers can cause lines here; none of them carries what they sent. */
static void log_lws(int level, const char *text)
{
    static struct quota lines;

    if (quota_take(&lines))
        log_note(level == LLL_ERR ? LOG_WARN : LOG_INFO, "libwebsockets", "%.*s", (int)strcspn(text, "\n"), text);
}

enum rc lws_start(struct edge *e)
{
    static const lws_retry_bo_t no_pings; /* all zero: pings are ours (life.c) */
    void *loops[] = {&e->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8,
        .foreign_loops = loops,
        .pcontext = &e->lws,
        .user = e,
        .protocols = protocols,
        .pt_serv_buf_size = WRITE_CHUNK,
        .retry_and_idle_policy = &no_pings,
        .vhost_name = "chat",
        .server_string = "kerb",
        .gid = -1,
        .uid = -1,
    };

    lws_set_log_level(LLL_ERR | LLL_WARN, log_lws);
    e->lws = lws_create_context(&info);
    e->vhost = e->lws ? lws_create_vhost(e->lws, &info) : NULL;
    return e->vhost ? RC_OK : RC_IO;
}

/* The context goes in two steps with the loop running between them. */
void lws_stop(struct edge *e)
{
    if (e->lws)
        lws_context_destroy(e->lws);
    (void)uv_run(&e->loop, UV_RUN_DEFAULT);
    if (e->lws)
        lws_context_destroy(e->lws);
    e->lws = NULL;
}
