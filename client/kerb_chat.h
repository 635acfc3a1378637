/*
 * libkerb: the chat, over a sealed connection that renews its ticket by itself and comes back when it is lost.
 *
 * Requests and messages are the JSON objects of docs/PROTOCOL.md, 5.3. Shares of sealed rooms that the server delivers
 * are kept without being asked: in a private file beside that of the tickets, then on the server under the user's vault
 * key, where his other devices find them. No share is presented without the program's asking for it.
 *
 * Threads: a connection has the one owner of its handle. Nothing happens outside the functions below; a program calls
 *          kerb_chat_wait() in its loop. SIGPIPE should be ignored.
 */
#ifndef KERB_CLIENT_KERB_CHAT_H
#define KERB_CLIENT_KERB_CHAT_H

#include "client/kerb.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kerb_chat;

enum kerb_chat_event {
    KERB_CHAT_LOST,      /* the connection is lost and will be sought again; text says why */
    KERB_CHAT_BACK,      /* it is there again; what was not answered before may have been done or not */
    KERB_CHAT_KEPT,      /* a share was saved on the server; text names the room */
    KERB_CHAT_KEPT_HERE, /* a share could be kept on this machine only; text names the room */
};

struct kerb_chat_options {
    const char *service; /* NULL: "chat" */
    const char *device;  /* a word for the server's log; NULL: "kerb" */
    bool stay_lost;      /* do not come back: for a program that asks something and ends */
    bool presence;       /* subscribe to who is online, after each login: messages of type "presence" follow; one that
                            does not fit what came before is not handed out but asked for anew, as a whole */
    /*
     * Each message of the server, replies too (they have the "id" of their request). json: good during the call. What
     * is said in a room ("new_message", "edited", "deleted") comes once and in the order of its `seq`, from the first
     * login on, over connections that were lost and resumed, and when this program reads too slowly: what is missing is
     * asked for in here. When the server's database was replaced by an older one (`history_id` of "handshake"), the
     * rooms of which something was told are told anew from their beginning.
     */
    void (*message)(void *ctx, const char *type, const char *json);
    void (*event)(void *ctx, enum kerb_chat_event event, const char *text);
    void *ctx;
};

/*
 * Connects and logs in with a ticket of the handle, which must outlive the connection. options may be NULL.
 * Errors: as kerb_get_ticket(), REFUSED (the chat does not take the ticket).
 */
KERB_MUST enum kerb_status kerb_chat_open(struct kerb *k, const struct kerb_chat_options *options,
                                          struct kerb_chat **ret);

/* Waits a moment until what must not be lost is saved, then says goodbye; accepts NULL. */
void kerb_chat_close(struct kerb_chat *c);

/*
 * Waits until messages have come and were handed to the callback, until other_fd can be read (-1: none), or until
 * timeout_ms are over. A lost connection is sought again in here, with growing pauses.
 * Out: ret_other - other_fd can be read; may be NULL. Errors: the connection is over for good: kerb_error() says why.
 */
KERB_MUST enum kerb_status kerb_chat_wait(struct kerb_chat *c, int other_fd, int timeout_ms, bool *ret_other);

/*
 * Sends a request, e.g. {"type":"online"}; its "id" is made here. May be called in callbacks.
 * Out: ret_id - what the reply will have as "id" behind its "k"; may be NULL. Errors: BAD_ARGUMENT, UNREACHABLE.
 */
KERB_MUST enum kerb_status kerb_chat_send(struct kerb_chat *c, const char *json, uint64_t *ret_id);

/*
 * Sends a request and waits for its reply, handing what else comes to the callback. Not to be called in callbacks. A
 * new_message gets a `cid` unless it has one, and is sent again under it when the connection was lost: what is answered
 * with an `ack` is stored once.
 * Out: ret_json - the reply, also one of type "error"; to be given to kerb_free()
 * Errors: BAD_ARGUMENT, UNREACHABLE (no answer: what was asked for may have been done).
 */
KERB_MUST enum kerb_status kerb_chat_call(struct kerb_chat *c, const char *json, char **ret_json);

/*
 * One's own share of a room, from this machine or from the vault.
 * Out: ret_share - NULL when there is none; to be given to kerb_free(). Errors: UNREACHABLE, UNTRUSTED (it is damaged),
 *      NO_TICKET (it lies in a vault that is not open here: log in again).
 */
KERB_MUST enum kerb_status kerb_chat_share(struct kerb_chat *c, const char *room, char **ret_share);

/* Forgets a share, for a room that is no more. */
KERB_MUST enum kerb_status kerb_chat_forget_share(struct kerb_chat *c, const char *room);

/* The vault key is there: shares can be kept on the server. */
bool kerb_chat_has_vault(const struct kerb_chat *c);

#ifdef __cplusplus
}
#endif
#endif
