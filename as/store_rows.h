/* Inside the AS's store: its handle, its statements, and how a row becomes a principal or a key. */
#ifndef KERB_AS_STORE_ROWS_H
#define KERB_AS_STORE_ROWS_H

#include "as/store.h"

enum as_statement {
    ST_LOGIN,
    ST_FIND,
    ST_EACH,
    ST_KEY,
    ST_TGS_KEY,
    ST_ADD,
    ST_ADD_DECOY,
    ST_ADD_KEY,
    ST_CHANGED,
    ST_DROP_KEYS,
    ST_SET_DISABLED,
    ST_DELETE,
    ST_ADD_TGS_KEY,
    ST_ALL_KEYS,
    ST_ALL_TGS_KEYS,
    ST_COUNT, /* of statements */
};

struct as_store {
    struct db db;
    struct master *master;
    sqlite3_stmt *st[ST_COUNT];
    struct {
        struct key key; /* n 0: none */
        int64_t now_s;
        unsigned version; /* of the data that it was read from */
    } tgs;                /* the last answer of as_store_tgs_key */
};

/* The principal of columns 0..7 (PRINCIPAL_COLUMNS, kvno). Errors: DB (a row that we never wrote). */
MUST enum rc as_row_principal(sqlite3_stmt *st, struct as_principal *ret);

/* What a user key's row is bound to: client id and name, type, version. `room` holds the bytes while ref is used. */
struct as_key_room {
    uint8_t bytes[ID_LEN + NAME_MAX_BYTES];
};
struct row_ref as_key_ref(const struct as_principal *p, enum etype etype, uint32_t kvno, struct as_key_room *room);
struct row_ref as_tgs_key_ref(uint32_t kvno);

/* Errors: BAD_ROW (also: a length that is not the type's). */
MUST enum rc as_key_open(const struct as_store *s, const struct row_ref *ref, enum etype etype, struct slice sealed,
                         struct key *ret);

/* Makes the decoy if it is missing. */
MUST enum rc as_store_ensure_decoy(struct as_store *s);

#endif
