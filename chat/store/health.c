/*
 * Whether the store works: how long it waits for others, what it says when the disk fails, how it comes back.
 *
 * It is well as long as the last transaction succeeded. While it is not, it waits for locks a short time only, so that
 * senders are refused soon, and tries by itself whether the disk is back: somebody who balances by readyz sends nobody
 * here meanwhile. The log has a line when it falls ill and one when it is well again.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "chat/store/sqlite.h"
#include "shared/service/log.h"

#define WAIT_PAUSE_MS 5 /* between two looks at a lock */

bool store_is_well(const struct sqlite_store *s)
{
    return atomic_load(&s->health) == RC_OK;
}

enum rc store_health(struct chat_store *base)
{
    return (enum rc)atomic_load(&((struct sqlite_store *)base)->health);
}

/* Asked by SQLite while somebody else holds the lock; n: how often it has asked. Not 0: it waits. */
static int may_wait(void *ctx, int n)
{
    const struct timespec pause = {.tv_nsec = WAIT_PAUSE_MS * 1000000L};
    struct sqlite_store *s = ctx;
    int64_t now_ms = clock_monotonic_ms();

    if (n == 0)
        s->waits_since_ms = now_ms;
    int64_t most_ms = s->is_hurried ? 0 : store_is_well(s) ? STORE_BUSY_MS : STORE_BUSY_ILL_MS;
    if (atomic_load(&s->has_given_up) || now_ms - s->waits_since_ms >= most_ms)
        return 0;
    (void)nanosleep(&pause, NULL);
    return 1;
}

enum rc store_wait_by_own_rules(struct sqlite_store *s)
{
    return sqlite3_busy_handler(s->db.h, may_wait, s) == SQLITE_OK ? RC_OK : RC_DB;
}

/* Which of the system's errors it was that SQLite calls "disk I/O error". */
static const char *system_words(const struct sqlite_store *s)
{
    int error = sqlite3_errcode(s->db.h) == SQLITE_IOERR ? sqlite3_system_errno(s->db.h) : 0;
    const char *words = error ? strerrordesc_np(error) : NULL;
    return words ? words : "";
}

void store_note_health(struct sqlite_store *s, enum rc rc)
{
    bool was_well = store_is_well(s);

    atomic_store(&s->health, (int)rc);
    if (was_well && rc != RC_OK)
        log_note(LOG_ERROR, "store", "nothing can be stored: %s %s",
                 rc == RC_DB ? db_error(&s->db) : "the write-ahead log is longer than what is free on the disk",
                 system_words(s));
    if (was_well || rc != RC_OK)
        return;
    log_note(LOG_INFO, "store", "works again");
    s->may_sweep = true;
}

static uint64_t log_bytes(const struct sqlite_store *s)
{
    struct stat st;
    return stat(s->log_path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t store_log_bytes(struct chat_store *base)
{
    return log_bytes((struct sqlite_store *)base);
}

enum rc store_check_log(const struct sqlite_store *s)
{
    uint64_t log = log_bytes(s);
    struct statvfs disk;

    if (log <= STORE_LOG_SMALL || statvfs(s->log_path, &disk) != 0)
        return RC_OK;
    return (uint64_t)disk.f_bavail * disk.f_frsize >= log ? RC_OK : RC_LIMIT;
}

/* A row that comes and goes: something is written to the disk. */
static enum rc write_something(struct sqlite_store *s)
{
    TRY(store_check_log(s));
    TRY(db_begin(&s->db));
    enum rc rc = db_run(s->sql[SQL_PROBE]);
    if (rc == RC_OK)
        rc = db_run(s->sql[SQL_END_PROBE]);
    return rc == RC_OK ? db_commit(&s->db) : rc;
}

/* The log goes into the database first, if it can: it may be what has filled the disk. */
void store_probe(struct sqlite_store *s)
{
    s->is_hurried = true;
    (void)sqlite3_wal_checkpoint_v2(s->db.h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    enum rc rc = write_something(s);
    store_note_health(s, rc);
    if (rc != RC_OK)
        db_rollback(&s->db);
    s->is_hurried = false;
    s->probed_ms = clock_monotonic_ms();
}

/*
 * Truncates the WAL: with secure_delete, what was deleted is then nowhere in the files. Somebody who reads the file
 * (kerbadm) is not waited for; it is tried again later.
 */
void store_erase(struct sqlite_store *s)
{
    s->is_hurried = true;
    if (sqlite3_wal_checkpoint_v2(s->db.h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK)
        s->must_erase = false;
    s->is_hurried = false;
    s->erased_ms = clock_monotonic_ms();
}
