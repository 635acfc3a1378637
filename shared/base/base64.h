/*
 * Base64 and hexadecimal, read strictly: no letter outside the alphabet, unused bits zero, one spelling per value.
 *
 * Source: RFC 4648 sections 4 (standard, padded), 5 (url-safe, here without padding) and 8 (hexadecimal).
 */
#ifndef KERB_BASE_BASE64_H
#define KERB_BASE_BASE64_H

#include "shared/base/buf.h"

/* Append the text of s. Errors: NO_MEMORY. */
MUST enum rc base64_encode(struct slice s, struct buf *out);
MUST enum rc base64url_encode(struct slice s, struct buf *out);
MUST enum rc hex_encode(struct slice s, struct buf *out);

/* Length of the padded text of n bytes. */
size_t base64_len(size_t n);

/* Append the bytes of the text. Errors: MALFORMED (nothing is appended then), NO_MEMORY. */
MUST enum rc base64url_decode(struct slice text, struct buf *out);
MUST enum rc hex_decode(struct slice text, struct buf *out); /* lower and upper case */

/* The text of exactly n bytes. Errors: MALFORMED; *ret is of no use then. */
MUST enum rc base64url_decode_exact(struct slice text, uint8_t *ret, size_t n);

/* As clients of the classic profile write it: padded, a space stands for '+', line breaks are skipped. */
MUST enum rc base64_decode_lenient(struct slice text, struct buf *out);

#endif
