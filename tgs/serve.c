/* The TGS exchange: gather, check, issue, audit. */
#include "tgs/serve.h"

#include <string.h>

#include "shared/base/json.h"

#define REPLY_ROOM 1024 /* bytes beside the ticket: a reply is written without growing */

/* One request on its way. Owns what it finds; req is borrowed. */
struct tgs_job {
    const struct tgs_req *req;
    int64_t now_s;
    struct name service;
    struct ticket tgt;
    bool is_opened; /* tgt is filled, if only for the log */
    struct authenticator authenticator;
    struct key service_key;
    struct ticket ticket;
    bool is_issued;
};

static void job_done(struct tgs_job *job)
{
    ticket_done(&job->tgt);
    key_done(&job->service_key);
    ticket_done(&job->ticket);
}

/* Opens the ticket with the key version it names. */
static enum rc gather(const struct tgs_env *env, struct tgs_job *job)
{
    TRY(name_parse(job->req->service, &job->service));

    const struct keytab *keys = keytab_hold(env->keys);
    enum rc rc =
        ticket_open(keys, &env->conf->realm, &env->name, TICKET_TGT, job->req->tgs_ticket, job->now_s, &job->tgt);
    keytab_release(env->keys, keys);
    job->is_opened = rc == RC_OK || rc == RC_TKT_EXPIRED;
    return rc;
}

/* --- the rules ------------------------------------------------------------------------------------------------- */

static enum rc ticket_is_classic(const struct tgs_env *env, struct tgs_job *job)
{
    (void)env;
    return job->tgt.session.etype == ETYPE_AES128_CBC ? RC_OK : RC_BAD_ETYPE;
}

static enum rc address_is_the_tickets(const struct tgs_env *env, struct tgs_job *job)
{
    if (!env->conf->realm_check_address)
        return RC_OK;
    return strcmp(job->req->address, job->tgt.address) == 0 ? RC_OK : RC_BAD_ADDRESS;
}

static enum rc session_key_is_proved(const struct tgs_env *env, struct tgs_job *job)
{
    (void)env;
    return authenticator_open(job->tgt.session.bytes, job->req->authenticator, &job->authenticator);
}

static enum rc names_match(const struct tgs_env *env, struct tgs_job *job)
{
    (void)env;
    return slice_eq(name_slice(&job->authenticator.client), name_slice(&job->tgt.client)) ? RC_OK : RC_BAD_MATCH;
}

static enum rc stamp_is_near(const struct tgs_env *env, struct tgs_job *job)
{
    const struct skew skew = {env->conf->realm_clock_skew, env->conf->realm_clock_skew_ahead};
    return skew_check(&skew, job->authenticator.time_s, job->now_s);
}

/* After a crash nobody knows what was accepted under the tickets of before. */
static enum rc ticket_is_of_this_life(const struct tgs_env *env, struct tgs_job *job)
{
    return job->tgt.start > env->crash_s ? RC_OK : RC_TKT_BEFORE_CRASH;
}

static enum rc authenticator_is_new(const struct tgs_env *env, struct tgs_job *job)
{
    int64_t until_s = job->authenticator.time_s + env->conf->realm_clock_skew;
    if (until_s > job->tgt.end)
        until_s = job->tgt.end;
    /* The bound is the client's; two TGTs have two keys, so what was accepted under one is not of the other. */
    return replay_check(env->replay, job->tgt.client_id, job->authenticator.replay, until_s, job->now_s);
}

/* Last: which services there are is told to nobody who has not shown who he is. */
static enum rc service_is_known(const struct tgs_env *env, struct tgs_job *job)
{
    struct tgs_store *store = pool_take(env->stores);
    enum rc rc = tgs_store_target(store, &job->service, job->now_s, &job->service_key);
    pool_put(env->stores, store);
    return rc;
}

/* In this order; the first that does not hold ends the request. */
static enum rc (*const rules[])(const struct tgs_env *env, struct tgs_job *job) = {
    ticket_is_classic, address_is_the_tickets, session_key_is_proved, names_match,
    stamp_is_near,     ticket_is_of_this_life, authenticator_is_new,  service_is_known,
};

static enum rc check(const struct tgs_env *env, struct tgs_job *job)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        TRY(rules[i](env, job));
    return RC_OK;
}

/* --- the reply ------------------------------------------------------------------------------------------------- */

/* Who the client is comes from the TGT, unchanged; the new ticket never outlives it. */
static enum rc fill_ticket(const struct tgs_env *env, struct tgs_job *job)
{
    const struct ticket *tgt = &job->tgt;
    struct ticket *t = &job->ticket;

    *t = (struct ticket){
        .kind = TICKET_SERVICE,
        .client = tgt->client,
        .server = job->service,
        .epoch = tgt->epoch,
        .auth_time = tgt->auth_time,
        .start = job->now_s,
        .end = job->now_s + env->conf->policy_classic_service_lifetime,
    };
    if (t->end > tgt->end)
        t->end = tgt->end;
    memcpy(t->client_id, tgt->client_id, ID_LEN);
    memcpy(t->address, tgt->address, ADDRESS_MAX);
    memcpy(t->parent_id, tgt->id, ID_LEN);
    TRY(random_bytes(t->id, ID_LEN));
    return key_random(tgt->session.etype, 0, 0, &t->session);
}

static enum rc write_reply(const struct ticket *t, struct slice ticket_text, struct buf *out)
{
    TRY(buf_reserve(out, ticket_text.n + REPLY_ROOM));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "service", name_slice(&t->server));
    jw_int(&w, "time_to_live", t->end - t->start);
    jw_base64(&w, "client_service_sk", key_slice(&t->session));
    jw_text(&w, "service_ticket", ticket_text);
    jw_time(&w, "timestamp", t->start);
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc issue(const struct tgs_env *env, struct tgs_job *job, struct tgs_rep *ret_rep)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf text = {0};
    AUTO(buf_done) struct buf box = {0};

    TRY(fill_ticket(env, job));
    TRY(ticket_seal(&job->service_key, &env->conf->realm, &job->ticket, &ticket));
    TRY(write_reply(&job->ticket, buf_slice(&ticket), &text));
    TRY(box_seal(job->tgt.session.bytes, buf_slice(&text), &box));
    ret_rep->body = buf_take(&box);
    job->is_issued = true;
    return RC_OK;
}

enum rc tgs_serve(const struct tgs_env *env, const struct tgs_req *req, struct tgs_rep *ret_rep)
{
    AUTO(job_done) struct tgs_job job = {.req = req, .now_s = env->clock()};

    enum rc rc = gather(env, &job);
    if (rc == RC_OK)
        rc = check(env, &job);
    if (rc == RC_OK)
        rc = issue(env, &job, ret_rep); /* the only place that makes a session key */

    env->audit(env->audit_ctx,
               &(struct tgs_event){req, rc, job.is_opened ? &job.tgt : NULL, job.is_issued ? &job.ticket : NULL});
    return rc;
}
