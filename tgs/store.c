/* The TGS's store, the daemon's side: opening, schema, and the reads of an exchange. */
#include "tgs/store_rows.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/file.h"
#include "shared/unseal/place.h"

static const char *const migrations[] = {
    "CREATE TABLE service ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"   /* NFC, as registered */
    " folded BLOB NOT NULL UNIQUE," /* names that differ in case only are one name */
    " disabled INTEGER NOT NULL,"
    " created_s INTEGER NOT NULL);"
    "CREATE TABLE service_key ("
    " service INTEGER NOT NULL REFERENCES service(id),"
    " kvno INTEGER NOT NULL,"
    " valid_from_s INTEGER NOT NULL,"
    " sealed BLOB NOT NULL,"
    " PRIMARY KEY (service, kvno)) WITHOUT ROWID;",
    /* what the AS's feed has told, where we stand in it, and our own feed */
    "CREATE TABLE epoch ("
    " client_id BLOB PRIMARY KEY,"
    " epoch INTEGER NOT NULL," /* tickets of a lower one are worth nothing */
    " time_s INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE feed_position ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " seq INTEGER NOT NULL);"
    "INSERT INTO feed_position VALUES (1, 0);"
    "CREATE TABLE feed ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time_s INTEGER NOT NULL,"
    " kind INTEGER NOT NULL," /* enum feed_kind: its numbers stay */
    " client_id BLOB NOT NULL,"
    " number INTEGER NOT NULL," /* the epoch; of a rotation the version */
    " text TEXT NOT NULL);",
};

static const struct db_schema schema = {
    .application_id = 0x6B544731, /* "kTG1" */
    .migrations = migrations,
    .version = ARRAY_LEN(migrations),
};

/* The newest version of each service, whether it is used already or not. */
#define SERVICE_SELECT                                                                    \
    "SELECT s.id, s.name, s.disabled, s.created_s, k.kvno, k.valid_from_s FROM service s" \
    " JOIN service_key k ON k.service = s.id AND k.kvno = (SELECT max(kvno) FROM service_key WHERE service = s.id)"

static const char *const statements[ST_COUNT] = {
    [ST_TARGET] = "SELECT s.disabled, k.kvno, k.valid_from_s, k.sealed FROM service s"
                  " LEFT JOIN service_key k ON k.service = s.id AND k.valid_from_s <= ?2"
                  " WHERE s.name = ?1 ORDER BY k.kvno DESC LIMIT 1",
    [ST_FIND] = SERVICE_SELECT " WHERE s.name = ?1",
    [ST_EACH] = SERVICE_SELECT " ORDER BY s.name",
    [ST_KEY] = ("SELECT kvno, valid_from_s, sealed FROM service_key WHERE service = ?1 AND valid_from_s <= ?2"
                " ORDER BY kvno DESC LIMIT 1"),
    [ST_KEYS] = "SELECT kvno, valid_from_s, sealed FROM service_key WHERE service = ?1 ORDER BY kvno",
    [ST_ADD] = "INSERT INTO service (name, folded, disabled, created_s) VALUES (?1, ?2, 0, ?3)",
    [ST_ADD_KEY] = "INSERT INTO service_key (service, kvno, valid_from_s, sealed) VALUES (?1, ?2, ?3, ?4)",
    [ST_KEY_VERSION] = "SELECT k.valid_from_s, k.sealed FROM service s JOIN service_key k ON k.service = s.id"
                       " WHERE s.name = ?1 AND k.kvno = ?2",
    /* a version is out of use from the second in which a later one came into use */
    [ST_PURGE] = "DELETE FROM service_key WHERE service = ?1 AND EXISTS (SELECT 1 FROM service_key n"
                 " WHERE n.service = service_key.service AND n.kvno > service_key.kvno AND n.valid_from_s <= ?2)",
    [ST_RAISE] = "INSERT INTO epoch (client_id, epoch, time_s) VALUES (?1, ?2, ?3) ON CONFLICT (client_id)"
                 " DO UPDATE SET epoch = excluded.epoch, time_s = excluded.time_s WHERE excluded.epoch > epoch.epoch",
    [ST_EPOCHS] = "SELECT client_id, epoch FROM epoch",
    [ST_PURGE_EPOCHS] = "DELETE FROM epoch WHERE time_s < ?1",
    [ST_POSITION] = "SELECT seq FROM feed_position",
    [ST_SET_POSITION] = "UPDATE feed_position SET seq = ?1",
    [ST_FEED_ADD] = "INSERT INTO feed (time_s, kind, client_id, number, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    [ST_FEED_PURGE] = "DELETE FROM feed WHERE seq IN (SELECT seq FROM feed ORDER BY seq LIMIT 100) AND time_s < ?1",
    [ST_FEED_NEWEST] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0)",
    [ST_FEED] = "SELECT seq, time_s, kind, client_id, number, text FROM feed WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    [ST_ALL_KEYS] = "SELECT s.name, k.kvno, k.sealed FROM service_key k LEFT JOIN service s ON s.id = k.service",
};

static enum rc open_parts(struct tgs_store *s, const struct conf *conf, enum db_mode mode)
{
    AUTO(str_done) char *dir = NULL;
    AUTO(str_done) char *file = NULL;

    TRY(conf_path(conf, "tgs", &dir));
    TRY(conf_path(conf, "tgs/tgs.db", &file));
    TRY(dir_check_private(dir));
    TRY(master_of(conf, "tgs", &s->master));
    TRY(db_open(file, &schema, mode, &s->db));
    for (int i = 0; i < ST_COUNT; i++)
        TRY(db_prepare(&s->db, statements[i], &s->st[i]));
    return RC_OK;
}

enum rc tgs_store_open(const struct conf *conf, enum db_mode mode, struct tgs_store **ret)
{
    struct tgs_store *s = calloc(1, sizeof *s);
    if (!s)
        return RC_NO_MEMORY;
    enum rc rc = open_parts(s, conf, mode);
    if (rc != RC_OK) {
        tgs_store_close(s);
        return rc;
    }
    *ret = s;
    return RC_OK;
}

void tgs_store_close(struct tgs_store *s)
{
    if (!s)
        return;
    db_close(&s->db);
    master_free(s->master);
    key_done(&s->target.key);
    free(s);
}

void tgs_store_done(struct tgs_store **s)
{
    tgs_store_close(*s);
    *s = NULL;
}

const char *tgs_store_error(const struct tgs_store *s)
{
    return db_error(&s->db);
}

enum rc tgs_row_service(sqlite3_stmt *st, struct tgs_service *ret)
{
    struct slice name = db_text(st, 1);
    if (name.n == 0 || name.n > NAME_MAX_BYTES)
        return RC_DB;
    *ret = (struct tgs_service){
        .row = db_int(st, 0),
        .name.n = (uint16_t)name.n,
        .disabled = db_int(st, 2) != 0,
        .created_s = db_int(st, 3),
        .kvno = (uint32_t)db_int(st, 4),
        .key_from_s = db_int(st, 5),
    };
    memcpy(ret->name.s, name.p, name.n);
    return RC_OK;
}

struct row_ref tgs_key_ref(struct slice service, uint32_t kvno)
{
    return (struct row_ref){"service_key", service, etype_name(ETYPE_AES128_CBC_HS256), kvno};
}

enum rc tgs_key_open(const struct tgs_store *s, struct slice service, uint32_t kvno, struct slice sealed,
                     struct key *ret)
{
    AUTO(buf_done) struct buf plain = {0};
    struct row_ref ref = tgs_key_ref(service, kvno);

    enum rc rc = row_open(s->master, &ref, sealed, &plain);
    if (rc == RC_MODIFIED || rc == RC_NO_KVNO)
        return RC_BAD_ROW;
    TRY(rc);
    if (plain.n != etype_key_len(ETYPE_AES128_CBC_HS256))
        return RC_BAD_ROW;
    *ret = (struct key){.etype = ETYPE_AES128_CBC_HS256, .kvno = kvno, .n = (uint8_t)plain.n};
    memcpy(ret->bytes, plain.p, plain.n);
    return RC_OK;
}

enum rc tgs_store_find(struct tgs_store *s, const struct name *name, struct tgs_service *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_FIND];
    bool found;

    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_step(st, &found));
    return found ? tgs_row_service(st, ret) : RC_NO_SERVICE;
}

enum rc tgs_store_key(struct tgs_store *s, const struct tgs_service *svc, int64_t now_s, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_KEY];
    bool found;

    TRY(db_bind_int(st, 1, svc->row));
    TRY(db_bind_int(st, 2, now_s));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_KEY;
    TRY(tgs_key_open(s, name_slice(&svc->name), (uint32_t)db_int(st, 0), db_blob(st, 2), ret));
    ret->valid_from = db_int(st, 1);
    return RC_OK;
}

static enum rc read_target(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->st[ST_TARGET];
    bool found;

    TRY(db_bind_text(st, 1, name_slice(name)));
    TRY(db_bind_int(st, 2, now_s));
    TRY(db_step(st, &found));
    if (!found)
        return RC_NO_SERVICE;
    if (db_int(st, 0))
        return RC_SERVICE_DISABLED;
    uint32_t kvno = (uint32_t)db_int(st, 1);
    if (kvno == 0) /* NULL: no version is used yet */
        return RC_NO_KEY;
    TRY(tgs_key_open(s, name_slice(name), kvno, db_blob(st, 3), ret));
    ret->valid_from = db_int(st, 2);
    return RC_OK;
}

enum rc tgs_store_target(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret)
{
    if (!s->target.key.n || s->target.now_s != now_s || !slice_eq(name_slice(&s->target.name), name_slice(name))) {
        s->target.key.n = 0;
        TRY(read_target(s, name, now_s, &s->target.key));
        s->target.name = *name;
        s->target.now_s = now_s;
    }
    *ret = s->target.key;
    return RC_OK;
}
