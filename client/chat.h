/*
 * What the files of the chat connection share: the connection (chat.c) and what it keeps for its user (chat_vault.c).
 */
#ifndef KERB_CLIENT_CHAT_H
#define KERB_CLIENT_CHAT_H

#include "client/chat_session.h"
#include "client/client.h"
#include "client/kerb_chat.h"

#define CHAT_SERVICE "chat"
#define CHAT_ID_MAX  24 /* bytes of a request's `id`: "k" and a number */

/* A request of the library's own whose reply it waits for: the saving of a share. */
struct chat_saving;

/* Sends a request; takes a copy. Tells. */
MUST enum rc chat_send(struct kerb_chat *c, const json_t *request, uint64_t *ret_id);

/* Gives a new_message its name, `cid`. Errors: CRYPTO, NO_MEMORY. */
MUST enum rc chat_name_message(json_t *request);

/* The number of the request that a message of the server answers; 0: none. */
uint64_t chat_id_of(const json_t *message);

/* Somebody is waiting: a lost connection is sought now, and not when the pause is over. */
void chat_seek(struct kerb_chat *c);

/* Sends it and waits for the reply. Tells. */
MUST enum rc chat_call(struct kerb_chat *c, const json_t *request, json_t **ret);

struct kerb *chat_handle(struct kerb_chat *c);
void chat_tell(struct kerb_chat *c, enum kerb_chat_event event, const char *text);

/* Opens a connection inside of another function of the library. Tells. */
MUST enum rc chat_open(struct kerb *k, const struct kerb_chat_options *options, struct kerb_chat **ret);

/* --- chat_trace.c --- */

/* A record that is sent ("->") or has come ("<-"): json - what lies in it; record_n - bytes of it, sealed. */
void chat_trace_record(const struct kerb *k, const char *arrow, struct slice json, size_t record_n);

/* --- chat_presence.c --- */

struct chat_presence {
    bool has_state; /* false: the whole was asked for */
    int64_t state;
};

enum presence_use {
    PRESENCE_TAKE, /* it is whole, or follows on what came before */
    PRESENCE_DROP, /* the whole of it is on its way */
    PRESENCE_ASK,  /* something is missing: the whole must be asked for */
};

void presence_login(struct kerb_chat *c, struct chat_presence *p);
enum presence_use presence_read(struct chat_presence *p, const json_t *message);
/* A `presence` of the server, asked for anew where need be: false when it must not be handed out. */
bool presence_follows(struct kerb_chat *c, struct chat_presence *p, const json_t *message);

/* --- chat_vault.c --- */

struct chat_keeper; /* shares on their way to the vault */

/* Errors: as own_shares_load. */
MUST enum rc keeper_new(struct kerb *k, struct chat_keeper **ret);
void keeper_free(struct chat_keeper *x); /* accepts NULL */

/* A message, as soon as it is opened: writes a share down before the server may forget it. */
void keeper_saw(struct kerb_chat *c, struct chat_keeper *x, const json_t *message);

/* After login: everything that waits goes to the vault. */
void keeper_login(struct kerb_chat *c, struct chat_keeper *x);

/* True when the message answers a request of the keeper's. */
bool keeper_took(struct kerb_chat *c, struct chat_keeper *x, const json_t *message, uint64_t id);
bool keeper_is_busy(const struct chat_keeper *x);

struct chat_keeper *chat_keeper(struct kerb_chat *c);

/* Keeps the record of the vault with the chat. */
struct vault_store chat_vault_store(void);

#endif
