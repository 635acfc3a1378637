/*
 * New keys of a user, as a client posts them: {"salt"[16], "iterations", "key"[32], "classic"?[16]}, made from a
 * password that the server never sees. What a password must be is therefore the client's to check; what we see to is
 * that the key is as costly to guess as clients accept, and that no unsalted key comes back.
 */
#ifndef KERB_AS_NEWKEYS_H
#define KERB_AS_NEWKEYS_H

#include "as/store.h"
#include "shared/base/json.h"

/* Errors: MALFORMED; WEAK_KEYS (iterations that clients would refuse). */
MUST enum rc as_newkeys_read(const json_t *j, struct as_keys *ret);

/*
 * Drops the classic key where the realm does not allow the profile, and where the user (NULL: a new one) has keys but
 * no classic one: who has dropped it does not get it back with the next password.
 */
void as_newkeys_trim(const struct conf *conf, const struct as_principal *user, struct as_keys *keys);

#endif
