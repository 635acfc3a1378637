/*
 * What a person says, on its way to the chat: in order, and not lost with a connection.
 *
 * One message is under way at a time, under a name of its own (`cid`), so that one whose answer did not come is sent
 * again and stored once. What is for a sealed room that has closed waits until it is open, and what is for other rooms
 * goes on. No socket and no clock: sending and telling are its owner's. Wire: docs/PROTOCOL.md, "Additive part".
 */
#ifndef KERB_CLIENT_CHAT_OUTBOX_H
#define KERB_CLIENT_CHAT_OUTBOX_H

#include "shared/base/json.h"

#define OUTBOX_MAX      200  /* messages: more than a person types in an outage, at most 12 MB */
#define OUTBOX_AGAIN_MS 1000 /* after what could not be done, when nobody says how long */

struct chat_outbox;

enum outbox_wait {
    OUTBOX_CONNECTION, /* there is none */
    OUTBOX_ROOM,       /* it is closed */
    OUTBOX_SERVER,     /* it cannot store anything at the moment */
};

struct outbox_ops {
    /* Out: ret_id - what the answer's id will be. Errors: any; it is tried again later. */
    enum rc (*send)(void *ctx, const json_t *message, uint64_t *ret_id);
    /* It is still here; once for each message and reason. */
    void (*waits)(void *ctx, const json_t *message, enum outbox_wait why);
    /* For good, and it is no longer in here; error: what the server answered. */
    void (*refused)(void *ctx, const json_t *message, const json_t *error);
    void *ctx;
};

struct chat_outbox *outbox_new(const struct outbox_ops *ops); /* NULL: out of memory */
void outbox_free(struct chat_outbox *o);                      /* accepts NULL */

/* message: a new_message with a cid; its reference is taken. Errors: LIMIT (it is full), NO_MEMORY. */
MUST enum rc outbox_add(struct chat_outbox *o, json_t *message);

/* The connection is lost; it is back. */
void outbox_lost(struct chat_outbox *o);
void outbox_back(struct chat_outbox *o);

/* A room is open. */
void outbox_open(struct chat_outbox *o, struct slice room);

/* An answer of the server to the request of that number. True: it was for what is under way. */
bool outbox_takes(struct chat_outbox *o, const json_t *answer, uint64_t id, int64_t now_ms);

/* Sends what is due. Out: ms until the next time; INT_MAX: there is none */
int outbox_poll(struct chat_outbox *o, int64_t now_ms);

bool outbox_is_full(const struct chat_outbox *o);
bool outbox_is_busy(const struct chat_outbox *o); /* something is in here that no closed room holds back */

/* The oldest, taken out of it, to be released with json_done(). NULL: it is empty. */
json_t *outbox_take(struct chat_outbox *o);

#endif
