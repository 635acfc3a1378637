/* POST /tgs. */
#include "tgs/grant.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/service/params.h"

static enum rc read_classic(const struct params *params, struct tgs_req *req)
{
    req->profile = ETYPE_AES128_CBC;
    TRY(params_text(params, "authenticator", TGS_BOX_MAX, &req->authenticator));
    TRY(params_text(params, "tgs_ticket", TICKET_TEXT_MAX, &req->tgs_ticket));
    return params_text(params, "service", TGS_NAME_MAX, &req->service);
}

/* An option that we do not know may restrict what is asked for: refuse it. */
static enum rc read_options(const json_t *body, bool *ret_renew)
{
    const json_t *options = json_object_get(body, "options"), *option;
    size_t i;

    *ret_renew = false;
    if (!options)
        return RC_OK;
    if (!json_is_array(options))
        return RC_MALFORMED;
    json_array_foreach (options, i, option) {
        if (!json_is_string(option) || strcmp(json_string_value(option), "renew") != 0)
            return RC_MALFORMED;
        *ret_renew = true;
    }
    return RC_OK;
}

static enum rc read_lifetime(const json_t *body, int64_t *ret_s)
{
    *ret_s = 0;
    if (!json_object_get(body, "lifetime_s"))
        return RC_OK;
    TRY(json_get_int(body, "lifetime_s", ret_s));
    return *ret_s > 0 ? RC_OK : RC_MALFORMED;
}

/* ret_body: what req borrows from. */
static enum rc read_sealed(const json_t *request, struct slice bytes, struct tgs_req *req, json_t **ret_body)
{
    req->profile = ETYPE_AES128_CBC_HS256;
    req->sealed.request = bytes;
    TRY(sealed_version(request));
    TRY(sealed_text(request, "tgt", TICKET_TEXT_MAX, &req->tgs_ticket));
    TRY(sealed_text(request, "authenticator", SEALED_TEXT_MAX, &req->authenticator));
    TRY(sealed_body(request, &req->sealed.body, ret_body));
    TRY(sealed_text(*ret_body, "service", TGS_NAME_MAX, &req->service));
    TRY(sealed_bytes(*ret_body, "nonce", req->sealed.nonce, SEALED_NONCE));
    TRY(read_lifetime(*ret_body, &req->sealed.lifetime_s));
    return read_options(*ret_body, &req->sealed.renew);
}

static enum rc serve(const struct tgs_env *env, const struct http_request *http, struct tgs_rep *ret)
{
    AUTO(params_done) struct params params = {0};
    AUTO(json_done) json_t *body = NULL;
    struct tgs_req req = {.address = http->address, .op_id = http->op_id};

    enum rc rc = params_parse(http->body, &params);
    if (rc == RC_OK)
        rc = params.json && sealed_claims(params.json) ? read_sealed(params.json, http->body, &req, &body)
                                                       : read_classic(&params, &req);
    if (rc == RC_OK)
        return tgs_serve(env, &req, ret);
    env->audit(env->audit_ctx, &(struct tgs_event){.req = &req, .rc = rc});
    return rc;
}

void tgs_grant_post(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    struct tgs_rep rep = {0};

    enum rc rc = serve(ctx, req, &rep);
    if (rc != RC_OK) {
        http_reply_error(reply, rc, req->op_id);
        return;
    }
    reply->body = rep.body;
    if (rep.is_json)
        reply->content_type = "application/json";
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
    if (event->req->profile)
        log_str(&line, "profile", event->req->profile == ETYPE_AES128_CBC ? "classic" : "sealed");
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
    if (rc == RC_NO_SERVICE)
        rc = key_is_usable(env);
    return rc == RC_OK ? feed_ready(env->feed) : rc;
}
