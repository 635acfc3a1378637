/*
 * kerbadm --remote: the same words, done by the admin service of the realm (docs/PROTOCOL.md 4.3), from anywhere.
 *
 * The administrator is who is logged in with kerb, or who --login names: then the password is asked for and the tickets
 * stay in memory. What the service refuses it says itself; its answers come sealed from the realm.
 */
#include "admin/remote.h"
#include "admin/remote_reply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/kerb.h"
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
        return remote_malformed(a);
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
        return remote_malformed(a);
    if (!json_is_true(json_object_get(reply, "ok")))
        return refusal(a, reply);
    *ret = reply;
    reply = NULL;
    return RC_OK;
}

/* --- the table --- */

static const struct operation {
    const char *words, *op;
    const char *fields[2]; /* what the arguments are called; NULL: none */
    enum rc (*show)(struct admin *a, const json_t *reply);
} operations[] = {
    {"user add",       "user_add",       {"name"},             remote_show_code    },
    {"user code",      "user_reset",     {"name"},             remote_show_code    },
    {"user reset",     "user_reset",     {"name"},             remote_show_code    },
    {"user disable",   "user_disable",   {"name"},             remote_show_nothing },
    {"user enable",    "user_enable",    {"name"},             remote_show_nothing },
    {"user del",       "user_del",       {"name"},             remote_show_nothing },
    {"user unlock",    "user_unlock",    {"name"},             remote_show_nothing },
    {"user cut-off",   "user_cut_off",   {"name"},             remote_show_nothing },
    {"user profiles",  "user_profiles",  {"name", "profiles"}, remote_show_nothing },
    {"user show",      "user_show",      {"name"},             remote_show_user    },
    {"user grant",     "admin_grant",    {"name"},             remote_show_nothing },
    {"user revoke",    "admin_revoke",   {"name"},             remote_show_nothing },
    {"admin grant",    "admin_grant",    {"name"},             remote_show_nothing },
    {"admin revoke",   "admin_revoke",   {"name"},             remote_show_nothing },
    {"invite",         "invite",         {NULL},               remote_show_code    },
    {"service list",   "service_list",   {NULL},               remote_show_nothing },
    {"service rotate", "service_rotate", {"name"},             remote_show_rotation},
    {"chat kick",      "chat_kick",      {"user"},             remote_show_nothing },
    {"chat notice",    "chat_notice",    {"text"},             remote_show_nothing },
    {"drain",          "drain",          {"daemon"},           remote_show_nothing },
    {"shutdown",       "shutdown",       {"daemon"},           remote_show_nothing },
};

/* --- what is asked --- */

static enum rc check_name(struct admin *a, const char *text)
{
    struct name name;
    return admin_name_of(a, text, &name);
}

static enum rc check_profiles(struct admin *a, const char *text)
{
    unsigned profiles;
    return admin_profiles(a, text, &profiles);
}

static enum rc check_text(struct admin *a, const char *text)
{
    if (text[0] && strlen(text) <= FEED_TEXT_MAX && utf8_valid(slice_text(text)))
        return RC_OK;
    return admin_fail(a, RC_MALFORMED, "a text has 1 to %d bytes and is valid UTF-8", FEED_TEXT_MAX);
}

/* The service would only say that it does not understand: what is wrong with a word is said here. */
static const struct {
    const char *field;
    enum rc (*check)(struct admin *a, const char *text);
} checks[] = {
    {"name",     check_name    },
    {"user",     check_name    },
    {"profiles", check_profiles},
    {"daemon",   admin_daemon  },
    {"text",     check_text    },
};

static enum rc write_field(struct admin *a, struct jw *w, const char *field, const char *value)
{
    if (!field || !value)
        return RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (strcmp(checks[i].field, field) == 0)
            TRY(checks[i].check(a, value));
    jw_text(w, field, slice_text(value));
    return RC_OK;
}

static enum rc write_request(struct admin *a, const struct operation *o, struct buf *ret)
{
    struct jw w = jw_start(ret);

    jw_open(&w, NULL, '{');
    jw_text(&w, "op", slice_text(o->op));
    TRY(write_field(a, &w, o->fields[0], a->arg));
    TRY(write_field(a, &w, o->fields[1], a->arg2));
    if (!o->fields[0])
        TRY(write_field(a, &w, "name", a->opt[OPT_NAME]));
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc warn_of_reset(struct admin *a, const struct operation *o)
{
    struct name name;

    if (strcmp(o->op, "user_reset") != 0)
        return RC_OK;
    TRY(admin_name(a, &name));
    return admin_warn_of_vault(a, &name);
}

static enum rc run_operation(struct admin *a, const struct operation *o)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(kerb_done) struct kerb *k = NULL;
    AUTO(json_done) json_t *reply = NULL;

    TRY(write_request(a, o, &request));
    TRY(open_realm(a, &k));
    TRY(warn_of_reset(a, o));
    TRY(call(a, k, &request, &reply));
    return o->show(a, reply);
}

/* --- the list, which comes in parts --- */

static enum rc ask_part(struct admin *a, struct kerb *k, struct remote_list *l)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(json_done) json_t *reply = NULL;
    struct jw w = jw_start(&request);

    jw_open(&w, NULL, '{');
    jw_text(&w, "op", slice_text("user_list"));
    jw_int(&w, "limit", PART_USERS);
    if (a->arg)
        jw_text(&w, "prefix", slice_text(a->arg));
    if (l->after.n)
        jw_text(&w, "after", name_slice(&l->after));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(call(a, k, &request, &reply));
    return remote_take_part(a, reply, l);
}

static enum rc fetch_list(struct admin *a, struct kerb *k, enum user_list_kind kind, struct remote_list *l)
{
    TRY(user_list_begin(a, kind, &l->list));
    for (l->more = true; l->more;)
        TRY(ask_part(a, k, l));
    return user_list_print(a, &l->list);
}

static enum rc list_users(struct admin *a, enum user_list_kind kind)
{
    AUTO(kerb_done) struct kerb *k = NULL;
    struct remote_list l = {0};

    if (a->arg)
        TRY(user_list_prefix(a, a->arg));
    TRY(open_realm(a, &k));
    enum rc rc = fetch_list(a, k, kind, &l);
    user_list_done(&l.list);
    return rc;
}

/* --- the command --- */

static const struct operation *find_operation(const char *words)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (strcmp(operations[i].words, words) == 0)
            return &operations[i];
    return NULL;
}

enum rc admin_remote(struct admin *a, const char *words)
{
    const struct operation *o = find_operation(words);
    bool is_list = strcmp(words, "user list") == 0, is_report = strcmp(words, "report classic") == 0;

    if (!o && !is_list && !is_report)
        return admin_fail(a, RC_MALFORMED, "'%s' is done on the machine of the realm, without --remote", words);
    if (a->opt[OPT_PASSWORD_FILE] || a->opt[OPT_RANDOM])
        return admin_fail(a, RC_MALFORMED,
                          "no password goes to the realm: the user sets it with the code that is printed");
    return o ? run_operation(a, o) : list_users(a, is_list ? USER_LIST_ALL : USER_LIST_CLASSIC);
}

enum rc cmd_remote_only(struct admin *a)
{
    return admin_fail(a, RC_MALFORMED, "this is done by the running realm: add --remote");
}
