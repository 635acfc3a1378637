/* Messages: sealed, stored, then shown. */
#include "chat/core/internal.h"

#include <string.h>

/* What seals a room's next text. */
static const struct envelope_key *key_of(const struct chat *chat, const struct chat_room *room)
{
    return room->threshold ? &room->key : chat->env.open_key(chat->env.ctx, 0);
}

/* What a text was sealed under; an open room's names its version. NULL: not here. */
static const struct envelope_key *key_of_box(const struct chat *chat, const struct chat_room *room, struct slice box)
{
    uint32_t kvno;

    if (room->threshold)
        return &room->key;
    if (envelope_kvno(box, &kvno) != RC_OK || kvno == 0)
        return NULL;
    return chat->env.open_key(chat->env.ctx, kvno);
}

enum rc chat_message_aad(const struct name *realm, const uint8_t uid[ID_LEN], const struct chat_message_row *row,
                         struct buf *context, struct envelope_aad *ret)
{
    buf_reset(context);
    TRY(buf_u32be(context, row->epoch));
    TRY(buf_u64be(context, row->seq));
    TRY(buf_add(context, SLICE(row->mid)));
    TRY(buf_u64be(context, (uint64_t)row->time_s));
    if (row->rev)
        TRY(buf_u64be(context, row->rev));
    *ret = (struct envelope_aad){
        .realm = name_slice(realm),
        .client = name_slice(&row->sender),
        .server = slice_of(uid, ID_LEN),
        .context = buf_slice(context),
    };
    return RC_OK;
}

static struct envelope_aad message_aad(const struct chat *chat, const struct chat_room *room,
                                       const struct chat_message_row *row, struct buf *context)
{
    struct envelope_aad aad;
    must(chat_message_aad(&chat->env.realm, room->uid, row, context, &aad));
    return aad;
}

struct chat_shown_message message_shown(const struct chat_message_row *row, struct slice text)
{
    struct chat_shown_message m = {.from = name_slice(&row->sender),
                                   .text = text,
                                   .time_s = row->time_s,
                                   .seq = row->seq,
                                   .rev = row->rev,
                                   .target = row->target};
    memcpy(m.mid, row->mid, ID_LEN);
    return m;
}

enum rc message_open(const struct chat *chat, const struct chat_room *room, const struct chat_message_row *row,
                     struct buf *ret_text)
{
    AUTO(buf_done) struct buf context = {0};
    struct envelope_aad aad = message_aad(chat, room, row, &context);
    const struct envelope_key *key = key_of_box(chat, room, buf_slice(&row->box));

    return key ? envelope_open(key, &aad, buf_slice(&row->box), ret_text) : RC_NO_KVNO;
}

void message_seal(const struct chat *chat, const struct chat_room *room, struct chat_message_row *row,
                  struct slice text)
{
    AUTO(buf_done) struct buf context = {0};
    struct envelope_aad aad = message_aad(chat, room, row, &context);

    buf_reset(&row->box);
    must(envelope_seal(key_of(chat, room), &aad, text, &row->box));
}

/* --- on its way to the store --- */

/* Who asks whether a message was stored, while the room cannot take a new one. */
static void find_stored(const struct call *c, const struct chat_room *room)
{
    struct chat_job *job = room_job(room, JOB_FIND_MESSAGE);

    memcpy(job->who, c->user->client_id, ID_LEN);
    must(buf_add(&job->cid, c->req->cid));
    must(buf_add(&job->label, c->req->label));
    job->conn = c->conn->serial;
    act_job(c->chat, job);
}

static struct chat_job *message_job(const struct call *c, const struct chat_room *room)
{
    struct chat_job *job = room_job(room, JOB_ADD_MESSAGE);

    job->message.time_s = c->chat->time_s;
    job->message.sender = c->user->name;
    must(c->chat->env.random(c->chat->env.ctx, job->message.mid, ID_LEN));
    memcpy(job->who, c->user->client_id, ID_LEN);
    must(buf_add(&job->text, c->req->text));
    must(buf_add(&job->label, c->req->label));
    if (c->conn->extensions)
        must(buf_add(&job->cid, c->req->cid));
    job->conn = c->conn->serial;
    return job;
}

void cmd_new_message(const struct call *c)
{
    struct chat_member *m = call_member(c);

    if (!m)
        return;
    struct chat_room *room = m->room;
    if (!room->open && c->conn->extensions && c->req->cid.n) {
        find_stored(c, room);
        return;
    }
    if (!room->open) {
        call_error(c, CODE_ROOM_CLOSED);
        return;
    }
    if (c->req->text.n > c->chat->env.limits.text_bytes) {
        call_error(c, CODE_LIMIT);
        return;
    }
    if (c->conn->extensions && !flight_begin(c->chat, c->user->client_id, c->req->cid)) {
        say_rate_limited(c->chat, c->conn, CMD_NEW_MESSAGE, c->req->label, CHAT_ASK_AGAIN_MS);
        return;
    }
    number_job(c->chat, room, message_job(c, room));
}

/* --- back from the store --- */

void message_ack(struct chat *chat, const struct chat_room *room, const struct chat_job *job,
                 const struct chat_shown_message *message, bool dup)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);

    flight_end(chat, job);
    if (!conn || !conn->extensions || (!job->label.n && !job->cid.n))
        return;
    struct chat_push *push = push_new(chat, PUSH_ACK);
    push->request = number_command(job);
    push->label = arena_copy(&chat->arena, buf_slice(&job->label));
    push->room = room;
    push->messages = message;
    push->messages_n = 1;
    push->cid = arena_copy(&chat->arena, buf_slice(&job->cid));
    push->dup = dup;
    act_send(chat, conn, push);
}

struct chat_shown_message *message_show(struct chat *chat, const struct chat_message_row *row, struct slice text)
{
    struct chat_shown_message *message = arena_get(&chat->arena, sizeof(*message));

    *message = message_shown(row, arena_copy(&chat->arena, text));
    message->from = arena_copy(&chat->arena, message->from);
    return message;
}

/*
 * The sender has a message with that cid. Is it this one? In a closed room that cannot be told, nor of one that has
 * another text by now: he is told that it is there. CODE_COUNT: yes.
 */
static enum chat_code compare_stored(struct chat *chat, const struct chat_room *room, const struct chat_job *job)
{
    AUTO(buf_done) struct buf text = {0};

    if (!room || memcmp(job->found_uid, room->uid, ID_LEN) != 0)
        return CODE_CID_CONFLICT;
    if (!room->open || job->kind == JOB_FIND_MESSAGE || job->rows[0].rev)
        return CODE_COUNT;
    if (message_open(chat, room, &job->rows[0], &text) != RC_OK)
        return CODE_INTERNAL; /* it was tampered with */
    return slice_eq(buf_slice(&text), buf_slice(&job->text)) ? CODE_COUNT : CODE_CID_CONFLICT;
}

static void say_again(struct chat *chat, const struct chat_room *room, const struct chat_job *job)
{
    enum chat_code code = job->rows_n ? compare_stored(chat, room, job) : CODE_INTERNAL;

    if (code == CODE_COUNT)
        message_ack(chat, room, job, message_show(chat, &job->rows[0], slice_of("", 0)), true);
    else
        number_refuse(chat, job, code);
}

static void show_new(struct chat *chat, struct chat_room *room, const struct chat_job *job)
{
    const struct chat_shown_message *message = message_show(chat, &job->message, buf_slice(&job->text));

    if (room && room->open && room->opening == job->opening) {
        struct chat_push *push = push_new(chat, PUSH_NEW_MESSAGE);
        push->room = room;
        push->messages = message;
        push->messages_n = 1;
        missed_keep(chat, &room->missed, push);
        act_send_members(chat, room, push, NULL);
    }
    message_ack(chat, room, job, message, false);
}

void done_add_message(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);

    if (job->rc == RC_OK && room)
        search_added(chat, room, job);
    if (job->rc == RC_OK)
        show_new(chat, room, job);
    else if (job->rc == RC_EXISTS)
        say_again(chat, room, job);
    else if (job->rc != RC_LIMIT || !room)
        number_refuse(chat, job, room ? code_of_failure(job->rc) : CODE_NOT_FOUND);
    if (room)
        number_settle(chat, room, job);
}

/* The room was closed when it was asked; should it be open now, the client's next try compares. */
void done_find_message(struct chat *chat, struct chat_job *job)
{
    const struct chat_room *room = job_room(chat, job);

    if (!room)
        number_refuse(chat, job, CODE_NOT_FOUND);
    else if (job->rc == RC_OK)
        say_again(chat, room, job);
    else
        number_refuse(chat, job, job->rc == RC_NOT_FOUND ? CODE_ROOM_CLOSED : code_of_failure(job->rc));
}
