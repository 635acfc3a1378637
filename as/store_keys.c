/* The AS's store: versions of the TGS key, and looking at every sealed row. */
#include "as/store_rows.h"

#include <string.h>

static enum rc insert_tgs_key(struct as_store *s, const struct key *key)
{
    AUTO(buf_done) struct buf sealed = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_TGS_KEY];

    if (key->etype != ETYPE_AES128_CBC_HS256 || key->n != etype_key_len(key->etype))
        return RC_BAD_ETYPE;
    struct row_ref ref = as_tgs_key_ref(key->kvno);
    TRY(row_seal(s->master, &ref, key_slice(key), &sealed));
    TRY(db_bind_int(st, 1, key->kvno));
    TRY(db_bind_int(st, 2, key->valid_from));
    TRY(db_bind_blob(st, 3, buf_slice(&sealed)));
    return db_run(st);
}

enum rc as_store_add_tgs_key(struct as_store *s, const struct key *key)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, insert_tgs_key(s, key));
}

/* A later version is used from a later second, whatever delay the one before was given. */
static enum rc next_tgs_key(struct as_store *s, int64_t valid_from_s, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_TGS_KEY_NEWEST];
    bool found;

    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_KEY;
    if (valid_from_s <= db_int(st, 1))
        valid_from_s = db_int(st, 1) + 1;
    return key_random(ETYPE_AES128_CBC_HS256, (uint32_t)db_int(st, 0) + 1, valid_from_s, ret);
}

static enum rc rotate_tgs_key(struct as_store *s, int64_t valid_from_s, int64_t now_s, struct key *ret)
{
    struct as_feed_item item = {.kind = FEED_ROTATE, .text = slice_text(AS_TGS_NAME)};

    TRY(next_tgs_key(s, valid_from_s, ret));
    TRY(insert_tgs_key(s, ret));
    item.number = ret->kvno;
    return as_feed_append(s, &item, now_s);
}

enum rc as_store_rotate_tgs_key(struct as_store *s, int64_t valid_from_s, int64_t now_s, struct key *ret)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, rotate_tgs_key(s, valid_from_s, now_s, ret));
}

enum rc as_store_purge_tgs_keys(struct as_store *s, int64_t unused_since_s, unsigned *ret_n)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_PURGE_TGS_KEYS];

    TRY(db_bind_int(st, 1, unused_since_s));
    TRY(db_run(st));
    *ret_n = (unsigned)sqlite3_changes(s->db.h);
    return RC_OK;
}

/* Does the row that the statement stands on open, and agree with what stands beside it? */
static enum rc user_key_opens(const struct as_store *s, sqlite3_stmt *st)
{
    AUTO(key_done) struct key key = {0};
    struct userkey_params params = {.iterations = 0};
    struct as_principal p;
    struct as_key_room room;
    enum etype etype = (enum etype)db_int(st, 10);
    bool is_sealed = etype == ETYPE_AES128_CBC_HS256;

    if (!is_sealed && etype != ETYPE_AES128_CBC)
        return RC_BAD_ROW;
    if (as_row_principal(st, &p) != RC_OK) /* a key whose principal is gone */
        return RC_BAD_ROW;
    struct row_ref ref = as_key_ref(&p, etype, p.kvno, &room);
    TRY(as_key_open(s, &ref, etype, db_blob(st, 9), &key, is_sealed ? &params : NULL));
    if (db_int(st, 11) != params.iterations)
        return RC_BAD_ROW;
    struct slice spot = db_blob(st, 12);
    if (!is_sealed || p.row == 0)
        return spot.n == 0 ? RC_OK : RC_BAD_ROW;
    return slice_eq(spot, SLICE(p.client_id)) ? RC_OK : RC_BAD_ROW;
}

static enum rc tgs_key_opens(const struct as_store *s, sqlite3_stmt *st)
{
    AUTO(key_done) struct key key = {0};
    struct row_ref ref = as_tgs_key_ref((uint32_t)db_int(st, 0));
    return as_key_open(s, &ref, ETYPE_AES128_CBC_HS256, db_blob(st, 1), &key, NULL);
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
    TRY(verify_all(s, ST_ALL_CODES, as_code_row_opens, &rows, &bad));
    *ret_rows = rows;
    *ret_bad = bad;
    return RC_OK;
}
