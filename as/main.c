/*
 * kerb-as: the Authentication Server.
 *
 * Threads: main waits for signals; the HTTP server's workers (as.threads) run as_login_post, each with a store handle
 * borrowed from the pool; the log has a thread that writes. The replay cache locks itself; all else in the environment
 * is read only while they run. The inner listener has a thread for each of its connections; the feed has a store handle
 * of its own.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "as/admin.h"
#include "as/changepw.h"
#include "as/feed.h"
#include "as/login.h"
#include "as/register.h"
#include "as/unlock.h"
#include "shared/daemon/host.h"
#include "shared/service/lifecycle.h"
#include "shared/service/metrics_get.h"
#include "shared/unseal/watch.h"

#define DRAIN_MS 5000 /* what an open request may take after a stop was asked for */

struct daemon {
    struct host host;
    struct pool stores, writers;
    struct keytab_file *keys; /* of our own services; NULL: none */
    struct master_watch master;
    struct proxy_list proxies;
    struct as_env env;
    struct http_route routes[4];
    struct http *http;
    struct as_feed feed;
    struct inner_route inner_routes[2];
    struct as_unlocks unlocks;
    struct inner *inner;
};

static char daemon_name[] = "kerb-as";

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

static atomic_bool hurry; /* end without grace */

static void stop_us(bool at_once)
{
    atomic_store(&hurry, at_once);
    (void)kill(getpid(), SIGTERM);
}

/* One store handle that writes, and one a worker. */
static int open_stores(struct daemon *d)
{
    for (int64_t i = 0; i <= d->host.conf.as_threads; i++) {
        struct as_store *s;
        enum rc rc = as_store_open(&d->host.conf, i == 0 ? DB_WRITE : DB_READ, &s); /* the first brings it up to date */
        if (rc != RC_OK) {
            fprintf(stderr, "kerb-as: the store in %s/as does not open (its directory, master.key or as.db): %s\n",
                    d->host.conf.realm_state, rc_text(rc));
            return 1;
        }
        pool_put(i == 0 ? &d->writers : &d->stores, s);
    }
    return 0;
}

static int open_replay(struct daemon *d, int64_t start_s)
{
    AUTO(str_done) char *path = NULL;
    bool clean;

    enum rc rc = conf_path(&d->host.conf, "as/replay", &path);
    if (rc == RC_OK)
        rc = replay_open(path, REPLAY_JOURNAL, start_s, &d->env.replay, &clean);
    return rc == RC_OK ? 0 : host_fail(&d->host, path ? path : "as/replay", NULL, rc);
}

static enum rc open_service(struct daemon *d, const char *name, int64_t start_s, struct ap **ret)
{
    struct ap_options options = {
        .realm = d->host.conf.realm, .keys = d->keys, .check_address = d->host.conf.realm_check_address};

    TRY(name_parse(slice_text(name), &options.service));
    return ap_open(&options, start_s, ret);
}

/* kerb/changepw and kerb/admin. A realm that was made before there were any still has logins. */
static int open_services(struct daemon *d, int64_t start_s)
{
    AUTO(str_done) char *path = NULL;

    enum rc rc = conf_path(&d->host.conf, "as/as.keytab", &path);
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
    return rc == RC_OK ? 0 : host_fail(&d->host, path ? path : "as/as.keytab", NULL, rc);
}

static int prepare(struct daemon *d, int64_t start_s)
{
    enum rc rc = proxy_list_parse(d->host.conf.proxy_trusted, &d->proxies);
    if (rc != RC_OK)
        return host_fail(&d->host, "[proxy] trusted", NULL, rc);
    rc = as_env_open(&d->env);
    if (rc != RC_OK)
        return host_fail(&d->host, "start", NULL, rc);
    if (open_stores(d) != 0 || host_open_ops(&d->host, start_s) != 0)
        return 1;
    d->env.gate = ops_gate(d->host.ops);
    d->env.audit_ctx = d->host.ops;
    rc = master_watch_open(&d->host.conf, "as", &d->master);
    if (rc != RC_OK)
        return host_fail(&d->host, "master key", NULL, rc);
    return open_services(d, start_s) != 0 ? 1 : open_replay(d, start_s);
}

static enum rc ready(void *ctx)
{
    struct daemon *d = ctx;

    TRY(ops_ready(d->host.ops));
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
        .listen = d->host.conf.as_listen,
        .threads = (unsigned)d->host.conf.as_threads,
        .connections_max = (unsigned)d->host.conf.as_connections_max,
        .request_timeout_s = (unsigned)d->host.conf.as_request_timeout,
        .proxies = &d->proxies,
        .routes = d->routes,
        .routes_n = ARRAY_LEN(d->routes),
        .ready = ready,
        .ready_ctx = d,
    };

    enum rc rc = http_start(&options, &d->http, &error);
    if (rc != RC_OK)
        return host_fail(&d->host, d->host.conf.as_listen, buf_cstr(&error), rc);
    return 0;
}

/* The feed of changes, for the TGS. */
static int open_inner(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};
    struct as_store *store;

    if (!d->host.conf.as_inner[0])
        return 0;
    enum rc rc = as_store_open(&d->host.conf, DB_READ, &store);
    if (rc == RC_OK)
        rc = as_feed_open(&d->host.conf, store, clock_s, &d->feed);
    if (rc != RC_OK)
        return host_fail(&d->host, "feed", NULL, rc);
    d->inner_routes[0] = (struct inner_route){"POST", FEED_PATH, feed_server_post, d->feed.server};
    d->inner_routes[1] = (struct inner_route){"GET", METRICS_PATH, metrics_get, daemon_name};
    rc = inner_start(d->host.conf.as_inner, d->inner_routes, ARRAY_LEN(d->inner_routes), &d->inner, &error);
    if (rc != RC_OK)
        return host_fail(&d->host, d->host.conf.as_inner, buf_cstr(&error), rc);
    return 0;
}

static void close_inner(struct daemon *d)
{
    as_feed_stop(&d->feed);
    inner_stop(d->inner);
    d->inner = NULL;
    as_feed_close(&d->feed);
}

/* Of the key that is in use the longest. */
static int64_t own_key_age_s(const struct daemon *d, int64_t now_s)
{
    static const char *const names[] = {AS_ADMIN_NAME, AS_CHANGEPW_NAME};
    const struct keytab *keys = keytab_hold(d->keys);
    int64_t age = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct name name;
        const struct key *key = name_parse(slice_text(names[i]), &name) == RC_OK
                                    ? keytab_current(keys, &name, ETYPE_AES128_CBC_HS256, now_s)
                                    : NULL;
        if (key && now_s - key->valid_from > age)
            age = now_s - key->valid_from;
    }
    keytab_release(d->keys, keys);
    return age;
}

static void measure(struct daemon *d, struct as_store *s)
{
    AUTO(key_done) struct key key = {0};
    int64_t now_s = d->env.clock();

    if (as_store_tgs_key(s, now_s, &key) == RC_OK)
        metric_set(GAUGE_key_age_seconds, now_s - key.valid_from);
    metric_set(GAUGE_replay_entries, (int64_t)replay_count(d->env.replay));
    metric_set(GAUGE_connections, (int64_t)http_connections(d->http));
    if (d->keys)
        metric_set(GAUGE_own_key_age_seconds, own_key_age_s(d, now_s));
}

static void each_second(struct daemon *d, bool force)
{
    struct as_store *s = pool_take(&d->stores);

    as_unlocks_look(&d->unlocks, s, d->env.gate, d->env.clock());
    measure(d, s);
    pool_put(&d->stores, s);
    ops_second(d->host.ops);
    if (d->keys)
        lifecycle_keys(d->keys, "as.keytab", force);
    master_watch_look(&d->master);
}

static int serve(struct daemon *d)
{
    int status;

    if (!host_unseal(&d->host, &status))
        return status;
    const int64_t start_s = clock_s();
    if (prepare(d, start_s) != 0)
        return 1;
    lifecycle_wait_second(start_s);
    if (open_inner(d) != 0 || listen_on_port(d) != 0)
        return 1;
    lifecycle_serves(d->host.listen, http_port(d->http), d->inner ? inner_port(d->inner) : 0);
    log_start();
    /* users and TGS keys are read from the database: only the keytab and the master key are looked at */
    for (enum lifecycle_wake wake; (wake = lifecycle_wait(1000)) != WAKE_STOP;)
        each_second(d, wake == WAKE_RELOAD);
    lifecycle_notify("STOPPING=1");
    http_stop(d->http, atomic_load(&hurry) ? 0 : DRAIN_MS);
    close_inner(d);
    log_note(LOG_INFO, "stopped", "asked to");
    log_stop();
    return 0;
}

static int finish(struct daemon *d, int status)
{
    close_inner(d); /* once more, where the start failed */
    host_close_ops(&d->host);
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
    return rc == RC_OK ? status : host_fail(&d->host, "as/replay", NULL, rc);
}

int main(int argc, char **argv)
{
    static struct daemon d = {
        .host = {.name = daemon_name,
                 .folder = "as",
                 .summary = "kerb-as: the Authentication Server",
                 .listen = d.host.conf.as_listen,
                 .master = d.host.conf.as_master}
    };
    int status;

    if (!host_begin(&d.host, argc, argv, &status))
        return status;
    d.env.conf = &d.host.conf;
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
