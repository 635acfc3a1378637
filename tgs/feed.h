/*
 * The TGS between two feeds: what the AS tells is applied here and told on to the services.
 *
 * Threads: the feed's reader applies, with the one store handle that writes; connections of the inner listener tell,
 * one at a time, with a handle of their own.
 */
#ifndef KERB_TGS_FEED_H
#define KERB_TGS_FEED_H

#include "shared/service/feed.h"
#include "tgs/epochs.h"
#include "tgs/store.h"

struct tgs_feed {
    const struct conf *conf;
    struct name name;                  /* of the TGS's own principal */
    struct tgs_store *writer, *teller; /* each for one thread at a time */
    struct tgs_epochs *epochs;
    int64_t (*clock)(void);
    void (*end)(void *ctx, bool grace); /* the AS said that the TGS is to end; any thread */
    void *end_ctx;
};

/* What the file remembers: fills epochs, and tells where to go on in the AS's feed. */
MUST enum rc tgs_feed_load(struct tgs_feed *f, int64_t *ret_after);

/* For feed_options.apply; ctx is a struct tgs_feed. A new TGS key is in the keytab file before this returns. */
MUST enum rc tgs_feed_apply(void *ctx, const struct feed_item *items, size_t n, int64_t seq);

/* For feed_source; ctx is a struct tgs_feed. */
MUST enum rc tgs_feed_key(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret);
MUST enum rc tgs_feed_read(void *ctx, const struct name *reader, int64_t after, struct feed_out *out, int64_t *ret_seq);

#endif
