/*
 * The classic authenticator: a box under the session key that shows who is speaking, and when.
 *
 * Wire: docs/PROTOCOL.md, 4.1 and 5.1. Source: RFC 4120 s.3.2.3 (order of checks).
 */
#ifndef KERB_TICKET_AUTHENTICATOR_H
#define KERB_TICKET_AUTHENTICATOR_H

#include "shared/base/text.h"
#include "shared/crypto/box.h"

struct authenticator {
    struct name client;
    int64_t time_s;
    uint8_t replay[SHA256_LEN]; /* what the replay cache remembers, see box_open() */
};

/* Errors: MODIFIED, for every way to be wrong. */
MUST enum rc authenticator_open(const uint8_t key[BOX_KEY], struct slice wire, struct authenticator *ret);

struct skew {
    int64_t behind_s, ahead_s; /* how far a client's stamp may lie behind and ahead of our clock */
};

/* Errors: SKEW. */
MUST enum rc skew_check(const struct skew *skew, int64_t stamp_s, int64_t now_s);

#endif
