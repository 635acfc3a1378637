/*
 * The nouns of the chat: connections, users, rooms, and members between users and rooms.
 *
 * chat/wire reads them to write pushes; only chat/core changes them.
 */
#ifndef KERB_CHAT_CORE_MODEL_H
#define KERB_CHAT_CORE_MODEL_H

#include <sys/queue.h>

#include "chat/core/job.h"
#include "shamir/shamir.h"
#include "shared/base/text.h"
#include "shared/base/tree.h"
#include "shared/crypto/envelope.h"

struct chat;
struct chat_search;

struct chat_bucket {
    int64_t parts, since_ms; /* of tokens; monotonic, 0: it is full */
};

/* Records in a row that carried numbers in a row. */
struct chat_run {
    uint64_t record, number;
    uint32_t n;
};

/* Which records of a sealed connection carried which pushes of the log: track.c. */
struct chat_track {
    uint64_t seen, number; /* before the first run: with so many records it knew the log up to there */
    struct chat_run *runs; /* in their order; NULL: none yet */
    uint32_t runs_n, runs_cap;
    bool has_gap; /* something was left out of what it was sent */
};

/* What lets a connection that dropped be resumed: resume.c. */
struct chat_resumable {
    TAILQ_ENTRY(chat_resumable) of_user, in_dropped;
    struct chat_user *user;
    struct chat_conn *conn; /* NULL: it is gone */
    uint8_t token[SHA256_LEN];
    bool is_dropped; /* its connection ended */
    int64_t end_ms;  /* until when it is held; monotonic */
    struct chat_track track;
};

/* Pushes that the members of a room, or all, may have missed: log.c. */
TAILQ_HEAD(chat_kept_list, chat_kept);
struct chat_missed {
    struct chat_kept_list list; /* in their order */
    uint64_t lost;              /* the last one that is not there, or not any more; 0: none */
};

struct chat_conn {
    RB_ENTRY(chat_conn)
    by_serial, by_deadline;
    TAILQ_ENTRY(chat_conn) of_user, in_presence;
    uint64_t serial; /* never reused; 0 is nobody's */
    void *edge;
    struct chat_user *user;           /* NULL before login */
    struct chat_resumable *resumable; /* NULL: it cannot be resumed */
    bool extensions, sealed, closing;
    bool must_reauth;        /* the deadline is the time to ask for a new ticket, not the end */
    int64_t end_ms;          /* of the ticket; monotonic */
    int64_t deadline_ms;     /* of the login, then of the ticket; monotonic */
    int64_t online_sent_ms;  /* the last `online` */
    uint64_t online_version; /* what it told */
    bool is_subscribed;      /* to who is online: then what it was told, and in which round */
    uint64_t told_state, told_flip, told_round;
    uint64_t since_ping;  /* the chat's last ping when this connection logged in */
    uint64_t shares_ping; /* the ping behind the shares that waited for its login; 0: they were not sent to it */
    struct chat_bucket flow;
    int64_t typed_ms;   /* when he was last seen typing; monotonic, 0: never */
    uint64_t errors_n;  /* frames refused */
    int64_t *errors_ms; /* when: the last CHAT_ERRORS_MAX of them, in a ring; NULL: none yet */
};

/* Of any principal of whom one was heard, also of somebody who never came here. */
struct chat_epoch {
    RB_ENTRY(chat_epoch) by_id;
    uint8_t client_id[ID_LEN];
    uint32_t epoch; /* tickets of a lower one are worth nothing */
    bool stored;
};

struct chat_user {
    RB_ENTRY(chat_user)
    by_id, by_name, in_online;
    TAILQ_ENTRY(chat_user) in_held, in_concerned;
    uint8_t client_id[ID_LEN];
    struct name name;
    bool stored;   /* the store has him */
    bool has_name; /* the newest client id of that name; an older one is a deleted principal's */
    TAILQ_HEAD(, chat_conn) conns;
    uint32_t conns_n;
    bool is_held;                            /* gone, and still shown as online until */
    int64_t held_until_ms;                   /* monotonic */
    uint64_t shown_change;                   /* the last change of whether he is shown; 0: none */
    bool is_concerned;                       /* by what is new with rooms, and not told yet */
    uint64_t rooms_news;                     /* the last flip of a room of his ... */
    uint64_t rooms_relisted;                 /* ... and when a room last went from his list or came back to it */
    TAILQ_HEAD(, chat_resumable) resumables; /* of his connections, and of those that dropped: the oldest first */
    uint32_t dropped_n;
    struct chat_bucket flow;
    TAILQ_HEAD(, chat_member) rooms; /* rooms that are live */
    uint32_t rooms_n;                /* rooms that are being created counted as well */
};

struct chat_member {
    TAILQ_ENTRY(chat_member) of_user, of_room;
    struct chat_user *user;
    struct chat_room *room;
    uint16_t number;
    uint8_t commitment[SHA256_LEN];
    uint64_t read;             /* the last message that he has read, as he says */
    bool pending;              /* his share was never seen to arrive */
    bool presenter;            /* has presented his share since he is online */
    bool leaving;              /* no member any more for his requests; the store is being told */
    uint64_t left_at;          /* leaving: the room's head when he said so */
    struct shamir_share share; /* of a presenter while the room is closed; else wiped */
    bool erasing;              /* it was; the store is being told */
    uint64_t delivery_ping;    /* of the ping behind the new_room that all his connections of then were sent; 0: none */
};

enum chat_room_state { ROOM_CREATING, ROOM_LIVE, ROOM_DELETING, ROOM_GONE };

struct chat_room {
    RB_ENTRY(chat_room)
    by_id, by_uid;
    TAILQ_ENTRY(chat_room) in_grave, in_expiry;
    enum chat_room_state state;
    uint8_t uid[ID_LEN];
    struct name id, name;
    uint32_t threshold, epoch;
    enum chat_hold hold;
    uint32_t keep_days;                /* 0: for ever */
    int64_t expire_ms;                 /* when it is looked through for what is older; monotonic */
    bool awaits_expiry;                /* it is in the list of those */
    TAILQ_HEAD(, chat_member) members; /* in the order of their numbers */
    uint32_t members_n, online_n, presenters_n, pending_n;
    uint32_t shown_n; /* members shown as online */
    uint64_t flip;    /* when they last became enough, or too few */
    uint8_t key_check[SHA256_LEN];
    bool open;                  /* a room of threshold 0 always is */
    struct envelope_key key;    /* while open; wiped when it closes */
    struct chat_search *search; /* NULL: nobody has searched it since it was opened */
    uint64_t opening;           /* counts openings, so that an answer of an earlier one is not shown */
    uint64_t seq;               /* last number given out */
    uint64_t head;              /* last number stored */
    uint32_t messages_n;        /* on their way to the store */
    bool resync; /* one of them was not stored: no new ones until all have come back; to be numbered then: */
    struct chat_job_list refused; /* those that came behind the hole, */
    struct chat_job_list waiting; /* those that have come since */
    uint32_t waiting_n;           /* of both */
    struct chat_missed missed;
};

/* Calls f for every online user in order of name, until it returns false. */
void chat_each_online(const struct chat *chat, bool (*f)(void *ctx, const struct chat_user *user), void *ctx);

/* Grows with each change of who is online: a text made of chat_each_online() stays right while it is the same. */
uint64_t chat_online_names_version(const struct chat *chat);

/* Is this room one of `rooms` in an `online` (enough members online), or one of `rooms_waiting`? */
bool chat_room_is_available(const struct chat_room *room);

/*
 * What subscribers are told: whoever is shown is online or was until lately, the latter are those `held`. The states
 * have numbers; who came or went since one of them is known when a delta from there was promised (chat_presence_push).
 */
size_t chat_shown_count(const struct chat *chat);
bool chat_shows_names(const struct chat *chat); /* false: there are so many that only the count is told */
void chat_each_held(const struct chat *chat, bool (*f)(void *ctx, const struct chat_user *user), void *ctx);
void chat_each_shown_since(const struct chat *chat, uint64_t state, bool has_come,
                           bool (*f)(void *ctx, const struct chat_user *user), void *ctx);
bool chat_room_is_shown(const struct chat_room *room); /* as available: enough of its members are shown */

#endif
