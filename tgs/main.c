/*
 * kerb-tgs: the Ticket Granting Server.
 *
 * Threads: main waits for signals; the HTTP server's workers (tgs.threads) run tgs_grant_post, each with a store handle
 * borrowed from the pool; the log has a thread that writes; the feed's reader applies what the AS tells; the inner
 * listener's connections tell services. Keytab, replay cache and epochs lock themselves; main reads the keytab again
 * when it changes. All else in the environment is read only while they run.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/daemon/host.h"
#include "shared/service/inner.h"
#include "shared/service/lifecycle.h"
#include "shared/service/metrics_get.h"
#include "shared/unseal/watch.h"
#include "tgs/feed.h"
#include "tgs/grant.h"

#define DRAIN_MS 5000 /* what an open request may take after a stop was asked for */

struct daemon {
    struct host host;
    struct pool stores;
    struct master_watch master;
    struct proxy_list proxies;
    struct tgs_env env;
    struct tgs_feed feed;
    struct feed_server *teller;
    struct inner *inner;
    struct inner_route inner_routes[2];
    struct http_route routes[1];
    struct http *http;
    atomic_bool hurry; /* end without grace */
};

static char daemon_name[] = "kerb-tgs";

static int no_store(const struct daemon *d, enum rc rc)
{
    fprintf(stderr, "kerb-tgs: the store in %s/tgs does not open (its directory, master.key or tgs.db): %s\n",
            d->host.conf.realm_state, rc_text(rc));
    return 1;
}

/* The one that writes goes first: it brings an older file up to date. Then one to tell with, and one a worker. */
static int open_stores(struct daemon *d)
{
    enum rc rc = tgs_store_open(&d->host.conf, DB_WRITE, &d->feed.writer);
    if (rc == RC_OK)
        rc = tgs_store_open(&d->host.conf, DB_READ, &d->feed.teller);
    if (rc != RC_OK)
        return no_store(d, rc);
    for (int64_t i = 0; i < d->host.conf.tgs_threads; i++) {
        struct tgs_store *s;
        rc = tgs_store_open(&d->host.conf, DB_READ, &s);
        if (rc != RC_OK)
            return no_store(d, rc);
        pool_put(&d->stores, s);
    }
    return 0;
}

static int open_keys(struct daemon *d)
{
    AUTO(str_done) char *path = NULL;

    enum rc rc = conf_path(&d->host.conf, "tgs/tgs.keytab", &path);
    if (rc == RC_OK)
        rc = keytab_file_open(path, &d->env.keys);
    return rc == RC_OK ? 0 : host_fail(&d->host, path ? path : "tgs/tgs.keytab", NULL, rc);
}

/* Without an orderly stop nobody knows what was accepted before this second. */
static int open_replay(struct daemon *d, int64_t start_s)
{
    AUTO(str_done) char *path = NULL;
    bool clean;

    enum rc rc = conf_path(&d->host.conf, "tgs/replay", &path);
    if (rc == RC_OK)
        rc = replay_open(path, REPLAY_AT_STOP, start_s, &d->env.replay, &clean);
    if (rc != RC_OK)
        return host_fail(&d->host, path ? path : "tgs/replay", NULL, rc);
    d->env.crash_s = clean ? -1 : start_s;
    if (!clean)
        log_note(LOG_WARN, "replay", "no orderly stop before: tickets issued before this start are refused");
    return 0;
}

/* --- the feeds --- */

static void end(void *ctx, bool grace)
{
    struct daemon *d = ctx;

    log_note(LOG_INFO, "order", "the AS says that this daemon is to end%s", grace ? "" : " at once");
    atomic_store(&d->hurry, !grace);
    (void)kill(getpid(), SIGTERM);
}

static enum rc start_reader(struct daemon *d)
{
    struct feed_options options = {
        .realm = d->host.conf.realm,
        .reader = d->env.name,
        .address = d->host.conf.tgs_feed,
        .keys = d->env.keys,
        .apply = tgs_feed_apply,
        .ctx = &d->feed,
    };

    TRY(tgs_epochs_new(&d->env.epochs));
    d->feed.conf = &d->host.conf;
    d->feed.name = d->env.name;
    d->feed.epochs = d->env.epochs;
    d->feed.clock = d->env.clock;
    d->feed.end = end;
    d->feed.end_ctx = d;
    TRY(tgs_feed_load(&d->feed, &options.after));
    return options.address[0] ? feed_start(&options, &d->env.feed) : RC_OK;
}

static int start_feeds(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};
    const struct feed_source source = {tgs_feed_key, tgs_feed_read, &d->feed};

    enum rc rc = start_reader(d);
    if (rc == RC_OK)
        rc = feed_server_open(&d->host.conf.realm, &source, &d->teller);
    if (rc != RC_OK)
        return host_fail(&d->host, "feed", NULL, rc);
    if (!d->host.conf.tgs_inner[0])
        return 0;
    d->inner_routes[0] = (struct inner_route){"POST", FEED_PATH, feed_server_post, d->teller};
    d->inner_routes[1] = (struct inner_route){"GET", METRICS_PATH, metrics_get, daemon_name};
    rc = inner_start(d->host.conf.tgs_inner, d->inner_routes, ARRAY_LEN(d->inner_routes), &d->inner, &error);
    return rc == RC_OK ? 0 : host_fail(&d->host, d->host.conf.tgs_inner, buf_cstr(&error), rc);
}

static void stop_feeds(struct daemon *d)
{
    feed_stop(d->env.feed);
    feed_server_stop(d->teller);
    inner_stop(d->inner);
    feed_server_close(d->teller);
    d->env.feed = NULL;
    d->teller = NULL;
    d->inner = NULL;
}

static int prepare(struct daemon *d, int64_t start_s)
{
    enum rc rc = name_parse(slice_text(TGS_OWN_NAME), &d->env.name);
    if (rc == RC_OK)
        rc = proxy_list_parse(d->host.conf.proxy_trusted, &d->proxies);
    if (rc != RC_OK)
        return host_fail(&d->host, "[proxy] trusted", NULL, rc);
    if (open_stores(d) != 0 || open_keys(d) != 0 || host_open_ops(&d->host, start_s) != 0)
        return 1;
    d->env.gate = ops_gate(d->host.ops);
    d->env.audit_ctx = d->host.ops;
    rc = master_watch_open(&d->host.conf, "tgs", &d->master);
    return rc == RC_OK ? open_replay(d, start_s) : host_fail(&d->host, "master key", NULL, rc);
}

static enum rc ready(void *ctx)
{
    struct daemon *d = ctx;

    TRY(ops_ready(d->host.ops));
    return tgs_ready(&d->env);
}

static int listen_on_port(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};
    d->routes[0] = (struct http_route){"/tgs", tgs_grant_post, &d->env};
    const struct http_options options = {
        .listen = d->host.conf.tgs_listen,
        .threads = (unsigned)d->host.conf.tgs_threads,
        .connections_max = (unsigned)d->host.conf.tgs_connections_max,
        .request_timeout_s = (unsigned)d->host.conf.tgs_request_timeout,
        .proxies = &d->proxies,
        .routes = d->routes,
        .routes_n = ARRAY_LEN(d->routes),
        .ready = ready,
        .ready_ctx = d,
    };

    enum rc rc = http_start(&options, &d->http, &error);
    if (rc != RC_OK)
        return host_fail(&d->host, d->host.conf.tgs_listen, buf_cstr(&error), rc);
    return 0;
}

static void measure(struct daemon *d)
{
    int64_t now_s = d->env.clock();

    const struct keytab *keys = keytab_hold(d->env.keys);
    const struct key *key = keytab_current(keys, &d->env.name, ETYPE_AES128_CBC_HS256, now_s);
    metric_set(GAUGE_key_age_seconds, key ? now_s - key->valid_from : 0);
    keytab_release(d->env.keys, keys);
    metric_set(GAUGE_replay_entries, (int64_t)replay_count(d->env.replay));
    metric_set(GAUGE_connections, (int64_t)http_connections(d->http));
    metric_set(GAUGE_feed_lag_seconds, d->env.feed ? feed_down_ms(d->env.feed) / 1000 : 0);
}

static void each_second(struct daemon *d, bool force)
{
    lifecycle_keys(d->env.keys, "tgs.keytab", force);
    master_watch_look(&d->master);
    ops_second(d->host.ops);
    measure(d);
}

static int serve(struct daemon *d)
{
    int status;

    if (!host_unseal(&d->host, &status))
        return status;
    const int64_t start_s = clock_s();
    if (prepare(d, start_s) != 0)
        return 1;
    if (start_feeds(d) != 0)
        return 1;
    lifecycle_wait_second(start_s);
    if (listen_on_port(d) != 0)
        return 1;
    lifecycle_serves(d->host.listen, http_port(d->http), d->inner ? inner_port(d->inner) : 0);
    log_start();
    for (enum lifecycle_wake wake; (wake = lifecycle_wait(1000)) != WAKE_STOP;)
        each_second(d, wake == WAKE_RELOAD);
    lifecycle_notify("STOPPING=1");
    http_stop(d->http, atomic_load(&d->hurry) ? 0 : DRAIN_MS);
    stop_feeds(d);
    log_note(LOG_INFO, "stopped", "asked to");
    log_stop();
    return 0;
}

static int finish(struct daemon *d, int status)
{
    stop_feeds(d); /* after a start that failed */
    host_close_ops(&d->host);
    enum rc rc = replay_close(d->env.replay);
    tgs_epochs_free(d->env.epochs);
    tgs_store_close(d->feed.writer);
    tgs_store_close(d->feed.teller);
    for (void *s; (s = pool_drain(&d->stores)) != NULL;)
        tgs_store_close(s);
    pool_done(&d->stores);
    master_watch_done(&d->master);
    keytab_file_close(d->env.keys);
    return rc == RC_OK ? status : host_fail(&d->host, "tgs/replay", NULL, rc);
}

int main(int argc, char **argv)
{
    static struct daemon d = {
        .host = {.name = daemon_name,
                 .folder = "tgs",
                 .summary = "kerb-tgs: the Ticket Granting Server",
                 .listen = d.host.conf.tgs_listen,
                 .master = d.host.conf.tgs_master}
    };
    int status;

    if (!host_begin(&d.host, argc, argv, &status))
        return status;
    d.env.conf = &d.host.conf;
    d.env.stores = &d.stores;
    d.env.clock = clock_s;
    d.env.audit = tgs_audit_ops;
    pool_init(&d.stores);
    return finish(&d, serve(&d));
}
