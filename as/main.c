/*
 * kerb-as: the Authentication Server.
 *
 * Threads: main waits for signals; the HTTP server's workers (as.threads) run as_login_post, each with a store handle
 * borrowed from the pool; the log has a thread that writes. The replay cache locks itself; all else in the environment
 * is read only while they run. The inner listener has a thread for each of its connections; the feed has a store handle
 * of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "as/admin.h"
#include "as/changepw.h"
#include "as/feed.h"
#include "as/login.h"
#include "as/register.h"
#include "as/unlock.h"
#include "shared/service/lifecycle.h"
#include "shared/service/metrics_get.h"
#include "shared/unseal/audit_key.h"
#include "shared/unseal/unseal.h"
#include "shared/unseal/watch.h"

#define DAEMON   "kerb-as"
#define DRAIN_MS 5000 /* what an open request may take after a stop was asked for */

struct daemon {
    struct conf conf;
    struct pool stores, writers;
    struct keytab_file *keys; /* of our own services; NULL: none */
    struct master_watch master;
    struct proxy_list proxies;
    struct as_env env;
    struct http_route routes[4];
    struct http *http;
    struct as_feed feed;
    struct inner_route inner_routes[2];
    struct ops *ops;
    struct master *audit_master; /* of the thread that writes the audit log */
    struct as_unlocks unlocks;
    struct inner *inner;
};

static char daemon_name[] = DAEMON;

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "kerb-as: %s: %s\n", what, why);
    return 1;
}

static int64_t ticks_s(void)
{
    return clock_monotonic_ms() / 1000;
}

/* An administrator's order over HTTP. */
static void unlock(void *ctx, const struct name *user)
{
    const struct daemon *d = ctx;
    as_unlock(d->env.gate, user);
}

static void stop_us(bool at_once)
{
    (void)at_once; /* what is open takes milliseconds */
    (void)kill(getpid(), SIGTERM);
}

/* One store handle that writes, and one a worker. */
static int open_stores(struct daemon *d)
{
    for (int64_t i = 0; i <= d->conf.as_threads; i++) {
        struct as_store *s;
        enum rc rc = as_store_open(&d->conf, i == 0 ? DB_WRITE : DB_READ, &s); /* the first brings it up to date */
        if (rc != RC_OK) {
            fprintf(stderr, "kerb-as: the store in %s/as does not open (its directory, master.key or as.db): %s\n",
                    d->conf.realm_state, rc_text(rc));
            return 1;
        }
        pool_put(i == 0 ? &d->writers : &d->stores, s);
    }
    return 0;
}

static int open_ops(struct daemon *d, int64_t start_s)
{
    AUTO(buf_done) struct buf error = {0};
    enum rc rc = master_of(&d->conf, "as", &d->audit_master);
    if (rc != RC_OK)
        return fail("master key", rc_text(rc));
    const struct ops_options options = {
        .conf = &d->conf,
        .daemon = DAEMON,
        .folder = "as",
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

static int open_replay(struct daemon *d, int64_t start_s)
{
    AUTO(str_done) char *path = NULL;
    bool clean;

    enum rc rc = conf_path(&d->conf, "as/replay", &path);
    if (rc == RC_OK)
        rc = replay_open(path, REPLAY_JOURNAL, start_s, &d->env.replay, &clean);
    return rc == RC_OK ? 0 : fail(path ? path : "as/replay", rc_text(rc));
}

static enum rc open_service(struct daemon *d, const char *name, int64_t start_s, struct ap **ret)
{
    struct ap_options options = {.realm = d->conf.realm, .keys = d->keys, .check_address = d->conf.realm_check_address};

    TRY(name_parse(slice_text(name), &options.service));
    return ap_open(&options, start_s, ret);
}

/* kerb/changepw and kerb/admin. A realm that was made before there were any still has logins. */
static int open_services(struct daemon *d, int64_t start_s)
{
    AUTO(str_done) char *path = NULL;

    enum rc rc = conf_path(&d->conf, "as/as.keytab", &path);
    if (rc == RC_OK)
        rc = keytab_file_open(path, &d->keys);
    if (rc == RC_NOT_FOUND) {
        log_note(LOG_WARN, "services", "no as.keytab: 'kerbadm service add kerb/admin' and kerb/changepw make it");
        return 0;
    }
    if (rc == RC_OK)
        rc = open_service(d, AS_CHANGEPW_NAME, start_s, &d->env.changepw);
    if (rc == RC_OK)
        rc = open_service(d, AS_ADMIN_NAME, start_s, &d->env.admin);
    return rc == RC_OK ? 0 : fail(path ? path : "as/as.keytab", rc_text(rc));
}

static void look_at_keytab(struct daemon *d, bool force)
{
    bool changed;

    if (!d->keys)
        return;
    enum rc rc = keytab_file_refresh(d->keys, force, &changed);
    if (rc != RC_OK)
        log_note(LOG_ERROR, "keytab", "as.keytab cannot be read, the old keys stay in use: %s", rc_text(rc));
    else if (changed)
        log_note(LOG_INFO, "keytab", "new keys are in use");
}

static int prepare(struct daemon *d, int64_t start_s)
{
    enum rc rc = proxy_list_parse(d->conf.proxy_trusted, &d->proxies);
    if (rc != RC_OK)
        return fail("[proxy] trusted", rc_text(rc));
    rc = as_env_open(&d->env);
    if (rc != RC_OK)
        return fail("start", rc_text(rc));
    if (open_stores(d) != 0 || open_ops(d, start_s) != 0)
        return 1;
    rc = master_watch_open(&d->conf, "as", &d->master);
    if (rc != RC_OK)
        return fail("master key", rc_text(rc));
    return open_services(d, start_s) != 0 ? 1 : open_replay(d, start_s);
}

static enum rc ready(void *ctx)
{
    struct daemon *d = ctx;

    TRY(ops_ready(d->ops));
    return as_ready(&d->env);
}

static int listen_on_port(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};
    d->routes[0] = (struct http_route){"/as/login", as_login_post, &d->env};
    d->routes[1] = (struct http_route){"/as/changepw", as_changepw_post, &d->env};
    d->routes[2] = (struct http_route){"/as/register", as_register_post, &d->env};
    d->routes[3] = (struct http_route){"/as/admin", as_admin_post, &d->env};
    const struct http_options options = {
        .listen = d->conf.as_listen,
        .threads = (unsigned)d->conf.as_threads,
        .connections_max = (unsigned)d->conf.as_connections_max,
        .request_timeout_s = (unsigned)d->conf.as_request_timeout,
        .proxies = &d->proxies,
        .routes = d->routes,
        .routes_n = ARRAY_LEN(d->routes),
        .ready = ready,
        .ready_ctx = d,
    };

    enum rc rc = http_start(&options, &d->http, &error);
    if (rc != RC_OK)
        return fail(d->conf.as_listen, error.n ? buf_cstr(&error) : rc_text(rc));
    return 0;
}

/* The feed of changes, for the TGS. */
static int open_inner(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};
    struct as_store *store;

    if (!d->conf.as_inner[0])
        return 0;
    enum rc rc = as_store_open(&d->conf, DB_READ, &store);
    if (rc == RC_OK)
        rc = as_feed_open(&d->conf, store, clock_s, &d->feed);
    if (rc != RC_OK)
        return fail("feed", rc_text(rc));
    d->inner_routes[0] = (struct inner_route){"POST", FEED_PATH, feed_server_post, d->feed.server};
    d->inner_routes[1] = (struct inner_route){"GET", METRICS_PATH, metrics_get, daemon_name};
    rc = inner_start(d->conf.as_inner, d->inner_routes, ARRAY_LEN(d->inner_routes), &d->inner, &error);
    if (rc != RC_OK)
        return fail(d->conf.as_inner, error.n ? buf_cstr(&error) : rc_text(rc));
    return 0;
}

static void close_inner(struct daemon *d)
{
    as_feed_stop(&d->feed);
    inner_stop(d->inner);
    d->inner = NULL;
    as_feed_close(&d->feed);
}

static void tell_listening(const struct daemon *d)
{
    const char *colon = strrchr(d->conf.as_listen, ':');
    size_t address_n = colon ? (size_t)(colon - d->conf.as_listen) : strlen(d->conf.as_listen);
    struct log_line line;

    log_begin(&line, LOG_INFO, "listening");
    log_slice(&line, "address", slice_of(d->conf.as_listen, address_n));
    log_num(&line, "port", http_port(d->http));
    if (d->inner)
        log_num(&line, "inner_port", inner_port(d->inner));
    log_end(&line);
    lifecycle_notify("READY=1");
}

static void measure(struct daemon *d, struct as_store *s)
{
    AUTO(key_done) struct key key = {0};
    int64_t now_s = d->env.clock();

    if (as_store_tgs_key(s, now_s, &key) == RC_OK)
        metric_set(GAUGE_key_age_seconds, now_s - key.valid_from);
    metric_set(GAUGE_replay_entries, (int64_t)replay_count(d->env.replay));
}

static void each_second(struct daemon *d, bool force)
{
    struct as_store *s = pool_take(&d->stores);

    as_unlocks_look(&d->unlocks, s, d->env.gate, d->env.clock());
    measure(d, s);
    pool_put(&d->stores, s);
    ops_second(d->ops);
    look_at_keytab(d, force);
    master_watch_look(&d->master);
}

/* Waits for the shares of the master key, where it comes from shares. Returns false when that is the end. */
static bool unseal(struct daemon *d, int *ret_status)
{
    AUTO(buf_done) struct buf error = {0};

    enum rc rc = unseal_wait(&d->conf, "as", d->conf.as_listen, &error);
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
    lifecycle_wait_second(start_s);
    if (open_inner(d) != 0 || listen_on_port(d) != 0)
        return 1;
    tell_listening(d);
    log_start();
    /* users and TGS keys are read from the database: only the keytab and the master key are looked at */
    for (enum lifecycle_wake wake; (wake = lifecycle_wait(1000)) != WAKE_STOP;)
        each_second(d, wake == WAKE_RELOAD);
    lifecycle_notify("STOPPING=1");
    http_stop(d->http, DRAIN_MS);
    close_inner(d);
    log_note(LOG_INFO, "stopped", "asked to");
    log_stop();
    return 0;
}

static int finish(struct daemon *d, int status)
{
    close_inner(d); /* once more, where the start failed */
    ops_close(d->ops);
    master_free(d->audit_master);
    enum rc rc = replay_close(d->env.replay);
    for (void *s; (s = pool_drain(&d->stores)) != NULL;)
        as_store_close(s);
    for (void *s; (s = pool_drain(&d->writers)) != NULL;)
        as_store_close(s);
    pool_done(&d->stores);
    master_watch_done(&d->master);
    pool_done(&d->writers);
    ap_close(d->env.changepw);
    ap_close(d->env.admin);
    keytab_file_close(d->keys);
    as_env_close(&d->env);
    return rc == RC_OK ? status : fail("as/replay", rc_text(rc));
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
    if (!daemon_args_parse(argc, argv, "kerb-as: the Authentication Server", &args, &status))
        return status;
    rc = conf_load(args.config, &d.conf, &error);
    if (rc == RC_OK)
        rc = log_level_parse(d.conf.log_level, &level);
    if (rc != RC_OK)
        return fail("configuration", error.n ? buf_cstr(&error) : rc_text(rc));
    if (args.check_only)
        return 0;
    if (args.unseal)
        (void)snprintf(d.conf.as_master, sizeof d.conf.as_master, "shares");
    rc = lifecycle_begin("kerb-as", level);
    if (rc != RC_OK)
        return fail("signals", rc_text(rc));
    d.env.conf = &d.conf;
    d.env.stores = &d.stores;
    d.env.writers = &d.writers;
    d.env.stop = stop_us;
    d.env.clock = clock_s;
    d.env.ticks = ticks_s;
    d.env.audit = as_audit_ops;
    d.env.unlock = unlock;
    d.env.unlock_ctx = &d;
    pool_init(&d.stores);
    pool_init(&d.writers);
    return finish(&d, serve(&d));
}
