/*
 * SQLite handles: looked at before they are touched, then configured alike, then brought to the schema's version.
 *
 * A reader's handle is open for writing all the same and set to query_only: so it can put a write-ahead log in order
 * that a killed writer left behind.
 */
#include "shared/db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 5000 /* a migration or a backup by another process may take as long */
#define WAL_PAUSE_MS    20
#define WAL_KEPT        "16777216" /* bytes that a write-ahead log keeps of what a long reader made of it */
#define INDEX_PAGE      32768      /* bytes in which SQLite maps the write-ahead log's index */
#define WORDS_MAX       256        /* bytes kept of why an opening failed */

/* Why the last db_open of this thread failed: its handle is gone by then. */
static _Thread_local char last_words[WORDS_MAX];

static void remember(const char *words)
{
    (void)snprintf(last_words, sizeof last_words, "%s", words);
}

static enum rc remember_rc(enum rc rc, const char *words)
{
    remember(words);
    return rc;
}

const char *db_error(const struct db *db)
{
    return db->h ? sqlite3_errmsg(db->h) : last_words;
}

/* --- the file --- */

/* A fresh, empty file of 0600; run by root it belongs to whom its directory belongs. */
static enum rc create_file(const char *path)
{
    AUTO(str_done) char *dir = slice_dup(slice_text(path));
    struct stat st;

    if (!dir)
        return RC_NO_MEMORY;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? RC_OK : remember_rc(RC_DB, "the file cannot be made");
    bool fine = fchmod(fd, 0600) == 0;
    if (fine && geteuid() == 0)
        fine = stat(dirname(dir), &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0;
    (void)close(fd);
    if (fine)
        return RC_OK;
    (void)unlink(path);
    return remember_rc(RC_DB, "the file cannot be given its owner and mode");
}

/* Regular, ours or root's, closed to all others. */
static enum rc check_file(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return remember_rc(errno == ENOENT ? RC_NOT_FOUND : RC_DB, "the file cannot be read");
    if (!S_ISREG(st.st_mode) || st.st_mode & (S_IRWXG | S_IRWXO))
        return remember_rc(RC_UNSAFE_FILE, "the file is not a regular one of mode 0600");
    if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
        return remember_rc(RC_UNSAFE_FILE, "the file belongs to somebody else");
    return RC_OK;
}

/* The file and, where they exist, its companions. */
static enum rc check_files(const char *path)
{
    static const char *const tails[] = {"-wal", "-shm", "-journal"};

    TRY(check_file(path));
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        AUTO(buf_done) struct buf companion = {0};
        TRY(buf_printf(&companion, "%s%s", path, tails[i]));
        const char *name = buf_cstr(&companion);
        if (!name)
            return RC_NO_MEMORY;
        enum rc rc = check_file(name);
        if (rc != RC_OK && rc != RC_NOT_FOUND)
            return rc;
    }
    return RC_OK;
}

/* --- what is in it --- */

/* The first column of the first row. Errors: DB, DB_FOREIGN (not a database at all). */
static enum rc query_int(struct db *db, const char *sql, int64_t *ret)
{
    sqlite3_stmt *st = NULL;

    int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    if (rc == SQLITE_ROW)
        return RC_OK;
    return (rc & 0xFF) == SQLITE_NOTADB ? RC_DB_FOREIGN : RC_DB;
}

struct state {
    bool is_empty;
    int64_t application_id, version;
};

static enum rc read_state(struct db *db, struct state *ret)
{
    int64_t objects = 0;

    TRY(query_int(db, "PRAGMA application_id", &ret->application_id));
    TRY(query_int(db, "PRAGMA user_version", &ret->version));
    TRY(query_int(db, "SELECT count(*) FROM sqlite_schema", &objects));
    ret->is_empty = ret->application_id == 0 && ret->version == 0 && objects == 0;
    return RC_OK;
}

/* All of it as of one moment, while another process may migrate. */
static enum rc read_state_at_once(struct db *db, struct state *ret)
{
    TRY(db_exec(db, "BEGIN"));
    enum rc rc = read_state(db, ret);
    db_rollback(db);
    return rc;
}

/* Nothing is written before this has said yes. */
static enum rc check_state(struct db *db, const struct db_schema *schema, enum db_mode mode)
{
    struct state s = {0};

    TRY(read_state_at_once(db, &s));
    if (s.is_empty && mode == DB_CREATE)
        return RC_OK;
    if (s.application_id != (int64_t)schema->application_id)
        return remember_rc(RC_DB_FOREIGN, "the file has another application id");
    if (s.version > schema->version)
        return remember_rc(RC_DB_NEWER, "the file has a newer schema");
    if (s.version < schema->version && mode == DB_READ)
        return remember_rc(RC_DB, "the file has an older schema: run kerbadm upgrade");
    return RC_OK;
}

/* Write-ahead log. Errors: DB; sets *ret_busy when another process is at it too. */
static enum rc set_wal(struct db *db, bool *ret_busy)
{
    sqlite3_stmt *st = NULL;
    bool is_wal = false;

    int rc = sqlite3_prepare_v2(db->h, "PRAGMA journal_mode=WAL", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(st, 0);
        is_wal = mode && strcmp(mode, "wal") == 0;
    }
    (void)sqlite3_finalize(st);
    *ret_busy = (rc & 0xFF) == SQLITE_BUSY;
    return is_wal ? RC_OK : RC_DB;
}

static enum rc configure(struct db *db, enum db_mode mode)
{
    const struct timespec pause = {.tv_nsec = WAL_PAUSE_MS * 1000000L};
    bool busy = false;

    /* SQLite does not wait by itself here: both sides hold a lock already. */
    enum rc rc = set_wal(db, &busy);
    for (int waited_ms = 0; rc != RC_OK && busy && waited_ms < BUSY_TIMEOUT_MS; waited_ms += WAL_PAUSE_MS) {
        (void)nanosleep(&pause, NULL);
        rc = set_wal(db, &busy);
    }
    TRY(rc);
    TRY(db_exec(db, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
                    "PRAGMA temp_store=MEMORY; PRAGMA secure_delete=ON; PRAGMA cache_size=-16384;"
                    "PRAGMA journal_size_limit=" WAL_KEPT ";"));
    return mode == DB_READ ? db_exec(db, "PRAGMA query_only=ON") : RC_OK;
}

/* One step of the schema. Somebody else may have made it since we looked: asked again inside the transaction. */
static enum rc migrate_step(struct db *db, const struct db_schema *schema, int to)
{
    int64_t version = 0;
    char pragmas[128];

    TRY(query_int(db, "PRAGMA user_version", &version));
    if (version >= to)
        return RC_OK;
    if (version != to - 1)
        return RC_DB;
    TRY(db_exec(db, schema->migrations[to - 1]));
    (void)snprintf(pragmas, sizeof pragmas, "PRAGMA user_version=%d; PRAGMA application_id=%d", to,
                   (int)schema->application_id);
    return db_exec(db, pragmas);
}

static enum rc migrate(struct db *db, const struct db_schema *schema)
{
    int64_t version = 0;

    TRY(query_int(db, "PRAGMA user_version", &version));
    for (int to = (int)version + 1; to <= schema->version; to++) {
        TRY(db_begin(db));
        enum rc rc = migrate_step(db, schema, to);
        if (rc == RC_OK)
            rc = db_commit(db);
        if (rc != RC_OK) {
            remember(db_error(db));
            db_rollback(db);
            return rc;
        }
    }
    return RC_OK;
}

/* --- the handle --- */

/* SQLite's count of its memory is one lock for all threads, and nobody reads it. Before the first use only. */
static void sqlite_setup(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_initialize();
}

static enum rc open_handle(const char *path, struct db *db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, sqlite_setup);
    int rc = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK || sqlite3_busy_timeout(db->h, BUSY_TIMEOUT_MS) != SQLITE_OK)
        return RC_DB;
    (void)sqlite3_extended_result_codes(db->h, 1);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    return RC_OK;
}

enum rc db_open(const char *path, const struct db_schema *schema, enum db_mode mode, struct db *ret)
{
    AUTO(db_close) struct db db = {0};

    last_words[0] = 0;
    if (mode == DB_CREATE)
        TRY(create_file(path));
    TRY(check_files(path));
    enum rc rc = open_handle(path, &db);
    if (rc == RC_OK)
        rc = check_state(&db, schema, mode);
    if (rc == RC_OK)
        rc = configure(&db, mode);
    if (rc == RC_OK && mode != DB_READ)
        rc = migrate(&db, schema);
    if (rc != RC_OK) {
        if (!last_words[0])
            remember(db_error(&db));
        return rc;
    }
    *ret = db;
    db.h = NULL;
    return RC_OK;
}

/*
 * The index stays where it is while the handle is open: it is unmapped with the last handle, and taken out of service
 * only by a change of journal mode, which no one makes.
 */
static const volatile uint32_t *find_index(const struct db *db)
{
    sqlite3_file *file = NULL;
    void volatile *p = NULL;

    if (sqlite3_file_control(db->h, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file->pMethods ||
        file->pMethods->iVersion < 2 || file->pMethods->xShmMap(file, 0, INDEX_PAGE, 0, &p) != SQLITE_OK)
        return NULL;
    return p;
}

bool db_mark(struct db *db, struct db_mark *ret)
{
    if (sqlite3_txn_state(db->h, "main") != SQLITE_TXN_NONE)
        return false;
    if (!db->index)
        db->index = find_index(db);
    if (!db->index)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(ret->head); i++)
        ret->head[i] = db->index[i];
    atomic_thread_fence(memory_order_acquire); /* what is read behind the mark is not older than it */
    return true;
}

bool db_mark_eq(const struct db_mark *a, const struct db_mark *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void db_close(struct db *db)
{
    sqlite3_stmt *st;

    if (!db->h)
        return;
    while ((st = sqlite3_next_stmt(db->h, NULL)))
        (void)sqlite3_finalize(st);
    (void)sqlite3_close(db->h);
    *db = (struct db){0};
}

enum rc db_exec(struct db *db, const char *sql)
{
    return sqlite3_exec(db->h, sql, NULL, NULL, NULL) == SQLITE_OK ? RC_OK : RC_DB;
}

static void (*observer)(int64_t took_us);

void db_observe(void (*committed)(int64_t took_us))
{
    observer = committed;
}

enum rc db_begin(struct db *db)
{
    db->begun_us = clock_monotonic_us();
    return db_exec(db, "BEGIN IMMEDIATE");
}

enum rc db_commit(struct db *db)
{
    TRY(db_exec(db, "COMMIT"));
    if (observer)
        observer(clock_monotonic_us() - db->begun_us);
    return RC_OK;
}

void db_rollback(struct db *db)
{
    if (!sqlite3_get_autocommit(db->h))
        (void)sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}
