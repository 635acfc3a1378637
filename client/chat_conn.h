/*
 * What the files of the chat connection share of it, and nobody else: chat.c has its life, chat_read.c what comes,
 * chat_call.c what is asked, chat_lost.c its end and what follows.
 */
#ifndef KERB_CLIENT_CHAT_CONN_H
#define KERB_CLIENT_CHAT_CONN_H

#include <bsd/sys/queue.h>

#include "client/chat.h"
#include "client/chat_feed.h"
#include "client/ws.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS   30000
#define CODE_TOO_BIG     1009

struct letter {
    STAILQ_ENTRY(letter) of_inbox;
    json_t *json;
};

struct kerb_chat {
    struct kerb *k;
    struct kerb_chat_options o;
    struct name service;
    char device[64];
    struct ws *ws;             /* NULL: lost, to be sought at retry_ms */
    struct cache_entry ticket; /* for its login */
    struct chat_session session;
    struct chat_keeper *keeper;
    struct chat_presence presence;
    struct chat_feed *feed;    /* of what is handed out; NULL: nothing is */
    struct chat_resume resume; /* where the last connection stood */
    bool has_resume;
    uint64_t processed; /* records of this one that are in the inbox, or were */
    STAILQ_HEAD(, letter) inbox;
    size_t inbox_n;
    bool is_ready; /* the server's handshake has come */
    bool was_ready;
    bool wants_fresh;      /* the chat did not take the ticket that was kept: try once with a new one */
    bool is_over;          /* for good */
    enum kerb_status over; /* ... because */
    char why[512];         /* ... in words */
    int64_t retry_ms;      /* monotonic */
    int64_t tried_ms;      /* when it was sought last */
    int64_t return_ms;     /* after how long the server that ends wants us back; 0: it has not said */
    unsigned backoff_ms;
    uint64_t last_id;
    uint64_t awaited; /* the reply that chat_call waits for; 0: none */
    json_t *reply;
};

/* --- chat.c --- */

/* One round of waiting and handing out; *ret_other: the other descriptor can be read. Errors: it is over, told. */
MUST enum rc conn_step(struct kerb_chat *c, int other_fd, int timeout_ms, bool *ret_other, bool *ret_some);

/* --- chat_read.c --- */

void conn_read(void *ctx, struct slice message, bool is_binary); /* for ws */
MUST enum rc conn_send(struct kerb_chat *c, struct slice json);  /* a record; errors: as ws_send */
bool conn_drain(struct kerb_chat *c);                            /* true: something was handed out */
MUST enum rc conn_feed(struct kerb_chat *c);                     /* makes its feed; errors: NO_MEMORY */

/* --- chat_lost.c --- */

void conn_over(struct kerb_chat *c, enum kerb_status status, const char *why); /* for good */
MUST enum rc conn_tell_over(struct kerb_chat *c);                              /* always an error */
void conn_distrust(struct kerb_chat *c, const char *why); /* the server does not keep to the protocol, or is not who it
                                                             should be */
void conn_lost(struct kerb_chat *c);                      /* the socket is closed */
void conn_back_off(struct kerb_chat *c);                  /* the next try comes later than the last one did */
MUST enum rc conn_reload(struct kerb_chat *c);            /* of the ticket file. Tells. */
MUST enum rc conn_fresh_ticket(struct kerb_chat *c, struct cache_entry *ret); /* Tells. */

#endif
