/*
 * Between the load generator's commands and what the servers speak.
 *
 * A dialect is one way to greet, to post and to read what comes; it tells the commands what has happened.
 */
#ifndef KERB_BENCH_LOAD_H
#define KERB_BENCH_LOAD_H

#include "shared/crypto/box.h"
#include "tests/bench/link.h"
#include "tests/bench/sealed.h"

struct conn;

struct post {
    const char *room, *text;
    const char *cid; /* NULL: none, and no ack is asked for */
};

struct dialect {
    const char *name; /* the first word of a line of the file of connections */
    const char *path, *subprotocol;
    /* The upgrade is done. line: what follows the name; its memory lasts for this call. */
    void (*begin)(struct conn *c, char *line);
    void (*take)(struct conn *c, unsigned opcode, struct slice payload);
    void (*post)(struct conn *c, const struct post *p);
};

struct conn {
    struct link link; /* first */
    const struct dialect *dialect;
    bool is_greeted;
    uint64_t begun_us;
    uint8_t key[BOX_KEY];         /* classic */
    struct sealed_client *sealed; /* sealed */
    char *topic;                  /* of a broker */
    struct buf stream;            /* of a broker: what is not a whole packet yet */
    size_t got, posted, acked;    /* of this measurement */
};

/* classic, sealed, bare; mqtt, nats. NULL: none of that name. */
const struct dialect *dialect_chat(const char *name);
const struct dialect *dialect_broker(const char *name);

/* What a dialect tells. */
void load_greeted(struct conn *c);          /* it may post now */
bool load_wants_open(const struct conn *c); /* is it of use to open what comes on this connection? */
void load_got(struct conn *c, struct slice text, size_t payload_len); /* a message. text: opened, or nothing */

/* Sends a request of the chat. */
void chat_send(struct conn *c, struct slice json);

#endif
