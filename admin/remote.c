/*
 * kerbadm --remote: the same words, done by the admin service of the realm (docs/PROTOCOL.md 4.3), from anywhere.
 *
 * The administrator is who is logged in with kerb, or who --login names: then the password is asked for and the tickets
 * stay in memory. What the service refuses it says itself; its answers come sealed from the realm.
 */
#include "admin/remote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/kerb.h"
#include "shared/base/base64.h"
#include "shared/service/terminal.h"

#define PATH       "/as/admin"
#define SERVICE    "kerb/admin"
#define PART_USERS 200 /* the most that one answer holds */
#define LOGIN_S    300 /* of --login: for the one command */

static void kerb_done(struct kerb **k)
{
    kerb_close(*k);
}

static void text_done(char **text)
{
    kerb_free(*text);
}

/* --- being the administrator --- */

static enum rc told(struct admin *a, const struct kerb *k, enum kerb_status status)
{
    return status == KERB_OK ? RC_OK : admin_fail(a, RC_IO, "%s", kerb_error(k));
}

static enum rc ask_password(struct admin *a, const char *user, struct buf *ret)
{
    AUTO(buf_done) struct buf prompt = {0};

    TRY(buf_printf(&prompt, "Password of %s: ", user));
    const char *text = buf_cstr(&prompt);
    if (!text)
        return RC_NO_MEMORY;
    enum rc rc =
        isatty(STDIN_FILENO) ? terminal_ask(text, PASSWORD_MAX, ret) : terminal_line(STDIN_FILENO, PASSWORD_MAX, ret);
    if (rc == RC_NOT_FOUND || rc == RC_IO)
        return admin_fail(a, RC_IO, "cannot read the password: %s", rc == RC_IO ? strerror(errno) : "no terminal");
    return rc;
}

static enum rc login(struct admin *a, struct kerb *k, const char *user)
{
    const struct kerb_login_options options = {.lifetime_s = LOGIN_S, .forget_vault = true};
    AUTO(buf_done) struct buf password = {0};

    TRY(ask_password(a, user, &password));
    const char *text = buf_cstr(&password);
    return text ? told(a, k, kerb_login(k, user, text, password.n, &options)) : RC_NO_MEMORY;
}

static enum rc open_realm(struct admin *a, struct kerb **ret)
{
    bool has_config = a->opt[OPT_CONFIG] || a->opt[OPT_STATE];
    const struct kerb_options options = {
        .url = a->opt[OPT_URL],
        .config = has_config ? admin_config_path(a) : NULL,
        .no_cache = a->opt[OPT_LOGIN] != NULL,
    };

    enum kerb_status status = kerb_open(&options, ret);
    if (!*ret)
        return RC_NO_MEMORY;
    TRY(told(a, *ret, status));
    return a->opt[OPT_LOGIN] ? login(a, *ret, a->opt[OPT_LOGIN]) : told(a, *ret, kerb_load(*ret));
}

/* --- one call --- */

static enum rc refusal(struct admin *a, const json_t *reply)
{
    struct slice code, message;

    if (json_get_text(reply, "code", &code) != RC_OK || json_get_text(reply, "message", &message) != RC_OK)
        return admin_fail(a, RC_MALFORMED, "the realm gives an answer that cannot be read");
    return admin_fail(a, RC_MALFORMED, "%.*s (%.*s)", SLICE_FMT(message), SLICE_FMT(code));
}

/* Out: ret - the object, where it says "ok". */
static enum rc call(struct admin *a, struct kerb *k, struct buf *request, json_t **ret)
{
    AUTO(json_done) json_t *reply = NULL;
    AUTO(text_done) char *text = NULL;
    const char *body = buf_cstr(request);

    if (!body)
        return RC_NO_MEMORY;
    TRY(told(a, k, kerb_call(k, PATH, SERVICE, body, &text)));
    if (json_parse_object(slice_text(text), JSON_DEPTH_HTTP, &reply) != RC_OK)
        return admin_fail(a, RC_MALFORMED, "the realm gives an answer that cannot be read");
    if (!json_is_true(json_object_get(reply, "ok")))
        return refusal(a, reply);
    *ret = reply;
    reply = NULL;
    return RC_OK;
}

/* --- what is shown --- */

static enum rc malformed(struct admin *a)
{
    return admin_fail(a, RC_MALFORMED, "the realm gives an answer that cannot be read");
}

static enum rc take_profiles(const json_t *list, unsigned *ret)
{
    *ret = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        unsigned bit;
        if (!word)
            return RC_MALFORMED;
        TRY(conf_profiles_parse(word, &bit));
        *ret |= bit;
    }
    return RC_OK;
}

static enum rc take_user(const json_t *json, struct as_principal *ret)
{
    AUTO(buf_done) struct buf id_bytes = {0};
    struct slice name, id;
    int64_t kvno, epoch;

    TRY(json_get_text(json, "name", &name));
    TRY(name_parse(name, &ret->name));
    TRY(json_get_text(json, "client_id", &id));
    TRY(base64url_decode(id, &id_bytes));
    if (id_bytes.n != ID_LEN)
        return RC_MALFORMED;
    memcpy(ret->client_id, id_bytes.p, ID_LEN);
    TRY(json_get_int(json, "kvno", &kvno));
    TRY(json_get_int(json, "epoch", &epoch));
    TRY(json_get_int(json, "created", &ret->created_s));
    TRY(json_get_int(json, "changed", &ret->changed_s));
    ret->kvno = (uint32_t)kvno;
    ret->epoch = (uint32_t)epoch;
    ret->disabled = json_is_true(json_object_get(json, "disabled"));
    ret->is_admin = json_is_true(json_object_get(json, "admin"));
    return take_profiles(json_object_get(json, "profiles"), &ret->profiles);
}

static enum rc show_user(struct admin *a, const json_t *reply)
{
    struct as_principal p = {0};

    if (take_user(json_object_get(reply, "user"), &p) != RC_OK)
        return malformed(a);
    return admin_show_user(a, &p);
}

/* The code alone on a line, for a script; with --json also when it ends. */
static enum rc show_code(struct admin *a, const json_t *reply)
{
    AUTO(buf_done) struct buf out = {0};
    struct slice code;
    int64_t expires;

    if (json_get_text(reply, "onecode", &code) != RC_OK || json_get_int(reply, "expires", &expires) != RC_OK)
        return malformed(a);
    if (!a->opt[OPT_JSON]) {
        TRY(buf_printf(&out, "%.*s\n", SLICE_FMT(code)));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "code", code);
    if (a->arg)
        jw_text(&w, "name", slice_text(a->arg));
    jw_int(&w, "expires", expires);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

/* The TGS's next key is told; of a service's, that it was ordered. */
static enum rc show_rotation(struct admin *a, const json_t *reply)
{
    AUTO(buf_done) struct buf out = {0};
    char from[CLASSIC_TIME_LEN + 1];
    int64_t kvno, key_from;

    bool is_known = json_get_int(reply, "kvno", &kvno) == RC_OK && json_get_int(reply, "key_from", &key_from) == RC_OK;
    if (a->opt[OPT_JSON]) {
        struct jw w = jw_start(&out);
        jw_open(&w, NULL, '{');
        jw_text(&w, "name", slice_text(a->arg));
        if (is_known) {
            jw_int(&w, "kvno", kvno);
            jw_int(&w, "key_from", key_from);
        }
        jw_close(&w, '}');
        return admin_print_json(a, &w);
    }
    if (is_known) {
        time_format_classic(key_from, from);
        TRY(buf_printf(&out, "%s: version %lld, used from %s UTC\n", a->arg, (long long)kvno, from));
    } else {
        TRY(buf_printf(&out, "%s: the next key is ordered\n", a->arg));
    }
    return admin_print(a, &out);
}

static enum rc show_nothing(struct admin *a, const json_t *reply)
{
    (void)a;
    (void)reply;
    return RC_OK;
}

/* --- the table --- */

static const struct operation {
    const char *words, *op;
    const char *fields[2]; /* what the arguments are called; NULL: none */
    enum rc (*show)(struct admin *a, const json_t *reply);
} operations[] = {
    {"user add",       "user_add",       {"name"},             show_code    },
    {"user code",      "user_reset",     {"name"},             show_code    },
    {"user reset",     "user_reset",     {"name"},             show_code    },
    {"user disable",   "user_disable",   {"name"},             show_nothing },
    {"user enable",    "user_enable",    {"name"},             show_nothing },
    {"user del",       "user_del",       {"name"},             show_nothing },
    {"user unlock",    "user_unlock",    {"name"},             show_nothing },
    {"user cut-off",   "user_cut_off",   {"name"},             show_nothing },
    {"user profiles",  "user_profiles",  {"name", "profiles"}, show_nothing },
    {"user show",      "user_show",      {"name"},             show_user    },
    {"user grant",     "admin_grant",    {"name"},             show_nothing },
    {"user revoke",    "admin_revoke",   {"name"},             show_nothing },
    {"admin grant",    "admin_grant",    {"name"},             show_nothing },
    {"admin revoke",   "admin_revoke",   {"name"},             show_nothing },
    {"invite",         "invite",         {NULL},               show_code    },
    {"service list",   "service_list",   {NULL},               show_nothing },
    {"service rotate", "service_rotate", {"name"},             show_rotation},
    {"chat kick",      "chat_kick",      {"user"},             show_nothing },
    {"chat notice",    "chat_notice",    {"text"},             show_nothing },
    {"drain",          "drain",          {"daemon"},           show_nothing },
    {"shutdown",       "shutdown",       {"daemon"},           show_nothing },
};

static enum rc write_field(struct admin *a, struct jw *w, const char *field, const char *value)
{
    if (!field || !value)
        return RC_OK;
    if (!utf8_valid(slice_text(value)))
        return admin_fail(a, RC_MALFORMED, "this is not valid UTF-8");
    jw_text(w, field, slice_text(value));
    return RC_OK;
}

static enum rc run_operation(struct admin *a, struct kerb *k, const struct operation *o)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(json_done) json_t *reply = NULL;
    struct jw w = jw_start(&request);

    jw_open(&w, NULL, '{');
    jw_text(&w, "op", slice_text(o->op));
    TRY(write_field(a, &w, o->fields[0], a->arg));
    TRY(write_field(a, &w, o->fields[1], a->arg2));
    if (!o->fields[0])
        TRY(write_field(a, &w, "name", a->opt[OPT_NAME]));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(call(a, k, &request, &reply));
    return o->show(a, reply);
}

/* --- the list, which comes in parts --- */

struct listing {
    struct buf out;
    struct jw w;
    struct name after; /* the last one shown */
    bool more;
};

static void listing_done(struct listing *l)
{
    buf_done(&l->out);
}

static enum rc show_part(struct admin *a, const json_t *reply, struct listing *l)
{
    const json_t *users = json_object_get(reply, "users");

    for (size_t i = 0; i < json_array_size(users); i++) {
        struct as_principal p = {0};
        if (take_user(json_array_get(users, i), &p) != RC_OK)
            return malformed(a);
        if (slice_cmp(name_slice(&p.name), name_slice(&l->after)) <= 0)
            return malformed(a); /* or the list would never end */
        TRY(a->opt[OPT_JSON] ? admin_user_json(&l->w, &p) : admin_user_line(&l->out, &p));
        l->after = p.name;
    }
    l->more = json_is_true(json_object_get(reply, "more")) && json_array_size(users) > 0;
    return RC_OK;
}

static enum rc ask_part(struct admin *a, struct kerb *k, struct listing *l)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(json_done) json_t *reply = NULL;
    struct jw w = jw_start(&request);

    jw_open(&w, NULL, '{');
    jw_text(&w, "op", slice_text("user_list"));
    jw_int(&w, "limit", PART_USERS);
    if (l->after.n)
        jw_text(&w, "after", name_slice(&l->after));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(call(a, k, &request, &reply));
    return show_part(a, reply, l);
}

static enum rc list_users(struct admin *a, struct kerb *k)
{
    AUTO(listing_done) struct listing l = {.more = true};

    l.w = jw_start(&l.out);
    if (a->opt[OPT_JSON]) {
        jw_open(&l.w, NULL, '{');
        jw_open(&l.w, "users", '[');
    } else {
        TRY(buf_text(&l.out, ADMIN_USER_HEAD));
    }
    while (l.more)
        TRY(ask_part(a, k, &l));
    if (!a->opt[OPT_JSON])
        return admin_print(a, &l.out);
    jw_close(&l.w, ']');
    jw_close(&l.w, '}');
    return admin_print_json(a, &l.w);
}

/* --- the command --- */

static enum rc warn_of_reset(struct admin *a, const struct operation *o)
{
    struct name name;

    if (!o || strcmp(o->op, "user_reset") != 0)
        return RC_OK;
    TRY(admin_name(a, &name));
    return admin_warn_of_vault(a, &name);
}

enum rc admin_remote(struct admin *a, const char *words)
{
    AUTO(kerb_done) struct kerb *k = NULL;
    const struct operation *o = NULL;

    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (strcmp(operations[i].words, words) == 0)
            o = &operations[i];
    bool is_list = strcmp(words, "user list") == 0;
    if (!o && !is_list)
        return admin_fail(a, RC_MALFORMED, "'%s' is done on the machine of the realm, without --remote", words);
    if (a->opt[OPT_PASSWORD_FILE] || a->opt[OPT_RANDOM])
        return admin_fail(a, RC_MALFORMED,
                          "no password goes to the realm: the user sets it with the code that is printed");
    TRY(open_realm(a, &k));
    TRY(warn_of_reset(a, o));
    return is_list ? list_users(a, k) : run_operation(a, k, o);
}

enum rc cmd_remote_only(struct admin *a)
{
    return admin_fail(a, RC_MALFORMED, "this is done by the running realm: add --remote");
}
