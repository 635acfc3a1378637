/* The AS exchange: gather, check, issue, audit. */
#include "as/serve.h"

#include <string.h>

#include "shared/base/json.h"

#define REPLY_ROOM 1024 /* bytes beside the ticket: a reply is written without growing */

/* One request on its way. Owns what it finds; req and store are borrowed. */
struct as_job {
    const struct as_req *req;
    struct as_store *store;
    int64_t now_s;
    struct name login;
    enum rc why; /* why this client may not log in, whatever it proves; RC_OK: it may */
    struct as_principal client;
    struct key key;  /* the client's, or a decoy when `why` is set */
    struct buf text; /* of the proof */
    uint8_t replay[SHA256_LEN];
    json_t *proof;
    struct slice tgs_name;
    int64_t stamp_s;
    struct ticket tgt;
    bool is_issued;
};

static void job_done(struct as_job *job)
{
    key_done(&job->key);
    buf_done(&job->text);
    json_done(&job->proof);
    ticket_done(&job->tgt);
}

/* Reads the client and its key. A client that may not log in is carried on with a key that nobody has. */
static enum rc gather(const struct as_env *env, struct as_job *job)
{
    TRY(name_parse(job->req->login, &job->login));
    TRY(as_store_login(job->store, &job->login, ETYPE_AES128_CBC, &job->client, &job->key, &job->why));
    if (job->why == RC_OK && job->client.disabled)
        job->why = RC_CLIENT_DISABLED;
    if (job->client.disabled)
        job->key = env->decoy;
    return RC_OK;
}

/* --- the rules ------------------------------------------------------------------------------------------------- */

static enum rc open_proof(struct as_job *job)
{
    TRY(box_open(job->key.bytes, job->req->encrypted, &job->text, job->replay));
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
    if (job->why != RC_OK)
        return job->why;
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
    return replay_check(env->replay, job->client.client_id, job->replay, job->stamp_s + env->conf->realm_clock_skew,
                        job->now_s);
}

/* In this order; the first that does not hold ends the request. Up to the proof all clients cost the same. */
static enum rc (*const rules[])(const struct as_env *env, struct as_job *job) = {
    key_is_proved, text_is_no_reply_of_ours, server_is_the_tgs, stamp_is_near, request_is_new,
};

static enum rc check(const struct as_env *env, struct as_job *job)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        TRY(rules[i](env, job));
    return RC_OK;
}

/* --- the reply ------------------------------------------------------------------------------------------------- */

static enum rc fill_tgt(const struct as_env *env, struct as_job *job)
{
    struct ticket *t = &job->tgt;

    *t = (struct ticket){
        .kind = TICKET_TGT,
        .client = job->client.name,
        .server = {sizeof AS_TGS_NAME - 1, AS_TGS_NAME},
        .epoch = job->client.epoch,
        .auth_time = job->now_s,
        .start = job->now_s,
        .end = job->now_s + env->conf->policy_classic_tgt_lifetime,
    };
    memcpy(t->client_id, job->client.client_id, ID_LEN);
    memcpy(t->address, job->req->address, strnlen(job->req->address, ADDRESS_MAX - 1));
    TRY(random_bytes(t->id, ID_LEN));
    return key_random(ETYPE_AES128_CBC, 0, 0, &t->session);
}

static enum rc write_reply(const struct ticket *t, struct slice ticket_text, struct buf *out)
{
    int64_t lifetime_s = t->end - t->start;

    TRY(buf_reserve(out, ticket_text.n + REPLY_ROOM));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "tgs_ticket", ticket_text);
    jw_text(&w, "tgs_name", name_slice(&t->server));
    jw_base64(&w, "session_key", key_slice(&t->session));
    jw_int(&w, "time_to_live", lifetime_s);
    jw_int(&w, "tgs_ticket_time_to_live", lifetime_s);
    jw_int(&w, "session_key_time_to_live", lifetime_s);
    jw_time(&w, "timestamp", t->start);
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc issue(const struct as_env *env, struct as_job *job, struct as_rep *ret_rep)
{
    AUTO(key_done) struct key tgs = {0};
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf text = {0};
    AUTO(buf_done) struct buf box = {0};

    TRY(as_store_tgs_key(job->store, job->now_s, &tgs));
    TRY(fill_tgt(env, job));
    TRY(ticket_seal(&tgs, &env->conf->realm, &job->tgt, &ticket));
    TRY(write_reply(&job->tgt, buf_slice(&ticket), &text));
    TRY(box_seal(job->key.bytes, buf_slice(&text), &box));
    ret_rep->body = buf_take(&box);
    job->is_issued = true;
    return RC_OK;
}

enum rc as_serve(const struct as_env *env, const struct as_req *req, struct as_rep *ret_rep)
{
    AUTO(job_done) struct as_job job = {.req = req, .now_s = env->clock()};

    job.store = pool_take(env->stores);
    enum rc rc = gather(env, &job);
    if (rc == RC_OK)
        rc = check(env, &job);
    if (rc == RC_OK)
        rc = issue(env, &job, ret_rep); /* the only place that makes a session key */
    pool_put(env->stores, job.store);

    env->audit(env->audit_ctx, &(struct as_event){req, rc, job.is_issued ? &job.tgt : NULL});
    return rc;
}
