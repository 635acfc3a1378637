/*
 * kerbadm check: is the state what it should be? Changes nothing, goes on after what it finds, tells all of it.
 *
 * Looked at: the configuration; owner and mode of each directory and file; versions of the databases; that every sealed
 * row opens; that the TGS's keytab and the AS agree on the TGS's keys, and the chat's keytab and the TGS on the chat's.
 */
#include "admin/mkey.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct check {
    struct admin *a;
    struct buf *text; /* the problems for a person, */
    struct jw w;      /* and for a script */
    size_t n;
    struct buf notes; /* what is no problem */
};

static enum rc problem(struct check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum rc problem(struct check *c, const char *fmt, ...)
{
    char line[1024]; /* a path and a few words; a longer path is cut */
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    c->n++;
    bool is_text = n >= 0 && utf8_valid(slice_text(line));
    jw_text(&c->w, NULL, slice_text(is_text ? line : "a file whose name is not UTF-8"));
    return buf_printf(c->text, "%s\n", line);
}

/* --- files --- */

static const struct {
    const char *dir;
    const char *files[4]; /* that must be there */
} folders[] = {
    {"as",   {"as.db", "as.keytab"}  },
    {"tgs",  {"tgs.db", "tgs.keytab"}},
    {"chat", {"chat.keytab"}         }, /* chat.db comes with the first start */
};

static enum rc check_entry(struct check *c, const char *path, const struct stat *dir)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? RC_OK : problem(c, "%s: %s", path, strerror(errno)); /* -wal files come and go */
    if (S_ISSOCK(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) == 0)
        return RC_OK; /* a daemon waits for shares */
    if (!S_ISREG(st.st_mode))
        return problem(c, "%s: not a regular file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        TRY(problem(c, "%s: mode is %04o, must be 0600", path, st.st_mode & 07777U));
    if (st.st_uid != dir->st_uid)
        TRY(problem(c, "%s: belongs to user %u, its directory to user %u", path, st.st_uid, dir->st_uid));
    return RC_OK;
}

static void dir_done(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static enum rc check_entries(struct check *c, const char *path, const struct stat *st)
{
    AUTO(dir_done) DIR *d = opendir(path);
    const struct dirent *e;

    if (!d)
        return problem(c, "%s: %s", path, strerror(errno));
    while ((e = readdir(d))) {
        AUTO(buf_done) struct buf entry = {0};
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        TRY(buf_printf(&entry, "%s/%s", path, e->d_name));
        const char *name = buf_cstr(&entry);
        if (!name)
            return RC_NO_MEMORY;
        TRY(check_entry(c, name, st));
    }
    return RC_OK;
}

static enum rc check_present(struct check *c, const char *dir, const char *file)
{
    AUTO(buf_done) struct buf path = {0};
    struct stat st;

    TRY(buf_printf(&path, "%s/%s", dir, file));
    const char *name = buf_cstr(&path);
    if (!name)
        return RC_NO_MEMORY;
    return lstat(name, &st) == 0 ? RC_OK : problem(c, "%s: %s", name, strerror(errno));
}

/* Where its master key lies depends on the configuration. */
static enum rc check_master_file(struct check *c, const char *daemon, const char *dir)
{
    AUTO(master_place_done) struct master_place place = {0};

    TRY(master_place_of(&c->a->conf, daemon, &place));
    if (place.source == MASTER_CREDENTIAL)
        return RC_OK;
    return check_present(c, dir, place.source == MASTER_SHARES ? MASTER_SHARES_NAME : MASTER_FILE_NAME);
}

static enum rc check_folder(struct check *c, size_t i)
{
    AUTO(str_done) char *path = NULL;
    struct stat st;

    TRY(conf_path(&c->a->conf, folders[i].dir, &path));
    if (lstat(path, &st) != 0)
        return problem(c, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return problem(c, "%s: not a directory", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        TRY(problem(c, "%s: mode is %04o, must be 0700", path, st.st_mode & 07777U));
    TRY(check_master_file(c, folders[i].dir, path));
    for (size_t j = 0; j < ARRAY_LEN(folders[i].files) && folders[i].files[j]; j++)
        TRY(check_present(c, path, folders[i].files[j]));
    return check_entries(c, path, &st);
}

static enum rc check_files(struct check *c)
{
    struct stat st;

    if (stat(c->a->conf.realm_state, &st) != 0)
        return problem(c, "%s: %s", c->a->conf.realm_state, strerror(errno));
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        TRY(problem(c, "%s: others may write there", c->a->conf.realm_state));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        TRY(check_folder(c, i));
    return RC_OK;
}

/* --- databases and keys --- */

static enum rc check_rows(struct check *c, const char *db, enum rc rc, uint64_t rows, uint64_t bad)
{
    if (rc != RC_OK)
        return problem(c, "%s/%s: %s", c->a->conf.realm_state, db, rc_text(rc));
    if (bad)
        return problem(c, "%s/%s: %llu of %llu sealed rows do not open", c->a->conf.realm_state, db,
                       (unsigned long long)bad, (unsigned long long)rows);
    return RC_OK;
}

static enum rc load_keytab(struct check *c, const char *sub, struct keytab **ret)
{
    AUTO(str_done) char *path = NULL;

    TRY(conf_path(&c->a->conf, sub, &path));
    enum rc rc = keytab_load(path, ret);
    return rc == RC_OK ? RC_OK : problem(c, "%s: %s", path, rc == RC_MALFORMED ? "not a keytab" : rc_text(rc));
}

static bool same_key(const struct key *a, const struct key *b)
{
    return a && b && a->n == b->n && a->valid_from == b->valid_from && ct_equal(a->bytes, b->bytes, a->n);
}

static uint32_t newest_version(const struct keytab *kt)
{
    const struct name *name;
    const struct key *key;
    uint32_t newest = 0;

    for (size_t i = 0; keytab_at(kt, i, &name, &key); i++)
        newest = key->kvno > newest ? key->kvno : newest;
    return newest;
}

/* Each version that the AS has, newest first, must be in the keytab; and the keytab has none that is newer. */
static enum rc check_tgs_keys(struct check *c, struct as_store *s, const struct keytab *kt)
{
    int64_t before = INT64_MAX;
    uint32_t newest = 0;
    struct name tgs;

    TRY(name_parse(slice_text(AS_TGS_NAME), &tgs));
    for (;;) {
        AUTO(key_done) struct key key = {0};
        enum rc rc = as_store_tgs_key(s, before, &key);
        if (rc == RC_NO_KEY)
            break;
        if (rc != RC_OK)
            return problem(c, "as.db: TGS key: %s", rc_text(rc));
        if (!same_key(&key, keytab_find(kt, &tgs, key.etype, key.kvno)))
            TRY(problem(c, ADMIN_TGS_KEYTAB ": version %u of the TGS key is not the one in as.db", key.kvno));
        newest = key.kvno > newest ? key.kvno : newest;
        if (key.valid_from == INT64_MIN)
            break;
        before = key.valid_from - 1;
    }
    if (newest == 0)
        return problem(c, "as.db: no TGS key");
    if (newest_version(kt) > newest)
        return problem(c, ADMIN_TGS_KEYTAB ": version %u, but as.db goes up to %u", newest_version(kt), newest);
    return RC_OK;
}

/* Without the sentence of admin_open_as: what is wrong goes among the problems. */
static enum rc open_as(struct check *c, struct as_store **ret)
{
    TRY(admin_unseal(c->a, "as"));
    return as_store_open(&c->a->conf, DB_READ, ret);
}

static enum rc open_tgs(struct check *c, struct tgs_store **ret)
{
    TRY(admin_unseal(c->a, "tgs"));
    return tgs_store_open(&c->a->conf, DB_READ, ret);
}

static enum rc check_as(struct check *c)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(keytab_done) struct keytab *kt = NULL;
    uint64_t rows = 0, bad = 0;

    TRY(load_keytab(c, ADMIN_TGS_KEYTAB, &kt));
    enum rc rc = open_as(c, &s);
    if (rc != RC_OK)
        return problem(c, "%s/as: %s", c->a->conf.realm_state, rc_text(rc));
    rc = as_store_verify(s, &rows, &bad);
    TRY(check_rows(c, "as/as.db", rc, rows, bad));
    return kt ? check_tgs_keys(c, s, kt) : RC_OK;
}

/* The newest version is what the TGS will seal with: the service must have it by then. */
static enum rc check_service_key(struct check *c, struct tgs_store *s, const char *service, const char *keytab,
                                 const struct keytab *kt)
{
    AUTO(keytab_done) struct keytab *all = NULL;
    struct tgs_service svc;
    struct name name;

    TRY(name_parse(slice_text(service), &name));
    enum rc rc = tgs_store_find(s, &name, &svc);
    if (rc == RC_OK)
        rc = keytab_new(&all);
    if (rc == RC_OK)
        rc = tgs_store_export(s, &name, all);
    if (rc != RC_OK)
        return problem(c, "tgs.db: service '%s': %s", name.s, rc_text(rc));
    if (!same_key(keytab_find(all, &name, ETYPE_AES128_CBC_HS256, svc.kvno),
                  keytab_find(kt, &name, ETYPE_AES128_CBC_HS256, svc.kvno)))
        return problem(c, "%s: version %u of the key of '%s' is missing or another one", keytab, svc.kvno, name.s);
    return RC_OK;
}

static enum rc check_service_keys(struct check *c, struct tgs_store *s, const struct keytab *chat,
                                  const struct keytab *as)
{
    if (chat)
        TRY(check_service_key(c, s, c->a->conf.chat_service, ADMIN_CHAT_KEYTAB, chat));
    for (size_t i = 0; as && i < ADMIN_OWN_N; i++)
        TRY(check_service_key(c, s, admin_own_services[i], ADMIN_AS_KEYTAB, as));
    return RC_OK;
}

static enum rc check_tgs(struct check *c)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(keytab_done) struct keytab *chat = NULL, *as = NULL;
    uint64_t rows = 0, bad = 0;

    TRY(load_keytab(c, ADMIN_CHAT_KEYTAB, &chat));
    TRY(load_keytab(c, ADMIN_AS_KEYTAB, &as));
    enum rc rc = open_tgs(c, &s);
    if (rc != RC_OK)
        return problem(c, "%s/tgs: %s", c->a->conf.realm_state, rc_text(rc));
    rc = tgs_store_verify(s, &rows, &bad);
    TRY(check_rows(c, "tgs/tgs.db", rc, rows, bad));
    return check_service_keys(c, s, chat, as);
}

/* --- master keys --- */

static enum rc note(struct check *c, const char *daemon, uint32_t current, const struct sealed_counts *counts)
{
    jw_open(&c->w, daemon, '{');
    jw_int(&c->w, "seals", current);
    jw_open(&c->w, "rows", '{');
    for (size_t i = 0; i < counts->n; i++) {
        char kvno[16];
        (void)snprintf(kvno, sizeof kvno, "%u", counts->version[i].kvno);
        jw_int(&c->w, kvno, (int64_t)counts->version[i].rows);
        if (counts->version[i].kvno != current)
            TRY(buf_printf(&c->notes, "master key of %s: version %u seals, %llu rows lie under version %u\n", daemon,
                           current, (unsigned long long)counts->version[i].rows, counts->version[i].kvno));
    }
    jw_close(&c->w, '}');
    jw_close(&c->w, '}');
    return RC_OK;
}

/* Whether every version that a row lies under is there. */
static enum rc check_versions(struct check *c, const char *daemon, const struct master_list *l,
                              struct sealed_counts *counts)
{
    for (size_t i = 0; i < counts->n; i++) {
        bool found = false;
        for (size_t j = 0; j < l->n; j++)
            found = found || l->version[j].kvno == counts->version[i].kvno;
        if (!found)
            TRY(problem(c, "%s: %llu rows lie under version %u of the master key, which is not here", daemon,
                        (unsigned long long)counts->version[i].rows, counts->version[i].kvno));
    }
    return RC_OK;
}

static enum rc look_at_master(struct check *c, const char *daemon, struct master_list *l, struct sealed_counts *counts)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(mkey_rows_done) struct mkey_rows rows = {0};

    TRY(master_place_of(&c->a->conf, daemon, &place));
    TRY(master_list(&place, l));
    TRY(mkey_rows_open(c->a, daemon, DB_READ, &rows));
    return mkey_count(&rows, counts);
}

static enum rc check_masters(struct check *c)
{
    struct master_list l[MKEY_DAEMONS];
    struct sealed_counts counts[MKEY_DAEMONS] = {0};
    bool known[MKEY_DAEMONS];

    for (size_t i = 0; i < MKEY_DAEMONS; i++) {
        enum rc rc = look_at_master(c, mkey_daemons[i], &l[i], &counts[i]);
        known[i] = rc == RC_OK;
        if (known[i])
            TRY(check_versions(c, mkey_daemons[i], &l[i], &counts[i]));
        else if (strcmp(mkey_daemons[i], "chat") == 0) /* the others have told already */
            TRY(problem(c, "%s/chat: %s", c->a->conf.realm_state, rc_text(rc)));
    }
    jw_close(&c->w, ']');
    jw_open(&c->w, "master", '{');
    for (size_t i = 0; i < MKEY_DAEMONS; i++)
        if (known[i])
            TRY(note(c, mkey_daemons[i], master_list_current(&l[i], clock_s()), &counts[i]));
    jw_close(&c->w, '}');
    return RC_OK;
}

/* --- the command --- */

/* Without the shares most of what is asked cannot be told: then it is not, and that they are missing was. */
static enum rc gather_shares(struct admin *a)
{
    for (size_t i = 0; i < MKEY_DAEMONS; i++)
        if (admin_unseal(a, mkey_daemons[i]) == RC_NO_SHARES)
            return RC_NO_SHARES;
    return RC_OK;
}

static enum rc look(struct check *c)
{
    jw_open(&c->w, NULL, '{');
    jw_open(&c->w, "problems", '[');
    TRY(check_files(c));
    TRY(check_as(c));
    TRY(check_tgs(c));
    TRY(check_masters(c)); /* closes the list of problems */
    jw_bool(&c->w, "ok", c->n == 0);
    jw_close(&c->w, '}');
    return RC_OK;
}

static enum rc show(struct check *c)
{
    if (c->a->opt[OPT_JSON])
        return admin_print_json(c->a, &c->w);
    if (c->n == 0)
        TRY(buf_text(c->text, "all is well\n"));
    TRY(buf_add(c->text, buf_slice(&c->notes)));
    return admin_print(c->a, c->text);
}

enum rc cmd_check(struct admin *a)
{
    AUTO(buf_done) struct buf text = {0}, json = {0};

    TRY(admin_load(a));
    TRY(gather_shares(a));
    struct check c = {.a = a, .text = &text, .w = jw_start(&json)};
    enum rc rc = look(&c);
    if (rc == RC_OK)
        rc = show(&c);
    buf_done(&c.notes);
    if (rc != RC_OK || c.n == 0)
        return rc;
    return admin_fail(a, RC_BAD_CONFIG, "%zu problem%s", c.n, c.n == 1 ? "" : "s");
}
