/* The step: one event in, actions out. */
#include "chat/core/chat.h"

#include <stdlib.h>
#include <string.h>

#include "chat/core/internal.h"

/* Which handler serves a request; the dispatcher has checked that its sender is logged in. */
static void (*const commands[CMD_COUNT])(const struct call *c) = {
    [CMD_ONLINE] = cmd_online,
    [CMD_NEW_ROOM] = cmd_new_room,
    [CMD_GO_ROOM] = cmd_go_room,
    [CMD_SECRET] = cmd_secret,
    [CMD_NEW_MESSAGE] = cmd_new_message,
    [CMD_DELETE_CHAT] = cmd_delete_chat,
    [CMD_SAVE_DATA] = cmd_save_data,
    [CMD_GET_DATA] = cmd_get_data,
    [CMD_GET_HISTORY] = cmd_get_history,
    [CMD_MARK_READ] = cmd_mark_read,
    [CMD_TYPING] = cmd_typing,
    [CMD_EDIT_MESSAGE] = cmd_edit_message,
    [CMD_DELETE_MESSAGE] = cmd_delete_message,
    [CMD_SUBSCRIBE] = cmd_subscribe,
    [CMD_SEARCH] = cmd_search,
};

/* Known clients of before do not know these. */
static bool is_extension(enum chat_command cmd)
{
    return cmd == CMD_GET_HISTORY || cmd == CMD_MARK_READ || cmd == CMD_TYPING || cmd == CMD_EDIT_MESSAGE ||
           cmd == CMD_DELETE_MESSAGE || cmd == CMD_SEARCH || cmd == CMD_SUBSCRIBE;
}

static void done_add_user(struct chat *chat, struct chat_job *job)
{
    struct chat_user *user = user_by_id(chat, job->who);
    user->stored = job->rc == RC_OK; /* if not, what names him fails and says so, and his next login tries again */
}

static void (*const done[])(struct chat *chat, struct chat_job *job) = {
    [JOB_ADD_USER] = done_add_user,
    [JOB_ADD_ROOM] = done_add_room,
    [JOB_ADD_MESSAGE] = done_add_message,
    [JOB_LEAVE] = done_leave,
    [JOB_DELETE_ROOM] = done_delete_room,
    [JOB_DROP_SHARE] = done_drop_share,
    [JOB_SAVE_DATA] = done_save_data,
    [JOB_HEARD] = done_heard,
    [JOB_RAISE_EPOCH] = done_raise_epoch,
    [JOB_LOAD_DATA] = done_load_data,
    [JOB_LOAD_SHARES] = done_load_shares,
    [JOB_LOAD_HISTORY] = done_load_history,
    [JOB_FIND_MESSAGE] = done_find_message,
    [JOB_MARK_READ] = done_mark_read,
    [JOB_REVISE] = done_revise,
    [JOB_LOAD_MESSAGES] = done_load_messages,
    [JOB_EXPIRE] = done_expire,
};

enum rc chat_new(const struct chat_env *env, struct chat **ret)
{
    struct chat *chat = calloc(1, sizeof(*chat));
    if (!chat)
        return RC_NO_MEMORY;
    chat->env = *env;
    chat->field = shamir_field_named("2^255-19");
    chat->again_ms = NEVER;
    missed_init(&chat->missed);
    TAILQ_INIT(&chat->log);
    TAILQ_INIT(&chat->dropped);
    RB_INIT(&chat->conns_by_serial);
    RB_INIT(&chat->conns_by_deadline);
    RB_INIT(&chat->users_by_id);
    RB_INIT(&chat->users_by_name);
    RB_INIT(&chat->users_online);
    RB_INIT(&chat->epochs_by_id);
    RB_INIT(&chat->rooms_by_id);
    RB_INIT(&chat->rooms_by_uid);
    RB_INIT(&chat->flights);
    TAILQ_INIT(&chat->presence);
    shown_init(chat);
    subscribers_init(chat);
    TAILQ_INIT(&chat->grave);
    TAILQ_INIT(&chat->expiry);
    TAILQ_INIT(&chat->searches);
    TAILQ_INIT(&chat->to_build);
    SLIST_INIT(&chat->arena.blocks);
    *ret = chat;
    return RC_OK;
}

void chat_free(struct chat *chat)
{
    if (!chat)
        return;
    log_wipe(chat);
    rooms_free(chat);
    flights_free(chat);
    people_free(chat);
    arena_free(&chat->arena);
    free(chat->actions);
    wipe(chat, sizeof(*chat));
    free(chat);
}

enum rc chat_restore_user(struct chat *chat, const uint8_t client_id[ID_LEN], const struct name *name)
{
    if (user_by_id(chat, client_id))
        return RC_EXISTS;
    user_add(chat, client_id, name)->stored = true;
    return RC_OK;
}

void chat_restore_history(struct chat *chat, const uint8_t id[ID_LEN])
{
    memcpy(chat->history_id, id, ID_LEN);
}

static void connected(struct chat *chat, struct chat_event *ev)
{
    ev->conn = conn_add(chat, ev->edge);
    conn_set_deadline(chat, ev->conn, chat->now_ms + chat->env.limits.login_timeout_ms);
}

/* Everybody who logs in is kept, so that others can name him in a room. Telling the store twice is harmless. */
static struct chat_user *known_user(struct chat *chat, const struct chat_login *login)
{
    struct chat_user *user = user_by_id(chat, login->client_id);

    if (user && user->stored)
        return user;
    struct chat_job *job = job_new(JOB_ADD_USER);
    memcpy(job->who, login->client_id, ID_LEN);
    job->who_name = login->client;
    job->time_s = chat->time_s;
    act_job(chat, job);
    return user ? user : user_add(chat, login->client_id, &login->client);
}

/* A sealed connection is asked for a new ticket in time, every other one ends with its ticket. */
static void set_ticket_end(struct chat *chat, struct chat_conn *conn, int64_t end_s)
{
    conn->end_ms = chat->now_ms + (end_s - chat->time_s) * 1000;
    conn->must_reauth = conn->sealed && conn->end_ms > chat->now_ms;
    conn_set_deadline(chat, conn, conn->must_reauth ? conn->end_ms - CHAT_REAUTH_MS : conn->end_ms);
}

static void logged_in(struct chat *chat, struct chat_event *ev)
{
    struct chat_conn *conn = ev->conn;
    const struct chat_login *login = ev->login;
    struct chat_user *user = known_user(chat, login);
    struct resume_claim claim;

    if (login->epoch < epoch_of(chat, user->client_id)) {
        act_close(chat, conn, CLOSE_CUT_OFF);
        return;
    }
    resume_take(chat, user, login, &claim);
    if (user->conns_n - resume_takes_over(&claim) >= chat->env.limits.connections_per_user) {
        act_close(chat, conn, CLOSE_TOO_MANY);
        return;
    }
    conn->extensions = login->extensions;
    conn->sealed = login->sealed;
    set_ticket_end(chat, conn, login->ticket_end_s);
    struct chat_push *push = push_new(chat, PUSH_HANDSHAKE);
    push->user = user;
    push->extensions = conn->extensions;
    push->authenticator_s = login->authenticator_s;
    push->history_id = conn->extensions ? chat->history_id : NULL;
    push->resumed = ev->resumed = claim.result;
    push->label = arena_copy(&chat->arena, label_for(conn, login->label));
    act_send(chat, conn, push);
    conn_join(chat, conn, user);
    resume_finish(chat, conn, login, &claim);
    deliver_pending(chat, conn);
}

/* A newer ticket: the connection lives on until that one ends. */
static void reauthenticated(struct chat *chat, struct chat_conn *conn, const struct chat_login *login)
{
    struct chat_push *push = push_new(chat, PUSH_REAUTH_OK);

    if (login->epoch < epoch_of(chat, conn->user->client_id)) {
        act_close(chat, conn, CLOSE_CUT_OFF);
        return;
    }
    set_ticket_end(chat, conn, login->ticket_end_s);
    push->expires_s = login->ticket_end_s;
    push->label = arena_copy(&chat->arena, label_for(conn, login->label));
    act_send(chat, conn, push);
}

/* The few refusals that end a connection. */
static enum chat_close close_after(enum chat_code code)
{
    switch (code) {
    case CODE_LOGIN_FAILED:
        return CLOSE_LOGIN_FAILED;
    case CODE_VERSION:
        return CLOSE_VERSION;
    case CODE_BROKEN:
        return CLOSE_PROTOCOL;
    default:
        return CLOSE_NONE;
    }
}

static void refused(struct chat *chat, const struct chat_event *ev)
{
    enum chat_close code = close_after(ev->code);

    say_error(chat, ev->conn, ev->request->cmd, ev->request->label, ev->code, slice_of(NULL, 0));
    if (code != CLOSE_NONE)
        act_close(chat, ev->conn, code);
}

static void end_connections(struct chat *chat, struct chat_user *user)
{
    struct chat_conn *conn;

    resumables_end(chat, user);
    while ((conn = TAILQ_FIRST(&user->conns)))
        act_close(chat, conn, CLOSE_CUT_OFF);
}

/* Epochs only rise. One of somebody who was never here counts when he comes. */
static void cut_off(struct chat *chat, const struct chat_event *ev)
{
    struct chat_user *user = user_by_id(chat, ev->client_id);

    if (!epoch_raise(chat, ev->client_id, ev->epoch))
        return;
    struct chat_job *job = job_new(JOB_RAISE_EPOCH);
    memcpy(job->who, ev->client_id, ID_LEN);
    job->epoch = ev->epoch;
    act_job(chat, job);
    if (user)
        end_connections(chat, user);
}

static void heard(struct chat *chat, const struct chat_event *ev)
{
    struct chat_job *job = job_new(JOB_HEARD);
    job->feed_seq = ev->feed_seq;
    act_job(chat, job);
}

static void kick(struct chat *chat, const struct chat_event *ev)
{
    struct chat_user *user = user_by_id(chat, ev->client_id);

    if (user)
        end_connections(chat, user);
}

static void notice(struct chat *chat, const struct chat_event *ev)
{
    struct chat_push *push = push_new(chat, PUSH_NOTICE);
    struct chat_conn *conn = NULL;

    push->text = arena_copy(&chat->arena, ev->text);
    missed_keep(chat, &chat->missed, push);
    while ((conn = conn_next_extended(chat, conn)))
        act_send(chat, conn, push);
}

/* Each comes back at a moment of its own, so that not all log in at once. */
static void leaving(struct chat *chat)
{
    uint64_t spread_ms = CHAT_RETURN_MS + (uint64_t)chat->authed_n * CHAT_RETURN_PER_CONN_MS;
    struct chat_conn *conn = NULL;

    while ((conn = conn_next_extended(chat, conn))) {
        uint8_t random[8];
        must(chat->env.random(chat->env.ctx, random, sizeof random));
        struct chat_push *push = push_new(chat, PUSH_RESTART);
        push->retry_after_ms = (uint32_t)(get_u64be(random) % spread_ms);
        act_send(chat, conn, push);
    }
}

static void requested(struct chat *chat, const struct chat_event *ev)
{
    struct call call = {.chat = chat, .conn = ev->conn, .user = ev->conn->user, .req = ev->request};

    int64_t wait_ms = call.user ? flow_take(chat, ev->conn, call.req->cmd) : 0;
    if (!call.user)
        call_error(&call, CODE_NOT_LOGGED_IN);
    else if (wait_ms > 0)
        say_rate_limited(chat, ev->conn, call.req->cmd, call.req->label, wait_ms);
    else if (!commands[call.req->cmd] || (is_extension(call.req->cmd) && !ev->conn->extensions))
        call_error(&call, CODE_MALFORMED);
    else
        commands[call.req->cmd](&call);
}

static void expire(struct chat *chat)
{
    struct chat_conn *conn;

    while ((conn = conn_first_deadline(chat)) && conn->deadline_ms <= chat->now_ms) {
        if (conn->must_reauth) {
            conn->must_reauth = false;
            conn_set_deadline(chat, conn, conn->end_ms);
            act_reauth(chat, conn);
        } else {
            act_close(chat, conn, conn->user ? CLOSE_TICKET_EXPIRED : CLOSE_LOGIN_TIMEOUT);
        }
    }
}

static void dispatch(struct chat *chat, struct chat_event *ev)
{
    switch (ev->kind) {
    case CHAT_CONNECTED:
        connected(chat, ev);
        break;
    case CHAT_LOGIN:
        if (!ev->conn->closing)
            logged_in(chat, ev);
        break;
    case CHAT_REAUTH:
        if (!ev->conn->closing)
            reauthenticated(chat, ev->conn, ev->login);
        break;
    case CHAT_REFUSED:
        if (!ev->conn->closing)
            refused(chat, ev);
        break;
    case CHAT_REQUEST:
        if (!ev->conn->closing)
            requested(chat, ev);
        break;
    case CHAT_PONG:
        if (!ev->conn->closing)
            delivery_pong(chat, ev->conn, ev->ping);
        break;
    case CHAT_DISCONNECTED:
        if (ev->is_goodbye)
            resumable_end(chat, ev->conn->resumable);
        conn_free(chat, ev->conn);
        break;
    case CHAT_DONE:
        done[ev->job->kind](chat, ev->job);
        chat_job_free(ev->job);
        break;
    case CHAT_CUT_OFF:
        cut_off(chat, ev);
        break;
    case CHAT_KICK:
        kick(chat, ev);
        break;
    case CHAT_NOTICE:
        notice(chat, ev);
        break;
    case CHAT_LEAVING:
        leaving(chat);
        break;
    case CHAT_HEARD:
        heard(chat, ev);
        break;
    case CHAT_TICK:
        break;
    }
}

void chat_step(struct chat *chat, struct chat_event *event, struct chat_actions *ret)
{
    chat_forget_step(chat);
    chat->now_ms = event->mono_ms;
    chat->time_s = event->time_s;
    shown_expire(chat);
    dispatch(chat, event);
    expire(chat);
    expiry_flush(chat);
    resume_expire(chat);
    presence_flush(chat);
    subscribers_flush(chat);
    *ret = (struct chat_actions){.list = chat->actions, .n = chat->actions_n};
}

void chat_forget_step(struct chat *chat)
{
    arena_reset(&chat->arena);
    rooms_bury(chat);
    chat->actions_n = 0;
}

int64_t chat_deadline(const struct chat *chat)
{
    const struct chat_conn *conn = conn_first_deadline(chat);
    const int64_t others[] = {presence_deadline(chat), subscribers_deadline(chat), expiry_deadline(chat),
                              resume_deadline(chat)};
    int64_t first = conn ? conn->deadline_ms : NEVER;

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        first = others[i] < first ? others[i] : first;
    return first;
}

void chat_count(const struct chat *chat, struct chat_counts *ret)
{
    *ret = (struct chat_counts){.connections = chat->conns_n,
                                .authed = chat->authed_n,
                                .rooms_open = chat->open_n,
                                .rooms_closed = chat->rooms_n - chat->open_n};
}

size_t chat_waiting_bytes(const struct chat *chat)
{
    return chat->waiting_bytes;
}

size_t chat_connections(const struct chat *chat)
{
    return chat->conns_n;
}
