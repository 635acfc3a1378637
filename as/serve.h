/*
 * The AS exchange: a client shows that it has its key, and gets a ticket-granting ticket.
 *
 * Pure: clock, store, caches and audit come in through the environment. One request is gather, check, issue, audit, in
 * that order, and the answer to an unknown name costs what the answer to a wrong key costs. The two profiles are two
 * tables of rules (serve.c: classic, sealed.c: sealed) around the same steps.
 * Wire: docs/PROTOCOL.md, 4.1 and 4.2. Source: RFC 4120 s.3.1, RFC 6113 s.5.2 (the cookie).
 */
#ifndef KERB_AS_SERVE_H
#define KERB_AS_SERVE_H

#include "as/audit.h"
#include "as/cookie.h"
#include "as/store.h"
#include "shared/db/pool.h"
#include "shared/service/gate.h"
#include "shared/ticket/ap.h"
#include "shared/ticket/authenticator.h"
#include "shared/ticket/replay.h"
#include "shared/ticket/sealed.h"

#define AS_LOGIN_MAX 1024 /* bytes: a longest name before NFC */
#define AS_BOX_MAX   4096 /* letters of `encrypted`; a pretty-printed request takes about 150 */

struct as_req {
    enum etype profile;
    struct slice login;
    struct slice encrypted; /* classic: as sent */
    struct {
        struct slice request;         /* the whole body of the request */
        struct slice body;            /* its text as sent */
        struct slice cookie, preauth; /* as sent; empty: absent */
        struct slice tgs_name;
        uint8_t nonce[SEALED_NONCE];
        int64_t lifetime_s; /* 0: as long as the realm allows */
        bool renewable;
    } sealed;
    const char *address, *op_id;
    int64_t started_us; /* clock_monotonic_us(); 0: not measured */
};

struct as_rep {
    struct buf body;   /* after RC_OK: the answer, complete */
    struct buf cookie; /* after RC_PREAUTH_REQUIRED: what the client is told, */
    struct userkey_params params;
};

struct as_env {
    const struct conf *conf;
    struct pool *stores; /* of struct as_store */
    struct replay *replay;
    struct gate *gate;    /* NULL: none */
    struct pool *writers; /* of one struct as_store that may write */
    struct cookie_jar cookies;
    struct ap *changepw, *admin;          /* NULL: as.keytab lacks their key */
    struct as_secret decoy, sealed_decoy; /* what the proof of one who may not log in is tried with: random */
    int64_t (*clock)(void);               /* Unix seconds */
    int64_t (*ticks)(void);               /* seconds that never go back */
    as_audit *audit;
    void *audit_ctx;
    void (*unlock)(void *ctx, const struct name *user); /* forgets wrong passwords; NULL: nothing counts them */
    void *unlock_ctx;
    void (*stop)(bool at_once); /* ends this daemon; NULL: cannot */
};

/* Members of the open object: what we offer, and how the user's key is made. In clear and under the seal alike. */
void as_offer_write(struct jw *w, const struct userkey_params *params);

/* Draws the secrets of a process: decoys and the cookies' key. */
MUST enum rc as_env_open(struct as_env *env); /* clock and ticks are set */
void as_env_close(struct as_env *env);

/*
 * In:      req - any bytes
 * Out:     ret_rep - what its fields say; released by the caller
 * Errors:  MALFORMED; PREAUTH_REQUIRED (sealed); NO_CLIENT, NO_CLIENT_KEY, PROFILE_OFF, CLIENT_DISABLED, BAD_PREAUTH,
 *          HELD, REFLECTED, DOWNGRADE (one answer on the wire); FLOODED; once the key is proved NO_SERVICE, SKEW,
 * REPEAT, RATE_LIMITED, CACHE_FULL; our own DB, BAD_ROW, NO_KEY Thread:  any
 */
MUST enum rc as_serve(const struct as_env *env, const struct as_req *req, struct as_rep *ret_rep);

#endif
