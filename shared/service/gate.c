/* The gate: who may try, who has to wait, and what a try leaves behind. */
#include "shared/service/gate.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/service/gate_internal.h"

#define HOLD_DOUBLINGS 30

/* --- keys --- */

/* An IPv4 address, the first 64 bits of an IPv6 address, the whole of any other text. */
static struct slice network_of(const char *address, uint8_t v6[16])
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF}; /* an IPv4 address on a socket for both */

    if (inet_pton(AF_INET6, address, v6) != 1)
        return inet_pton(AF_INET, address, v6) == 1 ? slice_of(v6, 4) : slice_text(address);
    return memcmp(v6, mapped, sizeof(mapped)) == 0 ? slice_of(v6 + 12, 4) : slice_of(v6, 8);
}

static void make_key(const char *what, struct slice a, struct slice b, uint8_t out[GATE_ID])
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t digest[SHA256_LEN] = {0};

    if (buf_text(&text, what) != RC_OK || buf_lp(&text, a) != RC_OK || buf_lp(&text, b) != RC_OK ||
        sha256(buf_slice(&text), digest) != RC_OK)
        memset(digest, 0, sizeof(digest)); /* one bucket for all that could not be told apart */
    memcpy(out, digest, GATE_ID);
}

/* An address is its own key; the last byte tells it from the others, which are hashes. */
static void network_key(struct slice network, uint8_t out[GATE_ID])
{
    memset(out, 0, GATE_ID);
    if (network.n > GATE_ID - 2) {
        make_key("network", network, slice_of(NULL, 0), out);
        return;
    }
    memcpy(out, network.p, network.n);
    out[GATE_ID - 1] = (uint8_t)network.n;
}

static void try_keys(struct slice principal, const char *address, struct gate_try *t)
{
    uint8_t v6[16];
    struct slice network = network_of(address, v6);

    *t = (struct gate_try){.has_principal = principal.n > 0};
    network_key(network, t->network);
    if (!t->has_principal)
        return;
    make_key("principal", principal, slice_of(NULL, 0), t->principal);
    make_key("familiar", principal, network, t->familiar);
}

/* --- rules --- */

static int64_t hold_s(const struct gate *g, const struct bucket *b)
{
    unsigned beyond = b->wrong - g->limits.principal_free;
    int64_t hold = (int64_t)1 << (beyond < HOLD_DOUBLINGS ? beyond : HOLD_DOUBLINGS);

    return hold < g->limits.principal_hold_s ? hold : g->limits.principal_hold_s;
}

/* How many tries may be checked now, those under way included. 0: held. */
static unsigned places(const struct gate *g, const struct bucket *b, int64_t now_s)
{
    if (b->wrong < g->limits.principal_free)
        return g->limits.principal_free - b->wrong;
    return now_s - b->wrong_s >= hold_s(g, b) ? 1 : 0;
}

/* The window starts anew when it is over. */
static unsigned network_places(const struct gate *g, struct bucket *b, int64_t now_s)
{
    if (now_s - b->wrong_s >= g->limits.network_window_s || now_s < b->wrong_s) {
        b->wrong_s = now_s;
        b->wrong = 0;
    }
    return b->wrong < g->limits.network_free ? g->limits.network_free - b->wrong : 0;
}

static struct bucket *principal_bucket(struct gate *g, struct gate_try *t)
{
    const struct bucket *home = bucket_find(g, t->familiar);

    t->is_familiar = home && home->is_familiar;
    return bucket_get(g, t->is_familiar ? t->familiar : t->principal, t->principal);
}

/* Waits while only tries that are still being checked stand in the way. False: the network is flooded. */
static bool enter_network(struct gate *g, const struct gate_try *t, int64_t now_s)
{
    for (;;) {
        struct bucket *b = bucket_get(g, t->network, NULL);
        unsigned n = b ? network_places(g, b, now_s) : 0;
        if (n == 0)
            return false;
        if (b->pending < n) {
            b->pending++;
            return true;
        }
        pthread_cond_wait(&g->resolved, &g->lock);
    }
}

/* The same for the principal. False: held. */
static bool enter_principal(struct gate *g, struct gate_try *t, int64_t now_s)
{
    for (;;) {
        struct bucket *b = principal_bucket(g, t);
        if (!b)
            return false;
        bucket_forget_old(g, b, now_s);
        unsigned n = places(g, b, now_s);
        if (n == 0)
            return false;
        if (b->pending < n) {
            b->pending++;
            return true;
        }
        pthread_cond_wait(&g->resolved, &g->lock);
    }
}

static void leave_network(struct gate *g, const struct gate_try *t, bool was_wrong)
{
    struct bucket *b = bucket_find(g, t->network);

    if (!b)
        return;
    if (b->pending > 0)
        b->pending--;
    if (!was_wrong)
        return;
    b->wrong++;
    bucket_mark(g, b);
}

enum gate_verdict gate_enter(struct gate *g, struct slice principal, const char *address, int64_t now_s,
                             struct gate_try *ret_try)
{
    enum gate_verdict verdict = GATE_OPEN;

    try_keys(principal, address, ret_try);
    pthread_mutex_lock(&g->lock);
    if (!enter_network(g, ret_try, now_s)) {
        verdict = GATE_FLOODED;
    } else if (ret_try->has_principal && !enter_principal(g, ret_try, now_s)) {
        verdict = GATE_HELD;
        leave_network(g, ret_try, true); /* a held try is a wrong one for the network */
        pthread_cond_broadcast(&g->resolved);
    }
    ret_try->is_under_way = verdict == GATE_OPEN;
    pthread_mutex_unlock(&g->lock);
    return verdict;
}

static void done_principal(struct gate *g, const struct gate_try *t, bool was_right, bool was_wrong, int64_t now_s)
{
    struct bucket *b = bucket_find(g, t->is_familiar ? t->familiar : t->principal);

    if (b && b->pending > 0)
        b->pending--;
    if (b && was_wrong) {
        b->wrong++;
        b->wrong_s = now_s;
        bucket_mark(g, b);
    }
    if (!was_right)
        return;
    struct bucket *home = bucket_get(g, t->familiar, t->principal);
    if (!home)
        return;
    home->is_familiar = true;
    home->wrong = 0;
    bucket_touch(g, home);
}

void gate_done(struct gate *g, struct gate_try *t, bool was_right, bool was_wrong, int64_t now_s)
{
    pthread_mutex_lock(&g->lock);
    t->is_under_way = false;
    if (t->has_principal)
        done_principal(g, t, was_right, was_wrong, now_s);
    leave_network(g, t, was_wrong);
    pthread_cond_broadcast(&g->resolved);
    pthread_mutex_unlock(&g->lock);
}

void gate_unlock(struct gate *g, struct slice principal)
{
    struct gate_try t;
    struct bucket *b;

    try_keys(principal, "", &t);
    pthread_mutex_lock(&g->lock);
    for (int worth = WORTH_PRINCIPAL; worth < WORTH_COUNT; worth++)
        TAILQ_FOREACH (b, &g->used[worth], in_use)
            if (memcmp(b->principal, t.principal, GATE_ID) == 0 && b->wrong > 0) {
                b->wrong = 0;
                bucket_mark(g, b);
            }
    pthread_mutex_unlock(&g->lock);
}

size_t gate_buckets(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    size_t n = g->n;
    pthread_mutex_unlock(&g->lock);
    return n;
}

/* --- from open to close --- */

static void gate_free(struct gate *g)
{
    gate_buckets_free(g);
    if (g->fd >= 0)
        (void)close(g->fd);
    str_done(&g->path);
    pthread_cond_destroy(&g->resolved);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

enum rc gate_open(const struct gate_limits *limits, const char *path, int64_t now_s, struct gate **ret)
{
    struct gate *g = calloc(1, sizeof(*g));
    if (!g)
        return RC_NO_MEMORY;
    g->limits = *limits;
    g->fd = -1;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->resolved, NULL);
    gate_buckets_init(g);
    enum rc rc = gate_file_open(g, path, now_s);
    if (rc != RC_OK) {
        gate_free(g);
        return rc;
    }
    *ret = g;
    return RC_OK;
}

void gate_close(struct gate *g)
{
    if (!g)
        return;
    g->is_file_bad = true; /* written anew: with the networks that have become familiar */
    (void)gate_flush(g);
    gate_free(g);
}
