/*
 * Roll-over of a master key in a database: counting what is sealed under which version, and sealing it anew.
 *
 * The version stands in each envelope's header, so the rows themselves say what is left: an interrupted rewrap goes on
 * where it was. It is done in small transactions; the daemon works on meanwhile.
 */
#ifndef KERB_DB_REWRAP_H
#define KERB_DB_REWRAP_H

#include "shared/db/db.h"

#define REWRAP_ROWS     100 /* of one transaction */
#define REWRAP_KEYS_MAX 3   /* columns of a primary key */

/*
 * A table with a sealed column.
 *   count  SELECT version, count(*) ... GROUP BY 1
 *   next   SELECT sealed, key columns, what reseal needs ... WHERE version <> ?1 AND (key) > (?2, ...) ORDER BY key
 *   put    UPDATE ... SET sealed = ?1 WHERE key = ?2 ...
 * with version = substr(sealed, 3, 4).
 */
struct sealed_table {
    const char *name;
    const char *count, *next, *put;
    int keys;
    /* The row that the statement stands on, sealed anew. Errors: BAD_ROW (it does not open). */
    enum rc (*reseal)(struct master *m, sqlite3_stmt *row, struct buf *out);
};

/* A database with the tables in it that have sealed columns; what a store gives out. */
struct sealed_db {
    struct db *db;
    struct master *master;
    const struct sealed_table *tables;
    size_t n;
};

struct sealed_count {
    uint32_t kvno;
    uint64_t rows;
};

/* Sorted by kvno; sealed_count_done frees nothing: it is flat. */
struct sealed_counts {
    struct sealed_count version[MASTER_VERSIONS_MAX];
    size_t n;
};

/* Adds to *counts. Errors: LIMIT, DB. */
MUST enum rc sealed_count(const struct sealed_db *s, struct sealed_counts *counts);
/* One row more under a version that was found elsewhere. Errors: LIMIT. */
MUST enum rc sealed_count_add(struct sealed_counts *counts, uint32_t kvno, uint64_t rows);
uint64_t sealed_counts_of(const struct sealed_counts *counts, uint32_t kvno);

/*
 * Seals anew what is not under the version that seals now. may_go_on (may be NULL) is asked between transactions.
 * Out: ret_done - rows; ret_bad - rows that do not open, left as they are. Errors: DB, STOPPED (may_go_on said no).
 */
MUST enum rc sealed_rewrap(const struct sealed_db *s, bool (*may_go_on)(void *ctx), void *ctx, uint64_t *ret_done,
                           uint64_t *ret_bad);

#endif
