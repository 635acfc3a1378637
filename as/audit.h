/* What the AS tells its audit: the truth about one decision. */
#ifndef KERB_AS_AUDIT_H
#define KERB_AS_AUDIT_H

#include "shared/ticket/ticket.h"

struct as_event {
    const char *kind; /* "as", "changepw", "register", "admin" */
    const char *what; /* the operation; NULL for "as" */
    const char *address, *op_id;
    enum etype profile;            /* 0: not known */
    struct slice client;           /* who: as sent, or as proved */
    struct slice target;           /* on whom or on what; empty: on himself */
    const struct ticket *in, *out; /* shown, issued; NULL: none */
    enum rc rc;
    const char *refusal; /* a code that only the client was told, sealed; NULL: none */
};

typedef void as_audit(void *ctx, const struct as_event *event);

/* One line in the log. */
as_audit as_audit_log;

#endif
