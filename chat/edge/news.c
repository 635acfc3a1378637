/*
 * News of the feed: epochs raised, users kicked, notices, an order to end, a next key of our own.
 *
 * The feed's thread hands over what one answer says and waits until the loop has done it and the store has it: only
 * then may it go on behind it. One answer is on its way at a time.
 */
#include "chat/edge/internal.h"

#include <stdlib.h>

#include "shared/service/feed.h"

#define OUR_NAME "kerb-chat"

struct news {
    pthread_mutex_t lock;
    pthread_cond_t done;
    const struct feed_item *items; /* the thread's, which waits; NULL: none is on its way */
    size_t n;
    int64_t seq;
    bool is_taken, is_over, is_ending;
    enum rc rc;
    size_t raises_n; /* epochs that the store is being told: only behind all of them the feed counts as heard */
};

/* --- the feed's thread --- */

static enum rc apply(void *ctx, const struct feed_item *items, size_t n, int64_t seq)
{
    struct edge *e = ctx;
    struct news *news = e->news;

    pthread_mutex_lock(&news->lock);
    news->items = items;
    news->n = n;
    news->seq = seq;
    news->is_taken = news->is_over = false;
    news->rc = RC_OK;
    (void)uv_async_send(&e->heard);
    while (!news->is_over && !news->is_ending)
        pthread_cond_wait(&news->done, &news->lock);
    enum rc rc = news->is_over ? news->rc : RC_IO;
    news->items = NULL;
    pthread_mutex_unlock(&news->lock);
    return rc;
}

/* --- the loop --- */

/* Our own keytab with the next key in it; read again within a second, like a change by hand. */
static enum rc add_key(struct edge *e, const struct key *key)
{
    AUTO(keytab_done) struct keytab *keys = NULL;

    TRY(keytab_load(e->o.keytab_path, &keys));
    enum rc rc = keytab_add(keys, &e->service, key);
    if (rc == RC_EXISTS)
        return RC_OK;
    TRY(rc);
    return keytab_save(keys, e->o.keytab_path);
}

static bool is_for_us(const struct edge *e, struct slice daemon)
{
    return slice_eq(daemon, slice_text(OUR_NAME)) || slice_eq(daemon, name_slice(&e->service));
}

static enum rc do_item(struct edge *e, const struct feed_item *item)
{
    struct chat_event ev = {.client_id = item->client_id, .epoch = item->epoch, .text = item->text};

    switch (item->kind) {
    case FEED_EPOCH:
        ev.kind = CHAT_CUT_OFF;
        break;
    case FEED_KICK:
        ev.kind = CHAT_KICK;
        break;
    case FEED_NOTICE:
        ev.kind = CHAT_NOTICE;
        break;
    case FEED_DRAIN:
    case FEED_SHUTDOWN:
        e->must_end = e->must_end || is_for_us(e, item->text);
        return RC_OK;
    case FEED_ROTATE:
        return item->key.n > 0 && is_for_us(e, item->text) ? add_key(e, &item->key) : RC_OK;
    default:
        return RC_OK;
    }
    edge_step(e, &ev);
    return RC_OK;
}

/* The feed's thread goes on; where news->rc is not OK, it asks for the same again. */
static void answer(struct edge *e)
{
    struct news *news = e->news;

    pthread_mutex_lock(&news->lock);
    bool is_good = news->rc == RC_OK;
    news->is_over = true;
    pthread_cond_signal(&news->done);
    pthread_mutex_unlock(&news->lock);
    if (e->must_end && is_good)
        drain_begin(e);
}

/* All that was said is stored, so the position may be: else a crash would lose what lies before it. */
static void say_heard(struct edge *e)
{
    struct chat_event ev = {.kind = CHAT_HEARD, .feed_seq = (uint64_t)e->news->seq};

    if (e->news->rc == RC_OK)
        edge_step(e, &ev);
    else
        answer(e);
}

static void heard(uv_async_t *handle)
{
    struct edge *e = handle->data;
    struct news *news = e->news;

    pthread_mutex_lock(&news->lock);
    bool is_new = news->items && !news->is_taken && !news->is_over;
    news->is_taken = true;
    pthread_mutex_unlock(&news->lock);
    if (!is_new)
        return;
    for (size_t i = 0; i < news->n; i++) {
        enum rc rc = do_item(e, &news->items[i]);
        if (rc != RC_OK) {
            log_note(LOG_ERROR, "feed", "news could not be taken: %s", rc_text(rc));
            news->rc = rc;
        }
    }
    if (news->raises_n == 0)
        say_heard(e);
}

void news_job_made(struct edge *e, enum chat_job_kind kind)
{
    if (e->news && kind == JOB_RAISE_EPOCH)
        e->news->raises_n++;
}

void news_job_done(struct edge *e, enum chat_job_kind kind, enum rc rc)
{
    struct news *news = e->news;

    if (!news || (kind != JOB_RAISE_EPOCH && kind != JOB_HEARD))
        return;
    if (rc != RC_OK)
        news->rc = rc;
    if (kind == JOB_HEARD)
        answer(e);
    else if (--news->raises_n == 0)
        say_heard(e);
}

enum rc news_start(struct edge *e)
{
    if (e->o.conf->chat_feed[0] == 0)
        return RC_OK;
    e->news = calloc(1, sizeof(*e->news));
    if (!e->news)
        return RC_NO_MEMORY;
    pthread_mutex_init(&e->news->lock, NULL);
    pthread_cond_init(&e->news->done, NULL);
    e->heard.data = e;
    const struct feed_options options = {
        .realm = e->o.conf->realm,
        .reader = e->service,
        .address = e->o.conf->chat_feed,
        .keys = e->o.keytab,
        .after = (int64_t)chat_feed_seq(e->o.chat),
        .apply = apply,
        .ctx = e,
    };
    return feed_start(&options, &e->feed);
}

void news_stop(struct edge *e)
{
    if (!e->news)
        return;
    pthread_mutex_lock(&e->news->lock);
    e->news->is_ending = true;
    pthread_cond_signal(&e->news->done);
    pthread_mutex_unlock(&e->news->lock);
    feed_stop(e->feed);
    e->feed = NULL;
    pthread_cond_destroy(&e->news->done);
    pthread_mutex_destroy(&e->news->lock);
    free(e->news);
    e->news = NULL;
}

int news_init(struct edge *e)
{
    return uv_async_init(&e->loop, &e->heard, heard);
}
