/* The TGS exchange: gather, check, issue, audit. */
#include <string.h>

#include "tgs/job.h"

static void job_done(struct tgs_job *job)
{
    ticket_done(&job->tgt);
    envelope_key_done(&job->reply_key);
    key_done(&job->target_key);
    ticket_done(&job->ticket);
}

/* Opens the ticket with the key version it names. Who guesses tickets is known by his network only. */
static enum rc gather(const struct tgs_env *env, struct tgs_job *job)
{
    TRY(name_parse(job->req->service, &job->service));
    TRY(gate_ask(env->gate, slice_of(NULL, 0), job->req->address, job->now_s, &job->attempt));

    const struct keytab *keys = keytab_hold(env->keys);
    enum rc rc =
        ticket_open(keys, &env->conf->realm, &env->name, TICKET_TGT, job->req->tgs_ticket, job->now_s, &job->tgt);
    keytab_release(env->keys, keys);
    job->is_opened = rc == RC_OK || rc == RC_TKT_EXPIRED;
    return rc;
}

/* --- the rules that both profiles share ------------------------------------------------------------------------- */

enum rc tgs_ticket_is_of_the_profile(const struct tgs_env *env, struct tgs_job *job)
{
    if (!(conf_profiles(env->conf) & PROFILE_BIT(job->req->profile)))
        return RC_PROFILE_OFF; /* a ticket of before the realm dropped it */
    return job->tgt.session.etype == job->req->profile ? RC_OK : RC_BAD_ETYPE;
}

enum rc tgs_client_is_not_cut_off(const struct tgs_env *env, struct tgs_job *job)
{
    return job->tgt.epoch >= tgs_epochs_of(env->epochs, job->tgt.client_id) ? RC_OK : RC_CUT_OFF;
}

enum rc tgs_address_is_the_tickets(const struct tgs_env *env, struct tgs_job *job)
{
    if (!env->conf->realm_check_address)
        return RC_OK;
    return strcmp(job->req->address, job->tgt.address) == 0 ? RC_OK : RC_BAD_ADDRESS;
}

enum rc tgs_names_match(const struct tgs_env *env, struct tgs_job *job)
{
    (void)env;
    return slice_eq(name_slice(&job->authenticator.client), name_slice(&job->tgt.client)) ? RC_OK : RC_BAD_MATCH;
}

enum rc tgs_service_is_known(const struct tgs_env *env, struct tgs_job *job)
{
    struct tgs_store *store = pool_take(env->stores);
    enum rc rc = tgs_store_target(store, &job->service, job->now_s, &job->target_key);
    pool_put(env->stores, store);
    return rc;
}

static enum rc check(const struct tgs_env *env, const struct tgs_profile *profile, struct tgs_job *job)
{
    for (size_t i = 0; i < profile->rules_n; i++)
        TRY(profile->rules[i](env, job));
    return RC_OK;
}

/* --- the new ticket --------------------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A service ticket never outlives its TGT, a renewed TGT never its renew_till; nothing outlives the policy. */
static int64_t end_of(const struct tgs_env *env, const struct tgs_job *job)
{
    const struct conf *conf = env->conf;
    int64_t lifetime_s = job->req->profile == ETYPE_AES128_CBC ? conf->policy_classic_service_lifetime
                         : job->req->sealed.renew              ? conf->policy_sealed_tgt_lifetime
                                                               : conf->policy_sealed_service_lifetime;

    if (job->req->sealed.lifetime_s)
        lifetime_s = earlier(lifetime_s, job->req->sealed.lifetime_s);
    return earlier(job->now_s + lifetime_s, job->req->sealed.renew ? job->tgt.renew_till : job->tgt.end);
}

/* Who the client is comes from the TGT, unchanged. */
static enum rc fill_ticket(const struct tgs_env *env, struct tgs_job *job)
{
    const struct ticket *tgt = &job->tgt;
    struct ticket *t = &job->ticket;

    *t = (struct ticket){
        .kind = job->req->sealed.renew ? TICKET_TGT : TICKET_SERVICE,
        .client = tgt->client,
        .server = job->service,
        .epoch = tgt->epoch,
        .auth_time = tgt->auth_time,
        .start = job->now_s,
        .end = end_of(env, job),
        .renew_till = job->req->sealed.renew ? tgt->renew_till : 0,
    };
    memcpy(t->client_id, tgt->client_id, ID_LEN);
    memcpy(t->address, tgt->address, ADDRESS_MAX);
    memcpy(t->parent_id, tgt->id, ID_LEN);
    TRY(random_bytes(t->id, ID_LEN));
    return key_random(tgt->session.etype, 0, 0, &t->session);
}

static enum rc issue(const struct tgs_env *env, const struct tgs_profile *profile, struct tgs_job *job,
                     struct tgs_rep *ret_rep)
{
    AUTO(buf_done) struct buf ticket = {0};

    TRY(fill_ticket(env, job));
    TRY(ticket_seal(&job->target_key, &env->conf->realm, &job->ticket, &ticket));
    TRY(profile->reply(env, job, buf_slice(&ticket), ret_rep));
    job->is_issued = true;
    return RC_OK;
}

enum rc tgs_serve(const struct tgs_env *env, const struct tgs_req *req, struct tgs_rep *ret_rep)
{
    AUTO(job_done) struct tgs_job job = {.req = req, .now_s = env->clock()};
    const struct tgs_profile *profile = req->profile == ETYPE_AES128_CBC ? &tgs_classic : &tgs_sealed;

    enum rc rc = gather(env, &job);
    if (rc == RC_OK)
        rc = check(env, profile, &job);
    if (rc == RC_OK)
        rc = issue(env, profile, &job, ret_rep); /* the only place that makes a session key */
    gate_tell(env->gate, &job.attempt, rc, job.now_s);

    env->audit(env->audit_ctx, &(struct tgs_event){
                                   .req = req,
                                   .rc = rc,
                                   .tgt = job.is_opened ? &job.tgt : NULL,
                                   .ticket = job.is_issued ? &job.ticket : NULL,
                                   .has_skew = job.is_proved,
                                   .skew_s = job.is_proved ? job.authenticator.time_s - job.now_s : 0,
                               });
    return rc;
}
