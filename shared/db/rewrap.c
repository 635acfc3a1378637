/* Roll-over of a master key: the walk over all sealed tables. */
#include "shared/db/rewrap.h"

/* Where the walk through a table is: behind this key. */
struct place {
    sqlite3_value *key[REWRAP_KEYS_MAX];
    int n;
};

static void place_done(struct place *p)
{
    for (int i = 0; i < p->n; i++) {
        sqlite3_value_free(p->key[i]);
        p->key[i] = NULL;
    }
}

static void finalize(sqlite3_stmt **st)
{
    (void)sqlite3_finalize(*st);
}

enum rc sealed_count_add(struct sealed_counts *counts, uint32_t kvno, uint64_t rows)
{
    size_t at = 0;

    while (at < counts->n && counts->version[at].kvno < kvno)
        at++;
    if (at < counts->n && counts->version[at].kvno == kvno) {
        counts->version[at].rows += rows;
        return RC_OK;
    }
    if (counts->n == MASTER_VERSIONS_MAX)
        return RC_LIMIT;
    for (size_t i = counts->n++; i > at; i--)
        counts->version[i] = counts->version[i - 1];
    counts->version[at] = (struct sealed_count){kvno, rows};
    return RC_OK;
}

uint64_t sealed_counts_of(const struct sealed_counts *counts, uint32_t kvno)
{
    for (size_t i = 0; i < counts->n; i++)
        if (counts->version[i].kvno == kvno)
            return counts->version[i].rows;
    return 0;
}

/* A column that is no envelope counts as version 0, which no key has. */
static enum rc count_table(const struct sealed_db *s, const struct sealed_table *t, struct sealed_counts *counts)
{
    AUTO(finalize) sqlite3_stmt *st = NULL;
    bool more;

    TRY(db_prepare(s->db, t->count, &st));
    for (;;) {
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        struct slice version = db_blob(st, 0);
        TRY(sealed_count_add(counts, version.n == 4 ? get_u32be(version.p) : 0, (uint64_t)db_int(st, 1)));
    }
}

enum rc sealed_count(const struct sealed_db *s, struct sealed_counts *counts)
{
    for (size_t i = 0; i < s->n; i++)
        TRY(count_table(s, &s->tables[i], counts));
    return RC_OK;
}

/* An integer sorts before every text and blob, and no key is negative: -1 is the start of every key. */
static enum rc bind_place(sqlite3_stmt *st, const struct place *p)
{
    for (int i = 0; i < p->n; i++) {
        int rc = p->key[i] ? sqlite3_bind_value(st, 2 + i, p->key[i]) : sqlite3_bind_int(st, 2 + i, -1);
        if (rc != SQLITE_OK)
            return RC_DB;
    }
    return RC_OK;
}

static enum rc take_place(sqlite3_stmt *row, struct place *p)
{
    place_done(p);
    for (int i = 0; i < p->n; i++) {
        p->key[i] = sqlite3_value_dup(sqlite3_column_value(row, 1 + i));
        if (!p->key[i])
            return RC_NO_MEMORY;
    }
    return RC_OK;
}

static enum rc put(sqlite3_stmt *st, struct slice sealed, const struct place *p)
{
    TRY(db_bind_blob(st, 1, sealed));
    TRY(bind_place(st, p));
    return db_run(st);
}

struct walk {
    const struct sealed_db *s;
    const struct sealed_table *table;
    sqlite3_stmt *next, *put;
    struct place place;
    uint64_t *done, *bad;
    bool at_end;
};

static void walk_done(struct walk *w)
{
    place_done(&w->place);
    (void)sqlite3_finalize(w->next);
    (void)sqlite3_finalize(w->put);
}

static enum rc do_row(struct walk *w)
{
    AUTO(buf_done) struct buf sealed = {0};

    TRY(take_place(w->next, &w->place));
    enum rc rc = w->table->reseal(w->s->master, w->next, &sealed);
    if (rc == RC_BAD_ROW || rc == RC_MODIFIED || rc == RC_NO_KVNO) {
        *w->bad += 1;
        return RC_OK;
    }
    TRY(rc);
    *w->done += 1;
    return put(w->put, buf_slice(&sealed), &w->place);
}

static enum rc do_rows(struct walk *w)
{
    uint8_t version[4];
    AUTO(db_reset_auto) sqlite3_stmt *st = w->next;

    put_u32be(version, master_key(w->s->master, LABEL_ROW, 0)->kvno);
    TRY(db_bind_blob(st, 1, SLICE(version)));
    TRY(bind_place(st, &w->place));
    for (int i = 0; i < REWRAP_ROWS; i++) {
        bool more;
        TRY(db_step(st, &more));
        w->at_end = !more;
        if (!more)
            return RC_OK;
        TRY(do_row(w));
    }
    return RC_OK;
}

static enum rc do_transaction(struct walk *w)
{
    uint64_t done = *w->done, bad = *w->bad;

    TRY(db_begin(w->s->db));
    enum rc rc = do_rows(w);
    if (rc == RC_OK)
        rc = db_commit(w->s->db);
    if (rc == RC_OK)
        return RC_OK;
    db_rollback(w->s->db);
    *w->done = done;
    *w->bad = bad;
    return rc;
}

static enum rc do_table(struct walk *w, bool (*may_go_on)(void *ctx), void *ctx)
{
    TRY(db_prepare(w->s->db, w->table->next, &w->next));
    TRY(db_prepare(w->s->db, w->table->put, &w->put));
    while (!w->at_end) {
        if (may_go_on && !may_go_on(ctx))
            return RC_STOPPED;
        TRY(do_transaction(w));
    }
    return RC_OK;
}

enum rc sealed_rewrap(const struct sealed_db *s, bool (*may_go_on)(void *ctx), void *ctx, uint64_t *ret_done,
                      uint64_t *ret_bad)
{
    *ret_done = *ret_bad = 0;
    for (size_t i = 0; i < s->n; i++) {
        AUTO(walk_done)
        struct walk w = {
            .s = s, .table = &s->tables[i], .place.n = s->tables[i].keys, .done = ret_done, .bad = ret_bad};
        TRY(do_table(&w, may_go_on, ctx));
    }
    return RC_OK;
}
