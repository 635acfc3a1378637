/*
 * A client's websocket: TCP or TLS, the upgrade, frames in and out. One epoll set for all of them.
 *
 * What goes wrong ends the program, as in net.h: a lost connection is a failed measurement.
 */
#ifndef KERB_BENCH_LINK_H
#define KERB_BENCH_LINK_H

#include <openssl/ssl.h>

#include "tests/bench/net.h"

struct link {
    int fd;
    SSL *tls;        /* NULL: plain TCP */
    struct buf rest; /* the begin of a frame whose end has not come */
    struct buf part; /* of a message in several frames */
    unsigned part_opcode;
    void (*take)(struct link *l, unsigned opcode, struct slice payload); /* a whole message, WS_TEXT or WS_BINARY */
};

void link_setup(bool with_tls); /* first; with_tls: every link, with any certificate */

/* Connects and waits for the upgrade; subprotocol: NULL for none. l->take is set before. */
void link_open(struct link *l, int port, const char *path, const char *subprotocol);
void link_send(struct link *l, unsigned opcode, struct slice payload);

/* Reads what has come on any link, waiting at most timeout_ms, and calls their take. */
void link_pump(int timeout_ms);
void link_read(struct link *l); /* what came with the upgrade */

#endif
