/* The AS's decisions on their way to the audit log and the metrics. */
#include "as/audit.h"

void as_audit_ops(void *ctx, const struct as_event *event)
{
    const struct decision d = {
        .event = event->kind,
        .what = event->what,
        .op_id = event->op_id,
        .address = event->address,
        .profile = event->profile,
        .client = event->client,
        .target = event->target,
        .ticket_in = event->in ? event->in->id : NULL,
        .ticket_out = event->out ? event->out->id : NULL,
        .rc = event->rc,
        .refusal = event->refusal,
        .skew_s = event->skew_s,
        .has_skew = event->has_skew,
        .started_us = event->started_us,
    };
    ops_tell(ctx, &d);
}
