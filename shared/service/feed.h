/*
 * The feed: how one daemon tells the next of changes (AS to TGS, TGS to services): raised epochs, orders, new keys.
 *
 * The reader asks with a number, "what is behind it?", and the teller answers at once when there is something, else it
 * holds the request for up to FEED_HOLD_S. Both are envelopes under a key that reader and teller share: the reader's
 * own principal's (label "epochs"), so nobody else learns or forges a change, and a nonce makes each answer belong to
 * its request.
 *
 *   POST /feed  {"v":1, "service", "after", "feed": E{"after","nonce"[16],"wait"}}    context of the AAD: after u64be
 *   200         {"v":1, "seq", "feed": E{"nonce","items":[...],"seq"}}                 context of the AAD: seq u64be
 *
 * Wire: docs/PROTOCOL.md, "The feed".
 */
#ifndef KERB_SERVICE_FEED_H
#define KERB_SERVICE_FEED_H

#include "shared/crypto/envelope.h"
#include "shared/service/inner.h"

#define FEED_PATH   "/feed"
#define FEED_HOLD_S 25
#define FEED_LOOK_MS \
    200 /* how often a held request looks whether there is something: half of what it adds to a cut-off */
#define FEED_ITEMS_MAX 128  /* in an answer; the rest comes with the next */
#define FEED_TEXT_MAX  1024 /* bytes of an item's text */
#define FEED_DOWN_S    5    /* seconds without a link until a daemon is not ready */

enum feed_kind {
    FEED_EPOCH,    /* tickets of this client with a lower epoch are worth nothing */
    FEED_KICK,     /* end this client's sessions */
    FEED_NOTICE,   /* tell everybody a text */
    FEED_DRAIN,    /* a daemon ends as on SIGTERM */
    FEED_SHUTDOWN, /* the same without grace */
    FEED_ROTATE,   /* a service has a next key; without the key in it: make one */
    FEED_UNLOCK,   /* a user's wrong passwords are forgotten; stays in the AS's own table, nobody else is told */
    FEED_KINDS,
};
const char *feed_kind_name(enum feed_kind kind);

struct feed_item {
    int64_t seq;
    enum feed_kind kind;
    uint8_t client_id[ID_LEN]; /* EPOCH, KICK */
    uint32_t epoch;            /* EPOCH */
    struct slice text;         /* NOTICE: the text; DRAIN, SHUTDOWN: the daemon; ROTATE: the service; borrowed */
    struct key key;            /* ROTATE, told to the service itself: its new key; else n is 0 */
};

/* --- the teller ------------------------------------------------------------------------------------------------- */

/* What an answer is made of. Errors: LIMIT (text), NO_MEMORY. */
struct feed_out;
MUST enum rc feed_put(struct feed_out *out, const struct feed_item *item);

/* What a daemon tells. Called by one thread at a time. */
struct feed_source {
    /* The key of a reader in the version that its request names. Errors: NO_SERVICE, NO_KVNO. */
    enum rc (*key)(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret);
    /*
     * Puts the items behind `after` that concern the reader, oldest first, at most FEED_ITEMS_MAX looked at.
     * Out: ret_seq - the last one put or passed over; below `after` when that lies ahead of all there is
     */
    enum rc (*read)(void *ctx, const struct name *reader, int64_t after, struct feed_out *out, int64_t *ret_seq);
    void *ctx;
};

struct feed_server;
MUST enum rc feed_server_open(const struct name *realm, const struct feed_source *source, struct feed_server **ret);
void feed_server_stop(struct feed_server *s);  /* held requests are answered now; before inner_stop. Accepts NULL */
void feed_server_close(struct feed_server *s); /* accepts NULL */

/* A handler of an inner_route (POST, FEED_PATH); ctx is the struct feed_server. */
void feed_server_post(void *ctx, const struct http_request *req, struct http_reply *reply);

/* --- the reader ------------------------------------------------------------------------------------------------- */

struct feed_options {
    struct name realm, reader; /* reader: our own principal */
    const char *address;       /* of the teller's inner listener */
    struct keytab_file *keys;
    int64_t after; /* where the last run stood; 0: from the start */
    /*
     * Called by the reader's thread with each answer that says something: items (valid until it returns) and where to
     * go on. What it does is durable, with seq, before it returns RC_OK; else it is told again. seq may have gone back
     * (the teller's database was restored).
     */
    enum rc (*apply)(void *ctx, const struct feed_item *items, size_t n, int64_t seq);
    void *ctx;
};

struct feed;

/* Starts the thread that asks. options are copied, but for what they point to. Errors: NO_MEMORY, IO. */
MUST enum rc feed_start(const struct feed_options *options, struct feed **ret);
void feed_stop(struct feed *f); /* accepts NULL */

/* Milliseconds since the link went down, 0 while it is up. Any thread. */
int64_t feed_down_ms(const struct feed *f);

/* For readyz. Errors: LINK_DOWN (for more than FEED_DOWN_S). Accepts NULL (no feed was configured): RC_OK. */
MUST enum rc feed_ready(const struct feed *f);

#endif
