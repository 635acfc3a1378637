/* What only the people in a room care about: up to where somebody has read, and that he is typing. */
#include <string.h>

#include "chat/core/internal.h"

/* --- read marks --- */

/* A mark only rises, and not beyond what there is. Whether the room is open does not matter: it says nothing of it. */
void cmd_mark_read(const struct call *c)
{
    const struct chat_member *m = call_member(c);
    if (!m)
        return;
    uint64_t seq = c->req->seq < m->room->head ? c->req->seq : m->room->head;
    if (seq <= m->read) {
        call_ack(c, NULL);
        return;
    }
    struct chat_job *job = room_job(m->room, JOB_MARK_READ);
    memcpy(job->who, c->user->client_id, ID_LEN);
    job->from_seq = seq;
    job->conn = c->conn->serial;
    must(buf_add(&job->label, c->req->label));
    act_job(c->chat, job);
}

/* To his other devices. */
static void tell_read(struct chat *chat, const struct chat_member *m, const struct chat_conn *asker)
{
    struct chat_push *push = push_new(chat, PUSH_READ);
    struct chat_conn *conn;

    push->room = m->room;
    push->seq = m->read;
    TAILQ_FOREACH (conn, &m->user->conns, of_user)
        if (conn != asker && conn->extensions)
            act_send(chat, conn, push);
}

void done_mark_read(struct chat *chat, struct chat_job *job)
{
    const struct chat_room *room = job_room(chat, job);
    const struct chat_user *user = user_by_id(chat, job->who);
    struct chat_member *m = room && user ? room_member(room, user) : NULL;
    struct chat_conn *asker = conn_by_serial(chat, job->conn);

    if (!m || job->rc != RC_OK) {
        say_error(chat, asker, CMD_MARK_READ, buf_slice(&job->label), m ? code_of_failure(job->rc) : CODE_NOT_FOUND,
                  slice_of(NULL, 0));
        return;
    }
    bool has_risen = job->from_seq > m->read;
    if (has_risen)
        m->read = job->from_seq;
    say_ack(chat, asker, CMD_MARK_READ, buf_slice(&job->label), NULL);
    if (has_risen)
        tell_read(chat, m, asker);
}

/* --- typing --- */

static bool is_typing_often(struct chat *chat, struct chat_conn *conn)
{
    bool often = conn->typed_ms && chat->now_ms - conn->typed_ms < CHAT_TYPING_MS;

    if (!often)
        conn->typed_ms = chat->now_ms;
    return often;
}

/* To the others in the open room who understand it; never stored, and not passed on too often. */
void cmd_typing(const struct call *c)
{
    const struct chat_member *m = call_member_of_open(c);
    if (!m)
        return;
    call_ack(c, NULL);
    if (is_typing_often(c->chat, c->conn))
        return;
    struct chat_push *push = push_new(c->chat, PUSH_TYPING);
    push->room = m->room;
    push->asked_by = arena_copy(&c->chat->arena, name_slice(&c->user->name));
    act_send_others(c->chat, m->room, push, c->user);
}
