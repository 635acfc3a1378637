/*
 * The tickets of one user in one realm, and the file that keeps them between commands.
 *
 * The file is one JSON object, read strictly, 0600, replaced whole; docs/PROTOCOL.md does not know it. Its first entry
 * is the ticket-granting ticket. `vault` is there when the user's saved shares can be opened (client/vault.h).
 */
#ifndef KERB_CLIENT_CACHE_H
#define KERB_CLIENT_CACHE_H

#include "shared/crypto/key.h"
#include "shared/crypto/userkey.h"

#define CACHE_ENTRIES_MAX 32 /* a person uses a handful of services; when full, the one that ends first goes */
#define CACHE_FILE_MAX    (256 * 1024)
#define CACHE_RECORD_MAX  2048 /* bytes of a vault's record, JSON */

struct cache_entry {
    struct name server;
    struct buf ticket;  /* text */
    struct key session; /* aes128-cbc-hs256 */
    int64_t auth_time, start, end, renew_till;
};

/* The key of the user's vault, and its record as the server should have it. */
struct cache_vault {
    bool has;
    struct key key;
    struct buf record; /* JSON: salt, iterations, the key wrapped under the password */
    bool is_saved;     /* the server has this record */
};

struct cache {
    struct name realm, client;
    struct buf url;
    int64_t offset_s; /* the server's clock minus ours */
    struct cache_entry entries[CACHE_ENTRIES_MAX];
    size_t n;
    struct cache_vault vault;
};

void cache_entry_done(struct cache_entry *e);
void cache_vault_done(struct cache_vault *v);
void cache_done(struct cache *c); /* wipes and empties; for AUTO */

/* Keeps an entry, in place of that for the same server; takes what it owns. A TGT (i == 0) is put with cache_start. */
void cache_put(struct cache *c, struct cache_entry *entry);

/* Forgets the entry for a server, if there is one; not that of the TGS. */
void cache_drop(struct cache *c, struct slice server);

/* NULL when there is none. Borrowed. */
const struct cache_entry *cache_find(const struct cache *c, struct slice server);

MUST enum rc cache_write(const struct cache *c, struct buf *out);
/* Errors: MALFORMED, for every way to be wrong. */
MUST enum rc cache_read(struct slice text, struct cache *ret);

/* Which file: the first of name, $KERB_CCACHE, $XDG_RUNTIME_DIR/kerb/ccache, /tmp/kerb-UID/ccache. NUL-terminated. */
MUST enum rc cache_path(const char *name, struct buf *ret);

/* Errors: NOT_FOUND, UNSAFE_FILE, MALFORMED, LIMIT, IO. */
MUST enum rc cache_load(const char *path, struct cache *ret);

/*
 * Writes the file, atomically. Its directory is made when it is one of ours (0700), and must then be ours alone.
 * with_tgt: when not empty, only if the file still has this ticket-granting ticket: nobody has logged out or in since;
 * if not, nothing is written and that is no error.
 * Errors: UNSAFE_FILE, IO, NO_MEMORY.
 */
MUST enum rc cache_save(const char *path, const struct cache *c, struct slice with_tgt);

/* Overwrites the file, then unlinks it. Errors: NOT_FOUND, UNSAFE_FILE (not a file of ours), IO. */
MUST enum rc cache_wipe(const char *path);

#endif
