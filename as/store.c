/* The AS's store, the daemon's side: opening, schema, and the reads of a login. */
#include "as/store_rows.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/file.h"
#include "shared/unseal/place.h"

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

    /* A sealed key's row holds key, salt and iterations; iterations stand beside it too, for made-up parameters. */
    "ALTER TABLE principal ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE principal_key ADD COLUMN iterations INTEGER;"
    "ALTER TABLE principal_key ADD COLUMN spot BLOB;" /* the client id of a user's sealed key: a random place */
    "CREATE INDEX principal_key_spot ON principal_key (spot, iterations) WHERE spot IS NOT NULL;"
    "CREATE TABLE code ("
    " id BLOB PRIMARY KEY CHECK (length(id) = 8),"
    " kind INTEGER NOT NULL,"
    " expires_s INTEGER NOT NULL,"
    " sealed BLOB NOT NULL) WITHOUT ROWID;" /* key, expiry, client id, name */
    "CREATE TABLE feed ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time_s INTEGER NOT NULL,"
    " kind INTEGER NOT NULL,"
    " client_id BLOB NOT NULL,"
    " number INTEGER NOT NULL,"
    " text TEXT NOT NULL);",
};

static const struct db_schema schema = {
    .application_id = 0x6B415331, /* "kAS1" */
    .migrations = migrations,
    .version = ARRAY_LEN(migrations),
};

#define PRINCIPAL_COLUMNS "p.id, p.name, p.client_id, p.disabled, p.epoch, p.created_s, p.changed_s, p.admin"
#define KEY_SUMMARY                                                              \
    "(SELECT coalesce(max(kvno), 0) FROM principal_key WHERE principal = p.id)," \
    " (SELECT coalesce(sum(DISTINCT 1 << etype), 0) FROM principal_key WHERE principal = p.id)"

/* The decoy is row 0 of principal; its name is empty, which no name can be. */
static const char *const statements[ST_COUNT] = {
    /* A name that is there and one that is not take the same steps: what differs could be timed. */
    [ST_LOGIN] = "SELECT " PRINCIPAL_COLUMNS ", k.kvno, k.sealed, EXISTS (SELECT 1 FROM principal WHERE name = ?1)"
                 " FROM principal p JOIN principal_key k ON k.principal = p.id AND k.etype = ?2"
                 " WHERE p.id = coalesce((SELECT o.principal FROM principal_key o WHERE o.etype = ?2 AND o.principal ="
                 " coalesce((SELECT id FROM principal WHERE name = ?1), 0)), 0)"
                 " ORDER BY k.kvno DESC LIMIT 1",
    [ST_PICK] = "SELECT iterations FROM principal_key WHERE spot >= ?1 ORDER BY spot LIMIT 1",
    [ST_PICK_FIRST] = "SELECT iterations FROM principal_key WHERE spot IS NOT NULL ORDER BY spot LIMIT 1",
    [ST_FIND] = "SELECT " PRINCIPAL_COLUMNS ", " KEY_SUMMARY " FROM principal p WHERE p.name = ?1 AND p.id > 0",
    [ST_EACH] = "SELECT " PRINCIPAL_COLUMNS ", " KEY_SUMMARY " FROM principal p WHERE p.id > 0 ORDER BY p.name",
    [ST_LIST] = "SELECT " PRINCIPAL_COLUMNS ", " KEY_SUMMARY " FROM principal p WHERE p.id > 0 AND p.name > ?1"
                " AND p.name >= ?2 AND substr(p.name, 1, length(?2)) = ?2 ORDER BY p.name LIMIT ?3",
    [ST_KEY] = "SELECT kvno, sealed FROM principal_key WHERE principal = ?1 AND etype = ?2 ORDER BY kvno DESC LIMIT 1",
    [ST_TGS_KEY] = "SELECT kvno, valid_from_s, sealed FROM tgs_key WHERE valid_from_s <= ?1 ORDER BY kvno DESC LIMIT 1",
    [ST_TGS_KEY_VERSION] = "SELECT kvno, valid_from_s, sealed FROM tgs_key WHERE kvno = ?1",
    [ST_TGS_KEY_NEWEST] = "SELECT kvno, valid_from_s FROM tgs_key ORDER BY kvno DESC LIMIT 1",
    [ST_ADD] = "INSERT INTO principal (name, folded, client_id, disabled, epoch, created_s, changed_s)"
               " VALUES (?1, ?2, ?3, 0, 0, ?4, ?4)",
    [ST_ADD_DECOY] = "INSERT INTO principal (id, name, folded, client_id, disabled, epoch, created_s, changed_s)"
                     " VALUES (0, '', x'', ?1, 0, 0, 0, 0)",
    [ST_ADD_KEY] = "INSERT INTO principal_key (principal, etype, kvno, sealed, iterations, spot)"
                   " VALUES (?1, ?2, ?3, ?4, nullif(?5, 0), nullif(?6, x''))",
    [ST_CHANGED] = "UPDATE principal SET changed_s = ?2 WHERE id = ?1",
    [ST_DROP_KEYS] = "DELETE FROM principal_key WHERE principal = ?1",
    [ST_DROP_KEY] = "DELETE FROM principal_key WHERE principal = ?1 AND etype = ?2",
    [ST_SET_DISABLED] = "UPDATE principal SET disabled = ?2, changed_s = ?3 WHERE id = ?1",
    [ST_SET_ADMIN] = "UPDATE principal SET admin = ?2 WHERE id = ?1",
    [ST_RAISE_EPOCH] = "UPDATE principal SET epoch = ?2 WHERE id = ?1",
    [ST_DELETE] = "DELETE FROM principal WHERE id = ?1",
    [ST_PURGE_TGS_KEYS] = "DELETE FROM tgs_key WHERE kvno < (SELECT max(kvno) FROM tgs_key WHERE valid_from_s <= ?1)",
    [ST_ADD_TGS_KEY] = "INSERT INTO tgs_key (kvno, valid_from_s, sealed) VALUES (?1, ?2, ?3)",
    [ST_CODE_ADD] = "INSERT INTO code (id, kind, expires_s, sealed) VALUES (?1, ?2, ?3, ?4)",
    [ST_CODE_FIND] = "SELECT id, kind, expires_s, sealed FROM code WHERE id = ?1",
    [ST_CODE_DROP] = "DELETE FROM code WHERE id = ?1",
    [ST_CODE_PURGE] = "DELETE FROM code WHERE expires_s < ?1",
    [ST_CODE_COUNT] = "SELECT count(*) FROM code",
    [ST_FEED_ADD] = "INSERT INTO feed (time_s, kind, client_id, number, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    [ST_FEED_PURGE] = "DELETE FROM feed WHERE seq IN (SELECT seq FROM feed ORDER BY seq LIMIT 100) AND time_s < ?1",
    [ST_FEED_NEWEST] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0)",
    [ST_FEED] = "SELECT seq, time_s, kind, client_id, number, text FROM feed WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    [ST_ALL_KEYS] = "SELECT " PRINCIPAL_COLUMNS ", k.kvno, k.sealed, k.etype, k.iterations, k.spot"
                    " FROM principal_key k LEFT JOIN principal p ON p.id = k.principal",
    [ST_ALL_TGS_KEYS] = "SELECT kvno, sealed FROM tgs_key",
    [ST_ALL_CODES] = "SELECT id, kind, expires_s, sealed FROM code",
};

/* No client can write the empty name: it finds the decoy. That its rows open shows that master key and file match. */
static enum rc check_decoy(struct as_store *s)
{
    AUTO(as_login_done) struct as_login login = {0};
    const struct name none = {0};

    TRY(as_store_login(s, &none, ETYPE_AES128_CBC, &login));
    TRY(as_store_login(s, &none, ETYPE_AES128_CBC_HS256, &login));
    return hkdf_sha256(key_slice(&login.secret.key), slice_text(""), slice_text("kerb1 fake salt"), s->fake,
                       sizeof s->fake);
}

static enum rc open_parts(struct as_store *s, const struct conf *conf, enum db_mode mode)
{
    AUTO(str_done) char *dir = NULL;
    AUTO(str_done) char *file = NULL;

    TRY(conf_path(conf, "as", &dir));
    TRY(conf_path(conf, "as/as.db", &file));
    s->iterations = (uint32_t)conf->policy_pbkdf2_iterations;
    s->recent = recent_new();
    if (!s->recent)
        return RC_NO_MEMORY;
    TRY(dir_check_private(dir));
    TRY(master_of(conf, "as", &s->master));
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
    recent_free(s->recent);
    wipe(s, sizeof *s);
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
        .is_admin = db_int(st, 7) != 0,
        .kvno = (uint32_t)db_int(st, 8),
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

/* salt and iterations behind the key: bound to it by the same tag. */
static enum rc take_params(struct slice rest, struct userkey_params *ret)
{
    if (rest.n != AS_PARAMS_LEN)
        return RC_BAD_ROW;
    memcpy(ret->salt, rest.p, USERKEY_SALT);
    ret->iterations = get_u32be(rest.p + USERKEY_SALT);
    return RC_OK;
}

enum rc as_key_open(const struct as_store *s, const struct row_ref *ref, enum etype etype, struct slice sealed,
                    struct key *ret, struct userkey_params *ret_params)
{
    AUTO(buf_done) struct buf plain = {0};
    size_t n = etype_key_len(etype);

    enum rc rc = row_open(s->master, ref, sealed, &plain);
    if (rc == RC_MODIFIED || rc == RC_NO_KVNO)
        return RC_BAD_ROW;
    TRY(rc);
    if (n > KEY_MAX || plain.n < n)
        return RC_BAD_ROW;
    if (ret_params)
        TRY(take_params(slice_of(plain.p + n, plain.n - n), ret_params));
    else if (plain.n != n)
        return RC_BAD_ROW;
    *ret = (struct key){.etype = etype, .kvno = ret_params ? 0 : ref->kvno, .n = (uint8_t)n};
    memcpy(ret->bytes, plain.p, n);
    return RC_OK;
}

enum rc as_store_find(struct as_store *s, const struct name *name, struct as_principal *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FIND];
    bool found;

    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_CLIENT;
    TRY(as_row_principal(st, ret));
    ret->profiles = (unsigned)db_int(st, 9);
    return RC_OK;
}

enum rc as_store_key(struct as_store *s, const struct as_principal *p, enum etype etype, struct key *ret,
                     struct userkey_params *ret_params)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_KEY];
    struct userkey_params params;
    struct as_key_room room;
    bool found;

    TRY(db_bind_int(st, 1, p->row));
    TRY(db_bind_int(st, 2, etype));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_CLIENT_KEY;
    struct row_ref ref = as_key_ref(p, etype, (uint32_t)db_int(st, 0), &room);
    bool is_sealed = etype == ETYPE_AES128_CBC_HS256;
    TRY(as_key_open(s, &ref, etype, db_blob(st, 1), ret, is_sealed ? &params : NULL));
    if (is_sealed && ret_params)
        *ret_params = params;
    return RC_OK;
}

void as_login_done(struct as_login *login)
{
    wipe(login, sizeof *login);
}

enum rc as_secret_derive(struct as_secret *s)
{
    static const enum label labels[2] = {LABEL_AS_PREAUTH, LABEL_AS_REPLY};
    struct envelope_key pair[2];

    TRY(envelope_derive_pair(&s->key, labels, pair));
    s->proof = pair[0];
    s->reply = pair[1];
    wipe(pair, sizeof pair);
    return RC_OK;
}

void as_keys_done(struct as_keys *keys)
{
    wipe(keys, sizeof *keys);
}

/* The iterations of the key that stands behind a spot, the first one behind the last. */
static enum rc pick_iterations(struct as_store *s, struct slice spot, uint32_t *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_PICK], *first = s->st[ST_PICK_FIRST];
    bool found;

    TRY(db_bind_blob(st, 1, spot));
    TRY(db_step(st, &found));
    if (found) {
        *ret = (uint32_t)db_int(st, 0);
        return RC_OK;
    }
    TRY(db_step(first, &found));
    *ret = found ? (uint32_t)db_int(first, 0) : s->iterations;
    return RC_OK;
}

/* What an unknown name is told: a salt from its name, and iterations of a user whom its name picks. */
static enum rc make_up_params(struct as_store *s, const struct name *name, struct userkey_params *ret)
{
    uint8_t digest[SHA256_LEN];

    TRY(hmac_sha256(SLICE(s->fake), name_slice(name), digest));
    memcpy(ret->salt, digest, USERKEY_SALT);
    return pick_iterations(s, slice_of(digest + USERKEY_SALT, ID_LEN), &ret->iterations);
}

/* While a statement stands on its row, all reads are of one transaction: hence the parameters in between. */
static enum rc read_login(struct as_store *s, const struct name *name, enum etype etype, struct as_login *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_LOGIN];
    bool is_sealed = etype == ETYPE_AES128_CBC_HS256;
    struct userkey_params own;
    struct as_key_room room;
    bool found;

    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_bind_int(st, 2, etype));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_KEY; /* no decoy: not a file of kerbadm's */
    TRY(as_row_principal(st, &ret->client));
    ret->why = ret->client.row != 0 ? RC_OK : db_int(st, 10) != 0 ? RC_NO_CLIENT_KEY : RC_NO_CLIENT;
    struct row_ref ref = as_key_ref(&ret->client, etype, ret->client.kvno, &room);
    TRY(as_key_open(s, &ref, etype, db_blob(st, 9), &ret->secret.key, is_sealed ? &own : NULL));
    if (!is_sealed)
        return RC_OK;
    TRY(as_secret_derive(&ret->secret));
    TRY(make_up_params(s, name, &ret->params));
    if (ret->why == RC_OK)
        ret->params = own;
    return RC_OK;
}

enum rc as_store_login(struct as_store *s, const struct name *name, enum etype etype, struct as_login *ret)
{
    struct db_mark now;
    bool may_keep = db_mark(&s->db, &now);
    const struct as_login *recent = may_keep ? recent_find(s->recent, name, etype, &now) : NULL;

    if (recent) {
        *ret = *recent;
        return RC_OK;
    }
    TRY(read_login(s, name, etype, ret));
    if (may_keep)
        recent_put(s->recent, name, etype, &now, ret);
    return RC_OK;
}

static enum rc tgs_key_row(struct as_store *s, enum as_statement which, int64_t value, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[which];
    bool found;

    TRY(db_bind_int(st, 1, value));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_KEY;
    struct row_ref ref = as_tgs_key_ref((uint32_t)db_int(st, 0));
    TRY(as_key_open(s, &ref, ETYPE_AES128_CBC_HS256, db_blob(st, 2), ret, NULL));
    ret->valid_from = db_int(st, 1);
    return RC_OK;
}

enum rc as_store_tgs_key_version(struct as_store *s, uint32_t kvno, struct key *ret)
{
    return tgs_key_row(s, ST_TGS_KEY_VERSION, kvno, ret);
}

/* The same second and the same data give the same key. */
enum rc as_store_tgs_key(struct as_store *s, int64_t now_s, struct key *ret)
{
    struct db_mark now;
    bool may_keep = db_mark(&s->db, &now);

    if (may_keep && s->tgs.key.n && s->tgs.now_s == now_s && db_mark_eq(&s->tgs.read, &now)) {
        *ret = s->tgs.key;
        return RC_OK;
    }
    TRY(tgs_key_row(s, ST_TGS_KEY, now_s, ret));
    if (may_keep) {
        s->tgs.key = *ret;
        s->tgs.now_s = now_s;
        s->tgs.read = now;
    }
    return RC_OK;
}
