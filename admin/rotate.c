/*
 * kerbadm service rotate and purge: the next key of a service or of the TGS, and the end of old ones.
 *
 * A new version is used after keytab_delay, when every keytab has been read again. An old one is kept until no ticket
 * under it can live: the longest lifetime and the clocks' difference after it came out of use. Then the next rotate, or
 * purge, deletes it in database and keytab.
 */
#include "admin/service.h"

#include <string.h>

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

/* Versions of the principal that are out of use since then or longer; true when there were any. */
static bool purge_keytab(struct keytab *kt, const struct name *principal, int64_t unused_since_s)
{
    const struct key *used = keytab_current(kt, principal, ETYPE_AES128_CBC_HS256, unused_since_s);
    const struct name *name;
    const struct key *key;
    bool found = false;

    if (!used)
        return false;
    uint32_t keep_from = used->kvno;
    for (size_t i = 0; keytab_at(kt, i, &name, &key); i++)
        found = found || (slice_eq(name_slice(name), name_slice(principal)) && key->kvno < keep_from);
    keytab_purge(kt, principal, keep_from);
    return found;
}

/* --- purging --- */

static enum rc show_purge(struct admin *a, const struct name *name, unsigned n)
{
    AUTO(buf_done) struct buf out = {0};

    if (a->opt[OPT_JSON]) {
        struct jw w = jw_start(&out);
        jw_open(&w, NULL, '{');
        jw_text(&w, "name", name_slice(name));
        jw_int(&w, "purged", n);
        jw_close(&w, '}');
        return admin_print_json(a, &w);
    }
    TRY(buf_printf(&out, "%s: %u old version%s deleted\n", name->s, n, n == 1 ? "" : "s"));
    return admin_print(a, &out);
}

static enum rc save_purged(struct admin *a, const char *path, struct keytab *kt, const struct name *name,
                           int64_t unused_since_s)
{
    if (!purge_keytab(kt, name, unused_since_s))
        return RC_OK;
    enum rc rc = keytab_save(kt, path);
    return rc == RC_OK ? RC_OK : admin_fail(a, rc, "%s: %s; it still has the old versions", path, rc_text(rc));
}

/* The database first: a key that only the keytab has opens nothing that is still issued. */
static enum rc purge_service(struct admin *a, const struct name *name)
{
    const char *keytab = service_keytab(a, name);
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(str_done) char *path = NULL;
    int64_t unused_since_s = clock_s() - conf_service_ticket_s(&a->conf);
    unsigned n;

    TRY(admin_open_tgs(a, DB_WRITE, &s));
    if (keytab) {
        TRY(conf_path(&a->conf, keytab, &path));
        TRY(service_load_keytab(a, path, &kt));
    }
    TRY(service_tell(a, tgs_store_purge(s, name, unused_since_s, &n), s, name));
    if (keytab)
        TRY(save_purged(a, path, kt, name, unused_since_s));
    return show_purge(a, name, n);
}

static enum rc purge_tgs_in(struct admin *a, struct as_store *s, struct keytab *kt, const char *path,
                            const struct name *name, unsigned *ret_n)
{
    int64_t unused_since_s = clock_s() - conf_tgt_s(&a->conf);

    enum rc rc = as_store_purge_tgs_keys(s, unused_since_s, ret_n);
    if (rc != RC_OK)
        return admin_fail(a, rc, "as.db: %s; nothing was changed", rc_text(rc));
    return save_purged(a, path, kt, name, unused_since_s);
}

static enum rc purge_tgs(struct admin *a, const struct name *name)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(str_done) char *path = NULL;
    unsigned n;

    TRY(admin_open_as(a, DB_WRITE, &s));
    TRY(conf_path(&a->conf, ADMIN_TGS_KEYTAB, &path));
    TRY(service_load_keytab(a, path, &kt));
    TRY(purge_tgs_in(a, s, kt, path, name, &n));
    return show_purge(a, name, n);
}

/* --- rotation --- */

static enum rc rotate_service(struct admin *a, const struct name *name)
{
    const char *keytab = service_keytab(a, name);
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(key_done) struct key key = {0};
    AUTO(str_done) char *path = NULL;
    int64_t now_s = clock_s();
    unsigned purged;

    TRY(admin_open_tgs(a, DB_WRITE, &s));
    if (keytab) {
        TRY(conf_path(&a->conf, keytab, &path));
        TRY(service_load_keytab(a, path, &kt));
    }
    TRY(service_tell(a, tgs_store_rotate(s, name, now_s + a->conf.policy_keytab_delay, now_s, &key), s, name));
    TRY(service_tell(a, tgs_store_purge(s, name, now_s - conf_service_ticket_s(&a->conf), &purged), s, name));
    if (kt)
        (void)purge_keytab(kt, name, now_s - conf_service_ticket_s(&a->conf));
    if (keytab)
        TRY(service_append(a, name, &key, kt, path));
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
    unsigned purged;

    TRY(admin_open_as(a, DB_WRITE, &s));
    TRY(conf_path(&a->conf, ADMIN_TGS_KEYTAB, &path));
    TRY(service_load_keytab(a, path, &before));
    TRY(service_load_keytab(a, path, &after));
    const struct key *newest = newest_key(before, name);
    if (!newest)
        return admin_fail(a, RC_NO_KEY, "%s: no key of the TGS; nothing was changed", path);
    TRY(next_tgs_key(a, newest, &key));
    TRY(keytab_add(after, name, &key));
    enum rc rc = keytab_save(after, path);
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s: %s; nothing was changed", path, rc_text(rc));
    rc = as_store_add_tgs_key(s, &key);
    if (rc == RC_OK) {
        TRY(purge_tgs_in(a, s, after, path, name, &purged));
        return show_rotation(a, name, &key, path);
    }
    bool restored = keytab_save(before, path) == RC_OK;
    return admin_fail(a, rc, "as.db: %s; %s %s", rc_text(rc), path,
                      restored ? "is as it was" : "holds a key that the AS does not have");
}

/* --- the commands --- */

enum rc cmd_service_purge(struct admin *a)
{
    struct name name;

    TRY(admin_name(a, &name));
    TRY(admin_load(a));
    TRY(admin_lock(a));
    return service_is_tgs(&name) ? purge_tgs(a, &name) : purge_service(a, &name);
}

enum rc cmd_service_rotate(struct admin *a)
{
    struct name name;

    TRY(admin_name(a, &name));
    TRY(admin_load(a));
    TRY(admin_lock(a));
    return service_is_tgs(&name) ? rotate_tgs(a, &name) : rotate_service(a, &name);
}
