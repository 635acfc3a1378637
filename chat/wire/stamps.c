/* Replayed frames, by ticket. */
#include "chat/wire/stamps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "shared/base/tree.h"

#define DIGEST_KEPT   16 /* bytes: finding another frame of the same 128 bits is out of reach */
#define SWEEP_EVERY_S 30
#define SAVED_BYTES   (ID_LEN + 8)

struct entry {
    RB_ENTRY(entry)
    by_digest;
    TAILQ_ENTRY(entry) in_order; /* of arrival: stamps are out of order by at most the window */
    int64_t stamp_s;
    uint8_t digest[DIGEST_KEPT];
};

/* What the tickets of one client hold together. */
struct client {
    RB_ENTRY(client)
    by_id;
    uint8_t id[ID_LEN];
    size_t windows_n, n;
};

RB_HEAD(entries, entry);
RB_HEAD(windows, stamps_window);
RB_HEAD(clients, client);

struct stamps_window {
    RB_ENTRY(stamps_window)
    by_ticket;
    struct stamps *all;
    struct client *client; /* NULL after a restart, until he comes */
    uint8_t ticket_id[ID_LEN];
    unsigned holders;
    int64_t newest_s, floor_s; /* at or below the floor everything is old */
    struct entries known;
    TAILQ_HEAD(, entry) order;
    size_t n;
};

struct stamps {
    struct windows windows;
    struct clients clients;
    int64_t keep_s, swept_s;
    int64_t clock_s; /* the latest time seen: it never goes back */
    size_t n;
};

static int cmp_digest(const struct entry *a, const struct entry *b)
{
    return memcmp(a->digest, b->digest, DIGEST_KEPT);
}

static int cmp_ticket(const struct stamps_window *a, const struct stamps_window *b)
{
    return memcmp(a->ticket_id, b->ticket_id, ID_LEN);
}

static int cmp_client(const struct client *a, const struct client *b)
{
    return memcmp(a->id, b->id, ID_LEN);
}

TREE_GENERATE(entries, entry, by_digest, cmp_digest)
TREE_GENERATE(windows, stamps_window, by_ticket, cmp_ticket)
TREE_GENERATE(clients, client, by_id, cmp_client)

struct stamps *stamps_new(int64_t keep_s)
{
    struct stamps *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    RB_INIT(&s->windows);
    RB_INIT(&s->clients);
    s->keep_s = keep_s;
    return s;
}

static void forget(struct stamps_window *w, struct entry *e)
{
    RB_REMOVE(entries, &w->known, e);
    TAILQ_REMOVE(&w->order, e, in_order);
    free(e);
    w->n--;
    w->client->n--;
    w->all->n--;
}

static bool client_set(struct stamps_window *w, const uint8_t client_id[ID_LEN])
{
    struct client key, *c;

    memcpy(key.id, client_id, ID_LEN);
    c = RB_FIND(clients, &w->all->clients, &key);
    if (!c) {
        c = calloc(1, sizeof(*c));
        if (!c)
            return false;
        memcpy(c->id, client_id, ID_LEN);
        RB_INSERT(clients, &w->all->clients, c);
    }
    c->windows_n++;
    w->client = c;
    return true;
}

static void client_release(struct stamps_window *w)
{
    if (!w->client || --w->client->windows_n > 0)
        return;
    RB_REMOVE(clients, &w->all->clients, w->client);
    free(w->client);
}

static void window_free(struct stamps_window *w)
{
    struct entry *e;

    while ((e = TAILQ_FIRST(&w->order)))
        forget(w, e);
    client_release(w);
    RB_REMOVE(windows, &w->all->windows, w);
    free(w);
}

void stamps_free(struct stamps *s)
{
    struct stamps_window *w;

    if (!s)
        return;
    while ((w = RB_MIN(windows, &s->windows)))
        window_free(w);
    free(s);
}

static struct stamps_window *window_get(struct stamps *s, const uint8_t ticket_id[ID_LEN])
{
    struct stamps_window key, *w;

    memcpy(key.ticket_id, ticket_id, ID_LEN);
    w = RB_FIND(windows, &s->windows, &key);
    if (!w) {
        w = calloc(1, sizeof(*w));
        if (!w)
            return NULL;
        w->all = s;
        memcpy(w->ticket_id, ticket_id, ID_LEN);
        w->newest_s = w->floor_s = INT64_MIN / 2;
        RB_INIT(&w->known);
        TAILQ_INIT(&w->order);
        RB_INSERT(windows, &s->windows, w);
    }
    return w;
}

struct stamps_window *stamps_hold(struct stamps *s, const uint8_t ticket_id[ID_LEN], const uint8_t client_id[ID_LEN])
{
    struct stamps_window *w = window_get(s, ticket_id);

    if (!w || (!w->client && !client_set(w, client_id)))
        return NULL; /* a window without a holder goes with the next sweep */
    w->holders++;
    return w;
}

void stamps_release(struct stamps_window *w)
{
    if (w)
        w->holders--; /* the next sweep frees it, once none of its stamps could be accepted any more */
}

/* Stamps this old are refused whatever the window knows, also when the clock is set back. */
static void sweep(struct stamps *s)
{
    struct stamps_window *w, *next;

    if (s->clock_s - s->swept_s < SWEEP_EVERY_S)
        return;
    s->swept_s = s->clock_s;
    RB_FOREACH_SAFE (w, windows, &s->windows, next)
        if (w->holders == 0 && w->newest_s + s->keep_s < s->clock_s)
            window_free(w);
}

enum rc stamps_check(struct stamps_window *w, int64_t stamp_s, const uint8_t digest[SHA256_LEN], int64_t now_s)
{
    struct entry *e;

    if (now_s > w->all->clock_s)
        w->all->clock_s = now_s;
    sweep(w->all);
    if (stamp_s <= w->floor_s || stamp_s < w->newest_s - STAMPS_WINDOW_S || stamp_s < w->all->clock_s - w->all->keep_s)
        return RC_REPEAT;
    if (stamp_s > w->newest_s) {
        w->newest_s = stamp_s;
        while ((e = TAILQ_FIRST(&w->order)) && e->stamp_s < stamp_s - STAMPS_WINDOW_S)
            forget(w, e);
    }
    if (w->n >= STAMPS_TICKET_MAX || w->client->n >= STAMPS_CLIENT_MAX || w->all->n >= STAMPS_TOTAL_MAX)
        return RC_RATE_LIMITED;
    e = calloc(1, sizeof(*e));
    if (!e)
        return RC_NO_MEMORY;
    e->stamp_s = stamp_s;
    memcpy(e->digest, digest, DIGEST_KEPT);
    if (RB_INSERT(entries, &w->known, e)) {
        free(e);
        return RC_REPEAT;
    }
    TAILQ_INSERT_TAIL(&w->order, e, in_order);
    w->n++;
    w->client->n++;
    w->all->n++;
    return RC_OK;
}

enum rc stamps_save(const struct stamps *s, struct buf *out)
{
    struct stamps_window *w;

    RB_FOREACH (w, windows, TREE_CONST(windows, &s->windows)) {
        TRY(buf_add(out, SLICE(w->ticket_id)));
        TRY(buf_u64be(out, (uint64_t)w->newest_s));
    }
    return RC_OK;
}

enum rc stamps_restore(struct stamps *s, struct slice saved)
{
    if (saved.n % SAVED_BYTES)
        return RC_MALFORMED;
    for (size_t i = 0; i < saved.n; i += SAVED_BYTES) {
        struct stamps_window *w = window_get(s, saved.p + i);
        if (!w)
            return RC_NO_MEMORY;
        w->newest_s = w->floor_s = (int64_t)get_u64be(saved.p + i + ID_LEN);
    }
    return RC_OK;
}
