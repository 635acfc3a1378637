/*
 * The inner listener of a daemon: HTTP on loopback, for the other daemons and the monitoring of this machine.
 *
 * Few connections, a thread for each, so a handler may wait (a long poll). Whoever is on this machine can reach it, so
 * it tells nobody a secret in clear and changes nothing for somebody who has not proved a key.
 * Threads: one that accepts, one for each connection; they call the handlers, several at a time.
 */
#ifndef KERB_SERVICE_INNER_H
#define KERB_SERVICE_INNER_H

#include "shared/service/http.h"

#define INNER_CONNECTIONS_MAX 32 /* a poll of each daemon and some scrapers */
#define INNER_IDLE_S          60 /* longer than a poll is held */

struct inner_route {
    const char *method; /* "GET" or "POST" */
    const char *path;   /* served with and without a slash at its end */
    /* Fills the reply as a handler of http.h does. A handler that waits ends soon after its owner was told to stop. */
    void (*serve)(void *ctx, const struct http_request *req, struct http_reply *reply);
    void *ctx;
};

struct inner;

/*
 * routes must outlive the listener.
 * Out:    error - a sentence, when it fails
 * Errors: BAD_CONFIG (not loopback), IO, NO_MEMORY
 */
MUST enum rc inner_start(const char *listen, const struct inner_route *routes, size_t routes_n, struct inner **ret,
                         struct buf *error);
unsigned inner_port(const struct inner *inner);

/* Waits for the handlers to end: tell those that wait before. Accepts NULL. */
void inner_stop(struct inner *inner);

#endif
