/* The files of the master keys: found, walked, and changed by a roll-over. */
#include "shared/db/master_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/file.h"

void master_place_done(struct master_place *p)
{
    str_done(&p->dir);
}

enum rc master_principal(struct name *ret)
{
    return name_parse(slice_text("master"), ret);
}

static enum rc join(const char *dir, const char *name, char **ret)
{
    AUTO(buf_done) struct buf path = {0};

    TRY(buf_printf(&path, "%s/%s", dir, name));
    *ret = slice_dup(buf_slice(&path));
    return *ret ? RC_OK : RC_NO_MEMORY;
}

static enum rc credential_path(const struct master_place *place, char **ret)
{
    AUTO(buf_done) struct buf name = {0};
    const char *dir = getenv(MASTER_CREDENTIALS);

    if (!dir || dir[0] != '/')
        return RC_NO_KEY;
    TRY(buf_printf(&name, "kerb-%s-master", place->daemon));
    const char *text = buf_cstr(&name);
    return text ? join(dir, text, ret) : RC_NO_MEMORY;
}

static enum rc find_files(const struct master_place *place, struct master_files *f)
{
    f->is_credential = place->source == MASTER_CREDENTIAL;
    f->may_lack = place->source == MASTER_SHARES;
    if (f->is_credential)
        return credential_path(place, &f->keytab);
    TRY(join(place->dir, MASTER_FILE_NAME, &f->keytab));
    if (place->source != MASTER_SHARES)
        return RC_OK;
    f->place = *place;
    f->place.dir = slice_dup(slice_text(place->dir));
    return f->place.dir ? join(place->dir, MASTER_SHARES_NAME, &f->shares) : RC_NO_MEMORY;
}

enum rc master_files_open(const struct master_place *place, struct master_files *ret)
{
    *ret = (struct master_files){0};
    return find_files(place, ret);
}

void master_files_done(struct master_files *f)
{
    str_done(&f->keytab);
    str_done(&f->shares);
    master_place_done(&f->place);
}

enum rc master_files_keytab(const struct master_files *f, struct keytab **ret)
{
    enum rc rc = f->is_credential ? keytab_load_credential(f->keytab, ret) : keytab_load(f->keytab, ret);
    return rc == RC_NOT_FOUND && f->may_lack ? keytab_new(ret) : rc;
}

static enum rc each_in_keytab(const struct master_files *f,
                              enum rc (*each)(void *ctx, const struct master_version *v, const struct key *key),
                              void *ctx)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    const struct name *principal;
    const struct key *key;
    struct name master;

    TRY(master_principal(&master));
    TRY(master_files_keytab(f, &kt));
    for (size_t i = 0; keytab_at(kt, i, &principal, &key); i++) {
        if (!slice_eq(name_slice(principal), name_slice(&master)) || key->etype != ETYPE_AES128_CBC_HS256)
            continue;
        const struct master_version v = {.kvno = key->kvno, .valid_from = key->valid_from};
        TRY(each(ctx, &v, key));
    }
    return RC_OK;
}

static enum rc each_in_shares(const struct master_files *f,
                              enum rc (*each)(void *ctx, const struct master_version *v, const struct key *key),
                              void *ctx)
{
    AUTO(shares_done) struct shares *s = NULL;

    TRY(shares_load(&f->place, &s));
    for (size_t i = 0; i < s->n; i++) {
        const uint8_t *secret = shares_supplied(s->set[i].id);
        for (size_t j = 0; j < s->set[i].versions_n; j++) {
            AUTO(key_done) struct key key = {0};
            if (secret)
                TRY(shares_key(s, secret, &s->set[i].version[j], &key));
            TRY(each(ctx, &s->set[i].version[j], secret ? &key : NULL));
        }
    }
    return RC_OK;
}

enum rc master_files_each(const struct master_files *f,
                          enum rc (*each)(void *ctx, const struct master_version *v, const struct key *key), void *ctx)
{
    TRY(each_in_keytab(f, each, ctx));
    return f->shares ? each_in_shares(f, each, ctx) : RC_OK;
}

/* --- kerbadm's side --- */

enum rc master_create(const char *path)
{
    AUTO(keytab_done) struct keytab *keys = NULL;
    AUTO(key_done) struct key key = {0};
    struct name principal;

    if (access(path, F_OK) == 0)
        return RC_EXISTS;
    TRY(master_principal(&principal));
    TRY(key_random(ETYPE_AES128_CBC_HS256, 1, clock_s(), &key));
    TRY(keytab_new(&keys));
    TRY(keytab_add(keys, &principal, &key));
    return keytab_save(keys, path);
}

static enum rc list_one(void *ctx, const struct master_version *v, const struct key *key)
{
    struct master_list *l = ctx;
    size_t at = l->n;

    (void)key;
    if (l->n == MASTER_VERSIONS_MAX)
        return RC_LIMIT;
    for (; at > 0 && l->version[at - 1].kvno > v->kvno; at--)
        l->version[at] = l->version[at - 1];
    l->version[at] = *v;
    l->n++;
    return RC_OK;
}

static void files_done(struct master_files *f)
{
    master_files_done(f);
}

enum rc master_list(const struct master_place *place, struct master_list *ret)
{
    AUTO(files_done) struct master_files f = {0};

    *ret = (struct master_list){0};
    TRY(master_files_open(place, &f));
    return master_files_each(&f, list_one, ret);
}

uint32_t master_list_current(const struct master_list *l, int64_t now_s)
{
    for (size_t i = l->n; i > 0; i--)
        if (l->version[i - 1].valid_from <= now_s)
            return l->version[i - 1].kvno;
    return l->n ? l->version[0].kvno : 0;
}

static enum rc add_to_shares(const struct master_place *place, uint32_t kvno)
{
    AUTO(shares_done) struct shares *s = NULL;

    TRY(shares_load(place, &s));
    struct shares_set *set = &s->set[s->n - 1];
    if (set->versions_n == MASTER_VERSIONS_MAX)
        return RC_LIMIT;
    set->version[set->versions_n++] =
        (struct master_version){.kvno = kvno, .valid_from = MASTER_UNUSED, .is_shared = true};
    return shares_save(place, s);
}

static enum rc add_to_keytab(const struct master_files *f, uint32_t kvno)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(key_done) struct key key = {0};
    struct name master;

    TRY(master_principal(&master));
    TRY(master_files_keytab(f, &kt));
    TRY(key_random(ETYPE_AES128_CBC_HS256, kvno, MASTER_UNUSED, &key));
    TRY(keytab_add(kt, &master, &key));
    return keytab_save(kt, f->keytab);
}

enum rc master_add(const struct master_place *place, uint32_t *ret_kvno)
{
    AUTO(files_done) struct master_files f = {0};
    struct master_list l;

    TRY(master_list(place, &l));
    TRY(master_files_open(place, &f));
    if (l.n == 0)
        return RC_NO_KEY;
    if (l.n == MASTER_VERSIONS_MAX || l.version[l.n - 1].kvno == UINT32_MAX)
        return RC_LIMIT;
    uint32_t kvno = l.version[l.n - 1].kvno + 1;
    TRY(place->source == MASTER_SHARES ? add_to_shares(place, kvno) : add_to_keytab(&f, kvno));
    *ret_kvno = kvno;
    return RC_OK;
}

/* The keys from `keep_from` on, the one of kvno `used` (0: none) with a new time. */
static enum rc rewrite_keytab(const struct master_files *f, uint32_t used, int64_t now_s, uint32_t keep_from)
{
    AUTO(keytab_done) struct keytab *kt = NULL, *out = NULL;
    const struct name *principal;
    const struct key *key;
    size_t before = 0, kept = 0;

    TRY(master_files_keytab(f, &kt));
    TRY(keytab_new(&out));
    for (; keytab_at(kt, before, &principal, &key); before++) {
        AUTO(key_done) struct key copy = *key;
        if (key->kvno < keep_from)
            continue;
        if (used && key->kvno == used)
            copy.valid_from = now_s;
        TRY(keytab_add(out, principal, &copy));
        kept++;
    }
    if (kept == 0 && before > 0 && f->may_lack)
        return unlink(f->keytab) == 0 ? RC_OK : RC_IO;
    return before > 0 ? keytab_save(out, f->keytab) : RC_OK;
}

/* A set without versions goes. */
static enum rc rewrite_shares(const struct master_place *place, uint32_t used, int64_t now_s, uint32_t keep_from)
{
    AUTO(shares_done) struct shares *s = NULL;
    size_t sets = 0;

    TRY(shares_load(place, &s));
    for (size_t i = 0; i < s->n; i++) {
        struct shares_set *set = &s->set[i];
        size_t n = 0;
        for (size_t j = 0; j < set->versions_n; j++) {
            if (set->version[j].kvno < keep_from)
                continue;
            if (used && set->version[j].kvno == used)
                set->version[j].valid_from = now_s;
            set->version[n++] = set->version[j];
        }
        set->versions_n = n;
        if (n == 0)
            continue;
        if (sets != i)
            s->set[sets] = *set;
        sets++;
    }
    s->n = sets;
    return shares_save(place, s);
}

static enum rc rewrite(const struct master_place *place, const struct master_version *touched, uint32_t used,
                       int64_t now_s, uint32_t keep_from)
{
    AUTO(files_done) struct master_files f = {0};

    TRY(master_files_open(place, &f));
    if (f.shares && (!touched || touched->is_shared))
        TRY(rewrite_shares(place, used, now_s, keep_from));
    if (!touched || !touched->is_shared)
        return rewrite_keytab(&f, used, now_s, keep_from);
    return RC_OK;
}

static const struct master_version *in_list(const struct master_list *l, uint32_t kvno)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->version[i].kvno == kvno)
            return &l->version[i];
    return NULL;
}

enum rc master_use(const struct master_place *place, uint32_t kvno, int64_t now_s)
{
    struct master_list l;

    TRY(master_list(place, &l));
    const struct master_version *v = in_list(&l, kvno);
    if (!v)
        return RC_NO_KVNO;
    if (master_list_current(&l, now_s) >= kvno)
        return RC_EXISTS;
    return rewrite(place, v, kvno, now_s, 0);
}

enum rc master_purge(const struct master_place *place, uint32_t keep_from)
{
    struct master_list l;

    TRY(master_list(place, &l));
    if (!in_list(&l, keep_from))
        return RC_NO_KVNO;
    return rewrite(place, NULL, 0, 0, keep_from);
}
