/*
 * The AS's cookies: proof that a request is fresh, without a client's clock. A cookie is an envelope under a key of
 * this process, for one client, good for COOKIE_S and for one login; it costs no memory until it is used.
 *
 *   plaintext = expiry u64be | id[16]      AAD: client, tgs / ""
 *
 * All times here are seconds of a clock that never goes back: cookies live and die with the process, and nobody who
 * turns the wall clock can revive one or keep everybody out.
 * Wire: docs/PROTOCOL.md, 4.2. Thread: any.
 */
#ifndef KERB_AS_COOKIE_H
#define KERB_AS_COOKIE_H

#include "shared/crypto/envelope.h"
#include "shared/ticket/replay.h"

#define COOKIE_S 120 /* PBKDF2 on a slow phone takes some seconds; a person may be asked in between */

struct cookie {
    int64_t expiry_s;
    uint8_t id[ID_LEN];
};

struct cookie_jar {
    struct envelope_key key; /* random, of this process */
    struct replay *used;     /* by client id */
};

MUST enum rc cookie_jar_open(struct cookie_jar *jar, int64_t ticks_s);
void cookie_jar_close(struct cookie_jar *jar); /* accepts a zeroed one */

/* Appends the text of a fresh cookie. */
MUST enum rc cookie_make(const struct cookie_jar *jar, const struct envelope_aad *whom, int64_t ticks_s,
                         struct buf *out);

/* Errors: PREAUTH_REQUIRED, for every way to be of no use: unreadable, another client's, past its end. */
MUST enum rc cookie_read(const struct cookie_jar *jar, const struct envelope_aad *whom, struct slice text,
                         int64_t ticks_s, struct cookie *ret);

/* Was it used already? */
bool cookie_is_used(const struct cookie_jar *jar, const uint8_t client_id[ID_LEN], const struct cookie *cookie);

/* Uses it up. Errors: PREAUTH_REQUIRED (somebody was faster), RATE_LIMITED, CACHE_FULL. */
MUST enum rc cookie_use(const struct cookie_jar *jar, const uint8_t client_id[ID_LEN], const struct cookie *cookie,
                        int64_t ticks_s);

#endif
