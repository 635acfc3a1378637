/* The client's side of a service over HTTP: a challenge, then the call, sealed both ways. */
#include "client/client.h"
#include "shared/base/base64.h"

#define TRIES 3 /* a challenge may run out under way */

struct ap_exchange {
    const struct ap_wish *wish;
    struct reply challenge;      /* the 401 */
    struct slice challenge_text; /* in it */
};

static void exchange_done(struct ap_exchange *x)
{
    reply_done(&x->challenge);
}

static enum rc take_challenge(struct kerb *k, struct ap_exchange *x, struct reply *r)
{
    struct slice text;

    if (sealed_text(r->json, "challenge", SEALED_TEXT_MAX, &text) != RC_OK)
        return client_distrust(k, "it has no challenge");
    client_trace(k, "   challenge: %zu letters, sealed by the service for itself", text.n);
    reply_done(&x->challenge);
    x->challenge = *r;
    x->challenge_text = text;
    *r = (struct reply){0};
    return RC_OK;
}

static enum rc get_challenge(struct kerb *k, struct ap_exchange *x)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(reply_done) struct reply r = {0};

    struct jw w = jw_start(&request);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "ticket", buf_slice(&x->wish->ticket->ticket));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(client_post(k, x->wish->path, buf_slice(&request), &r));
    if (r.is_ok)
        return client_distrust(k, "it answers without knowing who asks");
    return reply_is_error(&r, "KDC_ERR_PREAUTH_REQUIRED") ? take_challenge(k, x, &r) : client_refused(k, &r);
}

static enum rc write_authenticator(struct kerb *k, const struct ap_exchange *x, struct slice body, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, context = {0};
    const struct ap_wish *wish = x->wish;
    uint8_t nonce[SEALED_NONCE];

    TRY(random_bytes(nonce, sizeof nonce));
    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_text(&w, "client", name_slice(wish->client));
    jw_int(&w, "time", clock_s());
    jw_base64url(&w, "nonce", SLICE(nonce));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(envelope_context((struct slice[]){buf_slice(&wish->ticket->ticket), body, x->challenge_text}, 3, &context));
    const struct sealing s = {.key = &wish->ticket->session,
                              .label = LABEL_AP_AUTHENTICATOR,
                              .client = name_slice(wish->client),
                              .server = name_slice(&wish->ticket->server),
                              .context = buf_slice(&context)};
    TRY(client_seal(k, &s, buf_slice(&plain), out));
    client_trace(k,
                 "   body %zu letters; authenticator: {client, time, nonce}, %zu letters, sealed under the session "
                 "key of the ticket, label ap-authenticator, bound to ticket, body and challenge",
                 body.n, out->n);
    return RC_OK;
}

static enum rc write_request(struct kerb *k, const struct ap_exchange *x, struct buf *out)
{
    AUTO(buf_done) struct buf json = {0}, body = {0}, authenticator = {0};

    TRY(x->wish->body(x->wish->ctx, &x->challenge, x->challenge_text, &json));
    TRY(base64url_encode(buf_slice(&json), &body));
    TRY(write_authenticator(k, x, buf_slice(&body), &authenticator));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "ticket", buf_slice(&x->wish->ticket->ticket));
    jw_text(&w, "authenticator", buf_slice(&authenticator));
    jw_text(&w, "challenge", x->challenge_text);
    jw_text(&w, "body", buf_slice(&body));
    jw_close(&w, '}');
    return jw_end(&w);
}

/* *ret_again: the challenge was of no use, and there is a new one. */
static enum rc call(struct kerb *k, struct ap_exchange *x, json_t **ret, bool *ret_again)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(reply_done) struct reply r = {0};
    const struct ap_wish *wish = x->wish;

    *ret_again = false;
    TRY(write_request(k, x, &request));
    TRY(client_post(k, wish->path, buf_slice(&request), &r));
    if (r.is_ok) {
        const struct binding b = {&wish->ticket->session, LABEL_AP_REPLY, name_slice(wish->client),
                                  name_slice(&wish->ticket->server), buf_slice(&request)};
        TRY(client_open_reply(k, &r, &b, ret));
        client_trace(k, "   reply: opened with the session key of the ticket, label ap-reply, bound to the request");
        return RC_OK;
    }
    if (!reply_is_error(&r, "KDC_ERR_PREAUTH_REQUIRED"))
        return client_refused(k, &r);
    *ret_again = true;
    return take_challenge(k, x, &r);
}

enum rc client_ap(struct kerb *k, const struct ap_wish *wish, json_t **ret)
{
    AUTO(exchange_done) struct ap_exchange x = {.wish = wish};
    bool again = true;

    TRY(get_challenge(k, &x));
    for (int i = 0; i < TRIES && again; i++)
        TRY(call(k, &x, ret, &again));
    return again ? client_fail(k, KERB_UNREACHABLE, "the service takes none of its own challenges; try once more")
                 : RC_OK;
}

/* --- for any program --- */

static enum rc plain_body(void *ctx, const struct reply *challenge, struct slice challenge_text, struct buf *out)
{
    (void)challenge;
    (void)challenge_text;
    return buf_text(out, ctx);
}

static enum rc call_json(struct kerb *k, const char *path, const struct name *service, const char *json, json_t **ret)
{
    AUTO(cache_entry_done) struct cache_entry ticket = {0};
    AUTO(json_done) json_t *checked = NULL;

    if (json_parse_object(slice_text(json), JSON_DEPTH_HTTP, &checked) != RC_OK)
        return client_fail(k, KERB_BAD_ARGUMENT, "what is asked for is not a JSON object");
    TRY(client_ticket(k, service, &ticket));
    const struct ap_wish wish = {path, &k->cache.client, &ticket, plain_body, (void *)(uintptr_t)json};
    enum rc rc = client_ap(k, &wish, ret);
    if (rc == RC_OK || k->status != KERB_EXPIRED)
        return rc;
    /* it does not take the ticket that was kept: the realm gives another one, or tells that the login is over */
    client_begin(k);
    TRY(client_fresh_ticket(k, service, &ticket));
    return client_ap(k, &wish, ret);
}

static enum rc dump(const json_t *j, char **ret)
{
    char *text = json_dumps(j, JSON_COMPACT);

    if (!text)
        return RC_NO_MEMORY;
    *ret = slice_dup(slice_text(text));
    str_done(&text);
    return *ret ? RC_OK : RC_NO_MEMORY;
}

enum kerb_status kerb_call(struct kerb *k, const char *path, const char *service, const char *json, char **ret_json)
{
    AUTO(json_done) json_t *reply = NULL;
    struct name name;

    client_begin(k);
    enum rc rc = client_name(k, "service", service, &name);
    if (rc == RC_OK)
        rc = call_json(k, path, &name, json, &reply);
    if (rc == RC_OK)
        rc = dump(reply, ret_json);
    return client_end(k, rc);
}
