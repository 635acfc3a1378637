/*
 * What a room no longer keeps: everything up to its floor, the last number whose time has passed.
 *
 * Times rise with the numbers, so the floor is found in a few steps however long the room is. A clock that was set back
 * breaks the order; so nothing is erased that has not been looked at: what is kept ends it, and what has expired behind
 * that goes later. The core does not show it all the same.
 */
#include "chat/store/sqlite.h"

#define EXPIRE_ROWS 500 /* rows that go in one job, so that it does not hold up the others of its transaction */

/* The first row from seq on; *ret_seq 0: there is none. */
static enum rc time_from(struct sqlite_store *s, const struct store_room *room, uint64_t seq, uint64_t *ret_seq,
                         int64_t *ret_time_s)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_TIME_FROM];
    bool has_row;

    TRY(db_bind_int(st, 1, room->row));
    TRY(db_bind_int(st, 2, (int64_t)seq));
    TRY(db_step(st, &has_row));
    *ret_seq = has_row ? (uint64_t)db_int(st, 0) : 0;
    *ret_time_s = has_row ? db_int(st, 1) : 0;
    return RC_OK;
}

enum rc store_floor(struct sqlite_store *s, const struct store_room *room, int64_t expired_s, uint64_t *ret)
{
    uint64_t low = room->floor, high = room->head;

    while (expired_s > 0 && low < high) {
        uint64_t middle = low + (high - low + 1) / 2, seq;
        int64_t time_s;
        TRY(time_from(s, room, middle, &seq, &time_s));
        if (seq == 0 || seq > high || time_s >= expired_s)
            high = middle - 1;
        else
            low = seq;
    }
    *ret = low;
    return RC_OK;
}

/* Up to where all from the room's floor on has expired; at most to *floor, EXPIRE_ROWS behind it. */
static enum rc stop_at_kept(struct sqlite_store *s, const struct store_room *room, int64_t expired_s, uint64_t *floor)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_FIRST_KEPT];
    bool has_row;

    TRY(db_bind_int(st, 1, room->row));
    TRY(db_bind_int(st, 2, (int64_t)room->floor));
    TRY(db_bind_int(st, 3, (int64_t)*floor));
    TRY(db_bind_int(st, 4, expired_s));
    TRY(db_step(st, &has_row));
    if (has_row)
        *floor = (uint64_t)db_int(st, 0) - 1;
    return RC_OK;
}

static enum rc erase_up_to(struct sqlite_store *s, const struct store_room *room, uint64_t floor)
{
    AUTO(db_reset_auto) sqlite3_stmt *erase = s->sql[SQL_EXPIRE];
    AUTO(db_reset_auto) sqlite3_stmt *set = s->sql[SQL_SET_FLOOR];

    TRY(db_bind_int(erase, 1, room->row));
    TRY(db_bind_int(erase, 2, (int64_t)floor));
    TRY(db_run(erase));
    TRY(db_bind_int(set, 1, room->row));
    TRY(db_bind_int(set, 2, (int64_t)floor));
    return db_run(set);
}

enum rc store_expire(struct sqlite_store *s, struct chat_job *job)
{
    struct store_room *room = store_room_find(s, job->room_uid);
    uint64_t floor;

    if (room == NULL)
        return RC_NOT_FOUND;
    TRY(store_floor(s, room, job->expired_s, &floor));
    job->more_after = floor - room->floor > EXPIRE_ROWS;
    if (job->more_after)
        floor = room->floor + EXPIRE_ROWS;
    uint64_t end = floor;
    TRY(stop_at_kept(s, room, job->expired_s, &floor));
    job->more_after = job->more_after && floor == end;
    if (floor > room->floor) {
        TRY(erase_up_to(s, room, floor));
        room->floor = floor;
        store_room_touch(s, room);
        s->must_erase = true;
    }
    job->floor = room->floor;
    return RC_OK;
}
