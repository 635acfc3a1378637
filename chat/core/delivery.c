/*
 * Shares on their way to their owners.
 *
 * A share lies sealed in the store until a ping that was sent behind it has been answered. Pings are numbered over the
 * whole chat. When a room is made, all connections of a member are sent his share under one number; a connection that
 * logs in later is sent all that wait for him under one of its own. The answer of any of them will do, but only to the
 * number under which that very connection was sent the share.
 */
#include "chat/core/internal.h"

#include <string.h>

static struct chat_push *new_room_push(struct chat *chat, const struct chat_room *room, struct slice share)
{
    struct chat_push *push = push_new(chat, PUSH_NEW_ROOM);
    push->room = room;
    push->extensions = true;
    push->share = arena_copy(&chat->arena, share);
    return push;
}

/* As that connection is told it; label: of its request, or empty. */
static void send_to(struct chat *chat, const struct chat_push *push, struct chat_conn *conn, struct slice label)
{
    struct chat_push *own = push_new(chat, PUSH_NEW_ROOM);

    *own = *push;
    own->extensions = conn->extensions;
    own->label = label;
    act_send(chat, conn, own);
}

static void send_one(struct chat *chat, const struct chat_push *push, struct chat_member *m, struct chat_conn *asker,
                     struct slice label)
{
    struct chat_conn *conn;

    if (m->pending && user_is_online(m->user))
        m->delivery_ping = ++chat->pings;
    TAILQ_FOREACH (conn, &m->user->conns, of_user) {
        send_to(chat, push, conn, conn == asker ? label : slice_of(NULL, 0));
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

    if (open)
        missed_keep(chat, &room->missed, open);
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
    bool all = true;
    for (size_t i = 0; i < job->pairs_n; i++) {
        const struct chat_member *m = member_of(conn->user, buf_slice(&job->pairs[i].key));
        if (!m || !m->pending)
            continue;
        if (!m->leaving && m->room->state == ROOM_LIVE)
            send_to(chat, new_room_push(chat, m->room, buf_slice(&job->pairs[i].value)), conn, slice_of(NULL, 0));
        else
            all = false; /* it is on its way out; should that fail, this share was not sent */
    }
    if (job->pairs_n == 0)
        return;
    act_ping(chat, conn, ++chat->pings);
    if (all)
        conn->shares_ping = chat->pings;
}

/* The number of the ping behind this share on this connection; 0: it was not sent there. */
static uint64_t ping_behind(const struct chat_member *m, const struct chat_conn *conn)
{
    return m->delivery_ping > conn->since_ping ? m->delivery_ping : conn->shares_ping;
}

void delivery_pong(struct chat *chat, struct chat_conn *conn, uint64_t ping)
{
    struct chat_member *m;

    if (!conn->user || ping > chat->pings)
        return;
    TAILQ_FOREACH (m, &conn->user->rooms, of_user) {
        uint64_t behind = ping_behind(m, conn);
        if (!m->pending || m->erasing || behind == 0 || ping < behind)
            continue;
        struct chat_job *job = room_job(m->room, JOB_DROP_SHARE);
        memcpy(job->who, conn->user->client_id, ID_LEN);
        act_job(chat, job);
        m->erasing = true;
    }
}

void done_drop_share(struct chat *chat, struct chat_job *job)
{
    const struct chat_room *room = job_room(chat, job);
    const struct chat_user *user = user_by_id(chat, job->who);
    struct chat_member *m = room && user ? room_enlisted(room, user) : NULL;

    if (m)
        m->erasing = false;
    if (!m || !m->pending || job->rc != RC_OK) /* not erased: the next answer to a ping tries again */
        return;
    m->pending = false;
    m->room->pending_n--;
}
