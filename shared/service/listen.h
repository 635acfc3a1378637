/*
 * A listening TCP socket from "address:port", opened by ourselves so that port 0 works and failures read well.
 */
#ifndef KERB_SERVICE_LISTEN_H
#define KERB_SERVICE_LISTEN_H

#include <sys/socket.h>

#include "shared/base/text.h"

struct listen_address {
    struct sockaddr_storage sa;
    socklen_t len;
    char host[ADDRESS_MAX];
    unsigned port; /* 0: any free one */
};

/* "127.0.0.1:8801", "[::1]:8801": numbers only, no names are looked up. Errors: BAD_CONFIG. */
MUST enum rc listen_parse(const char *text, struct listen_address *ret);

/* True for "address:port" with an address of loopback. */
bool listen_is_loopback(const char *listen);

/*
 * Out:    ret_fd - non-blocking, closed on exec; ret_port - the real one; error - a sentence, when it fails
 * Errors: BAD_CONFIG, IO (told in error).
 */
MUST enum rc listen_open(const char *text, int *ret_fd, unsigned *ret_port, struct buf *error);

#endif
