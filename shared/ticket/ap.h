/*
 * The server's side of a service over HTTP (kerb/admin, kerb/changepw): bytes in, bytes out.
 *
 *   request  {"v":1, "ticket", "authenticator", "challenge", "body"}
 *   reply    {"v":1, "reply": E(ap-reply)}, bound to the exact bytes of the request
 *
 * Freshness is a challenge that we made: an envelope under a key of this process, for the ticket's client, good for
 * AP_CHALLENGE_S and for one use. It is used up only by an authenticator that verifies, so nobody can spend another's.
 * The first request of a client is the same without `authenticator`: its answer is 401 with a challenge, and so is that
 * to a challenge which is used, expired, foreign or unreadable.
 *
 * What this does not look at: the client's epoch, and whether he may do what he asks: the caller's, behind ap_accept.
 * Wire: docs/PROTOCOL.md, 4.3. Source: RFC 4120 s.3.2.3 (order of checks). Thread: any, several at a time.
 */
#ifndef KERB_TICKET_AP_H
#define KERB_TICKET_AP_H

#include "shared/ticket/sealed.h"
#include "shared/ticket/ticket.h"

#define AP_CHALLENGE_S 120 /* a client answers at once; what is remembered stays small */

struct ap_options {
    struct name realm, service;
    struct keytab_file *keys; /* must outlive the ap */
    bool check_address;       /* [realm] check_address */
};

struct ap;

/* options are copied. Errors: CRYPTO, NO_MEMORY. */
MUST enum rc ap_open(const struct ap_options *options, int64_t now_s, struct ap **ret);
void ap_close(struct ap *ap); /* accepts NULL */

struct ap_request {
    struct slice bytes;  /* the whole body of the request */
    const char *address; /* of the client */
};

/* A request on its way; filled as far as it came, so that the audit can tell. */
struct ap_call {
    struct ticket ticket;
    bool is_opened;                /* ticket is filled */
    json_t *body;                  /* what is asked for; after RC_OK only */
    uint8_t challenge[SHA256_LEN]; /* SHA-256 of the challenge's text: new keys are bound to it */
    int64_t time_s;                /* the client's clock: measured, never refused */
    struct buf fresh;              /* after RC_NO_CHALLENGE: a challenge for the 401, text */
    uint8_t request[SHA256_LEN];   /* what the reply is bound to */
};

void ap_call_done(struct ap_call *call); /* for AUTO */

/*
 * Reads and checks a request.
 *
 * Out:     ret - zeroed by the caller, released with ap_call_done() whatever is returned
 * Errors:  MALFORMED; of the ticket MODIFIED, NO_KVNO, NOT_US, TKT_EXPIRED, BAD_ETYPE (classic), BAD_ADDRESS;
 *          NO_CHALLENGE (answer 401 with ret->fresh); of the authenticator MODIFIED, BAD_MATCH; RATE_LIMITED,
 * CACHE_FULL (challenges in use)
 */
MUST enum rc ap_accept(struct ap *ap, const struct ap_request *req, int64_t now_s, struct ap_call *ret);

/* Appends the body of the answer 200: plain (JSON) sealed for the client of an accepted call. */
MUST enum rc ap_reply(const struct ap *ap, const struct ap_call *call, struct slice plain, struct buf *out);

#endif
