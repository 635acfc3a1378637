/* POST /as/login. */
#include "as/login.h"

#include "shared/base/base64.h"
#include "shared/service/params.h"

static enum rc serve(const struct as_env *env, const struct http_request *http, struct as_rep *ret)
{
    AUTO(params_done) struct params params = {0};
    struct as_req req = {.address = http->address, .op_id = http->op_id};

    enum rc rc = params_parse(http->body, &params);
    if (rc == RC_OK)
        rc = params_text(&params, "login", AS_LOGIN_MAX, &req.login);
    if (rc == RC_OK)
        rc = params_text(&params, "encrypted", AS_BOX_MAX, &req.encrypted);
    if (rc == RC_OK)
        return as_serve(env, &req, ret);
    env->audit(env->audit_ctx, &(struct as_event){&req, rc, NULL});
    return rc;
}

void as_login_post(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    struct as_rep rep = {0};

    enum rc rc = serve(ctx, req, &rep);
    if (rc == RC_OK) {
        reply->body = rep.body;
        return;
    }
    http_reply_error(reply, rc, req->op_id);
}

void as_audit_log(void *ctx, const struct as_event *event)
{
    AUTO(buf_done) struct buf id = {0};
    struct log_line line;

    (void)ctx;
    log_begin(&line, rc_http(event->rc) >= 500 ? LOG_ERROR : LOG_INFO, "as");
    log_str(&line, "op_id", event->req->op_id);
    log_slice(&line, "client", event->req->login);
    log_str(&line, "address", event->req->address);
    if (event->ticket && hex_encode(SLICE(event->ticket->id), &id) == RC_OK)
        log_slice(&line, "ticket", buf_slice(&id));
    log_rc(&line, event->rc);
    log_end(&line);
}

enum rc as_ready(void *ctx)
{
    const struct as_env *env = ctx;
    AUTO(key_done) struct key key = {0};

    struct as_store *store = pool_take(env->stores);
    enum rc rc = as_store_tgs_key(store, env->clock(), &key);
    pool_put(env->stores, store);
    return rc;
}
