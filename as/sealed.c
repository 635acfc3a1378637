/*
 * The sealed AS exchange. The proof is an envelope under the user's key, bound to the body of the request and to a
 * cookie of ours: it needs no clock, and cannot be put under another request. The key's parameters that the client was
 * told in clear come back to it under the seal, and what it was offered comes back to us: neither can be weakened on
 * the way.
 */
#include <string.h>

#include "as/job.h"
#include "shared/base/json.h"

#define REPLY_ROOM (TICKET_TEXT_MAX + 1024) /* a reply is written without growing */

static struct envelope_aad aad_of(const struct as_env *env, const struct as_job *job, struct slice context)
{
    return (struct envelope_aad){.realm = name_slice(&env->conf->realm),
                                 .client = name_slice(&job->login),
                                 .server = name_slice(&job->server),
                                 .context = context};
}

static enum rc gather(const struct as_env *env, struct as_job *job)
{
    (void)env;
    return name_parse(job->req->sealed.tgs_name, &job->server);
}

/* --- the rules ------------------------------------------------------------------------------------------------- */

/* Before the proof is looked at: what comes with a cookie of no use is no attempt at a password. */
static enum rc cookie_is_fresh(const struct as_env *env, struct as_job *job)
{
    struct envelope_aad whom = aad_of(env, job, slice_of(NULL, 0));

    if (!job->req->sealed.cookie.n || !job->req->sealed.preauth.n)
        return RC_PREAUTH_REQUIRED;
    TRY(cookie_read(&env->cookies, &whom, job->req->sealed.cookie, job->ticks_s, &job->cookie));
    return cookie_is_used(&env->cookies, job->found.client.client_id, &job->cookie) ? RC_PREAUTH_REQUIRED : RC_OK;
}

static enum rc open_proof(const struct as_env *env, struct as_job *job)
{
    AUTO(buf_done) struct buf context = {0};
    uint8_t nonce[SEALED_NONCE];

    TRY(envelope_context((struct slice[]){job->req->sealed.body, job->req->sealed.cookie}, 2, &context));
    struct envelope_aad aad = aad_of(env, job, buf_slice(&context));
    TRY(sealed_open_under(&job->found.secret.proof, &aad, job->req->sealed.preauth, &job->proof));
    TRY(sealed_bytes(job->proof, "nonce", nonce, sizeof nonce));
    TRY(json_get_int(job->proof, "time", &job->stamp_s)); /* it must be there; what it says is measured only */
    if (!json_is_array(json_object_get(job->proof, "etypes_seen")))
        return RC_MALFORMED;
    return ct_equal(nonce, job->req->sealed.nonce, sizeof nonce) ? RC_OK : RC_MODIFIED;
}

static enum rc key_is_proved(const struct as_env *env, struct as_job *job)
{
    enum rc rc = open_proof(env, job);
    if (job->found.why != RC_OK)
        return job->found.why;
    job->stamp_s = time_bounded(job->stamp_s);
    job->has_stamp = rc == RC_OK;
    return rc == RC_MODIFIED || rc == RC_MALFORMED ? RC_BAD_PREAUTH : rc;
}

/* What the client saw is what we offer: nobody has cut the list on the way. */
static enum rc offer_was_ours(const struct as_env *env, struct as_job *job)
{
    const json_t *seen = json_object_get(job->proof, "etypes_seen");
    const json_t *only = json_array_get(seen, 0);

    (void)env;
    if (json_array_size(seen) != 1 || !json_is_string(only))
        return RC_DOWNGRADE;
    struct slice text = slice_of(json_string_value(only), json_string_length(only));
    return slice_eq(text, slice_text(etype_name(ETYPE_AES128_CBC_HS256))) ? RC_OK : RC_DOWNGRADE;
}

static enum rc server_is_the_tgs(const struct as_env *env, struct as_job *job)
{
    (void)env;
    return slice_eq(name_slice(&job->server), slice_text(AS_TGS_NAME)) ? RC_OK : RC_NO_SERVICE;
}

/* Last, since it uses the cookie up: of parallel requests with one cookie, one is served. */
static enum rc cookie_is_used_up(const struct as_env *env, struct as_job *job)
{
    return cookie_use(&env->cookies, job->found.client.client_id, &job->cookie, job->ticks_s);
}

static as_rule *const rules[] = {
    cookie_is_fresh, as_gate_lets_in, key_is_proved, offer_was_ours, server_is_the_tgs, cookie_is_used_up,
};

/* --- the answers ------------------------------------------------------------------------------------------------ */

static enum rc offer(const struct as_env *env, const struct as_job *job, struct as_rep *ret)
{
    struct envelope_aad whom = aad_of(env, job, slice_of(NULL, 0));

    ret->params = job->found.params;
    return cookie_make(&env->cookies, &whom, job->ticks_s, &ret->cookie);
}

static void lifetime(const struct as_env *env, const struct as_job *job, struct ticket *t)
{
    int64_t wanted_s = job->req->sealed.lifetime_s, most_s = env->conf->policy_sealed_tgt_lifetime;

    t->end = job->now_s + (wanted_s > 0 && wanted_s < most_s ? wanted_s : most_s);
    if (!job->req->sealed.renewable)
        return;
    t->renew_till = job->now_s + env->conf->policy_sealed_renew_lifetime;
    if (t->renew_till <= t->end)
        t->renew_till = 0;
}

static enum rc write_reply(const struct as_env *env, const struct as_job *job, struct slice ticket, struct buf *out)
{
    const struct ticket *t = &job->tgt;
    const char *etype = etype_name(t->session.etype);

    TRY(buf_reserve(out, REPLY_ROOM));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_base64url(&w, "session_key", key_slice(&t->session));
    jw_plain(&w, "tgt", ticket);
    jw_text(&w, "etype", slice_text(etype));
    jw_int(&w, "auth_time", t->auth_time);
    jw_int(&w, "start_time", t->start);
    jw_int(&w, "end_time", t->end);
    jw_int(&w, "renew_till", t->renew_till);
    jw_base64url(&w, "nonce", SLICE(job->req->sealed.nonce));
    jw_text(&w, "client", name_slice(&t->client));
    jw_text(&w, "server", name_slice(&t->server));
    jw_text(&w, "realm", name_slice(&env->conf->realm));
    as_offer_write(&w, &job->found.params);
    jw_int(&w, "iterations_wanted", env->conf->policy_pbkdf2_iterations);
    jw_close(&w, '}');
    return jw_end(&w);
}

void as_offer_write(struct jw *w, const struct userkey_params *params)
{
    jw_open(w, "etypes", '[');
    jw_text(w, NULL, slice_text(etype_name(ETYPE_AES128_CBC_HS256)));
    jw_close(w, ']');
    jw_base64url(w, "salt", SLICE(params->salt));
    jw_int(w, "iterations", params->iterations);
}

static enum rc reply(const struct as_env *env, const struct as_job *job, struct slice ticket, struct as_rep *ret)
{
    AUTO(buf_done) struct buf text = {0}, context = {0}, body = {0};

    TRY(write_reply(env, job, ticket, &text));
    TRY(envelope_context(&job->req->sealed.request, 1, &context));
    struct envelope_aad aad = aad_of(env, job, buf_slice(&context));
    TRY(sealed_reply_under(&job->found.secret.reply, &aad, buf_slice(&text), &body));
    ret->body = buf_take(&body);
    return RC_OK;
}

const struct as_profile as_sealed = {.rules = rules,
                                     .rules_n = ARRAY_LEN(rules),
                                     .gather = gather,
                                     .lifetime = lifetime,
                                     .reply = reply,
                                     .offer = offer};
