/* The texts of the feed. Internal to the folder. */
#ifndef KERB_SERVICE_FEED_WIRE_H
#define KERB_SERVICE_FEED_WIRE_H

#include "shared/service/feed.h"

#define FEED_NONCE 16

struct feed_request {
    struct name reader;
    int64_t after;
    uint8_t nonce[FEED_NONCE];
    bool wait; /* hold it when there is nothing */
};

MUST enum rc feed_request_write(const struct key *key, const struct name *realm, const struct feed_request *r,
                                struct buf *out);

/*
 * key_of: finds the reader's key of that version. Out: ret_key - to seal the answer with.
 * Errors: MALFORMED, MODIFIED, those of key_of.
 */
MUST enum rc feed_request_read(struct slice text, const struct name *realm,
                               enum rc (*key_of)(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret),
                               void *ctx, struct feed_request *ret, struct key *ret_key);

struct feed_out {
    struct buf items; /* JSON, one behind the other */
    struct jw w;
    size_t n;
};

void feed_out_start(struct feed_out *out);
void feed_out_done(struct feed_out *out);

MUST enum rc feed_answer_write(const struct key *key, const struct name *realm, const struct feed_request *r,
                               struct feed_out *items, int64_t seq, struct buf *out);

struct feed_answer {
    json_t *json; /* what the items borrow from */
    struct feed_item items[FEED_ITEMS_MAX];
    size_t n;
    int64_t seq;
};

void feed_answer_done(struct feed_answer *a);

/* Errors: MALFORMED, MODIFIED (also: an answer to another request). */
MUST enum rc feed_answer_read(struct slice text, const struct key *key, const struct name *realm,
                              const struct feed_request *r, struct feed_answer *ret);

#endif
