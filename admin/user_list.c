/* kerbadm user list and report classic, and how both are printed. */
#include "admin/user_list.h"

#include <limits.h>
#include <string.h>

#define HEAD " kvno epoch  state     profiles        changed (UTC)        name\n"

const char *user_profiles_text(const struct as_principal *p)
{
    static const char *const texts[] = {"no key", "sealed", "classic", "sealed,classic"};
    return texts[(p->profiles & PROFILE_SEALED ? 1 : 0) | (p->profiles & PROFILE_CLASSIC ? 2 : 0)];
}

void user_list_done(struct user_list *l)
{
    buf_done(&l->out);
}

enum rc user_list_begin(const struct admin *a, enum user_list_kind kind, struct user_list *ret)
{
    *ret = (struct user_list){.kind = kind, .is_json = a->opt[OPT_JSON] != NULL};
    ret->w = jw_start(&ret->out);
    if (!ret->is_json)
        return kind == USER_LIST_ALL ? buf_text(&ret->out, HEAD) : RC_OK;
    jw_open(&ret->w, NULL, '{');
    jw_open(&ret->w, "users", '[');
    return RC_OK;
}

static enum rc put_line(struct user_list *l, const struct as_principal *p)
{
    char changed[CLASSIC_TIME_LEN + 1];

    if (l->kind == USER_LIST_CLASSIC)
        return buf_printf(&l->out, "%-14s  %s\n", user_profiles_text(p), p->name.s);
    time_format_classic(p->changed_s, changed);
    return buf_printf(&l->out, "%5u %5u  %-8s  %-14s  %s  %s%s\n", p->kvno, p->epoch,
                      p->disabled ? "disabled" : "enabled", user_profiles_text(p), changed, p->name.s,
                      p->is_admin ? " (administrator)" : "");
}

enum rc user_list_add(void *ctx, const struct as_principal *p)
{
    struct user_list *l = ctx;
    bool has_classic = p->profiles & PROFILE_CLASSIC;

    l->users++;
    l->classic += has_classic;
    l->classic_only += p->profiles == PROFILE_CLASSIC;
    if (l->kind == USER_LIST_CLASSIC && !has_classic)
        return RC_OK;
    if (!l->is_json)
        return put_line(l, p);
    jw_open(&l->w, NULL, '{');
    as_principal_write(&l->w, p);
    jw_close(&l->w, '}');
    return jw_end(&l->w);
}

enum rc user_list_print(struct admin *a, struct user_list *l)
{
    bool is_report = l->kind == USER_LIST_CLASSIC;

    if (!l->is_json) {
        if (is_report)
            TRY(buf_printf(&l->out, "%zu of %zu users have an unsalted classic key, %zu of them have no other\n",
                           l->classic, l->users, l->classic_only));
        return admin_print(a, &l->out);
    }
    jw_close(&l->w, ']');
    if (is_report) {
        jw_int(&l->w, "of", (int64_t)l->users);
        jw_int(&l->w, "classic_only", (int64_t)l->classic_only);
    }
    jw_close(&l->w, '}');
    return admin_print_json(a, &l->w);
}

/* --- from the store --- */

enum rc user_list_prefix(struct admin *a, const char *text)
{
    if (strlen(text) <= NAME_MAX_BYTES && utf8_valid(slice_text(text)))
        return RC_OK;
    return admin_fail(a, RC_MALFORMED, "no name begins so: it is longer than a name, or not valid UTF-8");
}

static enum rc list(struct admin *a, enum user_list_kind kind)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(user_list_done) struct user_list l = {0};
    const struct as_part part = {.prefix = slice_text(a->arg ? a->arg : ""), .limit = UINT_MAX};

    if (a->arg)
        TRY(user_list_prefix(a, a->arg));
    TRY(admin_load(a));
    TRY(admin_open_as(a, DB_READ, &s));
    TRY(user_list_begin(a, kind, &l));
    TRY(as_store_list(s, &part, user_list_add, &l));
    return user_list_print(a, &l);
}

enum rc cmd_user_list(struct admin *a)
{
    return list(a, USER_LIST_ALL);
}

enum rc cmd_report_classic(struct admin *a)
{
    return list(a, USER_LIST_CLASSIC);
}
