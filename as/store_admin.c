/* The AS's store: changes of users. Every call is one transaction. */
#include "as/store_rows.h"

#include <string.h>

enum rc as_store_finish(struct as_store *s, enum rc rc)
{
    if (rc == RC_OK)
        rc = db_commit(&s->db);
    if (rc != RC_OK)
        db_rollback(&s->db);
    return rc;
}

enum rc as_run_on(struct as_store *s, enum as_statement which, int64_t row)
{
    TRY(db_bind_int(s->st[which], 1, row));
    return db_run(s->st[which]);
}

/* --- keys --- */

/* The text of a key's row: the key, and behind a sealed one how it is made from the password. */
static enum rc key_text(const struct key *key, const struct userkey_params *params, struct buf *out)
{
    TRY(buf_add(out, key_slice(key)));
    if (!params)
        return RC_OK;
    TRY(buf_add(out, SLICE(params->salt)));
    return buf_u32be(out, params->iterations);
}

/* params: of a sealed key, else NULL. */
static enum rc insert_key(struct as_store *s, const struct as_principal *p, uint32_t kvno, const struct key *key,
                          const struct userkey_params *params)
{
    AUTO(buf_done) struct buf text = {0}, sealed = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_KEY];
    struct as_key_room room;

    if (key->n != etype_key_len(key->etype) || (key->etype == ETYPE_AES128_CBC_HS256) != (params != NULL))
        return RC_BAD_ETYPE;
    if (params && (params->iterations == 0 || params->iterations > USERKEY_ITERATIONS_MAX))
        return RC_LIMIT;
    struct row_ref ref = as_key_ref(p, key->etype, kvno, &room);
    TRY(key_text(key, params, &text));
    TRY(row_seal(s->master, &ref, buf_slice(&text), &sealed));
    TRY(db_bind_int(st, 1, p->row));
    TRY(db_bind_int(st, 2, key->etype));
    TRY(db_bind_int(st, 3, kvno));
    TRY(db_bind_blob(st, 4, buf_slice(&sealed)));
    TRY(db_bind_int(st, 5, params ? params->iterations : 0));
    TRY(db_bind_blob(st, 6, params && p->row ? SLICE(p->client_id) : slice_of("", 0)));
    return db_run(st);
}

static enum rc insert_keys(struct as_store *s, const struct as_principal *p, uint32_t kvno, const struct as_keys *keys)
{
    if (keys->sealed.n) {
        if (keys->sealed.etype != ETYPE_AES128_CBC_HS256)
            return RC_BAD_ETYPE;
        TRY(insert_key(s, p, kvno, &keys->sealed, &keys->params));
    }
    if (!keys->classic.n)
        return RC_OK;
    return keys->classic.etype == ETYPE_AES128_CBC ? insert_key(s, p, kvno, &keys->classic, NULL) : RC_BAD_ETYPE;
}

static enum rc set_changed(struct as_store *s, const struct as_principal *p, int64_t now_s)
{
    TRY(db_bind_int(s->st[ST_CHANGED], 2, now_s));
    return as_run_on(s, ST_CHANGED, p->row);
}

enum rc as_replace_keys(struct as_store *s, const struct as_principal *p, const struct as_keys *keys, int64_t now_s)
{
    TRY(as_run_on(s, ST_DROP_KEYS, p->row));
    TRY(insert_keys(s, p, p->kvno + 1, keys));
    TRY(as_drop_resets(s, p->client_id));
    return set_changed(s, p, now_s);
}

/* --- the decoy --- */

static enum rc decoy_row(struct as_store *s, struct as_principal *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD_DECOY];

    TRY(random_bytes(ret->client_id, ID_LEN));
    TRY(db_bind_blob(st, 1, SLICE(ret->client_id)));
    enum rc rc = db_run(st);
    return rc == RC_EXISTS ? RC_OK : rc;
}

/* The decoy as it is in the file; it has no keys yet, or those of an older schema. */
static enum rc find_decoy(struct as_store *s, struct as_principal *ret)
{
    sqlite3_stmt *st = NULL;
    bool found = false;

    TRY(db_prepare(&s->db, "SELECT client_id FROM principal WHERE id = 0", &st));
    enum rc rc = db_step(st, &found);
    if (rc == RC_OK && found && db_blob(st, 0).n == ID_LEN)
        memcpy(ret->client_id, db_blob(st, 0).p, ID_LEN);
    (void)sqlite3_finalize(st);
    return rc == RC_OK && !found ? RC_NOT_FOUND : rc;
}

static enum rc ensure_decoy_key(struct as_store *s, const struct as_principal *decoy, enum etype etype)
{
    AUTO(key_done) struct key key = {0};
    struct userkey_params params;

    enum rc rc = as_store_key(s, decoy, etype, &key, NULL);
    if (rc != RC_NO_CLIENT_KEY)
        return rc == RC_BAD_ROW ? RC_OK : rc; /* told by whoever reads it next */
    TRY(key_random(etype, 1, 0, &key));
    if (etype == ETYPE_AES128_CBC)
        return insert_key(s, decoy, 1, &key, NULL);
    TRY(userkey_params_make(USERKEY_ITERATIONS, &params));
    return insert_key(s, decoy, 1, &key, &params);
}

static enum rc ensure_decoy(struct as_store *s)
{
    struct as_principal decoy = {0};

    enum rc rc = find_decoy(s, &decoy);
    if (rc == RC_NOT_FOUND)
        rc = decoy_row(s, &decoy);
    TRY(rc);
    TRY(ensure_decoy_key(s, &decoy, ETYPE_AES128_CBC));
    return ensure_decoy_key(s, &decoy, ETYPE_AES128_CBC_HS256);
}

enum rc as_store_ensure_decoy(struct as_store *s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, ensure_decoy(s));
}

/* --- users --- */

enum rc as_raise_epoch(struct as_store *s, struct as_principal *p, int64_t now_s)
{
    struct as_feed_item item = {.kind = FEED_EPOCH, .number = ++p->epoch};

    memcpy(item.client_id, p->client_id, ID_LEN);
    TRY(db_bind_int(s->st[ST_RAISE_EPOCH], 2, p->epoch));
    TRY(as_run_on(s, ST_RAISE_EPOCH, p->row));
    return as_feed_append(s, &item, now_s);
}

enum rc as_insert_user(struct as_store *s, const struct name *name, const struct as_keys *keys, int64_t now_s,
                       struct as_principal *ret)
{
    AUTO(buf_done) struct buf folded = {0};
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ADD];

    *ret = (struct as_principal){.name = *name};
    TRY(name_fold(name, &folded));
    TRY(random_bytes(ret->client_id, ID_LEN));
    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_bind_blob(st, 2, buf_slice(&folded)));
    TRY(db_bind_blob(st, 3, SLICE(ret->client_id)));
    TRY(db_bind_int(st, 4, now_s));
    TRY(db_run(st));
    ret->row = sqlite3_last_insert_rowid(s->db.h);
    return insert_keys(s, ret, 1, keys);
}

enum rc as_store_add(struct as_store *s, const struct name *name, const struct as_keys *keys, int64_t now_s)
{
    struct as_principal p;

    TRY(db_begin(&s->db));
    return as_store_finish(s, as_insert_user(s, name, keys, now_s, &p));
}

static enum rc rekey(struct as_store *s, const struct name *name, const struct as_rekey *change, int64_t now_s)
{
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    if (change->expect_kvno && change->expect_kvno != p.kvno)
        return RC_REPEAT;
    TRY(as_replace_keys(s, &p, change->keys, now_s));
    return change->cut_off ? as_raise_epoch(s, &p, now_s) : RC_OK;
}

enum rc as_store_rekey(struct as_store *s, const struct name *name, const struct as_rekey *change, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, rekey(s, name, change, now_s));
}

static enum rc drop_key(struct as_store *s, const struct as_principal *p, enum etype etype)
{
    TRY(db_bind_int(s->st[ST_DROP_KEY], 2, etype));
    return as_run_on(s, ST_DROP_KEY, p->row);
}

static enum rc strengthen(struct as_store *s, const struct name *name, const struct as_rekey *change, int64_t now_s)
{
    AUTO(key_done) struct key old = {0};
    struct userkey_params now;
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    if (change->expect_kvno && change->expect_kvno != p.kvno)
        return RC_REPEAT;
    TRY(as_store_key(s, &p, ETYPE_AES128_CBC_HS256, &old, &now));
    if (change->keys->params.iterations <= now.iterations)
        return RC_LIMIT;
    TRY(drop_key(s, &p, ETYPE_AES128_CBC_HS256));
    TRY(insert_key(s, &p, p.kvno + 1, &change->keys->sealed, &change->keys->params));
    return set_changed(s, &p, now_s);
}

enum rc as_store_strengthen(struct as_store *s, const struct name *name, const struct as_rekey *change, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, strengthen(s, name, change, now_s));
}

static enum rc keep_profiles(struct as_store *s, const struct name *name, unsigned profiles, int64_t now_s)
{
    static const enum etype all[] = {ETYPE_AES128_CBC_HS256, ETYPE_AES128_CBC};
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    if (!profiles || (profiles & ~p.profiles))
        return RC_NO_CLIENT_KEY;
    if (profiles == p.profiles)
        return RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!(profiles & PROFILE_BIT(all[i])))
            TRY(drop_key(s, &p, all[i]));
    TRY(set_changed(s, &p, now_s));
    return as_raise_epoch(s, &p, now_s);
}

enum rc as_store_keep_profiles(struct as_store *s, const struct name *name, unsigned profiles, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, keep_profiles(s, name, profiles, now_s));
}

static enum rc set_disabled(struct as_store *s, const struct name *name, bool disabled, int64_t now_s)
{
    sqlite3_stmt *st = s->st[ST_SET_DISABLED];
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    if (p.disabled == disabled)
        return RC_OK;
    TRY(db_bind_int(st, 2, disabled));
    TRY(db_bind_int(st, 3, now_s));
    TRY(as_run_on(s, ST_SET_DISABLED, p.row));
    return disabled ? as_raise_epoch(s, &p, now_s) : RC_OK;
}

enum rc as_store_set_disabled(struct as_store *s, const struct name *name, bool disabled, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, set_disabled(s, name, disabled, now_s));
}

static enum rc set_admin(struct as_store *s, const struct name *name, bool is_admin)
{
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    TRY(db_bind_int(s->st[ST_SET_ADMIN], 2, is_admin));
    return as_run_on(s, ST_SET_ADMIN, p.row);
}

enum rc as_store_set_admin(struct as_store *s, const struct name *name, bool is_admin)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, set_admin(s, name, is_admin));
}

static enum rc cut_off(struct as_store *s, const struct name *name, int64_t now_s)
{
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    return as_raise_epoch(s, &p, now_s);
}

enum rc as_store_cut_off(struct as_store *s, const struct name *name, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, cut_off(s, name, now_s));
}

static enum rc delete_principal(struct as_store *s, const struct name *name, int64_t now_s)
{
    struct as_principal p;

    TRY(as_store_find(s, name, &p));
    TRY(as_raise_epoch(s, &p, now_s));
    TRY(as_run_on(s, ST_DROP_KEYS, p.row));
    return as_run_on(s, ST_DELETE, p.row);
}

enum rc as_store_delete(struct as_store *s, const struct name *name, int64_t now_s)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, delete_principal(s, name, now_s));
}

/* --- walks --- */

static enum rc walk(sqlite3_stmt *st, enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx)
{
    struct as_principal p;

    for (;;) {
        bool more;
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        TRY(as_row_principal(st, &p));
        p.profiles = (unsigned)db_int(st, 9);
        TRY(each(ctx, &p));
    }
}

enum rc as_store_each(struct as_store *s, enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_EACH];
    return walk(st, each, ctx);
}

enum rc as_store_list(struct as_store *s, const struct as_part *part,
                      enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_LIST];

    TRY(db_bind_text(st, 1, part->after));
    TRY(db_bind_text(st, 2, part->prefix));
    TRY(db_bind_int(st, 3, part->limit));
    return walk(st, each, ctx);
}
