/*
 * The replay cache: what was accepted, until it would no longer be accepted anyway.
 *
 * An entry is (owner, digest): the owner is a client id at the AS, a ticket id at the TGS and at a service; the digest
 * is of the ciphertext blocks that carry the text (box_open). Bounded per owner, so that one client who fills his share
 * hurts himself alone, and in total, where it fails closed. Its clock never goes back: an entry that has expired once
 * stays expired, so a wall clock set back cannot revive a request.
 *
 * The file: a list of records. REPLAY_JOURNAL appends each entry when it is accepted (the AS: what it has
 * accepted must outlive SIGKILL, since a stamp may lie ahead); REPLAY_AT_STOP writes all of them on an orderly stop,
 * and a start without that file says so: then tickets issued before the start are to be refused (a TGS, a service).
 * Thread: all calls lock.
 */
#ifndef KERB_TICKET_REPLAY_H
#define KERB_TICKET_REPLAY_H

#include "shared/ticket/ticket.h"

#define REPLAY_PER_OWNER_MAX 4096    /* PROTOCOL.md section 1 */
#define REPLAY_TOTAL_MAX     1000000 /* about 100 MB */

enum replay_mode { REPLAY_AT_STOP, REPLAY_JOURNAL };

struct replay;

/*
 * Reads the file at path (0600) if there is one; path NULL keeps nothing. Expired records are dropped.
 * Out:    ret_clean - the last stop was orderly (and our clock has not gone back by more than a day since)
 * Errors: IO (also: another file, or damaged before its end), UNSAFE_FILE, NO_MEMORY. A torn last record is what a
 * crash leaves and is ignored.
 */
MUST enum rc replay_open(const char *path, enum replay_mode mode, int64_t now_s, struct replay **ret, bool *ret_clean);

/* An orderly stop: writes what must be written and frees. Accepts NULL. Errors: IO (freed all the same). */
enum rc replay_close(struct replay *r);

/*
 * Remember (owner, digest) until until_s (inclusive).
 * Errors: REPEAT (is remembered already, or until_s has passed on the clock of the cache), RATE_LIMITED (owner is
 * full), CACHE_FULL (total is full), IO (journal).
 */
MUST enum rc replay_check(struct replay *r, const uint8_t owner[ID_LEN], const uint8_t digest[SHA256_LEN],
                          int64_t until_s, int64_t now_s);

/* Is (owner, digest) remembered? Remembers nothing. */
bool replay_has(struct replay *r, const uint8_t owner[ID_LEN], const uint8_t digest[SHA256_LEN]);

size_t replay_count(struct replay *r);

#endif
