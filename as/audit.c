/* The AS's decisions in the log. */
#include "as/audit.h"

#include "shared/base/base64.h"
#include "shared/service/conf.h"
#include "shared/service/log.h"

static void log_ticket(struct log_line *line, const char *name, const struct ticket *t)
{
    AUTO(buf_done) struct buf hex = {0};

    if (t && hex_encode(SLICE(t->id), &hex) == RC_OK)
        log_slice(line, name, buf_slice(&hex));
}

void as_audit_log(void *ctx, const struct as_event *event)
{
    struct log_line line;

    (void)ctx;
    log_begin(&line, rc_http(event->rc) >= 500 ? LOG_ERROR : LOG_INFO, event->kind);
    log_str(&line, "op_id", event->op_id);
    if (event->what)
        log_str(&line, "what", event->what);
    log_slice(&line, "client", event->client);
    if (event->target.n)
        log_slice(&line, "target", event->target);
    log_str(&line, "address", event->address);
    if (event->profile)
        log_str(&line, "profile", profile_name(event->profile));
    log_ticket(&line, "ticket_in", event->in);
    log_ticket(&line, "ticket", event->out);
    if (event->refusal)
        log_str(&line, "refusal", event->refusal);
    log_rc(&line, event->rc);
    log_end(&line);
}
