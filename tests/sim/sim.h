/*
 * A chat without sockets: the core on a fake clock, the real store in a temporary directory, inputs and a trace as
 * text.
 *
 * Words of the inputs and of the trace: tests/sim/README.md.
 */
#ifndef KERB_TESTS_SIM_H
#define KERB_TESTS_SIM_H

#include <semaphore.h>

#include "chat/core/internal.h"
#include "chat/store/store.h"
#include "tests/unit/state.h"

#define SIM_WORD_MAX  64         /* bytes of a connection's name */
#define SIM_EPOCH_S   1780000000 /* the wall clock when a scenario starts */
#define SIM_LIST_MAX  8          /* a list longer than this is shown as its length */
#define SIM_INPUT_MAX 4096       /* bytes of an input line */

/* A share that a connection was sent, and the ping behind it. */
struct sim_receipt {
    STAILQ_ENTRY(sim_receipt) link;
    uint8_t room_uid[ID_LEN];
    uint64_t ping; /* 0: not sent yet */
};

/* What a subscriber has made of what he was told. */
struct sim_view {
    uint64_t state;
    const struct chat_user *users[CHAT_NAMES_MAX];
    size_t users_n;
    uint8_t rooms[64][ID_LEN]; /* that are available */
    size_t rooms_n;
    int64_t told_ms; /* the last delta */
    bool is_late;    /* it was held up, so the next one may be close behind */
};

/* The message that a record told. */
struct sim_heard {
    STAILQ_ENTRY(sim_heard) link;
    uint8_t room_uid[ID_LEN];
    uint64_t record, seq;
};

STAILQ_HEAD(sim_heard_list, sim_heard);

struct sim_conn {
    TAILQ_ENTRY(sim_conn) link;
    char name[SIM_WORD_MAX];
    struct chat_conn *core;
    struct chat_user *user; /* whose it is or was; the core forgets it when it closes a connection */
    bool is_hidden;         /* one of a crowd: not shown in the trace */
    bool is_closed;         /* the core has closed it */
    bool is_choked;         /* it does not read: what can be dropped waits */
    bool wants_presence;
    struct sim_view view;
    STAILQ_HEAD(, sim_receipt) receipts;
    char token[SIM_WORD_MAX]; /* by which it can be resumed; "": it cannot */
    uint64_t records;         /* that it was sent */
    struct sim_heard_list heard;
    STAILQ_HEAD(, sim_label) asked; /* labels that were not answered yet */
};

/* A share as its owner's device keeps it. */
struct sim_share {
    STAILQ_ENTRY(sim_share) link;
    struct name room, user;
    struct buf text;
};

/* A connection that is gone, as its client knows it. */
struct sim_token {
    STAILQ_ENTRY(sim_token) link;
    char name[SIM_WORD_MAX];
    uint64_t records;
    struct sim_heard_list heard;
};

struct sim {
    const char *file;
    size_t line; /* of the input that runs */
    struct conf conf;
    struct master_watch master;
    struct chat_limits limits;
    struct chat *chat;
    struct chat_store *store;
    sem_t woken;
    int64_t mono_ms;
    int64_t wall_s;    /* how far the wall clock was set forward, or back */
    bool was_set_back; /* it was: then what came later may look older */
    uint64_t random;
    bool is_auto;                      /* jobs are done at once and not shown */
    bool is_quiet;                     /* nothing is shown */
    struct chat_job_list queued, done; /* not yet given to the store; not yet given back to the core */
    TAILQ_HEAD(, sim_conn) conns;
    STAILQ_HEAD(, sim_share) shares;
    STAILQ_HEAD(, sim_token) tokens;
    STAILQ_HEAD(, sim_stored) stored; /* rooms, and what was committed in them */
    struct buf out;                   /* the trace */
};

/* sim.c */
void sim_open(struct sim *s, const char *file);
void sim_close(struct sim *s);
int64_t sim_time_s(const struct sim *s);
void sim_step(struct sim *s, struct chat_event *event); /* does the step, shows its actions, checks what must be true */
void sim_store(struct sim *s, size_t n);                /* the store does the first n queued jobs */
void sim_answer(struct sim *s);                         /* the core is told what is done */
void sim_fail(struct sim *s, size_t n);                 /* the first n queued jobs fail */
void sim_restart(struct sim *s);
void sim_pass(struct sim *s, int64_t ms); /* time passes */
struct sim_conn *sim_conn(struct sim *s, const char *name);
struct sim_conn *sim_connect(struct sim *s, const char *name);
void sim_settle(struct sim *s); /* until no job is left: all are done, and the core is told */
void sim_drop(struct sim *s, struct sim_conn *conn, bool is_goodbye);
struct sim_share *sim_share(struct sim *s, struct slice room, struct slice user);
/* Ends the test: says which file and line, and what is wrong. */
_Noreturn void sim_stop(const struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* input.c */
void sim_input(struct sim *s, char *line);

/* trace.c */
void sim_trace(struct sim *s, const struct chat_actions *actions);
void sim_trace_job(struct sim *s, const struct chat_job *job);
void sim_say(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* presence.c */
void sim_say_presence(struct sim *s, const struct chat_push *p);
void sim_see(struct sim *s, struct sim_conn *conn, const struct chat_push *p); /* and checks that it is right then */
void sim_presence(struct sim *s, struct sim_conn *conn);                       /* a delta, unless it is choked */
/* hear.c: records, and what their readers hear by them */
void sim_hear(struct sim *s, const struct chat_event *event, const struct chat_actions *actions);
uint64_t sim_records(const struct sim *s, const char *token); /* that its connection was sent */
void sim_keep_token(struct sim *s, struct sim_conn *conn);    /* it is gone; its client knows what it has heard */
void sim_forget_tokens(struct sim *s);

/* stored.c: what is committed, and is told as it is */
void sim_stored(struct sim *s, const struct chat_job *job); /* the store has done it */
void sim_forget_stored(struct sim *s);
void sim_check_told(const struct sim *s, const struct chat_event *event, const struct chat_action *a, bool is_of_room);
bool sim_has_expired(const struct sim *s, const struct chat_room *room, uint64_t after, uint64_t before);
void sim_check_head(const struct sim *s, const struct chat_room *room, size_t untold);

/* jobs.c: each has one owner */
void sim_check_new_job(const struct sim *s, const struct chat_job *job);
void sim_check_jobs(const struct sim *s);
void sim_check_quiet(const struct sim *s); /* no job is under way */

/* replies.c: one to each label */
void sim_asked(struct sim_conn *conn, struct slice label);
void sim_answered(const struct sim *s, struct sim_conn *conn, struct slice label);
void sim_forget_asked(struct sim_conn *conn);
void sim_check_answered(const struct sim *s); /* whoever is still there has all replies */

/* check.c: what must be true after every step */
void sim_check(struct sim *s, const struct chat_event *event, const struct chat_actions *actions);

#endif
