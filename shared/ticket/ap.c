/* A service over HTTP: the ticket, then the challenge, then the authenticator, then the challenge used up. */
#include "shared/ticket/ap.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"
#include "shared/ticket/replay.h"

#define CHALLENGE_LEN (8 + ID_LEN) /* u64be expiry | id */

struct ap {
    struct ap_options options;
    struct envelope_key challenge_key; /* random, of this process */
    struct replay *used;               /* challenges, by client */
};

/* --- life --- */

static enum rc setup(struct ap *ap, int64_t now_s)
{
    AUTO(key_done) struct key key = {0};
    bool clean;

    TRY(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &key));
    TRY(envelope_derive(&key, LABEL_AS_COOKIE, &ap->challenge_key));
    return replay_open(NULL, REPLAY_AT_STOP, now_s, &ap->used, &clean);
}

enum rc ap_open(const struct ap_options *options, int64_t now_s, struct ap **ret)
{
    struct ap *ap = calloc(1, sizeof *ap);
    if (!ap)
        return RC_NO_MEMORY;
    ap->options = *options;
    enum rc rc = setup(ap, now_s);
    if (rc != RC_OK) {
        ap_close(ap);
        return rc;
    }
    *ret = ap;
    return RC_OK;
}

void ap_close(struct ap *ap)
{
    if (!ap)
        return;
    (void)replay_close(ap->used); /* has no file */
    envelope_key_done(&ap->challenge_key);
    free(ap);
}

void ap_call_done(struct ap_call *call)
{
    ticket_done(&call->ticket);
    json_done(&call->body);
    buf_done(&call->fresh);
}

/* --- challenges --- */

struct challenge {
    int64_t expiry_s;
    uint8_t id[ID_LEN];
};

static struct envelope_aad aad_of(const struct ap *ap, const struct ap_call *call, struct slice context)
{
    return (struct envelope_aad){.realm = name_slice(&ap->options.realm),
                                 .client = name_slice(&call->ticket.client),
                                 .server = name_slice(&ap->options.service),
                                 .context = context};
}

static enum rc challenge_make(const struct ap *ap, int64_t now_s, struct ap_call *call)
{
    AUTO(buf_done) struct buf envelope = {0};
    struct envelope_aad aad = aad_of(ap, call, slice_of(NULL, 0));
    uint8_t plain[CHALLENGE_LEN];

    put_u64be(plain, (uint64_t)(now_s + AP_CHALLENGE_S));
    TRY(random_bytes(plain + 8, ID_LEN));
    TRY(envelope_seal(&ap->challenge_key, &aad, SLICE(plain), &envelope));
    return base64url_encode(buf_slice(&envelope), &call->fresh);
}

/* Errors: NO_CHALLENGE, for every way to be of no use. */
static enum rc challenge_read(const struct ap *ap, const struct ap_call *call, struct slice text, int64_t now_s,
                              struct challenge *ret)
{
    AUTO(buf_done) struct buf envelope = {0}, plain = {0};
    struct envelope_aad aad = aad_of(ap, call, slice_of(NULL, 0));

    enum rc rc = base64url_decode(text, &envelope);
    if (rc == RC_OK)
        rc = envelope_open(&ap->challenge_key, &aad, buf_slice(&envelope), &plain);
    if (rc == RC_MALFORMED || rc == RC_MODIFIED || (rc == RC_OK && plain.n != CHALLENGE_LEN))
        return RC_NO_CHALLENGE;
    TRY(rc);
    ret->expiry_s = (int64_t)get_u64be(plain.p);
    memcpy(ret->id, plain.p + 8, ID_LEN);
    return now_s < ret->expiry_s ? RC_OK : RC_NO_CHALLENGE;
}

static enum rc challenge_use(struct ap *ap, const struct ap_call *call, const struct challenge *c, int64_t now_s)
{
    uint8_t digest[SHA256_LEN] = {0};

    memcpy(digest, c->id, ID_LEN);
    enum rc rc = replay_check(ap->used, call->ticket.client_id, digest, c->expiry_s, now_s);
    return rc == RC_REPEAT ? RC_NO_CHALLENGE : rc;
}

/* --- a request --- */

/* Opens the ticket and sees that it may be used here. */
static enum rc take_ticket(const struct ap *ap, struct slice text, const char *address, int64_t now_s,
                           struct ap_call *call)
{
    const struct ap_options *o = &ap->options;

    const struct keytab *keys = keytab_hold(o->keys);
    enum rc rc = ticket_open(keys, &o->realm, &o->service, TICKET_SERVICE, text, now_s, &call->ticket);
    keytab_release(o->keys, keys);
    call->is_opened = rc == RC_OK || rc == RC_TKT_EXPIRED;
    TRY(rc);
    if (call->ticket.session.etype != ETYPE_AES128_CBC_HS256)
        return RC_BAD_ETYPE;
    return !o->check_address || strcmp(address, call->ticket.address) == 0 ? RC_OK : RC_BAD_ADDRESS;
}

static enum rc authenticator_read(const json_t *a, struct ap_call *call)
{
    uint8_t nonce[SEALED_NONCE];
    struct slice client;

    TRY(sealed_text(a, "client", NAME_MAX_BYTES, &client));
    TRY(json_get_int(a, "time", &call->time_s));
    TRY(sealed_bytes(a, "nonce", nonce, sizeof nonce)); /* makes each request another one, for its reply */
    return slice_eq(client, name_slice(&call->ticket.client)) ? RC_OK : RC_BAD_MATCH;
}

static enum rc authenticator_check(const struct ap *ap, struct slice text, const struct slice bound[3],
                                   struct ap_call *call)
{
    AUTO(buf_done) struct buf context = {0};
    AUTO(json_done) json_t *a = NULL;

    TRY(envelope_context(bound, 3, &context));
    struct envelope_aad aad = aad_of(ap, call, buf_slice(&context));
    TRY(sealed_open(&call->ticket.session, LABEL_AP_AUTHENTICATOR, &aad, text, &a));
    enum rc rc = authenticator_read(a, call);
    return rc == RC_MALFORMED ? RC_MODIFIED : rc;
}

/* What follows the ticket: its owner shows that it is he, now, and that he asks for this. */
static enum rc prove(struct ap *ap, const json_t *request, struct slice ticket, int64_t now_s, struct ap_call *call)
{
    AUTO(json_done) json_t *body = NULL;
    struct slice authenticator, challenge_text, body_text;
    struct challenge challenge;

    if (!json_object_get(request, "authenticator"))
        return RC_NO_CHALLENGE;
    TRY(sealed_text(request, "authenticator", SEALED_TEXT_MAX, &authenticator));
    TRY(sealed_body(request, &body_text, &body));
    TRY(sealed_text(request, "challenge", SEALED_TEXT_MAX, &challenge_text));
    TRY(challenge_read(ap, call, challenge_text, now_s, &challenge));
    TRY(authenticator_check(ap, authenticator, (struct slice[]){ticket, body_text, challenge_text}, call));
    TRY(challenge_use(ap, call, &challenge, now_s));
    TRY(sha256(challenge_text, call->challenge));
    call->body = body;
    body = NULL;
    return RC_OK;
}

enum rc ap_accept(struct ap *ap, const struct ap_request *req, int64_t now_s, struct ap_call *ret)
{
    AUTO(json_done) json_t *request = NULL;
    struct slice ticket;

    TRY(json_parse_object(req->bytes, JSON_DEPTH_HTTP, &request));
    TRY(sealed_version(request));
    TRY(sealed_text(request, "ticket", TICKET_TEXT_MAX, &ticket));
    TRY(take_ticket(ap, ticket, req->address, now_s, ret));
    TRY(sha256(req->bytes, ret->request));
    enum rc rc = prove(ap, request, ticket, now_s, ret);
    if (rc == RC_NO_CHALLENGE)
        TRY(challenge_make(ap, now_s, ret));
    return rc;
}

enum rc ap_reply(const struct ap *ap, const struct ap_call *call, struct slice plain, struct buf *out)
{
    struct envelope_aad aad = aad_of(ap, call, SLICE(call->request));

    return sealed_reply(&call->ticket.session, LABEL_AP_REPLY, &aad, plain, out);
}
