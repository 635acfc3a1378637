/*
 * kerb-chat: rooms over websockets, for who brings a ticket.
 *
 * Threads: main runs the loop (edge), with all connections, the core and the wire in it; the store's thread commits.
 * Between them go jobs, and uv_async_send() as the only call across. This is the only file that names an engine.
 */
#include <stdio.h>
#include <string.h>

#include "chat/edge/edge.h"
#include "shared/daemon/host.h"
#include "shared/service/lifecycle.h"

struct daemon {
    struct host host;
    struct name service;
    char *dir, *keytab_path;
    struct master_watch master; /* of the loop: seals and opens the texts of open rooms */
    struct keytab_file *keytab;
    struct chat_store *store;
    struct chat *chat;
    struct wire *wire;
    struct edge *edge;
};

static enum rc chat_random(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return random_bytes(p, n);
}

/*
 * To seal, the version that the look of this second has found will do: master_key() would look at the files for each
 * message. The store looks once a transaction, and refuses what lies under a version that is gone.
 */
static const struct envelope_key *open_key(void *ctx, uint32_t kvno)
{
    struct master *m = ((const struct daemon *)ctx)->master.master;
    return master_key(m, LABEL_MESSAGE, kvno ? kvno : master_kvno(m));
}

/* What lies in STATE/chat: the keytab, the master key and the database. */
static int open_state(struct daemon *d)
{
    AUTO(buf_done) struct buf error = {0};

    if (conf_path(&d->host.conf, "chat", &d->dir) != RC_OK ||
        conf_path(&d->host.conf, "chat/chat.keytab", &d->keytab_path) != RC_OK)
        return host_fail(&d->host, "start", NULL, RC_NO_MEMORY);
    enum rc rc = chat_store_sqlite_open(&d->host.conf, &d->master, &d->store, &error);
    if (rc != RC_OK)
        return host_fail(&d->host, "store", buf_cstr(&error), rc);
    rc = keytab_file_open(d->keytab_path, &d->keytab);
    return rc == RC_OK ? 0 : host_fail(&d->host, d->keytab_path, NULL, rc);
}

static int make_chat(struct daemon *d)
{
    const struct conf *c = &d->host.conf;
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
                     .search_room_bytes = CHAT_SEARCH_ROOM_BYTES,
                     .search_bytes = CHAT_SEARCH_BYTES,
                     .keep_days = (uint32_t)c->chat_keep_days_max,
                     .request_rate = (uint32_t)c->chat_request_rate,
                     .request_burst = (uint32_t)c->chat_request_burst,
                     },
    };

    enum rc rc = chat_new(&env, &d->chat);
    if (rc == RC_OK)
        rc = d->store->ops->restore(d->store, d->chat);
    return rc == RC_OK ? 0 : host_fail(&d->host, "rooms cannot be restored", NULL, rc);
}

static int open_wire(struct daemon *d, int64_t start_s)
{
    const struct wire_options options = {
        .conf = &d->host.conf,
        .service = d->service,
        .keytab = d->keytab,
        .state_dir = d->dir,
        .started_s = start_s,
        .gate = ops_gate(d->host.ops),
    };

    enum rc rc = wire_open(&options, &d->wire);
    return rc == RC_OK ? 0 : host_fail(&d->host, "replay state", NULL, rc);
}

/* The port is opened when the second of the start is over: PROTOCOL.md section 1, Restart. */
static int open_edge(struct daemon *d, int64_t start_s)
{
    AUTO(buf_done) struct buf error = {0};
    const struct edge_options options = {
        .conf = &d->host.conf,
        .chat = d->chat,
        .wire = d->wire,
        .store = d->store,
        .ops = d->host.ops,
        .master = &d->master,
        .keytab_path = d->keytab_path,
        .keytab = d->keytab,
    };

    lifecycle_wait_second(start_s);
    enum rc rc = edge_open(&options, &d->edge, &error);
    return rc == RC_OK ? 0 : host_fail(&d->host, d->host.conf.chat_listen, buf_cstr(&error), rc);
}

static int serve(struct daemon *d)
{
    int status;

    if (!host_unseal(&d->host, &status))
        return status;
    const int64_t start_s = clock_s();
    if (open_state(d) != 0 || host_open_ops(&d->host, start_s) != 0 || make_chat(d) != 0 ||
        open_wire(d, start_s) != 0 || open_edge(d, start_s) != 0)
        return 1;
    enum rc rc = edge_run(d->edge);
    return rc == RC_OK ? 0 : host_fail(&d->host, "loop", NULL, rc);
}

/* The store goes before the loop: its thread must not wake one that is gone */
static int finish(struct daemon *d, int status)
{
    host_close_ops(&d->host);
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

static enum rc check(void *ctx, struct buf *error)
{
    struct daemon *d = ctx;

    TRY(name_parse(slice_text(d->host.conf.chat_service), &d->service));
    return edge_check_config(&d->host.conf, error);
}

int main(int argc, char **argv)
{
    static struct daemon d = {
        .host = {.name = "kerb-chat",
                 .folder = "chat",
                 .summary = "kerb-chat: rooms over websockets",
                 .listen = d.host.conf.chat_listen,
                 .master = d.host.conf.chat_master,
                 .check = check,
                 .check_ctx = &d}
    };
    int status;

    return host_begin(&d.host, argc, argv, &status) ? finish(&d, serve(&d)) : status;
}
