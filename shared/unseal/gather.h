/*
 * Shares of a master key: making them, and gathering them until the threshold is there.
 *
 * A share counts for the set whose commitment it meets, so one of another realm or daemon, or of a set that was
 * replaced, is refused by its number, and what was gathered stays. The secret is put together once, supplied to all
 * struct master of this process (shares.h), and the shares are wiped.
 */
#ifndef KERB_UNSEAL_GATHER_H
#define KERB_UNSEAL_GATHER_H

#include "shared/db/shares.h"

#define SHARE_TEXT_MAX 168 /* letters; SHAMIR_TEXT_MAX */

/*
 * Draws a secret, splits it, and adds the set with the next key version to master.shares (which is made when it is not
 * there). The version seals at once when it is the first of all, else after 'mkey use'.
 * Out: ret_texts - the shares, one a line: the only time that they are seen; ret_kvno
 * Errors: LIMIT (threshold, n; sets), EXISTS (a version is not used yet), IO, as shares_load.
 */
MUST enum rc shares_split(const struct master_place *place, unsigned threshold, unsigned n, struct buf *ret_texts,
                          uint32_t *ret_kvno);

struct gather;

/* Errors: as shares_load. */
MUST enum rc gather_open(const struct master_place *place, struct gather **ret);
void gather_done(struct gather **g); /* wipes; for AUTO */

struct gather_told {
    unsigned number;     /* of the share; 0: what was given is no share */
    unsigned have, need; /* of its set; without a set: of the first that is not complete */
    bool is_complete;    /* every secret is there */
};

/*
 * Takes one share; blanks around it do not count.
 * Out: ret - also on failure. Errors: MALFORMED (no share), NOT_US (of another daemon or realm), REPEAT, CRYPTO.
 */
MUST enum rc gather_take(struct gather *g, struct slice text, struct gather_told *ret);
void gather_progress(const struct gather *g, struct gather_told *ret); /* number: 0 */

#endif
