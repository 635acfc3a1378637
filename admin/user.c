/* kerbadm user ...: principals of the AS. */
#include "admin/admin.h"
#include "admin/password.h"
#include "admin/user_list.h"

#include "shared/base/base64.h"

enum rc admin_tell_user(struct admin *a, enum rc rc, const struct as_store *s, const struct name *name)
{
    switch (rc) {
    case RC_OK:
        return RC_OK;
    case RC_NO_CLIENT:
        return admin_fail(a, rc, "there is no user '%s'", name->s);
    case RC_EXISTS:
        return admin_fail(a, rc, "there is a user '%s' already, perhaps spelled with other capitals", name->s);
    case RC_DB:
        return admin_fail(a, rc, "%s: %s", rc_text(rc), as_store_error(s));
    default:
        return admin_fail(a, rc, "user '%s': %s", name->s, rc_text(rc));
    }
}

/* After a change: nothing, the random password alone on a line, or with --json the user and that password. */
static enum rc show_change(struct admin *a, struct as_store *s, const struct name *name, struct slice password)
{
    AUTO(buf_done) struct buf out = {0};
    struct as_principal p;

    if (!a->opt[OPT_JSON]) {
        if (!a->opt[OPT_RANDOM])
            return RC_OK;
        TRY(buf_add(&out, password));
        TRY(buf_byte(&out, '\n'));
        return admin_print(a, &out);
    }
    TRY(admin_tell_user(a, as_store_find(s, name, &p), s, name));
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    as_principal_write(&w, &p);
    if (a->opt[OPT_RANDOM])
        jw_text(&w, "password", password);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

/* What every command on one user starts with. */
static enum rc begin(struct admin *a, enum db_mode mode, struct name *ret_name, struct as_store **ret)
{
    TRY(admin_name(a, ret_name));
    TRY(admin_load(a));
    return admin_open_as(a, mode, ret);
}

enum rc cmd_user_add(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(buf_done) struct buf password = {0};
    AUTO(as_keys_done) struct as_keys keys = {0};
    struct as_principal p;
    struct name name;

    TRY(begin(a, DB_WRITE, &name, &s));
    if (as_store_find(s, &name, &p) == RC_OK) /* before somebody types a password twice */
        return admin_tell_user(a, RC_EXISTS, s, &name);
    TRY(password_get(a, &name, &password));
    TRY(password_keys(a, &name, buf_slice(&password), &keys));
    TRY(admin_tell_user(a, as_store_add(s, &name, &keys, clock_s()), s, &name));
    return show_change(a, s, &name, buf_slice(&password));
}

/* A password makes all keys that the realm allows, also one that was dropped before. */
static void tell_classic_is_back(const struct as_principal *before, const struct as_keys *keys)
{
    if (before->profiles == PROFILE_SEALED && keys->classic.n)
        (void)fprintf(stderr,
                      "kerbadm: %s had no classic key before and has one now, because the realm allows it; 'kerbadm "
                      "user profiles' drops it\n",
                      before->name.s);
}

enum rc cmd_user_passwd(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(buf_done) struct buf password = {0};
    AUTO(as_keys_done) struct as_keys keys = {0};
    struct as_principal p;
    struct name name;

    TRY(begin(a, DB_WRITE, &name, &s));
    TRY(admin_tell_user(a, as_store_find(s, &name, &p), s, &name));
    TRY(admin_warn_of_vault(a, &p.name));
    TRY(password_get(a, &name, &password));
    TRY(password_keys(a, &name, buf_slice(&password), &keys));
    const struct as_rekey change = {.keys = &keys, .cut_off = a->opt[OPT_CUT_OFF] != NULL};
    TRY(admin_tell_user(a, as_store_rekey(s, &name, &change, clock_s()), s, &name));
    tell_classic_is_back(&p, &keys);
    return show_change(a, s, &name, buf_slice(&password));
}

static enum rc set_disabled(struct admin *a, bool disabled)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    struct name name;

    TRY(begin(a, DB_WRITE, &name, &s));
    return admin_tell_user(a, as_store_set_disabled(s, &name, disabled, clock_s()), s, &name);
}

enum rc cmd_user_disable(struct admin *a)
{
    return set_disabled(a, true);
}

enum rc cmd_user_enable(struct admin *a)
{
    return set_disabled(a, false);
}

enum rc cmd_user_del(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    struct name name;

    TRY(begin(a, DB_WRITE, &name, &s));
    return admin_tell_user(a, as_store_delete(s, &name, clock_s()), s, &name);
}

/* The gate is in the daemon's memory: it looks for such orders every second. */
enum rc cmd_user_unlock(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    struct name name;

    TRY(begin(a, DB_WRITE, &name, &s));
    return admin_tell_user(a, as_store_unlock(s, &name, clock_s()), s, &name);
}

/* Only fewer: what a missing key would be made from is the password. */
enum rc cmd_user_profiles(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    struct name name;
    unsigned profiles;

    TRY(admin_profiles(a, a->arg2, &profiles));
    TRY(begin(a, DB_WRITE, &name, &s));
    enum rc rc = as_store_keep_profiles(s, &name, profiles, clock_s());
    if (rc == RC_NO_CLIENT_KEY)
        return admin_fail(a, rc, "user '%s' has no key of that profile: a new password makes it ('user passwd')",
                          name.s);
    TRY(admin_tell_user(a, rc, s, &name));
    return show_change(a, s, &name, slice_text(""));
}

static enum rc show_text(struct buf *out, const struct as_principal *p)
{
    char created[CLASSIC_TIME_LEN + 1], changed[CLASSIC_TIME_LEN + 1];

    time_format_classic(p->created_s, created);
    time_format_classic(p->changed_s, changed);
    TRY(buf_printf(out, "name       %s\nclient_id  ", p->name.s));
    TRY(base64url_encode(SLICE(p->client_id), out));
    TRY(buf_printf(out, "\nstate      %s\nrole       %s\nprofiles   %s\n", p->disabled ? "disabled" : "enabled",
                   p->is_admin ? "administrator" : "user", user_profiles_text(p)));
    return buf_printf(out, "kvno       %u\nepoch      %u\ncreated    %s UTC\nchanged    %s UTC\n", p->kvno, p->epoch,
                      created, changed);
}

enum rc admin_show_user(struct admin *a, const struct as_principal *p)
{
    AUTO(buf_done) struct buf out = {0};

    if (!a->opt[OPT_JSON]) {
        TRY(show_text(&out, p));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    as_principal_write(&w, p);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

enum rc cmd_user_show(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    struct as_principal p;
    struct name name;

    TRY(begin(a, DB_READ, &name, &s));
    TRY(admin_tell_user(a, as_store_find(s, &name, &p), s, &name));
    return admin_show_user(a, &p);
}
