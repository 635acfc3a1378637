/*
 * The logins that were read last, for as long as nobody has written: an exchange asks twice for the same name, and the
 * second time costs no reading. Names that are not there are kept like those that are.
 *
 * Keys lie here in memory that is locked and left out of dumps. Thread: belongs to a store, as its handle does.
 */
#ifndef KERB_AS_RECENT_H
#define KERB_AS_RECENT_H

#include "as/store.h"

struct recent;

struct recent *recent_new(void);    /* NULL: no memory */
void recent_free(struct recent *r); /* wipes; accepts NULL */

/* NULL: not here, or read before another commit than `now`: then it is wiped. Borrowed until the next recent_put. */
const struct as_login *recent_find(struct recent *r, const struct name *name, enum etype etype,
                                   const struct db_mark *now);

/* read: the mark of before the login was read. Takes the place of another one. */
void recent_put(struct recent *r, const struct name *name, enum etype etype, const struct db_mark *read,
                const struct as_login *login);

#endif
