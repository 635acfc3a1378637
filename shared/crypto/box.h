/*
 * The classic box: base64( IV[16] | AES-128-CBC(key, IV, PKCS#7(text)) ), as clients of the original write and read it.
 *
 * It has no MAC: whoever knows a text can change its first block through the IV. Tickets are never boxes.
 * Wire: docs/PROTOCOL.md, "Classic box".
 */
#ifndef KERB_CRYPTO_BOX_H
#define KERB_CRYPTO_BOX_H

#include "shared/crypto/primitives.h"

#define BOX_KEY AES128_KEY

/* The unsalted user key: first 16 bytes of SHA-256(password as UTF-8, as typed). */
MUST enum rc box_password_key(struct slice password, uint8_t key[BOX_KEY]);

/* Appends the base64 text of a box with a random IV, without line end. */
MUST enum rc box_seal(const uint8_t key[BOX_KEY], struct slice text, struct buf *out);

/*
 * Opens a box written with PKCS#7 or with the original's spaces; white space around the text is dropped.
 *
 * Out:    ret_text - replaced by the text (never empty)
 *         ret_replay - SHA-256 of the ciphertext blocks that carry the text: from the one that holds its first
 * character (the first behind the IV, but for a peer who writes 16 blanks in front) to the one that holds its last. The
 *         same for a box whose IV was changed or whose padding block was cut.
 * Errors: MODIFIED, for every way to be wrong (base64, length, padding, no text)
 */
MUST enum rc box_open(const uint8_t key[BOX_KEY], struct slice wire, struct buf *ret_text,
                      uint8_t ret_replay[SHA256_LEN]);

#endif
