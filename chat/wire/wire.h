/*
 * The wire: frames of clients become events, pushes become frames, each connection under its own key.
 *
 * Tickets and authenticators are checked here; so are stamps, replays and the form of every field. What a request may
 * do is the core's business. JSON is written once per push and sealed per connection.
 * Wire: docs/PROTOCOL.md, 5.1 and 5.3. Thread: the loop's.
 */
#ifndef KERB_CHAT_WIRE_WIRE_H
#define KERB_CHAT_WIRE_WIRE_H

#include "chat/core/chat.h"
#include "shared/service/conf.h"
#include "shared/ticket/replay.h"
#include "shared/ticket/ticket.h"

struct wire;      /* what all connections share: keytab, replay cache, stamps seen per ticket */
struct wire_conn; /* one connection: profile, keys, who */

struct wire_options {
    const struct conf *conf;
    struct name service;
    struct keytab_file *keytab;
    const char *state_dir; /* STATE/chat; the replay cache is kept there; NULL: nowhere */
    int64_t started_s;     /* when this process started */
};

/* What options point to must outlive the wire. Errors: as replay_open. */
MUST enum rc wire_open(const struct wire_options *options, struct wire **ret);
void wire_close(struct wire *w); /* an orderly stop: writes what must outlive it; accepts NULL */

/* address: of the client, text. NULL: out of memory. */
struct wire_conn *wire_conn_new(struct wire *w, const char *address);
void wire_conn_free(struct wire_conn *c); /* wipes; accepts NULL */
bool wire_conn_is_authed(const struct wire_conn *c);
struct slice wire_conn_name(const struct wire_conn *c); /* of the client, empty before login; for the log */

/*
 * One whole text message of a client.
 *
 * In:  time_s - Unix, UTC
 * Out: ret - an event of kind CHAT_LOGIN, CHAT_REQUEST or CHAT_REFUSED; conn, edge and the clocks are the caller's to
 *      fill in. What it points to lives until the next wire_read() of any connection. A failed login is CHAT_REFUSED
 *      with CODE_LOGIN_FAILED; CODE_RATE_LIMITED when only the replay cache is full.
 *      ret_rc - RC_OK, or the true reason of a refused frame, for the log
 */
void wire_read(struct wire_conn *c, struct slice message, int64_t time_s, struct chat_event *ret, enum rc *ret_rc);

#define WIRE_JSON_MAX 780000 /* bytes of a push: as a box in base64 it stays below 1 MiB, PROTOCOL.md section 1 */

/*
 * The JSON of a push, once for all connections that get it.
 * Out: replaces *ret. A push that would be larger than WIRE_JSON_MAX becomes an `error` "limit"; an `online` and a
 *      history are cut instead. Errors: NO_MEMORY.
 */
MUST enum rc wire_write(struct wire *w, const struct chat_push *push, struct buf *ret);

/* Appends the message for this connection: plain before login, a box under its key after. Errors: CRYPTO, NO_MEMORY. */
MUST enum rc wire_seal(struct wire_conn *c, struct slice json, struct buf *out);

#endif
