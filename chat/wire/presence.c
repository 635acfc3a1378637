/*
 * Who is online, as subscribers are told: the whole of it, or what is new. What is new with people is the same for all
 * who know the same state, so it is written once for them; only who is told of his rooms gets a text of his own.
 */
#include "chat/wire/internal.h"

static bool add_name(void *ctx, const struct chat_user *user)
{
    jw_text(ctx, NULL, name_slice(&user->name));
    return true;
}

static void put_users(struct jw *j, const struct chat *chat)
{
    jw_open(j, "users", '[');
    chat_each_online(chat, add_name, j);
    chat_each_held(chat, add_name, j);
    jw_close(j, ']');
}

static void put_since(struct jw *j, const char *name, const struct chat_push *p, bool has_come)
{
    jw_open(j, name, '[');
    chat_each_shown_since(p->chat, p->presence.from, has_come, add_name, j);
    jw_close(j, ']');
}

/* The ids of his rooms that are now available, or are not, and were not before; what does not fit is left out. */
static void put_flipped(struct jw *j, const char *name, const struct chat_push *p, bool is_shown)
{
    const struct chat_member *m;

    jw_open(j, name, '[');
    TAILQ_FOREACH (m, &p->user->rooms, of_user)
        if (!m->leaving && m->room->flip > p->presence.flip && chat_room_is_shown(m->room) == is_shown &&
            j->out->n < ROOMS_MAX)
            jw_text(j, NULL, name_slice(&m->room->id));
    jw_close(j, ']');
}

static void put_whole(struct jw *j, const struct chat_push *p)
{
    if (chat_shows_names(p->chat))
        put_users(j, p->chat);
    put_rooms(j, "rooms", p, chat_room_is_shown, true);
    put_rooms(j, "rooms_waiting", p, chat_room_is_shown, false);
}

static void put_delta(struct jw *j, const struct chat_push *p)
{
    jw_int(j, "from", (int64_t)p->presence.from);
    if (chat_shows_names(p->chat)) {
        put_since(j, "joined", p, true);
        put_since(j, "left", p, false);
    }
    if (p->presence.has_rooms) {
        put_flipped(j, "available", p, true);
        put_flipped(j, "waiting", p, false);
    }
}

void put_presence(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_int(j, "state", (int64_t)p->presence.state);
    jw_int(j, "count", (int64_t)chat_shown_count(p->chat));
    if (p->presence.is_whole)
        put_whole(j, p);
    else
        put_delta(j, p);
}

static bool is_like(const struct shared_push *last, const struct chat_push *p)
{
    return last->json.n > 0 && last->from == p->presence.from && last->state == p->presence.state &&
           last->time_s == p->time_s;
}

enum rc presence_write(const struct encoder *e, const struct chat_push *push, struct buf *ret)
{
    struct shared_push *last = &e->wire->shared[e->profile];

    if (!is_like(last, push)) {
        TRY(push_write(e, push, &last->json));
        last->from = push->presence.from;
        last->state = push->presence.state;
        last->time_s = push->time_s;
    }
    buf_reset(ret);
    return buf_add(ret, buf_slice(&last->json));
}

bool presence_is_shared(const struct chat_push *push)
{
    return push->kind == PUSH_PRESENCE && !push->presence.is_whole && !push->presence.has_rooms;
}
