/*
 * Jobs that change something, one function each.
 *
 * A job of several statements runs in a savepoint, so that one that is refused leaves the others of its transaction
 * alone. A message (messages.c) is one statement and the hot path: it needs none.
 */
#include <string.h>

#include "chat/store/sqlite.h"

enum rc store_user(struct sqlite_store *s, const uint8_t client_id[ID_LEN], int64_t *ret_row)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_FIND_USER];
    bool has_row;

    TRY(db_bind_blob(st, 1, slice_of(client_id, ID_LEN)));
    TRY(db_step(st, &has_row));
    if (!has_row)
        return RC_NO_CLIENT;
    *ret_row = db_int(st, 0);
    return RC_OK;
}

struct row_ref store_canary_ref(void)
{
    return (struct row_ref){.table = "canary", .row = slice_text("1"), .column = "sealed"};
}

struct row_ref store_share_ref(const uint8_t uid[ID_LEN], const uint8_t who[ID_LEN], uint8_t room[STORE_SHARE_ROW])
{
    memcpy(room, uid, ID_LEN);
    memcpy(room + ID_LEN, who, ID_LEN);
    return (struct row_ref){.table = "share", .row = slice_of(room, STORE_SHARE_ROW), .column = "share"};
}

enum rc store_data_ref(const uint8_t who[ID_LEN], struct slice key, struct buf *row, struct row_ref *ret)
{
    buf_reset(row);
    TRY(buf_add(row, slice_of(who, ID_LEN)));
    TRY(buf_add(row, key));
    *ret = (struct row_ref){.table = "data", .row = buf_slice(row), .column = "value"};
    return RC_OK;
}

/* Runs one of the statements that take a room and, unless 0, a user. */
static enum rc run_ids(struct sqlite_store *s, enum store_sql sql, int64_t room, int64_t user)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[sql];

    TRY(db_bind_int(st, 1, room));
    if (user != 0)
        TRY(db_bind_int(st, 2, user));
    return db_run(st);
}

static enum rc add_user(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_ADD_USER];

    TRY(db_bind_blob(st, 1, slice_of(job->who, ID_LEN)));
    TRY(db_bind_text(st, 2, name_slice(&job->who_name)));
    TRY(db_bind_int(st, 3, job->time_s));
    return db_run(st);
}

static enum rc add_share(struct sqlite_store *s, const struct chat_job *job, const struct chat_job_member *m,
                         int64_t room, int64_t user)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_ADD_SHARE];
    AUTO(buf_done) struct buf sealed = {0};
    uint8_t name[STORE_SHARE_ROW];
    struct row_ref ref = store_share_ref(job->room_uid, m->client_id, name);

    TRY(row_seal(s->master, &ref, buf_slice(&m->share), &sealed));
    TRY(db_bind_int(st, 1, room));
    TRY(db_bind_int(st, 2, user));
    TRY(db_bind_blob(st, 3, buf_slice(&sealed)));
    return db_run(st);
}

static enum rc add_member(struct sqlite_store *s, const struct chat_job *job, const struct chat_job_member *m,
                          int64_t room)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_ADD_MEMBER];
    int64_t user;

    TRY(store_user(s, m->client_id, &user));
    TRY(db_bind_int(st, 1, room));
    TRY(db_bind_int(st, 2, user));
    TRY(db_bind_int(st, 3, m->number));
    TRY(db_bind_blob(st, 4, SLICE(m->commitment)));
    TRY(db_run(st));
    return m->share.n > 0 ? add_share(s, job, m, room, user) : RC_OK;
}

static enum rc add_room_row(struct sqlite_store *s, const struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_ADD_ROOM];

    TRY(db_bind_blob(st, 1, SLICE(job->room_uid)));
    TRY(db_bind_text(st, 2, name_slice(&job->room_id)));
    TRY(db_bind_text(st, 3, name_slice(&job->room_name)));
    TRY(db_bind_int(st, 4, job->threshold));
    TRY(db_bind_int(st, 5, job->hold));
    TRY(db_bind_int(st, 6, job->epoch));
    TRY(db_bind_blob(st, 7, SLICE(job->key_check)));
    TRY(db_bind_int(st, 8, job->time_s));
    TRY(db_bind_int(st, 9, job->keep_days));
    return db_run(st);
}

static enum rc add_room(struct sqlite_store *s, struct chat_job *job)
{
    TRY(add_room_row(s, job));
    int64_t row = sqlite3_last_insert_rowid(s->db.h);
    for (size_t i = 0; i < job->members_n; i++)
        TRY(add_member(s, job, &job->members[i], row));

    struct store_room *room = store_room_add(s, job->room_uid);
    if (room == NULL)
        return RC_NO_MEMORY;
    room->row = row;
    room->is_new = true;
    store_room_touch(s, room);
    return RC_OK;
}

static enum rc leave(struct sqlite_store *s, struct chat_job *job)
{
    struct store_room *room = store_room_find(s, job->room_uid);
    int64_t user;

    if (room == NULL)
        return RC_NOT_FOUND;
    TRY(store_user(s, job->who, &user));
    TRY(run_ids(s, SQL_DELETE_SHARE, room->row, user));
    TRY(run_ids(s, SQL_DELETE_MEMBER, room->row, user));
    if (sqlite3_changes(s->db.h) == 0)
        return RC_NOT_FOUND;
    s->must_erase = true;
    return RC_OK;
}

/* The room is gone with its transaction; its messages, which may be many, are left to store_sweep(). */
static enum rc delete_room(struct sqlite_store *s, struct chat_job *job)
{
    struct store_room *room = store_room_find(s, job->room_uid);

    if (room == NULL)
        return RC_NOT_FOUND;
    TRY(run_ids(s, SQL_DELETE_SHARES, room->row, 0));
    TRY(run_ids(s, SQL_DELETE_MEMBERS, room->row, 0));
    TRY(run_ids(s, SQL_DELETE_ROOM, room->row, 0));
    TRY(run_ids(s, SQL_ADD_SWEEP, room->row, 0));
    room->is_gone = true;
    store_room_touch(s, room);
    s->must_erase = s->may_sweep = true;
    return RC_OK;
}

static enum rc mark_read(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_MARK_READ];
    const struct store_room *room = store_room_find(s, job->room_uid);
    int64_t user;

    if (room == NULL)
        return RC_NOT_FOUND;
    TRY(store_user(s, job->who, &user));
    TRY(db_bind_int(st, 1, room->row));
    TRY(db_bind_int(st, 2, user));
    TRY(db_bind_int(st, 3, (int64_t)job->from_seq));
    return db_run(st);
}

static enum rc drop_share(struct sqlite_store *s, struct chat_job *job)
{
    struct store_room *room = store_room_find(s, job->room_uid);
    int64_t user;

    if (room == NULL)
        return RC_OK; /* gone with its room */
    TRY(store_user(s, job->who, &user));
    TRY(run_ids(s, SQL_DELETE_SHARE, room->row, user));
    s->must_erase = true;
    return RC_OK;
}

/* What the user has stored once this value has taken the place of the old one. */
static enum rc count_data(struct sqlite_store *s, const struct chat_job *job, int64_t size, int64_t *ret_user)
{
    AUTO(db_reset_auto) sqlite3_stmt *user = s->sql[SQL_FIND_USER];
    AUTO(db_reset_auto) sqlite3_stmt *old = s->sql[SQL_DATA_SIZE];
    AUTO(db_reset_auto) sqlite3_stmt *count = s->sql[SQL_COUNT_DATA];
    bool has_user, has_old;

    TRY(db_bind_blob(user, 1, SLICE(job->who)));
    TRY(db_step(user, &has_user));
    if (!has_user)
        return RC_NO_CLIENT;
    TRY(db_bind_int(old, 1, db_int(user, 0)));
    TRY(db_bind_text(old, 2, buf_slice(&job->key)));
    TRY(db_step(old, &has_old));
    int64_t bytes = db_int(user, 1) + size - (has_old ? db_int(old, 0) : 0);
    int64_t entries = db_int(user, 2) + (has_old ? 0 : 1);
    if (bytes < 0 || (uint64_t)bytes > job->data_max || entries > STORE_ENTRIES_MAX)
        return RC_LIMIT;
    *ret_user = db_int(user, 0);
    TRY(db_bind_int(count, 1, *ret_user));
    TRY(db_bind_int(count, 2, bytes));
    TRY(db_bind_int(count, 3, entries));
    return db_run(count);
}

static enum rc save_data(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_SAVE_DATA];
    AUTO(buf_done) struct buf sealed = {0}, row = {0};
    struct row_ref ref;
    int64_t size = (int64_t)(job->key.n + job->value.n), user;

    TRY(count_data(s, job, size, &user));
    TRY(store_data_ref(job->who, buf_slice(&job->key), &row, &ref));
    TRY(row_seal(s->master, &ref, buf_slice(&job->value), &sealed));
    TRY(db_bind_int(st, 1, user));
    TRY(db_bind_text(st, 2, buf_slice(&job->key)));
    TRY(db_bind_int(st, 3, size));
    TRY(db_bind_blob(st, 4, buf_slice(&sealed)));
    return db_run(st);
}

static enum rc raise_epoch(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_RAISE_EPOCH];

    TRY(db_bind_blob(st, 1, SLICE(job->who)));
    TRY(db_bind_int(st, 2, job->epoch));
    return db_run(st);
}

static enum rc heard(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_SET_FEED];

    TRY(db_bind_int(st, 1, (int64_t)job->feed_seq));
    return db_run(st);
}

enum rc store_write(struct sqlite_store *s, struct chat_job *job)
{
    static enum rc (*const handlers[])(struct sqlite_store *, struct chat_job *) = {
        [JOB_ADD_USER] = add_user,
        [JOB_ADD_ROOM] = add_room,
        [JOB_ADD_MESSAGE] = store_add_message,
        [JOB_LEAVE] = leave,
        [JOB_DELETE_ROOM] = delete_room,
        [JOB_DROP_SHARE] = drop_share,
        [JOB_SAVE_DATA] = save_data,
        [JOB_HEARD] = heard,
        [JOB_RAISE_EPOCH] = raise_epoch,
        [JOB_MARK_READ] = mark_read,
        [JOB_REVISE] = store_revise,
        [JOB_EXPIRE] = store_expire,
    };

    if (job->kind == JOB_ADD_MESSAGE)
        return store_add_message(s, job);
    TRY(db_run(s->sql[SQL_JOB_BEGIN]));
    enum rc rc = handlers[job->kind](s, job);
    if (rc != RC_OK && db_run(s->sql[SQL_JOB_UNDO]) != RC_OK)
        return RC_DB;
    return db_run(s->sql[SQL_JOB_KEEP]) == RC_OK ? rc : RC_DB;
}

enum rc store_sweep(struct sqlite_store *s)
{
    AUTO(db_reset_auto) sqlite3_stmt *next = s->sql[SQL_NEXT_SWEEP];
    AUTO(db_reset_auto) sqlite3_stmt *sweep = s->sql[SQL_SWEEP];
    bool has_row;

    TRY(db_step(next, &has_row));
    s->may_sweep = has_row;
    if (!has_row)
        return RC_OK;
    int64_t room = db_int(next, 0);
    db_reset(next);
    TRY(db_begin(&s->db));
    enum rc rc = db_bind_int(sweep, 1, room);
    if (rc == RC_OK)
        rc = db_bind_int(sweep, 2, STORE_SWEEP_ROWS);
    if (rc == RC_OK)
        rc = db_run(sweep);
    if (rc == RC_OK && sqlite3_changes(s->db.h) < STORE_SWEEP_ROWS)
        rc = run_ids(s, SQL_DELETE_SWEEP, room, 0);
    if (rc == RC_OK)
        rc = db_commit(&s->db);
    if (rc != RC_OK)
        db_rollback(&s->db);
    s->must_erase = true;
    return rc;
}
