/*
 * Keytabs: sorted by principal, encryption type and version, so that a key is found by halving.
 *
 * The entries lie in the ordinary heap, the keys themselves in the secure one.
 */
#include "shared/crypto/key.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/file.h"
#include "shared/base/json.h"

#define KEYTAB_VERSION 1
#define KEYTAB_DEPTH   3 /* object, list, object */
#define KEYTAB_FIRST   4 /* entries: a daemon has a handful */

struct entry {
    struct name principal;
    struct key *key; /* secure heap */
};

struct keytab {
    struct entry *entries;
    size_t n, cap;
};

enum rc keytab_new(struct keytab **ret)
{
    TRY(crypto_setup());
    struct keytab *kt = calloc(1, sizeof(*kt));
    if (!kt)
        return RC_NO_MEMORY;
    *ret = kt;
    return RC_OK;
}

static void entry_done(struct entry *e)
{
    OPENSSL_secure_clear_free(e->key, sizeof(*e->key));
    e->key = NULL;
}

void keytab_free(struct keytab *kt)
{
    if (!kt)
        return;
    for (size_t i = 0; i < kt->n; i++)
        entry_done(&kt->entries[i]);
    free(kt->entries);
    free(kt);
}

void keytab_done(struct keytab **kt)
{
    keytab_free(*kt);
    *kt = NULL;
}

static int entry_cmp(const struct entry *e, const struct name *principal, enum etype etype, uint32_t kvno)
{
    int d = slice_cmp(name_slice(&e->principal), name_slice(principal));
    if (d)
        return d;
    if (e->key->etype != etype)
        return e->key->etype < etype ? -1 : 1;
    return (e->key->kvno > kvno) - (e->key->kvno < kvno);
}

/* The first place whose entry is not below the given one: where it is, or where it belongs. */
static size_t lower_bound(const struct keytab *kt, const struct name *principal, enum etype etype, uint32_t kvno)
{
    size_t from = 0, to = kt->n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (entry_cmp(&kt->entries[mid], principal, etype, kvno) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static bool is_at(const struct keytab *kt, size_t i, const struct name *principal, enum etype etype, uint32_t kvno)
{
    return i < kt->n && entry_cmp(&kt->entries[i], principal, etype, kvno) == 0;
}

static enum rc grow(struct keytab *kt)
{
    if (kt->n == KEYTAB_KEYS_MAX)
        return RC_LIMIT;
    if (kt->n < kt->cap)
        return RC_OK;
    size_t cap = kt->cap ? kt->cap * 2 : KEYTAB_FIRST;
    struct entry *entries = realloc(kt->entries, cap * sizeof(*entries));
    if (!entries)
        return RC_NO_MEMORY;
    kt->entries = entries;
    kt->cap = cap;
    return RC_OK;
}

enum rc keytab_add(struct keytab *kt, const struct name *principal, const struct key *key)
{
    if (key->n == 0 || key->n != etype_key_len(key->etype))
        return RC_BAD_ETYPE;
    size_t i = lower_bound(kt, principal, key->etype, key->kvno);
    if (is_at(kt, i, principal, key->etype, key->kvno))
        return RC_EXISTS;
    TRY(grow(kt));
    struct entry e = {.principal = *principal, .key = OPENSSL_secure_zalloc(sizeof(*key))};
    if (!e.key)
        return RC_NO_MEMORY;
    *e.key = *key;
    memmove(&kt->entries[i + 1], &kt->entries[i], (kt->n - i) * sizeof(e));
    kt->entries[i] = e;
    kt->n++;
    return RC_OK;
}

void keytab_purge(struct keytab *kt, const struct name *principal, uint32_t keep_from)
{
    size_t kept = 0;

    for (size_t i = 0; i < kt->n; i++) {
        struct entry *e = &kt->entries[i];
        if (e->key->kvno < keep_from && slice_eq(name_slice(&e->principal), name_slice(principal)))
            entry_done(e);
        else
            kt->entries[kept++] = *e;
    }
    kt->n = kept;
}

const struct key *keytab_find(const struct keytab *kt, const struct name *principal, enum etype etype, uint32_t kvno)
{
    size_t i = lower_bound(kt, principal, etype, kvno);
    return is_at(kt, i, principal, etype, kvno) ? kt->entries[i].key : NULL;
}

const struct key *keytab_current(const struct keytab *kt, const struct name *principal, enum etype etype, int64_t now_s)
{
    const struct key *newest = NULL;

    for (size_t i = lower_bound(kt, principal, etype, 0); i < kt->n; i++) {
        const struct key *key = kt->entries[i].key;
        if (!is_at(kt, i, principal, etype, key->kvno))
            break;
        if (key->valid_from <= now_s)
            newest = key;
    }
    return newest;
}

bool keytab_at(const struct keytab *kt, size_t i, const struct name **ret_principal, const struct key **ret_key)
{
    if (i >= kt->n)
        return false;
    *ret_principal = &kt->entries[i].principal;
    *ret_key = kt->entries[i].key;
    return true;
}

/* Keys that everybody knows: those of the original's example configuration, and a field that was never filled. */
static enum rc check_not_default(const struct key *key)
{
    static const char *const known[] = {"tgs_key", "service_key"};
    uint8_t digest[SHA256_LEN], differs = 0;

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        TRY(sha256(slice_text(known[i]), digest));
        if (ct_equal(digest, key->bytes, AES128_KEY))
            return RC_NO_KEY;
    }
    for (size_t i = 1; i < key->n; i++)
        differs |= key->bytes[i] ^ key->bytes[0];
    return differs ? RC_OK : RC_NO_KEY;
}

static enum rc parse_key(const json_t *j, struct name *ret_principal, struct key *ret)
{
    struct slice principal, etype, text;
    int64_t kvno;

    TRY(json_get_text(j, "principal", &principal));
    TRY(name_parse(principal, ret_principal));
    TRY(json_get_text(j, "etype", &etype));
    TRY(etype_parse(etype, &ret->etype));
    TRY(json_get_int(j, "kvno", &kvno));
    TRY(json_get_int(j, "valid_from", &ret->valid_from));
    TRY(json_get_text(j, "key", &text));
    if (kvno < 1 || kvno > UINT32_MAX)
        return RC_MALFORMED;
    ret->kvno = (uint32_t)kvno;
    ret->n = (uint8_t)etype_key_len(ret->etype);
    TRY(base64url_decode_exact(text, ret->bytes, ret->n));
    return check_not_default(ret);
}

static enum rc add_all(struct keytab *kt, const json_t *keys)
{
    if (json_array_size(keys) > KEYTAB_KEYS_MAX)
        return RC_LIMIT;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        AUTO(key_done) struct key key = {0};
        struct name principal;
        TRY(parse_key(json_array_get(keys, i), &principal, &key));
        enum rc rc = keytab_add(kt, &principal, &key);
        if (rc != RC_OK)
            return rc == RC_EXISTS ? RC_MALFORMED : rc;
    }
    return RC_OK;
}

static enum rc parse(struct slice text, struct keytab *kt)
{
    AUTO(json_done) json_t *j = NULL;
    int64_t version;

    TRY(json_parse_object(text, KEYTAB_DEPTH, &j));
    TRY(json_get_int(j, "keytab", &version));
    const json_t *keys = json_object_get(j, "keys");
    if (version != KEYTAB_VERSION || !json_is_array(keys))
        return RC_MALFORMED;
    return add_all(kt, keys);
}

static enum rc load(const char *path, enum file_safety safety, struct keytab **ret)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(keytab_done) struct keytab *kt = NULL;

    TRY(file_read(path, KEYTAB_FILE_MAX, safety, &text));
    TRY(keytab_new(&kt));
    TRY(parse(buf_slice(&text), kt));
    *ret = kt;
    kt = NULL;
    return RC_OK;
}

enum rc keytab_load(const char *path, struct keytab **ret)
{
    return load(path, FILE_PRIVATE, ret);
}

enum rc keytab_load_credential(const char *path, struct keytab **ret)
{
    return load(path, FILE_CREDENTIAL, ret);
}

enum rc master_source_parse(const char *text, enum master_source *ret)
{
    static const char *const names[] = {"file", "credential", "shares"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum master_source)i;
            return RC_OK;
        }
    }
    return RC_MALFORMED;
}

enum rc keytab_save(const struct keytab *kt, const char *path)
{
    AUTO(buf_done) struct buf text = {0};
    struct jw w = jw_start(&text);

    jw_open(&w, NULL, '{');
    jw_int(&w, "keytab", KEYTAB_VERSION);
    jw_open(&w, "keys", '[');
    for (size_t i = 0; i < kt->n; i++) {
        const struct entry *e = &kt->entries[i];
        jw_open(&w, NULL, '{');
        jw_text(&w, "principal", name_slice(&e->principal));
        jw_text(&w, "etype", slice_text(etype_name(e->key->etype)));
        jw_int(&w, "kvno", e->key->kvno);
        jw_int(&w, "valid_from", e->key->valid_from);
        jw_base64url(&w, "key", key_slice(e->key));
        jw_close(&w, '}');
    }
    jw_close(&w, ']');
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(buf_byte(&text, '\n'));
    return file_write_atomic(path, buf_slice(&text), 0600);
}
