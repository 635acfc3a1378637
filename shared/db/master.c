/*
 * Master keys, and the rows that they seal.
 *
 * The key of each version is derived for rows when the file is read, so that a row costs no derivation. Keytab and
 * derived keys live for the life of the daemon; the page with the derived ones is locked and left out of dumps.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/db/db.h"

#define VERSIONS_MAX 64 /* of the master key: a rotation re-seals the rows, so few are in use at a time */

struct master {
    struct name realm, principal;
    struct keytab *keys;
    struct {
        int64_t valid_from;
        struct envelope_key row;
    } version[VERSIONS_MAX];
    size_t n;
};

static enum rc master_name(struct name *ret)
{
    return name_parse(slice_text("master"), ret);
}

static enum rc add_version(struct master *m, const struct key *key)
{
    if (m->n == VERSIONS_MAX)
        return RC_LIMIT;
    TRY(envelope_derive(key, LABEL_ROW, &m->version[m->n].row));
    m->version[m->n++].valid_from = key->valid_from;
    return RC_OK;
}

static enum rc fill(struct master *m, const char *path, const struct name *realm)
{
    const struct name *principal;
    const struct key *key;

    m->realm = *realm;
    TRY(master_name(&m->principal));
    TRY(keytab_load(path, &m->keys));
    for (size_t i = 0; keytab_at(m->keys, i, &principal, &key); i++)
        if (slice_eq(name_slice(principal), name_slice(&m->principal)) && key->etype == ETYPE_AES128_CBC_HS256)
            TRY(add_version(m, key));
    return m->n ? RC_OK : RC_NO_KEY;
}

enum rc master_load(const char *path, const struct name *realm, struct master **ret)
{
    struct master *m =
        mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* whole pages, zeroed */
    if (m == MAP_FAILED)
        return RC_NO_MEMORY;
    (void)mlock(m, sizeof *m); /* refused where the limit of locked memory is small */
    (void)madvise(m, sizeof *m, MADV_DONTDUMP);
    enum rc rc = fill(m, path, realm);
    if (rc != RC_OK) {
        master_free(m);
        return rc;
    }
    *ret = m;
    return RC_OK;
}

void master_free(struct master *m)
{
    if (!m)
        return;
    keytab_free(m->keys);
    wipe(m, sizeof *m);
    (void)munmap(m, sizeof *m);
}

void master_done(struct master **m)
{
    master_free(*m);
    *m = NULL;
}

enum rc master_create(const char *path)
{
    AUTO(keytab_done) struct keytab *keys = NULL;
    AUTO(key_done) struct key key = {0};
    struct name principal;

    if (access(path, F_OK) == 0)
        return RC_EXISTS;
    TRY(master_name(&principal));
    TRY(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &key));
    TRY(keytab_new(&keys));
    TRY(keytab_add(keys, &principal, &key));
    return keytab_save(keys, path);
}

enum rc master_derive(const struct master *m, enum label label, uint32_t kvno, struct envelope_key *ret)
{
    const struct key *key = keytab_find(m->keys, &m->principal, ETYPE_AES128_CBC_HS256, kvno);
    return key ? envelope_derive(key, label, ret) : RC_NO_KVNO;
}

/* The newest version whose time has come; the oldest when none has. */
static const struct envelope_key *current(const struct master *m)
{
    int64_t now = clock_s();
    size_t best = m->n;

    for (size_t i = 0; i < m->n; i++)
        if (m->version[i].valid_from <= now && (best == m->n || m->version[i].row.kvno > m->version[best].row.kvno))
            best = i;
    return &m->version[best == m->n ? 0 : best].row;
}

uint32_t master_kvno(const struct master *m)
{
    return current(m)->kvno;
}

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

enum rc row_seal(const struct master *m, const struct row_ref *ref, struct slice plain, struct buf *out)
{
    AUTO(buf_done) struct buf context = {0};

    TRY(row_context(ref, &context));
    struct envelope_aad aad = row_aad(m, ref, buf_slice(&context));
    return envelope_seal(current(m), &aad, plain, out);
}

enum rc row_open(const struct master *m, const struct row_ref *ref, struct slice sealed, struct buf *ret_plain)
{
    AUTO(buf_done) struct buf context = {0};
    uint32_t kvno;

    TRY(row_context(ref, &context));
    TRY(envelope_kvno(sealed, &kvno));
    struct envelope_aad aad = row_aad(m, ref, buf_slice(&context));
    for (size_t i = 0; i < m->n; i++)
        if (m->version[i].row.kvno == kvno)
            return envelope_open(&m->version[i].row, &aad, sealed, ret_plain);
    return RC_NO_KVNO;
}

enum rc master_audit_key(void *ctx, uint32_t kvno, struct envelope_key *ret)
{
    const struct master *m = ctx;
    return master_derive(m, LABEL_AUDIT, kvno ? kvno : master_kvno(m), ret);
}
