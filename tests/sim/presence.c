/* Subscribers as their clients see it: what they are told is applied, and must then be what is shown. */
#include "tests/sim/sim.h"

/* --- what is said ------------------------------------------------------------------------------------------------- */

struct list {
    struct buf text;
    size_t n;
};

static void list_add(struct list *l, const char *name)
{
    assert_ok(buf_printf(&l->text, "%s%s", l->n++ ? " " : "", name));
}

static bool add_user(void *ctx, const struct chat_user *user)
{
    list_add(ctx, user->name.s);
    return true;
}

static void list_say(struct sim *s, const char *word, struct list *l)
{
    if (l->n > SIM_LIST_MAX)
        sim_say(s, " %s=(%zu)", word, l->n);
    else
        sim_say(s, " %s=[%.*s]", word, SLICE_FMT(buf_slice(&l->text)));
    buf_done(&l->text);
}

static void say_rooms(struct sim *s, const char *word, const struct chat_push *p, bool is_shown)
{
    struct list rooms = {0};
    const struct chat_member *m;

    TAILQ_FOREACH (m, &p->user->rooms, of_user)
        if (!m->leaving && (p->presence.is_whole || m->room->flip > p->presence.flip) &&
            chat_room_is_shown(m->room) == is_shown)
            list_add(&rooms, m->room->id.s);
    list_say(s, word, &rooms);
}

static void say_people(struct sim *s, const struct chat_push *p)
{
    struct list some = {0}, others = {0};

    if (!chat_shows_names(s->chat))
        return;
    if (p->presence.is_whole) {
        chat_each_online(s->chat, add_user, &some);
        chat_each_held(s->chat, add_user, &some);
        list_say(s, "users", &some);
        return;
    }
    chat_each_shown_since(s->chat, p->presence.from, true, add_user, &some);
    chat_each_shown_since(s->chat, p->presence.from, false, add_user, &others);
    list_say(s, "joined", &some);
    list_say(s, "left", &others);
}

void sim_say_presence(struct sim *s, const struct chat_push *p)
{
    if (!p->presence.is_whole)
        sim_say(s, " from=%llu", (unsigned long long)p->presence.from);
    sim_say(s, " state=%llu count=%zu", (unsigned long long)p->presence.state, chat_shown_count(s->chat));
    say_people(s, p);
    if (p->presence.is_whole || p->presence.has_rooms) {
        say_rooms(s, p->presence.is_whole ? "rooms" : "available", p, true);
        say_rooms(s, "waiting", p, false);
    }
}

/* --- what the client makes of it ---------------------------------------------------------------------------------- */

static size_t find(const struct sim_view *v, const struct chat_user *user)
{
    size_t i = 0;

    while (i < v->users_n && v->users[i] != user)
        i++;
    return i;
}

static bool see(void *ctx, const struct chat_user *user)
{
    struct sim_view *v = ctx;

    assert_true(find(v, user) == v->users_n); /* nobody is told twice */
    assert_true(v->users_n < ARRAY_LEN(v->users));
    v->users[v->users_n++] = user;
    return true;
}

static bool see_no_more(void *ctx, const struct chat_user *user)
{
    struct sim_view *v = ctx;
    size_t i = find(v, user);

    assert_true(i < v->users_n); /* nobody goes who was not there */
    v->users[i] = v->users[--v->users_n];
    return true;
}

static void see_people(struct sim *s, struct sim_view *v, const struct chat_push *p)
{
    if (p->presence.is_whole || !chat_shows_names(s->chat))
        v->users_n = 0;
    if (!chat_shows_names(s->chat))
        return;
    if (p->presence.is_whole) {
        chat_each_online(s->chat, see, v);
        chat_each_held(s->chat, see, v);
    } else {
        chat_each_shown_since(s->chat, p->presence.from, false, see_no_more, v);
        chat_each_shown_since(s->chat, p->presence.from, true, see, v);
    }
}

static bool knows_room(const struct sim_view *v, const struct chat_room *room, size_t *ret)
{
    for (*ret = 0; *ret < v->rooms_n; (*ret)++)
        if (memcmp(v->rooms[*ret], room->uid, ID_LEN) == 0)
            return true;
    return false;
}

static void see_rooms(struct sim_view *v, const struct chat_push *p)
{
    const struct chat_member *m;
    size_t at;

    if (p->presence.is_whole)
        v->rooms_n = 0;
    TAILQ_FOREACH (m, &p->user->rooms, of_user) {
        if (m->leaving || (!p->presence.is_whole && m->room->flip <= p->presence.flip))
            continue;
        bool knows = knows_room(v, m->room, &at);
        if (chat_room_is_shown(m->room) && !knows) {
            assert_true(v->rooms_n < ARRAY_LEN(v->rooms));
            memcpy(v->rooms[v->rooms_n++], m->room->uid, ID_LEN);
        } else if (!chat_room_is_shown(m->room) && knows) {
            memmove(v->rooms[at], v->rooms[--v->rooms_n], ID_LEN);
        }
    }
}

/* An open room is available from the start, and nobody needs to be told. */
static void check_rooms(const struct sim *s, const struct sim_conn *conn)
{
    const struct chat_member *m;
    size_t at;

    TAILQ_FOREACH (m, &conn->core->user->rooms, of_user)
        if (!m->leaving && m->room->threshold && knows_room(&conn->view, m->room, &at) != chat_room_is_shown(m->room))
            sim_stop(s, "%s: is wrong about the room %s", conn->name, m->room->id.s);
}

static void check_people(const struct sim *s, const struct sim_conn *conn)
{
    if (!chat_shows_names(s->chat))
        return;
    if (conn->view.users_n != chat_shown_count(s->chat))
        sim_stop(s, "%s: sees %zu people of %zu", conn->name, conn->view.users_n, chat_shown_count(s->chat));
    for (size_t i = 0; i < conn->view.users_n; i++)
        if (!user_is_online(conn->view.users[i]) && !conn->view.users[i]->is_held)
            sim_stop(s, "%s: sees %s, who is not there", conn->name, conn->view.users[i]->name.s);
}

void sim_see(struct sim *s, struct sim_conn *conn, const struct chat_push *p)
{
    struct sim_view *v = &conn->view;

    if (!p->presence.is_whole && p->presence.from != v->state)
        sim_stop(s, "%s: is told what is new since %llu and knows %llu", conn->name,
                 (unsigned long long)p->presence.from, (unsigned long long)v->state);
    see_people(s, v, p);
    see_rooms(v, p);
    v->state = p->presence.state;
    check_people(s, conn);
    check_rooms(s, conn);
}

/* --- deltas, as the edge takes them ------------------------------------------------------------------------------- */

void sim_presence(struct sim *s, struct sim_conn *conn)
{
    struct chat_push push;

    conn->wants_presence = conn->is_choked;
    if (conn->is_choked || conn->is_closed || !chat_presence_push(s->chat, conn->core, sim_time_s(s), &push))
        return;
    sim_see(s, conn, &push);
    if (conn->view.told_ms && s->mono_ms - conn->view.told_ms < CHAT_ROUND_MS && !conn->view.is_late)
        sim_stop(s, "%s: two deltas within %lld ms", conn->name, (long long)(s->mono_ms - conn->view.told_ms));
    conn->view.told_ms = s->mono_ms;
    if (conn->is_hidden)
        return;
    sim_say(s, "    presence %s", conn->name);
    sim_say_presence(s, &push);
    sim_say(s, "\n");
}
