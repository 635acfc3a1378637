/* The TGS's store: what the AS's feed told, and what is told on to the services. */
#include <string.h>

#include "tgs/store_rows.h"

#define OWN_PREFIX "kerb/" /* services of the AS itself */

static enum rc run_on(struct tgs_store *s, enum tgs_statement which, int64_t value)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[which];

    TRY(db_bind_int(st, 1, value));
    return db_run(st);
}

static enum rc number_of(struct tgs_store *s, enum tgs_statement which, int64_t *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[which];
    bool found;

    TRY(db_step(st, &found));
    if (!found)
        return RC_DB;
    *ret = db_int(st, 0);
    return RC_OK;
}

enum rc tgs_store_position(struct tgs_store *s, int64_t *ret_seq)
{
    return number_of(s, ST_POSITION, ret_seq);
}

enum rc tgs_store_key_version(struct tgs_store *s, const struct name *name, uint32_t kvno, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_KEY_VERSION];
    bool found;

    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_bind_int(st, 2, kvno));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_KVNO;
    TRY(tgs_key_open(s, name_slice(name), kvno, db_blob(st, 1), ret));
    ret->valid_from = db_int(st, 0);
    return RC_OK;
}

/* --- what the AS told --- */

static enum rc raise_epoch(struct tgs_store *s, const struct feed_item *item, int64_t now_s)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_RAISE];

    TRY(db_bind_blob(st, 1, SLICE(item->client_id)));
    TRY(db_bind_int(st, 2, item->epoch));
    TRY(db_bind_int(st, 3, now_s));
    return db_run(st);
}

/* Nobody could give the AS's own services their key: their keytab is kerbadm's to write. */
static enum rc make_key(struct tgs_store *s, const struct feed_item *item, int64_t key_from_s, int64_t now_s)
{
    AUTO(key_done) struct key key = {0};
    struct name name;

    if (item->key.n ||
        (item->text.n >= strlen(OWN_PREFIX) && memcmp(item->text.p, OWN_PREFIX, strlen(OWN_PREFIX)) == 0))
        return RC_OK;
    enum rc rc = name_parse(item->text, &name);
    if (rc == RC_OK)
        rc = tgs_rotate(s, &name, key_from_s, now_s, &key);
    return rc == RC_MALFORMED || rc == RC_NO_SERVICE ? RC_OK : rc;
}

static enum rc apply_item(struct tgs_store *s, const struct feed_item *item, int64_t key_from_s, int64_t now_s)
{
    if (item->kind == FEED_ROTATE)
        return make_key(s, item, key_from_s, now_s);
    if (item->kind == FEED_EPOCH)
        TRY(raise_epoch(s, item, now_s));
    return tgs_feed_append(s, item, now_s);
}

static enum rc apply(struct tgs_store *s, const struct feed_item *items, size_t n, int64_t seq, int64_t key_from_s,
                     int64_t now_s)
{
    for (size_t i = 0; i < n; i++)
        TRY(apply_item(s, &items[i], key_from_s, now_s));
    TRY(run_on(s, ST_PURGE_EPOCHS, now_s - TGS_FEED_KEEP_S));
    return run_on(s, ST_SET_POSITION, seq);
}

enum rc tgs_store_apply(struct tgs_store *s, const struct feed_item *items, size_t n, int64_t seq, int64_t key_from_s,
                        int64_t now_s)
{
    TRY(db_begin(&s->db));
    return tgs_store_finish(s, apply(s, items, n, seq, key_from_s, now_s));
}

enum rc tgs_store_epochs(struct tgs_store *s, enum rc (*each)(void *ctx, const uint8_t id[ID_LEN], uint32_t epoch),
                         void *ctx)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_EPOCHS];

    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        struct slice id = db_blob(st, 0);
        int64_t epoch = db_int(st, 1);
        if (id.n != ID_LEN || epoch < 0 || epoch > UINT32_MAX)
            return RC_DB;
        TRY(each(ctx, id.p, (uint32_t)epoch));
    }
}

/* --- what the services are told --- */

enum rc tgs_feed_append(struct tgs_store *s, const struct feed_item *item, int64_t now_s)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FEED_ADD];

    if (item->text.n > FEED_TEXT_MAX)
        return RC_LIMIT;
    TRY(run_on(s, ST_FEED_PURGE, now_s - TGS_FEED_KEEP_S));
    TRY(db_bind_int(st, 1, now_s));
    TRY(db_bind_int(st, 2, item->kind));
    TRY(db_bind_blob(st, 3, SLICE(item->client_id)));
    TRY(db_bind_int(st, 4, item->epoch));
    TRY(db_bind_text(st, 5, item->text.n ? item->text : slice_text("")));
    return db_run(st);
}

/* An epoch and a key count as long as they are kept; orders are for now. */
static bool still_counts(enum feed_kind kind, int64_t time_s, int64_t now_s)
{
    return kind == FEED_EPOCH || kind == FEED_ROTATE || time_s >= now_s - TGS_FEED_ORDER_S;
}

/* The new key goes to the service itself alone; one that was purged is old. */
static enum rc put_rotation(struct tgs_store *s, const struct name *reader, struct feed_item *item,
                            struct feed_out *out)
{
    if (!slice_eq(item->text, name_slice(reader)))
        return RC_OK;
    enum rc rc = tgs_store_key_version(s, reader, item->epoch, &item->key);
    if (rc != RC_OK)
        return rc == RC_NO_KVNO ? RC_OK : rc;
    rc = feed_put(out, item);
    key_done(&item->key);
    return rc;
}

static enum rc put_row(struct tgs_store *s, sqlite3_stmt *st, const struct name *reader, int64_t now_s,
                       struct feed_out *out)
{
    int64_t kind = db_int(st, 2);
    struct slice id = db_blob(st, 3);

    if (kind < 0 || kind >= FEED_KINDS || id.n != ID_LEN)
        return RC_DB;
    struct feed_item item = {
        .seq = db_int(st, 0), .kind = (enum feed_kind)kind, .epoch = (uint32_t)db_int(st, 4), .text = db_text(st, 5)};
    memcpy(item.client_id, id.p, ID_LEN);
    if (!still_counts(item.kind, db_int(st, 1), now_s))
        return RC_OK;
    return item.kind == FEED_ROTATE ? put_rotation(s, reader, &item, out) : feed_put(out, &item);
}

enum rc tgs_store_feed(struct tgs_store *s, const struct name *reader, int64_t after, int64_t now_s,
                       struct feed_out *out, int64_t *ret_seq)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FEED];
    int64_t last;

    TRY(number_of(s, ST_FEED_NEWEST, &last));
    int64_t seq = after > last ? 0 : after; /* the file was restored: from the start */
    TRY(db_bind_int(st, 1, seq));
    TRY(db_bind_int(st, 2, FEED_ITEMS_MAX));
    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            break;
        TRY(put_row(s, st, reader, now_s, out));
        seq = db_int(st, 0);
    }
    *ret_seq = seq;
    return RC_OK;
}
