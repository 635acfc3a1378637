/* The AS exchange: gather, check, issue, audit; and the rules of the classic profile. */
#include <string.h>

#include "as/job.h"
#include "as/unlock.h"
#include "shared/base/json.h"

#define REPLY_ROOM 1024 /* bytes beside the ticket: a reply is written without growing */

static void job_done(struct as_job *job)
{
    as_login_done(&job->found);
    buf_done(&job->text);
    json_done(&job->proof);
    ticket_done(&job->tgt);
}

static void carry_on_with_a_decoy(const struct as_env *env, struct as_job *job)
{
    job->found.secret = job->req->profile == ETYPE_AES128_CBC ? env->decoy : env->sealed_decoy;
}

/* Reads the client and its key. A client that may not log in is carried on with a key that nobody has. */
static enum rc gather(const struct as_env *env, const struct as_profile *profile, struct as_job *job)
{
    enum etype etype = job->req->profile;
    bool is_off = !(conf_profiles(env->conf) & PROFILE_BIT(etype)); /* looked up for every name: it takes time */

    TRY(name_parse(job->req->login, &job->login));
    if (profile->gather)
        TRY(profile->gather(env, job));
    TRY(as_store_login(job->store, &job->login, etype, &job->found));
    if (job->found.why == RC_OK && is_off)
        job->found.why = RC_PROFILE_OFF;
    if (job->found.why == RC_OK && job->found.client.disabled)
        job->found.why = RC_CLIENT_DISABLED;
    if (job->found.why != RC_OK)
        carry_on_with_a_decoy(env, job);
    return RC_OK;
}

enum rc as_gate_lets_in(const struct as_env *env, struct as_job *job)
{
    AUTO(buf_done) struct buf folded = {0};

    TRY(as_gate_name(&job->login, &folded));
    enum rc rc = gate_ask(env->gate, buf_slice(&folded), job->req->address, job->now_s, &job->attempt);
    if (rc != RC_HELD)
        return rc;
    carry_on_with_a_decoy(env, job);
    if (job->found.why == RC_OK)
        job->found.why = RC_HELD;
    return RC_OK;
}

/* --- the rules ------------------------------------------------------------------------------------------------- */

static enum rc open_proof(struct as_job *job)
{
    TRY(box_open(job->found.secret.key.bytes, job->req->encrypted, &job->text, job->replay));
    TRY(json_parse_object(buf_slice(&job->text), JSON_DEPTH_HTTP, &job->proof));
    TRY(json_get_text(job->proof, "tgs_name", &job->tgs_name));
    return json_get_time(job->proof, "timestamp", &job->stamp_s);
}

/*
 * The key is proved by a whole request under it. Every way to fail is one answer: the box has no MAC, and whoever could
 * tell one failure from another could take apart a captured text block by block.
 */
static enum rc key_is_proved(const struct as_env *env, struct as_job *job)
{
    (void)env;
    enum rc rc = open_proof(job);
    if (job->found.why != RC_OK)
        return job->found.why;
    job->has_stamp = rc == RC_OK;
    return rc == RC_MODIFIED || rc == RC_MALFORMED ? RC_BAD_PREAUTH : rc;
}

/* Our reply is a box under the same key: posted back, it is no proof. */
static enum rc text_is_no_reply_of_ours(const struct as_env *env, struct as_job *job)
{
    static const char *const words[] = {"session_key", "tgs_ticket"};

    (void)env;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (memmem(job->text.p, job->text.n, words[i], strlen(words[i])) || json_object_get(job->proof, words[i]))
            return RC_REFLECTED;
    return RC_OK;
}

static enum rc server_is_the_tgs(const struct as_env *env, struct as_job *job)
{
    (void)env;
    return slice_eq(job->tgs_name, slice_text(AS_TGS_NAME)) ? RC_OK : RC_NO_SERVICE;
}

static enum rc stamp_is_near(const struct as_env *env, struct as_job *job)
{
    const struct skew skew = {env->conf->realm_clock_skew, env->conf->realm_clock_skew_ahead};
    return skew_check(&skew, job->stamp_s, job->now_s);
}

/* Last, since it remembers: only a request that is accepted takes room. */
static enum rc request_is_new(const struct as_env *env, struct as_job *job)
{
    return replay_check(env->replay, job->found.client.client_id, job->replay,
                        job->stamp_s + env->conf->realm_clock_skew, job->now_s);
}

/* Up to the proof all clients cost the same. */
static as_rule *const rules[] = {
    as_gate_lets_in, key_is_proved, text_is_no_reply_of_ours, server_is_the_tgs, stamp_is_near, request_is_new,
};

/* --- the reply ------------------------------------------------------------------------------------------------- */

static void lifetime(const struct as_env *env, const struct as_job *job, struct ticket *t)
{
    t->end = job->now_s + env->conf->policy_classic_tgt_lifetime;
}

static enum rc write_reply(const struct ticket *t, struct slice ticket_text, struct buf *out)
{
    int64_t lifetime_s = t->end - t->start;

    TRY(buf_reserve(out, ticket_text.n + REPLY_ROOM));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_plain(&w, "tgs_ticket", ticket_text);
    jw_text(&w, "tgs_name", name_slice(&t->server));
    jw_base64(&w, "session_key", key_slice(&t->session));
    jw_int(&w, "time_to_live", lifetime_s);
    jw_int(&w, "tgs_ticket_time_to_live", lifetime_s);
    jw_int(&w, "session_key_time_to_live", lifetime_s);
    jw_time(&w, "timestamp", t->start);
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc reply(const struct as_env *env, const struct as_job *job, struct slice ticket, struct as_rep *ret)
{
    AUTO(buf_done) struct buf text = {0}, box = {0};

    (void)env;
    TRY(write_reply(&job->tgt, ticket, &text));
    TRY(box_seal(job->found.secret.key.bytes, buf_slice(&text), &box));
    ret->body = buf_take(&box);
    return RC_OK;
}

const struct as_profile as_classic = {
    .rules = rules, .rules_n = ARRAY_LEN(rules), .lifetime = lifetime, .reply = reply};

/* --- both profiles ---------------------------------------------------------------------------------------------- */

static enum rc check(const struct as_env *env, const struct as_profile *profile, struct as_job *job)
{
    for (size_t i = 0; i < profile->rules_n; i++)
        TRY(profile->rules[i](env, job));
    return RC_OK;
}

static enum rc fill_tgt(const struct as_env *env, const struct as_profile *profile, struct as_job *job)
{
    struct ticket *t = &job->tgt;

    *t = (struct ticket){
        .kind = TICKET_TGT,
        .client = job->found.client.name,
        .server = {sizeof AS_TGS_NAME - 1, AS_TGS_NAME},
        .epoch = job->found.client.epoch,
        .auth_time = job->now_s,
        .start = job->now_s,
    };
    profile->lifetime(env, job, t);
    memcpy(t->client_id, job->found.client.client_id, ID_LEN);
    memcpy(t->address, job->req->address, strnlen(job->req->address, ADDRESS_MAX - 1));
    TRY(random_bytes(t->id, ID_LEN));
    return key_random(job->req->profile, 0, 0, &t->session);
}

static enum rc issue(const struct as_env *env, const struct as_profile *profile, struct as_job *job,
                     struct as_rep *ret_rep)
{
    AUTO(key_done) struct key tgs = {0};
    AUTO(buf_done) struct buf ticket = {0};

    TRY(as_store_tgs_key(job->store, job->now_s, &tgs));
    TRY(fill_tgt(env, profile, job));
    TRY(ticket_seal(&tgs, &env->conf->realm, &job->tgt, &ticket));
    TRY(profile->reply(env, job, buf_slice(&ticket), ret_rep));
    job->is_issued = true;
    return RC_OK;
}

static void tell(const struct as_env *env, const struct as_job *job, enum rc rc)
{
    const struct as_event event = {
        .kind = "as",
        .address = job->req->address,
        .op_id = job->req->op_id,
        .profile = job->req->profile,
        .client = job->req->login,
        .out = job->is_issued ? &job->tgt : NULL,
        .rc = rc,
        .skew_s = job->has_stamp ? job->stamp_s - job->now_s : 0,
        .has_skew = job->has_stamp,
        .started_us = job->req->started_us,
    };
    env->audit(env->audit_ctx, &event);
}

enum rc as_serve(const struct as_env *env, const struct as_req *req, struct as_rep *ret_rep)
{
    const struct as_profile *profile = req->profile == ETYPE_AES128_CBC ? &as_classic : &as_sealed;
    AUTO(job_done) struct as_job job = {.req = req, .now_s = env->clock(), .ticks_s = env->ticks()};

    job.store = pool_take(env->stores);
    enum rc rc = gather(env, profile, &job);
    if (rc == RC_OK)
        rc = check(env, profile, &job);
    if (rc == RC_OK)
        rc = issue(env, profile, &job, ret_rep); /* the only place that makes a session key */
    pool_put(env->stores, job.store);
    gate_tell(env->gate, &job.attempt, rc, job.now_s);
    if (rc == RC_PREAUTH_REQUIRED) {
        enum rc offered = profile->offer(env, &job, ret_rep);
        rc = offered == RC_OK ? rc : offered;
    }
    tell(env, &job, rc);
    return rc;
}

enum rc as_env_open(struct as_env *env)
{
    TRY(key_random(ETYPE_AES128_CBC, 0, 0, &env->decoy.key));
    TRY(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &env->sealed_decoy.key));
    TRY(as_secret_derive(&env->sealed_decoy));
    return cookie_jar_open(&env->cookies, env->ticks());
}

void as_env_close(struct as_env *env)
{
    cookie_jar_close(&env->cookies);
    wipe(&env->sealed_decoy, sizeof env->sealed_decoy);
    wipe(&env->decoy, sizeof env->decoy);
}
