/*
 * A reader who falls behind: what can be had again is not queued for him.
 *
 * From a quarter of queue_max on nobody's typing, from half on no messages: of each room one `lagged` follows when the
 * queue is short again, and the client asks for the history from there. What is left (his own replies, shares, rooms
 * that open) is bounded by queue_max itself. Connections without extensions know no `lagged`: they get everything,
 * until they are closed.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/edge/internal.h"

static size_t waiting(const struct session *s)
{
    return s->out.n - s->out_at;
}

static size_t part_of_max(const struct session *s, unsigned part)
{
    return (size_t)s->edge->o.conf->chat_queue_max / part;
}

static struct lag *find(const struct session *s, const struct chat_room *room)
{
    struct lag *l;

    SLIST_FOREACH (l, &s->lags, of_session)
        if (memcmp(l->uid, room->uid, ID_LEN) == 0)
            return l;
    return NULL;
}

/* From its first message that was left out; one that is noted stays. */
static bool note(struct session *s, const struct chat_room *room, uint64_t seq)
{
    if (find(s, room))
        return true;
    if (waiting(s) > part_of_max(s, 2))
        queue_try(s); /* what the socket would take at once does not count */
    if (waiting(s) <= part_of_max(s, 2))
        return false;
    struct lag *l = calloc(1, sizeof(*l));
    if (!l)
        return false;
    memcpy(l->uid, room->uid, ID_LEN);
    l->room = room->id;
    l->from_seq = seq;
    SLIST_INSERT_HEAD(&s->lags, l, of_session);
    metric_count(COUNT_lagged, 1);
    return true;
}

bool lag_takes(struct session *s, const struct chat_push *push)
{
    if (!s->conn || !s->conn->extensions)
        return false;
    if (push->kind == PUSH_TYPING)
        return waiting(s) > part_of_max(s, 4);
    return push->kind == PUSH_NEW_MESSAGE && note(s, push->room, push->messages[0].seq);
}

static void tell(struct session *s, const struct lag *l)
{
    struct edge *e = s->edge;
    const struct chat_push push = {
        .kind = PUSH_LAGGED, .time_s = clock_s(), .text = name_slice(&l->room), .seq = l->from_seq};

    if (wire_write(e->o.wire, &push, wire_conn_profile(s->wire), &e->json[0]) == RC_OK)
        queue_json(s, buf_slice(&e->json[0]));
}

void lag_tell(struct session *s)
{
    struct lag *l;

    while (waiting(s) <= part_of_max(s, 4) && (l = SLIST_FIRST(&s->lags))) {
        SLIST_REMOVE_HEAD(&s->lags, of_session);
        tell(s, l);
        free(l);
    }
}

void lag_forget(struct session *s)
{
    struct lag *l;

    while ((l = SLIST_FIRST(&s->lags))) {
        SLIST_REMOVE_HEAD(&s->lags, of_session);
        free(l);
    }
}
