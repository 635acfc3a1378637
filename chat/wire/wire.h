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
#include "shared/service/gate.h"
#include "shared/ticket/replay.h"
#include "shared/ticket/ticket.h"

enum wire_profile {
    WIRE_CLASSIC, /* no subprotocol: text messages, boxes */
    WIRE_SEALED,  /* subprotocol WIRE_SUBPROTOCOL: binary messages, records */
    WIRE_PROFILES
};

#define WIRE_SUBPROTOCOL "kerb.v1"

struct wire;      /* what all connections share: keytab, replay cache, stamps seen per ticket */
struct wire_conn; /* one connection: profile, keys, who */

struct wire_options {
    const struct conf *conf;
    struct name service;
    struct keytab_file *keytab;
    const char *state_dir; /* STATE/chat; the replay cache is kept there; NULL: nowhere */
    int64_t started_s;     /* when this process started */
    struct gate *gate;     /* NULL: none */
};

/* What options point to must outlive the wire. Errors: as replay_open. */
MUST enum rc wire_open(const struct wire_options *options, struct wire **ret);
void wire_close(struct wire *w); /* an orderly stop: writes what must outlive it; accepts NULL */

/* May connections of that profile log in to this realm? */
bool wire_allows(const struct wire *w, enum wire_profile profile);

/* address: of the client, text. NULL: out of memory. */
struct wire_conn *wire_conn_new(struct wire *w, enum wire_profile profile, const char *address);
enum wire_profile wire_conn_profile(const struct wire_conn *c);
void wire_conn_free(struct wire_conn *c); /* wipes; accepts NULL */
bool wire_conn_is_authed(const struct wire_conn *c);
struct slice wire_conn_name(const struct wire_conn *c); /* of the client, empty before login; for the log */

/* What the last login or reauth of any connection showed, for the audit: filled as far as it came. */
struct wire_shown {
    bool has_ticket; /* it opened: the next two are known */
    uint8_t ticket[ID_LEN];
    struct name client;
    bool has_skew;
    int64_t skew_s; /* how far the client's clock was ahead */
};
const struct wire_shown *wire_shown(const struct wire *w);

size_t wire_replay_entries(struct wire *w);

/*
 * The handshake's own message, in plain text: appended to *out when there is one, to be sent before anything else.
 * Asked for when the connection is there (the challenge) and after each wire_read() until login (the welcome). Errors:
 * CRYPTO, NO_MEMORY.
 */
MUST enum rc wire_handshake(struct wire_conn *c, int64_t time_s, struct buf *out);

/*
 * One whole message of a client.
 *
 * In:  time_s - Unix, UTC
 * Out: ret - an event of kind CHAT_LOGIN, CHAT_REAUTH, CHAT_REQUEST or CHAT_REFUSED; conn, edge and the clocks are the
 *      caller's to fill in. What it points to lives until the next wire_read() of any connection. A failed login is
 *      CHAT_REFUSED with CODE_LOGIN_FAILED, or CODE_RATE_LIMITED when only the replay cache is full or the network had
 * too many wrong tries; a record that does not open is one with CODE_BROKEN. ret_rc - RC_OK, or the true reason of a
 * refused message, for the log
 */
void wire_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s, struct chat_event *ret,
               enum rc *ret_rc);

#define WIRE_JSON_MAX 780000 /* bytes of a push: as a box in base64 it stays below 1 MiB, PROTOCOL.md section 1 */

/*
 * The JSON of a push, once for all connections of a profile that get it.
 * Out: replaces *ret. A push that would be larger than WIRE_JSON_MAX becomes an `error` "limit"; an `online` and a
 *      history are cut instead. Errors: NO_MEMORY.
 */
MUST enum rc wire_write(struct wire *w, const struct chat_push *push, enum wire_profile profile, struct buf *ret);

/*
 * Appends the message for this connection: plain before login, a box or a record under its key after.
 * Out: ret_binary - it is to be sent as a binary message. Errors: CRYPTO, LIMIT, NO_MEMORY.
 */
MUST enum rc wire_seal(struct wire_conn *c, struct slice json, struct buf *out, bool *ret_binary);

/* How many records it was sealed so far. */
uint64_t wire_conn_records(const struct wire_conn *c);

/* Appends the JSON that asks a sealed connection for a new ticket, with a fresh nonce that its answer must name. */
MUST enum rc wire_ask_reauth(struct wire_conn *c, int64_t time_s, struct buf *json);

#endif
