/*
 * Who is online, for connections without extensions: told to each after every change, but to none more often than once
 * in a pause. The others subscribe (subscribers.c).
 *
 * They stand in one list in the order in which they were last told. Whoever stands first has waited
 * longest and knows least, so a flush looks at the head only: its cost is what it sends.
 */
#include "chat/core/internal.h"

uint64_t chat_online_names_version(const struct chat *chat)
{
    return chat->names_version;
}

bool chat_room_is_available(const struct chat_room *room)
{
    return room->online_n >= room->threshold;
}

void presence_changed(struct chat *chat)
{
    chat->version++;
    chat->again_ms = chat->now_ms + CHAT_ONLINE_AGAIN_MS;
}

static void tell(struct chat *chat, struct chat_conn *conn)
{
    TAILQ_INSERT_TAIL(&chat->presence, conn, in_presence);
    conn->online_sent_ms = chat->now_ms;
    conn->online_version = chat->version;
    act_online(chat, conn);
}

void presence_joined(struct chat *chat, struct chat_conn *conn)
{
    chat->authed_n++;
    if (!conn->extensions)
        tell(chat, conn);
}

void presence_departed(struct chat *chat, struct chat_conn *conn)
{
    chat->authed_n--;
    if (conn->extensions)
        subscriber_departed(chat, conn);
    else
        TAILQ_REMOVE(&chat->presence, conn, in_presence);
}

static int64_t pause_ms(const struct chat *chat)
{
    int64_t grown = (int64_t)chat->authed_n * CHAT_ONLINE_PER_CONN_MS;
    return grown > CHAT_ONLINE_PAUSE_MS ? grown : CHAT_ONLINE_PAUSE_MS;
}

/* When the first in the list is to be told; NEVER: everybody knows. */
static int64_t first_due(const struct chat *chat)
{
    const struct chat_conn *first = TAILQ_FIRST(&chat->presence);
    if (!first || first->online_version == chat->version)
        return NEVER;
    return first->online_sent_ms + pause_ms(chat);
}

void presence_flush(struct chat *chat)
{
    if (chat->again_ms <= chat->now_ms) {
        chat->again_ms = NEVER;
        chat->version++;
    }
    while (first_due(chat) <= chat->now_ms) {
        struct chat_conn *conn = TAILQ_FIRST(&chat->presence);
        TAILQ_REMOVE(&chat->presence, conn, in_presence);
        tell(chat, conn);
    }
}

int64_t presence_deadline(const struct chat *chat)
{
    int64_t due = first_due(chat);
    return due < chat->again_ms ? due : chat->again_ms;
}

void chat_online_push(const struct chat *chat, const struct chat_conn *conn, int64_t time_s, struct chat_push *ret)
{
    *ret = (struct chat_push){
        .kind = PUSH_ONLINE, .time_s = time_s, .chat = chat, .user = conn->user, .extensions = conn->extensions};
}

void cmd_online(const struct call *c)
{
    struct chat_push *push = push_new(c->chat, PUSH_ONLINE);
    push->label = arena_copy(&c->chat->arena, label_for(c->conn, c->req->label));
    push->user = c->user;
    push->extensions = c->conn->extensions;
    flow_owe_rooms(c->chat, c->conn);
    act_send(c->chat, c->conn, push);
}
