/*
 * The store thread: takes what is queued, does it in one transaction, commits, gives it back.
 *
 * A batch of loads alone needs no transaction. When the database fails, the whole batch is rolled back and its writes,
 * and the loads that came after one, come back with DB. Between batches it erases: the WAL is truncated at most once a
 * second while it holds rows that were to be erased, and messages of deleted rooms go in small pieces.
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
        if (job->rc == RC_DB) {
            STAILQ_CONCAT(batch, rest);
            return RC_DB;
        }
        loaded += loaded_by(job);
    }
    return RC_OK;
}

/* A load that came before any write has told the truth all the same. */
static void fail_from_first_write(struct chat_job_list *batch)
{
    struct chat_job *job;
    bool has_written = false;

    STAILQ_FOREACH (job, batch, link) {
        has_written = has_written || !store_is_load(job->kind);
        if (has_written)
            job->rc = RC_DB;
    }
}

static void count(const struct chat_job_list *batch)
{
    const struct chat_job *job;
    uint64_t messages = 0;

    STAILQ_FOREACH (job, batch, link)
        messages += job->kind == JOB_ADD_MESSAGE && job->rc == RC_OK;
    metric_count(COUNT_messages, messages);
}

static void do_batch(struct sqlite_store *s, struct chat_job_list *batch, struct chat_job_list *rest)
{
    struct chat_job *job;
    bool has_write = false;

    STAILQ_FOREACH (job, batch, link) {
        job->rc = RC_DB; /* until it is done */
        has_write = has_write || !store_is_load(job->kind);
    }
    enum rc rc = has_write ? db_begin(&s->db) : RC_OK;
    if (rc == RC_OK)
        rc = do_jobs(s, batch, rest);
    if (rc == RC_OK && has_write)
        rc = db_commit(&s->db);
    if (rc != RC_OK && has_write) {
        db_rollback(&s->db);
        fail_from_first_write(batch);
    }
    store_rooms_settle(s, rc == RC_OK);
    if (has_write && rc == RC_OK)
        count(batch);
    atomic_store(&s->health, (int)rc);
}

/* With the lock held. */
static bool may_work(const struct sqlite_store *s)
{
    return !STAILQ_EMPTY(&s->queue) && (s->loaded < STORE_LOADED_MAX || s->is_stopping);
}

/* The wait for jobs ends early when something is to be erased. Called with the lock held. */
static void wait_for_work(struct sqlite_store *s)
{
    int64_t due = s->erased_ms + STORE_ERASE_MS;
    struct timespec until = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};

    while (!may_work(s) && !s->is_stopping && !s->may_sweep) {
        if (!s->must_erase)
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

/*
 * Truncates the WAL: with secure_delete, what was deleted is then nowhere in the files. Somebody who reads the file
 * (kerbadm) is not waited for; it is tried again later.
 */
static void erase(struct sqlite_store *s)
{
    sqlite3_busy_timeout(s->db.h, 0);
    if (sqlite3_wal_checkpoint_v2(s->db.h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK)
        s->must_erase = false;
    sqlite3_busy_timeout(s->db.h, STORE_BUSY_MS);
    s->erased_ms = clock_monotonic_ms();
}

static void tidy(struct sqlite_store *s, bool is_idle)
{
    if (is_idle && s->may_sweep && store_sweep(s) != RC_OK)
        s->may_sweep = false; /* tried again with the next deletion, and at the next start */
    if (s->must_erase && clock_monotonic_ms() - s->erased_ms >= STORE_ERASE_MS)
        erase(s);
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
        erase(s);
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

enum rc store_health(struct chat_store *base)
{
    struct sqlite_store *s = (struct sqlite_store *)base;

    return (enum rc)atomic_load(&s->health);
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
