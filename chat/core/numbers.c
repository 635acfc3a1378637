/*
 * The numbers of a room: given out in order, sealed into what they are given to, and given out again when something was
 * not stored.
 */
#include "chat/core/internal.h"

enum chat_command number_command(const struct chat_job *job)
{
    if (!job->message.target)
        return CMD_NEW_MESSAGE;
    return job->text.n ? CMD_EDIT_MESSAGE : CMD_DELETE_MESSAGE;
}

/* The last word on it. */
void number_refuse(struct chat *chat, const struct chat_job *job, enum chat_code code)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);

    flight_end(chat, job);
    if (code == CODE_RATE_LIMITED)
        say_rate_limited(chat, conn, number_command(job), buf_slice(&job->label), CHAT_ASK_AGAIN_MS);
    else
        say_error(chat, conn, number_command(job), buf_slice(&job->label), code, slice_of(NULL, 0));
}

/* It gets the room's next number, is sealed with it, and goes to the store. Of a revision, the text is its message's.
 */
static void number(struct chat *chat, struct chat_room *room, struct chat_job *job)
{
    struct chat_message_row *row = &job->message;

    row->seq = ++room->seq;
    row->epoch = room->epoch;
    if (row->revised)
        row->revised->rev = row->seq;
    message_seal(chat, room, row->revised ? row->revised : row, buf_slice(&job->text));
    job->opening = room->opening;
    job->is_numbered = true;
    job->is_first = room->messages_n == 0;
    room->messages_n++;
    act_job(chat, job);
}

/* A job that came back is freed behind its handler: this one goes on with what was in it. */
static struct chat_job *move(struct chat_job *job)
{
    struct chat_job *moved = job_new(job->kind);

    *moved = *job;
    *job = (struct chat_job){.kind = moved->kind};
    return moved;
}

/* Why a message does not wait to be numbered; CODE_COUNT: it does. */
static enum chat_code no_waiting(const struct chat_room *room, const struct chat_job *job)
{
    bool is_back = job->is_numbered;

    if (!room->open || (is_back && job->opening != room->opening))
        return CODE_ROOM_CLOSED;
    if (is_back && job->is_first) /* nothing was before it: core and store are out of step */
        return CODE_INTERNAL;
    return room->waiting_n < CHAT_WAITING_MAX ? CODE_COUNT : CODE_RATE_LIMITED;
}

/*
 * Takes what is in the job, or tells its sender why not. What came back from the store was there before what has come
 * since.
 */
static void keep_waiting(struct chat *chat, struct chat_room *room, struct chat_job *job)
{
    enum chat_code code = no_waiting(room, job);

    if (code != CODE_COUNT) {
        number_refuse(chat, job, code);
        return;
    }
    struct chat_job *moved = move(job);
    moved->held = chat_job_size(moved);
    chat->waiting_bytes += moved->held;
    if (moved->is_numbered)
        STAILQ_INSERT_TAIL(&room->refused, moved, link);
    else
        STAILQ_INSERT_TAIL(&room->waiting, moved, link);
    room->waiting_n++;
}

/* NULL: none. */
static struct chat_job *next_waiting(struct chat *chat, struct chat_room *room)
{
    struct chat_job *job = STAILQ_FIRST(&room->refused);

    if (job)
        STAILQ_REMOVE_HEAD(&room->refused, link);
    else if ((job = STAILQ_FIRST(&room->waiting)))
        STAILQ_REMOVE_HEAD(&room->waiting, link);
    if (job) {
        room->waiting_n--;
        chat->waiting_bytes -= job->held;
    }
    return job;
}

void refuse_waiting(struct chat *chat, struct chat_room *room, enum chat_code code)
{
    struct chat_job *job;

    while ((job = next_waiting(chat, room))) {
        number_refuse(chat, job, code);
        chat_job_free(job);
    }
}

void waiting_free(struct chat *chat, struct chat_room *room)
{
    struct chat_job *job;

    while ((job = next_waiting(chat, room)))
        chat_job_free(job);
}

void number_settle(struct chat *chat, struct chat_room *room, struct chat_job *job)
{
    struct chat_job *again;

    room->messages_n--;
    if (job->rc == RC_OK)
        room->head = job->message.seq;
    else
        room->resync = true;
    if (job->rc == RC_LIMIT)
        keep_waiting(chat, room, job);
    if (!room->resync || room->messages_n > 0)
        return;
    room->seq = room->head;
    room->resync = false;
    while ((again = next_waiting(chat, room))) {
        const struct chat_user *sender = user_by_id(chat, again->who);
        if (sender && room_member(room, sender)) {
            number(chat, room, again);
            continue;
        }
        number_refuse(chat, again, CODE_NOT_FOUND); /* he has left meanwhile */
        chat_job_free(again);
    }
}

void number_job(struct chat *chat, struct chat_room *room, struct chat_job *job)
{
    if (!room->resync) {
        number(chat, room, job);
        return;
    }
    keep_waiting(chat, room, job);
    chat_job_free(job);
}
