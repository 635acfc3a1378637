/* One request to a service of the AS's own. */
#include "as/service.h"

#include <string.h>

static const struct {
    enum rc rc;
    const char *code, *message;
} refusals[] = {
    {RC_EXISTS,        "exists",       "There is a user of that name already, perhaps spelled with other capitals."},
    {RC_NO_CLIENT,     "not_found",    "There is no such user."                                                    },
    {RC_NO_CLIENT_KEY, "no_key",       "This user has no key of that profile: a new password makes it."            },
    {RC_NO_KEY,        "no_key",       "There is no key to follow."                                                },
    {RC_LIMIT,         "limit",        "A limit is reached, or a text is too long."                                },
    {RC_REPEAT,        "conflict",     "The keys were changed meanwhile: try again."                               },
    {RC_WEAK_KEYS,     "policy",       "The new key has fewer or more iterations than clients accept."             },
    {RC_OK,            "not_stronger", "The key that is there has as many iterations."                             },
    {RC_OK,            "old_login",    "This needs a login of the last 15 minutes: kerb login."                    },
    {RC_OK,            "not_oneself",  "Not for your own account: kerb passwd changes your password."              },
    {RC_OK,            "unknown_op",   "There is no such operation."                                               },
    {RC_OK,            "unavailable",  "This daemon cannot do it: use kerbadm on its machine."                     },
};

enum rc as_call_refuse(struct as_call *call, const char *code)
{
    call->refusal = code;
    return RC_OK;
}

enum rc as_call_tell(struct as_call *call, enum rc rc)
{
    for (size_t i = 0; rc != RC_OK && i < ARRAY_LEN(refusals); i++)
        if (refusals[i].rc == rc)
            return as_call_refuse(call, refusals[i].code);
    return rc;
}

static const char *message_of(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (strcmp(refusals[i].code, code) == 0)
            return refusals[i].message;
    return "It was refused.";
}

/* The client as he is now: the ticket is as old as its start. */
static enum rc client_still_may(struct as_call *call)
{
    const struct ticket *t = &call->ap.ticket;

    enum rc rc = as_store_find(call->store, &t->client, &call->client);
    if (rc == RC_NO_CLIENT)
        return RC_CUT_OFF;
    TRY(rc);
    if (memcmp(call->client.client_id, t->client_id, ID_LEN) != 0 || t->epoch < call->client.epoch)
        return RC_CUT_OFF;
    return call->client.disabled ? RC_CUT_OFF : RC_OK;
}

static enum rc run(const struct as_service *service, struct as_call *call, struct buf *plain)
{
    call->reply = jw_start(plain);
    jw_open(&call->reply, NULL, '{');
    jw_bool(&call->reply, "ok", true);
    TRY(service->run(call));
    if (call->refusal) {
        buf_reset(plain);
        call->reply = jw_start(plain);
        jw_open(&call->reply, NULL, '{');
        jw_bool(&call->reply, "ok", false);
        jw_text(&call->reply, "code", slice_text(call->refusal));
        jw_text(&call->reply, "message", slice_text(message_of(call->refusal)));
    }
    jw_close(&call->reply, '}');
    return jw_end(&call->reply);
}

/* Who guesses tickets is known by his network only. */
static enum rc accept_call(const struct as_service *service, const struct ap_request *req, struct as_call *call)
{
    struct gate_try attempt;

    TRY(gate_ask(call->env->gate, slice_of(NULL, 0), req->address, call->now_s, &attempt));
    enum rc rc = ap_accept(service->ap, req, call->now_s, &call->ap);
    gate_tell(call->env->gate, &attempt, rc, call->now_s);
    return rc;
}

static enum rc serve(const struct as_service *service, const struct http_request *http, struct as_call *call,
                     struct buf *ret)
{
    const struct ap_request req = {http->body, http->address};
    AUTO(buf_done) struct buf plain = {0};

    if (!service->ap)
        return RC_NO_KEY;
    TRY(accept_call(service, &req, call));
    call->store = pool_take(call->env->writers);
    enum rc rc = client_still_may(call);
    if (rc == RC_OK)
        rc = run(service, call, &plain);
    pool_put(call->env->writers, call->store);
    TRY(rc);
    return ap_reply(service->ap, &call->ap, buf_slice(&plain), ret);
}

static void tell(const struct as_service *service, const struct http_request *http, const struct as_call *call,
                 enum rc rc)
{
    const struct ticket *t = call->ap.is_opened ? &call->ap.ticket : NULL;
    const struct as_event event = {
        .kind = service->kind,
        .what = call->op,
        .address = http->address,
        .op_id = http->op_id,
        .profile = t ? t->session.etype : 0,
        .client = t ? name_slice(&t->client) : slice_of(NULL, 0),
        .target = buf_slice(&call->target),
        .in = t,
        .rc = rc,
        .refusal = call->refusal,
        .started_us = call->started_us,
    };
    call->env->audit(call->env->audit_ctx, &event);
}

void as_service_post(const struct as_env *env, const struct as_service *service, const struct http_request *http,
                     struct http_reply *reply)
{
    struct as_call call = {
        .env = env, .now_s = env->clock(), .started_us = clock_monotonic_us(), .address = http->address};

    enum rc rc = serve(service, http, &call, &reply->body);
    tell(service, http, &call, rc);
    if (rc == RC_OK) {
        reply->content_type = "application/json";
    } else {
        struct jw w = http_reply_error_open(reply, rc, http->op_id);
        if (rc == RC_NO_CHALLENGE)
            jw_text(&w, "challenge", buf_slice(&call.ap.fresh));
        http_reply_error_close(reply, &w);
    }
    buf_done(&call.target);
    ap_call_done(&call.ap);
}
