/* A tree of clients behind a lock that readers share. */
#include "tgs/epochs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/tree.h"

struct client {
    RB_ENTRY(client) link;
    uint8_t id[ID_LEN];
    uint32_t epoch;
};
RB_HEAD(client_tree, client);

struct tgs_epochs {
    pthread_rwlock_t lock;
    struct client_tree clients;
};

static int client_cmp(const struct client *a, const struct client *b)
{
    return memcmp(a->id, b->id, ID_LEN);
}

TREE_GENERATE(client_tree, client, link, client_cmp)

enum rc tgs_epochs_new(struct tgs_epochs **ret)
{
    struct tgs_epochs *e = calloc(1, sizeof *e);

    if (!e || pthread_rwlock_init(&e->lock, NULL) != 0) {
        free(e);
        return RC_NO_MEMORY;
    }
    RB_INIT(&e->clients);
    *ret = e;
    return RC_OK;
}

void tgs_epochs_free(struct tgs_epochs *e)
{
    struct client *c;

    if (!e)
        return;
    while ((c = RB_ROOT(&e->clients))) {
        (void)RB_REMOVE(client_tree, &e->clients, c);
        free(c);
    }
    (void)pthread_rwlock_destroy(&e->lock);
    free(e);
}

static struct client *find(struct tgs_epochs *e, const uint8_t client_id[ID_LEN])
{
    struct client key;
    memcpy(key.id, client_id, ID_LEN);
    return RB_FIND(client_tree, &e->clients, &key);
}

static struct client *add(struct tgs_epochs *e, const uint8_t client_id[ID_LEN])
{
    struct client *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    memcpy(c->id, client_id, ID_LEN);
    (void)RB_INSERT(client_tree, &e->clients, c);
    return c;
}

enum rc tgs_epochs_raise(struct tgs_epochs *e, const uint8_t client_id[ID_LEN], uint32_t epoch)
{
    (void)pthread_rwlock_wrlock(&e->lock);
    struct client *c = find(e, client_id);
    if (!c)
        c = add(e, client_id);
    if (c && epoch > c->epoch)
        c->epoch = epoch;
    (void)pthread_rwlock_unlock(&e->lock);
    return c ? RC_OK : RC_NO_MEMORY;
}

uint32_t tgs_epochs_of(struct tgs_epochs *e, const uint8_t client_id[ID_LEN])
{
    (void)pthread_rwlock_rdlock(&e->lock);
    const struct client *c = find(e, client_id);
    uint32_t epoch = c ? c->epoch : 0;
    (void)pthread_rwlock_unlock(&e->lock);
    return epoch;
}
