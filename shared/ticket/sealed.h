/*
 * What the sealed exchanges over HTTP share: a request {"v":1, "body": base64url(JSON), ...}, objects in envelopes, and
 * a reply {"v":1, "reply": E}.
 *
 * Hashes are over texts as they were received, so every reader here gives the text beside what it means.
 * Wire: docs/PROTOCOL.md, 4.2 and 4.3. Thread: any.
 */
#ifndef KERB_TICKET_SEALED_H
#define KERB_TICKET_SEALED_H

#include "shared/base/json.h"
#include "shared/crypto/envelope.h"

#define SEALED_TEXT_MAX 8192 /* letters of one envelope or body in a request; most take some hundreds */
#define SEALED_NONCE    16   /* bytes of a nonce in a body or an authenticator */

/* True when the object claims to be of the sealed profile: then it is never served as classic, whatever else it holds.
 */
bool sealed_claims(const json_t *request);

/* `v` is 1. Errors: MALFORMED. */
MUST enum rc sealed_version(const json_t *request);

/* A member that is a text of at most max bytes; borrowed. Errors: MALFORMED. */
MUST enum rc sealed_text(const json_t *object, const char *name, size_t max, struct slice *ret);

/* A member that is exactly n bytes as base64url. Errors: MALFORMED. */
MUST enum rc sealed_bytes(const json_t *object, const char *name, uint8_t *ret, size_t n);

/* The object in `body` and its text as received (borrowed from request). Errors: MALFORMED. */
MUST enum rc sealed_body(const json_t *request, struct slice *ret_text, json_t **ret_body);

/* The object in an envelope, given as base64url. Errors: MODIFIED, for every way to be wrong; BAD_ETYPE (key). */
MUST enum rc sealed_open(const struct key *key, enum label label, const struct envelope_aad *aad, struct slice text,
                         json_t **ret);

/* The same under a key that was derived already. */
MUST enum rc sealed_open_under(const struct envelope_key *key, const struct envelope_aad *aad, struct slice text,
                               json_t **ret);

/* Appends {"v":1,"reply":E}, the whole body of an answer. Errors: BAD_ETYPE, CRYPTO, NO_MEMORY. */
MUST enum rc sealed_reply(const struct key *key, enum label label, const struct envelope_aad *aad, struct slice plain,
                          struct buf *out);
MUST enum rc sealed_reply_under(const struct envelope_key *key, const struct envelope_aad *aad, struct slice plain,
                                struct buf *out);

#endif
