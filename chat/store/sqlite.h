/*
 * The SQLite engine from inside: one handle, its statements, what is kept in memory of each room, and the queues.
 *
 * The handle, the statements and the rooms belong to the store thread once it runs, and to the opener before. Only
 * what stands below `lock` is shared.
 */
#ifndef KERB_CHAT_STORE_SQLITE_H
#define KERB_CHAT_STORE_SQLITE_H

#include <pthread.h>
#include <stdatomic.h>

#include "chat/store/store.h"
#include "shared/base/tree.h"
#include "shared/db/db.h"

#define STORE_ENTRIES_MAX 4096 /* saved values of one user: many tiny ones cost far more than their bytes */
#define STORE_ERASE_MS    1000 /* least time between two truncations of the WAL */
#define STORE_BUSY_MS     5000 /* patience with another writer (kerbadm) */
#define STORE_BUSY_ILL_MS 200  /* ... while the last transaction failed */
#define STORE_PROBE_MS    1000 /* while it fails: between two looks whether the disk is back */
#define STORE_LOG_SMALL   ((uint64_t)4 * 1024 * 1024) /* bytes of the WAL that the disk is not looked at for */
#define STORE_LOADED_MAX  ((size_t)16 * 1024 * 1024)  /* bytes of results that wait to be taken */
#define STORE_SWEEP_ROWS  500 /* messages of deleted rooms that go in one transaction, between jobs */

/*
 * A message, the newest revision of its text (of a revision: of what it revises), and what a revision revises. That
 * its number comes from the rows themselves makes a text of before worthless: it opens under its own number only.
 */
#define STORE_ROW                                                                                         \
    "m.seq, m.time, m.mid, m.sender, m.epoch, m.box, m.target,"                                           \
    " (SELECT max(v.seq) FROM message v WHERE v.room = m.room AND v.target = coalesce(m.target, m.seq))," \
    " t.time, t.mid, t.epoch, t.box"
#define STORE_ROW_COLUMNS 12

/* Once for the newest of its revisions: what a revision says that another followed is not there. */
#define STORE_REVISED                                             \
    "LEFT JOIN message t ON t.room = m.room AND t.seq = m.target" \
    " AND NOT EXISTS(SELECT 1 FROM message n WHERE n.room = m.room AND n.target = m.target AND n.seq > m.seq)"

/* clang-format off */
#define STORE_SQL_TABLE(X)                                                                                             \
    X(ADD_USER, "INSERT INTO user(client_id, name, first_seen) VALUES(?1, ?2, ?3) ON CONFLICT(client_id) DO NOTHING")  \
    X(FIND_USER, "SELECT id, data_bytes, data_entries FROM user WHERE client_id = ?1")                                 \
    X(EACH_USER, "SELECT client_id, name FROM user ORDER BY id")                                                       \
    X(ADD_ROOM, "INSERT INTO room(uid, room_id, name, threshold, hold, epoch, key_check, created,"                      \
                " keep_days) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                                             \
    X(EACH_ROOM, "SELECT id, uid, room_id, name, threshold, hold, epoch, key_check, keep_days, floor FROM room"        \
                 " ORDER BY id")                                                                                       \
    X(SET_FLOOR, "UPDATE room SET floor = ?2 WHERE id = ?1")                                                           \
    X(DELETE_ROOM, "DELETE FROM room WHERE id = ?1")                                                                   \
    X(HEAD, "SELECT coalesce(max(seq), 0) FROM message WHERE room = ?1")                                               \
    X(ADD_MEMBER, "INSERT INTO member(room, user, number, commitment) VALUES(?1, ?2, ?3, ?4)")                         \
    X(MEMBERS, "SELECT u.client_id, m.number, m.commitment, m.read,"                                                   \
               " EXISTS(SELECT 1 FROM share s WHERE s.room = m.room AND s.user = m.user)"                              \
               " FROM member m JOIN user u ON u.id = m.user WHERE m.room = ?1 ORDER BY m.number")                      \
    X(DELETE_MEMBER, "DELETE FROM member WHERE room = ?1 AND user = ?2")                                               \
    X(DELETE_MEMBERS, "DELETE FROM member WHERE room = ?1")                                                            \
    X(MARK_READ, "UPDATE member SET read = max(read, ?3) WHERE room = ?1 AND user = ?2")                               \
    X(ADD_SHARE, "INSERT INTO share(room, user, sealed) VALUES(?1, ?2, ?3)")                                           \
    X(SHARES, "SELECT r.uid, s.sealed FROM share s JOIN room r ON r.id = s.room WHERE s.user = ?1 ORDER BY s.id")      \
    X(DELETE_SHARE, "DELETE FROM share WHERE room = ?1 AND user = ?2")                                                 \
    X(DELETE_SHARES, "DELETE FROM share WHERE room = ?1")                                                              \
    X(ADD_MESSAGE, "INSERT INTO message(room, seq, time, mid, sender, epoch, box, user, cid, target)"                  \
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT id FROM user WHERE client_id = ?8), nullif(?9, ''),"   \
                   " nullif(?10, 0))")                                                                                 \
    X(REVISE, "UPDATE message SET box = ?4 WHERE room = ?1 AND seq = ?2 AND target IS NULL"                            \
              " AND user = (SELECT id FROM user WHERE client_id = ?3)")                                                \
    X(FIND_MESSAGE, "SELECT " STORE_ROW ", m.id, r.uid FROM message m LEFT JOIN room r ON r.id = m.room " STORE_REVISED \
                    " WHERE m.user = (SELECT id FROM user WHERE client_id = ?1) AND m.cid = ?2")                       \
    X(DELETE_MESSAGE, "DELETE FROM message WHERE id = ?1")                                                             \
    X(BEFORE, "SELECT " STORE_ROW " FROM message m " STORE_REVISED                                                     \
              " WHERE m.room = ?1 AND m.seq < ?2 AND m.seq > ?4 ORDER BY m.seq DESC LIMIT ?3")                         \
    X(AFTER, "SELECT " STORE_ROW " FROM message m " STORE_REVISED                                                      \
             " WHERE m.room = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3")                                              \
    X(ONE_MESSAGE, "SELECT " STORE_ROW " FROM message m " STORE_REVISED " WHERE m.room = ?1 AND m.seq = ?2"            \
                   " AND m.target IS NULL"                                                                             \
                   " AND (?3 IS NULL OR m.user = (SELECT id FROM user WHERE client_id = ?3))")                         \
    X(TIME_FROM, "SELECT seq, time FROM message WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1")                   \
    X(FIRST_KEPT, "SELECT seq FROM message WHERE room = ?1 AND seq > ?2 AND seq <= ?3 AND time >= ?4"                  \
                  " ORDER BY seq LIMIT 1")                                                                             \
    X(EXPIRE, "DELETE FROM message WHERE room = ?1 AND seq <= ?2")                                                     \
    X(ADD_SWEEP, "INSERT INTO sweep(room) VALUES(?1)")                                                                 \
    X(NEXT_SWEEP, "SELECT room FROM sweep ORDER BY room LIMIT 1")                                                      \
    X(SWEEP, "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE room = ?1 LIMIT ?2)")                      \
    X(PROBE, "INSERT INTO sweep(room) VALUES(0)")  /* no room has that number */                                       \
    X(END_PROBE, "DELETE FROM sweep WHERE room = 0")                                                                   \
    X(DELETE_SWEEP, "DELETE FROM sweep WHERE room = ?1")                                                               \
    X(DATA_SIZE, "SELECT size FROM data WHERE user = ?1 AND key = ?2")                                                 \
    X(SAVE_DATA, "INSERT INTO data(user, key, size, sealed) VALUES(?1, ?2, ?3, ?4)"                                    \
                 " ON CONFLICT(user, key) DO UPDATE SET size = excluded.size, sealed = excluded.sealed")               \
    X(COUNT_DATA, "UPDATE user SET data_bytes = ?2, data_entries = ?3 WHERE id = ?1")                                  \
    X(ONE_DATUM, "SELECT key, sealed FROM data WHERE user = ?1 AND key = ?2")                                          \
    X(ALL_DATA, "SELECT key, sealed FROM data WHERE user = ?1 ORDER BY key")                                           \
    X(RAISE_EPOCH, "INSERT INTO epoch(client_id, epoch) VALUES(?1, ?2)"                                                \
                   " ON CONFLICT(client_id) DO UPDATE SET epoch = max(epoch, excluded.epoch)")                         \
    X(EACH_EPOCH, "SELECT client_id, epoch FROM epoch")                                                                \
    X(SET_FEED, "UPDATE feed SET seq = ?1")                                                                  \
    X(FEED, "SELECT seq FROM feed")                                                                                    \
    X(HISTORY_ID, "SELECT id, run, place FROM history")                                                                \
    X(SET_HISTORY_ID, "INSERT INTO history(one, id, run, place) VALUES(1, ?1, ?2, ?3)"                                 \
                      " ON CONFLICT(one) DO UPDATE SET id = excluded.id, run = excluded.run, place = excluded.place")  \
    X(CANARY, "SELECT sealed FROM canary WHERE id = 1")                                                                \
    X(ADD_CANARY, "INSERT INTO canary(id, sealed) VALUES(1, ?1)")                                                      \
    X(JOB_BEGIN, "SAVEPOINT job")                                                                                      \
    X(JOB_KEEP, "RELEASE job")                                                                                         \
    X(JOB_UNDO, "ROLLBACK TO job")
/* clang-format on */

enum store_sql {
#define X(name, sql) SQL_##name,
    STORE_SQL_TABLE(X)
#undef X
        SQL_COUNT
};

extern const struct db_schema store_schema;

/* What the thread keeps of a room. Changes of a transaction are kept beside what is committed until it is, too. */
struct store_room {
    RB_ENTRY(store_room)
    by_uid;
    STAILQ_ENTRY(store_room) in_touched;
    uint8_t uid[ID_LEN];
    int64_t row;
    uint64_t head, committed;        /* its last number */
    uint64_t floor, committed_floor; /* up to this one all has expired */
    bool is_touched, is_new, is_gone;
};

RB_HEAD(store_room_tree, store_room);

struct sqlite_store {
    struct chat_store base; /* first: an op gets this */
    struct db db;
    struct master *master;
    uint8_t history_id[ID_LEN];
    char *note; /* the file beside the database: lineage.c */
    sqlite3_stmt *sql[SQL_COUNT];
    struct store_room_tree rooms;
    STAILQ_HEAD(, store_room) touched; /* in this transaction */
    bool must_erase, may_sweep;        /* the WAL holds erased rows; messages of deleted rooms are left */
    int64_t erased_ms;                 /* last truncation, monotonic */
    pthread_t thread;
    bool has_thread;
    void (*wake)(void *ctx);
    void *wake_ctx;
    char *log_path;           /* of the write-ahead log */
    atomic_int health;        /* enum rc */
    atomic_bool has_given_up; /* nothing is begun any more */
    bool is_hurried;          /* no lock is waited for */
    int64_t waits_since_ms;   /* for the lock at hand; monotonic */
    int64_t probed_ms;        /* last look whether the disk is back, monotonic */

    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct chat_job_list queue, done;
    size_t loaded; /* by the jobs that are done */
    bool is_stopping;
};

/* rooms.c */
struct store_room *store_room_find(struct sqlite_store *s, const uint8_t uid[ID_LEN]); /* NULL: none, or gone */
struct store_room *store_room_add(struct sqlite_store *s, const uint8_t uid[ID_LEN]);  /* NULL: out of memory */
void store_room_touch(struct sqlite_store *s, struct store_room *room);
void store_room_forget(struct sqlite_store *s, struct store_room *room);
void store_rooms_settle(struct sqlite_store *s, bool is_committed); /* the transaction is over */
void store_rooms_free(struct sqlite_store *s);

/* write.c, load.c: one job inside the transaction; what went wrong with this job alone leaves no trace in it. */
bool store_is_load(enum chat_job_kind kind);
enum rc store_write(struct sqlite_store *s, struct chat_job *job);
enum rc store_load(struct sqlite_store *s, struct chat_job *job);
/*
 * Who's message with the job's cid: into its rows and found_uid. One of a room that is gone is none, and is erased when
 * `erase`. Errors: NOT_FOUND.
 */
MUST enum rc store_find_message(struct sqlite_store *s, struct chat_job *job, bool erase);
/* messages.c: jobs */
MUST enum rc store_add_message(struct sqlite_store *s, struct chat_job *job);
MUST enum rc store_revise(struct sqlite_store *s, struct chat_job *job);

/* expire.c: a job, and up to which number all is older than expired_s. */
MUST enum rc store_expire(struct sqlite_store *s, struct chat_job *job);
MUST enum rc store_floor(struct sqlite_store *s, const struct store_room *room, int64_t expired_s, uint64_t *ret);

MUST enum rc store_user(struct sqlite_store *s, const uint8_t client_id[ID_LEN], int64_t *ret_row); /* NO_CLIENT */
MUST enum rc store_sweep(struct sqlite_store *s); /* some messages of deleted rooms; its own transaction */

/* The names of sealed rows: who and where it belongs to. */
#define STORE_SHARE_ROW (2 * ID_LEN)
struct row_ref store_share_ref(const uint8_t uid[ID_LEN], const uint8_t who[ID_LEN], uint8_t room[STORE_SHARE_ROW]);
MUST enum rc store_data_ref(const uint8_t who[ID_LEN], struct slice key, struct buf *row, struct row_ref *ret);

/* A row without a meaning: that it opens shows that master key and database belong together. */
struct row_ref store_canary_ref(void);

/* lineage.c: sets history_id. path: of the database; note: of the file beside it. */
MUST enum rc store_lineage(struct sqlite_store *s, const char *path, const char *note);
void store_lineage_end(struct sqlite_store *s, const char *note); /* at an orderly end */

/* health.c */
bool store_is_well(const struct sqlite_store *s);
MUST enum rc store_wait_by_own_rules(struct sqlite_store *s); /* for locks */
/*
 * May the write-ahead log grow? It cannot go into the database while somebody reads that for long, and then needs as
 * much again: were it to fill the disk, it would stay there. Errors: LIMIT.
 */
MUST enum rc store_check_log(const struct sqlite_store *s);
void store_note_health(struct sqlite_store *s, enum rc rc); /* of a transaction; before it is rolled back */
void store_probe(struct sqlite_store *s);
void store_erase(struct sqlite_store *s);
enum rc store_health(struct chat_store *base);
uint64_t store_log_bytes(struct chat_store *base);

/* thread.c */
enum rc store_start(struct chat_store *base, void (*wake)(void *ctx), void *ctx);
void store_put(struct chat_store *base, struct chat_job *job);
void store_take(struct chat_store *base, struct chat_job_list *ret);
void store_give_up(struct chat_store *base);
void store_end_thread(struct sqlite_store *s); /* does everything queued, then joins */

#endif
