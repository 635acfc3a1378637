/* The AS's store: the feed, a table of what the other daemons must learn. */
#include "as/store_rows.h"

#include <string.h>

/* Seconds that an item is told for. The kinds' numbers stand in the file: new ones come at the end. */
static const int64_t counts_s[FEED_KINDS] = {
    [FEED_EPOCH] = AS_FEED_KEEP_S,    [FEED_KICK] = AS_FEED_ORDER_S,     [FEED_NOTICE] = AS_FEED_ORDER_S,
    [FEED_DRAIN] = AS_FEED_ORDER_S,   [FEED_SHUTDOWN] = AS_FEED_ORDER_S, [FEED_ROTATE] = AS_FEED_ROTATE_S,
    [FEED_UNLOCK] = AS_FEED_ROTATE_S,
};

enum rc as_feed_append(struct as_store *s, const struct as_feed_item *item, int64_t now_s)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FEED_ADD];

    if (item->text.n > FEED_TEXT_MAX || (size_t)item->kind >= FEED_KINDS)
        return RC_LIMIT;
    TRY(as_run_on(s, ST_FEED_PURGE, now_s - AS_FEED_KEEP_S));
    TRY(db_bind_int(st, 1, now_s));
    TRY(db_bind_int(st, 2, item->kind));
    TRY(db_bind_blob(st, 3, SLICE(item->client_id)));
    TRY(db_bind_int(st, 4, item->number));
    TRY(db_bind_text(st, 5, item->text));
    return db_run(st);
}

enum rc as_store_order(struct as_store *s, const struct as_feed_item *item, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, as_feed_append(s, item, now_s));
}

enum rc as_store_unlock(struct as_store *s, const struct name *name, int64_t now_s)
{
    struct as_feed_item item = {.kind = FEED_UNLOCK};
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    item.text = name_slice(&p.name);
    return as_store_order(s, &item, now_s);
}

static enum rc newest(struct as_store *s, int64_t *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FEED_NEWEST];
    bool found;

    TRY(db_step(st, &found));
    *ret = db_int(st, 0);
    return found ? RC_OK : RC_DB;
}

static enum rc read_item(sqlite3_stmt *st, struct as_feed_item *ret)
{
    int64_t kind = db_int(st, 2);
    struct slice id = db_blob(st, 3);

    if (kind < 0 || kind >= FEED_KINDS || id.n != ID_LEN)
        return RC_DB;
    *ret = (struct as_feed_item){
        .seq = db_int(st, 0),
        .time_s = db_int(st, 1),
        .kind = (enum feed_kind)kind,
        .number = (uint32_t)db_int(st, 4),
        .text = db_text(st, 5),
    };
    memcpy(ret->client_id, id.p, ID_LEN);
    return RC_OK;
}

enum rc as_store_feed(struct as_store *s, int64_t after, unsigned limit, int64_t now_s,
                      enum rc (*each)(void *ctx, const struct as_feed_item *item), void *ctx, int64_t *ret_seq)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FEED];
    struct as_feed_item item;
    int64_t last;

    TRY(newest(s, &last));
    int64_t seq = after > last ? 0 : after;
    TRY(db_bind_int(st, 1, seq));
    TRY(db_bind_int(st, 2, limit));
    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            break;
        TRY(read_item(st, &item));
        if (item.time_s >= now_s - counts_s[item.kind])
            TRY(each(ctx, &item));
        seq = item.seq;
    }
    *ret_seq = seq;
    return RC_OK;
}
