/* The common part of three mains. */
#include "shared/daemon/host.h"

#include <stdio.h>

#include "shared/db/db.h"
#include "shared/service/lifecycle.h"
#include "shared/unseal/audit_key.h"
#include "shared/unseal/unseal.h"

int host_fail(const struct host *h, const char *what, const char *why, enum rc rc)
{
    (void)fprintf(stderr, "%s: %s: %s\n", h->name, what, why && *why ? why : rc_text(rc));
    return 1;
}

static void committed(int64_t took_us)
{
    metric_observe(HISTOGRAM_commit_seconds, took_us);
}

static enum rc read_conf(struct host *h, const char *path, enum log_level *ret_level, struct buf *error)
{
    TRY(conf_load(path, &h->conf, error));
    TRY(log_level_parse(h->conf.log_level, ret_level));
    return h->check ? h->check(h->check_ctx, error) : RC_OK;
}

bool host_begin(struct host *h, int argc, char **argv, int *ret_status)
{
    AUTO(buf_done) struct buf error = {0};
    struct daemon_args args;
    enum log_level level;

    *ret_status = 1;
    enum rc rc = lifecycle_setup();
    if (rc != RC_OK) {
        (void)host_fail(h, "start", NULL, rc);
        return false;
    }
    if (!daemon_args_parse(argc, argv, h->summary, &args, ret_status))
        return false;
    rc = read_conf(h, args.config, &level, &error);
    *ret_status = rc == RC_OK ? 0 : host_fail(h, "configuration", buf_cstr(&error), rc);
    if (rc != RC_OK || args.check_only)
        return false;
    if (args.unseal)
        (void)snprintf(h->master, CONF_TEXT_MAX, "shares");
    db_observe(committed);
    rc = lifecycle_begin(h->name, level);
    if (rc != RC_OK)
        *ret_status = host_fail(h, "signals", NULL, rc);
    return rc == RC_OK;
}

bool host_unseal(const struct host *h, int *ret_status)
{
    AUTO(buf_done) struct buf error = {0};

    enum rc rc = unseal_wait(&h->conf, h->folder, h->listen, &error);
    if (rc != RC_OK)
        *ret_status = rc == RC_STOPPED ? 0 : host_fail(h, "unseal", buf_cstr(&error), rc);
    return rc == RC_OK;
}

int host_open_ops(struct host *h, int64_t start_s)
{
    AUTO(buf_done) struct buf error = {0};

    enum rc rc = master_of(&h->conf, h->folder, &h->audit_master);
    if (rc != RC_OK)
        return host_fail(h, "master key", NULL, rc);
    const struct ops_options options = {
        .conf = &h->conf,
        .daemon = h->name,
        .folder = h->folder,
        .audit_key = master_audit_key,
        .audit_key_ctx = h->audit_master,
        .now_s = start_s,
    };

    rc = ops_open(&options, &h->ops, &error);
    return rc == RC_OK ? 0 : host_fail(h, "start", buf_cstr(&error), rc);
}

void host_close_ops(struct host *h)
{
    ops_close(h->ops);
    h->ops = NULL;
    master_done(&h->audit_master);
}
