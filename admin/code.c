/* kerbadm invite, user code, admin ...: one-time codes, and who is an administrator. */
#include "admin/admin.h"

#include <string.h>

static enum rc show_code(struct admin *a, enum as_code_kind kind, const struct name *name, const struct onecode *code,
                         int64_t expires_s)
{
    AUTO(buf_done) struct buf out = {0}, text = {0};

    TRY(onecode_write(code, &text));
    if (!a->opt[OPT_JSON]) {
        TRY(buf_add(&out, buf_slice(&text)));
        TRY(buf_byte(&out, '\n'));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "code", buf_slice(&text));
    jw_text(&w, "kind", slice_text(as_code_kind_name(kind)));
    if (name)
        jw_text(&w, "name", name_slice(name));
    jw_int(&w, "expires", expires_s);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

static enum rc tell(struct admin *a, enum rc rc, const struct as_store *s, const struct name *name)
{
    if (rc == RC_LIMIT)
        return admin_fail(a, rc, "%d codes are alive already: wait until some have ended (an hour)", AS_CODES_MAX);
    if (name)
        return admin_tell_user(a, rc, s, name);
    return rc == RC_OK ? rc : admin_fail(a, rc, "%s: %s", rc_text(rc), as_store_error(s));
}

/* Such a code would be refused; those for a reset and for the first administrator are good in every realm. */
static enum rc before_invitation(struct admin *a)
{
    if (strcmp(a->conf.realm_registration, "closed") != 0)
        return RC_OK;
    return admin_fail(
        a, RC_REGISTRATION_CLOSED,
        "nobody could use it, the realm takes no registrations: write 'registration = invite' into [realm] "
        "of %s and restart kerb-as",
        admin_config_path(a));
}

static enum rc before_reset(struct admin *a, struct as_store *s, const struct name *name)
{
    struct as_principal p;

    TRY(admin_tell_user(a, as_store_find(s, name, &p), s, name));
    return admin_warn_of_vault(a, &p.name);
}

static enum rc make_code(struct admin *a, enum as_code_kind kind, const char *for_name)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(onecode_done) struct onecode code = {0};
    struct name name;
    int64_t now_s = clock_s();

    if (for_name)
        TRY(admin_name_of(a, for_name, &name));
    TRY(admin_load(a));
    if (kind == AS_CODE_REGISTER)
        TRY(before_invitation(a));
    TRY(admin_open_as(a, DB_WRITE, &s));
    const struct name *whom = for_name ? &name : NULL;
    if (kind == AS_CODE_RESET)
        TRY(before_reset(a, s, whom));
    TRY(tell(a, as_store_code_make(s, kind, whom, now_s, &code), s, whom));
    return show_code(a, kind, whom, &code, now_s + AS_CODE_LIFETIME_S);
}

enum rc cmd_user_code(struct admin *a)
{
    return make_code(a, AS_CODE_RESET, a->arg);
}

enum rc cmd_invite(struct admin *a)
{
    return make_code(a, AS_CODE_REGISTER, a->opt[OPT_NAME]);
}

enum rc cmd_admin_code(struct admin *a)
{
    return make_code(a, AS_CODE_ADMIN, a->opt[OPT_NAME]);
}

static enum rc set_admin(struct admin *a, bool is_admin)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    struct name name;

    TRY(admin_name(a, &name));
    TRY(admin_load(a));
    TRY(admin_open_as(a, DB_WRITE, &s));
    return admin_tell_user(a, as_store_set_admin(s, &name, is_admin), s, &name);
}

enum rc cmd_admin_grant(struct admin *a)
{
    return set_admin(a, true);
}

enum rc cmd_admin_revoke(struct admin *a)
{
    return set_admin(a, false);
}
