/*
 * Jobs have one owner each: the core while they wait to be numbered, the simulated world while they are under way. None
 * is made twice, none is lost, and the core's counts of them are right.
 */
#include "tests/sim/sim.h"

/* Only walked here, so no order is needed. */
static int no_order(const void *a, const void *b)
{
    (void)a, (void)b;
    return 0;
}

TREE_GENERATE(rooms_by_uid, chat_room, by_uid, no_order)

static bool is_in(const struct chat_job_list *list, const struct chat_job *job)
{
    const struct chat_job *other;

    STAILQ_FOREACH (other, list, link)
        if (other == job)
            return true;
    return false;
}

void sim_check_new_job(const struct sim *s, const struct chat_job *job)
{
    if (is_in(&s->queued, job) || is_in(&s->done, job))
        sim_stop(s, "a job is handed out that is under way already");
}

struct under_way {
    uint32_t numbered;
    size_t stored; /* of them, by the store, and the core was not told */
};

static struct under_way count(const struct sim *s, const struct chat_room *room)
{
    const struct chat_job_list *const lists[] = {&s->queued, &s->done};
    struct under_way n = {0};
    const struct chat_job *job;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        STAILQ_FOREACH (job, lists[i], link) {
            bool is_ours = (job->kind == JOB_ADD_MESSAGE || job->kind == JOB_REVISE) &&
                           memcmp(job->room_uid, room->uid, ID_LEN) == 0;
            n.numbered += is_ours;
            n.stored += is_ours && lists[i] == &s->done && job->rc == RC_OK;
        }
    return n;
}

static uint32_t count_waiting(const struct sim *s, const struct chat_job_list *list)
{
    const struct chat_job *job;
    uint32_t n = 0;

    STAILQ_FOREACH (job, list, link) {
        if (is_in(&s->queued, job) || is_in(&s->done, job))
            sim_stop(s, "a job waits to be numbered and is under way");
        n++;
    }
    return n;
}

static void check_room(const struct sim *s, const struct chat_room *room)
{
    struct under_way n = count(s, room);
    uint32_t waiting = count_waiting(s, &room->refused) + count_waiting(s, &room->waiting);

    if (room->messages_n != n.numbered)
        sim_stop(s, "%s: %u messages are under way, and messages_n is %u", room->id.s, n.numbered, room->messages_n);
    if (room->waiting_n != waiting || waiting > CHAT_WAITING_MAX)
        sim_stop(s, "%s: %u messages wait, and waiting_n is %u", room->id.s, waiting, room->waiting_n);
    if (waiting > 0 && (!room->resync || !room->open))
        sim_stop(s, "%s: messages wait for nothing", room->id.s);
    if (room->seq != room->head + room->messages_n && !room->resync)
        sim_stop(s, "%s: seq is %llu, head %llu, and %u are under way", room->id.s, (unsigned long long)room->seq,
                 (unsigned long long)room->head, room->messages_n);
    sim_check_head(s, room, n.stored);
}

void sim_check_jobs(const struct sim *s)
{
    const struct chat_job *job;
    struct chat_room *room;
    uint32_t expiring = 0;

    STAILQ_FOREACH (job, &s->queued, link)
        expiring += job->kind == JOB_EXPIRE;
    STAILQ_FOREACH (job, &s->done, link)
        expiring += job->kind == JOB_EXPIRE;
    if (expiring != s->chat->expiring_n || expiring > CHAT_EXPIRE_ROOMS)
        sim_stop(s, "%u rooms are looked through, and expiring_n is %u", expiring, (unsigned)s->chat->expiring_n);
    RB_FOREACH (room, rooms_by_uid, &s->chat->rooms_by_uid)
        check_room(s, room);
}

void sim_check_quiet(const struct sim *s)
{
    const struct chat_member *m;
    struct chat_room *room;

    if (!RB_EMPTY(&s->chat->flights))
        sim_stop(s, "nothing is under way, and a cid is taken");
    RB_FOREACH (room, rooms_by_uid, &s->chat->rooms_by_uid) {
        if (room->state != ROOM_LIVE || room->resync || room->messages_n || room->waiting_n)
            sim_stop(s, "%s: nothing is under way, and it waits", room->id.s);
        TAILQ_FOREACH (m, &room->members, of_room)
            if (m->leaving || m->erasing)
                sim_stop(s, "%s: nothing is under way, and %s is leaving or his share is erased", room->id.s,
                         m->user->name.s);
    }
}
