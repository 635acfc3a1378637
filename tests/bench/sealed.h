/*
 * The client's side of a sealed connection, for the load generator: challenge, login, welcome, records.
 */
#ifndef KERB_BENCH_SEALED_H
#define KERB_BENCH_SEALED_H

#include "shared/crypto/record.h"

struct sealed_client {
    char *realm, *client, *service, *ticket;
    struct key session;
    struct ecdh *pair;
    struct buf challenge, login;
    struct record_stream c2s, s2c;
    bool has_keys;
};

/* "REALM CLIENT SERVICE KEY TICKET", the key in hexadecimal. Dies when it is not. */
struct sealed_client *sealed_parse(char *line);

/* A text message of the handshake: appends the login frame to *reply behind the challenge, makes the keys behind the
 * welcome. Dies when it is refused. */
void sealed_handshake(struct sealed_client *s, struct slice text, struct buf *reply);

#endif
