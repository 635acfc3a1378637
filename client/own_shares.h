/*
 * Shares that are on their way: a private file beside that of the tickets. The server erases a share once a ping behind
 * it was answered, so it lies here before that, and until it is safe in the vault.
 */
#ifndef KERB_CLIENT_OWN_SHARES_H
#define KERB_CLIENT_OWN_SHARES_H

#include "client/client.h"

#define SHARES_MAX     1000 /* in the file */
#define SHARE_TEXT_MAX 128  /* letters of a share: number, '-', 64 hexadecimal digits */

struct own_shares; /* of the handle's realm and client, those of others are left as they are */

/* Reads the file, if there is one. Errors: UNSAFE_FILE, MALFORMED, IO. */
MUST enum rc own_shares_load(const struct kerb *k, struct own_shares **ret);
void own_shares_free(struct own_shares *s); /* wipes; accepts NULL */

/* Keeps a share, in place of an earlier one of the room, and writes the file. Errors: LIMIT, UNSAFE_FILE, IO. */
MUST enum rc own_shares_put(struct own_shares *s, struct slice room, struct slice share);

/* Borrowed; an empty slice when there is none. */
struct slice own_shares_get(const struct own_shares *s, struct slice room);

/* Forgets the share if it still is this one (empty: whatever it is); the file goes with the last one. Errors: IO. */
MUST enum rc own_shares_drop(struct own_shares *s, struct slice room, struct slice share);

/* One by one, from 0; false at the end. Borrowed. */
bool own_shares_at(const struct own_shares *s, size_t i, struct slice *ret_room, struct slice *ret_share);

#endif
