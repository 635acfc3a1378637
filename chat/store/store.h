/*
 * What is durable in the chat: users, rooms, members, sealed messages, shares not yet delivered, saved values.
 *
 * The store is an interface: the daemon names an engine, the core knows jobs only. The SQLite engine keeps STATE/chat/
 * chat.db under STATE/chat/master.key and runs one thread, which takes what is queued, does it in one transaction,
 * commits (WAL, synchronous=FULL) and then gives the jobs back, in order.
 */
#ifndef KERB_CHAT_STORE_STORE_H
#define KERB_CHAT_STORE_STORE_H

#include "chat/core/chat.h"
#include "shared/unseal/watch.h"

struct chat_store;

struct chat_store_ops {
    /* Tells the core all users, then all rooms. Before start. Errors: DB, MODIFIED, NO_MEMORY. */
    enum rc (*restore)(struct chat_store *s, struct chat *into);
    /*
     * Starts the thread. wake is called by it, from its own thread, when jobs are ready to be taken; it must be cheap
     * and may come once for several jobs. Errors: IO.
     */
    enum rc (*start)(struct chat_store *s, void (*wake)(void *ctx), void *ctx);
    /* Queues a job; never blocks for I/O; takes ownership. Jobs are done in the order of this call. */
    void (*put)(struct chat_store *s, struct chat_job *job);
    /* All jobs that are done, in order; the caller's. */
    void (*take)(struct chat_store *s, struct chat_job_list *ret);
    /* RC_OK while the last transaction succeeded; it finds out by itself when they do again. Any thread. */
    enum rc (*health)(struct chat_store *s);
    /* Bytes that are committed and do not stand in the database proper yet. Any thread. */
    uint64_t (*log_bytes)(struct chat_store *s);
    /* From now on jobs that are not begun come back with DB, and no lock is waited for. Any thread. */
    void (*give_up)(struct chat_store *s);
    /* Does everything queued, ends the thread, closes. Jobs not taken are freed. Accepts NULL. */
    void (*stop)(struct chat_store *s);
};

struct chat_store {
    const struct chat_store_ops *ops;
};

#define CHAT_STORE_BATCH_MAX 1000 /* jobs in one transaction: bounds the time to the first acknowledgement */

struct conf;
/* Opens the SQLite engine. Out: ret_master - the master key once more, for the thread of the core; the caller's. */
MUST enum rc chat_store_sqlite_open(const struct conf *conf, struct master_watch *ret_master, struct chat_store **ret,
                                    struct buf *error);

#endif
