/*
 * Master keys in use, and the rows that they seal.
 *
 * The keys of each version are derived when the files are read, so that a row costs no derivation. Only derived keys
 * are kept, in pages that are locked and left out of dumps.
 */
#include "shared/db/master.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/pages.h"
#include "shared/db/db.h"
#include "shared/db/master_files.h"

#define LOOK_MS 1000 /* how often the files are looked at when only rows are opened */

static const enum label labels[] = {LABEL_ROW, LABEL_MESSAGE, LABEL_AUDIT};

struct version {
    struct master_version is;
    struct envelope_key key[ARRAY_LEN(labels)];
};

struct versions {
    struct version v[MASTER_VERSIONS_MAX];
    size_t n;
};

/* Differs when a file was replaced or changed. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed, modified;
};

struct master {
    struct name realm;
    struct master_files files;
    struct stamp seen[2]; /* keytab, shares */
    int64_t looked_ms;    /* monotonic */
    enum rc health;       /* of the last reading */
    struct versions now, next;
};

static enum rc add_version(void *ctx, const struct master_version *is, const struct key *key)
{
    struct versions *all = ctx;
    size_t at = 0;

    if (!key) /* shares that were made since the start: nothing lies under them yet */
        return is->valid_from > clock_s() ? RC_OK : RC_NO_SHARES;
    if (all->n == MASTER_VERSIONS_MAX)
        return RC_LIMIT;
    while (at < all->n && all->v[at].is.kvno < is->kvno)
        at++;
    if (at < all->n && all->v[at].is.kvno == is->kvno)
        return RC_EXISTS;
    memmove(&all->v[at + 1], &all->v[at], (all->n - at) * sizeof all->v[0]);
    all->n++;
    all->v[at].is = *is;
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        TRY(envelope_derive(key, labels[i], &all->v[at].key[i]));
    return RC_OK;
}

static struct stamp stamp_of(const char *path)
{
    struct stat st;

    if (!path || stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_ctim, st.st_mtim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && same_time(&a->changed, &b->changed) &&
           same_time(&a->modified, &b->modified);
}

static enum rc read_files(struct master *m)
{
    m->next.n = 0;
    enum rc rc = master_files_each(&m->files, add_version, &m->next);
    if (rc == RC_OK && m->next.n == 0)
        rc = RC_NO_KEY;
    if (rc == RC_OK)
        m->now = m->next;
    wipe(&m->next, sizeof m->next);
    return rc;
}

/* The stamps are taken before the files are read: a change in between is found the next time. */
enum rc master_refresh(struct master *m, bool *ret_changed)
{
    struct stamp seen[2] = {stamp_of(m->files.keytab), stamp_of(m->files.shares)};

    *ret_changed = false;
    m->looked_ms = clock_monotonic_ms();
    if (same_stamp(&seen[0], &m->seen[0]) && same_stamp(&seen[1], &m->seen[1]))
        return m->health;
    memcpy(m->seen, seen, sizeof seen);
    m->health = read_files(m);
    *ret_changed = m->health == RC_OK;
    return m->health;
}

/* Whoever seals or opens goes on with the keys that there are; the daemon's main loop tells what is wrong. */
static void look(struct master *m)
{
    bool changed;
    enum rc rc = master_refresh(m, &changed);
    (void)rc;
}

static struct master *master_new(const struct name *realm)
{
    struct master *m = pages_take(sizeof *m);

    if (m)
        m->realm = *realm;
    return m;
}

static enum rc start(struct master *m, enum rc rc, struct master **ret)
{
    bool changed;

    if (rc == RC_OK)
        rc = master_refresh(m, &changed);
    if (rc == RC_OK && !changed)
        rc = RC_NOT_FOUND; /* no file at all */
    if (rc == RC_OK)
        *ret = m;
    else
        master_free(m);
    return rc;
}

enum rc master_open(const struct master_place *place, struct master **ret)
{
    struct master *m = master_new(&place->realm);
    return m ? start(m, master_files_open(place, &m->files), ret) : RC_NO_MEMORY;
}

enum rc master_load(const char *path, const struct name *realm, struct master **ret)
{
    struct master *m = master_new(realm);

    if (!m)
        return RC_NO_MEMORY;
    m->files = (struct master_files){.keytab = slice_dup(slice_text(path))};
    return start(m, m->files.keytab ? RC_OK : RC_NO_MEMORY, ret);
}

void master_free(struct master *m)
{
    if (!m)
        return;
    master_files_done(&m->files);
    pages_give(m, sizeof *m);
}

void master_done(struct master **m)
{
    master_free(*m);
    *m = NULL;
}

/* The newest version whose time has come; the oldest when none has. */
static const struct version *current(const struct master *m)
{
    int64_t now = clock_s();

    for (size_t i = m->now.n; i > 0; i--)
        if (m->now.v[i - 1].is.valid_from <= now)
            return &m->now.v[i - 1];
    return &m->now.v[0];
}

const struct name *master_realm(const struct master *m)
{
    return &m->realm;
}

uint32_t master_kvno(const struct master *m)
{
    return current(m)->is.kvno;
}

static const struct version *find(const struct master *m, uint32_t kvno)
{
    for (size_t i = 0; i < m->now.n; i++)
        if (m->now.v[i].is.kvno == kvno)
            return &m->now.v[i];
    return NULL;
}

/* To seal, the files are looked at each time: a version that is about to be purged must not seal any more. */
static const struct version *version(struct master *m, uint32_t kvno)
{
    if (kvno == 0) {
        look(m);
        return current(m);
    }
    if (clock_monotonic_ms() - m->looked_ms >= LOOK_MS)
        look(m);
    const struct version *v = find(m, kvno);
    if (v)
        return v;
    look(m);
    return find(m, kvno);
}

static const struct envelope_key *labelled(const struct version *v, enum label label)
{
    for (size_t i = 0; v && i < ARRAY_LEN(labels); i++)
        if (labels[i] == label)
            return &v->key[i];
    return NULL;
}

const struct envelope_key *master_key(struct master *m, enum label label, uint32_t kvno)
{
    return labelled(version(m, kvno), label);
}

enum rc master_derive(struct master *m, enum label label, uint32_t kvno, struct envelope_key *ret)
{
    const struct envelope_key *key = master_key(m, label, kvno);

    if (!key)
        return RC_NO_KVNO;
    *ret = *key;
    return RC_OK;
}

bool master_at(const struct master *m, size_t i, struct master_version *ret)
{
    if (i >= m->now.n)
        return false;
    *ret = m->now.v[i].is;
    return true;
}

/* --- rows --- */

static enum rc row_context(const struct row_ref *ref, struct buf *out)
{
    TRY(buf_lp(out, slice_text(ref->column)));
    return buf_u32be(out, ref->kvno);
}

static struct envelope_aad row_aad(const struct master *m, const struct row_ref *ref, struct slice context)
{
    return (struct envelope_aad){
        .realm = name_slice(&m->realm), .client = slice_text(ref->table), .server = ref->row, .context = context};
}

enum rc row_seal(struct master *m, const struct row_ref *ref, struct slice plain, struct buf *out)
{
    AUTO(buf_done) struct buf context = {0};

    TRY(row_context(ref, &context));
    struct envelope_aad aad = row_aad(m, ref, buf_slice(&context));
    return envelope_seal(master_key(m, LABEL_ROW, 0), &aad, plain, out);
}

enum rc row_open(struct master *m, const struct row_ref *ref, struct slice sealed, struct buf *ret_plain)
{
    AUTO(buf_done) struct buf context = {0};
    uint32_t kvno;

    TRY(row_context(ref, &context));
    TRY(envelope_kvno(sealed, &kvno));
    const struct envelope_key *key = kvno ? master_key(m, LABEL_ROW, kvno) : NULL;
    if (!key)
        return RC_NO_KVNO;
    struct envelope_aad aad = row_aad(m, ref, buf_slice(&context));
    return envelope_open(key, &aad, sealed, ret_plain);
}

enum rc row_reseal(struct master *m, const struct row_ref *ref, struct slice sealed, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0};

    TRY(row_open(m, ref, sealed, &plain));
    return row_seal(m, ref, buf_slice(&plain), out);
}
