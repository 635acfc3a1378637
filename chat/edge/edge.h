/*
 * The edge: sockets. The daemon's own libuv loop, libwebsockets as its guest, accepted sockets adopted.
 *
 * It owns connections, their outgoing queues, pings and time-outs, the timer of the core, and the way between core and
 * store; it is the only place that includes libwebsockets.h. One thread.
 */
#ifndef KERB_CHAT_EDGE_EDGE_H
#define KERB_CHAT_EDGE_EDGE_H

#include "chat/core/chat.h"
#include "chat/store/store.h"
#include "chat/wire/wire.h"
#include "shared/service/conf.h"
#include "shared/service/ops.h"

struct edge_options {
    const struct conf *conf;
    struct chat *chat;
    struct wire *wire;
    struct chat_store *store;
    struct ops *ops;
    const char *keytab_path;     /* where a next key that the feed brings is put */
    struct master_watch *master; /* looked at once a second */
    struct keytab_file *keytab;  /* looked at once a second, and on SIGHUP */
};

/* What the loader of the configuration cannot know to be wrong. Errors: BAD_CONFIG (told in error). */
MUST enum rc edge_check_config(const struct conf *conf, struct buf *error);

/* Binds the port and makes the loop; nothing is accepted yet. Errors: IO, BAD_CONFIG (told in error). */
struct edge;
MUST enum rc edge_open(const struct edge_options *options, struct edge **ret, struct buf *error);

/* Runs until SIGTERM or SIGINT and the drain after it: stops accepting, has the store do what is queued, closes 4000.
 */
MUST enum rc edge_run(struct edge *e);
void edge_close(struct edge *e);

#endif
