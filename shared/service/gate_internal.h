/*
 * What the files of the gate share with each other and with nobody else: its buckets, and what keeps them.
 */
#ifndef KERB_SERVICE_GATE_INTERNAL_H
#define KERB_SERVICE_GATE_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "shared/base/tree.h"
#include "shared/service/gate.h"

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

/* gate_buckets.c. Called with the lock held, or by the only thread. */
void gate_buckets_init(struct gate *g);
void gate_buckets_free(struct gate *g);
struct bucket *bucket_find(struct gate *g, const uint8_t key[GATE_ID]);
/* Made when it is not there; principal: whose, NULL for a network. NULL: out of memory. */
struct bucket *bucket_get(struct gate *g, const uint8_t key[GATE_ID], const uint8_t *principal);
void bucket_touch(struct gate *g, struct bucket *b); /* it is used, or worth something else */
void bucket_mark(struct gate *g, struct bucket *b);  /* it is to be written */
void bucket_drop(struct gate *g, struct bucket *b);
void bucket_forget_old(const struct gate *g, struct bucket *b, int64_t now_s);
void gate_buckets_drop_empty(struct gate *g, int64_t now_s);

/* gate_file.c. gate_flush() is there, too. */
MUST enum rc gate_file_open(struct gate *g, const char *path, int64_t now_s); /* NULL: nothing is kept */

#endif
