/*
 * The loop: our own, with the listening socket, signals, the store's wake-up, the core's timer and libwebsockets in it.
 *
 * What is to be written is flushed before each wait and after it: work is done in timers as well as in I/O.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "chat/edge/internal.h"
#include "shared/service/feed.h"
#include "shared/service/lifecycle.h"
#include "shared/service/listen.h"
#include "shared/service/metrics_get.h"

bool quota_take(struct quota *q)
{
    int64_t now_s = clock_monotonic_ms() / 1000;

    if (q->second != now_s)
        *q = (struct quota){.second = now_s};
    return ++q->n <= LINES_PER_S;
}

/* --- handles --- */

static void before_wait(uv_prepare_t *handle)
{
    queue_flush(handle->data);
    edge_arm_deadline(handle->data);
}

static void after_wait(uv_check_t *handle)
{
    queue_flush(handle->data);
}

static void woken(uv_async_t *handle)
{
    edge_take_jobs(handle->data);
}

/* From the store's thread. */
static void wake(void *ctx)
{
    (void)uv_async_send(ctx);
}

static int64_t queued_bytes(const struct edge *e)
{
    const struct session *s;
    int64_t n = 0;

    for (int life = 0; life < LIFE_COUNT; life++)
        TAILQ_FOREACH (s, &e->life[life], in_life)
            n += (int64_t)(queue_waiting(s) + s->held);
    return n;
}

static int64_t key_age_s(const struct edge *e)
{
    int64_t now_s = clock_s();
    const struct keytab *keys = keytab_hold(e->o.keytab);
    const struct key *key = keytab_current(keys, &e->service, ETYPE_AES128_CBC_HS256, now_s);
    int64_t age_s = key ? now_s - key->valid_from : 0;

    keytab_release(e->o.keytab, keys);
    return age_s;
}

static void measure(struct edge *e)
{
    struct chat_counts counts;

    chat_count(e->o.chat, &counts);
    metric_set(GAUGE_connections, (int64_t)e->sessions_n);
    metric_set(GAUGE_connections_authed, (int64_t)counts.authed);
    metric_set(GAUGE_rooms_open, (int64_t)counts.rooms_open);
    metric_set(GAUGE_rooms_closed, (int64_t)counts.rooms_closed);
    metric_set(GAUGE_queue_bytes, queued_bytes(e));
    metric_set(GAUGE_replay_entries, (int64_t)wire_replay_entries(e->o.wire));
    metric_set(GAUGE_key_age_seconds, key_age_s(e));
    metric_set(GAUGE_store_jobs, (int64_t)e->jobs_n);
    metric_set(GAUGE_store_bytes, (int64_t)(e->jobs_bytes + chat_waiting_bytes(e->o.chat)));
    metric_set(GAUGE_store_failing, edge_store_health(e) != RC_OK);
    metric_set(GAUGE_store_log_bytes, (int64_t)e->o.store->ops->log_bytes(e->o.store));
    metric_set(GAUGE_reading_paused, e->is_reading_paused);
    metric_set(GAUGE_feed_lag_seconds, e->feed ? feed_down_ms(e->feed) / 1000 : 0);
}

static void each_second(uv_timer_t *timer)
{
    struct edge *e = timer->data;

    lifecycle_keys(e->o.keytab, "chat.keytab", false);
    master_watch_look(e->o.master);
    measure(e);
    ops_second(e->o.ops);
    life_tick(e);
    pool_trim(e);
}

static void signalled(uv_poll_t *poll, int status, int events)
{
    struct edge *e = poll->data;
    struct signalfd_siginfo info;

    (void)status;
    (void)events;
    while (read(e->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP)
            lifecycle_keys(e->o.keytab, "chat.keytab", true);
        else
            drain_begin(e);
    }
}

/* --- opening --- */

/* A descriptor per connection; libwebsockets has its table made for the limit, so not more than can be of use. */
static enum rc limit_files(struct edge *e)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return RC_IO;
    if (files.rlim_cur > FILES_MAX) {
        files.rlim_cur = FILES_MAX;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            return RC_IO;
    }
    e->connections_max = (size_t)e->o.conf->chat_connections_max;
    size_t others = CONNECTIONS_SPARE + FILES_OWN;
    if (files.rlim_cur < others * 2)
        return RC_LIMIT;
    if (e->connections_max > files.rlim_cur - others) {
        e->connections_max = files.rlim_cur - others;
        log_note(LOG_WARN, "connections_max", "cut to %zu by the limit of open files", e->connections_max);
    }
    return RC_OK;
}

static enum rc open_signals(struct edge *e)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    e->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return e->signal_fd >= 0 ? RC_OK : RC_IO;
}

static enum rc make_loop(struct edge *e)
{
    if (uv_loop_init(&e->loop) != 0)
        return RC_IO;
    e->is_loop_made = true;
    int rc = uv_prepare_init(&e->loop, &e->prepare) | uv_check_init(&e->loop, &e->check) |
             uv_async_init(&e->loop, &e->wake, woken) | news_init(e) | uv_timer_init(&e->loop, &e->deadline) |
             uv_timer_init(&e->loop, &e->second) | uv_timer_init(&e->loop, &e->again) |
             uv_poll_init(&e->loop, &e->listener, e->listen_fd) | uv_poll_init(&e->loop, &e->signals, e->signal_fd);
    e->prepare.data = e->check.data = e->wake.data = e->deadline.data = e->second.data = e->again.data = e;
    e->listener.data = e->signals.data = e;
    return rc == 0 ? RC_OK : RC_IO;
}

static struct edge *edge_new(const struct edge_options *options)
{
    struct edge *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->o = *options;
    e->listen_fd = e->signal_fd = -1;
    for (int i = 0; i < LIFE_COUNT; i++)
        TAILQ_INIT(&e->life[i]);
    TAILQ_INIT(&e->dirty);
    TAILQ_INIT(&e->choked);
    TAILQ_INIT(&e->paused);
    STAILQ_INIT(&e->departing);
    RB_INIT(&e->addresses);
    return e;
}

enum rc edge_check_config(const struct conf *conf, struct buf *error)
{
    struct proxy_list proxies;

    if (!origins_are_well_formed(conf->chat_origins)) {
        TRY(buf_text(error, "[chat] origins: each must be scheme://host or scheme://host:port"));
        return RC_BAD_CONFIG;
    }
    if (proxy_list_parse(conf->proxy_trusted, &proxies) != RC_OK) {
        TRY(buf_text(error, "[proxy] trusted: each must be an address or a network (a.b.c.d/n)"));
        return RC_BAD_CONFIG;
    }
    return RC_OK;
}

static enum rc prepare_all(struct edge *e, struct buf *error)
{
    TRY(edge_check_config(e->o.conf, error));
    TRY(name_parse(slice_text(e->o.conf->chat_service), &e->service));
    TRY(proxy_list_parse(e->o.conf->proxy_trusted, &e->proxies));
    TRY(limit_files(e));
    TRY(open_signals(e));
    TRY(listen_open(e->o.conf->chat_listen, &e->listen_fd, &e->port, error));
    TRY(make_loop(e));
    return lws_start(e);
}

enum rc edge_open(const struct edge_options *options, struct edge **ret, struct buf *error)
{
    struct edge *e = edge_new(options);

    if (!e)
        return RC_NO_MEMORY;
    enum rc rc = prepare_all(e, error);
    if (rc != RC_OK) {
        edge_close(e);
        return rc;
    }
    *ret = e;
    return RC_OK;
}

/* --- running --- */

/* /metrics, for the monitoring of this machine. */
static enum rc inner_open(struct edge *e)
{
    static char name[] = "kerb-chat";
    static const struct inner_route routes[] = {
        {"GET", METRICS_PATH, metrics_get, name}
    };
    AUTO(buf_done) struct buf error = {0};

    if (e->o.conf->chat_inner[0] == 0)
        return RC_OK;
    enum rc rc = inner_start(e->o.conf->chat_inner, routes, ARRAY_LEN(routes), &e->inner, &error);
    if (rc != RC_OK)
        log_note(LOG_ERROR, "inner", "%s", error.n ? buf_cstr(&error) : rc_text(rc));
    return rc;
}

enum rc edge_run(struct edge *e)
{
    TRY(e->o.store->ops->start(e->o.store, wake, &e->wake));
    (void)uv_prepare_start(&e->prepare, before_wait);
    (void)uv_check_start(&e->check, after_wait);
    (void)uv_timer_start(&e->second, each_second, 1000, 1000);
    (void)uv_poll_start(&e->signals, UV_READABLE, signalled);
    enum rc rc = news_start(e);
    if (rc == RC_OK)
        rc = inner_open(e);
    if (rc != RC_OK) {
        news_stop(e);
        return rc;
    }
    listen_start(e);
    lifecycle_serves(e->o.conf->chat_listen, e->port, e->inner ? inner_port(e->inner) : 0);
    while (e->drain != DRAIN_OVER)
        (void)uv_run(&e->loop, UV_RUN_DEFAULT);
    lifecycle_notify("STOPPING=1");
    news_stop(e);
    inner_stop(e->inner);
    log_note(LOG_INFO, "stopped", "%zu connections cut off", e->sessions_n);
    return RC_OK;
}

/* --- closing --- */

static void close_handles(struct edge *e)
{
    uv_handle_t *const handles[] = {
        (uv_handle_t *)&e->listener, (uv_handle_t *)&e->signals, (uv_handle_t *)&e->prepare,
        (uv_handle_t *)&e->check,    (uv_handle_t *)&e->wake,    (uv_handle_t *)&e->deadline,
        (uv_handle_t *)&e->second,   (uv_handle_t *)&e->again,   (uv_handle_t *)&e->heard,
    };

    for (size_t i = 0; i < ARRAY_LEN(handles); i++)
        if (handles[i]->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
}

void edge_close(struct edge *e)
{
    if (!e)
        return;
    if (e->is_loop_made) {
        listen_stop(e);
        close_handles(e);
        lws_stop(e);
        (void)uv_loop_close(&e->loop);
    }
    if (e->listen_fd >= 0)
        (void)close(e->listen_fd);
    if (e->signal_fd >= 0)
        (void)close(e->signal_fd);
    pool_free(e);
    for (int i = 0; i < WIRE_PROFILES; i++)
        buf_done(&e->json[i]);
    free(e);
}
