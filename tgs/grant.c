/* POST /tgs. */
#include "tgs/grant.h"

#include "shared/base/base64.h"
#include "shared/service/params.h"

static enum rc serve(const struct tgs_env *env, const struct http_request *http, struct tgs_rep *ret)
{
    AUTO(params_done) struct params params = {0};
    struct tgs_req req = {.address = http->address, .op_id = http->op_id};

    enum rc rc = params_parse(http->body, &params);
    if (rc == RC_OK)
        rc = params_text(&params, "authenticator", TGS_BOX_MAX, &req.authenticator);
    if (rc == RC_OK)
        rc = params_text(&params, "tgs_ticket", TICKET_TEXT_MAX, &req.tgs_ticket);
    if (rc == RC_OK)
        rc = params_text(&params, "service", TGS_NAME_MAX, &req.service);
    if (rc == RC_OK)
        return tgs_serve(env, &req, ret);
    env->audit(env->audit_ctx, &(struct tgs_event){&req, rc, NULL, NULL});
    return rc;
}

void tgs_grant_post(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    struct tgs_rep rep = {0};

    enum rc rc = serve(ctx, req, &rep);
    if (rc == RC_OK) {
        reply->body = rep.body;
        return;
    }
    http_reply_error(reply, rc, req->op_id);
}

static void log_id(struct log_line *line, const char *name, const uint8_t id[ID_LEN])
{
    AUTO(buf_done) struct buf hex = {0};
    if (hex_encode(slice_of(id, ID_LEN), &hex) == RC_OK)
        log_slice(line, name, buf_slice(&hex));
}

void tgs_audit_log(void *ctx, const struct tgs_event *event)
{
    struct log_line line;

    (void)ctx;
    log_begin(&line, rc_http(event->rc) >= 500 ? LOG_ERROR : LOG_INFO, "tgs");
    log_str(&line, "op_id", event->req->op_id);
    if (event->tgt) {
        log_slice(&line, "client", name_slice(&event->tgt->client));
        log_id(&line, "tgt", event->tgt->id);
    }
    log_str(&line, "address", event->req->address);
    log_slice(&line, "service", event->req->service);
    if (event->ticket)
        log_id(&line, "ticket", event->ticket->id);
    log_rc(&line, event->rc);
    log_end(&line);
}

static enum rc key_is_usable(const struct tgs_env *env)
{
    const struct keytab *keys = keytab_hold(env->keys);
    bool found = keytab_current(keys, &env->name, ETYPE_AES128_CBC_HS256, env->clock()) != NULL;
    keytab_release(env->keys, keys);
    return found ? RC_OK : RC_NO_KEY;
}

enum rc tgs_ready(void *ctx)
{
    const struct tgs_env *env = ctx;
    const struct name nobody = {0};
    struct tgs_service svc;

    struct tgs_store *store = pool_take(env->stores);
    enum rc rc = tgs_store_find(store, &nobody, &svc);
    pool_put(env->stores, store);
    return rc == RC_NO_SERVICE ? key_is_usable(env) : rc;
}
