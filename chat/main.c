/*
 * kerb-chat: rooms over websockets, for who brings a ticket.
 *
 * Threads: main runs the loop (edge), with all connections, the core and the wire in it; the store's thread commits.
 * Between them go jobs, and uv_async_send() as the only call across. This is the only file that names an engine.
 */
#include <stdio.h>
#include <string.h>

#include "chat/edge/edge.h"
#include "shared/service/lifecycle.h"
#include "shared/service/log.h"
#include "shared/service/ops.h"
#include "shared/unseal/audit_key.h"
#include "shared/unseal/unseal.h"

struct daemon {
    struct conf conf;
    struct name service;
    char *dir, *keytab_path;
    struct master_watch master; /* of the loop: seals and opens the texts of open rooms */
    struct keytab_file *keytab;
    struct chat_store *store;
    struct ops *ops;
    struct master *audit_master; /* of the thread that writes the audit log */
    struct chat *chat;
    struct wire *wire;
    struct edge *edge;
};

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "kerb-chat: %s: %s\n", what, why);
    return 1;
}

static int fail_with(const char *what, const char *why, enum rc rc)
{
    return why && *why ? fail(what, why) : fail(what, rc_text(rc));
}

static enum rc chat_random(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return random_bytes(p, n);
}

static const struct envelope_key *open_key(void *ctx, uint32_t kvno)
{
    const struct daemon *d = ctx;
    return master_key(d->master.master, LABEL_MESSAGE, kvno);
}

/* What lies in STATE/chat: the keytab, the master key and the database. */
static int open_state(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};

    if (conf_path(&d->conf, "chat", &d->dir) != RC_OK ||
        conf_path(&d->conf, "chat/chat.keytab", &d->keytab_path) != RC_OK)
        return fail("start", rc_text(RC_NO_MEMORY));
    enum rc rc = chat_store_sqlite_open(&d->conf, &d->master, &d->store, &error);
    if (rc != RC_OK)
        return fail_with("store", buf_cstr(&error), rc);
    rc = keytab_file_open(d->keytab_path, &d->keytab);
    return rc == RC_OK ? 0 : fail(d->keytab_path, rc_text(rc));
}

static int open_ops(struct daemon *d, int64_t start_s)
{
    AUTO(buf_done) struct buf error = {0};
    enum rc rc = master_of(&d->conf, "chat", &d->audit_master);
    if (rc != RC_OK)
        return fail_with("master key", NULL, rc);
    const struct ops_options options = {
        .conf = &d->conf,
        .daemon = "kerb-chat",
        .folder = "chat",
        .audit_key = master_audit_key,
        .audit_key_ctx = d->audit_master,
        .now_s = start_s,
    };

    rc = ops_open(&options, &d->ops, &error);
    return rc == RC_OK ? 0 : fail_with("start", buf_cstr(&error), rc);
}

static int make_chat(struct daemon *d)
{
    const struct conf *c = &d->conf;
    const struct chat_env env = {
        .random = chat_random,
        .realm = c->realm,
        .open_key = open_key,
        .ctx = d,
        .limits =
            {
                     .login_timeout_ms = c->chat_login_timeout * 1000,
                     .connections_per_user = (uint32_t)c->chat_connections_per_user_max,
                     .rooms = (uint32_t)c->chat_rooms_max,
                     .rooms_per_user = (uint32_t)c->chat_rooms_per_user_max,
                     .room_members = (uint32_t)c->chat_room_members_max,
                     .text_bytes = (uint32_t)c->chat_text_max,
                     .user_data_bytes = (uint64_t)c->chat_user_data_max,
                     },
    };

    enum rc rc = chat_new(&env, &d->chat);
    if (rc == RC_OK)
        rc = d->store->ops->restore(d->store, d->chat);
    return rc == RC_OK ? 0 : fail("rooms cannot be restored", rc_text(rc));
}

static int open_wire(struct daemon *d, int64_t start_s)
{
    const struct wire_options options = {
        .conf = &d->conf,
        .service = d->service,
        .keytab = d->keytab,
        .state_dir = d->dir,
        .started_s = start_s,
        .gate = ops_gate(d->ops),
    };

    enum rc rc = wire_open(&options, &d->wire);
    return rc == RC_OK ? 0 : fail("replay state", rc_text(rc));
}

/* The port is opened when the second of the start is over: PROTOCOL.md section 1, Restart. */
static int open_edge(struct daemon *d, int64_t start_s)
{
    AUTO(buf_done) struct buf error = {0};
    const struct edge_options options = {
        .conf = &d->conf,
        .chat = d->chat,
        .wire = d->wire,
        .store = d->store,
        .ops = d->ops,
        .master = &d->master,
        .keytab_path = d->keytab_path,
        .keytab = d->keytab,
    };

    lifecycle_wait_second(start_s);
    enum rc rc = edge_open(&options, &d->edge, &error);
    return rc == RC_OK ? 0 : fail_with(d->conf.chat_listen, buf_cstr(&error), rc);
}

/* Waits for the shares of the master key, where it comes from shares. Returns false when that is the end. */
static bool unseal(struct daemon *d, int *ret_status)
{
    AUTO(buf_done) struct buf error = {0};

    enum rc rc = unseal_wait(&d->conf, "chat", d->conf.chat_listen, &error);
    if (rc == RC_OK)
        return true;
    *ret_status = rc == RC_STOPPED ? 0 : fail_with("unseal", buf_cstr(&error), rc);
    return false;
}

static int serve(struct daemon *d)
{
    int status;

    if (!unseal(d, &status))
        return status;
    const int64_t start_s = clock_s();
    if (open_state(d) != 0 || open_ops(d, start_s) != 0 || make_chat(d) != 0 || open_wire(d, start_s) != 0 ||
        open_edge(d, start_s) != 0)
        return 1;
    enum rc rc = edge_run(d->edge);
    return rc == RC_OK ? 0 : fail("loop", rc_text(rc));
}

/* The store goes before the loop: its thread must not wake one that is gone. */
static int finish(struct daemon *d, int status)
{
    ops_close(d->ops);
    master_free(d->audit_master);
    if (d->store)
        d->store->ops->stop(d->store);
    edge_close(d->edge);
    wire_close(d->wire);
    chat_free(d->chat);
    keytab_file_close(d->keytab);
    master_watch_done(&d->master);
    str_done(&d->keytab_path);
    str_done(&d->dir);
    return status;
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
    if (!daemon_args_parse(argc, argv, "kerb-chat: rooms over websockets", &args, &status))
        return status;
    rc = conf_load(args.config, &d.conf, &error);
    if (rc == RC_OK)
        rc = log_level_parse(d.conf.log_level, &level);
    if (rc == RC_OK)
        rc = name_parse(slice_text(d.conf.chat_service), &d.service);
    if (rc == RC_OK)
        rc = edge_check_config(&d.conf, &error);
    if (rc != RC_OK)
        return fail_with("configuration", buf_cstr(&error), rc);
    if (args.check_only)
        return 0;
    if (args.unseal)
        (void)snprintf(d.conf.chat_master, sizeof d.conf.chat_master, "shares");
    rc = lifecycle_begin("kerb-chat", level);
    if (rc != RC_OK)
        return fail("signals", rc_text(rc));
    return finish(&d, serve(&d));
}
