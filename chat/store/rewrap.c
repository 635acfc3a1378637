/*
 * The chat's database for kerbadm: its sealed columns, for a roll-over of the master key. The daemon may run meanwhile.
 *
 * Texts of open rooms are envelopes of the core's under the label "message"; those of sealed rooms lie under their
 * room's key, which has no version, and are none of ours.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/store/rewrap.h"
#include "chat/store/sqlite.h"
#include "shared/unseal/place.h"

struct chat_rows {
    struct db db;
    struct master *master;
};

static enum rc reseal_share(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    uint8_t room[STORE_SHARE_ROW];
    struct slice uid = db_blob(row, 2), who = db_blob(row, 3);

    if (uid.n != ID_LEN || who.n != ID_LEN)
        return RC_BAD_ROW;
    struct row_ref ref = store_share_ref(uid.p, who.p, room);
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static enum rc reseal_datum(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    AUTO(buf_done) struct buf name = {0};
    struct slice who = db_blob(row, 3);
    struct row_ref ref;

    if (who.n != ID_LEN)
        return RC_BAD_ROW;
    TRY(store_data_ref(who.p, db_text(row, 2), &name, &ref));
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static enum rc reseal_canary(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    struct row_ref ref = store_canary_ref();
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static enum rc take_message(sqlite3_stmt *row, struct chat_message_row *ret)
{
    struct slice mid = db_blob(row, 4);

    if (mid.n != ID_LEN || name_parse(db_text(row, 5), &ret->sender) != RC_OK)
        return RC_BAD_ROW;
    ret->seq = (uint64_t)db_int(row, 2);
    ret->time_s = db_int(row, 3);
    memcpy(ret->mid, mid.p, ID_LEN);
    ret->epoch = (uint32_t)db_int(row, 6);
    ret->rev = (uint64_t)db_int(row, 8);
    return RC_OK;
}

static enum rc reseal_message(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    AUTO(buf_done) struct buf context = {0}, text = {0};
    struct chat_message_row is = {0};
    struct slice box = db_blob(row, 0), uid = db_blob(row, 7);
    uint32_t kvno;

    TRY(take_message(row, &is));
    if (uid.n != ID_LEN || envelope_kvno(box, &kvno) != RC_OK || kvno == 0)
        return RC_BAD_ROW;
    const struct envelope_key *old = master_key(m, LABEL_MESSAGE, kvno);
    if (!old)
        return RC_NO_KVNO;
    struct envelope_aad aad;
    TRY(chat_message_aad(master_realm(m), uid.p, &is, &context, &aad));
    TRY(envelope_open(old, &aad, box, &text));
    return envelope_seal(master_key(m, LABEL_MESSAGE, 0), &aad, buf_slice(&text), out);
}

static const struct sealed_table tables[] = {
    {.name = "canary",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM canary GROUP BY 1",
     .next = "SELECT sealed, id FROM canary WHERE substr(sealed, 3, 4) <> ?1 AND id > ?2 ORDER BY id",
     .put = "UPDATE canary SET sealed = ?1 WHERE id = ?2",
     .keys = 1,
     .reseal = reseal_canary },
    {.name = "share",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM share GROUP BY 1",
     .next = "SELECT s.sealed, s.id, r.uid, u.client_id FROM share s LEFT JOIN room r ON r.id = s.room"
             " LEFT JOIN user u ON u.id = s.user WHERE substr(s.sealed, 3, 4) <> ?1 AND s.id > ?2 ORDER BY s.id",                                                                            .put = "UPDATE share SET sealed = ?1 WHERE id = ?2",
     .keys = 1,
     .reseal = reseal_share  },
    {.name = "data",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM data GROUP BY 1",
     .next = "SELECT d.sealed, d.user, d.key, u.client_id FROM data d LEFT JOIN user u ON u.id = d.user"
             " WHERE substr(d.sealed, 3, 4) <> ?1 AND (d.user, d.key) > (?2, ?3) ORDER BY d.user, d.key",                                                                                    .put = "UPDATE data SET sealed = ?1 WHERE user = ?2 AND key = ?3",
     .keys = 2,
     .reseal = reseal_datum  },
    {.name = "message",
     .count = "SELECT substr(m.box, 3, 4), count(*) FROM message m JOIN room r ON r.id = m.room"
              " WHERE r.threshold = 0 AND m.target IS NULL GROUP BY 1",       .next = "SELECT m.box, m.id, m.seq, m.time, m.mid, m.sender, m.epoch, r.uid,"
             " (SELECT max(v.seq) FROM message v WHERE v.room = m.room AND v.target = m.seq)"
             " FROM message m JOIN room r ON r.id = m.room"
             " WHERE r.threshold = 0 AND m.target IS NULL AND substr(m.box, 3, 4) <> ?1 AND m.id > ?2 ORDER BY m.id", .put = "UPDATE message SET box = ?1 WHERE id = ?2",
     .keys = 1,
     .reseal = reseal_message},
};

static enum rc open_parts(struct chat_rows *r, const struct conf *conf, enum db_mode mode)
{
    AUTO(str_done) char *file = NULL;

    TRY(conf_path(conf, "chat/chat.db", &file));
    TRY(master_of(conf, "chat", &r->master));
    return db_open(file, &store_schema, mode, &r->db);
}

enum rc chat_rows_open(const struct conf *conf, enum db_mode mode, struct chat_rows **ret)
{
    struct chat_rows *r = calloc(1, sizeof *r);

    if (!r)
        return RC_NO_MEMORY;
    enum rc rc = open_parts(r, conf, mode);
    if (rc == RC_OK)
        *ret = r;
    else
        chat_rows_done(&r);
    return rc;
}

void chat_rows_done(struct chat_rows **r)
{
    if (*r) {
        db_close(&(*r)->db);
        master_free((*r)->master);
        free(*r);
    }
    *r = NULL;
}

struct sealed_db chat_rows_sealed(struct chat_rows *r)
{
    return (struct sealed_db){.db = &r->db, .master = r->master, .tables = tables, .n = ARRAY_LEN(tables)};
}
