/*
 * The chat connection: opened, waited on, closed.
 *
 * What arrives is opened at once, inside ws (so a share is written down before the ping behind it is answered), and
 * waits in an inbox until the program may be called.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/chat_conn.h"

#define PATH     "/chat"
#define FLUSH_MS 3000 /* at the end, for shares on their way */

struct kerb *chat_handle(struct kerb_chat *c)
{
    return c->k;
}

struct chat_keeper *chat_keeper(struct kerb_chat *c)
{
    return c->keeper;
}

void chat_tell(struct kerb_chat *c, enum kerb_chat_event event, const char *text)
{
    if (c->o.event)
        c->o.event(c->o.ctx, event, text);
}

/* --- connecting --- */

static enum rc connect_now(struct kerb_chat *c)
{
    AUTO(buf_done) struct buf url = {0};
    struct name realm = c->session.realm, client = c->session.client;

    /* before the server's clock for the login runs */
    TRY(c->wants_fresh ? conn_fresh_ticket(c, &c->ticket) : client_ticket(c->k, &c->service, &c->ticket));
    if (!client.n) {
        realm = c->k->cache.realm;
        client = c->k->cache.client;
    }
    TRY(client_url(c->k, PATH, &url));
    chat_session_done(&c->session);
    chat_session_init(&c->session, &realm, &client);
    c->processed = 0;
    const struct ws_options o = {.url = (const char *)url.p,
                                 .ca_file = c->k->ca_file,
                                 .protocol = CHAT_SUBPROTOCOL,
                                 .timeout_s = c->k->timeout_s,
                                 .message = conn_read,
                                 .ctx = c};
    client_trace(c->k, "-> websocket %s, subprotocol %s", (const char *)url.p, CHAT_SUBPROTOCOL);
    if (ws_open(&o, &c->ws) != RC_OK)
        return client_fail(c->k, KERB_BAD_CONFIG, "the chat cannot be reached with the URL %s", kerb_url(c->k));
    return RC_OK;
}

/* A failure that time may heal only makes the pause longer. */
static void seek(struct kerb_chat *c)
{
    c->tried_ms = clock_monotonic_ms();
    enum rc rc = conn_reload(c);
    if (rc == RC_OK)
        rc = connect_now(c);
    if (rc == RC_OK)
        return;
    enum kerb_status status = client_end(c->k, rc);
    if (status != KERB_UNREACHABLE && status != KERB_SERVER_ERROR && status != KERB_BUSY)
        conn_over(c, status, kerb_error(c->k));
    conn_back_off(c);
}

/* A person may type faster than a try should follow on another. */
void chat_seek(struct kerb_chat *c)
{
    int64_t soon_ms = c->tried_ms + BACKOFF_FIRST_MS;

    if (!c->ws && soon_ms < c->retry_ms)
        c->retry_ms = soon_ms;
}

static bool wait_lost(struct kerb_chat *c, int other_fd, int timeout_ms)
{
    int64_t left = c->retry_ms - clock_monotonic_ms();
    struct pollfd fd = {.fd = other_fd, .events = POLLIN};

    if (left > 0)
        return poll(&fd, 1, left < timeout_ms ? (int)left : timeout_ms) > 0;
    seek(c);
    return false;
}

/* One round; *ret_other: the other descriptor can be read. */
enum rc conn_step(struct kerb_chat *c, int other_fd, int timeout_ms, bool *ret_other, bool *ret_some)
{
    *ret_other = false;
    *ret_some = conn_drain(c);
    if (c->is_over)
        return conn_tell_over(c);
    if (*ret_some)
        return RC_OK;
    if (c->feed && c->is_ready) {
        int due_ms = feed_poll(c->feed, clock_monotonic_ms());
        timeout_ms = due_ms < timeout_ms ? due_ms : timeout_ms;
    }
    *ret_other = c->ws ? ws_wait(c->ws, other_fd, timeout_ms) : wait_lost(c, other_fd, timeout_ms);
    *ret_some = conn_drain(c);
    if (c->ws && ws_state(c->ws) == WS_CLOSED)
        conn_lost(c);
    return c->is_over ? conn_tell_over(c) : RC_OK;
}

/* Until the server's handshake, or the end. */
static enum rc await_ready(struct kerb_chat *c)
{
    int64_t end = clock_monotonic_ms() + (int64_t)c->k->timeout_s * 1000;
    bool other, some;

    while (!c->was_ready) {
        TRY(conn_step(c, -1, 100, &other, &some));
        if (clock_monotonic_ms() > end)
            return client_fail(c->k, KERB_UNREACHABLE, "the chat at %s does not answer", kerb_url(c->k));
    }
    return RC_OK;
}

static enum rc start(struct kerb_chat *c)
{
    struct kerb *k = c->k;

    TRY(client_name(k, "service", c->o.service ? c->o.service : CHAT_SERVICE, &c->service));
    (void)snprintf(c->device, sizeof c->device, "%s", c->o.device ? c->o.device : "kerb");
    TRY(conn_feed(c));
    TRY(connect_now(c));
    if (keeper_new(k, &c->keeper) != RC_OK)
        return client_fail(k, KERB_BAD_CACHE,
                           "%s.shares: cannot be read, or others could read it; shares are kept there for a moment",
                           kerb_cache_path(k));
    return await_ready(c);
}

enum rc chat_open(struct kerb *k, const struct kerb_chat_options *options, struct kerb_chat **ret)
{
    struct kerb_chat *c = calloc(1, sizeof *c);

    if (!c)
        return RC_NO_MEMORY;
    c->k = k;
    c->o = *options;
    c->backoff_ms = BACKOFF_FIRST_MS;
    STAILQ_INIT(&c->inbox);
    enum rc rc = start(c);
    if (rc != RC_OK) {
        kerb_chat_close(c);
        return rc;
    }
    *ret = c;
    return RC_OK;
}

enum kerb_status kerb_chat_open(struct kerb *k, const struct kerb_chat_options *options, struct kerb_chat **ret)
{
    static const struct kerb_chat_options none;

    client_begin(k);
    return client_end(k, chat_open(k, options ? options : &none, ret));
}

void kerb_chat_close(struct kerb_chat *c)
{
    int64_t end = clock_monotonic_ms() + FLUSH_MS;
    bool other, some;

    if (!c)
        return;
    c->o.message = NULL;
    c->o.stay_lost = true;
    while (c->is_ready && keeper_is_busy(c->keeper) && clock_monotonic_ms() < end)
        if (conn_step(c, -1, 100, &other, &some) != RC_OK)
            break;
    ws_close(c->ws);
    c->is_over = true;
    (void)conn_drain(c);
    json_done(&c->reply);
    keeper_free(c->keeper);
    feed_free(c->feed);
    wipe(&c->resume, sizeof c->resume);
    chat_session_done(&c->session);
    cache_entry_done(&c->ticket);
    free(c);
}

/* --- for the program --- */

enum kerb_status kerb_chat_wait(struct kerb_chat *c, int other_fd, int timeout_ms, bool *ret_other)
{
    bool other = false, some = false;
    int64_t end = clock_monotonic_ms() + timeout_ms, left = timeout_ms;
    enum rc rc = RC_OK;

    client_begin(c->k);
    do {
        rc = conn_step(c, other_fd, (int)left, &other, &some);
        left = end - clock_monotonic_ms();
    } while (rc == RC_OK && !other && !some && left > 0);
    if (ret_other)
        *ret_other = other;
    return client_end(c->k, rc);
}

bool kerb_chat_has_vault(const struct kerb_chat *c)
{
    return c->k->cache.vault.has;
}
