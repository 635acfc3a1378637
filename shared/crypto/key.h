/*
 * Keys with encryption type and version, and keytabs: the files in which a server finds its own keys.
 *
 * A keytab is one JSON object: {"keytab": 1, "keys": [{"principal", "etype", "kvno", "valid_from", "key"}]}, the key as
 * base64url. The file belongs to its user alone (0600 or stricter) and is replaced whole, never changed in place.
 * Loaded keys lie in OpenSSL's secure heap (locked, not dumped) and are wiped when released.
 */
#ifndef KERB_CRYPTO_KEY_H
#define KERB_CRYPTO_KEY_H

#include "shared/base/text.h"
#include "shared/crypto/primitives.h"

#define KEY_MAX         32
#define KEYTAB_FILE_MAX (1024 * 1024) /* bytes: room for thousands of versions */
#define KEYTAB_KEYS_MAX 4096

enum etype {
    ETYPE_AES128_CBC_HS256 = 1, /* "aes128-cbc-hs256": 32 bytes; the number in an envelope's header */
    ETYPE_AES128_CBC = 2,       /* "aes128-cbc": 16 bytes; classic, never in an envelope */
};

const char *etype_name(enum etype etype);
size_t etype_key_len(enum etype etype);
MUST enum rc etype_parse(struct slice name, enum etype *ret); /* Errors: MALFORMED */

struct key {
    enum etype etype;
    uint32_t kvno;      /* from 1; 0 for keys that have no versions */
    int64_t valid_from; /* Unix seconds: not used for sealing before */
    uint8_t n;          /* bytes of the key */
    uint8_t bytes[KEY_MAX];
};

void key_done(struct key *key); /* wipes; for AUTO(key_done) */
struct slice key_slice(const struct key *key);
MUST enum rc key_random(enum etype etype, uint32_t kvno, int64_t valid_from, struct key *ret);

struct keytab; /* immutable once loaded; may be shared between threads */

/* An empty keytab to add to. */
MUST enum rc keytab_new(struct keytab **ret);
void keytab_free(struct keytab *kt);  /* accepts NULL */
void keytab_done(struct keytab **kt); /* for AUTO */

/* Errors: EXISTS (same principal, etype and kvno), BAD_ETYPE (wrong length), LIMIT, NO_MEMORY. */
MUST enum rc keytab_add(struct keytab *kt, const struct name *principal, const struct key *key);

/* Removes the keys of a principal with kvno below `keep_from`. */
void keytab_purge(struct keytab *kt, const struct name *principal, uint32_t keep_from);

/*
 * Errors: NOT_FOUND, IO, UNSAFE_FILE (others may read or write it, not a regular file), MALFORMED, LIMIT, NO_KEY (a
 * key that everybody knows: the original's defaults, all bytes equal).
 */
MUST enum rc keytab_load(const char *path, struct keytab **ret);

/* The same of a credential, as a service manager hands it in. */
MUST enum rc keytab_load_credential(const char *path, struct keytab **ret);

/* Replaces the file atomically (temporary file, fsync, rename), mode 0600, owner of the directory. Errors: IO. */
MUST enum rc keytab_save(const struct keytab *kt, const char *path);

/* The key of that version; NULL when there is none. Borrowed. */
const struct key *keytab_find(const struct keytab *kt, const struct name *principal, enum etype etype, uint32_t kvno);

/* The newest version whose valid_from has come; NULL when there is none. Borrowed. */
const struct key *keytab_current(const struct keytab *kt, const struct name *principal, enum etype etype,
                                 int64_t now_s);

/* Walks the keys, sorted by principal, etype and version: i from 0; false at the end. */
bool keytab_at(const struct keytab *kt, size_t i, const struct name **ret_principal, const struct key **ret_key);

/* Where a daemon's master keys come from: "file", "credential", "shares". Errors: MALFORMED. */
enum master_source { MASTER_FILE, MASTER_CREDENTIAL, MASTER_SHARES };
MUST enum rc master_source_parse(const char *text, enum master_source *ret);

/*
 * A keytab file that is read again when it changes (look once a second) or on SIGHUP. A file that cannot be read then
 * leaves the old keys in use and tells: once, until the file changes again. hold/release: any thread; the keytab lives
 * at least until release.
 */
struct keytab_file;
MUST enum rc keytab_file_open(const char *path, struct keytab_file **ret); /* Errors: as keytab_load */
void keytab_file_close(struct keytab_file *f);                             /* accepts NULL; nobody holds it any more */
/* ret_changed (always written): new keys are in use. Errors: as keytab_load. */
MUST enum rc keytab_file_refresh(struct keytab_file *f, bool force, bool *ret_changed);
const struct keytab *keytab_hold(struct keytab_file *f);
void keytab_release(struct keytab_file *f, const struct keytab *kt);

#endif
