/*
 * The master keys of a daemon: what seals the secret columns of its database.
 *
 * A key has a version (kvno) and a time from which it seals; the newest whose time has come is the one in use, older
 * ones still open. They lie in a keytab of principal "master" (STATE/as/master.key), come as a systemd credential, or
 * are derived from a secret that is split into shares (STATE/as/master.shares, shares.h) and handed in at the start.
 *
 * The files are looked at again before a row is sealed, once a second, and when a row names a version that is not
 * here: so a roll-over (kerbadm mkey) needs no restart. A file that cannot be read leaves the old keys in use.
 * Thread: a struct master belongs to one thread at a time.
 */
#ifndef KERB_DB_MASTER_H
#define KERB_DB_MASTER_H

#include "shared/crypto/envelope.h"

#define MASTER_VERSIONS_MAX 64           /* a roll-over re-seals the rows, so few are in use at a time */
#define MASTER_UNUSED       253402300799 /* valid_from of a version that seals only after 'mkey use': year 9999 */
#define MASTER_FILE_NAME    "master.key"
#define MASTER_SHARES_NAME  "master.shares"
#define MASTER_CREDENTIALS  "CREDENTIALS_DIRECTORY" /* set by systemd; the file in it: kerb-DAEMON-master */

struct master_place {
    const char *daemon; /* "as", "tgs", "chat"; outlives the place */
    char *dir;          /* STATE/as */
    struct name realm;
    enum master_source source;
};

void master_place_done(struct master_place *p); /* for AUTO */

struct master;

/* Errors: as keytab_load and shares_load; NO_KEY (none of "master", or no directory of credentials), NO_SHARES (a
 * version in use whose secret was not supplied), EXISTS (a version twice), LIMIT. */
MUST enum rc master_open(const struct master_place *place, struct master **ret);
/* A keytab alone. */
MUST enum rc master_load(const char *path, const struct name *realm, struct master **ret);
void master_free(struct master *m);
void master_done(struct master **m);

/*
 * Looks at the files and reads them again when they have changed. Errors: as master_open, until they change again; the
 * old keys stay.
 */
MUST enum rc master_refresh(struct master *m, bool *ret_changed);

const struct name *master_realm(const struct master *m);
uint32_t master_kvno(const struct master *m); /* the version that seals now */

/*
 * A version for LABEL_ROW, LABEL_MESSAGE or LABEL_AUDIT; kvno 0: the one that seals now. NULL: not here. Borrowed until
 * the next call with this master.
 */
const struct envelope_key *master_key(struct master *m, enum label label, uint32_t kvno);
/* The same, copied. Errors: NO_KVNO. */
MUST enum rc master_derive(struct master *m, enum label label, uint32_t kvno, struct envelope_key *ret);

struct master_version {
    uint32_t kvno;
    int64_t valid_from;
    bool is_shared; /* comes from shares */
};
/* i from 0, by kvno; false at the end. */
bool master_at(const struct master *m, size_t i, struct master_version *ret);

/* --- changes, by kerbadm: the files alone; running daemons follow --- */

MUST enum rc master_create(const char *path); /* kvno 1, random. Errors: EXISTS, IO */

/* What there is, without any secret of shares: for kerbadm and for who waits for shares. Sorted by kvno. */
struct master_list {
    struct master_version version[MASTER_VERSIONS_MAX];
    size_t n;
};
MUST enum rc master_list(const struct master_place *place, struct master_list *ret);
uint32_t master_list_current(const struct master_list *l, int64_t now_s); /* 0: none */

/* The next version, not used yet. With shares: of the newest secret. Errors: as master_open but NO_SHARES; LIMIT. */
MUST enum rc master_add(const struct master_place *place, uint32_t *ret_kvno);
/* Seals from now on. Errors: NO_KVNO, EXISTS (a newer or the same version seals already). */
MUST enum rc master_use(const struct master_place *place, uint32_t kvno, int64_t now_s);
/* Removes the versions below; a file that is left empty goes. Errors: NO_KVNO (nothing would be left). */
MUST enum rc master_purge(const struct master_place *place, uint32_t keep_from);

#endif
