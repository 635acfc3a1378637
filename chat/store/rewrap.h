/* The sealed columns of chat.db, for kerbadm: what the store of the daemon seals, seen without a daemon. */
#ifndef KERB_CHAT_STORE_REWRAP_H
#define KERB_CHAT_STORE_REWRAP_H

#include "shared/db/rewrap.h"
#include "shared/service/conf.h"

struct chat_rows;

/* Errors: as db_open and master_open; NOT_FOUND: the daemon has not started yet, so there is no database. */
MUST enum rc chat_rows_open(const struct conf *conf, enum db_mode mode, struct chat_rows **ret);
void chat_rows_done(struct chat_rows **r); /* for AUTO */
struct sealed_db chat_rows_sealed(struct chat_rows *r);

#endif
