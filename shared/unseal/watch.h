/* The master key of a running daemon, looked at once a second: tells when another version seals. */
#ifndef KERB_UNSEAL_WATCH_H
#define KERB_UNSEAL_WATCH_H

#include "shared/unseal/place.h"

struct master_watch {
    struct master *master;
    uint32_t told; /* kvno */
    bool was_bad;
};

MUST enum rc master_watch_open(const struct conf *conf, const char *daemon, struct master_watch *ret);
void master_watch_done(struct master_watch *w);
void master_watch_look(struct master_watch *w); /* logs */

#endif
