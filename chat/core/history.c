/* What a room has stored, shown: the newest on entering it, and page by page. */
#include <string.h>

#include "chat/core/internal.h"

static struct chat_job *history_job(const struct chat *chat, const struct chat_room *room,
                                    const struct chat_conn *asker, struct slice label)
{
    struct chat_job *job = room_job(room, JOB_LOAD_HISTORY);

    job->bytes_max = CHAT_HISTORY_BYTES;
    job->expired_s = room_expired_s(chat, room);
    job->conn = asker ? asker->serial : 0;
    must(buf_add(&job->label, label));
    return job;
}

void history_ask(struct chat *chat, struct chat_room *room, const struct chat_conn *asker, struct slice label,
                 bool to_all)
{
    struct chat_job *job = history_job(chat, room, asker, label);

    job->side = SIDE_NEWEST;
    job->rows_max = CHAT_HISTORY_ROWS;
    job->to_all = to_all;
    act_job(chat, job);
}

void cmd_get_history(const struct call *c)
{
    const struct chat_member *m = call_member_of_open(c);
    if (!m)
        return;
    struct chat_job *job = history_job(c->chat, m->room, c->conn, c->req->label);
    job->side = c->req->side;
    job->from_seq = c->req->seq;
    job->rows_max = c->req->limit;
    job->is_page = true;
    act_job(c->chat, job);
}

enum rc history_open_row(const struct chat *chat, const struct chat_room *room, const struct chat_message_row *row,
                         struct buf *text, struct chat_shown_message *ret)
{
    int64_t expired_s = room_expired_s(chat, room);
    bool is_outdated = row->target && (!row->revised || row->rev != row->seq || row->revised->time_s < expired_s);

    buf_reset(text);
    if (row->time_s < expired_s)
        return RC_NOT_FOUND;
    if (!is_outdated)
        TRY(message_open(chat, room, row->target ? row->revised : row, text));
    *ret = message_shown(row, buf_slice(text));
    ret->is_outdated = is_outdated;
    ret->is_deleted = !is_outdated && row->rev && text->n == 0;
    return RC_OK;
}

struct chat_shown_message *history_open_rows(struct chat *chat, const struct chat_room *room,
                                             const struct chat_job *job, size_t *ret_n)
{
    AUTO(buf_done) struct buf text = {0};
    struct chat_shown_message *list = arena_get(&chat->arena, (job->rows_n + 1) * sizeof(*list));
    size_t n = 0;

    for (size_t i = 0; i < job->rows_n; i++) {
        if (history_open_row(chat, room, &job->rows[i], &text, &list[n]) != RC_OK)
            continue;
        list[n].text = arena_copy(&chat->arena, list[n].text);
        list[n].from = arena_copy(&chat->arena, list[n].from);
        n++;
    }
    *ret_n = n;
    return list;
}

void history_owe(struct chat *chat, struct chat_conn *asker, const struct chat_shown_message *messages, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += messages[i].text.n;
    flow_owe(chat, asker, bytes / CHAT_REPLY_BYTES);
}

/* For connections that know nothing of revisions: what is there now, as if it had always been so. */
static const struct chat_push *plain_of(struct chat *chat, const struct chat_push *push)
{
    struct chat_push *plain = push_plain(chat, push);
    struct chat_shown_message *list = arena_get(&chat->arena, (push->messages_n + 1) * sizeof(*list));

    plain->messages = list;
    plain->messages_n = 0;
    for (size_t i = 0; i < push->messages_n; i++)
        if (!push->messages[i].target && !push->messages[i].is_deleted) {
            list[plain->messages_n] = push->messages[i];
            list[plain->messages_n++].rev = 0;
        }
    return plain;
}

/* Why a history that came back is not shown; CODE_COUNT: it is. */
static enum chat_code history_refusal(const struct chat_room *room, const struct chat_job *job)
{
    if (!room || room->state != ROOM_LIVE)
        return CODE_NOT_FOUND;
    if (job->rc != RC_OK)
        return code_of_failure(job->rc);
    return room->open && room->opening == job->opening ? CODE_COUNT : CODE_ROOM_CLOSED;
}

void done_load_history(struct chat *chat, struct chat_job *job)
{
    if (job->search) {
        search_built(chat, job);
        return;
    }
    struct chat_room *room = job_room(chat, job);
    struct chat_conn *asker = conn_by_serial(chat, job->conn);

    enum chat_code code = history_refusal(room, job);
    bool is_refused = code != CODE_COUNT;
    if (!is_refused && asker && !room_member(room, asker->user))
        code = CODE_NOT_FOUND; /* he left meanwhile; the others are shown it all the same */
    if (code != CODE_COUNT) {
        say_error(chat, asker, job->is_page ? CMD_GET_HISTORY : CMD_GO_ROOM, buf_slice(&job->label), code,
                  slice_of(NULL, 0));
        asker = NULL;
    }
    if (is_refused)
        return;
    struct chat_push *push = push_new(chat, PUSH_ROOM_MESSAGES);
    push->room = room;
    push->extensions = true;
    push->messages = history_open_rows(chat, room, job, &push->messages_n);
    push->more = job->more_before;
    push->floor = job->floor;
    push->more_after = job->more_after;
    push->is_page = job->is_page;
    push->side = job->side;
    push->seq = job->from_seq;
    if (job->to_all)
        missed_pass(chat, &room->missed, push);
    const struct chat_push *plain = plain_of(chat, push);
    if (job->to_all) {
        act_send_extended(chat, room, push, asker);
        act_send_plain(chat, room, plain, asker);
    }
    if (!asker)
        return;
    history_owe(chat, asker, push->messages, push->messages_n);
    struct chat_push *answer = push_new(chat, PUSH_ROOM_MESSAGES);
    *answer = asker->extensions ? *push : *plain;
    answer->label = arena_copy(&chat->arena, label_for(asker, buf_slice(&job->label)));
    act_send(chat, asker, answer);
}

void done_load_messages(struct chat *chat, struct chat_job *job)
{
    if (job->message.target)
        revise_loaded(chat, job);
    else
        search_loaded(chat, job);
}
