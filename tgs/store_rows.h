/* Inside the TGS's store: its handle, its statements, and how a row becomes a service or a key. */
#ifndef KERB_TGS_STORE_ROWS_H
#define KERB_TGS_STORE_ROWS_H

#include "tgs/store.h"

enum tgs_statement {
    ST_TARGET,
    ST_FIND,
    ST_EACH,
    ST_KEY,
    ST_KEYS,
    ST_ADD,
    ST_ADD_KEY,
    ST_KEY_VERSION,
    ST_PURGE,
    ST_RAISE,
    ST_EPOCHS,
    ST_PURGE_EPOCHS,
    ST_POSITION,
    ST_SET_POSITION,
    ST_FEED_ADD,
    ST_FEED_PURGE,
    ST_FEED_NEWEST,
    ST_FEED,
    ST_ALL_KEYS,
    ST_COUNT, /* of statements */
};

struct tgs_store {
    struct db db;
    struct master *master;
    sqlite3_stmt *st[ST_COUNT];
    struct {
        struct key key; /* n 0: none */
        struct name name;
        int64_t now_s;
    } target; /* the last answer of tgs_store_target */
};

/* What a service key's row is bound to: name, type, version. */
struct row_ref tgs_key_ref(struct slice service, uint32_t kvno);

/* Errors: BAD_ROW (also: a length that is not the type's). */
MUST enum rc tgs_key_open(const struct tgs_store *s, struct slice service, uint32_t kvno, struct slice sealed,
                          struct key *ret);

/* Ends a transaction: commits what went well, rolls back the rest. */
enum rc tgs_store_finish(struct tgs_store *s, enum rc rc);

/* Inside a transaction: the next key version of a service, and the item that tells it. Errors: NO_SERVICE. */
MUST enum rc tgs_rotate(struct tgs_store *s, const struct name *name, int64_t valid_from_s, int64_t now_s,
                        struct key *ret);

/* Inside a transaction: an item for the services; its seq is given by the table. Errors: LIMIT. */
MUST enum rc tgs_feed_append(struct tgs_store *s, const struct feed_item *item, int64_t now_s);

/* The service of columns 0..5. Errors: DB (a row that we never wrote). */
MUST enum rc tgs_row_service(sqlite3_stmt *st, struct tgs_service *ret);

#endif
