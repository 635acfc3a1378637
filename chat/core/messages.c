/* Messages: sealed, stored, then shown; and the history of a room. */
#include "chat/core/internal.h"

#include <stdlib.h>
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

static struct chat_shown_message shown(const struct chat_message_row *row, struct slice text)
{
    struct chat_shown_message m = {
        .from = name_slice(&row->sender), .text = text, .time_s = row->time_s, .seq = row->seq};
    memcpy(m.mid, row->mid, ID_LEN);
    return m;
}

void cmd_new_message(const struct call *c)
{
    AUTO(buf_done) struct buf context = {0};
    struct chat_member *m = call_member(c);

    if (!m)
        return;
    struct chat_room *room = m->room;
    if (!room->open) {
        call_error(c, CODE_ROOM_CLOSED);
        return;
    }
    if (c->req->text.n > c->chat->env.limits.text_bytes) {
        call_error(c, CODE_LIMIT);
        return;
    }
    if (room->resync) {
        call_error(c, CODE_INTERNAL);
        return;
    }
    struct chat_job *job = room_job(room, JOB_ADD_MESSAGE);
    struct chat_message_row *row = &job->message;
    row->seq = ++room->seq;
    row->time_s = c->chat->time_s;
    row->epoch = room->epoch;
    row->sender = c->user->name;
    must(c->chat->env.random(c->chat->env.ctx, row->mid, ID_LEN));
    struct envelope_aad aad = message_aad(c->chat, room, row, &context);
    must(envelope_seal(key_of(c->chat, room), &aad, c->req->text, &row->box));
    must(buf_add(&job->text, c->req->text));
    must(buf_add(&job->label, c->req->label));
    job->conn = c->conn->serial;
    room->messages_n++;
    act_job(c->chat, job);
}

/* A message that could not be stored leaves a hole behind it: wait until all that were under way have come back. */
static void settle(struct chat_room *room, const struct chat_job *job)
{
    room->messages_n--;
    if (job->rc == RC_OK)
        room->head = job->message.seq;
    else
        room->resync = true;
    if (room->resync && room->messages_n == 0) {
        room->seq = room->head;
        room->resync = false;
    }
}

void done_add_message(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);
    struct chat_conn *asker = conn_by_serial(chat, job->conn);

    if (room)
        settle(room, job);
    if (job->rc != RC_OK) {
        say_error(chat, asker, CMD_NEW_MESSAGE, buf_slice(&job->label), CODE_INTERNAL, slice_of(NULL, 0));
        return;
    }
    struct chat_shown_message *message = arena_get(&chat->arena, sizeof(*message));
    struct chat_message_row *row = arena_get(&chat->arena, sizeof(*row));
    *row = job->message;
    row->box = (struct buf){0};
    *message = shown(row, arena_copy(&chat->arena, buf_slice(&job->text)));
    if (room && room->open && room->opening == job->opening) {
        struct chat_push *push = push_new(chat, PUSH_NEW_MESSAGE);
        push->room = room;
        push->messages = message;
        push->messages_n = 1;
        act_send_members(chat, room, push, NULL);
    }
    say_ack(chat, asker, CMD_NEW_MESSAGE, buf_slice(&job->label), room, message);
}

/* --- history --- */

void history_ask(struct chat *chat, struct chat_room *room, const struct chat_conn *asker, struct slice label,
                 bool to_all)
{
    struct chat_job *job = room_job(room, JOB_LOAD_HISTORY);
    job->rows_max = CHAT_HISTORY_ROWS;
    job->bytes_max = CHAT_HISTORY_BYTES;
    job->conn = asker ? asker->serial : 0;
    job->to_all = to_all;
    must(buf_add(&job->label, label));
    act_job(chat, job);
}

/* Opens the rows into the arena. One that does not open was tampered with: it is left out, and its seq shows the gap.
 */
static const struct chat_shown_message *open_rows(struct chat *chat, const struct chat_room *room,
                                                  const struct chat_job *job, size_t *ret_n)
{
    AUTO(buf_done) struct buf context = {0}, text = {0};
    struct chat_shown_message *list = arena_get(&chat->arena, (job->rows_n + 1) * sizeof(*list));
    size_t n = 0;

    for (size_t i = 0; i < job->rows_n; i++) {
        const struct chat_message_row *row = &job->rows[i];
        struct envelope_aad aad = message_aad(chat, room, row, &context);
        const struct envelope_key *key = key_of_box(chat, room, buf_slice(&row->box));
        if (!key || envelope_open(key, &aad, buf_slice(&row->box), &text) != RC_OK)
            continue;
        list[n] = shown(row, arena_copy(&chat->arena, buf_slice(&text)));
        list[n].from = arena_copy(&chat->arena, list[n].from);
        n++;
    }
    *ret_n = n;
    return list;
}

/* Why a history that came back is not shown; CODE_COUNT: it is. */
static enum chat_code history_refusal(const struct chat_room *room, const struct chat_job *job)
{
    if (!room || room->state != ROOM_LIVE)
        return CODE_NOT_FOUND;
    if (job->rc != RC_OK)
        return CODE_INTERNAL;
    return room->open && room->opening == job->opening ? CODE_COUNT : CODE_ROOM_CLOSED;
}

void done_load_history(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);
    struct chat_conn *asker = conn_by_serial(chat, job->conn);

    enum chat_code code = history_refusal(room, job);
    bool is_refused = code != CODE_COUNT;
    if (!is_refused && asker && !room_member(room, asker->user))
        code = CODE_NOT_FOUND; /* he left meanwhile; the others are shown it all the same */
    if (code != CODE_COUNT) {
        say_error(chat, asker, CMD_GO_ROOM, buf_slice(&job->label), code, slice_of(NULL, 0));
        asker = NULL;
    }
    if (is_refused)
        return;
    struct chat_push *push = push_new(chat, PUSH_ROOM_MESSAGES);
    push->room = room;
    push->messages = open_rows(chat, room, job, &push->messages_n);
    push->more = job->more;
    if (job->to_all)
        act_send_members(chat, room, push, asker);
    if (!asker)
        return;
    struct chat_push *answer = push_new(chat, PUSH_ROOM_MESSAGES);
    *answer = *push;
    answer->label = arena_copy(&chat->arena, label_for(asker, buf_slice(&job->label)));
    act_send(chat, asker, answer);
}
