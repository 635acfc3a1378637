/* The reader's side of the feed: a thread that asks, applies, and asks again. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/service/feed_wire.h"
#include "shared/service/inner_client.h"

#define ANSWER_MS  ((FEED_HOLD_S + 5) * 1000) /* a held request is answered by then */
#define AT_ONCE_MS 5000                       /* one that is not held */
#define RETRY_MS   500
#define STATUS_OK  200

struct feed {
    struct feed_options options;
    pthread_t thread;
    int stop_fd;
    _Atomic int64_t down_since_ms; /* on the monotonic clock; 0: the link is up */
    bool has_told;                 /* that it is down; of the thread */
};

int64_t feed_down_ms(const struct feed *f)
{
    int64_t since_ms = atomic_load(&f->down_since_ms);
    return since_ms ? clock_monotonic_ms() - since_ms : 0;
}

enum rc feed_ready(const struct feed *f)
{
    return !f || feed_down_ms(f) <= FEED_DOWN_S * 1000 ? RC_OK : RC_LINK_DOWN;
}

/* Our newest key: whoever gave it to us has it. */
static enum rc own_key(const struct feed *f, struct key *ret)
{
    const struct feed_options *o = &f->options;

    const struct keytab *keys = keytab_hold(o->keys);
    const struct key *key = keytab_current(keys, &o->reader, ETYPE_AES128_CBC_HS256, clock_s());
    if (key)
        *ret = *key;
    keytab_release(o->keys, keys);
    return key ? RC_OK : RC_NO_KEY;
}

/* One question. Out: what was answered is applied. */
static enum rc ask(struct feed *f, bool wait)
{
    AUTO(feed_answer_done) struct feed_answer answer = {0};
    AUTO(buf_done) struct buf request = {0}, body = {0};
    AUTO(key_done) struct key key = {0};
    struct feed_options *o = &f->options;
    struct feed_request r = {.reader = o->reader, .after = o->after, .wait = wait};
    int status;

    TRY(own_key(f, &key));
    TRY(random_bytes(r.nonce, sizeof r.nonce));
    TRY(feed_request_write(&key, &o->realm, &r, &request));
    TRY(inner_post(o->address, FEED_PATH, buf_slice(&request), wait ? ANSWER_MS : AT_ONCE_MS, f->stop_fd, &status,
                   &body));
    if (status != STATUS_OK)
        return RC_LINK_DOWN;
    TRY(feed_answer_read(buf_slice(&body), &key, &o->realm, &r, &answer));
    if (answer.n || answer.seq != o->after)
        TRY(o->apply(o->ctx, answer.items, answer.n, answer.seq));
    o->after = answer.seq;
    return RC_OK;
}

static void tell(struct feed *f, enum rc rc)
{
    struct log_line line;

    if (f->has_told == (rc != RC_OK))
        return;
    f->has_told = rc != RC_OK;
    log_begin(&line, rc == RC_OK ? LOG_INFO : LOG_WARN, rc == RC_OK ? "feed_up" : "feed_down");
    log_str(&line, "address", f->options.address);
    log_rc(&line, rc);
    log_end(&line);
}

/* True when asked to stop. */
static bool rest(const struct feed *f)
{
    struct pollfd p = {.fd = f->stop_fd, .events = POLLIN};
    return poll(&p, 1, RETRY_MS) > 0;
}

static void *run(void *arg)
{
    struct feed *f = arg;
    bool up = false;

    for (;;) {
        enum rc rc = ask(f, up); /* the first question is answered at once, so that the link shows */
        if (rc == RC_STOPPED)
            return NULL;
        if (rc == RC_OK)
            atomic_store(&f->down_since_ms, 0);
        else if (up)
            atomic_store(&f->down_since_ms, clock_monotonic_ms());
        up = rc == RC_OK;
        tell(f, rc);
        if (!up && rest(f))
            return NULL;
    }
}

enum rc feed_start(const struct feed_options *options, struct feed **ret)
{
    struct feed *f = calloc(1, sizeof *f);

    if (!f)
        return RC_NO_MEMORY;
    f->options = *options;
    atomic_store(&f->down_since_ms, clock_monotonic_ms());
    f->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (f->stop_fd < 0 || pthread_create(&f->thread, NULL, run, f) != 0) {
        if (f->stop_fd >= 0)
            (void)close(f->stop_fd);
        free(f);
        return RC_IO;
    }
    *ret = f;
    return RC_OK;
}

void feed_stop(struct feed *f)
{
    const uint64_t one = 1;

    if (!f)
        return;
    (void)!write(f->stop_fd, &one, sizeof one);
    (void)pthread_join(f->thread, NULL);
    (void)close(f->stop_fd);
    free(f);
}
