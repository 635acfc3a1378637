/*
 * What the store has committed, written down when it does so, apart from what the core believes: nobody may be told of
 * a message that is not here, or is told otherwise here, nor by a room that he was no member of here; and what is here
 * is never lost again. Rooms that were deleted stay: what was stored in them before may be told just then.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

/* A row of a room's log: a message, or a revision of one. */
struct entry {
    uint8_t mid[ID_LEN];
    uint64_t target; /* 0: a message */
    int64_t time_s;
    struct buf text;
};

struct sim_stored {
    STAILQ_ENTRY(sim_stored) link;
    uint8_t uid[ID_LEN];
    uint8_t (*members)[ID_LEN];
    size_t members_n;
    struct entry *log; /* of seq 1 and up */
    size_t log_n;
};

static struct sim_stored *find(const struct sim *s, const uint8_t uid[ID_LEN])
{
    struct sim_stored *room;

    STAILQ_FOREACH (room, &s->stored, link)
        if (memcmp(room->uid, uid, ID_LEN) == 0)
            return room;
    return NULL;
}

static struct sim_stored *found(const struct sim *s, const uint8_t uid[ID_LEN])
{
    struct sim_stored *room = find(s, uid);
    if (!room)
        sim_stop(s, "something is told of a room that is not stored");
    return room;
}

void sim_forget_stored(struct sim *s)
{
    struct sim_stored *room;

    while ((room = STAILQ_FIRST(&s->stored))) {
        STAILQ_REMOVE_HEAD(&s->stored, link);
        for (size_t i = 0; i < room->log_n; i++)
            buf_done(&room->log[i].text);
        free(room->log);
        free(room->members);
        free(room);
    }
}

/* --- the store has done a job ------------------------------------------------------------------------------------- */

static void add_room(struct sim *s, const struct chat_job *job)
{
    struct sim_stored *room = calloc(1, sizeof(*room));

    assert_non_null(room);
    memcpy(room->uid, job->room_uid, ID_LEN);
    room->members = calloc(job->members_n + 1, sizeof(*room->members));
    assert_non_null(room->members);
    for (size_t i = 0; i < job->members_n; i++)
        memcpy(room->members[room->members_n++], job->members[i].client_id, ID_LEN);
    STAILQ_INSERT_TAIL(&s->stored, room, link);
}

static bool is_member(const struct sim_stored *room, const uint8_t id[ID_LEN], size_t *ret)
{
    for (*ret = 0; *ret < room->members_n; (*ret)++)
        if (memcmp(room->members[*ret], id, ID_LEN) == 0)
            return true;
    return false;
}

static void leave(struct sim_stored *room, const uint8_t id[ID_LEN])
{
    size_t at;

    if (is_member(room, id, &at))
        memmove(room->members[at], room->members[--room->members_n], ID_LEN);
}

/* Numbers are dense: what is committed is the next one, or the store has done what it must refuse. */
static void add_entry(const struct sim *s, struct sim_stored *room, const struct chat_job *job)
{
    if (job->message.seq != room->log_n + 1)
        sim_stop(s, "the store took number %llu behind %zu", (unsigned long long)job->message.seq, room->log_n);
    room->log = reallocarray(room->log, room->log_n + 1, sizeof(*room->log));
    assert_non_null(room->log);
    struct entry *e = &room->log[room->log_n++];
    *e = (struct entry){.target = job->message.target, .time_s = job->message.time_s};
    memcpy(e->mid, job->message.mid, ID_LEN);
    assert_ok(buf_add(&e->text, buf_slice(&job->text)));
}

void sim_stored(struct sim *s, const struct chat_job *job)
{
    struct sim_stored *room = find(s, job->room_uid);

    if (job->rc != RC_OK)
        return;
    if (job->kind == JOB_ADD_ROOM)
        add_room(s, job);
    else if (job->kind == JOB_LEAVE && room)
        leave(room, job->who);
    else if (job->kind == JOB_ADD_MESSAGE || job->kind == JOB_REVISE)
        add_entry(s, found(s, job->room_uid), job);
}

/* --- and people are told of it ------------------------------------------------------------------------------------ */

static const struct entry *entry_of(const struct sim *s, const struct chat_push *p, uint64_t seq)
{
    const struct sim_stored *room = found(s, p->room->uid);

    if (seq == 0 || seq > room->log_n)
        sim_stop(s, "%s: number %llu is told, and the store has %zu", p->room->id.s, (unsigned long long)seq,
                 room->log_n);
    return &room->log[seq - 1];
}

static void check_text(const struct sim *s, const struct chat_push *p, uint64_t seq, struct slice text)
{
    if (!slice_eq(buf_slice(&entry_of(s, p, seq)->text), text))
        sim_stop(s, "%s: number %llu has another text in the store", p->room->id.s, (unsigned long long)seq);
}

/* Who knows nothing of revisions is shown what the message said at some time. */
static bool is_version(const struct sim *s, const struct chat_push *p, const struct chat_shown_message *m)
{
    const struct sim_stored *room = found(s, p->room->uid);

    for (size_t i = 0; i < room->log_n; i++)
        if ((i + 1 == m->seq || room->log[i].target == m->seq) && slice_eq(buf_slice(&room->log[i].text), m->text))
            return true;
    return false;
}

static void check_shown(const struct sim *s, const struct chat_push *p, const struct chat_shown_message *m)
{
    const struct entry *e = entry_of(s, p, m->seq);

    if (e->target != m->target || memcmp(e->mid, m->mid, ID_LEN) != 0)
        sim_stop(s, "%s: number %llu is another one in the store", p->room->id.s, (unsigned long long)m->seq);
    if (m->rev && entry_of(s, p, m->rev)->target != (m->target ? m->target : m->seq))
        sim_stop(s, "%s: %llu revises something else than %llu", p->room->id.s, (unsigned long long)m->rev,
                 (unsigned long long)m->seq);
    if (m->target && m->rev && m->rev != m->seq && !m->is_outdated)
        sim_stop(s, "%s: the revision %llu shows what a later one says", p->room->id.s, (unsigned long long)m->seq);
    if (p->kind == PUSH_ROOM_MESSAGES && !p->extensions && is_version(s, p, m))
        return;
    if (!m->is_outdated)
        check_text(s, p, m->rev ? m->rev : m->seq, m->text);
}

/* An answer names the row with its number, also when it comes again. */
static void check_ack(const struct sim *s, const struct chat_push *p)
{
    const struct chat_shown_message *m = &p->messages[0];
    const struct entry *e = entry_of(s, p, m->seq);

    if (memcmp(e->mid, m->mid, ID_LEN) != 0 || e->time_s != m->time_s || (e->target && e->target != m->target))
        sim_stop(s, "%s: the ack of %llu names another message", p->room->id.s, (unsigned long long)m->seq);
}

/* All connections of all members, each once. */
static void check_receivers(const struct sim *s, const struct chat_action *a)
{
    const struct chat_member *m;
    size_t n = 0;

    TAILQ_FOREACH (m, &a->push->room->members, of_room)
        n += m->leaving ? 0 : m->user->conns_n;
    if (a->conns_n != n)
        sim_stop(s, "%s: a message goes to %zu connections of %zu", a->push->room->id.s, a->conns_n, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (a->conns[i] == a->conns[k])
                sim_stop(s, "%s: a message goes to a connection twice", a->push->room->id.s);
}

void sim_check_told(const struct sim *s, const struct chat_event *event, const struct chat_action *a, bool is_of_room)
{
    const struct chat_push *p = a->push;
    size_t at;

    for (size_t i = 0; i < a->conns_n && is_of_room; i++) {
        const struct sim_conn *conn = a->conns[i]->edge;
        if (!is_member(found(s, p->room->uid), conn->user->client_id, &at))
            sim_stop(s, "%s hears of %s and is no member in the store", conn->name, p->room->id.s);
    }
    if (p->kind == PUSH_ACK && p->messages_n)
        check_ack(s, p);
    for (size_t i = 0; i < p->messages_n && is_of_room; i++)
        check_shown(s, p, &p->messages[i]);
    if (p->kind == PUSH_NEW_MESSAGE && event->kind == CHAT_DONE)
        check_receivers(s, a);
}

/* The core knows all that the store has, but for what it is about to be told. */
void sim_check_head(const struct sim *s, const struct chat_room *room, size_t untold)
{
    const struct sim_stored *stored = find(s, room->uid);

    if (stored && room->head + untold != stored->log_n)
        sim_stop(s, "%s: head is %llu, and the store has %zu, of which %zu were not told", room->id.s,
                 (unsigned long long)room->head, stored->log_n, untold);
}

/* Is all between these two numbers gone, since the room keeps it for some days only? */
bool sim_has_expired(const struct sim *s, const struct chat_room *room, uint64_t after, uint64_t before)
{
    const struct sim_stored *stored = found(s, room->uid);
    int64_t expired_s = sim_time_s(s) - (int64_t)room->keep_days * 86400;

    for (uint64_t seq = after + 1; seq < before; seq++)
        if (seq > stored->log_n || !room->keep_days || stored->log[seq - 1].time_s >= expired_s)
            return false;
    return true;
}
