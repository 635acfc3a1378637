/*
 * kerb/admin: one table of operations. What concerns the other daemons is appended to the feed and done by them; that
 * it was appended is what "ok" says then.
 */
#include "as/admin.h"

#include <string.h>

#include "as/changepw.h"

#define LIST_MAX     200 /* users in one answer: about 60 KB */
#define LIST_DEFAULT 100
#define FRESH_S      900 /* an administrator's login that may make administrators, or their passwords */

/* --- fields of the request -------------------------------------------------------------------------------------- */

/* A member that may be absent: then empty. */
static enum rc get_optional(const struct as_call *call, const char *field, size_t max, struct slice *ret)
{
    *ret = slice_of(NULL, 0);
    return json_object_get(call->ap.body, field) ? sealed_text(call->ap.body, field, max, ret) : RC_OK;
}

/* A name, which is also what the audit says that it was about. */
static enum rc get_name(struct as_call *call, const char *field, struct name *ret)
{
    struct slice text;

    TRY(sealed_text(call->ap.body, field, AS_LOGIN_MAX, &text));
    TRY(name_parse(text, ret));
    return buf_add(&call->target, name_slice(ret));
}

/* --- users ------------------------------------------------------------------------------------------------------- */

/* The code and its end go into the reply: told once. */
static enum rc make_code(struct as_call *call, enum as_code_kind kind, const struct name *name)
{
    AUTO(onecode_done) struct onecode code = {0};
    AUTO(buf_done) struct buf text = {0};

    TRY(as_store_code_make(call->store, kind, name, call->now_s, &code));
    TRY(onecode_write(&code, &text));
    jw_text(&call->reply, "onecode", buf_slice(&text));
    jw_int(&call->reply, "expires", call->now_s + AS_CODE_LIFETIME_S);
    return RC_OK;
}

/* Without a key, until the code has made one. */
static enum rc user_add(struct as_call *call)
{
    const struct as_keys none = {0};
    struct name name;

    TRY(get_name(call, "name", &name));
    TRY(as_store_add(call->store, &name, &none, call->now_s));
    return make_code(call, AS_CODE_RESET, &name);
}

/* Not for oneself: whoever has found a ticket would make it his password. */
static enum rc user_reset(struct as_call *call)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    if (slice_eq(name_slice(&name), name_slice(&call->client.name)))
        return as_call_refuse(call, "not_oneself");
    return make_code(call, AS_CODE_RESET, &name);
}

static enum rc invite(struct as_call *call)
{
    struct name name;

    if (!json_object_get(call->ap.body, "name"))
        return make_code(call, AS_CODE_REGISTER, NULL);
    TRY(get_name(call, "name", &name));
    return make_code(call, AS_CODE_REGISTER, &name);
}

static enum rc set_disabled(struct as_call *call, bool disabled)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    return as_store_set_disabled(call->store, &name, disabled, call->now_s);
}

static enum rc user_disable(struct as_call *call)
{
    return set_disabled(call, true);
}

static enum rc user_enable(struct as_call *call)
{
    return set_disabled(call, false);
}

static enum rc user_del(struct as_call *call)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    return as_store_delete(call->store, &name, call->now_s);
}

static enum rc user_cut_off(struct as_call *call)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    return as_store_cut_off(call->store, &name, call->now_s);
}

static enum rc user_profiles(struct as_call *call)
{
    AUTO(str_done) char *words = NULL;
    struct slice text;
    struct name name;
    unsigned profiles;

    TRY(get_name(call, "name", &name));
    TRY(sealed_text(call->ap.body, "profiles", CONF_TEXT_MAX, &text));
    words = slice_dup(text);
    if (!words)
        return RC_NO_MEMORY;
    if (conf_profiles_parse(words, &profiles) != RC_OK)
        return RC_MALFORMED;
    return as_store_keep_profiles(call->store, &name, profiles, call->now_s);
}

static enum rc user_unlock(struct as_call *call)
{
    struct as_principal p;
    struct name name;

    TRY(get_name(call, "name", &name));
    TRY(as_store_find(call->store, &name, &p));
    if (!call->env->unlock)
        return as_call_refuse(call, "unavailable");
    call->env->unlock(call->env->unlock_ctx, &p.name);
    return RC_OK;
}

static enum rc admin_grant(struct as_call *call)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    return as_store_set_admin(call->store, &name, true);
}

static enum rc admin_revoke(struct as_call *call)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    return as_store_set_admin(call->store, &name, false);
}

static enum rc user_show(struct as_call *call)
{
    struct as_principal p;
    struct name name;

    TRY(get_name(call, "name", &name));
    TRY(as_store_find(call->store, &name, &p));
    jw_open(&call->reply, "user", '{');
    as_principal_write(&call->reply, &p);
    jw_close(&call->reply, '}');
    return RC_OK;
}

struct listing {
    struct jw *w;
    unsigned left;
    bool more;
};

static enum rc list_one(void *ctx, const struct as_principal *p)
{
    struct listing *l = ctx;

    if (l->left == 0) {
        l->more = true;
        return RC_OK;
    }
    l->left--;
    jw_open(l->w, NULL, '{');
    as_principal_write(l->w, p);
    jw_close(l->w, '}');
    return jw_end(l->w);
}

/* One more than asked for is read: it shows that there are more. */
static enum rc user_list(struct as_call *call)
{
    int64_t limit = LIST_DEFAULT;
    struct as_part part = {0};

    TRY(get_optional(call, "prefix", AS_LOGIN_MAX, &part.prefix));
    TRY(get_optional(call, "after", AS_LOGIN_MAX, &part.after));
    if (json_object_get(call->ap.body, "limit"))
        TRY(json_get_int(call->ap.body, "limit", &limit));
    if (limit < 1 || limit > LIST_MAX)
        return RC_MALFORMED;
    struct listing listing = {.w = &call->reply, .left = (unsigned)limit};
    part.limit = (unsigned)limit + 1;
    jw_open(&call->reply, "users", '[');
    TRY(as_store_list(call->store, &part, list_one, &listing));
    jw_close(&call->reply, ']');
    jw_bool(&call->reply, "more", listing.more);
    return RC_OK;
}

/* --- keys and daemons -------------------------------------------------------------------------------------------- */

static enum rc tgs_rotate(struct as_call *call)
{
    AUTO(key_done) struct key key = {0};

    TRY(as_store_rotate_tgs_key(call->store, call->now_s + call->env->conf->policy_keytab_delay, call->now_s, &key));
    jw_int(&call->reply, "kvno", key.kvno);
    jw_int(&call->reply, "key_from", key.valid_from);
    return RC_OK;
}

/* Whose keytab is ours, and no feed brings us a new key: kerbadm on the machine writes both ends. */
static bool is_our_own(const struct name *service)
{
    return slice_eq(name_slice(service), slice_text(AS_ADMIN_NAME)) ||
           slice_eq(name_slice(service), slice_text(AS_CHANGEPW_NAME));
}

static enum rc service_rotate(struct as_call *call)
{
    struct name name;

    TRY(get_name(call, "name", &name));
    if (slice_eq(name_slice(&name), slice_text(AS_TGS_NAME)))
        return tgs_rotate(call);
    if (is_our_own(&name))
        return as_call_refuse(call, "unavailable");
    const struct as_feed_item order = {.kind = FEED_ROTATE, .text = name_slice(&name)};
    return as_store_order(call->store, &order, call->now_s);
}

/* Services are the TGS's, and its database is closed to us. */
static enum rc service_list(struct as_call *call)
{
    return as_call_refuse(call, "unavailable");
}

static enum rc chat_kick(struct as_call *call)
{
    struct as_feed_item order = {.kind = FEED_KICK};
    struct as_principal p;
    struct name name;

    TRY(get_name(call, "user", &name));
    TRY(as_store_find(call->store, &name, &p));
    memcpy(order.client_id, p.client_id, ID_LEN);
    return as_store_order(call->store, &order, call->now_s);
}

static enum rc chat_notice(struct as_call *call)
{
    struct as_feed_item order = {.kind = FEED_NOTICE};

    TRY(sealed_text(call->ap.body, "text", SEALED_TEXT_MAX, &order.text));
    if (order.text.n == 0)
        return RC_MALFORMED;
    return as_store_order(call->store, &order, call->now_s);
}

static enum rc order_daemon(struct as_call *call, enum feed_kind kind)
{
    static const char *const others[] = {"tgs", "chat"};
    struct as_feed_item order = {.kind = kind};

    TRY(sealed_text(call->ap.body, "daemon", AS_LOGIN_MAX, &order.text));
    TRY(buf_add(&call->target, order.text));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (slice_eq(order.text, slice_text(others[i])))
            return as_store_order(call->store, &order, call->now_s);
    if (!slice_eq(order.text, slice_text("as")))
        return RC_MALFORMED;
    if (!call->env->stop)
        return as_call_refuse(call, "unavailable");
    call->env->stop(kind == FEED_SHUTDOWN);
    return RC_OK;
}

static enum rc drain(struct as_call *call)
{
    return order_daemon(call, FEED_DRAIN);
}

static enum rc shut_down(struct as_call *call)
{
    return order_daemon(call, FEED_SHUTDOWN);
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum rc (*run)(struct as_call *call);
    bool needs_fresh; /* a ticket is not enough for it: a login of the last minutes is */
} operations[] = {
  /* name              fields beside `op`                        */
    {"user_add",       user_add,       false}, /* name                    */
    {"user_reset",     user_reset,     true }, /* name                    */
    {"user_disable",   user_disable,   false}, /* name                    */
    {"user_enable",    user_enable,    false}, /* name                    */
    {"user_del",       user_del,       true }, /* name                    */
    {"user_unlock",    user_unlock,    false}, /* name                    */
    {"user_cut_off",   user_cut_off,   false}, /* name                    */
    {"user_profiles",  user_profiles,  false}, /* name, profiles          */
    {"user_show",      user_show,      false}, /* name                    */
    {"user_list",      user_list,      false}, /* prefix?, after?, limit? */
    {"invite",         invite,         false}, /* name?                   */
    {"admin_grant",    admin_grant,    true }, /* name                    */
    {"admin_revoke",   admin_revoke,   false}, /* name                    */
    {"service_list",   service_list,   false},
    {"service_rotate", service_rotate, false}, /* name                    */
    {"tgs_rotate",     tgs_rotate,     false},
    {"chat_kick",      chat_kick,      false}, /* user                    */
    {"chat_notice",    chat_notice,    false}, /* text                    */
    {"drain",          drain,          false}, /* daemon                  */
    {"shutdown",       shut_down,      false}, /* daemon                  */
};

static enum rc run(struct as_call *call)
{
    struct slice op;

    TRY(sealed_text(call->ap.body, "op", SEALED_TEXT_MAX, &op));
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        if (!slice_eq(op, slice_text(operations[i].name)))
            continue;
        call->op = operations[i].name;
        if (!call->client.is_admin)
            return RC_NOT_ADMIN;
        if (operations[i].needs_fresh && call->now_s - call->ap.ticket.auth_time > FRESH_S)
            return as_call_refuse(call, "old_login");
        return as_call_tell(call, operations[i].run(call));
    }
    return call->client.is_admin ? as_call_refuse(call, "unknown_op") : RC_NOT_ADMIN;
}

void as_admin_post(void *ctx, const struct http_request *http, struct http_reply *reply)
{
    const struct as_env *env = ctx;
    const struct as_service service = {"admin", env->admin, run};

    as_service_post(env, &service, http, reply);
}
