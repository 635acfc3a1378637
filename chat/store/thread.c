/*
 * The store thread: takes what is queued, does it in one transaction, commits, gives it back.
 *
 * A batch of loads alone needs no transaction. When the database fails, the whole batch is rolled back; its writes come
 * back with DB, and its loads are done again without them. Between batches it erases: the WAL is truncated at most once
 * a second while it holds rows that were to be erased, and messages of deleted rooms go in small pieces.
 */
#include <errno.h>
#include <time.h>

#include "chat/store/sqlite.h"
#include "shared/service/metrics.h"

/* What a load has brought into memory. */
static size_t loaded_by(const struct chat_job *job)
{
    size_t n = 0;

    for (size_t i = 0; i < job->rows_n; i++)
        n += sizeof(job->rows[i]) + job->rows[i].box.n +
             (job->rows[i].revised ? sizeof(job->rows[i]) + job->rows[i].revised->box.n : 0);
    for (size_t i = 0; i < job->pairs_n; i++)
        n += sizeof(job->pairs[i]) + job->pairs[i].key.n + job->pairs[i].value.n;
    return n;
}

/* It may have been done before, in the transaction that failed. */
static enum rc do_without_writing(struct sqlite_store *s, struct chat_job *job)
{
    if (!store_is_load(job->kind) || atomic_load(&s->has_given_up))
        return RC_DB;
    chat_job_clear(job);
    return store_load(s, job);
}

/*
 * A batch ends early when its loads fill the memory that they may: the rest is done when those have been taken. Small
 * requests for much would else let one client fill all memory there is.
 * Errors: DB, and the transaction is lost. What is wrong with one job stands in that job.
 */
static enum rc do_jobs(struct sqlite_store *s, struct chat_job_list *batch, struct chat_job_list *rest)
{
    struct chat_job *job;
    size_t loaded = 0;

    STAILQ_CONCAT(rest, batch);
    while (loaded < STORE_LOADED_MAX && (job = STAILQ_FIRST(rest)) != NULL) {
        STAILQ_REMOVE_HEAD(rest, link);
        STAILQ_INSERT_TAIL(batch, job, link);
        job->rc = store_is_load(job->kind) ? store_load(s, job) : store_write(s, job);
        if (job->rc == RC_DB)
            return RC_DB;
        loaded += loaded_by(job);
    }
    return RC_OK;
}

/* The transaction is lost. */
static void fail_writes(struct sqlite_store *s, struct chat_job_list *batch, struct chat_job_list *rest)
{
    struct chat_job *job;
    size_t loaded = 0;

    STAILQ_CONCAT(batch, rest);
    STAILQ_CONCAT(rest, batch);
    while (loaded < STORE_LOADED_MAX && (job = STAILQ_FIRST(rest)) != NULL) {
        STAILQ_REMOVE_HEAD(rest, link);
        STAILQ_INSERT_TAIL(batch, job, link);
        job->rc = do_without_writing(s, job);
        loaded += loaded_by(job);
    }
}

static uint64_t messages_stored(const struct chat_job_list *batch)
{
    const struct chat_job *job;
    uint64_t n = 0;

    STAILQ_FOREACH (job, batch, link)
        n += job->kind == JOB_ADD_MESSAGE && job->rc == RC_OK;
    return n;
}

/*
 * Once a transaction, with the write lock: whoever purges a version of the master key holds it, too, so what this one
 * writes lies under versions that there are. One that cannot be read leaves the old keys; the loop tells of it.
 */
static void look_at_master(struct sqlite_store *s)
{
    bool changed;
    enum rc rc = master_refresh(s->master, &changed);
    (void)rc;
}

/* Errors: DB. */
static enum rc do_transaction(struct sqlite_store *s, struct chat_job_list *batch, struct chat_job_list *rest)
{
    TRY(store_check_log(s));
    TRY(db_begin(&s->db));
    look_at_master(s);
    enum rc rc = do_jobs(s, batch, rest);
    if (rc == RC_OK)
        rc = db_commit(&s->db);
    return rc;
}

static bool has_write(const struct chat_job_list *batch)
{
    const struct chat_job *job;

    STAILQ_FOREACH (job, batch, link)
        if (!store_is_load(job->kind))
            return true;
    return false;
}

static void do_batch(struct sqlite_store *s, struct chat_job_list *batch, struct chat_job_list *rest)
{
    bool is_over = atomic_load(&s->has_given_up);
    enum rc rc = RC_DB;

    if (!is_over)
        rc = has_write(batch) ? do_transaction(s, batch, rest) : do_jobs(s, batch, rest);
    uint64_t messages = rc == RC_OK ? messages_stored(batch) : 0;
    if (!is_over && (rc != RC_OK || messages > 0)) /* a write that was refused, or changed nothing, shows nothing */
        store_note_health(s, rc);
    if (rc != RC_OK)
        db_rollback(&s->db);
    store_rooms_settle(s, rc == RC_OK);
    if (rc != RC_OK)
        fail_writes(s, batch, rest);
    metric_count(COUNT_messages, messages);
}

/* With the lock held. */
static bool may_work(const struct sqlite_store *s)
{
    return !STAILQ_EMPTY(&s->queue) && (s->loaded < STORE_LOADED_MAX || s->is_stopping);
}

static bool may_sweep(const struct sqlite_store *s)
{
    return s->may_sweep && store_is_well(s);
}

/* When something is to be done though there is no job; INT64_MAX: never. */
static int64_t next_due_ms(const struct sqlite_store *s)
{
    int64_t erase = s->must_erase ? s->erased_ms + STORE_ERASE_MS : INT64_MAX;
    int64_t probe = store_is_well(s) ? INT64_MAX : s->probed_ms + STORE_PROBE_MS;

    return erase < probe ? erase : probe;
}

/* Called with the lock held. */
static void wait_for_work(struct sqlite_store *s)
{
    int64_t due = next_due_ms(s);
    struct timespec until = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};

    while (!may_work(s) && !s->is_stopping && !may_sweep(s)) {
        if (due == INT64_MAX)
            pthread_cond_wait(&s->ready, &s->lock);
        else if (pthread_cond_timedwait(&s->ready, &s->lock, &until) == ETIMEDOUT)
            return;
    }
}

static void take_batch(struct sqlite_store *s, struct chat_job_list *batch)
{
    struct chat_job *job;

    if (!may_work(s))
        return;
    for (size_t n = 0; n < CHAT_STORE_BATCH_MAX && (job = STAILQ_FIRST(&s->queue)) != NULL; n++) {
        STAILQ_REMOVE_HEAD(&s->queue, link);
        STAILQ_INSERT_TAIL(batch, job, link);
    }
}

static void give_back(struct sqlite_store *s, struct chat_job_list *batch, struct chat_job_list *rest)
{
    const struct chat_job *job;

    pthread_mutex_lock(&s->lock);
    STAILQ_FOREACH (job, batch, link)
        s->loaded += loaded_by(job);
    STAILQ_CONCAT(&s->done, batch);
    STAILQ_CONCAT(rest, &s->queue); /* it comes before what was put meanwhile */
    STAILQ_CONCAT(&s->queue, rest);
    pthread_mutex_unlock(&s->lock);
    s->wake(s->wake_ctx);
}

static void tidy(struct sqlite_store *s, bool is_idle)
{
    int64_t now_ms = clock_monotonic_ms();

    if (atomic_load(&s->has_given_up))
        return;
    if (is_idle && may_sweep(s))
        s->may_sweep = store_sweep(s) == RC_OK && s->may_sweep; /* tried again when the store is well again */
    if (!store_is_well(s) && now_ms - s->probed_ms >= STORE_PROBE_MS)
        store_probe(s);
    if (s->must_erase && now_ms - s->erased_ms >= STORE_ERASE_MS)
        store_erase(s);
}

static void *run(void *arg)
{
    struct sqlite_store *s = arg;
    struct chat_job_list batch = STAILQ_HEAD_INITIALIZER(batch), rest = STAILQ_HEAD_INITIALIZER(rest);

    for (;;) {
        pthread_mutex_lock(&s->lock);
        wait_for_work(s);
        take_batch(s, &batch);
        bool is_idle = STAILQ_EMPTY(&batch), is_stopping = s->is_stopping;
        pthread_mutex_unlock(&s->lock);
        if (is_idle && is_stopping)
            break;
        if (!is_idle) {
            do_batch(s, &batch, &rest);
            give_back(s, &batch, &rest);
        }
        tidy(s, is_idle);
    }
    if (s->must_erase)
        store_erase(s);
    return NULL;
}

enum rc store_start(struct chat_store *base, void (*wake)(void *ctx), void *ctx)
{
    struct sqlite_store *s = (struct sqlite_store *)base;

    s->wake = wake;
    s->wake_ctx = ctx;
    s->has_thread = pthread_create(&s->thread, NULL, run, s) == 0;
    if (s->has_thread)
        (void)pthread_setname_np(s->thread, "store"); /* what top shows */
    return s->has_thread ? RC_OK : RC_IO;
}

void store_put(struct chat_store *base, struct chat_job *job)
{
    struct sqlite_store *s = (struct sqlite_store *)base;

    pthread_mutex_lock(&s->lock);
    bool was_empty = STAILQ_EMPTY(&s->queue);
    STAILQ_INSERT_TAIL(&s->queue, job, link);
    pthread_mutex_unlock(&s->lock);
    if (was_empty)
        pthread_cond_signal(&s->ready);
}

void store_take(struct chat_store *base, struct chat_job_list *ret)
{
    struct sqlite_store *s = (struct sqlite_store *)base;

    STAILQ_INIT(ret);
    pthread_mutex_lock(&s->lock);
    STAILQ_CONCAT(ret, &s->done);
    bool was_full = s->loaded >= STORE_LOADED_MAX;
    s->loaded = 0;
    pthread_mutex_unlock(&s->lock);
    if (was_full)
        pthread_cond_signal(&s->ready);
}

void store_give_up(struct chat_store *base)
{
    atomic_store(&((struct sqlite_store *)base)->has_given_up, true);
}

void store_end_thread(struct sqlite_store *s)
{
    if (!s->has_thread)
        return;
    pthread_mutex_lock(&s->lock);
    s->is_stopping = true;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->ready);
    pthread_join(s->thread, NULL);
    s->has_thread = false;
}
