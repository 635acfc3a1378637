/* Throttle, audit and metrics of a daemon. */
#include "shared/service/ops.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"

struct ops {
    struct gate *gate;
    struct audit *audit;
    bool was_gate_bad, was_audit_bad;
};

enum rc ops_path(const struct conf *conf, const char *folder, const char *name, char **ret)
{
    AUTO(buf_done) struct buf sub = {0};

    TRY(buf_printf(&sub, "%s/%s", folder, name));
    const char *text = buf_cstr(&sub);
    return text ? conf_path(conf, text, ret) : RC_NO_MEMORY;
}

static enum rc told(enum rc rc, const char *path, struct buf *error)
{
    if (rc != RC_OK)
        TRY(buf_printf(error, "%s: %s", path, rc_text(rc)));
    return rc;
}

static enum rc open_gate(const struct ops_options *o, struct gate **ret, struct buf *error)
{
    AUTO(str_done) char *path = NULL;
    const struct gate_limits limits = {
        .principal_free = (unsigned)o->conf->policy_throttle_free,
        .principal_hold_s = o->conf->policy_throttle_delay_max,
        .network_free = (unsigned)o->conf->policy_throttle_network,
        .network_window_s = o->conf->policy_throttle_window,
        .forget_s = o->conf->policy_throttle_forget,
    };

    if (!o->conf->policy_throttle)
        return RC_OK;
    TRY(ops_path(o->conf, o->folder, "gate", &path));
    return told(gate_open(&limits, path, o->now_s, ret), path, error);
}

static enum rc open_audit(const struct ops_options *o, struct audit **ret, struct buf *error)
{
    AUTO(str_done) char *path = NULL;

    TRY(ops_path(o->conf, o->folder, OPS_AUDIT_LOG, &path));
    const struct audit_options options = {
        .path = path,
        .daemon = o->daemon,
        .realm = o->conf->realm,
        .key = o->audit_key,
        .key_ctx = o->audit_key_ctx,
    };
    return told(audit_open(&options, ret), path, error);
}

enum rc ops_open(const struct ops_options *options, struct ops **ret, struct buf *error)
{
    struct ops *o = calloc(1, sizeof(*o));

    if (!o)
        return RC_NO_MEMORY;
    enum rc rc = open_gate(options, &o->gate, error);
    if (rc == RC_OK)
        rc = open_audit(options, &o->audit, error);
    if (rc != RC_OK) {
        ops_close(o);
        return rc;
    }
    metric_set(GAUGE_start_time_seconds, options->now_s);
    metric_set(GAUGE_audit_healthy, 1);
    *ret = o;
    return RC_OK;
}

void ops_close(struct ops *o)
{
    if (!o)
        return;
    gate_close(o->gate);
    audit_close(o->audit);
    free(o);
}

struct gate *ops_gate(const struct ops *o)
{
    return o->gate;
}

/* --- one decision --- */

static void tell_audit(struct ops *o, const struct decision *d, int64_t duration_us)
{
    struct audit_line l;

    audit_begin(o->audit, &l, d->event, d->op_id);
    audit_str(&l, "what", d->what);
    audit_slice(&l, "client", d->client);
    audit_slice(&l, "service", d->service);
    audit_slice(&l, "target", d->target);
    audit_str(&l, "address", d->address);
    if (d->profile)
        audit_str(&l, "profile", profile_name(d->profile));
    if (d->ticket_in)
        audit_id(&l, "ticket_in", d->ticket_in);
    if (d->ticket_out)
        audit_id(&l, "ticket_out", d->ticket_out);
    if (d->has_skew)
        audit_num(&l, "skew_s", d->skew_s);
    audit_num(&l, "duration_us", duration_us);
    audit_str(&l, "refusal", d->refusal);
    audit_rc(&l, d->rc);
    audit_end(o->audit, &l);
}

/* What stands in the audit log is in the log for whoever looks for a fault only. */
static void tell_log(const struct decision *d)
{
    struct log_line l;

    log_begin(&l, rc_http(d->rc) >= 500 ? LOG_ERROR : LOG_DEBUG, d->event);
    if (!l.on)
        return;
    log_str(&l, "op_id", d->op_id ? d->op_id : "");
    if (d->what)
        log_str(&l, "what", d->what);
    log_slice(&l, "client", d->client);
    if (d->service.n)
        log_slice(&l, "service", d->service);
    if (d->target.n)
        log_slice(&l, "target", d->target);
    log_str(&l, "address", d->address ? d->address : "");
    if (d->profile)
        log_str(&l, "profile", profile_name(d->profile));
    if (d->refusal)
        log_str(&l, "refusal", d->refusal);
    log_rc(&l, d->rc);
    log_end(&l);
}

static enum metric_profile profile_of(enum etype etype)
{
    return etype == ETYPE_AES128_CBC ? PROFILE_IS_CLASSIC : etype ? PROFILE_IS_SEALED : PROFILE_ANY;
}

void ops_tell(struct ops *o, const struct decision *d)
{
    if (!o)
        return;
    int64_t duration_us = d->started_us ? clock_monotonic_us() - d->started_us : 0;

    tell_audit(o, d, duration_us);
    tell_log(d);
    metric_request(d->event, profile_of(d->profile), d->rc, duration_us);
    if (d->rc == RC_REPEAT)
        metric_count(COUNT_replays, 1);
    if (d->has_skew)
        metric_observe(HISTOGRAM_client_skew_seconds, d->skew_s < 0 ? -d->skew_s : d->skew_s);
}

/* --- once a second --- */

/* A fault is told once, and its end. */
static void tell_change(bool *was_bad, enum rc rc, const char *event)
{
    bool is_bad = rc != RC_OK;

    if (is_bad != *was_bad)
        log_note(is_bad ? LOG_ERROR : LOG_INFO, event, "%s", is_bad ? "cannot be written" : "is written again");
    *was_bad = is_bad;
}

void ops_second(struct ops *o)
{
    if (o->gate) {
        tell_change(&o->was_gate_bad, gate_flush(o->gate), "gate");
        metric_set(GAUGE_gate_buckets, (int64_t)gate_buckets(o->gate));
    }
    enum rc health = audit_health(o->audit);
    tell_change(&o->was_audit_bad, health, "audit");
    metric_set(GAUGE_audit_healthy, health == RC_OK);
}

enum rc ops_ready(struct ops *o)
{
    return audit_health(o->audit);
}
