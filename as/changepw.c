/*
 * kerb/changepw: the new keys are sealed under the user's current one, so a ticket (a laptop left open) is not enough.
 *
 *   {"op":"passwd", "keys", "cut_off"?}   {"op":"strengthen", "keys"}
 *   keys = E(user key, `new-keys`), bound to the challenge
 */
#include "as/changepw.h"

#include <string.h>

#include "as/newkeys.h"
#include "as/unlock.h"

/* Whoever has the ticket only could guess the password here. */
static enum rc open_under(const struct as_call *call, const struct key *current, const struct envelope_aad *aad,
                          struct slice text, json_t **ret)
{
    AUTO(buf_done) struct buf folded = {0};
    struct gate *gate = call->env->gate;
    struct gate_try attempt;

    TRY(as_gate_name(&call->client.name, &folded));
    TRY(gate_ask(gate, buf_slice(&folded), call->address, call->now_s, &attempt));
    enum rc rc = sealed_open(current, LABEL_NEW_KEYS, aad, text, ret);
    if (rc == RC_MODIFIED)
        rc = RC_BAD_PREAUTH;
    gate_tell(gate, &attempt, rc, call->now_s);
    return rc;
}

static enum rc open_keys(const struct as_call *call, struct as_keys *ret)
{
    AUTO(key_done) struct key current = {0};
    AUTO(json_done) json_t *j = NULL;
    struct slice text;
    const struct envelope_aad aad = {.realm = name_slice(&call->env->conf->realm),
                                     .client = name_slice(&call->client.name),
                                     .server = slice_text(AS_CHANGEPW_NAME),
                                     .context = SLICE(call->ap.challenge)};

    TRY(sealed_text(call->ap.body, "keys", SEALED_TEXT_MAX, &text));
    enum rc rc = as_store_key(call->store, &call->client, ETYPE_AES128_CBC_HS256, &current, NULL);
    if (rc == RC_NO_CLIENT_KEY)
        return RC_CUT_OFF; /* the key that the ticket came from is gone */
    TRY(rc);
    TRY(open_under(call, &current, &aad, text, &j));
    return as_newkeys_read(j, ret);
}

static void write_profiles(struct jw *w, const struct as_keys *keys)
{
    jw_open(w, "profiles", '[');
    jw_text(w, NULL, slice_text(profile_name(ETYPE_AES128_CBC_HS256)));
    if (keys->classic.n)
        jw_text(w, NULL, slice_text(profile_name(ETYPE_AES128_CBC)));
    jw_close(w, ']');
}

static enum rc passwd(struct as_call *call, struct as_keys *keys)
{
    const json_t *cut_off = json_object_get(call->ap.body, "cut_off");
    const struct as_rekey change = {.keys = keys, .cut_off = json_is_true(cut_off), .expect_kvno = call->client.kvno};

    if (cut_off && !json_is_boolean(cut_off))
        return RC_MALFORMED;
    as_newkeys_trim(call->env->conf, &call->client, keys);
    TRY(as_store_rekey(call->store, &call->client.name, &change, call->now_s));
    write_profiles(&call->reply, keys);
    return RC_OK;
}

static enum rc strengthen(struct as_call *call, struct as_keys *keys)
{
    const struct as_rekey change = {.keys = keys, .expect_kvno = call->client.kvno};

    enum rc rc = as_store_strengthen(call->store, &call->client.name, &change, call->now_s);
    return rc == RC_LIMIT ? as_call_refuse(call, "not_stronger") : rc;
}

static const struct {
    const char *name;
    enum rc (*run)(struct as_call *call, struct as_keys *keys);
} operations[] = {
    {"passwd",     passwd    },
    {"strengthen", strengthen},
};

static enum rc run(struct as_call *call)
{
    AUTO(as_keys_done) struct as_keys keys = {0};
    struct slice op;

    TRY(sealed_text(call->ap.body, "op", SEALED_TEXT_MAX, &op));
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        if (!slice_eq(op, slice_text(operations[i].name)))
            continue;
        call->op = operations[i].name;
        enum rc rc = open_keys(call, &keys);
        return as_call_tell(call, rc == RC_OK ? operations[i].run(call, &keys) : rc);
    }
    return as_call_refuse(call, "unknown_op");
}

void as_changepw_post(void *ctx, const struct http_request *http, struct http_reply *reply)
{
    const struct as_env *env = ctx;
    const struct as_service service = {"changepw", env->changepw, run};

    as_service_post(env, &service, http, reply);
}
