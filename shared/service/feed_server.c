/*
 * The teller's side of the feed: a request is held by its connection's thread, which looks again a few times a second.
 *
 * No queue and no wake-up between threads or processes: what changed is in the database, whoever wrote it, and a look
 * there costs one read of an index.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "shared/service/feed_wire.h"

struct feed_server {
    struct name realm;
    struct feed_source source;
    pthread_mutex_t lock; /* of the source, and of stopping */
    pthread_cond_t stop;
    bool stopping;
};

enum rc feed_server_open(const struct name *realm, const struct feed_source *source, struct feed_server **ret)
{
    pthread_condattr_t attr;
    struct feed_server *s = calloc(1, sizeof *s);

    if (!s)
        return RC_NO_MEMORY;
    s->realm = *realm;
    s->source = *source;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->stop, &attr);
    (void)pthread_condattr_destroy(&attr);
    *ret = s;
    return RC_OK;
}

void feed_server_stop(struct feed_server *s)
{
    if (!s)
        return;
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_broadcast(&s->stop);
    (void)pthread_mutex_unlock(&s->lock);
}

void feed_server_close(struct feed_server *s)
{
    if (!s)
        return;
    (void)pthread_cond_destroy(&s->stop);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static enum rc key_of(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret)
{
    struct feed_server *s = ctx;

    (void)pthread_mutex_lock(&s->lock);
    enum rc rc = s->source.key(s->source.ctx, reader, kvno, ret);
    (void)pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Waits for the next look. The lock is held, and let go meanwhile. */
static void pause_ms(struct feed_server *s, long ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_cond_timedwait(&s->stop, &s->lock, &until);
}

/* Until there is something, or it has been held long enough. */
static enum rc collect(struct feed_server *s, const struct feed_request *r, struct feed_out *out, int64_t *ret_seq)
{
    const int64_t end_ms = clock_monotonic_ms() + (r->wait ? FEED_HOLD_S * 1000 : 0);
    enum rc rc;

    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        rc = s->source.read(s->source.ctx, &r->reader, r->after, out, ret_seq);
        if (rc != RC_OK || *ret_seq != r->after || s->stopping || clock_monotonic_ms() >= end_ms)
            break;
        pause_ms(s, FEED_LOOK_MS);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return rc;
}

static enum rc serve(struct feed_server *s, struct slice body, struct feed_request *r, struct buf *ret)
{
    AUTO(feed_out_done) struct feed_out out;
    AUTO(key_done) struct key key = {0};
    int64_t seq;

    feed_out_start(&out);
    TRY(feed_request_read(body, &s->realm, key_of, s, r, &key));
    TRY(collect(s, r, &out, &seq));
    return feed_answer_write(&key, &s->realm, r, &out, seq, ret);
}

void feed_server_post(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    struct feed_request r = {0};
    struct log_line line;

    enum rc rc = serve(ctx, req->body, &r, &reply->body);
    if (rc == RC_OK) {
        reply->content_type = "application/json";
        return;
    }
    /* whoever cannot prove a key learns nothing of which readers and versions there are */
    http_reply_error(reply, rc == RC_NO_SERVICE || rc == RC_NO_KVNO ? RC_MODIFIED : rc, req->op_id);
    log_begin(&line, LOG_WARN, "feed_refused");
    log_str(&line, "op_id", req->op_id);
    log_rc(&line, rc);
    log_end(&line);
}
