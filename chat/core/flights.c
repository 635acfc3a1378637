/*
 * What is on its way to the store or waits for it, by name: a message by its cid, a revision by what it revises. A
 * second one of the same name would leave a hole in the numbers of its room, and hold up everybody's; or it would
 * revise what is not there yet. It is told to ask again.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/core/internal.h"

#define REVISION_NAME (1 + ID_LEN + 8)

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

/* NUL | room uid | seq u64be: no cid holds a NUL. */
static struct slice revision_name(const struct chat_job *job, uint8_t name[REVISION_NAME])
{
    name[0] = 0;
    memcpy(name + 1, job->room_uid, ID_LEN);
    put_u64be(name + 1 + ID_LEN, job->message.target);
    return slice_of(name, REVISION_NAME);
}

bool flight_begin_revision(struct chat *chat, const struct chat_job *job)
{
    uint8_t name[REVISION_NAME];
    return flight_begin(chat, job->who, revision_name(job, name));
}

static void drop(struct chat *chat, struct flight *f)
{
    RB_REMOVE(flights, &chat->flights, f);
    buf_done(&f->cid);
    free(f);
}

void flight_end(struct chat *chat, const struct chat_job *job)
{
    uint8_t text[REVISION_NAME];
    struct slice name = job->message.target ? revision_name(job, text) : buf_slice(&job->cid);

    if (job->kind == JOB_FIND_MESSAGE)
        return; /* it asks for one, and is none */
    struct flight *f = name.n ? find(chat, job->who, name) : NULL;
    if (f)
        drop(chat, f);
}

void flights_free(struct chat *chat)
{
    struct flight *f;

    while ((f = RB_MIN(flights, &chat->flights)))
        drop(chat, f);
}
