/*
 * Those who subscribed to who is online, and when they are told.
 *
 * In rounds: when somebody came or went, all subscribers are told, some at a time so that messages are not held up;
 * when only rooms did, those whose rooms they are. Between the end of a round and the next lie CHAT_ROUND_MS, so one
 * event costs one look, and a round one delta for each. A delta is made when it is sent, from the state that its
 * receiver knows: for whoever reads slowly several become one, and whoever knows too old a state gets the whole of it.
 */
#include "chat/core/internal.h"

static struct chat_push push_whole(const struct chat *chat, const struct chat_conn *conn, int64_t time_s)
{
    return (struct chat_push){
        .kind = PUSH_PRESENCE,
        .time_s = time_s,
        .chat = chat,
        .user = conn->user,
        .extensions = true,
        .presence = {.is_whole = true, .state = chat->shown.state}
    };
}

static void knows_all(const struct chat *chat, struct chat_conn *conn)
{
    conn->told_state = chat->shown.state;
    conn->told_flip = chat->shown.flips;
}

bool chat_presence_push(const struct chat *chat, struct chat_conn *conn, int64_t time_s, struct chat_push *ret)
{
    if (!conn->is_subscribed)
        return false;
    bool has_rooms = conn->user->rooms_news > conn->told_flip;
    if (conn->told_state == chat->shown.state && !has_rooms)
        return false;
    *ret = push_whole(chat, conn, time_s);
    ret->presence.is_whole = !shown_follows(chat, conn->told_state) || conn->user->rooms_relisted > conn->told_flip;
    ret->presence.has_rooms = has_rooms;
    ret->presence.from = conn->told_state;
    ret->presence.flip = conn->told_flip;
    knows_all(chat, conn);
    return true;
}

/* --- who subscribes --- */

void subscribers_init(struct chat *chat)
{
    TAILQ_INIT(&chat->subscribers);
}

void subscriber_departed(struct chat *chat, struct chat_conn *conn)
{
    if (conn->is_subscribed)
        TAILQ_REMOVE(&chat->subscribers, conn, in_presence);
    conn->is_subscribed = false;
}

/* Asking again is no fault: the answer is the whole state. */
void cmd_subscribe(const struct call *c)
{
    struct chat_conn *conn = c->conn;

    if (!c->req->presence) {
        subscriber_departed(c->chat, conn);
        call_ack(c, NULL);
        return;
    }
    if (!conn->is_subscribed) {
        if (TAILQ_EMPTY(&c->chat->subscribers))
            c->chat->round_state = c->chat->shown.state; /* what was before him is no news to anybody */
        conn->is_subscribed = true;
        conn->told_round = c->chat->round;
        TAILQ_INSERT_TAIL(&c->chat->subscribers, conn, in_presence);
    }
    struct chat_push *push = push_new(c->chat, PUSH_PRESENCE);
    *push = push_whole(c->chat, conn, c->chat->time_s);
    push->label = arena_copy(&c->chat->arena, c->req->label);
    knows_all(c->chat, conn);
    flow_owe_rooms(c->chat, conn);
    act_send(c->chat, conn, push);
}

/* --- rounds --- */

/* The list is in the order in which they were told; whoever was not told in this round stands in front. */
static struct chat_conn *first_untold(const struct chat *chat)
{
    struct chat_conn *conn = TAILQ_FIRST(&chat->subscribers);
    return conn && conn->told_round != chat->round ? conn : NULL;
}

static void tell_some(struct chat *chat)
{
    struct chat_conn **conns = arena_get(&chat->arena, CHAT_ROUND_AT_ONCE * sizeof(struct chat_conn *));
    struct chat_conn *conn;
    size_t n = 0;

    while (n < CHAT_ROUND_AT_ONCE && (conn = first_untold(chat))) {
        TAILQ_REMOVE(&chat->subscribers, conn, in_presence);
        TAILQ_INSERT_TAIL(&chat->subscribers, conn, in_presence);
        conn->told_round = chat->round;
        conns[n++] = conn;
    }
    act_presence(chat, conns, n);
    chat->round_ms = chat->now_ms + (first_untold(chat) ? CHAT_ROUND_STEP_MS : CHAT_ROUND_MS);
}

static struct chat_user *next_concerned(struct chat *chat)
{
    struct chat_user *user = TAILQ_FIRST(&chat->shown.concerned);

    if (user) {
        TAILQ_REMOVE(&chat->shown.concerned, user, in_concerned);
        user->is_concerned = false;
    }
    return user;
}

static void tell_concerned(struct chat *chat)
{
    struct chat_user *user;

    while ((user = next_concerned(chat))) {
        struct chat_conn **conns = arena_get(&chat->arena, (user->conns_n + 1) * sizeof(struct chat_conn *)), *conn;
        size_t n = 0;
        TAILQ_FOREACH (conn, &user->conns, of_user)
            if (conn->is_subscribed)
                conns[n++] = conn;
        act_presence(chat, conns, n);
    }
    chat->round_ms = chat->now_ms + CHAT_ROUND_MS;
}

static bool has_news_for_all(const struct chat *chat)
{
    return chat->round_state != chat->shown.state;
}

static void begin_round(struct chat *chat)
{
    chat->round++;
    chat->round_state = chat->shown.state;
    while (next_concerned(chat))
        continue; /* he is told with all the others */
}

void subscribers_flush(struct chat *chat)
{
    if (TAILQ_EMPTY(&chat->subscribers) || chat->now_ms < chat->round_ms)
        return;
    if (!first_untold(chat) && has_news_for_all(chat))
        begin_round(chat);
    if (first_untold(chat))
        tell_some(chat);
    else if (!TAILQ_EMPTY(&chat->shown.concerned))
        tell_concerned(chat);
}

int64_t subscribers_deadline(const struct chat *chat)
{
    int64_t due = NEVER, hold = shown_deadline(chat);

    if (TAILQ_EMPTY(&chat->subscribers))
        return NEVER;
    if (first_untold(chat) || has_news_for_all(chat) || !TAILQ_EMPTY(&chat->shown.concerned))
        due = chat->round_ms;
    return due < hold ? due : hold;
}
