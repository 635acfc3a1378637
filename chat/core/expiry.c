/*
 * Rooms that keep their messages for some days only.
 *
 * What is older is shown to nobody from that moment on, and is erased soon after: each such room is looked through once
 * in CHAT_EXPIRE_MS, in small pieces, few rooms at a time, so that the store has time for what people do meanwhile.
 */
#include "chat/core/internal.h"

#define DAY_S 86400

int64_t room_expired_s(const struct chat *chat, const struct chat_room *room)
{
    return room->keep_days ? chat->time_s - (int64_t)room->keep_days * DAY_S : 0;
}

uint32_t keep_days_allowed(const struct chat *chat, uint32_t wanted)
{
    uint32_t max = chat->env.limits.keep_days;
    return max && (wanted == 0 || wanted > max) ? max : wanted;
}

/* In the order of their times: whoever is told to come later comes last. */
static void look_later(struct chat *chat, struct chat_room *room, int64_t in_ms)
{
    room->expire_ms = chat->now_ms + in_ms;
    room->awaits_expiry = true;
    TAILQ_INSERT_TAIL(&chat->expiry, room, in_expiry);
}

static void look_again(struct chat *chat, struct chat_room *room)
{
    room->expire_ms = chat->now_ms;
    room->awaits_expiry = true;
    TAILQ_INSERT_HEAD(&chat->expiry, room, in_expiry);
}

void expiry_begin(struct chat *chat, struct chat_room *room, bool at_once)
{
    if (room->keep_days)
        look_later(chat, room, at_once ? 0 : CHAT_EXPIRE_MS);
}

void expiry_end(struct chat *chat, struct chat_room *room)
{
    if (room->awaits_expiry)
        TAILQ_REMOVE(&chat->expiry, room, in_expiry);
    room->awaits_expiry = false;
}

/* The next room that is to be looked through; NULL: none, or enough of them are under way. */
static struct chat_room *next_room(const struct chat *chat)
{
    return chat->expiring_n < CHAT_EXPIRE_ROOMS ? TAILQ_FIRST(&chat->expiry) : NULL;
}

void expiry_flush(struct chat *chat)
{
    struct chat_room *room;

    while ((room = next_room(chat)) && room->expire_ms <= chat->now_ms) {
        expiry_end(chat, room);
        struct chat_job *job = room_job(room, JOB_EXPIRE);
        job->expired_s = room_expired_s(chat, room);
        missed_wipe_before(chat, room, job->expired_s);
        chat->expiring_n++;
        act_job(chat, job);
    }
}

int64_t expiry_deadline(const struct chat *chat)
{
    const struct chat_room *room = next_room(chat);
    return room ? room->expire_ms : NEVER;
}

void done_expire(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);

    chat->expiring_n--;
    if (!room)
        return;
    search_expired(chat, room, job->floor);
    if (job->rc == RC_OK && job->more_after)
        look_again(chat, room);
    else
        look_later(chat, room, CHAT_EXPIRE_MS);
}
