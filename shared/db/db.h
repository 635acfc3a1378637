/*
 * A SQLite file: opened safely, migrated step by step, its secret columns sealed.
 *
 * A file has an application id (which daemon's it is) and a schema version (PRAGMA user_version). A newer version than
 * the program knows, or another daemon's file, is refused and not touched. WAL, synchronous=FULL, secure_delete.
 * Thread: a handle belongs to one thread at a time.
 */
#ifndef KERB_DB_DB_H
#define KERB_DB_DB_H

#include <sqlite3.h>

#include "shared/db/master.h"

struct db_schema {
    uint32_t application_id;
    const char *const *migrations; /* migrations[i] brings version i to i + 1; SQL, run in one transaction */
    int version;                   /* number of migrations */
};

enum db_mode {
    DB_CREATE, /* make the file (0600) if it is missing, migrate */
    DB_WRITE,  /* must exist; migrate */
    DB_READ,   /* must exist and be of this version */
};

struct db {
    sqlite3 *h;
    int64_t begun_us;               /* the transaction; monotonic */
    const volatile uint32_t *index; /* the head of the write-ahead log's index; NULL: not looked for yet */
};

/*
 * Which commit is the last: what a read transaction would see now, without the locks that one takes. It is the head of
 * the write-ahead log's index (sqlite.org/walformat.html, "The WAL-Index Header": both copies), which every commit of
 * every process changes before it returns. Two that are equal: nobody has committed in between.
 */
struct db_mark {
    uint32_t head[24];
};

/* False when it cannot be told: inside a transaction of this handle, a read too, or while there is no index. */
MUST bool db_mark(struct db *db, struct db_mark *ret);
bool db_mark_eq(const struct db_mark *a, const struct db_mark *b);

/*
 * Errors: DB, DB_NEWER, DB_FOREIGN, UNSAFE_FILE, NOT_FOUND. After a failure db_error() of the empty handle tells why,
 * until the same thread opens the next one.
 */
MUST enum rc db_open(const char *path, const struct db_schema *schema, enum db_mode mode, struct db *ret);
void db_close(struct db *db);              /* for AUTO; finalizes all statements of the handle */
const char *db_error(const struct db *db); /* SQLite's last words */
MUST enum rc db_exec(struct db *db, const char *sql);

/* BEGIN IMMEDIATE .. COMMIT; rollback never fails. */
MUST enum rc db_begin(struct db *db);
MUST enum rc db_commit(struct db *db);
void db_rollback(struct db *db);

/* Is told of each transaction that was committed how long it took. Once, before any handle; any thread calls it. */
void db_observe(void (*committed)(int64_t took_us));

/* A statement that is kept: prepared once, then bound, stepped and reset. */
MUST enum rc db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret);
/* What is bound is copied. */
MUST enum rc db_bind_blob(sqlite3_stmt *st, int i, struct slice s);
MUST enum rc db_bind_text(sqlite3_stmt *st, int i, struct slice s);
MUST enum rc db_bind_int(sqlite3_stmt *st, int i, int64_t v);
MUST enum rc db_step(sqlite3_stmt *st, bool *ret_row); /* EXISTS on a constraint, DB otherwise */
MUST enum rc db_run(sqlite3_stmt *st);                 /* step to the end, then reset */
void db_reset(sqlite3_stmt *st);                       /* also clears the bindings */
void db_reset_auto(sqlite3_stmt **st);                 /* for AUTO on a borrowed statement */
struct slice db_blob(sqlite3_stmt *st, int col);       /* until the next step or reset */
struct slice db_text(sqlite3_stmt *st, int col);
int64_t db_int(sqlite3_stmt *st, int col);

/*
 * A secret column: an envelope under the daemon's master key, bound to table, row and column (label "row"; AAD: client
 * = table, server = row name, context = LP(column) kvno u32be of the row's own key version, 0 when it has none).
 */
struct row_ref {
    const char *table;
    struct slice row;
    const char *column;
    uint32_t kvno;
};

MUST enum rc row_seal(struct master *m, const struct row_ref *ref, struct slice plain, struct buf *out);
/* Errors: MODIFIED, for every way to be wrong; NO_KVNO (sealed under a version that is not here). */
MUST enum rc row_open(struct master *m, const struct row_ref *ref, struct slice sealed, struct buf *ret_plain);

/* What row_open opens, sealed anew by the version that seals now; appended. Errors: as row_open. */
MUST enum rc row_reseal(struct master *m, const struct row_ref *ref, struct slice sealed, struct buf *out);

#endif
