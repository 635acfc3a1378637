/* POST /as/login. */
#include "as/login.h"

#include "shared/service/params.h"

static enum rc read_classic(const struct params *params, struct as_req *req)
{
    req->profile = ETYPE_AES128_CBC;
    TRY(params_text(params, "login", AS_LOGIN_MAX, &req->login));
    return params_text(params, "encrypted", AS_BOX_MAX, &req->encrypted);
}

/* A member that may be absent, and is a text when it is there. */
static enum rc read_optional(const json_t *request, const char *name, struct slice *ret)
{
    return json_object_get(request, name) ? sealed_text(request, name, SEALED_TEXT_MAX, ret) : RC_OK;
}

static enum rc read_wishes(const json_t *body, struct as_req *req)
{
    const json_t *renewable = json_object_get(body, "renewable");

    if (renewable && !json_is_boolean(renewable))
        return RC_MALFORMED;
    req->sealed.renewable = json_is_true(renewable);
    if (!json_object_get(body, "lifetime_s"))
        return RC_OK;
    TRY(json_get_int(body, "lifetime_s", &req->sealed.lifetime_s));
    return req->sealed.lifetime_s > 0 ? RC_OK : RC_MALFORMED;
}

/* ret_body: what req borrows from. */
static enum rc read_sealed(const json_t *request, struct slice bytes, struct as_req *req, json_t **ret_body)
{
    req->profile = ETYPE_AES128_CBC_HS256;
    req->sealed.request = bytes;
    TRY(sealed_version(request));
    TRY(sealed_body(request, &req->sealed.body, ret_body));
    TRY(sealed_text(*ret_body, "login", AS_LOGIN_MAX, &req->login));
    TRY(sealed_text(*ret_body, "tgs_name", AS_LOGIN_MAX, &req->sealed.tgs_name));
    TRY(sealed_bytes(*ret_body, "nonce", req->sealed.nonce, SEALED_NONCE));
    TRY(read_wishes(*ret_body, req));
    TRY(read_optional(request, "cookie", &req->sealed.cookie));
    return read_optional(request, "preauth", &req->sealed.preauth);
}

static enum rc serve(const struct as_env *env, const struct http_request *http, struct as_req *req, struct as_rep *ret)
{
    AUTO(params_done) struct params params = {0};
    AUTO(json_done) json_t *body = NULL;

    enum rc rc = params_parse(http->body, &params);
    if (rc == RC_OK)
        rc = params.json && sealed_claims(params.json) ? read_sealed(params.json, http->body, req, &body)
                                                       : read_classic(&params, req);
    if (rc == RC_OK)
        return as_serve(env, req, ret);
    const struct as_event event = {.kind = "as",
                                   .address = http->address,
                                   .op_id = http->op_id,
                                   .profile = req->profile,
                                   .client = req->login,
                                   .rc = rc,
                                   .started_us = req->started_us};
    env->audit(env->audit_ctx, &event);
    return rc;
}

static void refuse(const struct as_env *env, enum rc rc, const struct as_rep *rep, const char *op_id,
                   struct http_reply *reply)
{
    struct jw w = http_reply_error_open(reply, rc, op_id);

    if (rc == RC_PREAUTH_REQUIRED) {
        jw_text(&w, "realm", name_slice(&env->conf->realm));
        as_offer_write(&w, &rep->params);
        jw_plain(&w, "cookie", buf_slice(&rep->cookie));
    }
    http_reply_error_close(reply, &w);
}

void as_login_post(void *ctx, const struct http_request *http, struct http_reply *reply)
{
    struct as_req req = {.address = http->address, .op_id = http->op_id, .started_us = clock_monotonic_us()};
    struct as_rep rep = {0};

    enum rc rc = serve(ctx, http, &req, &rep);
    if (rc == RC_OK) {
        reply->body = buf_take(&rep.body);
        if (req.profile == ETYPE_AES128_CBC_HS256)
            reply->content_type = "application/json";
    } else {
        refuse(ctx, rc, &rep, http->op_id, reply);
    }
    buf_done(&rep.body);
    buf_done(&rep.cookie);
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
