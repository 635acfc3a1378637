/*
 * The client's side of the sealed AS exchange.
 *
 * First the server says how the key is made (realm, salt, iterations, etypes) and gives a cookie; then the same body
 * goes again with the proof. What came in clear must stand under the seal again: who edits the offer on the way is
 * found out, and gets no proof that is cheaper to guess at than a realm's own (iterations_min).
 */
#include <string.h>

#include "client/client.h"
#include "shared/base/base64.h"

#define PATH      "/as/login"
#define ETYPES    8 /* that a server may offer; we look for one */
#define TRIES     3 /* a cookie may run out while the key is made */
#define ETYPE_MAX 64

struct as_exchange {
    struct name client, server;
    struct slice password;
    uint8_t nonce[SEALED_NONCE];
    struct buf body; /* text */
    struct offer offer;
    struct userkey_params key_params; /* that user_key was made with */
    bool has_key;
    struct key user_key;
};

void offer_done(struct offer *o)
{
    json_done(&o->etypes);
    buf_done(&o->cookie);
}

void login_result_done(struct login_result *r)
{
    key_done(&r->user_key);
    cache_entry_done(&r->tgt);
}

static void exchange_done(struct as_exchange *x)
{
    buf_done(&x->body);
    offer_done(&x->offer);
    wipe(x, sizeof *x);
}

/* --- the offer --- */

static enum rc read_etypes(struct kerb *k, const json_t *list)
{
    bool has_ours = false;

    if (!json_is_array(list) || json_array_size(list) > ETYPES)
        return client_distrust(k, "the list of encryption types is damaged");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        if (!json_is_string(e) || json_string_length(e) > ETYPE_MAX)
            return client_distrust(k, "the list of encryption types is damaged");
        has_ours |= strcmp(json_string_value(e), etype_name(ETYPE_AES128_CBC_HS256)) == 0;
    }
    return has_ours ? RC_OK
                    : client_distrust(k, "it does not offer aes128-cbc-hs256, and this client never takes less");
}

static enum rc read_realm(struct kerb *k, const json_t *j, struct name *ret)
{
    struct slice text;

    if (sealed_text(j, "realm", NAME_MAX_BYTES, &text) != RC_OK || name_parse(text, ret) != RC_OK)
        return client_distrust(k, "it names no realm");
    if (k->realm.n && !slice_eq(name_slice(&k->realm), name_slice(ret)))
        return client_fail(k, KERB_UNTRUSTED,
                           "%s is the realm %s, and not %s: is the URL right? If so, change the realm's name in "
                           "kerb.conf, KERB_REALM or --realm",
                           kerb_url(k), ret->s, k->realm.s);
    return RC_OK;
}

static enum rc read_iterations(struct kerb *k, const json_t *j, uint32_t *ret)
{
    int64_t n;

    if (json_get_int(j, "iterations", &n) != RC_OK)
        return client_distrust(k, "it names no iterations");
    if (n < k->iterations_min)
        return client_fail(k, KERB_UNTRUSTED,
                           "the server asks for %lld PBKDF2 iterations, fewer than %lu: this would make the password "
                           "easy to guess. If the realm is known to be so, set [client] iterations_min in kerb.conf",
                           (long long)n, (unsigned long)k->iterations_min);
    if (n > USERKEY_ITERATIONS_MAX)
        return client_fail(k, KERB_UNTRUSTED, "the server asks for %lld PBKDF2 iterations, more than %d", (long long)n,
                           USERKEY_ITERATIONS_MAX);
    *ret = (uint32_t)n;
    return RC_OK;
}

static enum rc read_offer(struct kerb *k, const json_t *j, struct offer *ret)
{
    AUTO(offer_done) struct offer o = {0};
    struct slice cookie;

    TRY(read_realm(k, j, &o.realm));
    TRY(read_etypes(k, json_object_get(j, "etypes")));
    TRY(read_iterations(k, j, &o.params.iterations));
    if (sealed_bytes(j, "salt", o.params.salt, USERKEY_SALT) != RC_OK ||
        sealed_text(j, "cookie", SEALED_TEXT_MAX, &cookie) != RC_OK)
        return client_distrust(k, "its salt or its cookie is damaged");
    TRY(buf_add(&o.cookie, cookie));
    o.etypes = json_incref(json_object_get(j, "etypes"));
    client_trace(k,
                 "   offer: realm %s, %zu etype(s), %lu PBKDF2 iterations, salt %d bytes, cookie %zu letters "
                 "(sealed by the AS for itself)",
                 o.realm.s, json_array_size(o.etypes), (unsigned long)o.params.iterations, USERKEY_SALT, o.cookie.n);
    offer_done(ret);
    *ret = o;
    o = (struct offer){0};
    return RC_OK;
}

/* --- requests --- */

static enum rc write_body(struct kerb *k, struct as_exchange *x, const struct login_wish *wish)
{
    AUTO(buf_done) struct buf json = {0};

    TRY(random_bytes(x->nonce, sizeof x->nonce));
    struct jw w = jw_start(&json);
    jw_open(&w, NULL, '{');
    jw_text(&w, "login", name_slice(&x->client));
    jw_text(&w, "tgs_name", name_slice(&x->server));
    jw_base64url(&w, "nonce", SLICE(x->nonce));
    if (wish->lifetime_s)
        jw_int(&w, "lifetime_s", wish->lifetime_s);
    if (wish->renewable)
        jw_bool(&w, "renewable", true);
    jw_close(&w, '}');
    TRY(jw_end(&w));
    client_trace(k, "   body: login %s, for %s, nonce %d bytes%s", x->client.s, x->server.s, SEALED_NONCE,
                 wish->renewable ? ", renewable" : "");
    return base64url_encode(buf_slice(&json), &x->body);
}

static enum rc write_proof(const struct as_exchange *x, struct buf *out)
{
    const json_t *seen = x->offer.etypes;
    struct jw w = jw_start(out);

    jw_open(&w, NULL, '{');
    jw_base64url(&w, "nonce", SLICE(x->nonce));
    jw_int(&w, "time", clock_s());
    jw_open(&w, "etypes_seen", '[');
    for (size_t i = 0; i < json_array_size(seen); i++)
        jw_text(&w, NULL, slice_text(json_string_value(json_array_get(seen, i))));
    jw_close(&w, ']');
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc seal_proof(struct kerb *k, const struct as_exchange *x, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, context = {0};

    TRY(write_proof(x, &plain));
    TRY(envelope_context((struct slice[]){buf_slice(&x->body), buf_slice(&x->offer.cookie)}, 2, &context));
    const struct sealing s = {.key = &x->user_key,
                              .label = LABEL_AS_PREAUTH,
                              .client = name_slice(&x->client),
                              .server = name_slice(&x->server),
                              .context = buf_slice(&context)};
    TRY(client_seal(k, &s, buf_slice(&plain), out));
    client_trace(k,
                 "   preauth: {nonce, time, etypes_seen}, %zu letters, sealed under the password's key, label "
                 "as-preauth, bound to body and cookie",
                 out->n);
    return RC_OK;
}

static enum rc write_request(struct kerb *k, const struct as_exchange *x, bool with_proof, struct buf *out)
{
    AUTO(buf_done) struct buf proof = {0};

    if (with_proof)
        TRY(seal_proof(k, x, &proof));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "body", buf_slice(&x->body));
    if (with_proof) {
        jw_text(&w, "cookie", buf_slice(&x->offer.cookie));
        jw_text(&w, "preauth", buf_slice(&proof));
    }
    jw_close(&w, '}');
    return jw_end(&w);
}

/* --- the reply --- */

static enum rc offer_is_the_same(const json_t *j, const struct offer *offer)
{
    uint8_t salt[USERKEY_SALT];
    int64_t iterations;

    TRY(sealed_bytes(j, "salt", salt, sizeof salt));
    TRY(json_get_int(j, "iterations", &iterations));
    bool same = ct_equal(salt, offer->params.salt, sizeof salt) && iterations == offer->params.iterations &&
                json_equal(json_object_get(j, "etypes"), offer->etypes);
    return same ? RC_OK : RC_MODIFIED;
}

static enum rc check_reply(struct kerb *k, const struct as_exchange *x, const json_t *j, struct login_result *ret)
{
    struct slice etype;
    int64_t wanted = 0;

    if (client_same_nonce(j, x->nonce) != RC_OK || client_same_name(j, "client", &x->client) != RC_OK ||
        client_same_name(j, "server", &x->server) != RC_OK || client_same_name(j, "realm", &k->realm) != RC_OK)
        return client_distrust(k, "it is for another request, name or realm");
    if (offer_is_the_same(j, &x->offer) != RC_OK)
        return client_distrust(k, "what the server said in clear is not what stands under the seal: somebody on the "
                                  "way has changed the offer");
    if (json_get_text(j, "etype", &etype) != RC_OK || !slice_eq(etype, slice_text(etype_name(ETYPE_AES128_CBC_HS256))))
        return client_distrust(k, "the session key is of a type that we did not ask for");
    if (client_read_session(j, "tgt", &ret->tgt) != RC_OK || client_read_times(j, &ret->tgt) != RC_OK ||
        json_get_int(j, "auth_time", &ret->tgt.auth_time) != RC_OK || ret->tgt.auth_time < 0)
        return client_distrust(k, "the ticket or its times are damaged");
    if (json_get_int(j, "iterations_wanted", &wanted) == RC_OK && wanted > 0 && wanted <= USERKEY_ITERATIONS_MAX)
        ret->iterations_wanted = (uint32_t)wanted;
    return RC_OK;
}

static enum rc take_reply(struct kerb *k, struct as_exchange *x, const struct reply *r, struct slice request,
                          struct login_result *ret)
{
    AUTO(login_result_done) struct login_result got = {0};
    AUTO(json_done) json_t *j = NULL;
    const struct binding b = {&x->user_key, LABEL_AS_REPLY, name_slice(&x->client), name_slice(&x->server), request};

    TRY(client_open_reply(k, r, &b, &j));
    TRY(check_reply(k, x, j, &got));
    got.client = x->client;
    got.user_key = x->user_key;
    got.params = x->offer.params;
    got.tgt.server = x->server;
    got.offset_s = got.tgt.start - clock_s();
    client_trace(k, "   reply: opened with the password's key, label as-reply, bound to the request; salt, iterations "
                    "and etypes are as offered");
    client_trace(k, "   ticket for %s: %zu letters, sealed under its key, version %u; good for %lld s", x->server.s,
                 got.tgt.ticket.n, client_kvno(&got.tgt), (long long)(got.tgt.end - got.tgt.start));
    login_result_done(ret);
    *ret = got;
    wipe(&got, sizeof got);
    return RC_OK;
}

/* --- the exchange --- */

static enum rc start(struct kerb *k, const struct name *user, const struct login_wish *wish, struct as_exchange *x)
{
    x->client = *user;
    TRY(name_parse(slice_text(CLIENT_TGS_NAME), &x->server));
    return write_body(k, x, wish);
}

static enum rc make_key(struct kerb *k, struct as_exchange *x)
{
    const struct userkey_params *p = &x->offer.params;

    if (x->has_key && x->key_params.iterations == p->iterations && ct_equal(x->key_params.salt, p->salt, USERKEY_SALT))
        return RC_OK;
    int64_t started = clock_monotonic_ms();
    enum rc rc = userkey_derive(x->password, &k->realm, &x->client, p, &x->user_key);
    if (rc == RC_MALFORMED)
        return client_fail(k, KERB_BAD_ARGUMENT, "the password is empty, longer than %d bytes, or not UTF-8",
                           PASSWORD_MAX);
    TRY(rc);
    x->key_params = *p;
    x->has_key = true;
    client_trace(k, "   the password's key: PBKDF2-HMAC-SHA-256, %lu iterations, %lld ms; it stays here",
                 (unsigned long)p->iterations, (long long)(clock_monotonic_ms() - started));
    return RC_OK;
}

/* Asks without a proof: the answer is the offer. */
static enum rc get_offer(struct kerb *k, struct as_exchange *x)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(reply_done) struct reply r = {0};

    TRY(write_request(k, x, false, &request));
    TRY(client_post(k, PATH, buf_slice(&request), &r));
    if (r.is_ok)
        return client_distrust(k, "a ticket without a proof of the password");
    if (!reply_is_error(&r, "KDC_ERR_PREAUTH_REQUIRED"))
        return client_refused(k, &r);
    return read_offer(k, r.json, &x->offer);
}

/* One proof. *ret_again: the cookie was of no use, and there is a new one. */
static enum rc prove(struct kerb *k, struct as_exchange *x, struct login_result *ret, bool *ret_again)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(reply_done) struct reply r = {0};

    *ret_again = false;
    TRY(make_key(k, x));
    TRY(write_request(k, x, true, &request));
    TRY(client_post(k, PATH, buf_slice(&request), &r));
    if (r.is_ok)
        return take_reply(k, x, &r, buf_slice(&request), ret);
    if (!reply_is_error(&r, "KDC_ERR_PREAUTH_REQUIRED"))
        return client_refused(k, &r);
    *ret_again = true;
    return read_offer(k, r.json, &x->offer);
}

static enum rc prove_until_fresh(struct kerb *k, struct as_exchange *x, struct login_result *ret)
{
    bool again = true;

    for (int i = 0; i < TRIES && again; i++)
        TRY(prove(k, x, ret, &again));
    return again ? client_fail(k, KERB_UNREACHABLE, "the server takes none of its own cookies; try once more") : RC_OK;
}

enum rc client_as(struct kerb *k, const struct name *user, struct slice password, const struct login_wish *wish,
                  struct login_result *ret)
{
    AUTO(exchange_done) struct as_exchange x = {.password = password};
    struct name known = k->realm;

    TRY(start(k, user, wish, &x));
    TRY(get_offer(k, &x));
    k->realm = x.offer.realm; /* the same, or the first we hear of it */
    enum rc rc = prove_until_fresh(k, &x, ret);
    if (rc != RC_OK)
        k->realm = known;
    return rc;
}

enum rc client_offer(struct kerb *k, const struct name *user, struct offer *ret)
{
    AUTO(exchange_done) struct as_exchange x = {0};
    static const struct login_wish nothing;

    TRY(start(k, user, &nothing, &x));
    TRY(get_offer(k, &x));
    offer_done(ret);
    *ret = x.offer;
    x.offer = (struct offer){0};
    return RC_OK;
}
