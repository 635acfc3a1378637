/*
 * A reader who falls behind: what can be done without, or had again, is not queued for him.
 *
 * From a quarter of queue_max on nobody's typing, and of who comes and goes one delta when the queue is short again;
 * from half on no messages: of each room one `lagged` follows when the queue is short again, and the client asks for
 * the history from there. `online` is not queued at all while the socket takes nothing (queue.c). What is left (his own
 * replies, shares, rooms that open) is bounded by queue_max itself.
 * Connections without extensions know no `lagged`: they get everything, until they are closed.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/edge/internal.h"

static int compare(const struct lag *a, const struct lag *b)
{
    return memcmp(a->uid, b->uid, ID_LEN);
}

TREE_GENERATE(lag_tree, lag, in_tree, compare)

static size_t part_of_max(const struct session *s, unsigned part)
{
    return (size_t)s->edge->o.conf->chat_queue_max / part;
}

/* What the socket would take at once does not count. */
static bool has_more_than(struct session *s, size_t n)
{
    if (queue_waiting(s) > n)
        queue_try(s);
    return queue_waiting(s) > n;
}

/* From its first message that was left out; one that is noted stays. */
static bool note(struct session *s, const struct chat_room *room, uint64_t seq)
{
    struct lag key;

    memcpy(key.uid, room->uid, ID_LEN);
    if (RB_FIND(lag_tree, &s->lags, &key))
        return true;
    if (!has_more_than(s, part_of_max(s, 2)))
        return false;
    struct lag *l = calloc(1, sizeof(*l));
    if (!l)
        return false;
    memcpy(l->uid, room->uid, ID_LEN);
    l->room = room->id;
    l->from_seq = seq;
    RB_INSERT(lag_tree, &s->lags, l);
    metric_count(COUNT_lagged, 1);
    return true;
}

static bool drop(struct session *s)
{
    if (!has_more_than(s, part_of_max(s, 4)))
        return false;
    metric_count(COUNT_dropped, 1);
    return true;
}

bool lag_has_room(const struct session *s)
{
    return queue_waiting(s) <= part_of_max(s, 4);
}

bool lag_takes(struct session *s, const struct chat_push *push)
{
    if (!s->conn || !s->conn->extensions)
        return false;
    if (push->kind == PUSH_TYPING)
        return drop(s);
    bool is_log = push->kind == PUSH_NEW_MESSAGE || push->kind == PUSH_EDITED || push->kind == PUSH_DELETED;
    return is_log && note(s, push->room, push->messages[0].seq);
}

static void tell(struct session *s, const struct lag *l)
{
    struct edge *e = s->edge;
    const struct chat_push push = {
        .kind = PUSH_LAGGED, .time_s = clock_s(), .text = name_slice(&l->room), .seq = l->from_seq};

    if (wire_write(e->o.wire, &push, wire_conn_profile(s->wire), &e->json[0]) == RC_OK)
        queue_json(s, buf_slice(&e->json[0]));
}

/* NULL: none; else it is the caller's. */
static struct lag *take_first(struct session *s)
{
    struct lag *l = RB_MIN(lag_tree, &s->lags);
    if (l)
        RB_REMOVE(lag_tree, &s->lags, l);
    return l;
}

void lag_tell(struct session *s)
{
    struct lag *l;

    while (lag_has_room(s) && (l = take_first(s))) {
        tell(s, l);
        free(l);
    }
}

void lag_forget(struct session *s)
{
    struct lag *l;

    while ((l = take_first(s)))
        free(l);
}
