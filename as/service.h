/*
 * The services that the AS itself serves over HTTP (kerb/changepw, kerb/admin): a sealed ticket, a challenge, an
 * operation, a sealed reply, an audit line.
 *
 *   reply   {"ok":true, ...} or {"ok":false, "code", "message"}
 *
 * Who the client is comes from the ticket; what he may do now comes from the table: a client who was disabled, deleted
 * or cut off since gets nothing, and the administrator flag is never taken from a ticket.
 * Wire: docs/PROTOCOL.md, 4.3.
 */
#ifndef KERB_AS_SERVICE_H
#define KERB_AS_SERVICE_H

#include "as/serve.h"
#include "shared/service/http.h"
#include "shared/ticket/ap.h"

struct as_call {
    const struct as_env *env;
    struct ap_call ap;
    struct as_store *store;     /* the one that writes */
    struct as_principal client; /* as it is in the table now */
    int64_t now_s, started_us;
    const char *address;
    const char *op;      /* of our tables; NULL: not known */
    struct buf target;   /* on whom or on what, for the audit */
    const char *refusal; /* a code; NULL: done */
    struct jw reply;     /* an open object: members of a success go there */
};

/* What the operation refuses: tells the client why, and is a success for HTTP. */
enum rc as_call_refuse(struct as_call *call, const char *code);

/* Turns those results of the store that an operation may meet into refusals; passes the others on. */
enum rc as_call_tell(struct as_call *call, enum rc rc);

struct as_service {
    const char *kind; /* of its events */
    struct ap *ap;    /* NULL: its key is missing */
    enum rc (*run)(struct as_call *call);
};

/* Serves one request. Thread: any. */
void as_service_post(const struct as_env *env, const struct as_service *service, const struct http_request *http,
                     struct http_reply *reply);

#endif
