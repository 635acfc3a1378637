/*
 * A websocket as a client has one, on libwebsockets: one connection, whole messages, bounded in size and number.
 * Certificates are checked, redirects are not followed, the subprotocol must come back. With chat/edge the only place
 * that includes libwebsockets.h.
 *
 * Thread: one owner. Nothing happens outside ws_wait() and ws_close().
 */
#ifndef KERB_CLIENT_WS_H
#define KERB_CLIENT_WS_H

#include "shared/base/buf.h"

#define WS_MESSAGE_MAX (1024 * 1024) /* bytes of a message of the server's; PROTOCOL.md section 1 */
#define WS_QUEUE_MAX   256           /* messages that wait to be sent */

struct ws;

struct ws_options {
    const char *url;      /* http://HOST[:PORT]/PATH or https://..., in the spelling of http_url_check() */
    const char *ca_file;  /* "": the system's authorities */
    const char *protocol; /* to be asked for and echoed; a string that outlives the connection */
    unsigned timeout_s;   /* until the connection stands */
    /*
     * A whole message. Called before anything that follows it is read, so before a ping behind it is answered. May call
     * ws_send() and ws_end(), not ws_wait() and ws_close().
     */
    void (*message)(void *ctx, struct slice message, bool is_binary);
    void *ctx;
};

enum ws_state {
    WS_CONNECTING,
    WS_OPEN,
    WS_CLOSED,
};

/* Starts to connect. Errors: MALFORMED (URL), NO_MEMORY, IO. */
MUST enum rc ws_open(const struct ws_options *options, struct ws **ret);

/* Says goodbye when it can within half a second, then frees; accepts NULL. */
void ws_close(struct ws *w);

enum ws_state ws_state(const struct ws *w);

/* Queues a message. Errors: LIMIT (the queue is full), STOPPED (closed), NO_MEMORY. */
MUST enum rc ws_send(struct ws *w, struct slice message, bool is_binary);

/* Closes with a code, behind what is queued. */
void ws_end(struct ws *w, unsigned code);

/*
 * Waits until something has happened here, until other_fd can be read (-1: none), or until timeout_ms are over.
 * Out: true - other_fd can be read, or is at its end
 */
bool ws_wait(struct ws *w, int other_fd, int timeout_ms);

/* Of a closed one: the peer's code (0: none came), and why it could not connect (or ""). */
unsigned ws_close_code(const struct ws *w);
const char *ws_error(const struct ws *w);

#endif
