/*
 * The client's side of a sealed chat connection: from the challenge to the keys, then records. Bytes in, bytes out: no
 * socket, no clock but for a stamp that is only measured.
 *
 * Wire: docs/PROTOCOL.md, "Sealed connection".
 */
#ifndef KERB_CLIENT_CHAT_SESSION_H
#define KERB_CLIENT_CHAT_SESSION_H

#include "client/cache.h"
#include "shared/base/json.h"
#include "shared/crypto/record.h"

#define CHAT_NONCE       32
#define CHAT_SUBPROTOCOL "kerb.v1"
#define CHAT_TOKEN       32

/* Where a connection stood that is to be resumed. */
struct chat_resume {
    uint8_t token[CHAT_TOKEN];
    int64_t last; /* record of the server's that was processed; -1: none */
};

struct chat_session {
    struct name realm, client; /* who must speak, who speaks */
    struct name service;
    struct key session; /* of the ticket */
    uint8_t nonce[CHAT_NONCE];
    struct buf challenge, login; /* frames, until the keys are made */
    struct ecdh *pair;
    struct record_stream c2s, s2c;
    bool has_keys;
    int64_t expires, server_time; /* as the welcome says */
    uint8_t token[CHAT_TOKEN];    /* by which it can be resumed */
};

void chat_session_init(struct chat_session *s, const struct name *realm, const struct name *client);
void chat_session_done(struct chat_session *s); /* wipes; for AUTO */

/*
 * Answers the challenge. The server must be the ticket's, of our realm, and speak version 1.
 * In:  resume - NULL: this connection goes on from none. Out: login - the frame, appended. Errors: MALFORMED, NOT_US
 * (another realm or service), CRYPTO.
 */
MUST enum rc chat_session_login(struct chat_session *s, struct slice challenge, const struct cache_entry *ticket,
                                const char *device, const struct chat_resume *resume, struct buf *login);

/* Makes the keys; what came before is then of no use. Errors: MALFORMED, MODIFIED, CRYPTO. */
MUST enum rc chat_session_welcome(struct chat_session *s, struct slice welcome);

/* Errors: as record_seal and record_open; STOPPED (no keys yet). */
MUST enum rc chat_session_seal(struct chat_session *s, struct slice json, struct buf *out);
MUST enum rc chat_session_open(struct chat_session *s, struct slice record, struct buf *ret_json);

/* The request that answers reauth_required, appended. ticket: a fresh one. Errors: MALFORMED, CRYPTO. */
MUST enum rc chat_session_reauth(struct chat_session *s, const json_t *required, const struct cache_entry *ticket,
                                 struct buf *json);

#endif
