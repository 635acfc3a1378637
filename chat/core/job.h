/*
 * Jobs: what the core asks of the store, and what comes back.
 *
 * A job is made by the core, handed out in an action, done by the store in the order of handing, and given back to the
 * core in a CHAT_DONE event with rc and the results filled in. Writes are durable when they come back with RC_OK. A job
 * belongs to whoever holds it; nobody else touches it. Secrets in it are wiped by chat_job_free().
 */
#ifndef KERB_CHAT_CORE_JOB_H
#define KERB_CHAT_CORE_JOB_H

#include <sys/queue.h>

#include "shared/base/text.h"
#include "shared/crypto/primitives.h"

enum chat_job_kind {
    JOB_ADD_USER,     /* who: somebody's first login to this chat */
    JOB_ADD_ROOM,     /* room, commitments and all shares, in one transaction */
    JOB_ADD_MESSAGE,  /* one sealed message of who; refused (rc LIMIT) unless seq is the room's last stored one plus
                         1, or (rc EXISTS) when who has a message with that cid: it is the result */
    JOB_REVISE,       /* a message of who gets another text: message is the revision, a row without a box that takes the
                         room's next number; message.revised is what it revises, with its new box. LIMIT as above;
                         NOT_FOUND: it is gone, or not a message of who */
    JOB_EXPIRE,       /* what of room is older than expired_s goes, some of it: more_after tells that there is more */
    JOB_LEAVE,        /* who leaves room: his member row, commitment and pending share go */
    JOB_DELETE_ROOM,  /* the room and all that belongs to it */
    JOB_DROP_SHARE,   /* who has received his share of room: the pending row is erased from the file */
    JOB_SAVE_DATA,    /* who's value under key; rc LIMIT when he has no room left */
    JOB_MARK_READ,    /* who has read room up to from_seq; a lower one than before changes nothing */
    JOB_RAISE_EPOCH,  /* who's tickets below epoch are worth nothing */
    JOB_HEARD,        /* the feed was heard up to feed_seq; a number below the last one is taken, too */
    JOB_LOAD_DATA,    /* who's value under key, or all of them */
    JOB_LOAD_SHARES,  /* who's shares that were never delivered */
    JOB_LOAD_HISTORY, /* messages of room on one side of a seq, within limits; oldest first */
    JOB_LOAD_MESSAGES, /* the messages of room with those seqs, in their order, as far as they are there; `own`: who's,
                          and behind each the newest of its revisions */
    JOB_FIND_MESSAGE,  /* who's message with that cid; rc NOT_FOUND */
};

enum chat_hold {
    HOLD_MEMBERS,    /* an open room stays open while enough members are online */
    HOLD_PRESENTERS, /* ... while enough of those who presented their share are */
};

/* Which messages of a room, seen from one of its numbers: nearest first, when there are too many. */
enum chat_side {
    SIDE_NEWEST, /* before the one that comes next */
    SIDE_BEFORE,
    SIDE_AFTER,
    SIDE_AROUND, /* half of them before it, then it and what is behind */
};

struct chat_job_member {
    uint8_t client_id[ID_LEN];
    uint16_t number; /* of the share, from 1; in open rooms just the order */
    uint8_t commitment[SHA256_LEN];
    struct buf share; /* text; empty in open rooms */
};

struct chat_message_row {
    uint64_t seq;
    int64_t time_s;
    uint32_t epoch;
    uint8_t mid[ID_LEN];
    struct name sender;
    struct buf box; /* the sealed text; of a revision none */
    uint64_t rev;   /* the revision that the text is of, by its seq; 0: it stands as it was written */

    uint64_t target;                  /* of a revision: the seq of the message that it revises; 0: it is a message */
    struct chat_message_row *revised; /* that message, as it is now; NULL: it is gone, or was revised
                                         again */
};

struct chat_pair {
    struct buf key, value; /* the name of a saved value and its JSON; or a room's uid and a share */
};

struct chat_job {
    STAILQ_ENTRY(chat_job) link; /* for whoever queues it */
    enum chat_job_kind kind;

    /* what is to be done; which are set follows from the kind */
    uint8_t who[ID_LEN];
    struct name who_name;
    uint8_t room_uid[ID_LEN];
    struct name room_id, room_name;
    uint32_t threshold, epoch;
    enum chat_hold hold;
    int64_t time_s;
    uint8_t key_check[SHA256_LEN];
    struct chat_job_member *members;
    size_t members_n;
    struct chat_message_row message;
    struct buf cid;        /* ADD_MESSAGE (empty: none), FIND_MESSAGE */
    struct buf key, value; /* SAVE_DATA, LOAD_DATA (empty key: all of them) */
    uint64_t feed_seq;
    uint64_t data_max;   /* SAVE_DATA: bytes that `who` may have stored, keys included */
    enum chat_side side; /* LOAD_HISTORY: of from_seq */
    int64_t expired_s;  /* EXPIRE, LOAD_HISTORY, LOAD_MESSAGES: messages of before are not there any more; 0: all are */
    uint32_t keep_days; /* ADD_ROOM: 0 for ever */
    uint64_t from_seq;  /* LOAD_HISTORY, MARK_READ */
    uint64_t *seqs;     /* LOAD_MESSAGES */
    size_t seqs_n;
    bool own;           /* LOAD_MESSAGES */
    uint32_t rows_max;  /* LOAD_HISTORY */
    uint64_t bytes_max; /* LOAD_HISTORY: of sealed text */

    /* results */
    enum rc rc;
    struct chat_message_row *rows; /* LOAD_HISTORY: seq ascending; LOAD_MESSAGES; ADD_MESSAGE, FIND_MESSAGE: the one
                                      with the cid */
    size_t rows_n;
    uint8_t found_uid[ID_LEN];    /* the room of the message with the cid */
    bool more_before, more_after; /* LOAD_HISTORY: there are older ones, newer ones */
    uint64_t floor; /* LOAD_HISTORY, LOAD_MESSAGES, EXPIRE: up to this number all is gone since its time has passed */
    struct chat_pair *pairs; /* LOAD_DATA: key, JSON; LOAD_SHARES: room uid, share text */
    size_t pairs_n;

    size_t held; /* chat_job_size() when it began to wait; whoever lets it wait keeps it */

    /* the core's own; the store does not look at it */
    uint64_t conn; /* serial of who asked; 0: nobody is waiting */
    struct buf label, text;
    uint64_t opening; /* of the room, when the job was made */
    bool to_all;      /* LOAD_HISTORY: the room has just been opened, everybody is shown it */
    bool is_page;     /* LOAD_HISTORY: for get_history */
    uint64_t search;  /* LOAD_HISTORY: for the index of that serial; 0: to be shown */
    bool is_complete; /* LOAD_MESSAGES: the index that was asked holds the whole room; else from from_seq on */
    struct buf was;   /* REVISE: the text that the message had */
    bool is_numbered, is_first; /* ADD_MESSAGE, REVISE: it was; nothing of its room was under way then */
};

STAILQ_HEAD(chat_job_list, chat_job);

struct chat_job *chat_job_new(enum chat_job_kind kind); /* NULL: out of memory */
size_t chat_job_size(const struct chat_job *job);       /* bytes, with what is asked for in it; results not counted */
void chat_job_clear(struct chat_job *job);              /* of rows and pairs */
void chat_job_free(struct chat_job *job);               /* wipes; accepts NULL */

/* An empty row that this one revises, with its target set; NULL: out of memory. */
struct chat_message_row *chat_row_revised(struct chat_message_row *row, uint64_t target);
void chat_row_done(struct chat_message_row *row);

bool chat_job_add_seq(struct chat_job *job, uint64_t seq); /* false: out of memory */

/* Appends an empty row or pair to the results; NULL: out of memory. */
struct chat_message_row *chat_job_add_row(struct chat_job *job);
struct chat_pair *chat_job_add_pair(struct chat_job *job);

#endif
