/* Inside the AS's store: its handle, its statements, and how a row becomes a principal or a key. */
#ifndef KERB_AS_STORE_ROWS_H
#define KERB_AS_STORE_ROWS_H

#include "as/recent.h"

#define AS_PARAMS_LEN (USERKEY_SALT + 4) /* salt, iterations u32be */

enum as_statement {
    ST_LOGIN,
    ST_PICK,
    ST_PICK_FIRST,
    ST_FIND,
    ST_EACH,
    ST_LIST,
    ST_KEY,
    ST_TGS_KEY,
    ST_TGS_KEY_VERSION,
    ST_TGS_KEY_NEWEST,
    ST_ADD,
    ST_ADD_DECOY,
    ST_ADD_KEY,
    ST_CHANGED,
    ST_DROP_KEYS,
    ST_DROP_KEY,
    ST_SET_DISABLED,
    ST_SET_ADMIN,
    ST_RAISE_EPOCH,
    ST_DELETE,
    ST_ADD_TGS_KEY,
    ST_PURGE_TGS_KEYS,
    ST_CODE_ADD,
    ST_CODE_FIND,
    ST_CODE_DROP,
    ST_CODE_PURGE,
    ST_CODE_COUNT,
    ST_FEED_ADD,
    ST_FEED_PURGE,
    ST_FEED_NEWEST,
    ST_FEED,
    ST_ALL_KEYS,
    ST_ALL_TGS_KEYS,
    ST_ALL_CODES,
    ST_COUNT, /* of statements */
};

struct as_store {
    struct db db;
    struct master *master;
    uint32_t iterations;      /* of new keys: told for unknown names while nobody has a sealed key */
    uint8_t fake[SHA256_LEN]; /* the secret of made-up salts: from the decoy's sealed key */
    sqlite3_stmt *st[ST_COUNT];
    struct {
        struct key key; /* n 0: none */
        int64_t now_s;
        struct db_mark read; /* of before it was read */
    } tgs;                   /* the last answer of as_store_tgs_key */
    struct recent *recent;
};

/* Columns 0..8 of a principal (PRINCIPAL_COLUMNS, kvno). Errors: DB (a row that we never wrote). */
MUST enum rc as_row_principal(sqlite3_stmt *st, struct as_principal *ret);

/* What a user key's row is bound to: client id and name, type, version. `room` holds the bytes while ref is used. */
struct as_key_room {
    uint8_t bytes[ID_LEN + NAME_MAX_BYTES];
};
struct row_ref as_key_ref(const struct as_principal *p, enum etype etype, uint32_t kvno, struct as_key_room *room);
struct row_ref as_tgs_key_ref(uint32_t kvno);
struct row_ref as_code_ref(const uint8_t id[ONECODE_ID_LEN], enum as_code_kind kind);

/*
 * A sealed key, with ret_params (not NULL) also what follows it in a sealed user key's row: salt and iterations.
 * A user's sealed key has kvno 0, as envelopes under it say. Errors: BAD_ROW (also: a length that is not the type's).
 */
MUST enum rc as_key_open(const struct as_store *s, const struct row_ref *ref, enum etype etype, struct slice sealed,
                         struct key *ret, struct userkey_params *ret_params);

/* Makes the decoy, or what it lacks, if it is missing. */
MUST enum rc as_store_ensure_decoy(struct as_store *s);

/* --- parts of a transaction --- */

/* Ends it: commits what went well, rolls back the rest. */
MUST enum rc as_store_finish(struct as_store *s, enum rc rc);

MUST enum rc as_insert_user(struct as_store *s, const struct name *name, const struct as_keys *keys, int64_t now_s,
                            struct as_principal *ret);
MUST enum rc as_replace_keys(struct as_store *s, const struct as_principal *p, const struct as_keys *keys,
                             int64_t now_s);
MUST enum rc as_raise_epoch(struct as_store *s, struct as_principal *p, int64_t now_s);
MUST enum rc as_feed_append(struct as_store *s, const struct as_feed_item *item, int64_t now_s);
MUST enum rc as_run_on(struct as_store *s, enum as_statement which, int64_t row);

/* Ends all reset codes for that client: he has a new password. */
MUST enum rc as_drop_resets(struct as_store *s, const uint8_t client_id[ID_LEN]);

/* Does the row of ST_ALL_CODES that the statement stands on open? */
MUST enum rc as_code_row_opens(const struct as_store *s, sqlite3_stmt *st);

#endif
