/* What the AS tells its audit: the truth about one decision. */
#ifndef KERB_AS_AUDIT_H
#define KERB_AS_AUDIT_H

#include "shared/service/ops.h"
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
    int64_t skew_s;      /* how far the client's clock was ahead, */
    bool has_skew;       /* where it was told under a key */
    int64_t started_us;  /* clock_monotonic_us() when the request came; 0: not measured */
};

typedef void as_audit(void *ctx, const struct as_event *event);

/* Into the audit log and the metrics; ctx is the struct ops of the daemon. */
as_audit as_audit_ops;

#endif
