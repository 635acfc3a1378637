/* The TGS's store, kerbadm's side: every call that writes is one transaction. */
#include "tgs/store_rows.h"

enum rc tgs_store_finish(struct tgs_store *s, enum rc rc)
{
    if (rc == RC_OK)
        rc = db_commit(&s->db);
    if (rc != RC_OK)
        db_rollback(&s->db);
    return rc;
}

/* A random key, sealed into its row. */
static enum rc insert_key(struct tgs_store *s, int64_t service, const struct name *name, uint32_t kvno,
                          int64_t valid_from_s, struct key *ret)
{
    AUTO(buf_done) struct buf sealed = {0};
    AUTO(key_done) struct key key = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_KEY];
    struct row_ref ref = tgs_key_ref(name_slice(name), kvno);

    s->target.key.n = 0;
    TRY(key_random(ETYPE_AES128_CBC_HS256, kvno, valid_from_s, &key));
    TRY(row_seal(s->master, &ref, key_slice(&key), &sealed));
    TRY(db_bind_int(st, 1, service));
    TRY(db_bind_int(st, 2, kvno));
    TRY(db_bind_int(st, 3, valid_from_s));
    TRY(db_bind_blob(st, 4, buf_slice(&sealed)));
    TRY(db_run(st));
    *ret = key;
    return RC_OK;
}

static enum rc add(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret_key)
{
    AUTO(buf_done) struct buf folded = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD];

    TRY(name_fold(name, &folded));
    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_bind_blob(st, 2, buf_slice(&folded)));
    TRY(db_bind_int(st, 3, now_s));
    TRY(db_run(st));
    return insert_key(s, sqlite3_last_insert_rowid(s->db.h), name, 1, now_s, ret_key);
}

enum rc tgs_store_add(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret_key)
{
    AUTO(key_done) struct key key = {0};

    TRY(db_begin(&s->db));
    TRY(tgs_store_finish(s, add(s, name, now_s, &key)));
    *ret_key = key;
    return RC_OK;
}

/* A later version is used from a later second, whatever keytab_delay was before. */
enum rc tgs_rotate(struct tgs_store *s, const struct name *name, int64_t valid_from_s, int64_t now_s, struct key *ret)
{
    struct feed_item item = {.kind = FEED_ROTATE, .text = name_slice(name)};
    struct tgs_service svc;

    TRY(tgs_store_find(s, name, &svc));
    if (valid_from_s <= svc.key_from_s)
        valid_from_s = svc.key_from_s + 1;
    TRY(insert_key(s, svc.row, name, svc.kvno + 1, valid_from_s, ret));
    item.epoch = svc.kvno + 1;
    return tgs_feed_append(s, &item, now_s);
}

enum rc tgs_store_rotate(struct tgs_store *s, const struct name *name, int64_t valid_from_s, int64_t now_s,
                         struct key *ret_key)
{
    AUTO(key_done) struct key key = {0};

    TRY(db_begin(&s->db));
    TRY(tgs_store_finish(s, tgs_rotate(s, name, valid_from_s, now_s, &key)));
    *ret_key = key;
    return RC_OK;
}

static enum rc purge(struct tgs_store *s, const struct name *name, int64_t unused_since_s, unsigned *ret_n)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_PURGE];
    struct tgs_service svc;

    TRY(tgs_store_find(s, name, &svc));
    TRY(db_bind_int(st, 1, svc.row));
    TRY(db_bind_int(st, 2, unused_since_s));
    TRY(db_run(st));
    *ret_n = (unsigned)sqlite3_changes(s->db.h);
    return RC_OK;
}

enum rc tgs_store_purge(struct tgs_store *s, const struct name *name, int64_t unused_since_s, unsigned *ret_n)
{
    unsigned n;

    TRY(db_begin(&s->db));
    TRY(tgs_store_finish(s, purge(s, name, unused_since_s, &n)));
    *ret_n = n;
    return RC_OK;
}

enum rc tgs_store_each(struct tgs_store *s, enum rc (*each)(void *ctx, const struct tgs_service *svc), void *ctx)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_EACH];
    struct tgs_service svc;

    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        TRY(tgs_row_service(st, &svc));
        TRY(each(ctx, &svc));
    }
}

enum rc tgs_store_export(struct tgs_store *s, const struct name *name, struct keytab *into)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_KEYS];
    struct tgs_service svc;

    TRY(tgs_store_find(s, name, &svc));
    TRY(db_bind_int(st, 1, svc.row));
    for (;;) {
        AUTO(key_done) struct key key = {0};
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        TRY(tgs_key_open(s, name_slice(name), (uint32_t)db_int(st, 0), db_blob(st, 2), &key));
        key.valid_from = db_int(st, 1);
        TRY(keytab_add(into, name, &key));
    }
}

enum rc tgs_store_verify(struct tgs_store *s, uint64_t *ret_rows, uint64_t *ret_bad)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ALL_KEYS];
    uint64_t rows = 0, bad = 0;

    for (;;) {
        AUTO(key_done) struct key key = {0};
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            break;
        enum rc rc = tgs_key_open(s, db_text(st, 0), (uint32_t)db_int(st, 1), db_blob(st, 2), &key);
        if (rc != RC_OK && rc != RC_BAD_ROW)
            return rc;
        rows++;
        bad += rc != RC_OK;
    }
    *ret_rows = rows;
    *ret_bad = bad;
    return RC_OK;
}
