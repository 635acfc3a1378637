/*
 * What every daemon keeps of its decisions: the throttle, the audit log and the metrics, under one roof.
 *
 * Files: STATE/<folder>/gate, STATE/<folder>/audit.log with its head. Thread: any, but for ops_second().
 */
#ifndef KERB_SERVICE_OPS_H
#define KERB_SERVICE_OPS_H

#include "shared/service/audit.h"
#include "shared/service/conf.h"
#include "shared/service/gate.h"
#include "shared/service/metrics.h"

#define OPS_AUDIT_LOG "audit.log"

/* One decision, the truth about it. What is NULL, empty or 0 is left out. */
struct decision {
    const char *event; /* a word of ours that lives on: "as", "tgs", "login" */
    const char *what;  /* the operation, where an event has several */
    const char *op_id, *address;
    enum etype profile;                    /* 0: not known */
    struct slice client, service, target;  /* who; for what; on whom, where that is somebody else */
    const uint8_t *ticket_in, *ticket_out; /* ids of ID_LEN bytes: shown, issued */
    enum rc rc;
    const char *refusal; /* a code that only the client was told, sealed */
    int64_t skew_s;      /* how far the client's clock was ahead, */
    bool has_skew;       /* where it could be told */
    int64_t started_us;  /* clock_monotonic_us() when the request came */
};

struct ops;

struct ops_options {
    const struct conf *conf;
    const char *daemon, *folder;                                              /* "kerb-as", "as" */
    enum rc (*audit_key)(void *ctx, uint32_t kvno, struct envelope_key *ret); /* as audit_options.key */
    void *audit_key_ctx;
    int64_t now_s;
};

/* Out: error - what does not open. Errors: as gate_open and audit_open. */
MUST enum rc ops_open(const struct ops_options *options, struct ops **ret, struct buf *error);
void ops_close(struct ops *o); /* writes everything; accepts NULL */

/* NULL: throttle = no. */
struct gate *ops_gate(const struct ops *o);

/* Audit line, metrics, and a line of the log at level debug. No system call. Accepts NULL (nothing). */
void ops_tell(struct ops *o, const struct decision *d);

/* Once a second, by one thread: writes the gate, sets the gauges. */
void ops_second(struct ops *o);

/* RC_OK while decisions can be recorded, for readyz. */
MUST enum rc ops_ready(struct ops *o);

/* The path of a log: STATE/<folder>/<name>. */
MUST enum rc ops_path(const struct conf *conf, const char *folder, const char *name, char **ret); /* AUTO(str_done) */

#endif
