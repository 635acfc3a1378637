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

#include "shared/service/inner.h"
#include "shared/service/lifecycle.h"
#include "shared/service/metrics_get.h"
#include "shared/service/ops.h"
#include "shared/unseal/audit_key.h"
#include "shared/unseal/unseal.h"
#include "shared/unseal/watch.h"
#include "tgs/feed.h"
#include "tgs/grant.h"

#define DAEMON   "kerb-tgs"
#define DRAIN_MS 5000 /* what an open request may take after a stop was asked for */

struct daemon {
    struct conf conf;
    struct pool stores;
    struct master_watch master;
    struct proxy_list proxies;
    struct tgs_env env;
    struct tgs_feed feed;
    struct feed_server *teller;
    struct inner *inner;
    struct inner_route inner_routes[2];
    struct ops *ops;
    struct master *audit_master; /* of the thread that writes the audit log */
    struct http_route routes[1];
    struct http *http;
    atomic_bool hurry; /* end without grace */
};

static char daemon_name[] = DAEMON;

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "kerb-tgs: %s: %s\n", what, why);
    return 1;
}

static int no_store(const struct daemon *d, enum rc rc)
{
    fprintf(stderr, "kerb-tgs: the store in %s/tgs does not open (its directory, master.key or tgs.db): %s\n",
            d->conf.realm_state, rc_text(rc));
    return 1;
}

/* The one that writes goes first: it brings an older file up to date. Then one to tell with, and one a worker. */
static int open_stores(struct daemon *d)
{
    enum rc rc = tgs_store_open(&d->conf, DB_WRITE, &d->feed.writer);
    if (rc == RC_OK)
        rc = tgs_store_open(&d->conf, DB_READ, &d->feed.teller);
    if (rc != RC_OK)
        return no_store(d, rc);
    for (int64_t i = 0; i < d->conf.tgs_threads; i++) {
        struct tgs_store *s;
        rc = tgs_store_open(&d->conf, DB_READ, &s);
        if (rc != RC_OK)
            return no_store(d, rc);
        pool_put(&d->stores, s);
    }
    return 0;
}

static int open_keys(struct daemon *d)
{
    AUTO(str_done) char *path = NULL;

    enum rc rc = conf_path(&d->conf, "tgs/tgs.keytab", &path);
    if (rc == RC_OK)
        rc = keytab_file_open(path, &d->env.keys);
    return rc == RC_OK ? 0 : fail(path ? path : "tgs/tgs.keytab", rc_text(rc));
}

static int open_ops(struct daemon *d, int64_t start_s)
{
    AUTO(buf_done) struct buf error = {0};
    enum rc rc = master_of(&d->conf, "tgs", &d->audit_master);
    if (rc != RC_OK)
        return fail("master key", rc_text(rc));
    const struct ops_options options = {
        .conf = &d->conf,
        .daemon = DAEMON,
        .folder = "tgs",
        .audit_key = master_audit_key,
        .audit_key_ctx = d->audit_master,
        .now_s = start_s,
    };

    rc = ops_open(&options, &d->ops, &error);
    if (rc != RC_OK)
        return fail("start", error.n ? buf_cstr(&error) : rc_text(rc));
    d->env.gate = ops_gate(d->ops);
    d->env.audit_ctx = d->ops;
    return 0;
}

/* Without an orderly stop nobody knows what was accepted before this second. */
static int open_replay(struct daemon *d, int64_t start_s)
{
    AUTO(str_done) char *path = NULL;
    bool clean;

    enum rc rc = conf_path(&d->conf, "tgs/replay", &path);
    if (rc == RC_OK)
        rc = replay_open(path, REPLAY_AT_STOP, start_s, &d->env.replay, &clean);
    if (rc != RC_OK)
        return fail(path ? path : "tgs/replay", rc_text(rc));
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
        .realm = d->conf.realm,
        .reader = d->env.name,
        .address = d->conf.tgs_feed,
        .keys = d->env.keys,
        .apply = tgs_feed_apply,
        .ctx = &d->feed,
    };

    TRY(tgs_epochs_new(&d->env.epochs));
    d->feed.conf = &d->conf;
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
    struct log_line line;

    enum rc rc = start_reader(d);
    if (rc == RC_OK)
        rc = feed_server_open(&d->conf.realm, &source, &d->teller);
    if (rc != RC_OK)
        return fail("feed", rc_text(rc));
    if (!d->conf.tgs_inner[0])
        return 0;
    d->inner_routes[0] = (struct inner_route){"POST", FEED_PATH, feed_server_post, d->teller};
    d->inner_routes[1] = (struct inner_route){"GET", METRICS_PATH, metrics_get, daemon_name};
    rc = inner_start(d->conf.tgs_inner, d->inner_routes, ARRAY_LEN(d->inner_routes), &d->inner, &error);
    if (rc != RC_OK)
        return fail("[tgs] inner", error.n ? buf_cstr(&error) : rc_text(rc));
    log_begin(&line, LOG_INFO, "listening_inner");
    log_num(&line, "port", inner_port(d->inner));
    log_end(&line);
    return 0;
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
        rc = proxy_list_parse(d->conf.proxy_trusted, &d->proxies);
    if (rc != RC_OK)
        return fail("[proxy] trusted", rc_text(rc));
    if (open_stores(d) != 0 || open_keys(d) != 0 || open_ops(d, start_s) != 0)
        return 1;
    rc = master_watch_open(&d->conf, "tgs", &d->master);
    return rc == RC_OK ? open_replay(d, start_s) : fail("master key", rc_text(rc));
}

static enum rc ready(void *ctx)
{
    struct daemon *d = ctx;

    TRY(ops_ready(d->ops));
    return tgs_ready(&d->env);
}

static int listen_on_port(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};
    d->routes[0] = (struct http_route){"/tgs", tgs_grant_post, &d->env};
    const struct http_options options = {
        .listen = d->conf.tgs_listen,
        .threads = (unsigned)d->conf.tgs_threads,
        .connections_max = (unsigned)d->conf.tgs_connections_max,
        .request_timeout_s = (unsigned)d->conf.tgs_request_timeout,
        .proxies = &d->proxies,
        .routes = d->routes,
        .routes_n = ARRAY_LEN(d->routes),
        .ready = ready,
        .ready_ctx = d,
    };

    enum rc rc = http_start(&options, &d->http, &error);
    if (rc != RC_OK)
        return fail(d->conf.tgs_listen, error.n ? buf_cstr(&error) : rc_text(rc));
    return 0;
}

static void tell_listening(const struct daemon *d)
{
    const char *colon = strrchr(d->conf.tgs_listen, ':');
    size_t address_n = colon ? (size_t)(colon - d->conf.tgs_listen) : strlen(d->conf.tgs_listen);
    struct log_line line;

    log_begin(&line, LOG_INFO, "listening");
    log_slice(&line, "address", slice_of(d->conf.tgs_listen, address_n));
    log_num(&line, "port", http_port(d->http));
    log_end(&line);
    lifecycle_notify("READY=1");
}

/* Reads the keytab again when it has changed, or when told to. */
static void refresh_keys(struct daemon *d, bool force)
{
    bool changed;
    enum rc rc = keytab_file_refresh(d->env.keys, force, &changed);
    if (rc != RC_OK)
        log_note(LOG_ERROR, "keytab", "tgs.keytab cannot be read, the old keys stay in use: %s", rc_text(rc));
    else if (changed)
        log_note(LOG_INFO, "keytab", "tgs.keytab was read again");
}

static void measure(struct daemon *d)
{
    int64_t now_s = d->env.clock();

    const struct keytab *keys = keytab_hold(d->env.keys);
    const struct key *key = keytab_current(keys, &d->env.name, ETYPE_AES128_CBC_HS256, now_s);
    metric_set(GAUGE_key_age_seconds, key ? now_s - key->valid_from : 0);
    keytab_release(d->env.keys, keys);
    metric_set(GAUGE_replay_entries, (int64_t)replay_count(d->env.replay));
    metric_set(GAUGE_feed_lag_seconds, d->env.feed ? feed_down_ms(d->env.feed) / 1000 : 0);
}

static void each_second(struct daemon *d, bool force)
{
    refresh_keys(d, force);
    master_watch_look(&d->master);
    ops_second(d->ops);
    measure(d);
}

/* Waits for the shares of the master key, where it comes from shares. Returns false when that is the end. */
static bool unseal(struct daemon *d, int *ret_status)
{
    AUTO(buf_done) struct buf error = {0};

    enum rc rc = unseal_wait(&d->conf, "tgs", d->conf.tgs_listen, &error);
    if (rc == RC_OK)
        return true;
    *ret_status = rc == RC_STOPPED ? 0 : fail("unseal", error.n ? buf_cstr(&error) : rc_text(rc));
    return false;
}

static int serve(struct daemon *d)
{
    int status;

    if (!unseal(d, &status))
        return status;
    const int64_t start_s = clock_s();
    if (prepare(d, start_s) != 0)
        return 1;
    if (start_feeds(d) != 0)
        return 1;
    lifecycle_wait_second(start_s);
    if (listen_on_port(d) != 0)
        return 1;
    tell_listening(d);
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
    ops_close(d->ops);
    master_free(d->audit_master);
    enum rc rc = replay_close(d->env.replay);
    tgs_epochs_free(d->env.epochs);
    tgs_store_close(d->feed.writer);
    tgs_store_close(d->feed.teller);
    for (void *s; (s = pool_drain(&d->stores)) != NULL;)
        tgs_store_close(s);
    pool_done(&d->stores);
    master_watch_done(&d->master);
    keytab_file_close(d->env.keys);
    return rc == RC_OK ? status : fail("tgs/replay", rc_text(rc));
}

int main(int argc, char **argv)
{
    static struct daemon d;
    struct daemon_args args;
    AUTO(buf_done) struct buf error = {0};
    enum log_level level;
    int status;

    enum rc rc = lifecycle_setup();
    if (rc != RC_OK)
        return fail("start", rc_text(rc));
    if (!daemon_args_parse(argc, argv, "kerb-tgs: the Ticket Granting Server", &args, &status))
        return status;
    rc = conf_load(args.config, &d.conf, &error);
    if (rc == RC_OK)
        rc = log_level_parse(d.conf.log_level, &level);
    if (rc != RC_OK)
        return fail("configuration", error.n ? buf_cstr(&error) : rc_text(rc));
    if (args.check_only)
        return 0;
    if (args.unseal)
        (void)snprintf(d.conf.tgs_master, sizeof d.conf.tgs_master, "shares");
    rc = lifecycle_begin("kerb-tgs", level);
    if (rc != RC_OK)
        return fail("signals", rc_text(rc));
    d.env.conf = &d.conf;
    d.env.stores = &d.stores;
    d.env.clock = clock_s;
    d.env.audit = tgs_audit_ops;
    pool_init(&d.stores);
    return finish(&d, serve(&d));
}
