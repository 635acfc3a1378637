/*
 * What the TGS keeps: services with random keys by version. Users are never in here, so never a ticket's target.
 *
 * File: STATE/tgs/tgs.db; secrets are rows sealed under STATE/tgs/master.key. The TGS's own keys lie in
 * STATE/tgs/tgs.keytab. Thread: a handle belongs to one thread at a time; the daemon lends them from a pool.
 */
#ifndef KERB_TGS_STORE_H
#define KERB_TGS_STORE_H

#include "shared/db/rewrap.h"
#include "shared/service/conf.h"

struct tgs_service {
    int64_t row;
    struct name name;
    bool disabled;
    int64_t created_s;
    uint32_t kvno;      /* newest version */
    int64_t key_from_s; /* when that version is used from */
};

struct tgs_store;

/* Opens STATE/tgs. mode as in db_open. Errors: as db_open and master_load. */
MUST enum rc tgs_store_open(const struct conf *conf, enum db_mode mode, struct tgs_store **ret);
void tgs_store_close(struct tgs_store *s); /* accepts NULL */
void tgs_store_done(struct tgs_store **s); /* for AUTO */
const char *tgs_store_error(const struct tgs_store *s);

/* Errors: NO_SERVICE. */
MUST enum rc tgs_store_find(struct tgs_store *s, const struct name *name, struct tgs_service *ret);

/* The version to seal with now: the newest whose valid_from has come. Errors: NO_KEY, BAD_ROW. */
MUST enum rc tgs_store_key(struct tgs_store *s, const struct tgs_service *svc, int64_t now_s, struct key *ret);

/*
 * Both in one read. A handle gives the key that it found again for the rest of the second: what another process changes
 * is seen in the next one. Errors: NO_SERVICE, SERVICE_DISABLED, NO_KEY, BAD_ROW.
 */
MUST enum rc tgs_store_target(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret);

/* --- kerbadm's side; each call is one transaction --- */

/* A new service with a first random key, valid at once. Errors: EXISTS (also when only case differs). */
MUST enum rc tgs_store_add(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret_key);

/* The next key version, used from `valid_from_s`. Errors: NO_SERVICE. */
MUST enum rc tgs_store_rotate(struct tgs_store *s, const struct name *name, int64_t valid_from_s, struct key *ret_key);

/* In order of name; the callback's first error ends the walk and is returned. */
MUST enum rc tgs_store_each(struct tgs_store *s, enum rc (*each)(void *ctx, const struct tgs_service *svc), void *ctx);

/* All versions of a service's key, oldest first, added to a keytab. Errors: NO_SERVICE, EXISTS, BAD_ROW. */
MUST enum rc tgs_store_export(struct tgs_store *s, const struct name *name, struct keytab *into);

/* Its sealed columns, for a roll-over of the master key. Borrowed from s. */
struct sealed_db tgs_store_sealed(struct tgs_store *s);

/* Opens every sealed row once. Out: counts of rows read and of rows that do not open. */
MUST enum rc tgs_store_verify(struct tgs_store *s, uint64_t *ret_rows, uint64_t *ret_bad);

#endif
