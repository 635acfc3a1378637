/* Master keys in kerbadm: which daemon is meant, and what is sealed in its files. */
#ifndef KERB_ADMIN_MKEY_H
#define KERB_ADMIN_MKEY_H

#include "admin/admin.h"
#include "chat/store/rewrap.h"
#include "shared/unseal/place.h"

#define MKEY_DAEMONS 3
extern const char *const mkey_daemons[MKEY_DAEMONS]; /* "as", "tgs", "chat" */

/* A daemon's database, open; n of db is 0 when there is none yet (a chat that never ran). */
struct mkey_rows {
    struct as_store *as;
    struct tgs_store *tgs;
    struct chat_rows *chat;
    struct sealed_db db;
};

MUST enum rc mkey_rows_open(struct admin *a, const char *daemon, enum db_mode mode, struct mkey_rows *ret); /* tells */
void mkey_rows_done(struct mkey_rows *r);

/* Sealed rows by version. Errors: DB, LIMIT. */
MUST enum rc mkey_count(const struct mkey_rows *r, struct sealed_counts *ret);

#endif
