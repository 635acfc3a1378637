/*
 * What the files of chat/core share with each other and with nobody else.
 */
#ifndef KERB_CHAT_CORE_INTERNAL_H
#define KERB_CHAT_CORE_INTERNAL_H

#include "chat/core/chat.h"

#define NEVER INT64_MAX

RB_HEAD(conns_by_serial, chat_conn);
RB_HEAD(conns_by_deadline, chat_conn);
RB_HEAD(users_by_id, chat_user);
RB_HEAD(users_by_name, chat_user);
RB_HEAD(users_online, chat_user);
RB_HEAD(epochs_by_id, chat_epoch);
RB_HEAD(rooms_by_id, chat_room);
RB_HEAD(rooms_by_uid, chat_room);
RB_HEAD(flights, flight);

/* Memory of one step: given out in pieces, wiped and taken back at the next step. */
struct arena_block;
struct arena {
    SLIST_HEAD(, arena_block) blocks;
};

/* Somebody came or went, as far as it is shown. */
struct shown_change {
    struct chat_user *user;
    uint64_t before; /* his change before this one; 0: none */
};

#define CHAT_SHOWN_LOG 256 /* changes that are kept: more than come in a round while names are told */

struct shown {
    size_t n;                          /* users */
    TAILQ_HEAD(, chat_user) held;      /* in the order in which their hold ends */
    TAILQ_HEAD(, chat_user) concerned; /* rooms of theirs became available or not, and they were not told yet */
    bool has_names;                    /* names are told, not only the count ... */
    uint64_t names_since;              /* ... since this state */
    uint64_t state;                    /* the number of the last change, which stands in the log at that place */
    struct shown_change log[CHAT_SHOWN_LOG];
    uint64_t flips; /* how often rooms became available or not */
};

struct chat {
    struct chat_env env;
    const struct shamir_field *field;
    int64_t now_ms; /* monotonic */
    int64_t time_s; /* Unix */

    struct conns_by_serial conns_by_serial;
    struct conns_by_deadline conns_by_deadline;
    struct users_by_id users_by_id;
    struct users_by_name users_by_name;
    struct users_online users_online;
    struct epochs_by_id epochs_by_id;
    uint64_t feed_seq;
    uint8_t history_id[ID_LEN];
    struct rooms_by_id rooms_by_id;
    struct rooms_by_uid rooms_by_uid;
    struct flights flights;
    size_t conns_n, rooms_n, open_n; /* open_n: rooms that can be read now */
    size_t waiting_bytes;            /* of messages that wait to be numbered */
    uint64_t serials, pings;

    /* presence: logged-in connections without extensions in the order in which they were last told */
    TAILQ_HEAD(, chat_conn) presence;
    size_t authed_n;
    uint64_t version, names_version; /* of what an `online` tells; of the list of users in it */
    int64_t again_ms;                /* when everybody is told once more; NEVER: nothing changed since */

    struct shown shown;
    TAILQ_HEAD(, chat_conn) subscribers; /* in the order in which they were last told */
    uint64_t round, round_state;         /* the last round, and the state when it began */
    int64_t round_ms;                    /* before that time nobody is told */

    TAILQ_HEAD(, chat_room) expiry;     /* rooms that keep their messages for days, in the order of their times */
    size_t expiring_n;                  /* of them at the store */
    TAILQ_HEAD(, chat_search) searches; /* the longest unused first */
    TAILQ_HEAD(, chat_search) to_build; /* whose next page is not asked for yet, the longest waiting first */
    size_t search_bytes, building_n;    /* building_n: pages on their way */

    /* resume: what connections that drop may miss, and those that did */
    struct chat_missed missed;            /* what was for all */
    struct chat_kept_list log;            /* of all, oldest first */
    TAILQ_HEAD(, chat_resumable) dropped; /* first to end first */
    size_t log_n, log_bytes, dropped_n, resumables_n;
    uint64_t log_number; /* of the last push that could be missed */

    TAILQ_HEAD(, chat_room) grave; /* rooms that went in this step and may still stand in its actions */
    struct arena arena;
    struct chat_action *actions;
    size_t actions_n, actions_cap;
};

/* arena.c: memory that cannot be had ends the process. */
void *arena_get(struct arena *a, size_t n); /* zeroed */
struct slice arena_copy(struct arena *a, struct slice s);
void arena_reset(struct arena *a); /* keeps one block */
void arena_free(struct arena *a);
void must(enum rc rc); /* a failure of memory or of the cryptographic library */

/* actions.c */
struct chat_push *push_new(struct chat *chat, enum chat_push_kind kind);
struct chat_push *push_plain(struct chat *chat, const struct chat_push *push); /* the same without what is additive */
void act_send(struct chat *chat, struct chat_conn *conn, const struct chat_push *push);
/* To every connection of every member of the room, but not to `except` (may be NULL). */
void act_send_members(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                      const struct chat_conn *except);
/* To every connection with extensions of every member but `except`. */
void act_send_others(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                     const struct chat_user *except);
/* To every connection of the members that has extensions, and to those that do not, but not to `except`. */
void act_send_extended(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                       const struct chat_conn *except);
void act_send_plain(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                    const struct chat_conn *except);
/* To the user's connections: push to those that have extensions, plain to the others. */
void act_send_user(struct chat *chat, const struct chat_user *user, const struct chat_push *push,
                   const struct chat_push *plain);
void act_online(struct chat *chat, struct chat_conn *conn);
void act_presence(struct chat *chat, struct chat_conn **conns, size_t n);
void act_reauth(struct chat *chat, struct chat_conn *conn);
void act_ping(struct chat *chat, struct chat_conn *conn, uint64_t ping);
void act_job(struct chat *chat, struct chat_job *job);
void act_close(struct chat *chat, struct chat_conn *conn, enum chat_close code);
struct chat_job *job_new(enum chat_job_kind kind); /* never NULL */

/*
 * Replies. A label is echoed, and an `ack` sent, only where the connection asked for extensions.
 * say_error counts towards CHAT_ERRORS_MAX, unless it is `unavailable`. conn may be NULL (gone meanwhile): nothing is
 * said then.
 */
void say_error(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
               enum chat_code code, struct slice detail);
/* Of a job that came back with neither success nor a reason of its own. */
enum chat_code code_of_failure(enum rc rc);
void say_ack(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
             const struct chat_room *room);

/* A request that has reached its handler. */
struct call {
    struct chat *chat;
    struct chat_conn *conn;
    struct chat_user *user;
    const struct chat_request *req;
};
void call_error(const struct call *c, enum chat_code code);
/* Not one of the errors that end a connection: who has too much to say is told when to go on. conn: as say_error. */
void say_rate_limited(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
                      int64_t wait_ms);
void call_ack(const struct call *c, const struct chat_room *room);
struct slice label_for(const struct chat_conn *conn, struct slice label);

/* people.c: users and connections */
struct chat_user *user_by_id(const struct chat *chat, const uint8_t id[ID_LEN]);
struct chat_user *user_by_name(const struct chat *chat, struct slice name);
struct chat_user *user_add(struct chat *chat, const uint8_t id[ID_LEN], const struct name *name);
struct chat_conn *conn_by_serial(const struct chat *chat, uint64_t serial); /* NULL also when it is closing */
struct chat_conn *conn_add(struct chat *chat, void *edge);
/* 0 unless a higher one was heard. raise: false when it is no news, or stored already. */
uint32_t epoch_of(const struct chat *chat, const uint8_t id[ID_LEN]);
bool epoch_raise(struct chat *chat, const uint8_t id[ID_LEN], uint32_t epoch);
void done_raise_epoch(struct chat *chat, struct chat_job *job);
void done_heard(struct chat *chat, struct chat_job *job);
/* Logged in and with extensions, in the order of their coming: the first (NULL), the next; NULL: there are no more. */
struct chat_conn *conn_next_extended(const struct chat *chat, struct chat_conn *conn);
void conn_set_deadline(struct chat *chat, struct chat_conn *conn, int64_t deadline_ms);
struct chat_conn *conn_first_deadline(const struct chat *chat);
void conn_join(struct chat *chat, struct chat_conn *conn, struct chat_user *user);
/* Takes the connection out of everything that counts live ones; harmless the second time. */
void conn_depart(struct chat *chat, struct chat_conn *conn);
void conn_free(struct chat *chat, struct chat_conn *conn);
void people_free(struct chat *chat);
static inline bool user_is_online(const struct chat_user *user)
{
    return user->conns_n > 0;
}

/* presence.c: the lists for those who cannot subscribe */
void presence_changed(struct chat *chat);
void presence_joined(struct chat *chat, struct chat_conn *conn);
void presence_departed(struct chat *chat, struct chat_conn *conn);
void presence_flush(struct chat *chat);
int64_t presence_deadline(const struct chat *chat);
void cmd_online(const struct call *c);

/* shown.c: who is shown as online */
void shown_init(struct chat *chat);
void shown_arrived(struct chat *chat, struct chat_user *user);  /* his first connection */
void shown_departed(struct chat *chat, struct chat_user *user); /* his last one is gone */
void shown_enlisted(struct chat *chat, const struct chat_member *m);
void shown_delisted(struct chat *chat, const struct chat_member *m);
void shown_relist(struct chat *chat, struct chat_user *user); /* the list of his rooms is another one */
void shown_expire(struct chat *chat);                         /* ends the holds that are over */
int64_t shown_deadline(const struct chat *chat);
bool shown_follows(const struct chat *chat, uint64_t state); /* what is new since then can be told */

/* subscribers.c: who is told of it, and when */
void subscribers_init(struct chat *chat);
void subscriber_departed(struct chat *chat, struct chat_conn *conn);
void subscribers_flush(struct chat *chat);
int64_t subscribers_deadline(const struct chat *chat);
void cmd_subscribe(const struct call *c);

/* rooms.c */
struct chat_room *room_by_id(const struct chat *chat, const struct name *id);
struct chat_room *room_by_uid(const struct chat *chat, const uint8_t uid[ID_LEN]);
/* The room that the request names and its caller is a member of; NULL: he was told `not_found`. */
struct chat_member *call_member(const struct call *c);
/* The same, and the room is open; NULL: he was told `not_found` or `room_closed`. */
struct chat_member *call_member_of_open(const struct call *c);
struct chat_member *room_member(const struct chat_room *room, const struct chat_user *user);
/* Also who is about to leave, and stays should the store fail. */
struct chat_member *room_enlisted(const struct chat_room *room, const struct chat_user *user);
struct chat_job *room_job(const struct chat_room *room, enum chat_job_kind kind);
/* The room that a job came back for; NULL: it is gone. */
struct chat_room *job_room(struct chat *chat, const struct chat_job *job);
void cmd_new_room(const struct call *c);
void cmd_delete_chat(const struct call *c);
void done_add_room(struct chat *chat, struct chat_job *job);
void done_leave(struct chat *chat, struct chat_job *job);
void done_delete_room(struct chat *chat, struct chat_job *job);
void rooms_bury(struct chat *chat); /* frees what went in the last step */
void rooms_free(struct chat *chat);

/* delivery.c: shares on their way to their owners */
void deliver_new_room(struct chat *chat, struct chat_room *room, const struct chat_job *job, struct chat_conn *asker,
                      struct slice label);
void deliver_pending(struct chat *chat, struct chat_conn *conn);
void delivery_pong(struct chat *chat, struct chat_conn *conn, uint64_t ping);
void done_load_shares(struct chat *chat, struct chat_job *job);
void done_drop_share(struct chat *chat, struct chat_job *job);

/* quorum.c */
/* Draws the secret, fills the job's shares and commitments and its key_check. */
void quorum_split(struct chat *chat, struct chat_job *job);
void quorum_arrived(struct chat_user *user);                     /* his first connection */
void quorum_departed(struct chat *chat, struct chat_user *user); /* his last one is gone */
void quorum_removed(struct chat *chat, struct chat_member *member);
void room_set_open(struct chat *chat, struct chat_room *room, bool is_open);
void room_close(struct chat *chat, struct chat_room *room, const char *reason);
void cmd_go_room(const struct call *c);
void cmd_secret(const struct call *c);

/* messages.c */
void cmd_new_message(const struct call *c);
void done_add_message(struct chat *chat, struct chat_job *job);
void done_find_message(struct chat *chat, struct chat_job *job);
/* Seals the text into the row, bound to what stands in it. */
void message_seal(const struct chat *chat, const struct chat_room *room, struct chat_message_row *row,
                  struct slice text);
/* Opens a stored message. Errors: as envelope_open; NO_KVNO. */
MUST enum rc message_open(const struct chat *chat, const struct chat_room *room, const struct chat_message_row *row,
                          struct buf *ret_text);
struct chat_shown_message message_shown(const struct chat_message_row *row, struct slice text); /* borrowed from both */
/* The same, as it can be shown in this step. */
struct chat_shown_message *message_show(struct chat *chat, const struct chat_message_row *row, struct slice text);
/* It is stored: whoever asked for it with a name or a label is told where it went. dup: it was stored before. */
void message_ack(struct chat *chat, const struct chat_room *room, const struct chat_job *job,
                 const struct chat_shown_message *message, bool dup);

/* expiry.c */
int64_t room_expired_s(const struct chat *chat,
                       const struct chat_room *room);                       /* messages of before are gone; 0: none */
uint32_t keep_days_allowed(const struct chat *chat, uint32_t wanted);       /* by the operator */
void expiry_begin(struct chat *chat, struct chat_room *room, bool at_once); /* the room is live */
void expiry_end(struct chat *chat, struct chat_room *room);                 /* it goes */
void expiry_flush(struct chat *chat);
int64_t expiry_deadline(const struct chat *chat);
void done_expire(struct chat *chat, struct chat_job *job);

/* revise.c */
void cmd_edit_message(const struct call *c);
void cmd_delete_message(const struct call *c);
void revise_loaded(struct chat *chat, struct chat_job *job);
void done_revise(struct chat *chat, struct chat_job *job);

/*
 * numbers.c: what stands in a room, in its order.
 *
 * number_job takes a job that is to be stored under the room's next number: it is numbered, sealed and handed to the
 * store, or waits while the numbers are out of step. One that was not stored leaves a hole behind it, and those behind
 * the hole are refused: when all that were under way have come back (number_settle), they are numbered again, in their
 * order. number_refuse is the last word on a job; number_command tells what it was asked for by.
 */
void number_job(struct chat *chat, struct chat_room *room, struct chat_job *job);
void number_settle(struct chat *chat, struct chat_room *room, struct chat_job *job);
void number_refuse(struct chat *chat, const struct chat_job *job, enum chat_code code);
enum chat_command number_command(const struct chat_job *job);
void refuse_waiting(struct chat *chat, struct chat_room *room, enum chat_code code);
void waiting_free(struct chat *chat, struct chat_room *room);

/* history.c */
void history_ask(struct chat *chat, struct chat_room *room, const struct chat_conn *asker, struct slice label,
                 bool to_all);
void cmd_get_history(const struct call *c);
void done_load_history(struct chat *chat, struct chat_job *job);
void done_load_messages(struct chat *chat, struct chat_job *job);
/*
 * What a row says now: a message its text, a revision that of its message, unless a later one followed. What is in *ret
 * is borrowed from row and text. Errors: as message_open; NOT_FOUND: its time has passed.
 */
MUST enum rc history_open_row(const struct chat *chat, const struct chat_room *room, const struct chat_message_row *row,
                              struct buf *text, struct chat_shown_message *ret);
/*
 * Opens a job's rows into the arena. One that does not open was tampered with, one that is expired was on its way when
 * its time passed: it is left out, and its seq shows the gap.
 */
struct chat_shown_message *history_open_rows(struct chat *chat, const struct chat_room *room,
                                             const struct chat_job *job, size_t *ret_n);
/* What has so much text costs its asker more than a request. */
void history_owe(struct chat *chat, struct chat_conn *asker, const struct chat_shown_message *messages, size_t n);

/* search.c */
void cmd_search(const struct call *c);
void search_built(struct chat *chat, struct chat_job *job);
void search_loaded(struct chat *chat, struct chat_job *job);
/* What the job has stored; its author owes what taking in the words costs. */
void search_added(struct chat *chat, struct chat_room *room, const struct chat_job *job);
void search_revised(struct chat *chat, struct chat_room *room, const struct chat_job *job);
void search_expired(struct chat *chat, struct chat_room *room, uint64_t floor);
/* Wipes what is known of its words; who waits is told why. */
void search_end(struct chat *chat, struct chat_room *room, enum chat_code code);

/* log.c: what may have been missed, kept once for all who were sent it */
struct chat_kept {
    TAILQ_ENTRY(chat_kept) of_missed, of_log;
    struct chat_missed *missed; /* whose */
    struct chat_push push;      /* what it points to lies in bytes, but for the room */
    struct chat_shown_message message;
    size_t bytes_n, size; /* bytes of bytes, of all of it */
    uint8_t bytes[];
};

void missed_init(struct chat_missed *missed);
/* Numbers the push, which is about to be sent, and keeps a copy. Does nothing while nobody could resume. */
void missed_keep(struct chat *chat, struct chat_missed *missed, struct chat_push *push);
void missed_pass(struct chat *chat, struct chat_missed *missed, struct chat_push *push); /* no copy: it is too large */
void missed_wipe(struct chat *chat, struct chat_missed *missed); /* nothing of it is told again */
/* A message of the room was revised: what it said before is not told again. */
void missed_wipe_text(struct chat *chat, struct chat_room *room, uint64_t seq);
void missed_wipe_before(struct chat *chat, struct chat_room *room, int64_t time_s); /* the room keeps it no longer */
void log_wipe(struct chat *chat);
/* What the user may have missed behind that number, in its order. false: not all of it is there, or it is too much. */
struct replay {
    struct chat_push **pushes; /* of this step */
    size_t n, bytes;
};
bool missed_since(struct chat *chat, const struct chat_user *user, uint64_t number, struct replay *ret);

/* track.c */
void track_start(struct chat_track *track, uint64_t number); /* the connection knows the log up to there */
void track_done(struct chat_track *track);
bool track_number(const struct chat_track *track, uint64_t seen, uint64_t *ret); /* false: that is not known */

/* resume.c */
struct resume_claim {
    enum chat_resumed result;
    uint64_t number;             /* where the new connection begins in the log */
    struct chat_resumable *used; /* NULL: the token is none of his */
    struct replay replay;
};
void resume_take(struct chat *chat, struct chat_user *user, const struct chat_login *login, struct resume_claim *ret);
/* The connection that is resumed is there still, as far as we know. */
static inline bool resume_takes_over(const struct resume_claim *claim)
{
    return claim->used && !claim->used->is_dropped;
}
/* Behind the handshake: what was missed is told, and the token is used up. */
void resume_finish(struct chat *chat, struct chat_conn *conn, const struct chat_login *login,
                   const struct resume_claim *claim);
void resumable_drop(struct chat *chat, struct chat_conn *conn);  /* the connection ends */
void resumable_end(struct chat *chat, struct chat_resumable *r); /* accepts NULL */
void resumables_end(struct chat *chat, struct chat_user *user);
void resume_expire(struct chat *chat);
int64_t resume_deadline(const struct chat *chat);

/* flow.c: 0, or how many ms until this connection may ask again */
int64_t flow_take(struct chat *chat, struct chat_conn *conn, enum chat_command cmd);
void flow_owe(struct chat *chat, struct chat_conn *conn, size_t tokens);      /* a request was worth so many more */
void flow_owe_user(struct chat *chat, struct chat_user *user, size_t tokens); /* ... on whatever connection */
void flow_owe_rooms(struct chat *chat, struct chat_conn *conn); /* ... since it lists all rooms of the user */

/* flights.c */
bool flight_begin(struct chat *chat, const uint8_t who[ID_LEN], struct slice cid); /* false: it is under way */
bool flight_begin_revision(struct chat *chat, const struct chat_job *job);
void flight_end(struct chat *chat, const struct chat_job *job); /* it has its answer */
void flights_free(struct chat *chat);

/* marks.c */
void cmd_mark_read(const struct call *c);
void cmd_typing(const struct call *c);
void done_mark_read(struct chat *chat, struct chat_job *job);

/* data.c */
void cmd_save_data(const struct call *c);
void cmd_get_data(const struct call *c);
void done_save_data(struct chat *chat, struct chat_job *job);
void done_load_data(struct chat *chat, struct chat_job *job);

#endif
