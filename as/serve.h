/*
 * The AS exchange: a client shows that it has its key, and gets a ticket-granting ticket.
 *
 * Pure: clock, store, replay cache and audit come in through the environment. One request is gather, check, issue,
 * audit, in that order, and the answer to an unknown name costs what the answer to a wrong key costs.
 * Wire: docs/PROTOCOL.md, 4.1. Source: RFC 4120 s.3.1.
 */
#ifndef KERB_AS_SERVE_H
#define KERB_AS_SERVE_H

#include "as/store.h"
#include "shared/db/pool.h"
#include "shared/ticket/authenticator.h"
#include "shared/ticket/replay.h"

#define AS_LOGIN_MAX 1024 /* bytes: a longest name before NFC */
#define AS_BOX_MAX   4096 /* letters of `encrypted`; a pretty-printed request takes about 150 */

struct as_req {
    struct slice login, encrypted; /* as sent */
    const char *address, *op_id;
};

struct as_rep {
    struct buf body; /* the text of the box, complete */
};

/* What the audit is told: the truth. */
struct as_event {
    const struct as_req *req;
    enum rc rc;
    const struct ticket *ticket; /* NULL: none was issued */
};

struct as_env {
    const struct conf *conf;
    struct pool *stores; /* of struct as_store */
    struct replay *replay;
    struct key decoy; /* what a disabled client's proof is tried with: random, of this process */
    int64_t (*clock)(void);
    void (*audit)(void *ctx, const struct as_event *event);
    void *audit_ctx;
};

/*
 * In:      req - any bytes
 * Out:     ret_rep - on success only
 * Errors:  MALFORMED; NO_CLIENT, NO_CLIENT_KEY, CLIENT_DISABLED, BAD_PREAUTH, REFLECTED (one answer on the wire); once
 *          the key is proved NO_SERVICE, SKEW, REPEAT, RATE_LIMITED, CACHE_FULL; our own DB, BAD_ROW, NO_KEY
 * Thread:  any
 */
MUST enum rc as_serve(const struct as_env *env, const struct as_req *req, struct as_rep *ret_rep);

#endif
