/*
 * A daemon that waits for the shares of its master key, and who hands them in.
 *
 * The daemon listens on STATE/DAEMON/unseal.sock (0600; its own user and root alone). Each connection brings one
 * packet, a share or "?", and gets one back: {"code", "number", "have", "need", "complete"}. Code: status, taken,
 * malformed, foreign, repeat. Meanwhile its port answers /healthz, and /readyz with "not ready"; nothing else is
 * served.
 */
#ifndef KERB_UNSEAL_UNSEAL_H
#define KERB_UNSEAL_UNSEAL_H

#include "shared/unseal/gather.h"
#include "shared/unseal/place.h"

#define UNSEAL_SOCKET "unseal.sock"

/*
 * With shares as the source: waits until they are there; else returns at once. Signals are blocked
 * (lifecycle_block_signals). listen: where health is served.
 * Out: error - a sentence. Errors: STOPPED (asked to stop), IO, as shares_load.
 */
MUST enum rc unseal_wait(const struct conf *conf, const char *daemon, const char *listen, struct buf *error);

struct unseal_reply {
    enum rc rc; /* OK, MALFORMED, NOT_US, REPEAT */
    struct gather_told told;
};

/* One packet to the daemon. text: a share, or "?". Errors: NOT_FOUND (it does not wait), IO, MALFORMED. */
MUST enum rc unseal_ask(const struct master_place *place, struct slice text, struct unseal_reply *ret);

#endif
