/*
 * A realm in a transport, for tests of the client: it answers as an honest AS and TGS do, with the sealing of the
 * server's side, unless a test turns one of its knobs.
 */
#ifndef KERB_TESTS_CLIENT_SERVER_H
#define KERB_TESTS_CLIENT_SERVER_H

#include "client/client.h"
#include "shared/base/base64.h"
#include "tests/unit/sealing.h"

#define SERVER_REALM "EXAMPLE"
#define SERVER_ETYPE "[\"aes128-cbc-hs256\"]"
#define SERVER_ITER  10000 /* pinned by the tests: fast */
#define PASSWORD     "a few words of mine"

/* What the server says; each test starts with the honest values. */
static struct {
    const char *realm_clear, *realm_sealed, *etypes_clear, *etypes_sealed, *etype, *client, *server, *service;
    long long iterations_clear, iterations_sealed, wanted;
    bool other_salt, other_nonce, other_request, same_reply, not_sealed, no_proof_needed, outlives, short_key;
    enum label as_label, tgs_label;
    long long lifetime, renew_till;
    unsigned stale_cookies; /* refused before one is taken */
    const char *error;      /* a refusal instead of any answer */
    const char *op_id;      /* of refusals; as it stands in JSON */
    const char *elsewhere;  /* what every service says that is not AS or TGS */
    int status;
    unsigned posts, tgs_posts;
    char last_path[64];
} server;

static struct key server_session, server_tgs_key;
static uint8_t server_salt[USERKEY_SALT];
static struct buf server_last_reply;

static inline void server_reset(void)
{
    memset(&server, 0, sizeof server);
    server.realm_clear = server.realm_sealed = SERVER_REALM;
    server.etypes_clear = server.etypes_sealed = SERVER_ETYPE;
    server.etype = "aes128-cbc-hs256";
    server.client = "alice";
    server.server = "tgs";
    server.iterations_clear = server.iterations_sealed = SERVER_ITER;
    server.as_label = LABEL_AS_REPLY;
    server.tgs_label = LABEL_TGS_REPLY;
    server.lifetime = 36000;
    server.op_id = "a1b2";
    server.elsewhere = "KRB_ERR_MALFORMED";
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &server_session));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &server_tgs_key));
    assert_ok(random_bytes(server_salt, sizeof server_salt));
    buf_done(&server_last_reply);
}

static inline void server_done(void)
{
    buf_done(&server_last_reply);
}

static inline const char *b64(struct slice s, struct buf *out)
{
    buf_reset(out);
    assert_ok(base64url_encode(s, out));
    return buf_cstr(out);
}

static inline void server_user_key(struct key *ret)
{
    struct name realm, client;
    struct userkey_params p = {.iterations = (uint32_t)server.iterations_clear};

    memcpy(p.salt, server_salt, sizeof p.salt);
    assert_ok(name_parse(slice_text(SERVER_REALM), &realm));
    assert_ok(name_parse(slice_text("alice"), &client));
    assert_ok(userkey_derive(slice_text(PASSWORD), &realm, &client, &p, ret));
}

static inline void server_ticket(const char *name, struct buf *ret)
{
    struct ticket t = {.kind = TICKET_TGT, .address = "192.0.2.7", .session = server_session};
    struct name realm;
    int64_t now_s = clock_s();

    assert_ok(name_parse(slice_text(SERVER_REALM), &realm));
    assert_ok(name_parse(slice_text("alice"), &t.client));
    assert_ok(name_parse(slice_text(name), &t.server));
    t.auth_time = t.start = now_s;
    t.end = now_s + 3600;
    assert_ok(ticket_seal(&server_tgs_key, &realm, &t, ret));
}

/* Seals a reply for a request, and keeps it for the test that gives it to another one. */
static inline void server_seal_reply(const struct key *key, enum label label, const char *service, struct slice request,
                                     const char *plain, struct answer *ret)
{
    AUTO(buf_done) struct buf context = {0}, whole = {0};
    const struct buf r = {(uint8_t *)(uintptr_t)request.p, request.n, 0};

    context_of(&context, &r, NULL, NULL);
    if (server.other_request)
        context.p[0] ^= 1;
    struct bound b = {SERVER_REALM, "alice", service, buf_slice(&context)};
    struct envelope_aad aad = bound_aad(&b);
    if (server.not_sealed)
        assert_ok(buf_text(&whole, plain));
    else
        assert_ok(sealed_reply(key, label, &aad, slice_text(plain), &whole));
    if (server.same_reply && server_last_reply.n) {
        assert_ok(buf_add(&ret->body, buf_slice(&server_last_reply)));
    } else {
        assert_ok(buf_add(&ret->body, buf_slice(&whole)));
        buf_done(&server_last_reply);
        server_last_reply = buf_take(&whole);
    }
    ret->status = 200;
}

static inline void server_offer(struct answer *ret)
{
    AUTO(buf_done) struct buf salt = {0};

    ret->status = 401;
    assert_ok(buf_printf(&ret->body,
                         "{\"error\":\"KDC_ERR_PREAUTH_REQUIRED\",\"message\":\"x\",\"realm\":\"%s\",\"etypes\":%s,"
                         "\"salt\":\"%s\",\"iterations\":%lld,\"cookie\":\"Y29va2ll\",\"server_time\":1}",
                         server.realm_clear, server.etypes_clear, b64(SLICE(server_salt), &salt),
                         server.iterations_clear));
}

static inline void server_as_reply(struct slice request, const json_t *body, struct answer *ret)
{
    AUTO(buf_done) struct buf plain = {0}, key_text = {0}, salt_text = {0}, tgt = {0};
    AUTO(key_done) struct key user = {0};
    uint8_t salt[USERKEY_SALT];
    struct slice nonce;
    long long now_s = (long long)clock_s();

    server_user_key(&user);
    memcpy(salt, server_salt, sizeof salt);
    salt[0] ^= server.other_salt;
    server_ticket("tgs", &tgt);
    assert_ok(json_get_text(body, "nonce", &nonce));
    assert_ok(buf_printf(
        &plain,
        "{\"session_key\":\"%s\",\"tgt\":\"%s\",\"etype\":\"%s\",\"auth_time\":%lld,\"start_time\":%lld,\"end_time\":"
        "%lld,\"renew_till\":%lld,\"nonce\":\"%.*s\",\"client\":\"%s\",\"server\":\"%s\",\"realm\":\"%s\",\"etypes\":%"
        "s,"
        "\"salt\":\"%s\",\"iterations\":%lld,\"iterations_wanted\":%lld}",
        b64(slice_of(server_session.bytes, server.short_key ? 16 : 32), &key_text), buf_cstr(&tgt), server.etype, now_s,
        now_s, now_s + server.lifetime, server.renew_till,
        SLICE_FMT(server.other_nonce ? slice_text("AAAAAAAAAAAAAAAAAAAAAA") : nonce), server.client, server.server,
        server.realm_sealed, server.etypes_sealed, b64(SLICE(salt), &salt_text), server.iterations_sealed,
        server.wanted));
    server_seal_reply(&user, server.as_label, "tgs", request, buf_cstr(&plain), ret);
}

static inline void server_refuse(const char *code, int status, struct answer *ret)
{
    ret->status = status;
    assert_ok(
        buf_printf(&ret->body, "{\"error\":\"%s\",\"message\":\"\\u001b[2J\",\"op_id\":\"%s\"}", code, server.op_id));
}

/* The proof must open under the user's key, bound to body and cookie. */
static inline bool server_proof_opens(const json_t *request, struct slice body_text)
{
    AUTO(buf_done) struct buf context = {0}, body = {0}, cookie = {0};
    AUTO(json_done) json_t *proof = NULL;
    AUTO(key_done) struct key user = {0};
    struct slice preauth, cookie_text;

    server_user_key(&user);
    assert_ok(json_get_text(request, "preauth", &preauth));
    assert_ok(json_get_text(request, "cookie", &cookie_text));
    assert_slice(cookie_text, "Y29va2ll");
    assert_ok(buf_add(&body, body_text));
    assert_ok(buf_add(&cookie, cookie_text));
    context_of(&context, &body, &cookie, NULL);
    struct bound b = {SERVER_REALM, "alice", "tgs", buf_slice(&context)};
    return unseal_text(&user, LABEL_AS_PREAUTH, &b, preauth, &proof) == RC_OK &&
           json_array_size(json_object_get(proof, "etypes_seen")) > 0;
}

static inline void server_as(struct slice bytes, struct answer *ret)
{
    AUTO(json_done) json_t *request = NULL, *body = NULL;
    struct slice body_text;

    assert_ok(json_parse_object(bytes, JSON_DEPTH_HTTP, &request));
    assert_ok(sealed_version(request));
    assert_ok(sealed_body(request, &body_text, &body));
    bool has_proof = json_object_get(request, "preauth") != NULL;
    if (has_proof && server.stale_cookies) {
        server.stale_cookies--;
        has_proof = false;
    }
    if (!has_proof && !server.no_proof_needed)
        server_offer(ret);
    else if (has_proof && !server_proof_opens(request, body_text))
        server_refuse("KDC_ERR_PREAUTH_FAILED", 401, ret);
    else
        server_as_reply(bytes, body, ret);
}

static inline void server_tgs(struct slice bytes, struct answer *ret)
{
    AUTO(json_done) json_t *request = NULL, *body = NULL, *authenticator = NULL;
    AUTO(buf_done) struct buf context = {0}, plain = {0}, key_text = {0}, ticket = {0}, tgt = {0}, body_buf = {0};
    struct slice body_text, nonce, service, text, tgt_text;
    long long now_s = (long long)clock_s();
    char name[NAME_MAX_BYTES + 1];

    server.tgs_posts++;
    assert_ok(json_parse_object(bytes, JSON_DEPTH_HTTP, &request));
    assert_ok(sealed_body(request, &body_text, &body));
    assert_ok(json_get_text(body, "nonce", &nonce));
    assert_ok(json_get_text(body, "service", &service));
    assert_ok(json_get_text(request, "tgt", &tgt_text));
    assert_ok(json_get_text(request, "authenticator", &text));
    (void)snprintf(name, sizeof name, "%.*s", SLICE_FMT(service));
    assert_ok(buf_add(&tgt, tgt_text));
    assert_ok(buf_add(&body_buf, body_text));
    context_of(&context, &tgt, &body_buf, NULL);
    struct bound b = {SERVER_REALM, "alice", name, buf_slice(&context)};
    assert_ok(unseal_text(&server_session, LABEL_TGS_AUTHENTICATOR, &b, text, &authenticator));
    server_ticket(name, &ticket);
    assert_ok(
        buf_printf(&plain,
                   "{\"service\":\"%s\",\"session_key\":\"%s\",\"ticket\":\"%s\",\"start_time\":%lld,\"end_time\":%lld,"
                   "\"renew_till\":0,\"nonce\":\"%.*s\",\"client\":\"%s\"}",
                   server.service ? server.service : name, b64(key_slice(&server_session), &key_text),
                   buf_cstr(&ticket), now_s, now_s + (server.outlives ? 90000 : 600),
                   SLICE_FMT(server.other_nonce ? slice_text("AAAAAAAAAAAAAAAAAAAAAA") : nonce), server.client));
    server_seal_reply(&server_session, server.tgs_label, name, bytes, buf_cstr(&plain), ret);
}

static inline enum rc server_post(void *ctx, const char *url, struct slice body, struct answer *ret)
{
    const char *path = strrchr(url, ':') + strlen(":1");

    (void)ctx;
    server.posts++;
    (void)snprintf(server.last_path, sizeof server.last_path, "%s", path);
    if (server.error)
        server_refuse(server.error, server.status, ret);
    else if (strcmp(path, "/as/login") == 0)
        server_as(body, ret);
    else if (strcmp(path, "/tgs") == 0)
        server_tgs(body, ret);
    else
        server_refuse(server.elsewhere, 404, ret);
    return RC_OK;
}

#endif
