/*
 * The envelope: what seals every ticket, every stored secret and all of the sealed profile.
 *
 *   E   = ver u8 = 1 | etype u8 = 1 | kvno u32be | IV[16] | CT | TAG[16]
 *   AAD = "KERB1" | E[0..6) | LP(realm) | LP(client) | LP(server) | LP(context)
 *
 * Each kind of message has its own key: HKDF-SHA-256(K, info "kerb1 " | label). So an envelope of one kind never opens
 * as another. A key is derived once and used often.
 *
 * Wire: docs/PROTOCOL.md, "Envelope". Source: RFC 7518 s.5.2, RFC 5869.
 */
#ifndef KERB_CRYPTO_ENVELOPE_H
#define KERB_CRYPTO_ENVELOPE_H

#include "shared/crypto/key.h"

#define ENVELOPE_HEAD     6
#define ENVELOPE_AAD_MAX  4096                                               /* bytes, all of it */
#define ENVELOPE_OVERHEAD (ENVELOPE_HEAD + AES_BLOCK + AES_BLOCK + AEAD_TAG) /* at most, beside the text */

enum label {
    LABEL_TICKET,            /* "ticket"            */
    LABEL_MESSAGE,           /* "message"           */
    LABEL_ROW,               /* "row"               */
    LABEL_AS_COOKIE,         /* "as-cookie"         */
    LABEL_AS_PREAUTH,        /* "as-preauth"        */
    LABEL_AS_REPLY,          /* "as-reply"          */
    LABEL_TGS_AUTHENTICATOR, /* "tgs-authenticator" */
    LABEL_TGS_REPLY,         /* "tgs-reply"         */
    LABEL_AP_AUTHENTICATOR,  /* "ap-authenticator"  */
    LABEL_AP_REPLY,          /* "ap-reply"          */
    LABEL_EPOCHS,            /* "epochs"            */
    LABEL_NEW_KEYS,          /* "new-keys"          */
    LABEL_VAULT,             /* "vault"             */
    LABEL_AUDIT,             /* "audit"             */
};

struct envelope_key {
    uint32_t kvno;
    uint8_t mac_enc[AEAD_KEY];
};

struct envelope_aad {
    struct slice realm, client, server, context;
};

void envelope_key_done(struct envelope_key *key); /* wipes; for AUTO */

/* Errors: BAD_ETYPE (not a key of 32 bytes), CRYPTO. */
MUST enum rc envelope_derive(const struct key *key, enum label label, struct envelope_key *ret);

/* Two at once, for what comes and what goes under one key: less work than one by one. */
MUST enum rc envelope_derive_pair(const struct key *key, const enum label labels[2], struct envelope_key ret[2]);

/* Appends the raw envelope with a random IV. Errors: LIMIT (names and context too long), CRYPTO, NO_MEMORY. */
MUST enum rc envelope_seal(const struct envelope_key *key, const struct envelope_aad *aad, struct slice plain,
                           struct buf *out);

/*
 * A context made of digests: SHA-256 of each text, one behind the other. Appended. Errors: CRYPTO, NO_MEMORY.
 * What is hashed is named in docs/PROTOCOL.md at the label: texts as they were received, never as they would be
 * written.
 */
MUST enum rc envelope_context(const struct slice *texts, size_t n, struct buf *out);

/* Replaces *ret_plain, wiping it on failure. Errors: MODIFIED, for every way to be wrong. */
MUST enum rc envelope_open(const struct envelope_key *key, const struct envelope_aad *aad, struct slice envelope,
                           struct buf *ret_plain);

/* The key version that the header names. Errors: MODIFIED (short, unknown version or etype). */
MUST enum rc envelope_kvno(struct slice envelope, uint32_t *ret_kvno);

#endif
