/* A pool of handles: a stack, so that the handle used last, whose pages are warm, is used next. */
#include "shared/db/pool.h"

#include <assert.h>

void pool_init(struct pool *p)
{
    p->n = 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->returned, NULL);
}

void pool_done(struct pool *p)
{
    pthread_cond_destroy(&p->returned);
    pthread_mutex_destroy(&p->lock);
}

void pool_put(struct pool *p, void *handle)
{
    pthread_mutex_lock(&p->lock);
    assert(p->n < POOL_MAX);
    p->idle[p->n++] = handle;
    pthread_cond_signal(&p->returned);
    pthread_mutex_unlock(&p->lock);
}

void *pool_take(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->n == 0)
        pthread_cond_wait(&p->returned, &p->lock);
    void *handle = p->idle[--p->n];
    pthread_mutex_unlock(&p->lock);
    return handle;
}

void *pool_drain(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    void *handle = p->n ? p->idle[--p->n] : NULL;
    pthread_mutex_unlock(&p->lock);
    return handle;
}
