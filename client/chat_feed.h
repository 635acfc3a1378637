/*
 * What is said in rooms, each message once and in the order of its number, whatever happens to the connection.
 *
 * Pushes are handed out when they are the next of their room. Where one is missing (the connection dropped and could
 * not be resumed, or this client read too slowly), the history is asked for, and what comes meanwhile is left to it. No
 * socket and no clock: asking and handing out are its owner's. Wire: docs/PROTOCOL.md, "Resume" and "Additive part".
 */
#ifndef KERB_CLIENT_CHAT_FEED_H
#define KERB_CLIENT_CHAT_FEED_H

#include "shared/base/json.h"
#include "shared/base/text.h"

#define FEED_PAGE     200  /* messages of one get_history */
#define FEED_AGAIN_MS 1000 /* after what the server could not do, when it does not say */

struct chat_feed;

struct feed_ops {
    void (*hand_out)(void *ctx, json_t *message);
    /* Sends get_history of what comes after that number. Errors: any; it is tried again later. */
    enum rc (*ask)(void *ctx, const char *room, int64_t after, uint64_t *ret_id);
    void *ctx;
};

struct chat_feed *feed_new(const struct feed_ops *ops); /* NULL: out of memory */
void feed_free(struct chat_feed *f);                    /* accepts NULL */

/* A connection is lost: no answer to what was asked on it will come. */
void feed_lost(struct chat_feed *f);

/* The handshake of a connection, which the program has seen. */
void feed_login(struct chat_feed *f, const json_t *handshake, int64_t now_ms);

/*
 * A message of the server; id: of the request that it answers, 0: none.
 * True: it was the feed's, and what is due was handed out. False: it is to be handed out as it is; of a room that opens
 * what would leave a gap is taken out of it, and follows.
 */
bool feed_takes(struct chat_feed *f, json_t *message, uint64_t id, int64_t now_ms);

/* Asks again where that is due. Out: ms until the next time; INT_MAX: there is none */
int feed_poll(struct chat_feed *f, int64_t now_ms);

#endif
