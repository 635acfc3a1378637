/*
 * kerb vault: whether shares can be kept with the chat, and what to do when they cannot: after a reset by an
 * administrator the vault opens with the password of before only, and without that it is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cmd.h"
#include "client/vault.h"

#define PROOF_S 300 /* the login that proves the password lives no longer */

/* The password must be the present one, or the next login could not open what it wraps. */
static enum rc check_password(struct kerb *k, const struct buf *password)
{
    AUTO(login_result_done) struct login_result proof = {0};
    const struct login_wish wish = {.lifetime_s = PROOF_S};

    return client_as(k, &k->cache.client, buf_slice(password), &wish, &proof);
}

static enum rc save(struct kerb *k)
{
    TRY(vault_save(k));
    return client_save(k, buf_slice(&k->cache.entries[0].ticket));
}

static enum rc make_new(struct kerb *k, const struct buf *password)
{
    TRY(check_password(k, password));
    TRY(vault_make(k, buf_slice(password), &k->cache.vault));
    return save(k);
}

static enum rc recover(struct kerb *k, const struct buf *before, const struct buf *password)
{
    AUTO(buf_done) struct buf record = {0};

    TRY(check_password(k, password));
    enum rc rc = k->vault_store.get(k->vault_store.ctx, k, &record);
    if (rc == RC_NOT_FOUND)
        return client_fail(k, KERB_REFUSED, "the chat has no vault of yours; the next login makes one");
    TRY(rc);
    TRY(vault_open(k, buf_slice(&record), buf_slice(before), &k->cache.vault));
    TRY(vault_rewrap(k, buf_slice(password), &k->cache.vault));
    return save(k);
}

static int show_state(const struct cmd *c)
{
    if (c->k->cache.vault.has) {
        (void)puts("Your vault is open: your shares are kept with the chat, sealed, for all your devices.");
        return EXIT_SUCCESS;
    }
    return cmd_fail(EXIT_FAILURE,
                    "your vault is not open here. 'kerb login' opens it; if that says that it is under an "
                    "earlier password, 'kerb vault recover' takes that one; without it the vault is lost, "
                    "and 'kerb vault new' makes another");
}

int cmd_vault(struct cmd *c)
{
    AUTO(buf_done) struct buf before = {0}, password = {0};
    const char *word = c->args_n > 0 ? c->args[0] : "";
    bool is_new = strcmp(word, "new") == 0, is_recover = strcmp(word, "recover") == 0;

    if (word[0] && !is_new && !is_recover)
        return cmd_fail(EXIT_USAGE, "'kerb vault', 'kerb vault recover' or 'kerb vault new'");
    int status = cmd_end(c, kerb_load(c->k));
    if (status != EXIT_SUCCESS)
        return status;
    if (!word[0])
        return show_state(c);
    if (is_recover)
        status = cmd_password("Password of before the reset: ", &before);
    if (status == EXIT_SUCCESS)
        status = cmd_password("Present password: ", &password);
    if (status != EXIT_SUCCESS)
        return status;
    client_begin(c->k);
    enum rc rc = is_new ? make_new(c->k, &password) : recover(c->k, &before, &password);
    status = cmd_end(c, client_end(c->k, rc));
    if (status == EXIT_SUCCESS)
        (void)puts(is_new ? "You have a new vault; shares of the old one are lost." : "Your vault is open again.");
    return status;
}
