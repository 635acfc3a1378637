/* POST /tgs. */
#include "tgs/grant.h"

#include <string.h>

#include "shared/service/ops.h"
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
    struct tgs_req req = {.address = http->address, .op_id = http->op_id, .started_us = clock_monotonic_us()};

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

void tgs_audit_ops(void *ctx, const struct tgs_event *event)
{
    const struct decision d = {
        .event = "tgs",
        .what = event->req->sealed.renew ? "renew" : NULL,
        .op_id = event->req->op_id,
        .address = event->req->address,
        .profile = event->req->profile,
        .client = event->tgt ? name_slice(&event->tgt->client) : slice_of(NULL, 0),
        .service = event->req->service,
        .ticket_in = event->tgt ? event->tgt->id : NULL,
        .ticket_out = event->ticket ? event->ticket->id : NULL,
        .rc = event->rc,
        .skew_s = event->skew_s,
        .has_skew = event->has_skew,
        .started_us = event->req->started_us,
    };
    ops_tell(ctx, &d);
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
