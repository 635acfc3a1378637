/* kerbadm keytab ...: files with keys, shown without the keys. */
#include "admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum rc list_json(const struct keytab *kt, struct jw *w)
{
    const struct name *name;
    const struct key *key;

    jw_open(w, NULL, '{');
    jw_open(w, "keys", '[');
    for (size_t i = 0; keytab_at(kt, i, &name, &key); i++) {
        jw_open(w, NULL, '{');
        jw_text(w, "principal", name_slice(name));
        jw_text(w, "etype", slice_text(etype_name(key->etype)));
        jw_int(w, "kvno", key->kvno);
        jw_int(w, "valid_from", key->valid_from);
        jw_close(w, '}');
    }
    jw_close(w, ']');
    jw_close(w, '}');
    return jw_end(w);
}

static enum rc list_text(const struct keytab *kt, struct buf *out)
{
    char from[CLASSIC_TIME_LEN + 1];
    const struct name *name;
    const struct key *key;

    TRY(buf_text(out, " kvno  valid from (UTC)     etype              principal\n"));
    for (size_t i = 0; keytab_at(kt, i, &name, &key); i++) {
        time_format_classic(key->valid_from, from);
        TRY(buf_printf(out, "%5u  %s  %-17s  %s\n", key->kvno, from, etype_name(key->etype), name->s));
    }
    return RC_OK;
}

enum rc cmd_keytab_list(struct admin *a)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(buf_done) struct buf out = {0};

    enum rc rc = keytab_load(a->arg, &kt);
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s: %s", a->arg, rc == RC_MALFORMED ? "this is not a keytab" : rc_text(rc));
    if (a->opt[OPT_JSON]) {
        struct jw w = jw_start(&out);
        TRY(list_json(kt, &w));
        return admin_print_json(a, &w);
    }
    TRY(list_text(kt, &out));
    return admin_print(a, &out);
}

/* Takes the place of the new file, so that nothing that is there, or comes just now, is overwritten. */
static enum rc reserve(struct admin *a, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 && errno == EEXIST)
        return admin_fail(a, RC_EXISTS, "%s is there already; --force replaces it", path);
    if (fd < 0)
        return admin_fail(a, RC_IO, "%s: %s", path, strerror(errno));
    (void)close(fd);
    return RC_OK;
}

enum rc cmd_keytab_export(struct admin *a)
{
    const char *path = a->opt[OPT_OUT];
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    struct tgs_service svc;
    struct name name;

    TRY(admin_name(a, &name));
    TRY(admin_load(a));
    TRY(admin_lock(a));
    TRY(admin_open_tgs(a, DB_READ, &s));
    if (tgs_store_find(s, &name, &svc) == RC_NO_SERVICE)
        return admin_fail(a, RC_NO_SERVICE, "there is no service '%s'", name.s);
    TRY(keytab_new(&kt));
    enum rc rc = tgs_store_export(s, &name, kt);
    if (rc != RC_OK)
        return admin_fail(a, rc, "service '%s': %s", name.s, rc_text(rc));
    if (!a->opt[OPT_FORCE])
        TRY(reserve(a, path));
    rc = keytab_save(kt, path);
    if (rc == RC_OK)
        return RC_OK;
    if (!a->opt[OPT_FORCE])
        (void)unlink(path);
    return admin_fail(a, rc, "%s: %s", path, rc_text(rc));
}
