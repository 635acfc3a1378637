/*
 * Shares on their way to their owners.
 *
 * A share lies sealed in the store until a ping that was sent behind it has been answered. Pings are numbered over the
 * whole chat. All of a user's connections are sent a share under one number, so the answer of any of them will do, as
 * long as that connection was there when the share was sent.
 */
#include "chat/core/internal.h"

#include <string.h>

static struct chat_push *new_room_push(struct chat *chat, const struct chat_room *room, struct slice share)
{
    struct chat_push *push = push_new(chat, PUSH_NEW_ROOM);
    push->room = room;
    push->share = arena_copy(&chat->arena, share);
    return push;
}

static void send_one(struct chat *chat, const struct chat_push *push, struct chat_member *m, struct chat_conn *asker,
                     struct slice label)
{
    struct chat_conn *conn;

    if (m->pending && user_is_online(m->user))
        m->delivery_ping = ++chat->pings;
    TAILQ_FOREACH (conn, &m->user->conns, of_user) {
        if (conn == asker && label.n) {
            struct chat_push *answer = push_new(chat, PUSH_NEW_ROOM);
            *answer = *push;
            answer->label = label;
            act_send(chat, conn, answer);
        } else {
            act_send(chat, conn, push);
        }
        if (m->pending)
            act_ping(chat, conn, m->delivery_ping);
    }
}

void deliver_new_room(struct chat *chat, struct chat_room *room, const struct chat_job *job, struct chat_conn *asker,
                      struct slice label)
{
    struct chat_member *m;
    size_t i = 0;
    struct chat_push *open = room->threshold ? NULL : new_room_push(chat, room, slice_of("", 0));

    if (asker)
        label = arena_copy(&chat->arena, label_for(asker, label));
    TAILQ_FOREACH (m, &room->members, of_room) {
        const struct chat_push *push = open ? open : new_room_push(chat, room, buf_slice(&job->members[i].share));
        send_one(chat, push, m, asker, label);
        i++;
    }
}

void deliver_pending(struct chat *chat, struct chat_conn *conn)
{
    const struct chat_member *m;

    TAILQ_FOREACH (m, &conn->user->rooms, of_user)
        if (m->pending) {
            struct chat_job *job = job_new(JOB_LOAD_SHARES);
            memcpy(job->who, conn->user->client_id, ID_LEN);
            job->conn = conn->serial;
            act_job(chat, job);
            return;
        }
}

/* The user's membership of the room with that uid. */
static struct chat_member *member_of(const struct chat_user *user, struct slice uid)
{
    struct chat_member *m;

    TAILQ_FOREACH (m, &user->rooms, of_user)
        if (slice_eq(SLICE(m->room->uid), uid))
            return m;
    return NULL;
}

void done_load_shares(struct chat *chat, struct chat_job *job)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);

    if (!conn || job->rc != RC_OK) /* his next login gets them again */
        return;
    uint64_t ping = ++chat->pings;
    for (size_t i = 0; i < job->pairs_n; i++) {
        struct chat_member *m = member_of(conn->user, buf_slice(&job->pairs[i].key));
        if (!m || !m->pending || m->leaving || m->room->state != ROOM_LIVE)
            continue;
        act_send(chat, conn, new_room_push(chat, m->room, buf_slice(&job->pairs[i].value)));
        m->delivery_ping = ping;
    }
    if (job->pairs_n)
        act_ping(chat, conn, ping);
}

void delivery_pong(struct chat *chat, struct chat_conn *conn, uint64_t ping)
{
    struct chat_member *m;

    if (!conn->user || ping > chat->pings)
        return;
    TAILQ_FOREACH (m, &conn->user->rooms, of_user) {
        if (!m->pending || m->delivery_ping <= conn->since_ping || ping < m->delivery_ping)
            continue;
        struct chat_job *job = room_job(m->room, JOB_DROP_SHARE);
        memcpy(job->who, conn->user->client_id, ID_LEN);
        act_job(chat, job);
        m->delivery_ping = 0;
    }
}

void done_drop_share(struct chat *chat, struct chat_job *job)
{
    const struct chat_room *room = job_room(chat, job);
    const struct chat_user *user = user_by_id(chat, job->who);
    struct chat_member *m = room && user ? room_member(room, user) : NULL;

    if (!m || !m->pending || job->rc != RC_OK) /* not erased: the next login tries again */
        return;
    m->pending = false;
    m->room->pending_n--;
}
