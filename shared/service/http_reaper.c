/* The reaper. */
#include "shared/service/http_reaper.h"

#include <sys/socket.h>
#include <time.h>

/*
 * How long a kept-alive connection may wait for its next request: longer than nginx keeps one to its upstream (60 s),
 * so that it is nginx who ends it, and no request runs into a closing door.
 */
#define IDLE_MS        75000
#define DRAIN_FRESH_MS 1000 /* silence of a new connection that is taken for no request, while draining */
#define TICK_MIN_MS    25
#define TICK_MAX_MS    500

static int64_t allowed_ms(const struct reaper *r, int phase)
{
    if (r->draining && phase == WATCH_IDLE)
        return 0;
    if (r->draining && phase == WATCH_FRESH)
        return DRAIN_FRESH_MS;
    if (phase == WATCH_IDLE && r->n <= r->crowded_n && r->timeout_ms < IDLE_MS)
        return IDLE_MS;
    return r->timeout_ms;
}

/* One round; returns how many requests were cut off. With the lock held. */
static unsigned reap(struct reaper *r, int64_t now_ms)
{
    unsigned cut = 0;
    struct watch *w;

    TAILQ_FOREACH (w, &r->list, entry) {
        int phase = atomic_load_explicit(&w->phase, memory_order_acquire);
        int64_t since_ms = atomic_load_explicit(&w->since_ms, memory_order_relaxed);
        if (now_ms - since_ms < allowed_ms(r, phase))
            continue;
        /* Draining asks softly: what is in the socket's queue already is read and answered. */
        (void)shutdown(w->fd, r->draining && phase != WATCH_BUSY ? SHUT_RD : SHUT_RDWR);
        atomic_store_explicit(&w->since_ms, now_ms, memory_order_relaxed); /* not again in the next round */
        cut += phase != WATCH_IDLE && !r->draining;
    }
    return cut;
}

static int64_t tick_ms(const struct reaper *r)
{
    int64_t ms = r->draining ? TICK_MIN_MS : r->timeout_ms / 16;
    return ms < TICK_MIN_MS ? TICK_MIN_MS : ms > TICK_MAX_MS ? TICK_MAX_MS : ms;
}

static void sleep_one_tick(struct reaper *r)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + tick_ms(r) * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    (void)pthread_cond_timedwait(&r->wake, &r->lock, &until);
}

static void *run(void *ctx)
{
    struct reaper *r = ctx;

    (void)pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        unsigned cut = reap(r, clock_monotonic_ms());
        if (cut) {
            (void)pthread_mutex_unlock(&r->lock);
            struct log_line l;
            log_begin(&l, LOG_INFO, "http_too_slow"); /* one line a round, not one a client */
            log_num(&l, "connections", cut);
            log_end(&l);
            (void)pthread_mutex_lock(&r->lock);
        }
        if (!r->stop)
            sleep_one_tick(r);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

static bool cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool fine = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(cond, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return fine;
}

enum rc reaper_start(struct reaper *r, unsigned timeout_s, size_t connections_max)
{
    *r = (struct reaper){.timeout_ms = (int64_t)timeout_s * 1000, .crowded_n = connections_max / 4 * 3};
    TAILQ_INIT(&r->list);
    if (pthread_mutex_init(&r->lock, NULL) != 0)
        return RC_NO_MEMORY;
    if (!cond_init_monotonic(&r->wake)) {
        (void)pthread_mutex_destroy(&r->lock);
        return RC_NO_MEMORY;
    }
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        (void)pthread_cond_destroy(&r->wake);
        (void)pthread_mutex_destroy(&r->lock);
        return RC_NO_MEMORY;
    }
    return RC_OK;
}

void reaper_stop(struct reaper *r)
{
    (void)pthread_mutex_lock(&r->lock);
    r->stop = true;
    (void)pthread_cond_signal(&r->wake);
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->lock);
}

void reaper_drain(struct reaper *r)
{
    (void)pthread_mutex_lock(&r->lock);
    r->draining = true;
    (void)pthread_cond_signal(&r->wake);
    (void)pthread_mutex_unlock(&r->lock);
}

size_t reaper_connections(struct reaper *r)
{
    (void)pthread_mutex_lock(&r->lock);
    size_t n = r->n;
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}

void watch_add(struct reaper *r, struct watch *w, int fd)
{
    w->fd = fd;
    atomic_store_explicit(&w->since_ms, clock_monotonic_ms(), memory_order_relaxed);
    atomic_store_explicit(&w->phase, WATCH_FRESH, memory_order_release);
    (void)pthread_mutex_lock(&r->lock);
    TAILQ_INSERT_TAIL(&r->list, w, entry);
    r->n++;
    (void)pthread_mutex_unlock(&r->lock);
}

void watch_remove(struct reaper *r, struct watch *w)
{
    (void)pthread_mutex_lock(&r->lock);
    TAILQ_REMOVE(&r->list, w, entry);
    r->n--;
    (void)pthread_mutex_unlock(&r->lock);
}

void watch_request(struct watch *w)
{
    /* The first request began with the connection; a later one cannot be told from the idleness before its headers. */
    if (atomic_load_explicit(&w->phase, memory_order_relaxed) == WATCH_IDLE)
        atomic_store_explicit(&w->since_ms, clock_monotonic_ms(), memory_order_relaxed);
    atomic_store_explicit(&w->phase, WATCH_BUSY, memory_order_release);
}

void watch_idle(struct watch *w)
{
    atomic_store_explicit(&w->since_ms, clock_monotonic_ms(), memory_order_relaxed);
    atomic_store_explicit(&w->phase, WATCH_IDLE, memory_order_release);
}
