/*
 * A POST to an inner listener: one small HTTP/1.1 exchange over a loopback socket.
 *
 * Our own and not libcurl: the peer is another daemon of ours under a numeric address of this machine, so names, TLS,
 * redirects, proxies and authentication would be a library's worth of code, in every daemon, that must stay switched
 * off. What is read is bounded and must be exactly what our listener writes.
 */
#ifndef KERB_SERVICE_INNER_CLIENT_H
#define KERB_SERVICE_INNER_CLIENT_H

#include "shared/base/buf.h"

#define INNER_ANSWER_MAX (2 * 1024 * 1024) /* bytes of an answer's body */

/*
 * In:     stop_fd - the wait ends with STOPPED when it becomes readable; -1: none
 * Out:    ret_status; ret_body - owned by the caller
 * Errors: BAD_CONFIG (address), IO (no connection, no whole answer within timeout_ms, not HTTP), STOPPED, NO_MEMORY
 * Thread: any; blocks
 */
MUST enum rc inner_post(const char *address, const char *path, struct slice body, int timeout_ms, int stop_fd,
                        int *ret_status, struct buf *ret_body);

#endif
