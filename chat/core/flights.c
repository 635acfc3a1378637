/*
 * The names of messages that are on their way to the store or wait for it. A second one of the same name would leave a
 * hole in the numbers of its room, and hold up everybody's: it is told to ask again.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/core/internal.h"

struct flight {
    RB_ENTRY(flight) by_name;
    uint8_t who[ID_LEN];
    struct buf cid;
};

static int cmp_name(const struct flight *a, const struct flight *b)
{
    int d = memcmp(a->who, b->who, ID_LEN);
    return d ? d : slice_cmp(buf_slice(&a->cid), buf_slice(&b->cid));
}

TREE_GENERATE(flights, flight, by_name, cmp_name)

static struct flight *find(struct chat *chat, const uint8_t who[ID_LEN], struct slice cid)
{
    struct flight key = {
        .cid = {.p = (uint8_t *)(uintptr_t)cid.p, .n = cid.n}
    };

    memcpy(key.who, who, ID_LEN);
    return RB_FIND(flights, &chat->flights, &key);
}

bool flight_begin(struct chat *chat, const uint8_t who[ID_LEN], struct slice cid)
{
    if (cid.n == 0)
        return true;
    if (find(chat, who, cid))
        return false;
    struct flight *f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    memcpy(f->who, who, ID_LEN);
    must(buf_add(&f->cid, cid));
    RB_INSERT(flights, &chat->flights, f);
    return true;
}

static void drop(struct chat *chat, struct flight *f)
{
    RB_REMOVE(flights, &chat->flights, f);
    buf_done(&f->cid);
    free(f);
}

void flight_end(struct chat *chat, const struct chat_job *job)
{
    struct flight *f = job->cid.n ? find(chat, job->who, buf_slice(&job->cid)) : NULL;

    if (f)
        drop(chat, f);
}

void flights_free(struct chat *chat)
{
    struct flight *f;

    while ((f = RB_MIN(flights, &chat->flights)))
        drop(chat, f);
}
