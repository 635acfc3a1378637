/*
 * The gate: every check of a secret passes through it, and guessing gets slower with each wrong try.
 *
 * A try is counted before the secret is looked at and given back when it was right, so parallel guesses do not slip
 * through, and parallel good logins do not block each other: whoever would only be refused because of tries that are
 * still being checked waits for them, which takes microseconds.
 *
 * There are two kinds of buckets. One per principal and network: a network from which the principal has logged in well
 * has one of its own, all others share one; so nobody can lock out somebody else. It allows some wrong tries, then one
 * try after a delay that doubles with each. One per network, whatever the name: too many wrong tries within a while,
 * and the network is told so (429). A principal who is held is answered like a wrong secret, after the same work.
 *
 * Buckets are bounded in number: familiar networks may have half of them, principals and networks a quarter each, and
 * of what has more, the one that was least recently used goes first: a flood pushes out its like. They outlive a
 * restart: what changed by wrong tries is appended to a file by gate_flush(), at least once a second. Right tries write
 * nothing. Networks are an IPv4 address or the first 64 bits of an IPv6 address. Thread: all calls lock, and those of
 * several threads wait for each other as said; a thread that is in the middle of a try must not begin another.
 */
#ifndef KERB_SERVICE_GATE_H
#define KERB_SERVICE_GATE_H

#include "shared/base/text.h"
#include "shared/crypto/primitives.h"

#define GATE_BUCKETS_MAX 100000 /* about 12 MB */
#define GATE_ID          16     /* bytes of a bucket's key: cut SHA-256 of what it is for */

struct gate_limits {
    unsigned principal_free;  /* wrong tries in a row that cost no delay */
    int64_t principal_hold_s; /* the longest delay between two tries after that */
    unsigned network_free;    /* wrong tries of a network within network_window_s */
    int64_t network_window_s;
    int64_t forget_s; /* a bucket without a wrong try for so long starts anew */
};

enum gate_verdict {
    GATE_OPEN,    /* check the secret, then tell gate_done() */
    GATE_HELD,    /* do the same work, then answer as for a wrong secret; gate_done() is not called */
    GATE_FLOODED, /* 429 */
};

struct gate;

/* One try between gate_enter() and gate_done(). */
struct gate_try {
    uint8_t principal[GATE_ID], network[GATE_ID], familiar[GATE_ID];
    bool has_principal, is_familiar;
    bool is_under_way; /* it was let in, and is not done */
};

/* path: the file of the buckets, 0600; NULL keeps nothing. Errors: IO, UNSAFE_FILE, NO_MEMORY. */
MUST enum rc gate_open(const struct gate_limits *limits, const char *path, int64_t now_s, struct gate **ret);
void gate_close(struct gate *g); /* flushes; accepts NULL */

/*
 * In:  principal - what the secret belongs to, in its one spelling; empty where nothing is named before it is checked
 *      address - of the client, text
 * Out: ret_try - to be given to gate_done(), for GATE_OPEN
 *
 * May wait for tries under way. So whoever enters has all that he will need to get to gate_done() (a handle from a
 * pool): the one who has it might wait here for him.
 */
enum gate_verdict gate_enter(struct gate *g, struct slice principal, const char *address, int64_t now_s,
                             struct gate_try *ret_try);

/* was_wrong: the secret did not verify. A try that failed for another reason is given back like a right one, but makes
 * no network familiar: was_right tells those two apart. */
void gate_done(struct gate *g, struct gate_try *t, bool was_right, bool was_wrong, int64_t now_s);

/*
 * The same in result codes, as every endpoint uses it: ask before the secret is looked at, tell what came of it. A gate
 * of NULL (throttle = no) lets everything pass. What is held or flooded is counted in the metrics.
 *
 * gate_ask: OK; HELD (do the same work with a key that nobody has, answer HELD); FLOODED.
 * gate_tell: of the whole request; a try that was not let in is no try. A repeat counts as a wrong one.
 */
MUST enum rc gate_ask(struct gate *g, struct slice principal, const char *address, int64_t now_s, struct gate_try *ret);
void gate_tell(struct gate *g, struct gate_try *t, enum rc rc, int64_t now_s);

/* An administrator's unlock: forgets the wrong tries of a principal, from everywhere. */
void gate_unlock(struct gate *g, struct slice principal);

/* Writes what changed. Call once a second, always from one thread. Errors: IO (all is written with the next call). */
enum rc gate_flush(struct gate *g);

size_t gate_buckets(struct gate *g);

#endif
