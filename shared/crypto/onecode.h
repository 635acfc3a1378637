/*
 * One-time codes: 16 random bytes that an administrator hands to a person, as 26 letters in groups.
 *
 * The code itself never goes over the wire: its first use is a key (HKDF), under which the new user's keys are sealed;
 * the server finds that key by the code's id, a digest. Letters: lower-case base32 without i, l, o, u, read in any
 * case, with i and l for 1 and o for 0; hyphens and blanks are skipped.
 *
 * Wire: docs/PROTOCOL.md, "Registration".
 */
#ifndef KERB_CRYPTO_ONECODE_H
#define KERB_CRYPTO_ONECODE_H

#include "shared/crypto/key.h"

#define ONECODE_LEN    16
#define ONECODE_ID_LEN 8
#define ONECODE_TEXT   30 /* letters and hyphens: 5-5-5-5-6 */

struct onecode {
    uint8_t bytes[ONECODE_LEN];
};

void onecode_done(struct onecode *code); /* wipes; for AUTO */

MUST enum rc onecode_make(struct onecode *ret);
MUST enum rc onecode_write(const struct onecode *code, struct buf *out); /* appends ONECODE_TEXT letters */
MUST enum rc onecode_read(struct slice text, struct onecode *ret);       /* Errors: MALFORMED */

/* First 8 bytes of SHA-256("kerb1 code id" | code). */
MUST enum rc onecode_id(const struct onecode *code, uint8_t ret[ONECODE_ID_LEN]);

/* HKDF-SHA-256(code, salt "", info "kerb1 code", 32), etype aes128-cbc-hs256, kvno 0. */
MUST enum rc onecode_key(const struct onecode *code, struct key *ret);

#endif
