/*
 * Orders of kerbadm to forget the wrong passwords of a user (`user unlock`): rows of the feed that the AS reads itself.
 */
#ifndef KERB_AS_UNLOCK_H
#define KERB_AS_UNLOCK_H

#include "as/store.h"
#include "shared/service/gate.h"

/* How far the feed was looked through; zeroed at the start. */
struct as_unlocks {
    int64_t seq;
};

/* Carries out what is new: once a second. gate: NULL where there is none. */
void as_unlocks_look(struct as_unlocks *u, struct as_store *s, struct gate *gate, int64_t now_s);

/* At once. gate: NULL where there is none. */
void as_unlock(struct gate *gate, const struct name *user);

/* The gate's name for a user: login names that differ in case only share it. Appended. */
MUST enum rc as_gate_name(const struct name *name, struct buf *out);

#endif
