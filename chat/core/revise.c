/*
 * Edits and deletions: what somebody has written gets another text, or none.
 *
 * The log of a room stays dense: a revision takes the next number, as a row of its own that names its message, so who
 * asks for what came after his last number hears of it once. The message keeps its place; its text is sealed anew,
 * bound to the number of the revision, and what it said before is erased. A deletion is a revision to the empty text,
 * which no edit may have. Nobody but its author revises a message, one revision of it at a time, and none follows a
 * deletion.
 */
#include <string.h>

#include "chat/core/internal.h"

/* The message is loaded first: what it says now, and what seals it, is not known here. */
static void ask(const struct call *c)
{
    const struct chat_member *m = call_member_of_open(c);
    if (!m)
        return;
    if (c->req->seq == 0) {
        call_error(c, CODE_NO_MESSAGE);
        return;
    }
    if (c->req->text.n > c->chat->env.limits.text_bytes) {
        call_error(c, CODE_LIMIT);
        return;
    }
    struct chat_job *job = room_job(m->room, JOB_LOAD_MESSAGES);
    memcpy(job->who, c->user->client_id, ID_LEN);
    job->own = true;
    job->message.target = c->req->seq;
    must(chat_job_add_seq(job, c->req->seq) ? RC_OK : RC_NO_MEMORY);
    must(buf_add(&job->text, c->req->text));
    must(buf_add(&job->label, c->req->label));
    job->conn = c->conn->serial;
    if (flight_begin_revision(c->chat, job)) {
        act_job(c->chat, job);
        return;
    }
    chat_job_free(job);
    say_rate_limited(c->chat, c->conn, c->req->cmd, c->req->label, CHAT_ASK_AGAIN_MS);
}

void cmd_edit_message(const struct call *c)
{
    ask(c);
}

void cmd_delete_message(const struct call *c)
{
    ask(c);
}

/* --- the message is there --- */

/* Why it is not revised; CODE_COUNT: it is. */
static enum chat_code refusal(const struct chat *chat, const struct chat_room *room, const struct chat_job *job)
{
    const struct chat_user *user = user_by_id(chat, job->who);

    if (!room || room->state != ROOM_LIVE || !user || !room_member(room, user))
        return CODE_NOT_FOUND;
    if (job->rc != RC_OK)
        return code_of_failure(job->rc);
    if (!room->open || room->opening != job->opening)
        return CODE_ROOM_CLOSED;
    bool is_there = job->rows_n && job->rows[0].time_s >= room_expired_s(chat, room);
    return is_there ? CODE_COUNT : CODE_NO_MESSAGE;
}

/*
 * It says so already: the answer to a request whose first answer was lost. It is that of the newest revision, which
 * came along behind its message; where there is none, that of the message.
 */
static void say_revised_before(struct chat *chat, const struct chat_room *room, const struct chat_job *job)
{
    struct chat_message_row *row = &job->rows[job->rows_n - 1];

    if (!row->target)
        row->target = row->seq;
    message_ack(chat, room, job, message_show(chat, row, slice_of("", 0)), true);
}

static void store_revision(struct chat *chat, struct chat_room *room, struct chat_job *loaded, struct buf *was)
{
    struct chat_job *job = room_job(room, JOB_REVISE);
    struct chat_message_row *row = &job->message;
    struct chat_message_row *revised = chat_row_revised(row, loaded->rows[0].seq);

    must(revised ? RC_OK : RC_NO_MEMORY);
    *revised = loaded->rows[0];
    loaded->rows[0].box = (struct buf){0};
    row->time_s = chat->time_s;
    row->sender = revised->sender;
    must(chat->env.random(chat->env.ctx, row->mid, ID_LEN));
    memcpy(job->who, loaded->who, ID_LEN);
    job->text = buf_take(&loaded->text);
    job->label = buf_take(&loaded->label);
    job->was = buf_take(was);
    job->conn = loaded->conn;
    number_job(chat, room, job);
}

void revise_loaded(struct chat *chat, struct chat_job *job)
{
    AUTO(buf_done) struct buf was = {0};
    struct chat_room *room = job_room(chat, job);
    enum chat_code code = refusal(chat, room, job);
    bool is_deletion = job->text.n == 0;

    if (code == CODE_COUNT && message_open(chat, room, &job->rows[0], &was) != RC_OK)
        code = CODE_INTERNAL; /* it was tampered with */
    bool is_deleted = code == CODE_COUNT && job->rows[0].rev && was.n == 0;
    if (is_deleted && !is_deletion)
        code = CODE_NO_MESSAGE;
    if (code != CODE_COUNT)
        number_refuse(chat, job, code);
    else if (is_deletion ? is_deleted : slice_eq(buf_slice(&was), buf_slice(&job->text)))
        say_revised_before(chat, room, job);
    else
        store_revision(chat, room, job, &was);
}

/* --- it is stored --- */

static void show_revision(struct chat *chat, struct chat_room *room, const struct chat_job *job)
{
    struct chat_shown_message *message = message_show(chat, &job->message, buf_slice(&job->text));

    message->is_deleted = job->text.n == 0;
    if (room && room->open && room->opening == job->opening) {
        struct chat_push *push = push_new(chat, message->is_deleted ? PUSH_DELETED : PUSH_EDITED);
        push->room = room;
        push->extensions = true;
        push->messages = message;
        push->messages_n = 1;
        missed_wipe_text(chat, room, message->target);
        missed_keep(chat, &room->missed, push);
        act_send_extended(chat, room, push, NULL);
    }
    message_ack(chat, room, job, message, false);
}

void done_revise(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);

    if (job->rc == RC_OK && room)
        search_revised(chat, room, job);
    if (job->rc == RC_OK)
        show_revision(chat, room, job);
    else if (!room)
        number_refuse(chat, job, CODE_NOT_FOUND);
    else if (job->rc != RC_LIMIT)
        number_refuse(chat, job, job->rc == RC_NOT_FOUND ? CODE_NO_MESSAGE : code_of_failure(job->rc));
    if (room)
        number_settle(chat, room, job);
}
