/*
 * The sealed TGS exchange: an authenticator is an envelope bound to the TGT and to the body, so neither can be put
 * under another request. It needs no clock and no replay cache: a request that comes again is answered again, with
 * another ticket, in a reply that only the key's owner can open.
 */
#include <string.h>

#include "shared/base/json.h"
#include "tgs/job.h"

#define REPLY_ROOM 1024 /* bytes beside the ticket: a reply is written without growing */

static struct envelope_aad aad_of(const struct tgs_env *env, const struct tgs_job *job, struct slice context)
{
    return (struct envelope_aad){.realm = name_slice(&env->conf->realm),
                                 .client = name_slice(&job->tgt.client),
                                 .server = name_slice(&job->service),
                                 .context = context};
}

static enum rc read_authenticator(const json_t *j, struct tgs_job *job)
{
    uint8_t nonce[SEALED_NONCE];
    struct slice client;

    TRY(sealed_text(j, "client", NAME_MAX_BYTES, &client));
    TRY(json_get_int(j, "time", &job->authenticator.time_s));
    job->authenticator.time_s = time_bounded(job->authenticator.time_s);
    TRY(sealed_bytes(j, "nonce", nonce, sizeof nonce));
    TRY(name_parse(client, &job->authenticator.client));
    return memcmp(nonce, job->req->sealed.nonce, sizeof nonce) == 0 ? RC_OK : RC_MODIFIED;
}

static enum rc session_key_is_proved(const struct tgs_env *env, struct tgs_job *job)
{
    static const enum label labels[2] = {LABEL_TGS_AUTHENTICATOR, LABEL_TGS_REPLY};
    AUTO(buf_done) struct buf context = {0};
    AUTO(json_done) json_t *j = NULL;
    struct envelope_key keys[2];

    TRY(envelope_derive_pair(&job->tgt.session, labels, keys));
    job->reply_key = keys[1];
    AUTO(envelope_key_done) struct envelope_key key = keys[0];
    wipe(keys, sizeof keys);
    TRY(envelope_context((struct slice[]){job->req->tgs_ticket, job->req->sealed.body}, 2, &context));
    struct envelope_aad aad = aad_of(env, job, buf_slice(&context));
    TRY(sealed_open_under(&key, &aad, job->req->authenticator, &j));
    enum rc rc = read_authenticator(j, job);
    if (rc != RC_OK)
        return rc == RC_MALFORMED ? RC_MODIFIED : rc;
    job->is_proved = true;
    return RC_OK;
}

/* The TGT itself, under the key that the TGS uses now. */
static enum rc renewal_is_allowed(const struct tgs_env *env, struct tgs_job *job)
{
    if (!slice_eq(name_slice(&job->service), name_slice(&env->name)))
        return RC_NO_SERVICE;
    if (!job->tgt.renew_till)
        return RC_NOT_RENEWABLE;
    if (job->now_s >= job->tgt.renew_till)
        return RC_RENEW_OVER;

    const struct keytab *keys = keytab_hold(env->keys);
    const struct key *key = keytab_current(keys, &env->name, ETYPE_AES128_CBC_HS256, job->now_s);
    if (key)
        job->target_key = *key;
    keytab_release(env->keys, keys);
    return key ? RC_OK : RC_NO_KEY;
}

static enum rc target_is_known(const struct tgs_env *env, struct tgs_job *job)
{
    return job->req->sealed.renew ? renewal_is_allowed(env, job) : tgs_service_is_known(env, job);
}

static tgs_rule *const rules[] = {
    tgs_ticket_is_of_the_profile, tgs_client_is_not_cut_off, tgs_address_is_the_tickets,
    session_key_is_proved,        tgs_names_match,           target_is_known,
};

static enum rc write_reply(const struct tgs_job *job, struct slice ticket_text, struct buf *out)
{
    const struct ticket *t = &job->ticket;

    TRY(buf_reserve(out, ticket_text.n + REPLY_ROOM));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "service", name_slice(&t->server));
    jw_base64url(&w, "session_key", key_slice(&t->session));
    jw_plain(&w, "ticket", ticket_text);
    jw_int(&w, "start_time", t->start);
    jw_int(&w, "end_time", t->end);
    jw_int(&w, "renew_till", t->renew_till);
    jw_base64url(&w, "nonce", SLICE(job->req->sealed.nonce));
    jw_text(&w, "client", name_slice(&t->client));
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc reply(const struct tgs_env *env, const struct tgs_job *job, struct slice ticket, struct tgs_rep *ret)
{
    AUTO(buf_done) struct buf text = {0}, context = {0}, body = {0};

    TRY(write_reply(job, ticket, &text));
    TRY(envelope_context(&job->req->sealed.request, 1, &context));
    struct envelope_aad aad = aad_of(env, job, buf_slice(&context));
    TRY(sealed_reply_under(&job->reply_key, &aad, buf_slice(&text), &body));
    ret->body = buf_take(&body);
    ret->is_json = true;
    return RC_OK;
}

const struct tgs_profile tgs_sealed = {rules, ARRAY_LEN(rules), reply};
