/*
 * A pool of handles that one thread uses at a time, lent to the workers of a daemon.
 *
 * Thread: pool_take and pool_put, any. Handles are put in before the workers start and closed by their owner after the
 * workers have stopped.
 */
#ifndef KERB_DB_POOL_H
#define KERB_DB_POOL_H

#include <pthread.h>
#include <stddef.h>

#define POOL_MAX 64 /* handles: as many as a daemon may have threads */

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    void *idle[POOL_MAX];
    size_t n;
};

void pool_init(struct pool *p);
void pool_done(struct pool *p);

/* Gives back a handle, or adds a new one: at most POOL_MAX in all. */
void pool_put(struct pool *p, void *handle);

/* Borrows one; waits while all are lent. */
void *pool_take(struct pool *p);

/* Takes one out without waiting; NULL when none is idle. For the end: closes what is left. */
void *pool_drain(struct pool *p);

#endif
