/* The AS's store: its sealed columns, for a roll-over of the master key. */
#include "as/store_rows.h"

#include <string.h>

static enum rc reseal_key(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    enum etype etype = (enum etype)db_int(row, 2);
    struct slice id = db_blob(row, 4), name = db_text(row, 5);
    struct as_principal p = {.name.n = (uint16_t)name.n};
    struct as_key_room room;

    if (id.n != ID_LEN || name.n > NAME_MAX_BYTES) /* a key whose principal is gone */
        return RC_BAD_ROW;
    if (etype != ETYPE_AES128_CBC_HS256 && etype != ETYPE_AES128_CBC)
        return RC_BAD_ROW;
    memcpy(p.client_id, id.p, ID_LEN);
    if (name.n)
        memcpy(p.name.s, name.p, name.n);
    struct row_ref ref = as_key_ref(&p, etype, (uint32_t)db_int(row, 3), &room);
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static enum rc reseal_tgs_key(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    struct row_ref ref = as_tgs_key_ref((uint32_t)db_int(row, 1));
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static enum rc reseal_code(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    struct slice id = db_blob(row, 1);
    int64_t kind = db_int(row, 2);

    if (id.n != ONECODE_ID_LEN || kind < AS_CODE_REGISTER || kind > AS_CODE_ADMIN)
        return RC_BAD_ROW;
    struct row_ref ref = as_code_ref(id.p, (enum as_code_kind)kind);
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static const struct sealed_table tables[] = {
    {.name = "principal_key",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM principal_key GROUP BY 1",
     .next = "SELECT k.sealed, k.principal, k.etype, k.kvno, p.client_id, p.name"
             " FROM principal_key k LEFT JOIN principal p ON p.id = k.principal"
             " WHERE substr(k.sealed, 3, 4) <> ?1 AND (k.principal, k.etype, k.kvno) > (?2, ?3, ?4)"
             " ORDER BY k.principal, k.etype, k.kvno",                                                        .put = "UPDATE principal_key SET sealed = ?1 WHERE principal = ?2 AND etype = ?3 AND kvno = ?4",
     .keys = 3,
     .reseal = reseal_key    },
    {.name = "tgs_key",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM tgs_key GROUP BY 1",
     .next = "SELECT sealed, kvno FROM tgs_key WHERE substr(sealed, 3, 4) <> ?1 AND kvno > ?2 ORDER BY kvno",
     .put = "UPDATE tgs_key SET sealed = ?1 WHERE kvno = ?2",
     .keys = 1,
     .reseal = reseal_tgs_key},
    {.name = "code",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM code GROUP BY 1",
     .next = "SELECT sealed, id, kind FROM code WHERE substr(sealed, 3, 4) <> ?1 AND id > ?2 ORDER BY id",
     .put = "UPDATE code SET sealed = ?1 WHERE id = ?2",
     .keys = 1,
     .reseal = reseal_code   },
};

struct sealed_db as_store_sealed(struct as_store *s)
{
    return (struct sealed_db){.db = &s->db, .master = s->master, .tables = tables, .n = ARRAY_LEN(tables)};
}
