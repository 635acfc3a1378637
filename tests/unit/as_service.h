/* The AS's own services over HTTP, and a client who has a ticket for one. */
#ifndef KERB_TESTS_AS_SERVICE_H
#define KERB_TESTS_AS_SERVICE_H

#include "as/admin.h"
#include "as/changepw.h"
#include "tests/unit/as_world.h"

static struct pool writers;
static struct as_store *writer;
static struct keytab_file *keys;
static struct key service_key[2];
static struct ticket ticket; /* what the client holds; a test changes it before it asks */
static const char *service;  /* whom he asks */
static struct buf challenge, request, reply_body;

static inline void open_service(const struct keytab *kt, const char *name, struct ap **ret)
{
    (void)kt;
    struct ap_options options = {.realm = conf.realm, .service = named(name), .keys = keys};
    assert_ok(ap_open(&options, NOW, ret));
}

static inline void hold_ticket(const char *client, const char *for_service)
{
    struct as_principal p = found(client);

    service = for_service;
    ticket = (struct ticket){.kind = TICKET_SERVICE,
                             .client = p.name,
                             .address = "192.0.2.7",
                             .server = named(for_service),
                             .epoch = p.epoch,
                             .auth_time = NOW,
                             .start = NOW,
                             .end = NOW + 3600};
    memcpy(ticket.client_id, p.client_id, ID_LEN);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &ticket.session));
}

static inline int start_services(void **state)
{
    static const char *const names[] = {AS_CHANGEPW_NAME, AS_ADMIN_NAME};
    AUTO(keytab_done) struct keytab *kt = NULL;

    start(state);
    AUTO(str_done) char *path = state_path(&conf, "as/as.keytab");
    assert_ok(keytab_new(&kt));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct name name = named(names[i]);
        assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &service_key[i]));
        assert_ok(keytab_add(kt, &name, &service_key[i]));
    }
    assert_ok(keytab_save(kt, path));
    assert_ok(keytab_file_open(path, &keys));
    open_service(kt, names[0], &env.changepw);
    open_service(kt, names[1], &env.admin);
    assert_ok(as_store_open(&conf, DB_WRITE, &writer));
    pool_init(&writers);
    pool_put(&writers, writer);
    env.writers = &writers;
    return 0;
}

static inline int stop_services(void **state)
{
    ap_close(env.changepw);
    ap_close(env.admin);
    keytab_file_close(keys);
    assert_ptr_equal(pool_drain(&writers), writer);
    pool_done(&writers);
    as_store_close(writer);
    buf_done(&challenge);
    buf_done(&request);
    buf_done(&reply_body);
    return stop(state);
}

static inline int post_request(void)
{
    const struct http_request http = {buf_slice(&request), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};
    unsigned before = audited.n;

    (strcmp(service, AS_ADMIN_NAME) == 0 ? as_admin_post : as_changepw_post)(&env, &http, &reply);
    assert_int_equal(audited.n, before + 1);
    assert_int_equal(reply.status, rc_http(audited.rc));
    assert_string_equal(reply.content_type, "application/json");
    buf_done(&reply_body);
    reply_body = buf_take(&reply.body);
    return reply.status;
}

/* The first request: keeps the challenge. */
static inline void get_challenge(struct buf *ret_ticket)
{
    AUTO(json_done) json_t *answer = NULL;

    bool is_admin = strcmp(service, AS_ADMIN_NAME) == 0;
    assert_ok(ticket_seal(&service_key[is_admin], &conf.realm, &ticket, ret_ticket));
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"ticket\":\"%s\"}", buf_cstr(ret_ticket)));
    (void)post_request();
    if (audited.rc != RC_NO_CHALLENGE)
        return;
    assert_ok(json_parse_object(buf_slice(&reply_body), JSON_DEPTH_HTTP, &answer));
    buf_reset(&challenge);
    assert_ok(buf_add(&challenge, member(answer, "challenge")));
}

/* The second: op is the JSON that goes into the body. Returns what the audit was told; *ret is the opened reply. */
static inline enum rc send_op(const struct buf *ticket_text, const char *op, json_t **ret)
{
    AUTO(buf_done) struct buf body = {0}, context = {0}, plain = {0}, authenticator = {0};
    uint8_t digest[SHA256_LEN];

    assert_ok(base64url_encode(slice_text(op), &body));
    context_of(&context, ticket_text, &body, &challenge);
    struct bound b = {conf.realm_name, ticket.client.s, service, buf_slice(&context)};
    assert_ok(buf_printf(&plain, "{\"client\":\"%s\",\"time\":%d,\"nonce\":\"" NONCE "\"}", ticket.client.s, NOW));
    seal_text(&ticket.session, LABEL_AP_AUTHENTICATOR, &b, buf_cstr(&plain), &authenticator);
    buf_reset(&request);
    assert_ok(buf_printf(
        &request, "{\"v\":1,\"ticket\":\"%.*s\",\"authenticator\":\"%s\",\"challenge\":\"%s\",\"body\":\"%s\"}",
        SLICE_FMT(buf_slice(ticket_text)), buf_cstr(&authenticator), buf_cstr(&challenge), buf_cstr(&body)));
    if (post_request() != 200)
        return audited.rc;
    assert_ok(sha256(buf_slice(&request), digest));
    b.context = SLICE(digest);
    assert_ok(open_reply(&ticket.session, LABEL_AP_REPLY, &b, buf_slice(&reply_body), ret));
    return RC_OK;
}

static inline bool is_ok(const json_t *answer)
{
    return json_is_true(json_object_get(answer, "ok"));
}

#endif
