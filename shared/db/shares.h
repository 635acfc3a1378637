/*
 * Master keys from shares: the file that says which secrets there are, and how a key comes from one.
 *
 * STATE/as/master.shares is JSON and holds no secret: for each set of shares its threshold, a commitment to each share,
 * and the key versions that its secret makes. The secret is an element of the field 2^255-19, known only while a
 * threshold of shares is together.
 *
 *   commitment = SHA-256("kerb1 master share" | set id[16] | LP(realm) | LP(daemon) | LP(share text))
 *   master key = HKDF-SHA-256(secret[32], salt "", info "kerb1 master" | LP(realm) | LP(daemon) | kvno u32be, 32)
 */
#ifndef KERB_DB_SHARES_H
#define KERB_DB_SHARES_H

#include "shared/db/master.h"

#define SHARES_FIELD    "2^255-19"
#define SHARES_SECRET   32 /* bytes of an element */
#define SHARES_MAX      255
#define SHARES_SETS_MAX 4 /* one in use, another on the way in */
#define SHARES_FILE_MAX (128 * 1024)

struct shares_set {
    uint8_t id[ID_LEN];
    unsigned threshold, n;
    uint8_t commitment[SHARES_MAX][SHA256_LEN]; /* of share number i + 1 */
    struct master_version version[MASTER_VERSIONS_MAX];
    size_t versions_n;
};

struct shares {
    struct name realm, daemon;
    struct shares_set set[SHARES_SETS_MAX];
    size_t n;
};

/* NOT_US: of another realm or daemon. Errors: as file_read, MALFORMED, LIMIT. */
MUST enum rc shares_load(const struct master_place *place, struct shares **ret);
MUST enum rc shares_new(const struct master_place *place, struct shares **ret); /* an empty one */
MUST enum rc shares_save(const struct master_place *place, const struct shares *s);
void shares_done(struct shares **s); /* for AUTO */

MUST enum rc shares_commitment(const struct shares *s, const struct shares_set *set, struct slice text,
                               uint8_t out[SHA256_LEN]);
MUST enum rc shares_key(const struct shares *s, const uint8_t secret[SHARES_SECRET], const struct master_version *v,
                        struct key *ret);

/*
 * The secret of a set, kept for the life of the process in locked memory: every struct master finds it there. Supplied
 * before other threads run. Errors: LIMIT, NO_MEMORY.
 */
MUST enum rc shares_supply(const uint8_t id[ID_LEN], const uint8_t secret[SHARES_SECRET]);
const uint8_t *shares_supplied(const uint8_t id[ID_LEN]); /* NULL: not yet */
void shares_forget(void);                                 /* wipes all of them */

#endif
