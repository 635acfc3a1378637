/* The TGS's store: its sealed column, for a roll-over of the master key. */
#include "tgs/store_rows.h"

static enum rc reseal_key(struct master *m, sqlite3_stmt *row, struct buf *out)
{
    struct slice service = db_text(row, 3);

    if (service.n == 0) /* a key whose service is gone */
        return RC_BAD_ROW;
    struct row_ref ref = tgs_key_ref(service, (uint32_t)db_int(row, 2));
    return row_reseal(m, &ref, db_blob(row, 0), out);
}

static const struct sealed_table tables[] = {
    {.name = "service_key",
     .count = "SELECT substr(sealed, 3, 4), count(*) FROM service_key GROUP BY 1",
     .next = "SELECT k.sealed, k.service, k.kvno, s.name FROM service_key k LEFT JOIN service s ON s.id = k.service"
             " WHERE substr(k.sealed, 3, 4) <> ?1 AND (k.service, k.kvno) > (?2, ?3) ORDER BY k.service, k.kvno", .put = "UPDATE service_key SET sealed = ?1 WHERE service = ?2 AND kvno = ?3",
     .keys = 2,
     .reseal = reseal_key},
};

struct sealed_db tgs_store_sealed(struct tgs_store *s)
{
    return (struct sealed_db){.db = &s->db, .master = s->master, .tables = tables, .n = ARRAY_LEN(tables)};
}
