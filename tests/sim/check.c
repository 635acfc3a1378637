/* What must be true of the core after every step, whatever the step was. */
#include "tests/sim/sim.h"

#include <stdlib.h>

/* Only walked here, so no order is needed. */
static int no_order(const void *a, const void *b)
{
    (void)a, (void)b;
    return 0;
}

TREE_GENERATE(users_by_id, chat_user, by_id, no_order)
TREE_GENERATE(rooms_by_id, chat_room, by_id, no_order)

static bool is_zero(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return any == 0;
}

static bool is_enlisted(const struct chat_member *m)
{
    const struct chat_member *other;

    TAILQ_FOREACH (other, &m->user->rooms, of_user)
        if (other == m)
            return true;
    return false;
}

struct counts {
    uint32_t members, online, shown, presenters, pending;
};

static void check_member(const struct sim *s, const struct chat_room *room, const struct chat_member *m,
                         struct counts *n)
{
    const char *who = m->user->name.s;

    if (m->room != room)
        sim_stop(s, "%s: member %s is of another room", room->id.s, who);
    if ((room->state != ROOM_CREATING) != is_enlisted(m))
        sim_stop(s, "%s: member %s does not have the room in his list", room->id.s, who);
    if (!(m->presenter && !room->open) && !is_zero(&m->share, sizeof(m->share)))
        sim_stop(s, "%s: a share of %s is in memory, and nobody waits for it", room->id.s, who);
    if (m->presenter && (room->threshold == 0 || !user_is_online(m->user)))
        sim_stop(s, "%s: %s is a presenter and should not be", room->id.s, who);
    n->members++;
    n->presenters += m->presenter;
    if (room->state == ROOM_CREATING)
        return;
    n->online += user_is_online(m->user);
    n->shown += user_is_online(m->user) || m->user->is_held;
    n->pending += m->pending;
}

static void check_count(const struct sim *s, const struct chat_room *room, const char *what, uint64_t is, uint64_t want)
{
    if (is != want)
        sim_stop(s, "%s: %s is %llu and should be %llu", room->id.s, what, (unsigned long long)is,
                 (unsigned long long)want);
}

static void check_room(const struct sim *s, const struct chat_room *room)
{
    const struct chat_member *m;
    struct counts n = {0};
    uint32_t holding;

    TAILQ_FOREACH (m, &room->members, of_room)
        check_member(s, room, m, &n);
    check_count(s, room, "members_n", room->members_n, n.members);
    check_count(s, room, "online_n", room->online_n, n.online);
    check_count(s, room, "shown_n", room->shown_n, n.shown);
    check_count(s, room, "presenters_n", room->presenters_n, n.presenters);
    check_count(s, room, "pending_n", room->pending_n, n.pending);
    if (room->seq < room->head)
        sim_stop(s, "%s: seq %llu is behind head %llu", room->id.s, (unsigned long long)room->seq,
                 (unsigned long long)room->head);
    if (room->messages_n == 0 && room->seq != room->head)
        sim_stop(s, "%s: nothing is under way, and the next number would leave a gap", room->id.s);
    if (!room->open && room->search)
        sim_stop(s, "%s: the words of a closed room are in memory", room->id.s);
    if ((!room->open || room->threshold == 0) && !is_zero(&room->key, sizeof(room->key)))
        sim_stop(s, "%s: the key is in memory while the room is closed", room->id.s);
    if (room->open && room->threshold && is_zero(&room->key, sizeof(room->key)))
        sim_stop(s, "%s: open, and there is no key", room->id.s);
    if (room->threshold == 0 && room->state == ROOM_LIVE && !room->open)
        sim_stop(s, "%s: an open room is closed", room->id.s);
    holding = room->hold == HOLD_PRESENTERS ? n.presenters : n.online;
    if (room->open && holding < room->threshold)
        sim_stop(s, "%s: open without a quorum", room->id.s);
    if (!room->open && room->state == ROOM_LIVE && n.presenters >= room->threshold)
        sim_stop(s, "%s: closed with a quorum of shares", room->id.s);
}

static void check_users(struct sim *s)
{
    struct chat_user *user;
    struct chat_room *room;
    const struct chat_member *m;
    const struct chat_conn *conn;
    size_t authed = 0, shown = 0;

    RB_FOREACH (user, users_by_id, &s->chat->users_by_id) {
        uint32_t conns = 0;
        TAILQ_FOREACH (conn, &user->conns, of_user) {
            conns++;
            if (conn->user != user || conn->closing)
                sim_stop(s, "%s has a connection that is not his or is closing", user->name.s);
        }
        if (conns != user->conns_n)
            sim_stop(s, "%s: conns_n is %u and should be %u", user->name.s, user->conns_n, conns);
        authed += conns;
        shown += user_is_online(user) || user->is_held;
        if (user_is_online(user) && user->is_held)
            sim_stop(s, "%s: is here and in the hold", user->name.s);
    }
    if (authed != s->chat->authed_n)
        sim_stop(s, "authed_n is %zu and should be %zu", s->chat->authed_n, authed);
    if (shown != chat_shown_count(s->chat))
        sim_stop(s, "%zu people are shown and should be %zu", chat_shown_count(s->chat), shown);
    size_t memberships = 0, claimed = 0;
    RB_FOREACH (room, rooms_by_id, &s->chat->rooms_by_id)
        TAILQ_FOREACH (m, &room->members, of_room)
            memberships++;
    TAILQ_FOREACH (room, &s->chat->grave, in_grave)
        TAILQ_FOREACH (m, &room->members, of_room)
            memberships++;
    RB_FOREACH (user, users_by_id, &s->chat->users_by_id)
        claimed += user->rooms_n;
    if (memberships != claimed)
        sim_stop(s, "rooms_n of all users is %zu and should be %zu", claimed, memberships);
}

/* What is kept for who resumes: counted, bounded, and nothing of what was said in a room that is closed. */
static void check_log(const struct sim *s)
{
    const struct chat *chat = s->chat;
    const struct chat_kept *kept;
    uint64_t number = 0;
    size_t n = 0, bytes = 0;

    TAILQ_FOREACH (kept, &chat->log, of_log) {
        const struct chat_room *room = kept->push.room;
        if (kept->push.number <= number || kept->push.number > chat->log_number)
            sim_stop(s, "the log is not in its order");
        number = kept->push.number;
        if (kept->push.messages_n && !room->open)
            sim_stop(s, "%s: what was said is kept, and it is closed", room->id.s);
        n++;
        bytes += kept->size;
    }
    if (n != chat->log_n || n > CHAT_LOG_MAX || bytes != chat->log_bytes || bytes > CHAT_LOG_BYTES)
        sim_stop(s, "the log has %zu pushes, %zu bytes", n, bytes);
    if (n && chat->resumables_n == 0)
        sim_stop(s, "the log is kept for nobody");
}

static void check_resumables(const struct sim *s)
{
    const struct chat_resumable *r;
    struct chat_user *user;
    size_t n = 0, dropped = 0;

    RB_FOREACH (user, users_by_id, &s->chat->users_by_id) {
        uint32_t dropped_by_user = 0;
        TAILQ_FOREACH (r, &user->resumables, of_user) {
            if (r->user != user || (!r->is_dropped && (!r->conn || r->conn->user != user)))
                sim_stop(s, "%s can resume what was not his", user->name.s);
            dropped_by_user += r->is_dropped;
            n++;
        }
        if (dropped_by_user != user->dropped_n || dropped_by_user > s->limits.connections_per_user)
            sim_stop(s, "%s: dropped_n is %u and should be %u", user->name.s, user->dropped_n, dropped_by_user);
        dropped += dropped_by_user;
    }
    if (n != s->chat->resumables_n || dropped != s->chat->dropped_n || dropped > CHAT_DROPPED_MAX)
        sim_stop(s, "%zu connections can be resumed, %zu of them dropped", n, dropped);
}

/* Is the push about a room, which only its members may hear of? */
static bool is_of_room(enum chat_push_kind kind)
{
    return kind == PUSH_NEW_MESSAGE || kind == PUSH_NEW_ROOM || kind == PUSH_GET_SECRET || kind == PUSH_ROOM_MESSAGES ||
           kind == PUSH_CLOSE_ROOM || kind == PUSH_EDITED || kind == PUSH_FOUND || kind == PUSH_DELETED ||
           kind == PUSH_READ || kind == PUSH_TYPING;
}

static bool has_room_object(enum chat_push_kind kind)
{
    return kind == PUSH_HANDSHAKE || kind == PUSH_ONLINE || kind == PUSH_PRESENCE || kind == PUSH_NEW_ROOM ||
           kind == PUSH_GET_SECRET || kind == PUSH_ROOM_MESSAGES || kind == PUSH_CLOSE_ROOM;
}

static bool is_member(const struct chat_room *room, const struct chat_user *user)
{
    const struct chat_member *m;

    TAILQ_FOREACH (m, &room->members, of_room)
        if (m->user == user && !m->leaving)
            return true;
    return false;
}

/* --- actions ------------------------------------------------------------------------------------------------------ */

/* Who knows nothing of revisions sees none; what it did not see is no gap to it. */
static void check_plain_history(const struct sim *s, const struct chat_push *p)
{
    for (size_t i = 0; i < p->messages_n; i++) {
        const struct chat_shown_message *m = &p->messages[i];
        if (m->target || m->is_deleted || m->is_outdated || m->rev)
            sim_stop(s, "%s: a revision for who knows none", p->room->id.s);
        if (i > 0 && m->seq <= p->messages[i - 1].seq)
            sim_stop(s, "%s: a history out of order", p->room->id.s);
    }
}

/* Numbers are dense, from the first message to the last when there are no more; but for what has just expired. */
static void check_history(const struct sim *s, const struct chat_push *p)
{
    const struct chat_shown_message *m = p->messages;
    size_t n = p->messages_n;

    for (size_t i = 1; i < n; i++)
        if (m[i].seq <= m[i - 1].seq || !sim_has_expired(s, p->room, m[i - 1].seq, m[i].seq))
            sim_stop(s, "%s: a history with a gap", p->room->id.s);
    if (p->is_page && n && !p->more_after && !sim_has_expired(s, p->room, m[n - 1].seq, p->room->head + 1))
        sim_stop(s, "%s: a page that does not end with the last", p->room->id.s);
    if (n && !p->more && !sim_has_expired(s, p->room, p->floor, m[0].seq))
        sim_stop(s, "%s: a history that does not begin with the first", p->room->id.s);
    if (n && m[n - 1].seq > p->room->head)
        sim_stop(s, "%s: a history that goes beyond head", p->room->id.s);
}

/* Newest first, and what is there now. */
static void check_found(const struct sim *s, const struct chat_push *p)
{
    for (size_t i = 0; i < p->messages_n; i++)
        if (p->messages[i].target || p->messages[i].is_deleted || p->messages[i].seq > p->room->head ||
            (i > 0 && p->messages[i].seq >= p->messages[i - 1].seq))
            sim_stop(s, "%s: what was found is not in order", p->room->id.s);
}

static void receive_share(struct sim_conn *conn, const struct chat_room *room)
{
    struct sim_receipt *receipt = calloc(1, sizeof(*receipt));

    assert_non_null(receipt);
    memcpy(receipt->room_uid, room->uid, ID_LEN);
    STAILQ_INSERT_TAIL(&conn->receipts, receipt, link);
}

static void receive_ping(struct sim_conn *conn, uint64_t ping)
{
    struct sim_receipt *receipt;

    STAILQ_FOREACH (receipt, &conn->receipts, link)
        if (receipt->ping == 0)
            receipt->ping = ping;
}

static void check_send(const struct sim *s, struct sim_conn *conn, const struct chat_push *p)
{
    if (is_of_room(p->kind) && !is_member(p->room, conn->user))
        sim_stop(s, "%s hears of %s and is no member", conn->name, p->room->id.s);
    if (has_room_object(p->kind) && p->extensions != conn->core->extensions)
        sim_stop(s, "%s is sent what is for others", conn->name);
    if (p->kind == PUSH_ROOM_MESSAGES && p->extensions)
        check_history(s, p);
    else if (p->kind == PUSH_ROOM_MESSAGES)
        check_plain_history(s, p);
    if (p->kind == PUSH_RESTART && p->retry_after_ms >= 1000 + 2 * s->chat->authed_n)
        sim_stop(s, "%s is told to come back too late", conn->name);
    bool is_log = p->kind == PUSH_NEW_MESSAGE || p->kind == PUSH_EDITED || p->kind == PUSH_DELETED;
    if (is_log && p->messages[0].seq > p->room->head)
        sim_stop(s, "%s is shown a message of %s that is not stored", conn->name, p->room->id.s);
    if ((p->kind == PUSH_ROOM_MESSAGES || p->kind == PUSH_FOUND || is_log) && !p->room->open)
        sim_stop(s, "%s is shown messages of %s, which is closed", conn->name, p->room->id.s);
    if (p->kind == PUSH_FOUND)
        check_found(s, p);
    if (p->kind == PUSH_NEW_ROOM && p->share.n)
        receive_share(conn, p->room);
    sim_answered(s, conn, p->label);
}

static void check_action(const struct sim *s, const struct chat_event *event, const struct chat_action *a)
{
    if (a->kind == ACT_SEND) /* when a room was deleted, the store has it no more */
        sim_check_told(s, event, a, is_of_room(a->push->kind) && a->push->kind != PUSH_CLOSE_ROOM);
    for (size_t i = 0; i < a->conns_n; i++) {
        struct sim_conn *conn = a->conns[i]->edge;
        if (conn->is_closed)
            sim_stop(s, "an action for %s, which is closed", conn->name);
        if (a->kind == ACT_CLOSE)
            conn->is_closed = true;
        if (a->kind == ACT_SEND)
            check_send(s, conn, a->push);
        if (a->kind == ACT_PING)
            receive_ping(conn, a->ping);
    }
}

/* A share is erased only when this connection was sent it, and answers a ping behind it. */
static void check_erased(const struct sim *s, const struct chat_event *event, const struct chat_job *job)
{
    const struct sim_conn *conn = event->kind == CHAT_PONG ? event->conn->edge : NULL;
    const struct sim_receipt *receipt;

    if (!conn)
        sim_stop(s, "a share is erased, and nobody answered a ping");
    STAILQ_FOREACH (receipt, &conn->receipts, link)
        if (memcmp(receipt->room_uid, job->room_uid, ID_LEN) == 0 && receipt->ping && receipt->ping <= event->ping)
            return;
    sim_stop(s, "the answer of %s to ping %llu erases a share that it was not sent", conn->name,
             (unsigned long long)event->ping);
}

void sim_check(struct sim *s, const struct chat_event *event, const struct chat_actions *actions)
{
    struct chat_room *room;

    for (size_t i = 0; i < actions->n; i++) {
        check_action(s, event, &actions->list[i]);
        if (actions->list[i].kind == ACT_JOB && actions->list[i].job->kind == JOB_DROP_SHARE)
            check_erased(s, event, actions->list[i].job);
    }
    RB_FOREACH (room, rooms_by_id, &s->chat->rooms_by_id)
        check_room(s, room);
    TAILQ_FOREACH (room, &s->chat->grave, in_grave)
        if (!is_zero(&room->key, sizeof(room->key)))
            sim_stop(s, "%s: the key of a room that is gone is in memory", room->id.s);
    check_users(s);
    check_log(s);
    check_resumables(s);
}
