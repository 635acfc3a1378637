/* The gate: buckets of wrong tries, by principal and by network. */
#include "shared/service/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "shared/base/file.h"
#include "shared/base/tree.h"

#define RECORD_BYTES   (GATE_ID * 2 + 4 + 8 + 1) /* key, principal, wrong, last wrong, familiar */
#define FILE_MAX       ((size_t)64 * 1024 * 1024)
#define REWRITE_RATIO  4 /* the file is written anew when it holds so many times more than is alive */
#define REWRITE_LEAST  1000
#define HOLD_DOUBLINGS 30

/* What is forgotten first when there are too many buckets: floods push out their like. */
enum worth { WORTH_NETWORK, WORTH_PRINCIPAL, WORTH_FAMILIAR, WORTH_COUNT };

struct bucket {
    RB_ENTRY(bucket) by_key;
    TAILQ_ENTRY(bucket) in_use; /* least recently used first */
    STAILQ_ENTRY(bucket) in_dirty;
    uint8_t key[GATE_ID];
    uint8_t principal[GATE_ID]; /* whose; zero for a network */
    uint32_t wrong;
    uint32_t pending; /* being checked */
    int64_t wrong_s;  /* when the last wrong try was; for a network, when its window began */
    bool is_familiar, is_dirty;
    enum worth worth; /* whose list it is in */
};

RB_HEAD(buckets, bucket);

struct gate {
    struct gate_limits limits;
    pthread_mutex_t lock;
    pthread_cond_t resolved;
    struct buckets tree;
    TAILQ_HEAD(, bucket) used[WORTH_COUNT];
    size_t used_n[WORTH_COUNT];
    STAILQ_HEAD(, bucket) dirty;
    size_t n, records;
    char *path;
    int fd;           /* -1: nothing is kept */
    bool is_file_bad; /* the flushing thread's, as are records and fd */
};

static int cmp_key(const struct bucket *a, const struct bucket *b)
{
    return memcmp(a->key, b->key, GATE_ID);
}

TREE_GENERATE(buckets, bucket, by_key, cmp_key)

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

/* --- buckets --- */

static struct bucket *find(struct gate *g, const uint8_t key[GATE_ID])
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

static void drop(struct gate *g, struct bucket *b)
{
    RB_REMOVE(buckets, &g->tree, b);
    delist(g, b);
    g->n--;
    free(b);
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

/* It is used, or worth something else. */
static void touch(struct gate *g, struct bucket *b)
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
            drop(g, b);
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

/* NULL: out of memory. */
static struct bucket *get(struct gate *g, const uint8_t key[GATE_ID], const uint8_t *principal)
{
    struct bucket *b = find(g, key);

    if (b) {
        touch(g, b);
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

static void mark(struct gate *g, struct bucket *b)
{
    if (g->fd < 0 || b->is_dirty)
        return;
    b->is_dirty = true;
    STAILQ_INSERT_TAIL(&g->dirty, b, in_dirty);
}

/* --- rules --- */

/* A wall clock that was turned back must hold nobody for longer. */
static void forget_old(const struct gate *g, struct bucket *b, int64_t now_s)
{
    if (b->wrong_s > now_s)
        b->wrong_s = now_s;
    if (b->wrong > 0 && now_s - b->wrong_s > g->limits.forget_s)
        b->wrong = 0;
}

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
    const struct bucket *home = find(g, t->familiar);

    t->is_familiar = home && home->is_familiar;
    return get(g, t->is_familiar ? t->familiar : t->principal, t->principal);
}

/* Waits while only tries that are still being checked stand in the way. False: the network is flooded. */
static bool enter_network(struct gate *g, const struct gate_try *t, int64_t now_s)
{
    for (;;) {
        struct bucket *b = get(g, t->network, NULL);
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
        forget_old(g, b, now_s);
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
    struct bucket *b = find(g, t->network);

    if (!b)
        return;
    if (b->pending > 0)
        b->pending--;
    if (!was_wrong)
        return;
    b->wrong++;
    mark(g, b);
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
    struct bucket *b = find(g, t->is_familiar ? t->familiar : t->principal);

    if (b && b->pending > 0)
        b->pending--;
    if (b && was_wrong) {
        b->wrong++;
        b->wrong_s = now_s;
        mark(g, b);
    }
    if (!was_right)
        return;
    struct bucket *home = get(g, t->familiar, t->principal);
    if (!home)
        return;
    home->is_familiar = true;
    home->wrong = 0;
    touch(g, home);
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
                mark(g, b);
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

/* --- the file: states of buckets, the last one of each counts --- */

static enum rc put_record(const struct bucket *b, struct buf *out)
{
    TRY(buf_add(out, SLICE(b->key)));
    TRY(buf_add(out, SLICE(b->principal)));
    TRY(buf_u32be(out, b->wrong));
    TRY(buf_u64be(out, (uint64_t)b->wrong_s));
    return buf_byte(out, b->is_familiar);
}

static enum rc take_record(struct gate *g, const uint8_t *p)
{
    struct bucket *b = get(g, p, p + GATE_ID);

    if (!b)
        return RC_NO_MEMORY;
    p += (size_t)GATE_ID * 2;
    b->wrong = get_u32be(p);
    b->wrong_s = (int64_t)get_u64be(p + 4);
    b->is_familiar = p[12] != 0;
    touch(g, b);
    return RC_OK;
}

static void drop_empty(struct gate *g, int64_t now_s)
{
    struct bucket *b, *next;

    RB_FOREACH_SAFE (b, buckets, &g->tree, next) {
        forget_old(g, b, now_s);
        if (b->wrong == 0 && !b->is_familiar)
            drop(g, b);
    }
}

/* A torn last record is what a crash leaves. */
static enum rc read_file(struct gate *g, int64_t now_s)
{
    AUTO(buf_done) struct buf content = {0};

    enum rc rc = file_read(g->path, FILE_MAX, FILE_PRIVATE, &content);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    for (size_t at = 0; at + RECORD_BYTES <= content.n; at += RECORD_BYTES)
        TRY(take_record(g, content.p + at));
    drop_empty(g, now_s);
    return RC_OK;
}

/* The file as it would be without its past. Called with the lock held, or by the only thread. */
static enum rc gather_all(const struct gate *g, struct buf *out)
{
    const struct bucket *b;

    for (int worth = 0; worth < WORTH_COUNT; worth++)
        TAILQ_FOREACH (b, &g->used[worth], in_use)
            if (b->wrong > 0 || b->is_familiar)
                TRY(put_record(b, out));
    return RC_OK;
}

/* What changed; it counts as written. */
static enum rc gather_dirty(struct gate *g, struct buf *out)
{
    struct bucket *b;

    while ((b = STAILQ_FIRST(&g->dirty))) {
        STAILQ_REMOVE_HEAD(&g->dirty, in_dirty);
        b->is_dirty = false;
        TRY(put_record(b, out));
    }
    return RC_OK;
}

/* Written anew, then open for appending. */
static enum rc rewrite(struct gate *g, struct slice content)
{
    TRY(file_write_atomic(g->path, content, 0600));
    int fd = open(g->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return RC_IO;
    if (g->fd >= 0)
        (void)close(g->fd);
    g->fd = fd;
    g->records = content.n / RECORD_BYTES;
    return RC_OK;
}

static enum rc append(struct gate *g, struct slice records)
{
    if (records.n > 0 && write(g->fd, records.p, records.n) != (ssize_t)records.n)
        return RC_IO;
    g->records += records.n / RECORD_BYTES;
    return RC_OK;
}

/* Files are written without the lock: who is at the gate does not wait for a disk. */
enum rc gate_flush(struct gate *g)
{
    AUTO(buf_done) struct buf records = {0};

    if (g->fd < 0)
        return RC_OK;
    pthread_mutex_lock(&g->lock);
    bool is_anew = g->is_file_bad || g->records > REWRITE_LEAST + g->n * REWRITE_RATIO;
    enum rc rc = gather_dirty(g, &records);
    if (rc == RC_OK && is_anew) {
        buf_reset(&records);
        rc = gather_all(g, &records);
    }
    pthread_mutex_unlock(&g->lock);
    if (rc == RC_OK)
        rc = is_anew ? rewrite(g, buf_slice(&records)) : append(g, buf_slice(&records));
    g->is_file_bad = rc != RC_OK; /* a part of it may be there: written anew next time, it is whole again */
    return rc;
}

static enum rc open_file(struct gate *g, const char *path, int64_t now_s)
{
    if (!path)
        return RC_OK;
    g->path = slice_dup(slice_text(path));
    if (!g->path)
        return RC_NO_MEMORY;
    AUTO(buf_done) struct buf content = {0};
    TRY(read_file(g, now_s));
    TRY(gather_all(g, &content));
    return rewrite(g, buf_slice(&content));
}

static void gate_free(struct gate *g)
{
    struct bucket *b, *next;

    RB_FOREACH_SAFE (b, buckets, &g->tree, next)
        drop(g, b);
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
    RB_INIT(&g->tree);
    for (int worth = 0; worth < WORTH_COUNT; worth++)
        TAILQ_INIT(&g->used[worth]);
    STAILQ_INIT(&g->dirty);
    enum rc rc = open_file(g, path, now_s);
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
