/*
 * The core of the chat: who is online, which rooms there are, who may read them.
 *
 *   chat_step(chat, event, actions)
 *
 * Time and input come in with the event; everything that is to be done goes out with the actions. No socket, no SQL, no
 * clock, no thread, no JSON text in here; random comes through the environment. One thread owns a chat.
 * Running out of memory ends the process (abort): what was acknowledged is committed, and half a step would be worse.
 * Rules: docs/PROTOCOL.md, 5.3 and 5.4.
 */
#ifndef KERB_CHAT_CORE_CHAT_H
#define KERB_CHAT_CORE_CHAT_H

#include "chat/core/job.h"
#include "chat/core/model.h"
#include "chat/core/request.h"
#include "shared/crypto/envelope.h"

#define CHAT_REAUTH_MS          60000 /* before the end of its ticket a sealed connection is asked for a new one */
#define CHAT_ERRORS_MAX         100   /* refused frames ... */
#define CHAT_ERRORS_WINDOW_MS   10000 /* ... in this time, then the connection is closed: PROTOCOL.md 5.3 */
#define CHAT_HISTORY_ROWS       1000  /* messages shown on entering a room: PROTOCOL.md 5.3 */
#define CHAT_HISTORY_BYTES      524288
#define CHAT_WAITING_MAX        10000 /* messages of a room that wait to be numbered */
#define CHAT_ASK_AGAIN_MS       100   /* for whom there is no room, or whose message is under way already */
#define CHAT_STORE_AGAIN_MS     1000  /* for whom the store failed */
#define CHAT_SEALED_MEMBERS     255   /* share numbers are a byte: PROTOCOL.md 5.4 */
#define CHAT_ONLINE_PAUSE_MS    1000  /* least time between two unasked `online` of a connection ... */
#define CHAT_ONLINE_PER_CONN_MS 2     /* ... and as many ms per connection there is, when that is more (N/500 s) */
#define CHAT_ONLINE_AGAIN_MS    5000  /* one more `online` this long after the last change */

#define CHAT_SEARCH_ROOM_BYTES (32 * 1024 * 1024)  /* what kerb-chat gives: the oldest words are left out */
#define CHAT_SEARCH_BYTES      (128 * 1024 * 1024) /* ... of all rooms; the longest unused are given up */
#define CHAT_SEARCH_PAGE_ROWS  200                 /* taken into it in one step ... */
#define CHAT_SEARCH_PAGE_BYTES 65536               /* ... so that nobody waits for long */
#define CHAT_SEARCH_PAGES      2                   /* for all rooms, at a time */
#define CHAT_SEARCH_ASKS       100                 /* that wait for it to be made */
#define CHAT_SEARCH_TEXT       320                 /* bytes of a text whose words are taken in, for one token */
#define CHAT_SEARCH_WORDS      400                 /* looked at for one token of a search: flow.c */

#define CHAT_REPLY_BYTES 16384 /* of stored text in a reply, for one token: flow.c */
#define CHAT_REPLY_NAMES 1000  /* of members in a list of rooms, likewise */

#define CHAT_EXPIRE_MS    3600000 /* a room that keeps its messages for days is looked through so often ... */
#define CHAT_EXPIRE_ROOMS 4       /* ... and no more of them at a time */

#define CHAT_HOLD_MS       20000 /* so long somebody is shown as online behind the end of his last connection */
#define CHAT_NAMES_MAX     100   /* of more people online subscribers are told the count only ... */
#define CHAT_NAMES_AGAIN   80    /* ... until there are no more than these */
#define CHAT_ROUND_MS      2000  /* least time between two deltas to a subscriber */
#define CHAT_ROUND_AT_ONCE 500   /* subscribers that are told in one step; the next ones ... */
#define CHAT_ROUND_STEP_MS 20    /* ... this much later */

#define CHAT_TYPING_MS          1000 /* least time between two `typing` of a connection that are passed on */
#define CHAT_RETURN_MS          1000 /* after a restart clients come back over this time ... */
#define CHAT_RETURN_PER_CONN_MS 2    /* ... and as many ms more for each connection */

#define CHAT_RESUME_MS    300000 /* how long a connection that dropped can be resumed */
#define CHAT_DROPPED_MAX  20000  /* such connections; twice those of a large server */
#define CHAT_RUNS_MAX     256    /* of a connection: 6 KiB, and only when it was sent as much */
#define CHAT_LOG_MAX      16384  /* pushes kept for who resumes, once however many receive it */
#define CHAT_LOG_BYTES    (16 * 1024 * 1024)
#define CHAT_REPLAY_MAX   1000         /* pushes replayed to one connection */
#define CHAT_REPLAY_BYTES (256 * 1024) /* of their texts; less than what makes a reader a slow one */

/* Close codes: PROTOCOL.md 5.5. */
enum chat_close {
    CLOSE_NONE = 0,
    CLOSE_RESTART = 4000,
    CLOSE_INTERNAL = 4001,
    CLOSE_TICKET_EXPIRED = 4002,
    CLOSE_TOO_SLOW = 4003,
    CLOSE_NO_PONG = 4004,
    CLOSE_LOGIN_FAILED = 4500,
    CLOSE_PROTOCOL = 4501,
    CLOSE_LOGIN_TIMEOUT = 4502,
    CLOSE_CUT_OFF = 4503,
    CLOSE_TOO_MANY = 4504,
    CLOSE_VERSION = 4505,
    CLOSE_ORIGIN = 4506,
    CLOSE_TAKEN_OVER = 4507,
    CLOSE_TOO_BIG = 1009,
    CLOSE_OVERLOADED = 1013,
};

struct chat_limits {
    int64_t login_timeout_ms;
    uint32_t connections_per_user;
    uint32_t rooms, rooms_per_user, room_members;
    uint32_t text_bytes;
    uint64_t user_data_bytes;
    size_t search_room_bytes, search_bytes; /* of memory for the words of a room, of all rooms */
    uint32_t keep_days;                     /* no room keeps its messages for longer; 0: as long as it likes */
    uint32_t request_rate, request_burst;   /* a second and connection; at once. rate 0: as many as they like */
};

struct chat_env {
    enum rc (*random)(void *ctx, void *p, size_t n);
    void *ctx;
    struct name realm;
    /*
     * What seals the texts of open rooms: master key, label "message", of that version; 0: the one that seals now,
     * which is always there. NULL: not here. Borrowed until the next call.
     */
    const struct envelope_key *(*open_key)(void *ctx, uint32_t kvno);
    struct chat_limits limits;
};

enum chat_event_kind {
    CHAT_CONNECTED,    /* edge: somebody is there; the step puts the new connection into event->conn */
    CHAT_LOGIN,        /* conn, login: the ticket is good */
    CHAT_REAUTH,       /* conn, login: a newer ticket of the same client is good */
    CHAT_REFUSED,      /* conn, code, request (cmd and label): a frame that cannot be served */
    CHAT_REQUEST,      /* conn, request */
    CHAT_PONG,         /* conn, ping: answer to that ping, so everything sent before it has arrived */
    CHAT_DISCONNECTED, /* conn: gone after this step */
    CHAT_CUT_OFF,      /* client_id, epoch: tickets of a lower epoch are worth nothing any more */
    CHAT_KICK,         /* client_id: end his connections, not his tickets */
    CHAT_NOTICE,       /* text: to everybody who understands it */
    CHAT_LEAVING,      /* the daemon ends: everybody who understands it is told when to come back */
    CHAT_HEARD,        /* feed_seq: the feed was heard up to there; stored behind what it said */
    CHAT_DONE,         /* job: the core's again */
    CHAT_TICK,         /* the time that chat_deadline() told has come */
};

enum chat_resumed {
    RESUME_NOT_ASKED,
    RESUMED,     /* what was missed follows the handshake */
    NOT_RESUMED, /* it cannot be told, or not all of it */
};

struct chat_login {
    struct name client;
    uint8_t client_id[ID_LEN];
    int64_t ticket_end_s;
    uint32_t epoch;          /* of the ticket */
    int64_t authenticator_s; /* classic: the stamp of the authenticator, echoed in the handshake */
    bool extensions;         /* the additive part is wanted; sealed connections always have it */
    bool sealed;             /* the connection can be asked for a new ticket */
    const uint8_t *token;    /* SHA-256 of the token by which it can be resumed; NULL: it cannot */
    const uint8_t *resumes;  /* SHA-256 of the token of the connection that it resumes; NULL: of none */
    uint64_t seen;           /* records that were processed on that one */
    struct slice label;
};

struct chat_event {
    enum chat_event_kind kind;
    int64_t mono_ms; /* the monotonic clock: timers */
    int64_t time_s;  /* Unix, UTC: the stamps of messages and pushes */
    struct chat_conn *conn;
    void *edge; /* kept in conn->edge */
    const struct chat_login *login;
    const struct chat_request *request;
    enum chat_code code;
    uint64_t ping; /* CHAT_PONG: the number in the ping that is answered */
    struct chat_job *job;
    const uint8_t *client_id; /* CHAT_CUT_OFF, CHAT_KICK: ID_LEN bytes */
    uint32_t epoch;
    uint64_t feed_seq;         /* CHAT_HEARD */
    struct slice text;         /* CHAT_NOTICE */
    bool is_goodbye;           /* CHAT_DISCONNECTED: the client said so, and will not resume */
    enum chat_resumed resumed; /* CHAT_LOGIN: what came of it, filled in by the step */
};

enum chat_push_kind {
    PUSH_HANDSHAKE,
    PUSH_ONLINE,
    PUSH_NEW_MESSAGE,
    PUSH_EDITED,
    PUSH_DELETED,
    PUSH_NEW_ROOM,
    PUSH_GET_SECRET,
    PUSH_ROOM_MESSAGES,
    PUSH_FOUND,
    PUSH_CLOSE_ROOM,
    PUSH_DATA,
    PUSH_ERROR,
    PUSH_ACK,
    PUSH_REAUTH_OK,
    PUSH_NOTICE,
    PUSH_RESTART,
    PUSH_READ,
    PUSH_TYPING,
    PUSH_LAGGED,
    PUSH_PRESENCE,
};

struct chat_shown_message {
    struct slice from, text;
    int64_t time_s;
    uint64_t seq;
    uint8_t mid[ID_LEN];
    uint64_t rev;     /* the revision that the text is of; 0: as it was written */
    uint64_t target;  /* of a revision: the message that it revises; 0: it is a message */
    bool is_deleted;  /* there is no text any more */
    bool is_outdated; /* of a revision: its text is not here, a later one or nothing took its place */
};

/* PUSH_PRESENCE: who is shown as online; whole, or what is new. */
struct chat_presence {
    bool is_whole;
    bool has_rooms;       /* a delta: rooms became available or not */
    uint64_t from, state; /* a delta: of these two states */
    uint64_t flip;        /* a delta: rooms whose flip is later are new */
};

/* What is told to clients. Everything in it is borrowed and lives until the next chat_step(). */
struct chat_push {
    enum chat_push_kind kind;
    int64_t time_s;
    struct slice label;        /* of the request that this is the final reply to; empty: none */
    enum chat_command request; /* ERROR, ACK: what it answers; DATA: get_data, should it become an error */

    const struct chat *chat;                   /* HANDSHAKE, ONLINE, PRESENCE: who is online */
    const struct chat_user *user;              /* HANDSHAKE, ONLINE, PRESENCE: whose rooms */
    bool extensions;                           /* of what has room objects: with what is additive */
    struct chat_presence presence;             /* PRESENCE */
    uint64_t seq;                              /* READ; LAGGED, FOUND: from which on */
    int64_t authenticator_s;                   /* HANDSHAKE */
    const uint8_t *history_id;                 /* HANDSHAKE: ID_LEN bytes; NULL: not told */
    enum chat_resumed resumed;                 /* HANDSHAKE */
    uint64_t number;                           /* in the log of what can be replayed; 0: it cannot (chat_sent) */
    const struct chat_room *room;              /* what it is about; ACK: or NULL */
    struct slice share;                        /* NEW_ROOM */
    struct slice asked_by;                     /* GET_SECRET; TYPING: who */
    const char *reason;                        /* CLOSE_ROOM: "quorum_lost", "deleted" */
    const struct chat_shown_message *messages; /* NEW_MESSAGE, EDITED, DELETED: one; FOUND: newest first; ROOM_MESSAGES:
                                                  oldest first; ACK: one or none */
    size_t messages_n;
    bool more;                     /* ROOM_MESSAGES: there are older ones */
    uint64_t floor;                /* ROOM_MESSAGES: up to this number nothing is kept any more */
    bool is_page, more_after;      /* ROOM_MESSAGES: the answer to get_history; there are newer ones; FOUND: further */
    bool is_complete;              /* FOUND: nothing of the room was left out */
    enum chat_side side;           /* of a page: what does not fit goes from its far end */
    struct slice cid;              /* ACK of a message, or empty */
    bool dup;                      /* ACK: it was stored before */
    struct slice key;              /* DATA; empty: the whole dictionary */
    const struct chat_pair *pairs; /* DATA: none for a key that is not there */
    size_t pairs_n;
    enum chat_code code;     /* ERROR */
    int64_t expires_s;       /* REAUTH_OK: the end of the new ticket */
    struct slice text;       /* NOTICE; LAGGED: the room's id */
    uint32_t retry_after_ms; /* RESTART; ERROR: of rate_limited, or 0 */
    struct slice detail;     /* ERROR: what the sentence is about, e.g. names; may be empty */
};

enum chat_action_kind {
    ACT_SEND,     /* push to conns[0..conns_n) */
    ACT_ONLINE,   /* conns: an `online` each, computed when it is sent (chat_online_push); replaces an unsent one */
    ACT_PRESENCE, /* conns: what is new for each, taken when it is sent (chat_presence_push); also drops an unsent one
                   */
    ACT_REAUTH,   /* conns[0]: ask for a new ticket (wire_ask_reauth) */
    ACT_PING,     /* conns[0], ping: a ping behind everything sent so far, with that number as its payload */
    ACT_CLOSE,    /* conns[0], close_code: after what is queued; a CHAT_DISCONNECTED follows */
    ACT_JOB,      /* job: to the store; the receiver's */
};

struct chat_action {
    enum chat_action_kind kind;
    struct chat_conn *const *conns;
    size_t conns_n;
    const struct chat_push *push;
    uint64_t ping;
    enum chat_close close_code;
    struct chat_job *job;
};

struct chat_actions {
    struct chat_action *list;
    size_t n;
};

/* env is copied. Errors: NO_MEMORY, CRYPTO. */
MUST enum rc chat_new(const struct chat_env *env, struct chat **ret);
void chat_free(struct chat *chat); /* wipes all keys; accepts NULL */

/*
 * What the store holds, told once before the first step: users in the order of their first login (of two with one name,
 * the later is the one that exists), then rooms with their members.
 */
MUST enum rc chat_restore_user(struct chat *chat, const uint8_t client_id[ID_LEN], const struct name *name);

/* Epochs that were heard, and where the feed stood then. */
MUST enum rc chat_restore_epoch(struct chat *chat, const uint8_t client_id[ID_LEN], uint32_t epoch);
void chat_restore_feed(struct chat *chat, uint64_t seq);

/* Which history the store holds: it changes when an older one was put back. */
void chat_restore_history(struct chat *chat, const uint8_t id[ID_LEN]);

/* Up to where the feed was heard and what it said is stored. */
uint64_t chat_feed_seq(const struct chat *chat);

struct chat_restore_member {
    uint8_t client_id[ID_LEN];
    uint16_t number;
    uint8_t commitment[SHA256_LEN];
    bool pending; /* his share was never delivered */
    uint64_t read;
};

struct chat_restore_room {
    uint8_t uid[ID_LEN];
    struct name id, name;
    uint32_t threshold, epoch;
    enum chat_hold hold;
    uint64_t head; /* seq of the last message that was stored, whether it is still there or not; 0: none */
    uint32_t keep_days;
    uint8_t key_check[SHA256_LEN];
    const struct chat_restore_member *members; /* in the order of their numbers */
    size_t members_n;
};

/* Errors: NO_CLIENT (a member who is no user), EXISTS, NO_MEMORY. */
MUST enum rc chat_restore_room(struct chat *chat, const struct chat_restore_room *room);

/* One step. The actions and what they point to live until the next step. */
void chat_step(struct chat *chat, struct chat_event *event, struct chat_actions *ret);

/* When the actions are carried out: wipes what they pointed to. The next step does it, too. */
void chat_forget_step(struct chat *chat);

/* When the next CHAT_TICK is wanted, on the monotonic clock; INT64_MAX: never. */
int64_t chat_deadline(const struct chat *chat);

/* The `online` of a connection as of now, for ACT_ONLINE. Of one that is closing, without rooms (user is NULL). */
void chat_online_push(const struct chat *chat, const struct chat_conn *conn, int64_t time_s, struct chat_push *ret);

/*
 * What a subscriber does not know yet, as of now, for ACT_PRESENCE; he counts as told by it, so it must be sent or the
 * connection closed. False: there is nothing new, or he is no subscriber.
 */
bool chat_presence_push(const struct chat *chat, struct chat_conn *conn, int64_t time_s, struct chat_push *ret);

/*
 * What the edge made of an ACT_SEND whose push has a number: the record that carries it (sealed connections), or that
 * it was left out. Between steps or while actions are carried out.
 */
void chat_sent(struct chat_conn *conn, uint64_t number, uint64_t record);
void chat_left_out(struct chat_conn *conn);

/* Counts for logs, metrics and tests. */
struct chat_counts {
    size_t connections, authed, rooms_open, rooms_closed;
};
void chat_count(const struct chat *chat, struct chat_counts *ret);
size_t chat_rooms(const struct chat *chat);
size_t chat_connections(const struct chat *chat);
size_t chat_waiting_bytes(const struct chat *chat); /* of messages that wait to be numbered: not jobs yet, or not now */

/*
 * What a message's envelope is bound to: sender, room, and epoch | seq | mid | time [| rev]. The parts of *ret are
 * borrowed; context holds one of them. Errors: NO_MEMORY.
 */
MUST enum rc chat_message_aad(const struct name *realm, const uint8_t uid[ID_LEN], const struct chat_message_row *row,
                              struct buf *context, struct envelope_aad *ret);

#endif
