/* kerbadm service add and list; what they share with rotate and purge. */
#include "admin/service.h"

#include <string.h>
#include <unistd.h>

enum rc service_tell(struct admin *a, enum rc rc, const struct tgs_store *s, const struct name *name)
{
    switch (rc) {
    case RC_OK:
        return RC_OK;
    case RC_NO_SERVICE:
        return admin_fail(a, rc, "there is no service '%s'", name->s);
    case RC_EXISTS:
        return admin_fail(a, rc, "there is a service '%s' already, perhaps spelled with other capitals", name->s);
    case RC_DB:
        return admin_fail(a, rc, "%s: %s", rc_text(rc), tgs_store_error(s));
    default:
        return admin_fail(a, rc, "service '%s': %s", name->s, rc_text(rc));
    }
}

static void service_json(struct jw *w, const struct tgs_service *svc)
{
    jw_text(w, "name", name_slice(&svc->name));
    jw_bool(w, "disabled", svc->disabled);
    jw_int(w, "kvno", svc->kvno);
    jw_int(w, "key_from", svc->key_from_s);
    jw_int(w, "created", svc->created_s);
}

const char *service_keytab(const struct admin *a, const struct name *name)
{
    if (strcmp(name->s, a->conf.chat_service) == 0)
        return ADMIN_CHAT_KEYTAB;
    for (size_t i = 0; i < ADMIN_OWN_N; i++)
        if (strcmp(name->s, admin_own_services[i]) == 0)
            return ADMIN_AS_KEYTAB;
    return NULL;
}

bool service_is_tgs(const struct name *name)
{
    return slice_eq(name_slice(name), slice_text(AS_TGS_NAME));
}

enum rc service_load_keytab(struct admin *a, const char *path, struct keytab **ret)
{
    enum rc rc = keytab_load(path, ret);

    return rc == RC_OK ? RC_OK : admin_fail(a, rc, "%s: %s; nothing was changed", path, rc_text(rc));
}

enum rc service_append(struct admin *a, const struct name *name, const struct key *key, struct keytab *kt,
                       const char *path)
{
    enum rc rc = keytab_add(kt, name, key);

    if (rc == RC_OK)
        rc = keytab_save(kt, path);
    if (rc == RC_OK)
        return RC_OK;
    return admin_fail(a, rc,
                      "the key has a new version, but %s could not be written (%s): within %lld s, run 'kerbadm keytab "
                      "export %s --out %s --force'",
                      path, rc_text(rc), (long long)a->conf.policy_keytab_delay, name->s, path);
}

/* The keytab of a service of the AS itself, a fresh one where there is none yet; *ret stays NULL for all others. */
static enum rc load_own_keytab(struct admin *a, const struct name *name, char **ret_path, struct keytab **ret)
{
    const char *keytab = service_keytab(a, name);

    if (!keytab || strcmp(keytab, ADMIN_AS_KEYTAB) != 0)
        return RC_OK;
    TRY(conf_path(&a->conf, keytab, ret_path));
    if (access(*ret_path, F_OK) != 0)
        return keytab_new(ret);
    return service_load_keytab(a, *ret_path, ret);
}

enum rc service_add(struct admin *a, struct tgs_store *s, const struct name *name)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(key_done) struct key key = {0};
    AUTO(str_done) char *path = NULL;

    TRY(load_own_keytab(a, name, &path, &kt));
    TRY(service_tell(a, tgs_store_add(s, name, clock_s(), &key), s, name));
    return kt ? service_append(a, name, &key, kt, path) : RC_OK;
}

enum rc cmd_service_add(struct admin *a)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(buf_done) struct buf out = {0};
    struct tgs_service svc;
    struct name name;

    TRY(admin_name(a, &name));
    if (service_is_tgs(&name))
        return admin_fail(a, RC_EXISTS, "'" AS_TGS_NAME "' is the TGS itself");
    TRY(admin_load(a));
    TRY(admin_lock(a));
    TRY(admin_open_tgs(a, DB_WRITE, &s));
    TRY(service_add(a, s, &name));
    if (!a->opt[OPT_JSON])
        return RC_OK;
    TRY(service_tell(a, tgs_store_find(s, &name, &svc), s, &name));
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    service_json(&w, &svc);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

static enum rc list_json(void *ctx, const struct tgs_service *svc)
{
    struct jw *w = ctx;

    jw_open(w, NULL, '{');
    service_json(w, svc);
    jw_close(w, '}');
    return jw_end(w);
}

static enum rc list_text(void *ctx, const struct tgs_service *svc)
{
    char from[CLASSIC_TIME_LEN + 1];

    time_format_classic(svc->key_from_s, from);
    return buf_printf(ctx, "%5u  %-8s  %s  %s\n", svc->kvno, svc->disabled ? "disabled" : "enabled", from, svc->name.s);
}

enum rc cmd_service_list(struct admin *a)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(buf_done) struct buf out = {0};

    TRY(admin_load(a));
    TRY(admin_open_tgs(a, DB_READ, &s));
    if (!a->opt[OPT_JSON]) {
        TRY(buf_text(&out, " kvno  state     key from (UTC)       name\n"));
        TRY(tgs_store_each(s, list_text, &out));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_open(&w, "services", '[');
    TRY(tgs_store_each(s, list_json, &w));
    jw_close(&w, ']');
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}
