/* The TGS between the AS's feed and its own. */
#include "tgs/feed.h"

#define DAEMON "tgs" /* as an order names it */

static enum rc remember(void *ctx, const uint8_t id[ID_LEN], uint32_t epoch)
{
    return tgs_epochs_raise(ctx, id, epoch);
}

enum rc tgs_feed_load(struct tgs_feed *f, int64_t *ret_after)
{
    TRY(tgs_store_epochs(f->writer, remember, f->epochs));
    return tgs_store_position(f->writer, ret_after);
}

/* A key that is there already came by kerbadm, or by an answer that was told twice. */
static enum rc keep_own_key(const struct tgs_feed *f, const struct key *key)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(str_done) char *path = NULL;

    TRY(conf_path(f->conf, "tgs/tgs.keytab", &path));
    TRY(keytab_load(path, &kt));
    enum rc rc = keytab_add(kt, &f->name, key);
    if (rc != RC_OK)
        return rc == RC_EXISTS ? RC_OK : rc;
    TRY(keytab_save(kt, path));
    log_note(LOG_INFO, "key", "version %u of the TGS key has come", key->kvno);
    return RC_OK;
}

static bool is_own_key(const struct tgs_feed *f, const struct feed_item *item)
{
    return item->kind == FEED_ROTATE && item->key.n && slice_eq(item->text, name_slice(&f->name));
}

/* A rotation is the time to delete what no ticket can need any more. */
static enum rc purge(const struct tgs_feed *f, struct slice service)
{
    struct name name;
    unsigned n;

    enum rc rc = name_parse(service, &name);
    if (rc == RC_OK)
        rc = tgs_store_purge(f->writer, &name, f->clock() - conf_service_ticket_s(f->conf), &n);
    return rc == RC_MALFORMED || rc == RC_NO_SERVICE ? RC_OK : rc;
}

/* What follows when it is in the file. */
static enum rc act(const struct tgs_feed *f, const struct feed_item *item)
{
    if (item->kind == FEED_EPOCH)
        return tgs_epochs_raise(f->epochs, item->client_id, item->epoch);
    if (item->kind == FEED_ROTATE && !item->key.n)
        return purge(f, item->text);
    if ((item->kind == FEED_DRAIN || item->kind == FEED_SHUTDOWN) && slice_eq(item->text, slice_text(DAEMON)))
        f->end(f->end_ctx, item->kind == FEED_DRAIN);
    return RC_OK;
}

enum rc tgs_feed_apply(void *ctx, const struct feed_item *items, size_t n, int64_t seq)
{
    struct tgs_feed *f = ctx;
    int64_t now_s = f->clock();

    for (size_t i = 0; i < n; i++)
        if (is_own_key(f, &items[i]))
            TRY(keep_own_key(f, &items[i].key));
    TRY(tgs_store_apply(f->writer, items, n, seq, now_s + f->conf->policy_keytab_delay, now_s));
    for (size_t i = 0; i < n; i++)
        TRY(act(f, &items[i]));
    return RC_OK;
}

enum rc tgs_feed_key(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret)
{
    struct tgs_feed *f = ctx;
    return tgs_store_key_version(f->teller, reader, kvno, ret);
}

enum rc tgs_feed_read(void *ctx, const struct name *reader, int64_t after, struct feed_out *out, int64_t *ret_seq)
{
    struct tgs_feed *f = ctx;
    return tgs_store_feed(f->teller, reader, after, f->clock(), out, ret_seq);
}
