/*
 * What the AS keeps: principals with keys per encryption type and version, the versions of the TGS key, one-time codes,
 * and the feed that tells the other daemons what has changed.
 *
 * File: STATE/as/as.db; secrets are rows sealed under STATE/as/master.key. The daemon and kerbadm work through this
 * interface. Thread: a handle belongs to one thread at a time; the daemon lends them from a pool, and has one that
 * writes.
 *
 * One principal is a decoy: it has no name that a client could write, and keys that nobody knows. A login under a name
 * that is not here reads the decoy's rows, so that known and unknown names cost the same.
 *
 * A principal has an epoch. Whatever makes its tickets worthless (disabling, a cut-off, deleting, dropping a profile)
 * raises it and appends to the feed in the same transaction, whoever does it.
 */
#ifndef KERB_AS_STORE_H
#define KERB_AS_STORE_H

#include "shared/crypto/onecode.h"
#include "shared/crypto/userkey.h"
#include "shared/db/rewrap.h"
#include "shared/service/conf.h"
#include "shared/service/feed.h"

#define AS_TGS_NAME "tgs" /* the TGS's principal, as the protocol calls it */

struct as_principal {
    int64_t row; /* of the table */
    struct name name;
    uint8_t client_id[ID_LEN];
    bool disabled, is_admin;
    uint32_t epoch;
    int64_t created_s, changed_s; /* Unix seconds; changed: the last change of a key or of disabled */
    uint32_t kvno;                /* newest key version, 0: no key */
    unsigned profiles;            /* PROFILE_BIT of each type that it has a key of; not filled by as_store_login */
};

/* Members of the open object; nothing of its keys but their profiles and version. */
void as_principal_write(struct jw *w, const struct as_principal *p);

/* All keys of a principal; one with n = 0 is none. */
struct as_keys {
    struct key sealed, classic;
    struct userkey_params params; /* of sealed */
};

void as_keys_done(struct as_keys *keys); /* wipes; for AUTO */

struct as_store;

/* Opens STATE/as. mode as in db_open. Errors: as db_open and master_load; NO_KEY (a file without decoy). */
MUST enum rc as_store_open(const struct conf *conf, enum db_mode mode, struct as_store **ret);
void as_store_close(struct as_store *s); /* accepts NULL */
void as_store_done(struct as_store **s); /* for AUTO */
const char *as_store_error(const struct as_store *s);

/* Errors: NO_CLIENT. */
MUST enum rc as_store_find(struct as_store *s, const struct name *name, struct as_principal *ret);

/* The newest key of that type; ret_params (may be NULL): of a sealed one. Errors: NO_CLIENT_KEY, BAD_ROW. */
MUST enum rc as_store_key(struct as_store *s, const struct as_principal *p, enum etype etype, struct key *ret,
                          struct userkey_params *ret_params);

/* A key that a login is proved with. */
struct as_secret {
    struct key key;
    struct envelope_key proof, reply; /* derived from a sealed one, for LABEL_AS_PREAUTH and LABEL_AS_REPLY */
};
MUST enum rc as_secret_derive(struct as_secret *s); /* fills proof and reply from a sealed key */

/* What a login needs to know. */
struct as_login {
    struct as_principal client;   /* the decoy's when `why` is set, */
    struct as_secret secret;      /* and so is the key */
    struct userkey_params params; /* sealed: what the client is told; for an unknown name made up, the same each time */
    enum rc why;                  /* RC_OK, or NO_CLIENT or NO_CLIENT_KEY */
};

void as_login_done(struct as_login *login); /* wipes; for AUTO */

/*
 * Principal, newest key of a type and its parameters, the same work whether the name is known or not.
 * Errors: BAD_ROW (the row does not open), DB
 */
MUST enum rc as_store_login(struct as_store *s, const struct name *name, enum etype etype, struct as_login *ret);

/* The TGS key version to seal with now. Errors: NO_KEY, BAD_ROW. */
MUST enum rc as_store_tgs_key(struct as_store *s, int64_t now_s, struct key *ret);

/* A version of the TGS key, whether its time has come or not. Errors: NO_KEY, BAD_ROW. */
MUST enum rc as_store_tgs_key_version(struct as_store *s, uint32_t kvno, struct key *ret);

/* --- changes; each call is one transaction --- */

/* A new user with a random client id; without keys it may not log in yet. Errors: EXISTS (also when only case differs),
 * BAD_ETYPE (a key of the wrong type or length). */
MUST enum rc as_store_add(struct as_store *s, const struct name *name, const struct as_keys *keys, int64_t now_s);

/*
 * A change of password: replaces or deletes every key, of both profiles; the new kvno is the old one plus 1.
 * cut_off: raises the epoch. expect_kvno: 0, or what the newest version must still be (else REPEAT: somebody was
 * faster). Errors: NO_CLIENT, BAD_ETYPE, REPEAT.
 */
struct as_rekey {
    const struct as_keys *keys;
    bool cut_off;
    uint32_t expect_kvno;
};
MUST enum rc as_store_rekey(struct as_store *s, const struct name *name, const struct as_rekey *change, int64_t now_s);

/*
 * The same password with more iterations: replaces the sealed key alone. Errors: NO_CLIENT, NO_CLIENT_KEY (no sealed
 * key so far), LIMIT (not more iterations than now), REPEAT, BAD_ETYPE.
 */
MUST enum rc as_store_strengthen(struct as_store *s, const struct name *name, const struct as_rekey *change,
                                 int64_t now_s);

/*
 * Deletes the keys of profiles that are not in the set and raises the epoch when there was one. Errors: NO_CLIENT,
 * NO_CLIENT_KEY (a profile of the set has no key: only a new password makes one).
 */
MUST enum rc as_store_keep_profiles(struct as_store *s, const struct name *name, unsigned profiles, int64_t now_s);

/* Disabling raises the epoch. Errors: NO_CLIENT. */
MUST enum rc as_store_set_disabled(struct as_store *s, const struct name *name, bool disabled, int64_t now_s);
MUST enum rc as_store_set_admin(struct as_store *s, const struct name *name, bool is_admin);
MUST enum rc as_store_cut_off(struct as_store *s, const struct name *name, int64_t now_s);
MUST enum rc as_store_delete(struct as_store *s, const struct name *name, int64_t now_s);

/* In order of name; the callback's first error ends the walk and is returned. */
MUST enum rc as_store_each(struct as_store *s, enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx);

/* A part of that walk: names that begin with prefix and come behind `after` (both may be empty), at most limit. */
struct as_part {
    struct slice prefix, after;
    unsigned limit;
};
MUST enum rc as_store_list(struct as_store *s, const struct as_part *part,
                           enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx);

/* A version of the TGS key, with its kvno and valid_from. Errors: EXISTS, BAD_ETYPE (not the type of tickets). */
MUST enum rc as_store_add_tgs_key(struct as_store *s, const struct key *key);

/* Deletes the versions of the TGS key that are out of use since `unused_since_s` or longer. Out: how many. */
MUST enum rc as_store_purge_tgs_keys(struct as_store *s, int64_t unused_since_s, unsigned *ret_n);

/* The next version, told to the TGS by the feed. Errors: NO_KEY (there is none yet). */
MUST enum rc as_store_rotate_tgs_key(struct as_store *s, int64_t valid_from_s, int64_t now_s, struct key *ret);

/* --- one-time codes --- */

#define AS_CODE_LIFETIME_S 3600
#define AS_CODES_MAX       10000 /* alive at a time */

enum as_code_kind {
    AS_CODE_REGISTER, /* an invitation */
    AS_CODE_RESET,    /* an existing user gets a new password */
    AS_CODE_ADMIN,    /* the first administrator */
};
const char *as_code_kind_name(enum as_code_kind kind);

struct as_code {
    enum as_code_kind kind;
    struct name name;          /* whom it is for; n = 0: any name */
    uint8_t client_id[ID_LEN]; /* AS_CODE_RESET: of that user, not of a later one of the same name */
    int64_t expires_s;
};

/* A code for AS_CODE_LIFETIME_S. name: may be NULL but for AS_CODE_RESET. Errors: NO_CLIENT, EXISTS, LIMIT. */
MUST enum rc as_store_code_make(struct as_store *s, enum as_code_kind kind, const struct name *name, int64_t now_s,
                                struct onecode *ret);

/* What the code is for, and its key. Errors: NOT_FOUND (also: expired), BAD_ROW. */
MUST enum rc as_store_code_find(struct as_store *s, const uint8_t id[ONECODE_ID_LEN], int64_t now_s,
                                struct as_code *ret, struct key *ret_key);

/*
 * Registration with a code: the code is used up, and by its kind the user is added (an administrator), or every key
 * is replaced and the epoch raised. Errors: NOT_FOUND (the code; or it is for another name), EXISTS, NO_CLIENT.
 */
MUST enum rc as_store_code_use(struct as_store *s, const uint8_t id[ONECODE_ID_LEN], const struct name *name,
                               const struct as_keys *keys, int64_t now_s, enum as_code_kind *ret_kind);

/* --- the feed --- */

#define AS_FEED_ORDER_S  60            /* an order that was not fetched by then is not carried out any more */
#define AS_FEED_ROTATE_S 3600          /* the same for a rotation */
#define AS_FEED_KEEP_S   (366 * 86400) /* an epoch: longer than any ticket can be renewed */

struct as_feed_item {
    int64_t seq, time_s; /* given by the store */
    enum feed_kind kind;
    uint8_t client_id[ID_LEN]; /* EPOCH, KICK */
    uint32_t number;           /* EPOCH: the epoch; ROTATE of the TGS: the version */
    struct slice text; /* NOTICE: the text; DRAIN, SHUTDOWN: the daemon; ROTATE: the service; UNLOCK: the user */
};

/* Appends an order. Errors: LIMIT (text). */
MUST enum rc as_store_order(struct as_store *s, const struct as_feed_item *item, int64_t now_s);

/* Orders the daemon to forget the wrong passwords of a user. Errors: NO_CLIENT. */
MUST enum rc as_store_unlock(struct as_store *s, const struct name *name, int64_t now_s);

/*
 * Items behind `after` that still count, oldest first, at most limit. An `after` that lies ahead of all we have (a
 * database that was restored) reads from the start.
 * Out: ret_seq - the last one told or passed over: what to ask behind next
 */
MUST enum rc as_store_feed(struct as_store *s, int64_t after, unsigned limit, int64_t now_s,
                           enum rc (*each)(void *ctx, const struct as_feed_item *item), void *ctx, int64_t *ret_seq);

/* Its sealed columns, for a roll-over of the master key. Borrowed from s. */
struct sealed_db as_store_sealed(struct as_store *s);

/* Opens every sealed row once. Out: counts of rows read and of rows that do not open. */
MUST enum rc as_store_verify(struct as_store *s, uint64_t *ret_rows, uint64_t *ret_bad);

#endif
