/* The AS's store: the feed, a table of what the other daemons must learn. */
#include "as/store_rows.h"

#include <string.h>

static const struct {
    const char *name;
    int64_t counts_s; /* seconds that an item is told for */
} kinds[AS_FEED_KINDS] = {
    [AS_FEED_EPOCH] = {"epoch",    AS_FEED_KEEP_S  },
      [AS_FEED_KICK] = {"kick",     AS_FEED_ORDER_S },
    [AS_FEED_NOTICE] = {"notice",   AS_FEED_ORDER_S },
      [AS_FEED_DRAIN] = {"drain",    AS_FEED_ORDER_S },
    [AS_FEED_SHUTDOWN] = {"shutdown", AS_FEED_ORDER_S },
      [AS_FEED_ROTATE] = {"rotate",   AS_FEED_ROTATE_S},
};

const char *as_feed_kind_name(enum as_feed_kind kind)
{
    return (size_t)kind < AS_FEED_KINDS ? kinds[kind].name : "?";
}

enum rc as_feed_append(struct as_store *s, const struct as_feed_item *item, int64_t now_s)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FEED_ADD];

    if (item->text.n > AS_FEED_TEXT_MAX || (size_t)item->kind >= AS_FEED_KINDS)
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

    if (kind < 0 || kind >= AS_FEED_KINDS || id.n != ID_LEN)
        return RC_DB;
    *ret = (struct as_feed_item){
        .seq = db_int(st, 0),
        .time_s = db_int(st, 1),
        .kind = (enum as_feed_kind)kind,
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
        if (item.time_s >= now_s - kinds[item.kind].counts_s)
            TRY(each(ctx, &item));
        seq = item.seq;
    }
    *ret_seq = seq;
    return RC_OK;
}
