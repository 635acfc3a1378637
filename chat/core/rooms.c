/* Rooms: made, left, deleted, found. */
#include "chat/core/internal.h"

#include <stdlib.h>
#include <string.h>

static int cmp_id(const struct chat_room *a, const struct chat_room *b)
{
    return slice_cmp(name_slice(&a->id), name_slice(&b->id));
}

static int cmp_uid(const struct chat_room *a, const struct chat_room *b)
{
    return memcmp(a->uid, b->uid, ID_LEN);
}

TREE_GENERATE(rooms_by_id, chat_room, by_id, cmp_id)
TREE_GENERATE(rooms_by_uid, chat_room, by_uid, cmp_uid)

struct chat_room *room_by_id(const struct chat *chat, const struct name *id)
{
    struct chat_room key = {.id = *id};
    return RB_FIND(rooms_by_id, TREE_CONST(rooms_by_id, &chat->rooms_by_id), &key);
}

struct chat_room *room_by_uid(const struct chat *chat, const uint8_t uid[ID_LEN])
{
    struct chat_room key = {0};
    memcpy(key.uid, uid, ID_LEN);
    return RB_FIND(rooms_by_uid, TREE_CONST(rooms_by_uid, &chat->rooms_by_uid), &key);
}

struct chat_member *room_enlisted(const struct chat_room *room, const struct chat_user *user)
{
    struct chat_member *m;

    TAILQ_FOREACH (m, &user->rooms, of_user)
        if (m->room == room)
            return m;
    return NULL;
}

struct chat_member *room_member(const struct chat_room *room, const struct chat_user *user)
{
    struct chat_member *m = room_enlisted(room, user);
    return m && !m->leaving ? m : NULL;
}

/* By id; else by the name under which exactly one of the caller's rooms is shown to him. */
static struct chat_member *find_member(const struct call *c)
{
    const struct chat_room *room = room_by_id(c->chat, &c->req->room);
    struct chat_member *m = room ? room_member(room, c->user) : NULL, *named = NULL;

    if (m)
        return m;
    TAILQ_FOREACH (m, &c->user->rooms, of_user)
        if (!m->leaving && slice_eq(name_slice(&m->room->name), name_slice(&c->req->room))) {
            if (named)
                return NULL;
            named = m;
        }
    return named;
}

struct chat_member *call_member(const struct call *c)
{
    struct chat_member *m = find_member(c);

    if (m && m->room->state == ROOM_LIVE)
        return m;
    call_error(c, CODE_NOT_FOUND);
    return NULL;
}

struct chat_member *call_member_of_open(const struct call *c)
{
    struct chat_member *m = call_member(c);

    if (!m || m->room->open)
        return m;
    call_error(c, CODE_ROOM_CLOSED);
    return NULL;
}

struct chat_job *room_job(const struct chat_room *room, enum chat_job_kind kind)
{
    struct chat_job *job = job_new(kind);
    memcpy(job->room_uid, room->uid, ID_LEN);
    job->opening = room->opening;
    return job;
}

struct chat_room *job_room(struct chat *chat, const struct chat_job *job)
{
    return room_by_uid(chat, job->room_uid);
}

static struct chat_room *room_add(struct chat *chat, const struct name *id, const uint8_t uid[ID_LEN])
{
    struct chat_room *room = calloc(1, sizeof(*room));
    if (!room)
        abort();
    room->id = *id;
    memcpy(room->uid, uid, ID_LEN);
    TAILQ_INIT(&room->members);
    STAILQ_INIT(&room->refused);
    STAILQ_INIT(&room->waiting);
    missed_init(&room->missed);
    RB_INSERT(rooms_by_id, &chat->rooms_by_id, room);
    RB_INSERT(rooms_by_uid, &chat->rooms_by_uid, room);
    chat->rooms_n++;
    return room;
}

/* Takes the room out of everything; its memory stays until the actions of this step are done with it. */
static void room_remove(struct chat *chat, struct chat_room *room)
{
    RB_REMOVE(rooms_by_id, &chat->rooms_by_id, room);
    RB_REMOVE(rooms_by_uid, &chat->rooms_by_uid, room);
    chat->rooms_n--;
    expiry_end(chat, room);
    envelope_key_done(&room->key);
    missed_wipe(chat, &room->missed);
    room->state = ROOM_GONE;
    TAILQ_INSERT_TAIL(&chat->grave, room, in_grave);
}

static struct chat_member *member_add(struct chat_room *room, struct chat_user *user, uint16_t number)
{
    struct chat_member *m = calloc(1, sizeof(*m));
    if (!m)
        abort();
    m->user = user;
    m->room = room;
    m->number = number;
    TAILQ_INSERT_TAIL(&room->members, m, of_room);
    room->members_n++;
    user->rooms_n++;
    return m;
}

/* The room now is one of his: only then does he see it. */
static void member_enlist(struct chat *chat, struct chat_member *m)
{
    TAILQ_INSERT_TAIL(&m->user->rooms, m, of_user);
    shown_enlisted(chat, m);
    if (user_is_online(m->user))
        m->room->online_n++;
    if (m->pending)
        m->room->pending_n++;
}

static void member_delist(struct chat *chat, struct chat_member *m)
{
    TAILQ_REMOVE(&m->user->rooms, m, of_user);
    shown_delisted(chat, m);
    if (user_is_online(m->user))
        m->room->online_n--;
    if (m->pending)
        m->room->pending_n--;
}

static void member_free(struct chat_member *m)
{
    TAILQ_REMOVE(&m->room->members, m, of_room);
    m->room->members_n--;
    m->user->rooms_n--;
    wipe(m, sizeof(*m));
    free(m);
}

static void room_free(struct chat *chat, struct chat_room *room)
{
    struct chat_member *m;

    while ((m = TAILQ_FIRST(&room->members)))
        member_free(m);
    waiting_free(chat, room);
    wipe(room, sizeof(*room));
    free(room);
}

void rooms_bury(struct chat *chat)
{
    struct chat_room *room;

    while ((room = TAILQ_FIRST(&chat->grave))) {
        TAILQ_REMOVE(&chat->grave, room, in_grave);
        room_free(chat, room);
    }
}

void rooms_free(struct chat *chat)
{
    struct chat_room *room;

    rooms_bury(chat);
    while ((room = RB_MIN(rooms_by_id, &chat->rooms_by_id))) {
        RB_REMOVE(rooms_by_id, &chat->rooms_by_id, room);
        search_end(chat, room, CODE_ROOM_CLOSED);
        room_free(chat, room);
    }
}

/* --- new_room --- */

static int cmp_member_id(const void *a, const void *b)
{
    const struct chat_user *const *x = a, *const *y = b;
    return memcmp((*x)->client_id, (*y)->client_id, ID_LEN);
}

struct guest_list {
    struct chat_user **users; /* in the order of the request, duplicates dropped, the caller last if he was missing */
    size_t n;
    struct buf unknown; /* names, separated by ", " */
};

static void guest_list_done(struct guest_list *g)
{
    free(g->users);
    buf_done(&g->unknown);
}

/* Where the user first stands in the list, which he does. */
static size_t first_of(struct chat_user *const *sorted, size_t n, struct chat_user *user)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cmp_member_id(&sorted[mid], &user) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Drops what stands twice, keeping the first of each; n log n, since a frame may name thousands. */
static void drop_duplicates(struct guest_list *g)
{
    struct chat_user **sorted = calloc(g->n + 1, sizeof(struct chat_user *));
    bool *seen = calloc(g->n + 1, sizeof(*seen));
    size_t kept = 0;

    if (!sorted || !seen)
        abort();
    memcpy(sorted, g->users, g->n * sizeof(struct chat_user *));
    qsort(sorted, g->n, sizeof(struct chat_user *), cmp_member_id);
    for (size_t i = 0; i < g->n; i++) {
        size_t first = first_of(sorted, g->n, g->users[i]);
        if (!seen[first])
            g->users[kept++] = g->users[i];
        seen[first] = true;
    }
    g->n = kept;
    free(sorted);
    free(seen);
}

static void guests_of(const struct call *c, struct guest_list *g)
{
    bool has_caller = false;

    g->users = calloc(c->req->users_n + 1, sizeof(struct chat_user *));
    if (!g->users)
        abort();
    for (size_t i = 0; i < c->req->users_n; i++) {
        struct chat_user *user = user_by_name(c->chat, c->req->users[i]);
        if (!user) {
            if (g->unknown.n)
                must(buf_text(&g->unknown, ", "));
            must(buf_add(&g->unknown, c->req->users[i]));
            continue;
        }
        has_caller |= user == c->user;
        g->users[g->n++] = user;
    }
    if (!has_caller)
        g->users[g->n++] = c->user;
    drop_duplicates(g);
}

/* The first rule that the new room would break; CODE_COUNT: none. */
static enum chat_code new_room_refusal(const struct call *c, const struct guest_list *g, uint32_t threshold)
{
    const struct chat_limits *limits = &c->chat->env.limits;

    if (room_by_id(c->chat, &c->req->room))
        return CODE_EXISTS;
    if (g->unknown.n)
        return CODE_UNKNOWN_USER;
    if (threshold > g->n)
        return CODE_BAD_THRESHOLD;
    if (c->req->keep_days && c->req->keep_days != keep_days_allowed(c->chat, c->req->keep_days))
        return CODE_LIMIT;
    if (g->n > (threshold ? CHAT_SEALED_MEMBERS : limits->room_members) || c->chat->rooms_n >= limits->rooms)
        return CODE_LIMIT;
    for (size_t i = 0; i < g->n; i++)
        if (g->users[i]->rooms_n >= limits->rooms_per_user)
            return CODE_LIMIT;
    return CODE_COUNT;
}

static struct chat_job *new_room_job(const struct call *c, struct chat_room *room, const struct guest_list *g)
{
    struct chat_job *job = room_job(room, JOB_ADD_ROOM);

    job->room_id = room->id;
    job->room_name = room->name;
    job->threshold = room->threshold;
    job->hold = room->hold;
    job->keep_days = room->keep_days;
    job->epoch = room->epoch;
    job->time_s = c->chat->time_s;
    job->conn = c->conn->serial;
    must(buf_add(&job->label, c->req->label));
    job->members = calloc(g->n, sizeof(*job->members));
    if (!job->members)
        abort();
    job->members_n = g->n;
    for (size_t i = 0; i < g->n; i++) {
        memcpy(job->members[i].client_id, g->users[i]->client_id, ID_LEN);
        job->members[i].number = (uint16_t)(i + 1);
    }
    if (room->threshold)
        quorum_split(c->chat, job);
    return job;
}

void cmd_new_room(const struct call *c)
{
    AUTO(guest_list_done) struct guest_list guests = {0};
    uint8_t uid[ID_LEN];

    guests_of(c, &guests);
    uint32_t threshold = c->req->threshold == THRESHOLD_ALL ? (uint32_t)guests.n : c->req->threshold;
    enum chat_code refusal = new_room_refusal(c, &guests, threshold);
    if (refusal != CODE_COUNT) {
        struct slice names = refusal == CODE_UNKNOWN_USER ? buf_slice(&guests.unknown) : slice_of(NULL, 0);
        say_error(c->chat, c->conn, CMD_NEW_ROOM, c->req->label, refusal, arena_copy(&c->chat->arena, names));
        return;
    }
    must(c->chat->env.random(c->chat->env.ctx, uid, ID_LEN));
    struct chat_room *room = room_add(c->chat, &c->req->room, uid);
    room->name = c->req->has_name ? c->req->name : c->req->room;
    room->threshold = threshold;
    room->hold = c->req->hold;
    room->keep_days = keep_days_allowed(c->chat, c->req->keep_days);
    room->epoch = 1;
    struct chat_job *job = new_room_job(c, room, &guests);
    memcpy(room->key_check, job->key_check, SHA256_LEN);
    for (size_t i = 0; i < guests.n; i++) {
        struct chat_member *m = member_add(room, guests.users[i], (uint16_t)(i + 1));
        memcpy(m->commitment, job->members[i].commitment, SHA256_LEN);
        m->pending = threshold > 0;
    }
    act_job(c->chat, job);
}

void done_add_room(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);
    struct chat_conn *asker = conn_by_serial(chat, job->conn);
    struct chat_member *m;

    if (job->rc != RC_OK) {
        say_error(chat, asker, CMD_NEW_ROOM, buf_slice(&job->label),
                  job->rc == RC_EXISTS ? CODE_EXISTS : code_of_failure(job->rc), slice_of(NULL, 0));
        room_remove(chat, room);
        return;
    }
    room->state = ROOM_LIVE;
    room_set_open(chat, room, room->threshold == 0);
    TAILQ_FOREACH (m, &room->members, of_room)
        member_enlist(chat, m);
    expiry_begin(chat, room, false);
    deliver_new_room(chat, room, job, asker, buf_slice(&job->label));
    presence_changed(chat);
}

enum rc chat_restore_room(struct chat *chat, const struct chat_restore_room *r)
{
    if (room_by_id(chat, &r->id) || room_by_uid(chat, r->uid))
        return RC_EXISTS;
    for (size_t i = 0; i < r->members_n; i++)
        if (!user_by_id(chat, r->members[i].client_id))
            return RC_NO_CLIENT;
    struct chat_room *room = room_add(chat, &r->id, r->uid);
    room->state = ROOM_LIVE;
    room->name = r->name;
    room->threshold = r->threshold;
    room->hold = r->hold;
    room->keep_days = keep_days_allowed(chat, r->keep_days);
    room->epoch = r->epoch;
    room->seq = room->head = r->head;
    room_set_open(chat, room, r->threshold == 0);
    expiry_begin(chat, room, true);
    memcpy(room->key_check, r->key_check, SHA256_LEN);
    for (size_t i = 0; i < r->members_n; i++) {
        const struct chat_restore_member *rm = &r->members[i];
        struct chat_member *m = member_add(room, user_by_id(chat, rm->client_id), rm->number);
        memcpy(m->commitment, rm->commitment, SHA256_LEN);
        m->pending = rm->pending;
        m->read = rm->read;
        member_enlist(chat, m);
    }
    return RC_OK;
}

/* --- delete_chat --- */

/* Members who are not on their way out. */
static uint32_t staying_n(const struct chat_room *room)
{
    const struct chat_member *m;
    uint32_t n = 0;

    TAILQ_FOREACH (m, &room->members, of_room)
        n += !m->leaving;
    return n;
}

void cmd_delete_chat(const struct call *c)
{
    struct chat_member *m = call_member(c);
    if (!m)
        return;
    struct chat_room *room = m->room;
    uint32_t n = staying_n(room);
    bool for_all = room->threshold == 0 ? n == 1 : room->threshold >= n;
    struct chat_job *job = room_job(room, for_all ? JOB_DELETE_ROOM : JOB_LEAVE);
    memcpy(job->who, c->user->client_id, ID_LEN);
    job->conn = c->conn->serial;
    must(buf_add(&job->label, c->req->label));
    if (for_all) {
        room->state = ROOM_DELETING;
    } else {
        m->leaving = true;
        m->left_at = room->head;
    }
    act_job(c->chat, job);
}

static void say_delete_failed(struct chat *chat, const struct chat_job *job)
{
    say_error(chat, conn_by_serial(chat, job->conn), CMD_DELETE_CHAT, buf_slice(&job->label), code_of_failure(job->rc),
              slice_of(NULL, 0));
}

/* He stays, and was shown nothing meanwhile. */
static void stay(struct chat *chat, struct chat_member *m)
{
    struct chat_conn *conn;

    m->leaving = false;
    shown_relist(chat, m->user);
    if (m->room->head == m->left_at)
        return;
    struct chat_push *push = push_new(chat, PUSH_LAGGED);
    push->room = m->room;
    push->text = name_slice(&m->room->id);
    push->seq = m->left_at + 1;
    TAILQ_FOREACH (conn, &m->user->conns, of_user)
        if (conn->extensions) {
            chat_left_out(conn);
            act_send(chat, conn, push);
        }
}

void done_leave(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);
    const struct chat_user *user = user_by_id(chat, job->who);
    struct chat_member *m = room && user ? room_enlisted(room, user) : NULL;

    if (job->rc != RC_OK) {
        if (m)
            stay(chat, m);
        say_delete_failed(chat, job);
        return;
    }
    say_ack(chat, conn_by_serial(chat, job->conn), CMD_DELETE_CHAT, buf_slice(&job->label), NULL);
    if (!m) /* the room went meanwhile */
        return;
    struct chat_user *leaver = m->user;
    member_delist(chat, m);
    quorum_removed(chat, m);
    member_free(m);
    shown_relist(chat, leaver);
    presence_changed(chat);
}

void done_delete_room(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);
    struct chat_member *m;

    if (job->rc != RC_OK) {
        if (room)
            room->state = ROOM_LIVE;
        say_delete_failed(chat, job);
        return;
    }
    room_close(chat, room, "deleted");
    room_remove(chat, room);
    TAILQ_FOREACH (m, &room->members, of_room)
        member_delist(chat, m);
    say_ack(chat, conn_by_serial(chat, job->conn), CMD_DELETE_CHAT, buf_slice(&job->label), NULL);
    presence_changed(chat);
}

size_t chat_rooms(const struct chat *chat)
{
    return chat->rooms_n;
}
