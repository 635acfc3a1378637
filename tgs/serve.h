/*
 * The TGS exchange: a client shows a ticket-granting ticket and that it has its session key, and gets a ticket for one
 * service, or (sealed) a renewed ticket-granting ticket.
 *
 * Pure: clock, keys, store, replay cache and audit come in through the environment. One request is gather, check,
 * issue, audit, in that order. The profiles differ in their rules and in how a reply is written; a request is served in
 * the profile that it is written in, with a ticket of that profile or not at all.
 * Wire: docs/PROTOCOL.md, 4.1 and 4.2. Source: RFC 4120 s.3.3, and s.3.2.3 for the order of checks.
 */
#ifndef KERB_TGS_SERVE_H
#define KERB_TGS_SERVE_H

#include "shared/db/pool.h"
#include "shared/service/gate.h"
#include "shared/ticket/authenticator.h"
#include "shared/ticket/replay.h"
#include "shared/ticket/sealed.h"
#include "tgs/epochs.h"
#include "tgs/store.h"

#define TGS_OWN_NAME "tgs" /* its principal, as the protocol calls it */

#define TGS_BOX_MAX  4096 /* letters of `authenticator`; a pretty-printed one takes about 150 */
#define TGS_NAME_MAX 1024 /* bytes of `service`: a longest name before NFC */

struct tgs_req {
    enum etype profile;
    struct slice authenticator, tgs_ticket, service; /* as sent */
    const char *address, *op_id;
    int64_t started_us; /* clock_monotonic_us(); 0: not measured */
    struct {
        struct slice request, body; /* the whole request, and the text of its member: what is hashed */
        uint8_t nonce[SEALED_NONCE];
        int64_t lifetime_s; /* asked for; 0: as long as the policy gives */
        bool renew;
    } sealed; /* for the sealed profile */
};

struct tgs_rep {
    struct buf body; /* complete: the text of the box, or the object with the sealed reply */
    bool is_json;
};

/* What the audit is told: the truth. */
struct tgs_event {
    const struct tgs_req *req;
    enum rc rc;
    const struct ticket *tgt;    /* NULL: it did not open, so there is no client */
    const struct ticket *ticket; /* NULL: none was issued */
    int64_t skew_s;              /* how far the client's clock is ahead, */
    bool has_skew;               /* once the authenticator has opened */
};

struct tgs_env {
    const struct conf *conf;
    struct name name;         /* of the TGS's own principal */
    struct keytab_file *keys; /* its key versions */
    struct pool *stores;      /* of struct tgs_store */
    struct replay *replay;
    struct gate *gate; /* NULL: none */
    struct tgs_epochs *epochs;
    struct feed *feed; /* from the AS; NULL: none is configured */
    int64_t crash_s;   /* after a crash: the second of this start, tickets of up to then are refused; else -1 */
    int64_t (*clock)(void);
    void (*audit)(void *ctx, const struct tgs_event *event);
    void *audit_ctx;
};

/*
 * In:      req - any bytes
 * Out:     ret_rep - on success only
 * Errors:  MALFORMED; FLOODED; of the ticket MODIFIED, NO_KVNO, NOT_US, TKT_EXPIRED, BAD_ETYPE, PROFILE_OFF, CUT_OFF,
 *          BAD_ADDRESS, TKT_BEFORE_CRASH; of the authenticator MODIFIED, BAD_MATCH, SKEW, REPEAT, RATE_LIMITED,
 *          CACHE_FULL; to an authenticated client NO_SERVICE, SERVICE_DISABLED, NOT_RENEWABLE, RENEW_OVER; our own
 *          DB, BAD_ROW, NO_KEY
 * Thread:  any
 */
MUST enum rc tgs_serve(const struct tgs_env *env, const struct tgs_req *req, struct tgs_rep *ret_rep);

#endif
