/* The classic TGS exchange: an authenticator is a box with a time stamp, good for one use. */
#include "shared/base/json.h"
#include "tgs/job.h"

#define REPLY_ROOM 1024 /* bytes beside the ticket: a reply is written without growing */

static enum rc session_key_is_proved(const struct tgs_env *env, struct tgs_job *job)
{
    (void)env;
    TRY(authenticator_open(job->tgt.session.bytes, job->req->authenticator, &job->authenticator));
    job->is_proved = true;
    return RC_OK;
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

/* Last the service: which ones there are is told to nobody who has not shown who he is. */
static tgs_rule *const rules[] = {
    tgs_ticket_is_of_the_profile, tgs_client_is_not_cut_off, tgs_address_is_the_tickets,
    session_key_is_proved,        tgs_names_match,           stamp_is_near,
    ticket_is_of_this_life,       authenticator_is_new,      tgs_service_is_known,
};

static enum rc write_reply(const struct ticket *t, struct slice ticket_text, struct buf *out)
{
    TRY(buf_reserve(out, ticket_text.n + REPLY_ROOM));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "service", name_slice(&t->server));
    jw_int(&w, "time_to_live", t->end - t->start);
    jw_base64(&w, "client_service_sk", key_slice(&t->session));
    jw_plain(&w, "service_ticket", ticket_text);
    jw_time(&w, "timestamp", t->start);
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc reply(const struct tgs_env *env, const struct tgs_job *job, struct slice ticket, struct tgs_rep *ret)
{
    AUTO(buf_done) struct buf text = {0}, box = {0};

    (void)env;
    TRY(write_reply(&job->ticket, ticket, &text));
    TRY(box_seal(job->tgt.session.bytes, buf_slice(&text), &box));
    ret->body = buf_take(&box);
    return RC_OK;
}

const struct tgs_profile tgs_classic = {rules, ARRAY_LEN(rules), reply};
