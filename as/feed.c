/* The feed of the AS. */
#include "as/feed.h"

#include <string.h>

static bool is_tgs(const struct name *name)
{
    return slice_eq(name_slice(name), slice_text(AS_TGS_NAME));
}

static enum rc reader_key(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret)
{
    const struct as_feed *f = ctx;

    if (!is_tgs(reader))
        return RC_NO_SERVICE;
    enum rc rc = as_store_tgs_key_version(f->store, kvno, ret);
    return rc == RC_NO_KEY ? RC_NO_KVNO : rc;
}

struct telling {
    struct as_feed *feed;
    struct feed_out *out;
};

/* A new version of the TGS's own key travels with its item: the answer is sealed under the version before. */
static enum rc tell_item(void *ctx, const struct as_feed_item *item)
{
    const struct telling *t = ctx;
    if (item->kind == FEED_UNLOCK)
        return RC_OK;
    struct feed_item out = {.seq = item->seq, .kind = item->kind, .epoch = item->number, .text = item->text};

    memcpy(out.client_id, item->client_id, ID_LEN);
    enum rc rc = RC_OK;
    if (item->kind == FEED_ROTATE && slice_eq(item->text, slice_text(AS_TGS_NAME)))
        rc = as_store_tgs_key_version(t->feed->store, item->number, &out.key);
    if (rc != RC_OK)
        return rc == RC_NO_KEY ? RC_OK : rc; /* that version was purged since */
    rc = feed_put(t->out, &out);
    key_done(&out.key);
    return rc;
}

static enum rc read_items(void *ctx, const struct name *reader, int64_t after, struct feed_out *out, int64_t *ret_seq)
{
    struct as_feed *f = ctx;
    struct telling t = {f, out};

    (void)reader; /* the TGS: everything concerns it, if only to pass on */
    return as_store_feed(f->store, after, FEED_ITEMS_MAX, f->clock(), tell_item, &t, ret_seq);
}

enum rc as_feed_open(const struct conf *conf, struct as_store *store, int64_t (*clock)(void), struct as_feed *ret)
{
    *ret = (struct as_feed){.store = store, .clock = clock};
    const struct feed_source source = {.key = reader_key, .read = read_items, .ctx = ret};
    return feed_server_open(&conf->realm, &source, &ret->server);
}

void as_feed_stop(struct as_feed *f)
{
    if (f->server)
        feed_server_stop(f->server);
}

void as_feed_close(struct as_feed *f)
{
    feed_server_close(f->server);
    as_store_close(f->store);
    *f = (struct as_feed){0};
}
