/*
 * The vault: what a user saves on a server that must not be able to read it (his shares, for his other devices).
 *
 * Items lie under a random vault key. This key lies on the server too, wrapped under a key made from the password:
 *
 *   record = {"v":1, "salt"[16], "iterations", "key": E(W, vault){vault key[32]}}   context "key"
 *   W      = PBKDF2-HMAC-SHA-256(password NFC, "kerb1 vault" | 00 | LP(realm) | LP(client) | salt, iterations, 32)
 *   item   = E(vault key, vault){bytes}                                             context "item " | its name
 *
 * The salt is the vault's own, so W has nothing to do with the long-term key, which the AS holds. A change of password
 * wraps the same vault key anew; a reset by an administrator cannot, and the vault is lost. The vault key lies in the
 * ticket cache between commands.
 */
#ifndef KERB_CLIENT_VAULT_H
#define KERB_CLIENT_VAULT_H

#include "client/client.h"

#define VAULT_SERVER "vault" /* the server's name in the AAD */

/* A fresh vault for the user of k->cache. */
MUST enum rc vault_make(struct kerb *k, struct slice password, struct cache_vault *ret);

/* Opens a record that the server kept. Tells: REFUSED (another password), UNTRUSTED (damaged, or too cheap). */
MUST enum rc vault_open(struct kerb *k, struct slice record, struct slice password, struct cache_vault *ret);

/* Wraps the same vault key under another password; the record is then not saved yet. */
MUST enum rc vault_rewrap(struct kerb *k, struct slice password, struct cache_vault *vault);

/* Appends base64url. Errors: NOT_FOUND (k->cache has no vault). */
MUST enum rc vault_seal_item(const struct kerb *k, const char *name, struct slice plain, struct buf *out);

/* Replaces *ret. Errors: NOT_FOUND (no vault), MODIFIED. */
MUST enum rc vault_open_item(const struct kerb *k, const char *name, struct slice text, struct buf *ret);

/*
 * After a login: the vault is taken from the server or, when it has none, made and saved there. It needs
 * k->vault_store; what fails is told in the notice only.
 */
void vault_after_login(struct kerb *k, struct slice password);

/* The vault of k->cache, from there or from the server. Errors: NOT_FOUND (none, or no store), as vault_open. */
MUST enum rc vault_fetch(struct kerb *k, struct slice password);

/* Saves a record that the server does not have yet. Errors: as k->vault_store.put; NOT_FOUND (no store). */
MUST enum rc vault_save(struct kerb *k);

#endif
