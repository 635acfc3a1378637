/* Actions of a step, and the replies that are made of them. */
#include "chat/core/internal.h"

#include <stdlib.h>

struct chat_push *push_new(struct chat *chat, enum chat_push_kind kind)
{
    struct chat_push *push = arena_get(&chat->arena, sizeof(*push));
    push->kind = kind;
    push->time_s = chat->time_s;
    push->chat = chat;
    return push;
}

struct chat_push *push_plain(struct chat *chat, const struct chat_push *push)
{
    struct chat_push *plain = push_new(chat, push->kind);
    *plain = *push;
    plain->extensions = false;
    return plain;
}

static struct chat_action *act(struct chat *chat, enum chat_action_kind kind)
{
    if (chat->actions_n == chat->actions_cap) {
        size_t cap = chat->actions_cap ? chat->actions_cap * 2 : 64;
        struct chat_action *list = reallocarray(chat->actions, cap, sizeof(*list));
        if (!list)
            abort();
        chat->actions = list;
        chat->actions_cap = cap;
    }
    struct chat_action *a = &chat->actions[chat->actions_n++];
    *a = (struct chat_action){.kind = kind};
    return a;
}

/* A set of one. */
static struct chat_action *act_on(struct chat *chat, enum chat_action_kind kind, struct chat_conn *conn)
{
    struct chat_conn **conns = arena_get(&chat->arena, sizeof(*conns));
    struct chat_action *a = act(chat, kind);

    conns[0] = conn;
    a->conns = conns;
    a->conns_n = 1;
    return a;
}

void act_send(struct chat *chat, struct chat_conn *conn, const struct chat_push *push)
{
    if (conn && !conn->closing)
        act_on(chat, ACT_SEND, conn)->push = push;
}

/* Who of a room's members is meant: connections with extensions, without, or all, but for one or for a user's. */
struct audience {
    bool extended, plain;
    const struct chat_conn *no_conn;
    const struct chat_user *no_user;
};

static bool is_meant(const struct audience *a, const struct chat_conn *conn)
{
    return (conn->extensions ? a->extended : a->plain) && conn != a->no_conn && conn->user != a->no_user;
}

static size_t add_conns(struct chat_conn **conns, size_t n, const struct chat_user *user, const struct audience *a)
{
    struct chat_conn *conn;

    TAILQ_FOREACH (conn, &user->conns, of_user)
        if (is_meant(a, conn))
            conns[n++] = conn;
    return n;
}

static void act_send_set(struct chat *chat, struct chat_conn **conns, size_t n, const struct chat_push *push)
{
    if (n == 0)
        return;
    struct chat_action *a = act(chat, ACT_SEND);
    a->conns = conns;
    a->conns_n = n;
    a->push = push;
}

static void send_members(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                         const struct audience *audience)
{
    const struct chat_member *m;
    size_t n = 0;

    TAILQ_FOREACH (m, &room->members, of_room)
        n += m->user->conns_n;
    struct chat_conn **conns = arena_get(&chat->arena, n * sizeof(struct chat_conn *));
    n = 0;
    TAILQ_FOREACH (m, &room->members, of_room)
        if (!m->leaving)
            n = add_conns(conns, n, m->user, audience);
    act_send_set(chat, conns, n, push);
}

void act_send_members(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                      const struct chat_conn *except)
{
    send_members(chat, room, push, &(struct audience){.extended = true, .plain = true, .no_conn = except});
}

void act_send_extended(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                       const struct chat_conn *except)
{
    send_members(chat, room, push, &(struct audience){.extended = true, .no_conn = except});
}

void act_send_plain(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                    const struct chat_conn *except)
{
    send_members(chat, room, push, &(struct audience){.plain = true, .no_conn = except});
}

void act_send_others(struct chat *chat, const struct chat_room *room, const struct chat_push *push,
                     const struct chat_user *except)
{
    send_members(chat, room, push, &(struct audience){.extended = true, .no_user = except});
}

static void send_user(struct chat *chat, const struct chat_user *user, const struct chat_push *push,
                      const struct audience *audience)
{
    struct chat_conn **conns = arena_get(&chat->arena, user->conns_n * sizeof(struct chat_conn *));
    act_send_set(chat, conns, add_conns(conns, 0, user, audience), push);
}

void act_send_user(struct chat *chat, const struct chat_user *user, const struct chat_push *push,
                   const struct chat_push *plain)
{
    send_user(chat, user, push, &(struct audience){.extended = true});
    send_user(chat, user, plain, &(struct audience){.plain = true});
}

void act_online(struct chat *chat, struct chat_conn *conn)
{
    act_on(chat, ACT_ONLINE, conn);
}

void act_presence(struct chat *chat, struct chat_conn **conns, size_t n)
{
    if (n == 0)
        return;
    struct chat_action *a = act(chat, ACT_PRESENCE);
    a->conns = conns;
    a->conns_n = n;
}

void act_reauth(struct chat *chat, struct chat_conn *conn)
{
    act_on(chat, ACT_REAUTH, conn);
}

void act_ping(struct chat *chat, struct chat_conn *conn, uint64_t ping)
{
    act_on(chat, ACT_PING, conn)->ping = ping;
}

void act_job(struct chat *chat, struct chat_job *job)
{
    act(chat, ACT_JOB)->job = job;
}

void act_close(struct chat *chat, struct chat_conn *conn, enum chat_close code)
{
    if (conn->closing)
        return;
    act_on(chat, ACT_CLOSE, conn)->close_code = (enum chat_close)code;
    conn->closing = true;
    if (code >= CLOSE_LOGIN_FAILED) /* who is not to reconnect does not resume */
        resumable_end(chat, conn->resumable);
    conn_depart(chat, conn);
}

struct chat_job *job_new(enum chat_job_kind kind)
{
    struct chat_job *job = chat_job_new(kind);
    if (!job)
        abort();
    return job;
}

struct slice label_for(const struct chat_conn *conn, struct slice label)
{
    return conn->extensions ? label : slice_of(NULL, 0);
}

static void count_error(struct chat *chat, struct chat_conn *conn)
{
    if (!conn->errors_ms) {
        conn->errors_ms = calloc(CHAT_ERRORS_MAX, sizeof(*conn->errors_ms));
        if (!conn->errors_ms)
            abort();
    }
    int64_t *oldest = &conn->errors_ms[conn->errors_n % CHAT_ERRORS_MAX];
    if (conn->errors_n++ >= CHAT_ERRORS_MAX && chat->now_ms - *oldest <= CHAT_ERRORS_WINDOW_MS)
        act_close(chat, conn, CLOSE_PROTOCOL);
    *oldest = chat->now_ms;
}

/* No fault of the client's: it is not counted. */
static void say_later(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
                      enum chat_code code, int64_t wait_ms)
{
    struct chat_push *push = push_new(chat, PUSH_ERROR);
    push->request = cmd;
    push->label = arena_copy(&chat->arena, label_for(conn, label));
    push->code = code;
    push->retry_after_ms = conn->extensions ? (uint32_t)wait_ms : 0;
    act_send(chat, conn, push);
}

void say_error(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
               enum chat_code code, struct slice detail)
{
    if (!conn || conn->closing)
        return;
    if (code == CODE_UNAVAILABLE) {
        say_later(chat, conn, cmd, label, conn->extensions ? code : CODE_INTERNAL, CHAT_STORE_AGAIN_MS);
        return;
    }
    struct chat_push *push = push_new(chat, PUSH_ERROR);
    push->request = cmd;
    push->label = arena_copy(&chat->arena, label_for(conn, label));
    push->code = code;
    push->detail = detail;
    act_send(chat, conn, push);
    count_error(chat, conn);
}

void say_rate_limited(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
                      int64_t wait_ms)
{
    if (conn && !conn->closing)
        say_later(chat, conn, cmd, label, CODE_RATE_LIMITED, wait_ms);
}

enum chat_code code_of_failure(enum rc rc)
{
    return rc == RC_DB ? CODE_UNAVAILABLE : CODE_INTERNAL;
}

void say_ack(struct chat *chat, struct chat_conn *conn, enum chat_command cmd, struct slice label,
             const struct chat_room *room)
{
    if (!conn || conn->closing || !conn->extensions || label.n == 0)
        return;
    struct chat_push *push = push_new(chat, PUSH_ACK);
    push->request = cmd;
    push->label = arena_copy(&chat->arena, label);
    push->room = room;
    act_send(chat, conn, push);
}

void call_error(const struct call *c, enum chat_code code)
{
    say_error(c->chat, c->conn, c->req->cmd, c->req->label, code, slice_of(NULL, 0));
}

void call_ack(const struct call *c, const struct chat_room *room)
{
    say_ack(c->chat, c->conn, c->req->cmd, c->req->label, room);
}
