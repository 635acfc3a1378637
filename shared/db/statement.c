/* Statements: prepared once, bound, stepped, reset. */
#include "shared/db/db.h"

enum rc db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK || !st)
        return RC_DB;
    *ret = st;
    return RC_OK;
}

/* A NULL pointer would bind NULL: an empty slice is an empty value. */
static const void *never_null(struct slice s)
{
    return s.n ? (const void *)s.p : "";
}

enum rc db_bind_blob(sqlite3_stmt *st, int i, struct slice s)
{
    return sqlite3_bind_blob64(st, i, never_null(s), s.n, SQLITE_TRANSIENT) == SQLITE_OK ? RC_OK : RC_DB;
}

enum rc db_bind_text(sqlite3_stmt *st, int i, struct slice s)
{
    int rc = sqlite3_bind_text64(st, i, never_null(s), s.n, SQLITE_TRANSIENT, SQLITE_UTF8);
    return rc == SQLITE_OK ? RC_OK : RC_DB;
}

enum rc db_bind_int(sqlite3_stmt *st, int i, int64_t v)
{
    return sqlite3_bind_int64(st, i, v) == SQLITE_OK ? RC_OK : RC_DB;
}

enum rc db_step(sqlite3_stmt *st, bool *ret_row)
{
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_row = rc == SQLITE_ROW;
        return RC_OK;
    }
    return (rc & 0xFF) == SQLITE_CONSTRAINT ? RC_EXISTS : RC_DB;
}

enum rc db_run(sqlite3_stmt *st)
{
    bool row = true;
    enum rc rc = RC_OK;

    while (rc == RC_OK && row)
        rc = db_step(st, &row);
    db_reset(st);
    return rc;
}

void db_reset(sqlite3_stmt *st)
{
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
}

void db_reset_auto(sqlite3_stmt **st)
{
    if (*st)
        db_reset(*st);
    *st = NULL;
}

struct slice db_blob(sqlite3_stmt *st, int col)
{
    const void *p = sqlite3_column_blob(st, col);
    int n = sqlite3_column_bytes(st, col);
    return slice_of(p, p && n > 0 ? (size_t)n : 0);
}

struct slice db_text(sqlite3_stmt *st, int col)
{
    const void *p = sqlite3_column_text(st, col);
    int n = sqlite3_column_bytes(st, col);
    return slice_of(p, p && n > 0 ? (size_t)n : 0);
}

int64_t db_int(sqlite3_stmt *st, int col)
{
    return sqlite3_column_int64(st, col);
}
