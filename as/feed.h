/*
 * What the AS tells the TGS: the feed table, as a source of shared/service/feed.h.
 *
 * It has a store handle of its own, so that a held request never keeps one from a login. The one reader is the TGS,
 * whose key versions are in the store.
 */
#ifndef KERB_AS_FEED_H
#define KERB_AS_FEED_H

#include "as/store.h"
#include "shared/service/feed.h"

struct as_feed {
    struct as_store *store; /* used by one thread at a time */
    int64_t (*clock)(void);
    struct feed_server *server;
};

/* store is the feed's from now on: closed by as_feed_close, also when this fails. */
MUST enum rc as_feed_open(const struct conf *conf, struct as_store *store, int64_t (*clock)(void), struct as_feed *ret);
void as_feed_stop(struct as_feed *f);  /* before inner_stop; accepts a zeroed one */
void as_feed_close(struct as_feed *f); /* accepts a zeroed one */

#endif
