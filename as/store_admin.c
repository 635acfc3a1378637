/* The AS's store, kerbadm's side: every call that writes is one transaction. */
#include "as/store_rows.h"

#include <string.h>

/* Ends a transaction: commits what went well, rolls back the rest. */
static enum rc finish(struct as_store *s, enum rc rc)
{
    if (rc == RC_OK)
        rc = db_commit(&s->db);
    if (rc != RC_OK)
        db_rollback(&s->db);
    return rc;
}

static enum rc insert_key(struct as_store *s, const struct as_principal *p, uint32_t kvno, const struct key *key)
{
    AUTO(buf_done) struct buf sealed = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_KEY];
    struct as_key_room room;

    if (key->n != etype_key_len(key->etype))
        return RC_BAD_ETYPE;
    struct row_ref ref = as_key_ref(p, key->etype, kvno, &room);
    TRY(row_seal(s->master, &ref, key_slice(key), &sealed));
    TRY(db_bind_int(st, 1, p->row));
    TRY(db_bind_int(st, 2, key->etype));
    TRY(db_bind_int(st, 3, kvno));
    TRY(db_bind_blob(st, 4, buf_slice(&sealed)));
    return db_run(st);
}

static enum rc insert_decoy(struct as_store *s)
{
    AUTO(key_done) struct key key = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_DECOY];
    struct as_principal decoy = {0};

    TRY(random_bytes(decoy.client_id, ID_LEN));
    TRY(key_random(ETYPE_AES128_CBC, 1, 0, &key));
    TRY(db_bind_blob(st, 1, SLICE(decoy.client_id)));
    enum rc rc = db_run(st);
    if (rc == RC_EXISTS)
        return RC_OK;
    TRY(rc);
    return insert_key(s, &decoy, 1, &key);
}

enum rc as_store_ensure_decoy(struct as_store *s)
{
    TRY(db_begin(&s->db));
    return finish(s, insert_decoy(s));
}

static enum rc insert_principal(struct as_store *s, const struct name *name, int64_t now_s, struct as_principal *ret)
{
    AUTO(buf_done) struct buf folded = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD];

    *ret = (struct as_principal){.name = *name};
    TRY(name_fold(name, &folded));
    TRY(random_bytes(ret->client_id, ID_LEN));
    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_bind_blob(st, 2, buf_slice(&folded)));
    TRY(db_bind_blob(st, 3, SLICE(ret->client_id)));
    TRY(db_bind_int(st, 4, now_s));
    TRY(db_run(st));
    ret->row = sqlite3_last_insert_rowid(s->db.h);
    return RC_OK;
}

static enum rc add(struct as_store *s, const struct name *name, const struct key *classic, int64_t now_s)
{
    struct as_principal p;
    TRY(insert_principal(s, name, now_s, &p));
    return insert_key(s, &p, 1, classic);
}

enum rc as_store_add(struct as_store *s, const struct name *name, const struct key *classic, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return finish(s, add(s, name, classic, now_s));
}

static enum rc run_on(struct as_store *s, enum as_statement which, int64_t row)
{
    TRY(db_bind_int(s->st[which], 1, row));
    return db_run(s->st[which]);
}

static enum rc set_key(struct as_store *s, const struct name *name, const struct key *classic, int64_t now_s)
{
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    TRY(run_on(s, ST_DROP_KEYS, p.row));
    TRY(insert_key(s, &p, p.kvno + 1, classic));
    TRY(db_bind_int(s->st[ST_CHANGED], 2, now_s));
    return run_on(s, ST_CHANGED, p.row);
}

enum rc as_store_set_key(struct as_store *s, const struct name *name, const struct key *classic, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return finish(s, set_key(s, name, classic, now_s));
}

static enum rc set_disabled(struct as_store *s, const struct name *name, bool disabled, int64_t now_s)
{
    sqlite3_stmt *st = s->st[ST_SET_DISABLED];
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    if (p.disabled == disabled)
        return RC_OK;
    TRY(db_bind_int(st, 2, disabled));
    TRY(db_bind_int(st, 3, (int64_t)p.epoch + disabled));
    TRY(db_bind_int(st, 4, now_s));
    return run_on(s, ST_SET_DISABLED, p.row);
}

enum rc as_store_set_disabled(struct as_store *s, const struct name *name, bool disabled, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return finish(s, set_disabled(s, name, disabled, now_s));
}

static enum rc delete_principal(struct as_store *s, const struct name *name)
{
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    TRY(run_on(s, ST_DROP_KEYS, p.row));
    return run_on(s, ST_DELETE, p.row);
}

enum rc as_store_delete(struct as_store *s, const struct name *name)
{
    TRY(db_begin(&s->db));
    return finish(s, delete_principal(s, name));
}

enum rc as_store_each(struct as_store *s, enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_EACH];
    struct as_principal p;

    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        TRY(as_row_principal(st, &p));
        TRY(each(ctx, &p));
    }
}

enum rc as_store_add_tgs_key(struct as_store *s, const struct key *key)
{
    AUTO(buf_done) struct buf sealed = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_TGS_KEY];

    if (key->etype != ETYPE_AES128_CBC_HS256 || key->n != etype_key_len(key->etype))
        return RC_BAD_ETYPE;
    s->tgs.key.n = 0;
    struct row_ref ref = as_tgs_key_ref(key->kvno);
    TRY(row_seal(s->master, &ref, key_slice(key), &sealed));
    TRY(db_bind_int(st, 1, key->kvno));
    TRY(db_bind_int(st, 2, key->valid_from));
    TRY(db_bind_blob(st, 3, buf_slice(&sealed)));
    return db_run(st);
}

/* Does the row that the statement stands on open? A key whose principal is gone does not. */
static enum rc user_key_opens(const struct as_store *s, sqlite3_stmt *st)
{
    AUTO(key_done) struct key key = {0};
    struct as_principal p;
    struct as_key_room room;
    enum etype etype = (enum etype)db_int(st, 9);

    if (etype != ETYPE_AES128_CBC && etype != ETYPE_AES128_CBC_HS256)
        return RC_BAD_ROW;
    if (as_row_principal(st, &p) != RC_OK)
        return RC_BAD_ROW;
    struct row_ref ref = as_key_ref(&p, etype, p.kvno, &room);
    return as_key_open(s, &ref, etype, db_blob(st, 8), &key);
}

static enum rc tgs_key_opens(const struct as_store *s, sqlite3_stmt *st)
{
    AUTO(key_done) struct key key = {0};
    struct row_ref ref = as_tgs_key_ref((uint32_t)db_int(st, 0));
    return as_key_open(s, &ref, ETYPE_AES128_CBC_HS256, db_blob(st, 1), &key);
}

static enum rc verify_all(struct as_store *s, enum as_statement which,
                          enum rc (*opens)(const struct as_store *s, sqlite3_stmt *st), uint64_t *rows, uint64_t *bad)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[which];
    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        enum rc rc = opens(s, st);
        if (rc != RC_OK && rc != RC_BAD_ROW)
            return rc;
        *rows += 1;
        *bad += rc != RC_OK;
    }
}

enum rc as_store_verify(struct as_store *s, uint64_t *ret_rows, uint64_t *ret_bad)
{
    uint64_t rows = 0, bad = 0;

    TRY(verify_all(s, ST_ALL_KEYS, user_key_opens, &rows, &bad));
    TRY(verify_all(s, ST_ALL_TGS_KEYS, tgs_key_opens, &rows, &bad));
    *ret_rows = rows;
    *ret_bad = bad;
    return RC_OK;
}
