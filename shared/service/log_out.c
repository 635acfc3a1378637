/*
 * Lines on their way to standard error: gathered in one buffer, written by whoever fills it, asks for it, or, at the
 * latest GATHER_MS after the first line, by a thread of its own. That thread sleeps while there is nothing to write.
 *
 * Two locks: `lock` is held for a copy, never for a write(); `writing` is held for a write(), so that lines leave in
 * the order in which they came. Where both are held, `writing` was taken first. A reader of standard error who does
 * not read makes the daemon wait, as with a write() for each line.
 */
#include "shared/service/log_out.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/service/log.h"

#define GATHER_MS   100
#define GATHER_FULL ((size_t)32 * 1024) /* bytes: about a hundred requests */
#define GATHER_ROOM ((size_t)64 * 1024) /* bytes: so that workers go on while a full buffer is taken away */

static uint8_t rooms[2][GATHER_ROOM];

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool on;          /* lines are gathered */
    bool asleep;      /* the thread waits for a first line */
    uint8_t *filling; /* n bytes */
    size_t n;

    pthread_mutex_t writing;
    uint8_t *leaving;
    pthread_t thread;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .wake = PTHREAD_COND_INITIALIZER,
         .filling = rooms[0],
         .writing = PTHREAD_MUTEX_INITIALIZER,
         .leaving = rooms[1]};

/* What cannot be written is dropped: a full disk must not stop the daemon. */
static void write_whole(struct slice s)
{
    while (s.n) {
        ssize_t put = write(STDERR_FILENO, s.p, s.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return;
        s = slice_of(s.p + put, s.n - (size_t)put);
    }
}

/* Writes what is gathered, then `last`. */
static void flush(struct slice last)
{
    (void)pthread_mutex_lock(&out.writing);
    (void)pthread_mutex_lock(&out.lock);
    struct slice gathered = slice_of(out.filling, out.n);
    out.filling = out.leaving;
    out.n = 0;
    (void)pthread_mutex_unlock(&out.lock);
    out.leaving = (uint8_t *)gathered.p;
    write_whole(gathered);
    write_whole(last);
    (void)pthread_mutex_unlock(&out.writing);
}

void log_out(struct slice line, bool at_once)
{
    (void)pthread_mutex_lock(&out.lock);
    bool fits = out.on && line.n <= GATHER_ROOM - out.n;
    if (fits) {
        if (out.asleep) {
            out.asleep = false;
            (void)pthread_cond_signal(&out.wake);
        }
        memcpy(out.filling + out.n, line.p, line.n);
        out.n += line.n;
    }
    bool full = out.n >= GATHER_FULL;
    (void)pthread_mutex_unlock(&out.lock);
    if (!fits)
        flush(line);
    else if (full || at_once)
        flush(slice_of(NULL, 0));
}

/* With the lock held. */
static void wait_a_little(void)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += GATHER_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&out.wake, &out.lock, &until);
}

static void *run(void *ctx)
{
    (void)ctx;
    (void)pthread_mutex_lock(&out.lock);
    while (out.on) {
        while (out.on && out.n == 0) {
            out.asleep = true;
            (void)pthread_cond_wait(&out.wake, &out.lock);
        }
        if (out.on)
            wait_a_little();
        (void)pthread_mutex_unlock(&out.lock);
        flush(slice_of(NULL, 0));
        (void)pthread_mutex_lock(&out.lock);
    }
    (void)pthread_mutex_unlock(&out.lock);
    return NULL;
}

void log_start(void)
{
    sigset_t all, before;

    (void)pthread_mutex_lock(&out.lock);
    assert(!out.on);
    (void)sigfillset(&all); /* signals are for other threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    out.on = true;
    if (pthread_create(&out.thread, NULL, run, NULL) != 0)
        out.on = false; /* then each line is written at once */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_mutex_unlock(&out.lock);
}

void log_stop(void)
{
    (void)pthread_mutex_lock(&out.lock);
    bool was_on = out.on;
    out.on = false;
    (void)pthread_cond_signal(&out.wake);
    (void)pthread_mutex_unlock(&out.lock);
    if (!was_on)
        return;
    (void)pthread_join(out.thread, NULL);
    flush(slice_of(NULL, 0));
}
