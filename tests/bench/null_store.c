/*
 * An engine that keeps nothing: every job comes back at once, as done. Linked with the chat's own main in the place of
 * SQLite (ref_nostore), it is the same loop without a store. It has no thread.
 */
#include <stdlib.h>

#include "chat/store/store.h"
#include "shared/service/conf.h"

struct null_store {
    struct chat_store base; /* first */
    struct chat_job_list done;
    void (*wake)(void *ctx);
    void *wake_ctx;
};

static enum rc null_restore(struct chat_store *base, struct chat *into)
{
    uint8_t id[ID_LEN];

    (void)base;
    TRY(random_bytes(id, sizeof(id)));
    chat_restore_history(into, id);
    return RC_OK;
}

static enum rc null_start(struct chat_store *base, void (*wake)(void *ctx), void *ctx)
{
    struct null_store *s = (struct null_store *)base;

    s->wake = wake;
    s->wake_ctx = ctx;
    return RC_OK;
}

static void null_put(struct chat_store *base, struct chat_job *job)
{
    struct null_store *s = (struct null_store *)base;
    bool was_empty = STAILQ_EMPTY(&s->done);

    job->rc = job->kind == JOB_FIND_MESSAGE ? RC_NOT_FOUND : RC_OK;
    STAILQ_INSERT_TAIL(&s->done, job, link);
    if (was_empty)
        s->wake(s->wake_ctx);
}

static void null_take(struct chat_store *base, struct chat_job_list *ret)
{
    struct null_store *s = (struct null_store *)base;

    STAILQ_INIT(ret);
    STAILQ_CONCAT(ret, &s->done);
}

static enum rc null_health(struct chat_store *base)
{
    (void)base;
    return RC_OK;
}

static uint64_t null_log_bytes(struct chat_store *base)
{
    (void)base;
    return 0;
}

static void null_give_up(struct chat_store *base)
{
    (void)base;
}

static void null_stop(struct chat_store *base)
{
    struct chat_job_list left;
    struct chat_job *job;

    if (!base)
        return;
    null_take(base, &left);
    while ((job = STAILQ_FIRST(&left))) {
        STAILQ_REMOVE_HEAD(&left, link);
        chat_job_free(job);
    }
    free(base);
}

enum rc chat_store_sqlite_open(const struct conf *conf, struct master_watch *ret_master, struct chat_store **ret,
                               struct buf *error)
{
    static const struct chat_store_ops ops = {
        .restore = null_restore,
        .start = null_start,
        .put = null_put,
        .take = null_take,
        .health = null_health,
        .log_bytes = null_log_bytes,
        .give_up = null_give_up,
        .stop = null_stop,
    };
    struct null_store *s = calloc(1, sizeof(*s));

    (void)error;
    if (!s)
        return RC_NO_MEMORY;
    enum rc rc = master_watch_open(conf, "chat", ret_master);
    if (rc != RC_OK) {
        free(s);
        return rc;
    }
    s->base.ops = &ops;
    STAILQ_INIT(&s->done);
    *ret = &s->base;
    return RC_OK;
}
