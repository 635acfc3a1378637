/*
 * Who is shown as online to those who subscribe to it: whoever is here, and for CHAT_HOLD_MS whoever was, so that a
 * connection that comes back makes no news. What a quorum counts is another thing: live connections, quorum.c.
 *
 * Each change has a number, and the last ones are kept: whoever knows the state of one number is told what is new
 * since. Of more than CHAT_NAMES_MAX only the count is told.
 */
#include "chat/core/internal.h"

static bool is_shown(const struct chat_user *user)
{
    return user_is_online(user) || user->is_held;
}

size_t chat_shown_count(const struct chat *chat)
{
    return chat->shown.n;
}

bool chat_shows_names(const struct chat *chat)
{
    return chat->shown.has_names;
}

bool chat_room_is_shown(const struct chat_room *room)
{
    return room->shown_n >= room->threshold;
}

void shown_init(struct chat *chat)
{
    TAILQ_INIT(&chat->shown.held);
    TAILQ_INIT(&chat->shown.concerned);
    chat->shown.has_names = true;
}

/* --- people --- */

static void count(struct chat *chat, struct chat_user *user, bool has_come)
{
    struct shown *s = &chat->shown;

    s->n += has_come ? 1 : (size_t)-1;
    s->state++;
    s->log[s->state % CHAT_SHOWN_LOG] = (struct shown_change){.user = user, .before = user->shown_change};
    user->shown_change = s->state;
    if (s->has_names && s->n > CHAT_NAMES_MAX) {
        s->has_names = false;
    } else if (!s->has_names && s->n <= CHAT_NAMES_AGAIN) {
        s->has_names = true;
        s->names_since = s->state;
    }
}

bool shown_follows(const struct chat *chat, uint64_t state)
{
    const struct shown *s = &chat->shown;
    return !s->has_names || (state >= s->names_since && s->state - state <= CHAT_SHOWN_LOG);
}

/* Of an even number of changes nothing is left. */
static bool is_other_since(const struct shown *s, const struct chat_user *user, uint64_t state)
{
    bool is_other = false;

    for (uint64_t at = user->shown_change; at > state; at = s->log[at % CHAT_SHOWN_LOG].before)
        is_other = !is_other;
    return is_other;
}

void chat_each_shown_since(const struct chat *chat, uint64_t state, bool has_come,
                           bool (*f)(void *ctx, const struct chat_user *user), void *ctx)
{
    const struct shown *s = &chat->shown;

    for (uint64_t at = state + 1; at <= s->state; at++) {
        const struct chat_user *user = s->log[at % CHAT_SHOWN_LOG].user;
        if (user->shown_change == at && is_shown(user) == has_come && is_other_since(s, user, state) && !f(ctx, user))
            return;
    }
}

void chat_each_held(const struct chat *chat, bool (*f)(void *ctx, const struct chat_user *user), void *ctx)
{
    const struct chat_user *user;

    TAILQ_FOREACH (user, &chat->shown.held, in_held)
        if (!f(ctx, user))
            return;
}

/* --- rooms: of whom enough members are shown --- */

/* He hears of it even when nothing else is new. */
static void concern(struct chat *chat, struct chat_user *user)
{
    user->rooms_news = chat->shown.flips;
    if (user->is_concerned || !user_is_online(user))
        return;
    user->is_concerned = true;
    TAILQ_INSERT_TAIL(&chat->shown.concerned, user, in_concerned);
}

static void room_count(struct chat *chat, struct chat_room *room, bool has_come)
{
    const struct chat_member *m;
    bool was_shown = chat_room_is_shown(room);

    room->shown_n += has_come ? 1 : (uint32_t)-1;
    if (chat_room_is_shown(room) == was_shown || room->state == ROOM_CREATING || room->state == ROOM_GONE)
        return; /* one that is to be deleted stays, should the store fail */
    room->flip = ++chat->shown.flips;
    TAILQ_FOREACH (m, &room->members, of_room)
        concern(chat, m->user);
}

static void rooms_count(struct chat *chat, const struct chat_user *user, bool has_come)
{
    const struct chat_member *m;

    TAILQ_FOREACH (m, &user->rooms, of_user)
        room_count(chat, m->room, has_come);
}

void shown_enlisted(struct chat *chat, const struct chat_member *m)
{
    if (is_shown(m->user))
        room_count(chat, m->room, true);
}

void shown_delisted(struct chat *chat, const struct chat_member *m)
{
    if (is_shown(m->user))
        room_count(chat, m->room, false);
}

void shown_relist(struct chat *chat, struct chat_user *user)
{
    user->rooms_relisted = ++chat->shown.flips;
    concern(chat, user);
}

/* --- the hold --- */

static void release(struct chat *chat, struct chat_user *user)
{
    TAILQ_REMOVE(&chat->shown.held, user, in_held);
    user->is_held = false;
}

void shown_arrived(struct chat *chat, struct chat_user *user)
{
    if (user->is_held) {
        release(chat, user);
        return;
    }
    count(chat, user, true);
    rooms_count(chat, user, true);
}

void shown_departed(struct chat *chat, struct chat_user *user)
{
    user->is_held = true;
    user->held_until_ms = chat->now_ms + CHAT_HOLD_MS;
    TAILQ_INSERT_TAIL(&chat->shown.held, user, in_held);
}

int64_t shown_deadline(const struct chat *chat)
{
    const struct chat_user *user = TAILQ_FIRST(&chat->shown.held);
    return user ? user->held_until_ms : NEVER;
}

void shown_expire(struct chat *chat)
{
    while (shown_deadline(chat) <= chat->now_ms) {
        struct chat_user *user = TAILQ_FIRST(&chat->shown.held);
        release(chat, user);
        count(chat, user, false);
        rooms_count(chat, user, false);
    }
}
