/* Jobs that read, one function each. */
#include <string.h>

#include "chat/store/sqlite.h"

bool store_is_load(enum chat_job_kind kind)
{
    return kind == JOB_LOAD_DATA || kind == JOB_LOAD_SHARES || kind == JOB_LOAD_HISTORY || kind == JOB_LOAD_MESSAGES ||
           kind == JOB_FIND_MESSAGE;
}

static enum rc add_datum(struct sqlite_store *s, sqlite3_stmt *st, struct chat_job *job)
{
    AUTO(buf_done) struct buf row = {0};
    struct row_ref ref;
    struct chat_pair *pair = chat_job_add_pair(job);

    if (pair == NULL)
        return RC_NO_MEMORY;
    TRY(buf_add(&pair->key, db_text(st, 0)));
    TRY(store_data_ref(job->who, buf_slice(&pair->key), &row, &ref));
    return row_open(s->master, &ref, db_blob(st, 1), &pair->value);
}

static enum rc load_data(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[job->key.n > 0 ? SQL_ONE_DATUM : SQL_ALL_DATA];
    int64_t user;
    bool has_row;

    TRY(store_user(s, job->who, &user));
    TRY(db_bind_int(st, 1, user));
    if (job->key.n > 0)
        TRY(db_bind_text(st, 2, buf_slice(&job->key)));
    for (;;) {
        TRY(db_step(st, &has_row));
        if (!has_row)
            return RC_OK;
        TRY(add_datum(s, st, job));
    }
}

static enum rc add_share(struct sqlite_store *s, sqlite3_stmt *st, struct chat_job *job)
{
    uint8_t name[STORE_SHARE_ROW];
    struct slice uid = db_blob(st, 0);
    struct chat_pair *pair = chat_job_add_pair(job);

    if (pair == NULL)
        return RC_NO_MEMORY;
    if (uid.n != ID_LEN)
        return RC_MODIFIED;
    TRY(buf_add(&pair->key, uid));
    struct row_ref ref = store_share_ref(pair->key.p, job->who, name);
    return row_open(s->master, &ref, db_blob(st, 1), &pair->value);
}

static enum rc load_shares(struct sqlite_store *s, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_SHARES];
    int64_t user;
    bool has_row;

    TRY(store_user(s, job->who, &user));
    TRY(db_bind_int(st, 1, user));
    for (;;) {
        TRY(db_step(st, &has_row));
        if (!has_row)
            return RC_OK;
        TRY(add_share(s, st, job));
    }
}

/* Of a message, from that column on: time, mid. */
static enum rc take_stamp(sqlite3_stmt *st, int col, struct chat_message_row *row)
{
    struct slice mid = db_blob(st, col + 1);

    if (mid.n != ID_LEN)
        return RC_MODIFIED;
    row->time_s = db_int(st, col);
    memcpy(row->mid, mid.p, ID_LEN);
    return RC_OK;
}

/* Nobody revises what another has written. */
static enum rc take_revised(sqlite3_stmt *st, struct chat_message_row *row)
{
    struct chat_message_row *revised = chat_row_revised(row, row->target);

    if (revised == NULL)
        return RC_NO_MEMORY;
    TRY(take_stamp(st, 8, revised));
    revised->sender = row->sender;
    revised->epoch = (uint32_t)db_int(st, 10);
    revised->rev = row->rev;
    return buf_add(&revised->box, db_blob(st, 11));
}

/* A row of STORE_ROW. */
static enum rc add_message(sqlite3_stmt *st, struct chat_job *job)
{
    struct chat_message_row *row = chat_job_add_row(job);

    if (row == NULL)
        return RC_NO_MEMORY;
    row->seq = (uint64_t)db_int(st, 0);
    TRY(take_stamp(st, 1, row));
    TRY(name_parse(db_text(st, 3), &row->sender));
    row->epoch = (uint32_t)db_int(st, 4);
    TRY(buf_add(&row->box, db_blob(st, 5)));
    row->target = (uint64_t)db_int(st, 6);
    row->rev = (uint64_t)db_int(st, 7);
    return db_blob(st, 9).n > 0 ? take_revised(st, row) : RC_OK;
}

/* A part of a history, the nearest to `from` first: how many rows and bytes it may have. */
struct part {
    enum store_sql sql; /* BEFORE, AFTER */
    uint64_t from;
    uint64_t floor; /* what is below is not there */
    uint32_t rows_max;
    uint64_t bytes_max;
};

/* The first that does not fit, though never the nearest, says that there are more. */
static enum rc read_part(struct sqlite_store *s, int64_t room, const struct part *p, struct chat_job *job,
                         bool *ret_more)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[p->sql];
    uint64_t bytes = 0;
    uint32_t rows = 0;
    bool has_row;

    *ret_more = false;
    TRY(db_bind_int(st, 1, room));
    TRY(db_bind_int(st, 2, p->from > INT64_MAX ? INT64_MAX : (int64_t)p->from));
    TRY(db_bind_int(st, 3, (int64_t)p->rows_max + 1));
    if (p->sql == SQL_BEFORE)
        TRY(db_bind_int(st, 4, (int64_t)p->floor));
    for (;; rows++) {
        TRY(db_step(st, &has_row));
        if (!has_row)
            return RC_OK;
        bytes += db_blob(st, 5).n + db_blob(st, 11).n;
        if (rows == p->rows_max || (rows > 0 && bytes > p->bytes_max)) {
            *ret_more = true;
            return RC_OK;
        }
        TRY(add_message(st, job));
    }
}

static void turn_around(struct chat_message_row *rows, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct chat_message_row swap = rows[i];
        rows[i] = rows[n - 1 - i];
        rows[n - 1 - i] = swap;
    }
}

/* Read from the nearest to the farthest; told oldest first. */
static enum rc read_before(struct sqlite_store *s, int64_t room, struct chat_job *job, const struct part *p)
{
    TRY(read_part(s, room, p, job, &job->more_before));
    turn_around(job->rows, job->rows_n);
    return RC_OK;
}

static enum rc read_page(struct sqlite_store *s, const struct store_room *room, struct chat_job *job)
{
    const uint64_t floor = job->floor;
    struct part before = {SQL_BEFORE, job->from_seq, floor, job->rows_max, job->bytes_max};
    struct part after = {SQL_AFTER, job->from_seq > floor ? job->from_seq : floor, 0, job->rows_max, job->bytes_max};

    switch (job->side) {
    case SIDE_NEWEST:
        before.from = room->head + 1;
        return read_before(s, room->row, job, &before);
    case SIDE_BEFORE:
        job->more_after = job->from_seq <= room->head;
        return read_before(s, room->row, job, &before);
    case SIDE_AFTER:
        job->more_before = job->from_seq > floor && room->head > floor;
        return read_part(s, room->row, &after, job, &job->more_after);
    case SIDE_AROUND:
    default:
        before.rows_max = job->rows_max / 2;
        before.bytes_max = job->bytes_max / 2;
        TRY(read_before(s, room->row, job, &before));
        if (job->from_seq > floor)
            after.from = job->from_seq - 1;
        after.rows_max = job->rows_max - (uint32_t)job->rows_n;
        after.bytes_max = job->bytes_max / 2;
        return read_part(s, room->row, &after, job, &job->more_after);
    }
}

static enum rc load_history(struct sqlite_store *s, struct chat_job *job)
{
    const struct store_room *room = store_room_find(s, job->room_uid);

    if (room == NULL)
        return RC_NOT_FOUND;
    TRY(store_floor(s, room, job->expired_s, &job->floor));
    return read_page(s, room, job);
}

/* The row of that very number, of which it is known that it is there. */
static enum rc load_revision(struct sqlite_store *s, const struct store_room *room, uint64_t rev, struct chat_job *job)
{
    const struct part one = {SQL_AFTER, rev - 1, 0, 1, UINT64_MAX};
    bool has_more;

    return read_part(s, room->row, &one, job, &has_more);
}

static enum rc load_one(struct sqlite_store *s, const struct store_room *room, uint64_t seq, struct chat_job *job)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_ONE_MESSAGE];
    bool has_row;

    TRY(db_bind_int(st, 1, room->row));
    TRY(db_bind_int(st, 2, seq > INT64_MAX ? INT64_MAX : (int64_t)seq));
    if (job->own)
        TRY(db_bind_blob(st, 3, SLICE(job->who)));
    TRY(db_step(st, &has_row));
    if (!has_row)
        return RC_OK;
    TRY(add_message(st, job));
    uint64_t rev = job->rows[job->rows_n - 1].rev;
    return job->own && rev ? load_revision(s, room, rev, job) : RC_OK;
}

static enum rc load_messages(struct sqlite_store *s, struct chat_job *job)
{
    const struct store_room *room = store_room_find(s, job->room_uid);

    if (room == NULL)
        return RC_NOT_FOUND;
    TRY(store_floor(s, room, job->expired_s, &job->floor));
    for (size_t i = 0; i < job->seqs_n; i++)
        TRY(load_one(s, room, job->seqs[i], job));
    return RC_OK;
}

static enum rc erase_message(struct sqlite_store *s, int64_t row)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_DELETE_MESSAGE];

    s->must_erase = true;
    TRY(db_bind_int(st, 1, row));
    return db_run(st);
}

enum rc store_find_message(struct sqlite_store *s, struct chat_job *job, bool erase)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_FIND_MESSAGE];
    bool has_row;

    TRY(db_bind_blob(st, 1, SLICE(job->who)));
    TRY(db_bind_text(st, 2, buf_slice(&job->cid)));
    TRY(db_step(st, &has_row));
    if (!has_row)
        return RC_NOT_FOUND;
    struct slice uid = db_blob(st, STORE_ROW_COLUMNS + 1);
    if (uid.n != ID_LEN) {
        if (erase)
            TRY(erase_message(s, db_int(st, STORE_ROW_COLUMNS)));
        return RC_NOT_FOUND;
    }
    memcpy(job->found_uid, uid.p, ID_LEN);
    return add_message(st, job);
}

enum rc store_load(struct sqlite_store *s, struct chat_job *job)
{
    switch (job->kind) {
    case JOB_FIND_MESSAGE:
        return store_find_message(s, job, false);
    case JOB_LOAD_MESSAGES:
        return load_messages(s, job);
    case JOB_LOAD_DATA:
        return load_data(s, job);
    case JOB_LOAD_SHARES:
        return load_shares(s, job);
    default:
        return load_history(s, job);
    }
}
