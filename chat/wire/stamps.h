/*
 * Replayed frames: what was accepted under a ticket in the last seconds, by the stamps of its frames.
 *
 * A window belongs to a ticket, not to a connection, so a frame of one connection cannot be replayed on another. A
 * stamp more than STAMPS_WINDOW_S behind the newest is old; within the window the text blocks of each frame are known.
 * Over an orderly restart only the newest stamp is kept: what is not newer is old then.
 * Source: docs/PROTOCOL.md, 5.1. Thread: the loop's.
 */
#ifndef KERB_CHAT_WIRE_STAMPS_H
#define KERB_CHAT_WIRE_STAMPS_H

#include "shared/base/text.h"
#include "shared/crypto/primitives.h"

#define STAMPS_WINDOW_S   10
#define STAMPS_TICKET_MAX 16384   /* frames known under one ticket: 1,600 a second; about 1 MB */
#define STAMPS_CLIENT_MAX 32768   /* under all tickets of one client: he fills his share and hurts himself alone */
#define STAMPS_TOTAL_MAX  1000000 /* under all tickets: about 80 MB */

struct stamps;
struct stamps_window;

/* keep_s: how long after its newest stamp a window could still matter (the allowed skew). NULL: out of memory. */
struct stamps *stamps_new(int64_t keep_s);
void stamps_free(struct stamps *s);

/* The window of a client's ticket, made if there is none, held until stamps_release. NULL: out of memory. */
struct stamps_window *stamps_hold(struct stamps *s, const uint8_t ticket_id[ID_LEN], const uint8_t client_id[ID_LEN]);
void stamps_release(struct stamps_window *w);

/* Errors: REPEAT (old or known), RATE_LIMITED (too many), NO_MEMORY. */
MUST enum rc stamps_check(struct stamps_window *w, int64_t stamp_s, const uint8_t digest[SHA256_LEN], int64_t now_s);

/* The newest stamps, to be read again by stamps_restore after an orderly stop. Errors: MALFORMED, NO_MEMORY. */
MUST enum rc stamps_save(const struct stamps *s, struct buf *out);
MUST enum rc stamps_restore(struct stamps *s, struct slice saved);

#endif
