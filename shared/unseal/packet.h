/* Inside shared/unseal: the socket's address and the packets. */
#ifndef KERB_UNSEAL_PACKET_H
#define KERB_UNSEAL_PACKET_H

#include <sys/un.h>

#include "shared/unseal/unseal.h"

#define PACKET_MAX        512
#define PACKET_TIMEOUT_MS 2000

/*
 * The address of the socket in that directory, however long its path is.
 * Out: ret_dir - a descriptor that must stay open while the address is used. Errors: NOT_FOUND, IO.
 */
MUST enum rc unseal_address(const char *dir, struct sockaddr_un *ret, int *ret_dir);

MUST enum rc unseal_reply_write(const struct unseal_reply *r, struct buf *out);
MUST enum rc unseal_reply_read(struct slice packet, struct unseal_reply *ret); /* Errors: MALFORMED */

/* A packet within PACKET_TIMEOUT_MS; appended. Errors: IO, LIMIT. */
MUST enum rc unseal_receive(int fd, struct buf *ret);
MUST enum rc unseal_send(int fd, struct slice packet);

void unseal_fd_done(int *fd); /* for AUTO; -1: none */

#endif
