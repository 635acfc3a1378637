/*
 * What the AS keeps: principals with keys per encryption type and version, and the versions of the TGS key.
 *
 * File: STATE/as/as.db; secrets are rows sealed under STATE/as/master.key. The daemon reads, kerbadm writes, both
 * through this interface. Thread: a handle belongs to one thread at a time; the daemon lends them from a pool.
 *
 * One principal is a decoy: it has no name that a client could write, and a key that nobody knows. A login under a name
 * that is not here reads the decoy's rows, so that known and unknown names cost the same.
 */
#ifndef KERB_AS_STORE_H
#define KERB_AS_STORE_H

#include "shared/db/db.h"
#include "shared/service/conf.h"

#define AS_TGS_NAME "tgs" /* the TGS's principal, as the protocol calls it */

struct as_principal {
    int64_t row; /* of the table */
    struct name name;
    uint8_t client_id[ID_LEN];
    bool disabled;
    uint32_t epoch;               /* raised by disabling and by a cut-off */
    int64_t created_s, changed_s; /* Unix seconds; changed: the last change of a key or of disabled */
    uint32_t kvno;                /* newest key version, 0: no key */
};

struct as_store;

/* Opens STATE/as. mode as in db_open. Errors: as db_open and master_load; NO_KEY (a file without decoy). */
MUST enum rc as_store_open(const struct conf *conf, enum db_mode mode, struct as_store **ret);
void as_store_close(struct as_store *s); /* accepts NULL */
void as_store_done(struct as_store **s); /* for AUTO */
const char *as_store_error(const struct as_store *s);

/* Errors: NO_CLIENT. */
MUST enum rc as_store_find(struct as_store *s, const struct name *name, struct as_principal *ret);

/* The newest key of that type. Errors: NO_CLIENT_KEY, BAD_ROW (the row does not open). */
MUST enum rc as_store_key(struct as_store *s, const struct as_principal *p, enum etype etype, struct key *ret);

/*
 * Principal and newest key of a type in one read, the same work whether the name is known or not.
 *
 * Out:    ret_why - RC_OK, or NO_CLIENT or NO_CLIENT_KEY: then principal and key are the decoy's
 * Errors: BAD_ROW (the row does not open), DB
 */
MUST enum rc as_store_login(struct as_store *s, const struct name *name, enum etype etype, struct as_principal *ret_p,
                            struct key *ret_key, enum rc *ret_why);

/* The TGS key version to seal with now. Errors: NO_KEY, BAD_ROW. */
MUST enum rc as_store_tgs_key(struct as_store *s, int64_t now_s, struct key *ret);

/* --- kerbadm's side; each call is one transaction --- */

/* A new user with a random client id and a classic key. Errors: EXISTS (also when only case differs). */
MUST enum rc as_store_add(struct as_store *s, const struct name *name, const struct key *classic, int64_t now_s);

/* Replaces every key of the principal; the new kvno is the old one plus 1. Errors: NO_CLIENT. */
MUST enum rc as_store_set_key(struct as_store *s, const struct name *name, const struct key *classic, int64_t now_s);

/* Disabling raises the epoch. Errors: NO_CLIENT. */
MUST enum rc as_store_set_disabled(struct as_store *s, const struct name *name, bool disabled, int64_t now_s);
MUST enum rc as_store_delete(struct as_store *s, const struct name *name);

/* In order of name; the callback's first error ends the walk and is returned. */
MUST enum rc as_store_each(struct as_store *s, enum rc (*each)(void *ctx, const struct as_principal *p), void *ctx);

/* A version of the TGS key, with its kvno and valid_from. Errors: EXISTS, BAD_ETYPE (not the type of tickets). */
MUST enum rc as_store_add_tgs_key(struct as_store *s, const struct key *key);

/* Opens every sealed row once. Out: counts of rows read and of rows that do not open. */
MUST enum rc as_store_verify(struct as_store *s, uint64_t *ret_rows, uint64_t *ret_bad);

#endif
