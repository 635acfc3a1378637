/*
 * The reaper: ends connections whose request takes too long in all (slow headers, slow body, slow reading of the
 * reply).
 *
 * libmicrohttpd's own timeout counts inactivity only: one byte a second lives for ever. Here a connection has a time of
 * its own, and a thread shuts the socket down when it is over. Invariant: a watched descriptor is open, because it is
 * unwatched (under the same lock that the reaper holds) before libmicrohttpd closes it.
 * Thread: watch_* from libmicrohttpd's workers; a watch belongs to one connection.
 */
#ifndef KERB_SERVICE_HTTP_REAPER_H
#define KERB_SERVICE_HTTP_REAPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "shared/service/http.h"

enum watch_phase {
    WATCH_FRESH, /* connected; its first headers are awaited: counts as the request */
    WATCH_BUSY,  /* headers are read, or the reply is being written */
    WATCH_IDLE,  /* kept alive, between two requests */
};

struct watch {
    TAILQ_ENTRY(watch) entry;
    int fd;
    _Atomic int64_t since_ms; /* monotonic: begin of the phase; FRESH and BUSY of one request share it */
    _Atomic int phase;
};

TAILQ_HEAD(watch_list, watch);

struct reaper {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    struct watch_list list; /* lock */
    size_t n;               /* lock */
    size_t crowded_n;       /* with more connections than that, idle ones get no more time than busy ones */
    int64_t timeout_ms;
    bool stop, draining; /* lock */
};

MUST enum rc reaper_start(struct reaper *r, unsigned timeout_s, size_t connections_max);
void reaper_stop(struct reaper *r);

/* From now on idle connections are ended, and fresh ones that stay silent. What was received is still served. */
void reaper_drain(struct reaper *r);
size_t reaper_connections(struct reaper *r);

void watch_add(struct reaper *r, struct watch *w, int fd);
void watch_remove(struct reaper *r, struct watch *w);
void watch_request(struct watch *w); /* headers are read */
void watch_idle(struct watch *w);    /* the reply is written */

#endif
