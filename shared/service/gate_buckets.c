/* The gate's buckets: found by key, and forgotten when there are too many. */
#include <stdlib.h>
#include <string.h>

#include "shared/service/gate_internal.h"

static int cmp_key(const struct bucket *a, const struct bucket *b)
{
    return memcmp(a->key, b->key, GATE_ID);
}

TREE_GENERATE(buckets, bucket, by_key, cmp_key)

struct bucket *bucket_find(struct gate *g, const uint8_t key[GATE_ID])
{
    struct bucket want;

    memcpy(want.key, key, GATE_ID);
    return RB_FIND(buckets, &g->tree, &want);
}

static void delist(struct gate *g, struct bucket *b)
{
    TAILQ_REMOVE(&g->used[b->worth], b, in_use);
    g->used_n[b->worth]--;
}

void bucket_drop(struct gate *g, struct bucket *b)
{
    RB_REMOVE(buckets, &g->tree, b);
    delist(g, b);
    g->n--;
    free(b);
}

void gate_buckets_init(struct gate *g)
{
    RB_INIT(&g->tree);
    for (int worth = 0; worth < WORTH_COUNT; worth++)
        TAILQ_INIT(&g->used[worth]);
    STAILQ_INIT(&g->dirty);
}

void gate_buckets_free(struct gate *g)
{
    struct bucket *b, *next;

    RB_FOREACH_SAFE (b, buckets, &g->tree, next)
        bucket_drop(g, b);
}

static void enlist(struct gate *g, struct bucket *b)
{
    static const uint8_t nobody[GATE_ID];

    b->worth = b->is_familiar                               ? WORTH_FAMILIAR
               : memcmp(b->principal, nobody, GATE_ID) != 0 ? WORTH_PRINCIPAL
                                                            : WORTH_NETWORK;
    TAILQ_INSERT_TAIL(&g->used[b->worth], b, in_use);
    g->used_n[b->worth]++;
}

void bucket_touch(struct gate *g, struct bucket *b)
{
    delist(g, b);
    enlist(g, b);
}

/* The least recently used of that worth that nobody is waiting for and that is written. */
static bool evict_of(struct gate *g, enum worth worth)
{
    struct bucket *b;

    TAILQ_FOREACH (b, &g->used[worth], in_use)
        if (b->pending == 0 && !b->is_dirty) {
            bucket_drop(g, b);
            return true;
        }
    return false;
}

/* Makes room: of what has more than its share of the buckets; else of the least worth. */
static void evict(struct gate *g)
{
    static const size_t share[WORTH_COUNT] = {
        [WORTH_NETWORK] = GATE_BUCKETS_MAX / 4,
        [WORTH_PRINCIPAL] = GATE_BUCKETS_MAX / 4,
        [WORTH_FAMILIAR] = GATE_BUCKETS_MAX / 2,
    };

    for (int worth = 0; worth < WORTH_COUNT; worth++)
        if (g->used_n[worth] > share[worth] && evict_of(g, (enum worth)worth))
            return;
    for (int worth = 0; worth < WORTH_COUNT; worth++)
        if (evict_of(g, (enum worth)worth))
            return;
}

struct bucket *bucket_get(struct gate *g, const uint8_t key[GATE_ID], const uint8_t *principal)
{
    struct bucket *b = bucket_find(g, key);

    if (b) {
        bucket_touch(g, b);
        return b;
    }
    if (g->n >= GATE_BUCKETS_MAX)
        evict(g);
    b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    memcpy(b->key, key, GATE_ID);
    if (principal)
        memcpy(b->principal, principal, GATE_ID);
    RB_INSERT(buckets, &g->tree, b);
    enlist(g, b);
    g->n++;
    return b;
}

void bucket_mark(struct gate *g, struct bucket *b)
{
    if (g->fd < 0 || b->is_dirty)
        return;
    b->is_dirty = true;
    STAILQ_INSERT_TAIL(&g->dirty, b, in_dirty);
}

/* A wall clock that was turned back must hold nobody for longer. */
void bucket_forget_old(const struct gate *g, struct bucket *b, int64_t now_s)
{
    if (b->wrong_s > now_s)
        b->wrong_s = now_s;
    if (b->wrong > 0 && now_s - b->wrong_s > g->limits.forget_s)
        b->wrong = 0;
}

void gate_buckets_drop_empty(struct gate *g, int64_t now_s)
{
    struct bucket *b, *next;

    RB_FOREACH_SAFE (b, buckets, &g->tree, next) {
        bucket_forget_old(g, b, now_s);
        if (b->wrong == 0 && !b->is_familiar)
            bucket_drop(g, b);
    }
}
