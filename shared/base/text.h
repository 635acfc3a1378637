/*
 * Text: UTF-8, names, numbers and times as the protocol writes them.
 */
#ifndef KERB_BASE_TEXT_H
#define KERB_BASE_TEXT_H

#include "shared/base/buf.h"

#define ID_LEN      16 /* bytes of a client id, ticket id, room uid, message id: random, never reused */
#define ADDRESS_MAX 46 /* text of an IPv6 address with its terminating zero */

#define NAME_MAX_CHARS 64 /* characters of a principal's or service's name; PROTOCOL.md section 1 */
#define NAME_MAX_BYTES (NAME_MAX_CHARS * 4)

/* Valid UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. Source: RFC 3629 section 4. */
bool utf8_valid(struct slice s);

/* Number of characters (code points) of valid UTF-8. */
size_t utf8_chars(struct slice s);

/* Appends the text in NFC. Errors: MALFORMED (not UTF-8), NO_MEMORY. */
MUST enum rc text_nfc(struct slice text, struct buf *out);

/* A name of a principal, a service or a room, in its one spelling. No memory of its own, so nothing to release. */
struct name {
    uint16_t n;                 /* bytes */
    char s[NAME_MAX_BYTES + 1]; /* NUL-terminated */
};

struct slice name_slice(const struct name *name);

/*
 * Bring to NFC, then check: 1..64 characters of UTF-8, no control character, no space at an end.
 * Errors: MALFORMED, NO_MEMORY.
 */
MUST enum rc name_parse(struct slice raw, struct name *ret);

/* Appends what two names that differ in case only have in common (NFC, case folding): the key of uniqueness. */
MUST enum rc name_fold(const struct name *name, struct buf *out);

/* A decimal number without sign or leading zeros, at most max. Errors: MALFORMED. */
MUST enum rc parse_u64(struct slice text, uint64_t max, uint64_t *ret);

#define CLASSIC_TIME_LEN 19 /* "YYYY-MM-DD HH:MM:SS" */

/*
 * Classic times: UTC. Reading is strict: 19 characters, a real date and time of the years 1970 to 9999.
 * Errors: MALFORMED.
 */
MUST enum rc time_parse_classic(struct slice text, int64_t *ret_s);
void time_format_classic(int64_t unix_s, char out[CLASSIC_TIME_LEN + 1]);

/* A client's clock may show anything: cut to 1970 .. 2106, so that no sum with it overflows. */
int64_t time_bounded(int64_t time_s);

/* The clocks. Unix seconds and milliseconds, UTC; the monotonic one never goes back. */
int64_t clock_s(void);
int64_t clock_ms(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void); /* for durations */

#endif
