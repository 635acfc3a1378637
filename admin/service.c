/* kerbadm service ...: services of the TGS and the TGS's own key. */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum rc tell(struct admin *a, enum rc rc, const struct tgs_store *s, const struct name *name)
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

/* The keytab that kerbadm keeps up to date for the service; NULL: its owner fetches it himself. */
static const char *keytab_of(const struct admin *a, const struct name *name)
{
    if (strcmp(name->s, a->conf.chat_service) == 0)
        return ADMIN_CHAT_KEYTAB;
    for (size_t i = 0; i < ADMIN_OWN_N; i++)
        if (strcmp(name->s, admin_own_services[i]) == 0)
            return ADMIN_AS_KEYTAB;
    return NULL;
}

static bool is_tgs(const struct name *name)
{
    return slice_eq(name_slice(name), slice_text(AS_TGS_NAME));
}

static enum rc load_keytab(struct admin *a, const char *path, struct keytab **ret)
{
    enum rc rc = keytab_load(path, ret);

    return rc == RC_OK ? RC_OK : admin_fail(a, rc, "%s: %s; nothing was changed", path, rc_text(rc));
}

/* The file is read before anything is changed, so what remains to go wrong is a full disk: then say what to do. */
static enum rc append(struct admin *a, const struct name *name, const struct key *key, struct keytab *kt,
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
    const char *keytab = keytab_of(a, name);

    if (!keytab || strcmp(keytab, ADMIN_AS_KEYTAB) != 0)
        return RC_OK;
    TRY(conf_path(&a->conf, keytab, ret_path));
    if (access(*ret_path, F_OK) != 0)
        return keytab_new(ret);
    return load_keytab(a, *ret_path, ret);
}

enum rc cmd_service_add(struct admin *a)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(buf_done) struct buf out = {0};
    AUTO(key_done) struct key key = {0};
    AUTO(str_done) char *path = NULL;
    struct tgs_service svc;
    struct name name;

    TRY(admin_name(a, &name));
    if (is_tgs(&name))
        return admin_fail(a, RC_EXISTS, "'" AS_TGS_NAME "' is the TGS itself");
    TRY(admin_load(a));
    TRY(admin_lock(a));
    TRY(admin_open_tgs(a, DB_WRITE, &s));
    TRY(load_own_keytab(a, &name, &path, &kt));
    TRY(tell(a, tgs_store_add(s, &name, clock_s(), &key), s, &name));
    if (kt)
        TRY(append(a, &name, &key, kt, path));
    if (!a->opt[OPT_JSON])
        return RC_OK;
    TRY(tell(a, tgs_store_find(s, &name, &svc), s, &name));
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

/* --- rotation --- */

static enum rc show_rotation(struct admin *a, const struct name *name, const struct key *key, const char *keytab)
{
    AUTO(buf_done) struct buf out = {0};
    char from[CLASSIC_TIME_LEN + 1];

    if (a->opt[OPT_JSON]) {
        struct jw w = jw_start(&out);
        jw_open(&w, NULL, '{');
        jw_text(&w, "name", name_slice(name));
        jw_int(&w, "kvno", key->kvno);
        jw_int(&w, "key_from", key->valid_from);
        if (keytab)
            jw_text(&w, "keytab", slice_text(keytab));
        jw_close(&w, '}');
        return admin_print_json(a, &w);
    }
    time_format_classic(key->valid_from, from);
    TRY(buf_printf(&out, "%s: version %u, used from %s UTC\n", name->s, key->kvno, from));
    if (!keytab)
        TRY(buf_printf(&out, "before that time give the service its keytab: kerbadm keytab export %s --out FILE\n",
                       name->s));
    return admin_print(a, &out);
}

static enum rc rotate_service(struct admin *a, const struct name *name)
{
    const char *keytab = keytab_of(a, name);
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(key_done) struct key key = {0};
    AUTO(str_done) char *path = NULL;

    TRY(admin_open_tgs(a, DB_WRITE, &s));
    if (keytab) {
        TRY(conf_path(&a->conf, keytab, &path));
        TRY(load_keytab(a, path, &kt));
    }
    TRY(tell(a, tgs_store_rotate(s, name, clock_s() + a->conf.policy_keytab_delay, clock_s(), &key), s, name));
    if (keytab)
        TRY(append(a, name, &key, kt, path));
    return show_rotation(a, name, &key, path);
}

/* The newest version of a principal's key; NULL when there is none. */
static const struct key *newest_key(const struct keytab *kt, const struct name *principal)
{
    const struct key *key, *newest = NULL;
    const struct name *name;

    for (size_t i = 0; keytab_at(kt, i, &name, &key); i++)
        if (slice_eq(name_slice(name), name_slice(principal)) && (!newest || key->kvno > newest->kvno))
            newest = key;
    return newest;
}

/* A later version is used from a later second, whatever keytab_delay was before. */
static enum rc next_tgs_key(const struct admin *a, const struct key *newest, struct key *ret)
{
    int64_t from = clock_s() + a->conf.policy_keytab_delay;

    if (from <= newest->valid_from)
        from = newest->valid_from + 1;
    return key_random(ETYPE_AES128_CBC_HS256, newest->kvno + 1, from, ret);
}

/* The TGS learns its new key first, so that the AS never seals with one that the TGS cannot find. */
static enum rc rotate_tgs(struct admin *a, const struct name *name)
{
    AUTO(keytab_done) struct keytab *before = NULL, *after = NULL;
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(key_done) struct key key = {0};
    AUTO(str_done) char *path = NULL;

    TRY(admin_open_as(a, DB_WRITE, &s));
    TRY(conf_path(&a->conf, ADMIN_TGS_KEYTAB, &path));
    TRY(load_keytab(a, path, &before));
    TRY(load_keytab(a, path, &after));
    const struct key *newest = newest_key(before, name);
    if (!newest)
        return admin_fail(a, RC_NO_KEY, "%s: no key of the TGS; nothing was changed", path);
    TRY(next_tgs_key(a, newest, &key));
    TRY(keytab_add(after, name, &key));
    enum rc rc = keytab_save(after, path);
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s: %s; nothing was changed", path, rc_text(rc));
    rc = as_store_add_tgs_key(s, &key);
    if (rc == RC_OK)
        return show_rotation(a, name, &key, path);
    bool restored = keytab_save(before, path) == RC_OK;
    return admin_fail(a, rc, "as.db: %s; %s %s", rc_text(rc), path,
                      restored ? "is as it was" : "holds a key that the AS does not have");
}

enum rc cmd_service_rotate(struct admin *a)
{
    struct name name;

    TRY(admin_name(a, &name));
    TRY(admin_load(a));
    TRY(admin_lock(a));
    return is_tgs(&name) ? rotate_tgs(a, &name) : rotate_service(a, &name);
}
