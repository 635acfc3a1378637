/* The AS's store, the daemon's side: opening, schema, and the reads of a login. */
#include "as/store_rows.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/file.h"

static const char *const migrations[] = {
    "CREATE TABLE principal ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"   /* NFC, as registered */
    " folded BLOB NOT NULL UNIQUE," /* names that differ in case only are one name */
    " client_id BLOB NOT NULL UNIQUE CHECK (length(client_id) = 16),"
    " disabled INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL,"
    " created_s INTEGER NOT NULL,"
    " changed_s INTEGER NOT NULL);"
    "CREATE TABLE principal_key ("
    " principal INTEGER NOT NULL REFERENCES principal(id),"
    " etype INTEGER NOT NULL,"
    " kvno INTEGER NOT NULL,"
    " sealed BLOB NOT NULL,"
    " PRIMARY KEY (principal, etype, kvno)) WITHOUT ROWID;"
    "CREATE TABLE tgs_key ("
    " kvno INTEGER PRIMARY KEY,"
    " valid_from_s INTEGER NOT NULL,"
    " sealed BLOB NOT NULL);",
};

static const struct db_schema schema = {
    .application_id = 0x6B415331, /* "kAS1" */
    .migrations = migrations,
    .version = ARRAY_LEN(migrations),
};

#define PRINCIPAL_COLUMNS "p.id, p.name, p.client_id, p.disabled, p.epoch, p.created_s, p.changed_s"
#define NEWEST_KVNO       "(SELECT coalesce(max(kvno), 0) FROM principal_key WHERE principal = p.id)"

/* The decoy is row 0 of principal; its name is empty, which no name can be. */
static const char *const statements[ST_COUNT] = {
    [ST_LOGIN] = "SELECT " PRINCIPAL_COLUMNS ", k.kvno, k.sealed FROM principal p"
                 " JOIN principal_key k ON k.principal = p.id AND k.etype = ?2"
                 " WHERE p.id = coalesce((SELECT id FROM principal WHERE name = ?1), 0)"
                 " ORDER BY k.kvno DESC LIMIT 1",
    [ST_FIND] = "SELECT " PRINCIPAL_COLUMNS ", " NEWEST_KVNO " FROM principal p WHERE p.name = ?1 AND p.id > 0",
    [ST_EACH] = "SELECT " PRINCIPAL_COLUMNS ", " NEWEST_KVNO " FROM principal p WHERE p.id > 0 ORDER BY p.name",
    [ST_KEY] = "SELECT kvno, sealed FROM principal_key WHERE principal = ?1 AND etype = ?2 ORDER BY kvno DESC LIMIT 1",
    [ST_TGS_KEY] = "SELECT kvno, valid_from_s, sealed FROM tgs_key WHERE valid_from_s <= ?1 ORDER BY kvno DESC LIMIT 1",
    [ST_ADD] = "INSERT INTO principal (name, folded, client_id, disabled, epoch, created_s, changed_s)"
               " VALUES (?1, ?2, ?3, 0, 0, ?4, ?4)",
    [ST_ADD_DECOY] = "INSERT INTO principal (id, name, folded, client_id, disabled, epoch, created_s, changed_s)"
                     " VALUES (0, '', x'', ?1, 0, 0, 0, 0)",
    [ST_ADD_KEY] = "INSERT INTO principal_key (principal, etype, kvno, sealed) VALUES (?1, ?2, ?3, ?4)",
    [ST_CHANGED] = "UPDATE principal SET changed_s = ?2 WHERE id = ?1",
    [ST_DROP_KEYS] = "DELETE FROM principal_key WHERE principal = ?1",
    [ST_SET_DISABLED] = "UPDATE principal SET disabled = ?2, epoch = ?3, changed_s = ?4 WHERE id = ?1",
    [ST_DELETE] = "DELETE FROM principal WHERE id = ?1",
    [ST_ADD_TGS_KEY] = "INSERT INTO tgs_key (kvno, valid_from_s, sealed) VALUES (?1, ?2, ?3)",
    [ST_ALL_KEYS] = "SELECT " PRINCIPAL_COLUMNS ", k.kvno, k.sealed, k.etype FROM principal_key k"
                    " LEFT JOIN principal p ON p.id = k.principal",
    [ST_ALL_TGS_KEYS] = "SELECT kvno, sealed FROM tgs_key",
};

/* No client can write the empty name: it finds the decoy. That its row opens shows that master key and file match. */
static enum rc check_decoy(struct as_store *s)
{
    AUTO(key_done) struct key key = {0};
    struct as_principal p;
    const struct name none = {0};
    enum rc why;
    return as_store_login(s, &none, ETYPE_AES128_CBC, &p, &key, &why);
}

static enum rc open_parts(struct as_store *s, const struct conf *conf, enum db_mode mode)
{
    AUTO(str_done) char *dir = NULL;
    AUTO(str_done) char *master = NULL;
    AUTO(str_done) char *file = NULL;

    TRY(conf_path(conf, "as", &dir));
    TRY(conf_path(conf, "as/master.key", &master));
    TRY(conf_path(conf, "as/as.db", &file));
    TRY(dir_check_private(dir));
    TRY(master_load(master, &conf->realm, &s->master));
    TRY(db_open(file, &schema, mode, &s->db));
    for (int i = 0; i < ST_COUNT; i++)
        TRY(db_prepare(&s->db, statements[i], &s->st[i]));
    if (mode != DB_READ)
        TRY(as_store_ensure_decoy(s));
    return check_decoy(s);
}

enum rc as_store_open(const struct conf *conf, enum db_mode mode, struct as_store **ret)
{
    struct as_store *s = calloc(1, sizeof *s);
    if (!s)
        return RC_NO_MEMORY;
    enum rc rc = open_parts(s, conf, mode);
    if (rc != RC_OK) {
        as_store_close(s);
        return rc;
    }
    *ret = s;
    return RC_OK;
}

void as_store_close(struct as_store *s)
{
    if (!s)
        return;
    db_close(&s->db);
    master_free(s->master);
    key_done(&s->tgs.key);
    free(s);
}

void as_store_done(struct as_store **s)
{
    as_store_close(*s);
    *s = NULL;
}

const char *as_store_error(const struct as_store *s)
{
    return db_error(&s->db);
}

enum rc as_row_principal(sqlite3_stmt *st, struct as_principal *ret)
{
    struct slice name = db_text(st, 1), id = db_blob(st, 2);
    if (name.n > NAME_MAX_BYTES || id.n != ID_LEN)
        return RC_DB;
    *ret = (struct as_principal){
        .row = db_int(st, 0),
        .name.n = (uint16_t)name.n,
        .disabled = db_int(st, 3) != 0,
        .epoch = (uint32_t)db_int(st, 4),
        .created_s = db_int(st, 5),
        .changed_s = db_int(st, 6),
        .kvno = (uint32_t)db_int(st, 7),
    };
    if (name.n)
        memcpy(ret->name.s, name.p, name.n);
    memcpy(ret->client_id, id.p, ID_LEN);
    return RC_OK;
}

struct row_ref as_key_ref(const struct as_principal *p, enum etype etype, uint32_t kvno, struct as_key_room *room)
{
    memcpy(room->bytes, p->client_id, ID_LEN);
    memcpy(room->bytes + ID_LEN, p->name.s, p->name.n);
    return (struct row_ref){"principal_key", slice_of(room->bytes, ID_LEN + p->name.n), etype_name(etype), kvno};
}

struct row_ref as_tgs_key_ref(uint32_t kvno)
{
    return (struct row_ref){"tgs_key", slice_text(AS_TGS_NAME), etype_name(ETYPE_AES128_CBC_HS256), kvno};
}

enum rc as_key_open(const struct as_store *s, const struct row_ref *ref, enum etype etype, struct slice sealed,
                    struct key *ret)
{
    AUTO(buf_done) struct buf plain = {0};

    enum rc rc = row_open(s->master, ref, sealed, &plain);
    if (rc == RC_MODIFIED || rc == RC_NO_KVNO)
        return RC_BAD_ROW;
    TRY(rc);
    if (plain.n != etype_key_len(etype) || plain.n > KEY_MAX)
        return RC_BAD_ROW;
    *ret = (struct key){.etype = etype, .kvno = ref->kvno, .n = (uint8_t)plain.n};
    memcpy(ret->bytes, plain.p, plain.n);
    return RC_OK;
}

enum rc as_store_find(struct as_store *s, const struct name *name, struct as_principal *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FIND];
    bool found;

    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_step(st, &found));
    return found ? as_row_principal(st, ret) : RC_NO_CLIENT;
}

enum rc as_store_key(struct as_store *s, const struct as_principal *p, enum etype etype, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_KEY];
    struct as_key_room room;
    bool found;

    TRY(db_bind_int(st, 1, p->row));
    TRY(db_bind_int(st, 2, etype));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_CLIENT_KEY;
    struct row_ref ref = as_key_ref(p, etype, (uint32_t)db_int(st, 0), &room);
    return as_key_open(s, &ref, etype, db_blob(st, 1), ret);
}

static enum rc login_row(struct as_store *s, struct slice name, enum etype etype, struct as_principal *ret_p,
                         struct key *ret_key)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_LOGIN];
    struct as_key_room room;
    bool found;

    TRY(db_bind_text(st, 1, name));
    TRY(db_bind_int(st, 2, etype));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_CLIENT_KEY;
    TRY(as_row_principal(st, ret_p));
    struct row_ref ref = as_key_ref(ret_p, etype, ret_p->kvno, &room);
    return as_key_open(s, &ref, etype, db_blob(st, 8), ret_key);
}

enum rc as_store_login(struct as_store *s, const struct name *name, enum etype etype, struct as_principal *ret_p,
                       struct key *ret_key, enum rc *ret_why)
{
    enum rc why = RC_OK;
    enum rc rc = login_row(s, name_slice(name), etype, ret_p, ret_key);
    if (rc == RC_NO_CLIENT_KEY) {
        why = rc;
        rc = login_row(s, slice_text(""), etype, ret_p, ret_key);
    }
    if (rc != RC_OK)
        return rc == RC_NO_CLIENT_KEY ? RC_NO_KEY : rc; /* no decoy: not a file of kerbadm's */
    if (why == RC_OK && ret_p->row == 0)
        why = RC_NO_CLIENT;
    *ret_why = why;
    return RC_OK;
}

static enum rc read_tgs_key(struct as_store *s, int64_t now_s, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_TGS_KEY];
    bool found;

    TRY(db_bind_int(st, 1, now_s));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_KEY;
    struct row_ref ref = as_tgs_key_ref((uint32_t)db_int(st, 0));
    TRY(as_key_open(s, &ref, ETYPE_AES128_CBC_HS256, db_blob(st, 2), ret));
    ret->valid_from = db_int(st, 1);
    return RC_OK;
}

/* The same second and the same data give the same key; the read of the login before has noticed when they changed. */
enum rc as_store_tgs_key(struct as_store *s, int64_t now_s, struct key *ret)
{
    unsigned version = 0;

    (void)sqlite3_file_control(s->db.h, "main", SQLITE_FCNTL_DATA_VERSION, &version);
    if (!s->tgs.key.n || s->tgs.now_s != now_s || s->tgs.version != version) {
        s->tgs.key.n = 0;
        TRY(read_tgs_key(s, now_s, &s->tgs.key));
        s->tgs.now_s = now_s;
        s->tgs.version = version;
    }
    *ret = s->tgs.key;
    return RC_OK;
}
