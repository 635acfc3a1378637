/* Messages and their revisions: each is the next of its room, or it is not stored. */
#include "chat/store/sqlite.h"

/* A text of an open room that was sealed before a roll-over and comes after its end would never open again. */
static enum rc check_version(struct sqlite_store *s, struct slice box)
{
    uint32_t kvno;

    if (envelope_kvno(box, &kvno) != RC_OK || kvno == 0)
        return RC_OK; /* of a sealed room */
    return master_key(s->master, LABEL_MESSAGE, kvno) ? RC_OK : RC_NO_KVNO;
}

/* Errors: EXISTS (its sender has one with that cid). */
static enum rc insert_message(struct sqlite_store *s, const struct chat_job *job, const struct store_room *room)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_ADD_MESSAGE];
    const struct chat_message_row *m = &job->message;

    TRY(db_bind_int(st, 1, room->row));
    TRY(db_bind_int(st, 2, (int64_t)m->seq));
    TRY(db_bind_int(st, 3, m->time_s));
    TRY(db_bind_blob(st, 4, SLICE(m->mid)));
    TRY(db_bind_text(st, 5, name_slice(&m->sender)));
    TRY(db_bind_int(st, 6, m->epoch));
    TRY(db_bind_blob(st, 7, buf_slice(&m->box)));
    TRY(db_bind_blob(st, 8, SLICE(job->who)));
    TRY(db_bind_text(st, 9, buf_slice(&job->cid)));
    TRY(db_bind_int(st, 10, (int64_t)m->target));
    return db_run(st);
}

/* One that is there already is told so at once: numbered again, it would make the next hole. */
static enum rc behind_a_hole(struct sqlite_store *s, struct chat_job *job)
{
    enum rc rc = job->cid.n ? store_find_message(s, job, false) : RC_NOT_FOUND;
    return rc == RC_OK ? RC_EXISTS : rc == RC_NOT_FOUND ? RC_LIMIT : rc;
}

enum rc store_add_message(struct sqlite_store *s, struct chat_job *job)
{
    struct store_room *room = store_room_find(s, job->room_uid);

    if (room == NULL)
        return RC_NOT_FOUND;
    if (job->message.seq != room->head + 1)
        return behind_a_hole(s, job);
    TRY(check_version(s, buf_slice(&job->message.box)));
    enum rc rc = insert_message(s, job, room);
    if (rc == RC_EXISTS) {
        rc = store_find_message(s, job, true);
        if (rc == RC_OK)
            return RC_EXISTS;
        if (rc == RC_NOT_FOUND) /* it was of a room that is gone, and is gone now, too */
            rc = insert_message(s, job, room);
    }
    TRY(rc);
    room->head = job->message.seq;
    store_room_touch(s, room);
    return RC_OK;
}

/* Takes the place of what its message said before: that is erased from the file. */
static enum rc replace_text(struct sqlite_store *s, const struct chat_job *job, const struct store_room *room)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_REVISE];
    const struct chat_message_row *revised = job->message.revised;

    TRY(check_version(s, buf_slice(&revised->box)));
    TRY(db_bind_int(st, 1, room->row));
    TRY(db_bind_int(st, 2, (int64_t)revised->seq));
    TRY(db_bind_blob(st, 3, SLICE(job->who)));
    TRY(db_bind_blob(st, 4, buf_slice(&revised->box)));
    TRY(db_run(st));
    s->must_erase = true;
    return sqlite3_changes(s->db.h) == 1 ? RC_OK : RC_NOT_FOUND;
}

enum rc store_revise(struct sqlite_store *s, struct chat_job *job)
{
    struct store_room *room = store_room_find(s, job->room_uid);

    if (room == NULL)
        return RC_NOT_FOUND;
    if (job->message.seq != room->head + 1)
        return RC_LIMIT;
    TRY(replace_text(s, job, room));
    TRY(insert_message(s, job, room));
    room->head = job->message.seq;
    store_room_touch(s, room);
    return RC_OK;
}
