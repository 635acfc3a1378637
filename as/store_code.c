/*
 * The AS's store: one-time codes.
 *
 * A row is named by a digest of the code and sealed over its key, its end, and whom it is for; a reset is for a client
 * id, so that a later user of the same name cannot be reset with it.
 */
#include "as/store_rows.h"

#include <string.h>

#define HEAD_LEN (KEY_MAX + 8 + ID_LEN) /* key, expiry u64be, client id; behind it the name */

static const char *const kind_names[] = {
    [AS_CODE_REGISTER] = "register",
    [AS_CODE_RESET] = "reset",
    [AS_CODE_ADMIN] = "first-admin",
};

const char *as_code_kind_name(enum as_code_kind kind)
{
    return (size_t)kind < ARRAY_LEN(kind_names) ? kind_names[kind] : "?";
}

struct row_ref as_code_ref(const uint8_t id[ONECODE_ID_LEN], enum as_code_kind kind)
{
    return (struct row_ref){"code", slice_of(id, ONECODE_ID_LEN), kind_names[kind], 0};
}

static enum rc code_text(const struct as_code *code, const struct key *key, struct buf *out)
{
    TRY(buf_add(out, key_slice(key)));
    TRY(buf_u64be(out, (uint64_t)code->expires_s));
    TRY(buf_add(out, SLICE(code->client_id)));
    return buf_add(out, name_slice(&code->name));
}

static enum rc insert_code(struct as_store *s, const uint8_t id[ONECODE_ID_LEN], const struct as_code *code,
                           const struct key *key)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_CODE_ADD];
    AUTO(buf_done) struct buf text = {0}, sealed = {0};
    struct row_ref ref = as_code_ref(id, code->kind);

    TRY(code_text(code, key, &text));
    TRY(row_seal(s->master, &ref, buf_slice(&text), &sealed));
    TRY(db_bind_blob(st, 1, slice_of(id, ONECODE_ID_LEN)));
    TRY(db_bind_int(st, 2, code->kind));
    TRY(db_bind_int(st, 3, code->expires_s));
    TRY(db_bind_blob(st, 4, buf_slice(&sealed)));
    return db_run(st);
}

/* The row of ST_CODE_FIND or ST_ALL_CODES that the statement stands on. */
static enum rc open_row(const struct as_store *s, sqlite3_stmt *st, struct as_code *ret, struct key *ret_key)
{
    AUTO(buf_done) struct buf text = {0};
    struct slice id = db_blob(st, 0);
    int64_t kind = db_int(st, 1);

    if (id.n != ONECODE_ID_LEN || kind < 0 || kind >= (int64_t)ARRAY_LEN(kind_names))
        return RC_BAD_ROW;
    struct row_ref ref = as_code_ref(id.p, (enum as_code_kind)kind);
    enum rc rc = row_open(s->master, &ref, db_blob(st, 3), &text);
    if (rc == RC_MODIFIED || rc == RC_NO_KVNO)
        return RC_BAD_ROW;
    TRY(rc);
    if (text.n < HEAD_LEN || text.n > HEAD_LEN + NAME_MAX_BYTES)
        return RC_BAD_ROW;
    *ret = (struct as_code){.kind = (enum as_code_kind)kind, .expires_s = (int64_t)get_u64be(text.p + KEY_MAX)};
    memcpy(ret->client_id, text.p + KEY_MAX + 8, ID_LEN);
    ret->name.n = (uint16_t)(text.n - HEAD_LEN);
    memcpy(ret->name.s, text.p + HEAD_LEN, ret->name.n);
    *ret_key = (struct key){.etype = ETYPE_AES128_CBC_HS256, .n = KEY_MAX};
    memcpy(ret_key->bytes, text.p, KEY_MAX);
    return RC_OK;
}

enum rc as_code_row_opens(const struct as_store *s, sqlite3_stmt *st)
{
    AUTO(key_done) struct key key = {0};
    struct as_code code;
    return open_row(s, st, &code, &key);
}

static enum rc count_codes(struct as_store *s, int64_t *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_CODE_COUNT];
    bool found;

    TRY(db_step(st, &found));
    *ret = db_int(st, 0);
    return RC_OK;
}

/* Whom the code is for: a reset needs a user who is there, the others a name that is free. */
static enum rc check_name(struct as_store *s, const struct name *name, struct as_code *code)
{
    struct as_principal p;

    if (!name)
        return code->kind == AS_CODE_RESET ? RC_NO_CLIENT : RC_OK;
    code->name = *name;
    enum rc rc = as_store_find(s, name, &p);
    if (code->kind != AS_CODE_RESET)
        return rc == RC_OK ? RC_EXISTS : rc == RC_NO_CLIENT ? RC_OK : rc;
    TRY(rc);
    memcpy(code->client_id, p.client_id, ID_LEN);
    return RC_OK;
}

static enum rc make_code(struct as_store *s, struct as_code *code, const struct name *name, struct onecode *ret)
{
    AUTO(key_done) struct key key = {0};
    uint8_t id[ONECODE_ID_LEN];
    int64_t alive;

    TRY(as_run_on(s, ST_CODE_PURGE, code->expires_s - AS_CODE_LIFETIME_S));
    TRY(count_codes(s, &alive));
    if (alive >= AS_CODES_MAX)
        return RC_LIMIT;
    TRY(check_name(s, name, code));
    TRY(onecode_make(ret));
    TRY(onecode_id(ret, id));
    TRY(onecode_key(ret, &key));
    return insert_code(s, id, code, &key);
}

enum rc as_store_code_make(struct as_store *s, enum as_code_kind kind, const struct name *name, int64_t now_s,
                           struct onecode *ret)
{
    struct as_code code = {.kind = kind, .expires_s = now_s + AS_CODE_LIFETIME_S};

    TRY(db_begin(&s->db));
    return as_store_finish(s, make_code(s, &code, name, ret));
}

enum rc as_store_code_find(struct as_store *s, const uint8_t id[ONECODE_ID_LEN], int64_t now_s, struct as_code *ret,
                           struct key *ret_key)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_CODE_FIND];
    bool found;

    TRY(db_bind_blob(st, 1, slice_of(id, ONECODE_ID_LEN)));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NOT_FOUND;
    TRY(open_row(s, st, ret, ret_key));
    return ret->expires_s >= now_s ? RC_OK : RC_NOT_FOUND;
}

static enum rc drop_code(struct as_store *s, const uint8_t id[ONECODE_ID_LEN])
{
    TRY(db_bind_blob(s->st[ST_CODE_DROP], 1, slice_of(id, ONECODE_ID_LEN)));
    return db_run(s->st[ST_CODE_DROP]);
}

/* A row that does not open is of no use to anybody, and no reason to refuse a password. */
static bool is_reset_of(const struct as_store *s, sqlite3_stmt *st, const uint8_t client_id[ID_LEN])
{
    AUTO(key_done) struct key key = {0};
    struct as_code code;

    return db_int(st, 1) == AS_CODE_RESET && open_row(s, st, &code, &key) == RC_OK &&
           memcmp(code.client_id, client_id, ID_LEN) == 0;
}

enum rc as_drop_resets(struct as_store *s, const uint8_t client_id[ID_LEN])
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_ALL_CODES];
    uint8_t id[ONECODE_ID_LEN];
    bool more;

    for (;;) {
        TRY(db_step(st, &more));
        if (!more)
            return RC_OK;
        if (!is_reset_of(s, st, client_id))
            continue;
        memcpy(id, db_blob(st, 0).p, ONECODE_ID_LEN); /* the row that the walk stands on may go */
        TRY(drop_code(s, id));
    }
}

static enum rc use_reset(struct as_store *s, const struct as_code *code, const struct as_keys *keys, int64_t now_s)
{
    struct as_principal p;

    TRY(as_store_find(s, &code->name, &p));
    if (!slice_eq(SLICE(p.client_id), SLICE(code->client_id)))
        return RC_NOT_FOUND;
    TRY(as_replace_keys(s, &p, keys, now_s));
    return as_raise_epoch(s, &p, now_s);
}

static enum rc use_code(struct as_store *s, const uint8_t id[ONECODE_ID_LEN], const struct name *name,
                        const struct as_keys *keys, int64_t now_s, enum as_code_kind *ret_kind)
{
    AUTO(key_done) struct key key = {0};
    struct as_principal p;
    struct as_code code;

    TRY(as_store_code_find(s, id, now_s, &code, &key));
    if (code.name.n && !slice_eq(name_slice(&code.name), name_slice(name)))
        return RC_NOT_FOUND;
    TRY(drop_code(s, id));
    *ret_kind = code.kind;
    if (code.kind == AS_CODE_RESET)
        return use_reset(s, &code, keys, now_s);
    TRY(as_insert_user(s, name, keys, now_s, &p));
    if (code.kind != AS_CODE_ADMIN)
        return RC_OK;
    TRY(db_bind_int(s->st[ST_SET_ADMIN], 2, true));
    return as_run_on(s, ST_SET_ADMIN, p.row);
}

enum rc as_store_code_use(struct as_store *s, const uint8_t id[ONECODE_ID_LEN], const struct name *name,
                          const struct as_keys *keys, int64_t now_s, enum as_code_kind *ret_kind)
{
    TRY(db_begin(&s->db));
    return as_store_finish(s, use_code(s, id, name, keys, now_s, ret_kind));
}
