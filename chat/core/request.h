/*
 * Requests of a client, decoded and checked for form; what they mean is the core's business.
 *
 * The texts borrow from the frame and live as long as the event that carries them.
 */
#ifndef KERB_CHAT_CORE_REQUEST_H
#define KERB_CHAT_CORE_REQUEST_H

#include "chat/core/job.h"
#include "shared/base/text.h"

#define CHAT_COMMAND_TABLE(X)                           \
    X(NONE, "") /* of a frame that could not be read */ \
    X(LOGIN, "login")                                   \
    X(ONLINE, "online")                                 \
    X(NEW_ROOM, "new_room")                             \
    X(GO_ROOM, "go_room")                               \
    X(SECRET, "secret")                                 \
    X(NEW_MESSAGE, "new_message")                       \
    X(EDIT_MESSAGE, "edit_message")                     \
    X(DELETE_MESSAGE, "delete_message")                 \
    X(DELETE_CHAT, "delete_chat")                       \
    X(SAVE_DATA, "save_data")                           \
    X(GET_DATA, "get_data")                             \
    X(GET_HISTORY, "get_history")                       \
    X(SEARCH, "search")                                 \
    X(MARK_READ, "mark_read")                           \
    X(TYPING, "typing")                                 \
    X(SUBSCRIBE, "subscribe")                           \
    X(REAUTH, "reauth")

enum chat_command {
#define X(name, word) CMD_##name,
    CHAT_COMMAND_TABLE(X)
#undef X
        CMD_COUNT
};

#define LABEL_MAX_CHARS 64    /* characters of `id` */
#define CID_MAX_CHARS   64    /* characters of `cid` */
#define USERS_MAX       10000 /* entries in new_room, before duplicates are dropped; the frame limit binds earlier */
#define DATA_KEY_MAX    256   /* bytes of the name of a saved value */
#define KEEP_DAYS_MAX   36500
#define THRESHOLD_ALL   UINT32_MAX
#define PAGE_MAX        200 /* messages of one get_history */
#define SEARCH_MAX      50  /* messages of one search */
#define SEARCH_DEFAULT  20
#define SEARCH_TEXT_MAX 1024 /* bytes of what is looked for */
#define PAGE_DEFAULT    100

/* The stable words of `error` pushes, and their sentences. */
#define CHAT_CODE_TABLE(X)                                                                           \
    X(MALFORMED, "malformed", "the message is not a request this server understands")                \
    X(NOT_LOGGED_IN, "not_logged_in", "log in first")                                                \
    X(LOGIN_FAILED, "login_failed", "the ticket or the authenticator is not valid here")             \
    X(LOGGED_IN, "logged_in", "this connection is logged in already")                                \
    X(VERSION, "version", "this server speaks version 1")                                            \
    X(BROKEN, "broken", "the message does not open in its place")                                    \
    X(WRONG_FROM, "wrong_from", "'from' must be your own name")                                      \
    X(SKEW, "skew", "the timestamp is too far from the server's clock")                              \
    X(REPLAYED, "replayed", "this message was received before")                                      \
    X(RATE_LIMITED, "rate_limited", "too many messages at once; wait a few seconds")                 \
    X(UNKNOWN_USER, "unknown_user", "these users never logged in to this chat")                      \
    X(CID_CONFLICT, "cid_conflict", "another message of yours has this cid")                         \
    X(EXISTS, "exists", "a room of that id exists already")                                          \
    X(NOT_FOUND, "not_found", "you are not a member of a room of that id")                           \
    X(NO_MESSAGE, "no_message", "you have written no message of that number that is still there")    \
    X(ROOM_CLOSED, "room_closed", "the room is closed; its members must present their shares first") \
    X(SHARE_INVALID, "share_invalid", "this is not your share of the room's secret")                 \
    X(BAD_THRESHOLD, "bad_threshold", "the threshold must lie between 0 and the number of members")  \
    X(LIMIT, "limit", "a limit of this server is reached")                                           \
    X(UNAVAILABLE, "unavailable", "the server cannot store anything now; nothing was stored")        \
    X(INTERNAL, "internal", "the server could not do this; nothing was stored")

enum chat_code {
#define X(name, word, text) CODE_##name,
    CHAT_CODE_TABLE(X)
#undef X
        CODE_COUNT
};

const char *chat_code_word(enum chat_code code);
const char *chat_code_text(enum chat_code code);
const char *chat_command_word(enum chat_command cmd);
enum chat_command chat_command_of(struct slice word); /* CMD_NONE: unknown */

struct chat_request {
    enum chat_command cmd;
    struct slice label; /* `id`; empty: none */

    struct name room; /* its id, or a name that the user knows it by */
    bool has_secret;
    struct slice secret;
    struct slice text;
    struct slice cid; /* empty: none */

    uint32_t threshold; /* THRESHOLD_ALL: as many as there are members */
    enum chat_hold hold;
    uint32_t keep_days; /* 0: for ever */
    bool has_name;
    struct name name;
    const struct slice *users;
    size_t users_n;

    enum chat_side side; /* GET_HISTORY: which messages, */
    uint64_t
        seq; /* seen from where; MARK_READ: up to which; EDIT_MESSAGE, DELETE_MESSAGE: which one; SEARCH: before it */
    uint32_t limit; /* and how many */

    bool presence; /* SUBSCRIBE: to who is online, or no more */

    bool has_key;
    struct slice key, data; /* data: JSON text */
};

#endif
