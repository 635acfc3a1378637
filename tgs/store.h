/*
 * What the TGS keeps: services with random keys by version, the epochs below which tickets are worth nothing, and the
 * feed that tells services of changes. Users are never in here, so never a ticket's target.
 *
 * File: STATE/tgs/tgs.db; secrets are rows sealed under STATE/tgs/master.key. The TGS's own keys lie in
 * STATE/tgs/tgs.keytab. Thread: a handle belongs to one thread at a time; the daemon lends them from a pool.
 */
#ifndef KERB_TGS_STORE_H
#define KERB_TGS_STORE_H

#include "shared/db/rewrap.h"
#include "shared/service/conf.h"
#include "shared/service/feed.h"

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

/* A version of a service's key, in use or not. Errors: NO_KVNO (or no such service), BAD_ROW. */
MUST enum rc tgs_store_key_version(struct tgs_store *s, const struct name *name, uint32_t kvno, struct key *ret);

/* --- the feed --- */

#define TGS_FEED_ORDER_S 60            /* an order that was not fetched by then is not carried out any more */
#define TGS_FEED_KEEP_S  (366 * 86400) /* an epoch: longer than any ticket can be renewed */

/* Where we stand in the AS's feed. */
MUST enum rc tgs_store_position(struct tgs_store *s, int64_t *ret_seq);

/* Every client whose epoch was raised. The callback's first error ends the walk and is returned. */
MUST enum rc tgs_store_epochs(struct tgs_store *s, enum rc (*each)(void *ctx, const uint8_t id[ID_LEN], uint32_t epoch),
                              void *ctx);

/*
 * What the AS's feed told, as one transaction: raises epochs, makes keys that are asked for (used from key_from_s), and
 * tells the services all that concerns them. A rotation of a service that we do not have, or whose keytab only kerbadm
 * can write (kerb/...), is passed over, as is an item that carries a key: it is the TGS's own.
 */
MUST enum rc tgs_store_apply(struct tgs_store *s, const struct feed_item *items, size_t n, int64_t seq,
                             int64_t key_from_s, int64_t now_s);

/* Our own feed, for one service: see struct feed_source. */
MUST enum rc tgs_store_feed(struct tgs_store *s, const struct name *reader, int64_t after, int64_t now_s,
                            struct feed_out *out, int64_t *ret_seq);

/* --- kerbadm's side; each call is one transaction --- */

/* A new service with a first random key, valid at once. Errors: EXISTS (also when only case differs). */
MUST enum rc tgs_store_add(struct tgs_store *s, const struct name *name, int64_t now_s, struct key *ret_key);

/*
 * The next key version, used from `valid_from_s`, but in any case later than the version before; the feed tells the
 * service. Errors: NO_SERVICE.
 */
MUST enum rc tgs_store_rotate(struct tgs_store *s, const struct name *name, int64_t valid_from_s, int64_t now_s,
                              struct key *ret_key);

/* Deletes the versions that are out of use since `unused_since_s` or longer. Out: how many. Errors: NO_SERVICE. */
MUST enum rc tgs_store_purge(struct tgs_store *s, const struct name *name, int64_t unused_since_s, unsigned *ret_n);

/* In order of name; the callback's first error ends the walk and is returned. */
MUST enum rc tgs_store_each(struct tgs_store *s, enum rc (*each)(void *ctx, const struct tgs_service *svc), void *ctx);

/* All versions of a service's key, oldest first, added to a keytab. Errors: NO_SERVICE, EXISTS, BAD_ROW. */
MUST enum rc tgs_store_export(struct tgs_store *s, const struct name *name, struct keytab *into);

/* Its sealed columns, for a roll-over of the master key. Borrowed from s. */
struct sealed_db tgs_store_sealed(struct tgs_store *s);

/* Opens every sealed row once. Out: counts of rows read and of rows that do not open. */
MUST enum rc tgs_store_verify(struct tgs_store *s, uint64_t *ret_rows, uint64_t *ret_bad);

#endif
