/*
 * Records of a sealed connection: IV[16] | CT | TAG[16] under one key for each direction, numbered from 0.
 *
 *   IKM = session key[32] | ECDH secret[32]
 *   salt = SHA-256( SHA-256(challenge frame) | SHA-256(login frame) | SHA-256(welcome frame) )
 *   PRK = HKDF-Extract(salt, IKM);  K = HKDF-Expand(PRK, "kerb1 c2s" or "kerb1 s2c", 32), used as MAC | ENC directly
 *   AAD = "KERB1" | 01 01 00000000 | LP(realm) | LP(client) | LP(server) | LP(session id[16] | sequence u64be)
 *
 * The number is not sent: a record that was lost, repeated, moved or turned back does not open.
 * Wire: docs/PROTOCOL.md, "Sealed connection". Thread: a direction has one owner.
 */
#ifndef KERB_CRYPTO_RECORD_H
#define KERB_CRYPTO_RECORD_H

#include "shared/crypto/ecdh.h"
#include "shared/crypto/envelope.h"

#define RECORD_SESSION_ID 16
#define RECORD_OVERHEAD   (AES_BLOCK + AES_BLOCK + AEAD_TAG) /* at most, beside the text */

struct record_secrets {
    uint8_t session[AEAD_KEY]; /* of the service ticket */
    uint8_t ecdh[ECDH_SECRET];
};

/* One direction of one connection. */
struct record_stream {
    uint8_t mac_enc[AEAD_KEY];
    uint64_t sequence; /* of the next record */
    struct buf aad;    /* all of it, the number at its end */
};

void record_stream_done(struct record_stream *s); /* wipes; for AUTO */

/* Who speaks in the connection: the names of the AAD and the session id. */
struct record_parties {
    struct slice realm, client, server;
    uint8_t session_id[RECORD_SESSION_ID];
};

/* Both directions from the whole payloads of the three handshake frames. Errors: LIMIT, CRYPTO, NO_MEMORY. */
MUST enum rc record_keys(const struct record_secrets *secrets, const struct slice frames[3],
                         const struct record_parties *parties, struct record_stream *ret_c2s,
                         struct record_stream *ret_s2c);

/* Appends the record; the number goes up. Errors: LIMIT (2^63 records), CRYPTO, NO_MEMORY. */
MUST enum rc record_seal(struct record_stream *s, struct slice text, struct buf *out);

/* Replaces *ret_text; the number goes up only on success. Errors: MODIFIED, for every way to be wrong. */
MUST enum rc record_open(struct record_stream *s, struct slice record, struct buf *ret_text);

#endif
