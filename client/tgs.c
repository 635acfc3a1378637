/* The client's side of the sealed TGS exchange: a ticket for a service, or a fresh ticket-granting ticket. */
#include "client/client.h"
#include "shared/base/base64.h"

#define PATH "/tgs"

struct tgs_exchange {
    const struct tgs_wish *wish;
    uint8_t nonce[SEALED_NONCE];
    struct buf body; /* text */
};

static void exchange_done(struct tgs_exchange *x)
{
    buf_done(&x->body);
}

static enum rc write_body(struct kerb *k, struct tgs_exchange *x)
{
    AUTO(buf_done) struct buf json = {0};

    TRY(random_bytes(x->nonce, sizeof x->nonce));
    struct jw w = jw_start(&json);
    jw_open(&w, NULL, '{');
    jw_text(&w, "service", name_slice(&x->wish->service));
    jw_base64url(&w, "nonce", SLICE(x->nonce));
    if (x->wish->renew) {
        jw_open(&w, "options", '[');
        jw_text(&w, NULL, slice_text("renew"));
        jw_close(&w, ']');
    }
    jw_close(&w, '}');
    TRY(jw_end(&w));
    client_trace(k, "   body: service %s, nonce %d bytes%s", x->wish->service.s, SEALED_NONCE,
                 x->wish->renew ? ", renew" : "");
    return base64url_encode(buf_slice(&json), &x->body);
}

static enum rc write_authenticator(struct kerb *k, const struct tgs_exchange *x, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, context = {0};
    const struct tgs_wish *wish = x->wish;

    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_text(&w, "client", name_slice(wish->client));
    jw_int(&w, "time", clock_s());
    jw_base64url(&w, "nonce", SLICE(x->nonce));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(envelope_context((struct slice[]){buf_slice(&wish->tgt->ticket), buf_slice(&x->body)}, 2, &context));
    const struct sealing s = {.key = &wish->tgt->session,
                              .label = LABEL_TGS_AUTHENTICATOR,
                              .client = name_slice(wish->client),
                              .server = name_slice(&wish->service),
                              .context = buf_slice(&context)};
    TRY(client_seal(k, &s, buf_slice(&plain), out));
    client_trace(k, "   tgt: %zu letters, sealed by the AS under the TGS's key, version %u", wish->tgt->ticket.n,
                 client_kvno(wish->tgt));
    client_trace(k,
                 "   authenticator: {client, time, nonce}, %zu letters, sealed under the session key of the TGT, "
                 "label tgs-authenticator, bound to TGT and body",
                 out->n);
    return RC_OK;
}

static enum rc write_request(struct kerb *k, const struct tgs_exchange *x, struct buf *out)
{
    AUTO(buf_done) struct buf authenticator = {0};

    TRY(write_authenticator(k, x, &authenticator));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "tgt", buf_slice(&x->wish->tgt->ticket));
    jw_text(&w, "authenticator", buf_slice(&authenticator));
    jw_text(&w, "body", buf_slice(&x->body));
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc check_reply(struct kerb *k, const struct tgs_exchange *x, const json_t *j, struct cache_entry *e)
{
    const struct tgs_wish *wish = x->wish;

    if (client_same_nonce(j, x->nonce) != RC_OK || client_same_name(j, "client", wish->client) != RC_OK ||
        client_same_name(j, "service", &wish->service) != RC_OK)
        return client_distrust(k, "it is for another request, name or service");
    if (client_read_session(j, "ticket", e) != RC_OK || client_read_times(j, e) != RC_OK)
        return client_distrust(k, "the ticket or its times are damaged");
    if (!wish->renew && e->end > wish->tgt->end)
        return client_distrust(k, "the ticket outlives the one it was made from");
    return RC_OK;
}

static enum rc take_reply(struct kerb *k, const struct tgs_exchange *x, const struct reply *r, struct slice request,
                          struct cache_entry *ret)
{
    AUTO(cache_entry_done) struct cache_entry e = {0};
    AUTO(json_done) json_t *j = NULL;
    const struct tgs_wish *wish = x->wish;
    const struct binding b = {&wish->tgt->session, LABEL_TGS_REPLY, name_slice(wish->client),
                              name_slice(&wish->service), request};

    TRY(client_open_reply(k, r, &b, &j));
    TRY(check_reply(k, x, j, &e));
    e.server = wish->service;
    e.auth_time = wish->tgt->auth_time;
    client_trace(k, "   reply: opened with the session key of the TGT, label tgs-reply, bound to the request");
    client_trace(k, "   ticket for %s: %zu letters, sealed under its key, version %u; good for %lld s", wish->service.s,
                 e.ticket.n, client_kvno(&e), (long long)(e.end - e.start));
    cache_entry_done(ret);
    *ret = e;
    wipe(&e, sizeof e);
    return RC_OK;
}

static enum rc refused(struct kerb *k, const struct reply *r)
{
    if (reply_is_error(r, "KRB_AP_ERR_TKT_EXPIRED"))
        client_end_login(k);
    return client_refused(k, r);
}

enum rc client_tgs(struct kerb *k, const struct tgs_wish *wish, struct cache_entry *ret)
{
    AUTO(exchange_done) struct tgs_exchange x = {.wish = wish};
    AUTO(buf_done) struct buf request = {0};
    AUTO(reply_done) struct reply r = {0};

    TRY(write_body(k, &x));
    TRY(write_request(k, &x, &request));
    TRY(client_post(k, PATH, buf_slice(&request), &r));
    return r.is_ok ? take_reply(k, &x, &r, buf_slice(&request), ret) : refused(k, &r);
}
