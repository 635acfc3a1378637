/*
 * Registration.
 *
 *   {"v":1, "body":{name, nonce[16], code_id?[8]}, "keys"}
 *   keys = E(key of the code, `new-keys`), bound to name and body; in an open realm, without a code, base64url(JSON)
 *
 * A code is 128 random bits that only its owner and we know, so what it seals is from him. An invitation counts while
 * the realm takes registrations; a reset and the first administrator's code always do: an administrator made them.
 */
#include "as/register.h"

#include <string.h>

#include "as/newkeys.h"
#include "shared/base/base64.h"

struct registration {
    const struct as_env *env;
    struct as_store *store;
    int64_t now_s, started_us;
    const char *address;
    struct gate_try attempt;
    json_t *request, *body;
    struct slice body_text, keys_text;
    struct name name;
    bool has_code;
    uint8_t code_id[ONECODE_ID_LEN];
    struct as_code code;
    struct as_keys keys;
};

static void registration_done(struct registration *r)
{
    json_done(&r->body);
    json_done(&r->request);
    as_keys_done(&r->keys);
}

static enum rc read_request(struct slice bytes, struct registration *r)
{
    uint8_t nonce[SEALED_NONCE];
    struct slice name;

    TRY(json_parse_object(bytes, JSON_DEPTH_HTTP, &r->request));
    TRY(sealed_version(r->request));
    TRY(sealed_body(r->request, &r->body_text, &r->body));
    TRY(sealed_text(r->request, "keys", SEALED_TEXT_MAX, &r->keys_text));
    TRY(sealed_text(r->body, "name", AS_LOGIN_MAX, &name));
    TRY(name_parse(name, &r->name));
    TRY(sealed_bytes(r->body, "nonce", nonce, sizeof nonce));
    r->has_code = json_object_get(r->body, "code_id") != NULL;
    return r->has_code ? sealed_bytes(r->body, "code_id", r->code_id, sizeof r->code_id) : RC_OK;
}

static bool realm_is(const struct registration *r, const char *word)
{
    return strcmp(r->env->conf->realm_registration, word) == 0;
}

static enum rc open_with_code(struct registration *r, json_t **ret)
{
    AUTO(buf_done) struct buf context = {0};
    AUTO(key_done) struct key key = {0};

    enum rc rc = as_store_code_find(r->store, r->code_id, r->now_s, &r->code, &key);
    if (rc == RC_NOT_FOUND)
        return RC_BAD_CODE;
    TRY(rc);
    TRY(envelope_context(&r->body_text, 1, &context));
    const struct envelope_aad aad = {.realm = name_slice(&r->env->conf->realm),
                                     .client = name_slice(&r->name),
                                     .server = slice_text(AS_REGISTER_NAME),
                                     .context = buf_slice(&context)};
    rc = sealed_open(&key, LABEL_NEW_KEYS, &aad, r->keys_text, ret);
    TRY(rc == RC_MODIFIED ? RC_BAD_CODE : rc);
    return r->code.kind == AS_CODE_REGISTER && realm_is(r, "closed") ? RC_REGISTRATION_CLOSED : RC_OK;
}

static enum rc open_without_code(struct registration *r, json_t **ret)
{
    AUTO(buf_done) struct buf plain = {0};

    if (!realm_is(r, "open"))
        return RC_REGISTRATION_CLOSED;
    TRY(base64url_decode(r->keys_text, &plain));
    return json_parse_object(buf_slice(&plain), JSON_DEPTH_HTTP, ret);
}

/* Whose keys are replaced; NULL: a new user's. */
static enum rc trim(struct registration *r)
{
    struct as_principal p;

    if (!r->has_code || r->code.kind != AS_CODE_RESET) {
        as_newkeys_trim(r->env->conf, NULL, &r->keys);
        return RC_OK;
    }
    enum rc rc = as_store_find(r->store, &r->name, &p);
    TRY(rc == RC_NO_CLIENT ? RC_BAD_CODE : rc);
    as_newkeys_trim(r->env->conf, &p, &r->keys);
    return RC_OK;
}

static enum rc commit(struct registration *r)
{
    enum as_code_kind kind;

    enum rc rc = r->has_code ? as_store_code_use(r->store, r->code_id, &r->name, &r->keys, r->now_s, &kind)
                             : as_store_add(r->store, &r->name, &r->keys, r->now_s);
    if (rc == RC_EXISTS)
        return RC_NAME_TAKEN;
    return rc == RC_NOT_FOUND || rc == RC_NO_CLIENT ? RC_BAD_CODE : rc;
}

static enum rc run(struct registration *r)
{
    AUTO(json_done) json_t *keys = NULL;

    TRY(r->has_code ? open_with_code(r, &keys) : open_without_code(r, &keys));
    TRY(as_newkeys_read(keys, &r->keys));
    TRY(trim(r));
    return commit(r);
}

static enum rc serve(struct registration *r, struct slice bytes)
{
    TRY(read_request(bytes, r));
    r->store = pool_take(r->env->writers); /* before the gate: see gate_enter() */
    enum rc rc = gate_ask(r->env->gate, slice_of(NULL, 0), r->address, r->now_s, &r->attempt);
    if (rc == RC_OK)
        rc = run(r);
    pool_put(r->env->writers, r->store);
    /* An account made without a code counts like a wrong try of its network: nothing else would bound them. */
    gate_tell(r->env->gate, &r->attempt, rc == RC_OK && !r->has_code ? RC_BAD_CODE : rc, r->now_s);
    return rc;
}

static void tell(const struct registration *r, const struct http_request *http, enum rc rc)
{
    const struct as_event event = {
        .kind = "register",
        .what = r->has_code ? as_code_kind_name(r->code.kind) : "open",
        .address = http->address,
        .op_id = http->op_id,
        .profile = ETYPE_AES128_CBC_HS256,
        .client = name_slice(&r->name),
        .rc = rc,
        .started_us = r->started_us,
    };
    r->env->audit(r->env->audit_ctx, &event);
}

static const struct {
    enum rc rc;
    const char *code;
} codes[] = {
    {RC_NAME_TAKEN,          "exists"},
    {RC_REGISTRATION_CLOSED, "closed"},
    {RC_WEAK_KEYS,           "policy"},
};

static void write_answer(const struct registration *r, enum rc rc, const char *op_id, struct http_reply *reply)
{
    if (rc == RC_OK) {
        reply->content_type = "application/json";
        struct jw w = jw_start(&reply->body);
        jw_open(&w, NULL, '{');
        jw_bool(&w, "ok", true);
        jw_text(&w, "name", name_slice(&r->name));
        jw_text(&w, "kind", slice_text(r->has_code ? as_code_kind_name(r->code.kind) : "open"));
        jw_close(&w, '}');
        if (jw_end(&w) == RC_OK)
            return;
        rc = RC_NO_MEMORY;
    }
    struct jw w = http_reply_error_open(reply, rc, op_id);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].rc == rc)
            jw_text(&w, "code", slice_text(codes[i].code));
    http_reply_error_close(reply, &w);
}

void as_register_post(void *ctx, const struct http_request *http, struct http_reply *reply)
{
    const struct as_env *env = ctx;
    AUTO(registration_done)
    struct registration r = {
        .env = env, .now_s = env->clock(), .started_us = clock_monotonic_us(), .address = http->address};

    enum rc rc = serve(&r, http->body);
    tell(&r, http, rc);
    write_answer(&r, rc, http->op_id, reply);
}
