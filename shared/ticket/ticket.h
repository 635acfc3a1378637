/*
 * Tickets: who somebody is, for one server, until a time; JSON in an envelope under the server's key, as base64url.
 *
 * Wire: docs/PROTOCOL.md, "Tickets". Source: RFC 4120 s.5.3.
 */
#ifndef KERB_TICKET_TICKET_H
#define KERB_TICKET_TICKET_H

#include "shared/crypto/envelope.h"

#define TICKET_TEXT_MAX 4096 /* letters; a ticket with two longest names takes about 1,900 */

enum ticket_kind {
    TICKET_TGT,     /* AS to TGS: `tgs_name`, `session_key` */
    TICKET_SERVICE, /* TGS to a service: `service`, `client_service_sk` */
};

struct ticket {
    enum ticket_kind kind;
    struct name client;
    uint8_t client_id[ID_LEN];
    char address[ADDRESS_MAX]; /* as the issuer saw the client */
    struct name server;
    struct key session;                        /* its etype is the profile; kvno 0 */
    uint32_t epoch;                            /* the principal's cut-off counter when it was issued */
    int64_t auth_time, start, end, renew_till; /* Unix seconds; renew_till 0: not renewable */
    uint8_t id[ID_LEN], parent_id[ID_LEN];     /* parent_id: the TGT's id in a service ticket, else zero */
};

void ticket_done(struct ticket *t); /* wipes; for AUTO(ticket_done) */

/* Appends the base64url text. Errors: LIMIT (its times or keys make no sense), BAD_ETYPE (server_key), CRYPTO,
 * NO_MEMORY. */
MUST enum rc ticket_seal(const struct key *server_key, const struct name *realm, const struct ticket *t,
                         struct buf *out);

/*
 * Open a ticket with the key version it names and check its times.
 *
 * In:      text - any bytes; now_s - Unix seconds, UTC; the ticket must be for `server` in `realm` and of `kind`
 * Out:     ret - released with ticket_done(); filled also when TKT_EXPIRED is returned (for the log)
 * Errors:  MODIFIED (text, tag, content), NO_KVNO, NOT_US, TKT_EXPIRED (from the second `end` on; also: starts more
 * than 600 s from now) Secret:  the plaintext is wiped on every path Thread:  any; no I/O, no logging
 */
MUST enum rc ticket_open(const struct keytab *keys, const struct name *realm, const struct name *server,
                         enum ticket_kind kind, struct slice text, int64_t now_s, struct ticket *ret);

#endif
