/* Users and their connections. */
#include "chat/core/internal.h"

#include <stdlib.h>
#include <string.h>

static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int cmp_serial(const struct chat_conn *a, const struct chat_conn *b)
{
    return cmp_u64(a->serial, b->serial);
}

static int cmp_deadline(const struct chat_conn *a, const struct chat_conn *b)
{
    if (a->deadline_ms != b->deadline_ms)
        return a->deadline_ms < b->deadline_ms ? -1 : 1;
    return cmp_serial(a, b);
}

static int cmp_id(const struct chat_user *a, const struct chat_user *b)
{
    return memcmp(a->client_id, b->client_id, ID_LEN);
}

static int cmp_epoch_id(const struct chat_epoch *a, const struct chat_epoch *b)
{
    return memcmp(a->client_id, b->client_id, ID_LEN);
}

static int cmp_name(const struct chat_user *a, const struct chat_user *b)
{
    return slice_cmp(name_slice(&a->name), name_slice(&b->name));
}

static int cmp_online(const struct chat_user *a, const struct chat_user *b)
{
    int d = cmp_name(a, b);
    return d ? d : cmp_id(a, b);
}

TREE_GENERATE(conns_by_serial, chat_conn, by_serial, cmp_serial)
TREE_GENERATE(conns_by_deadline, chat_conn, by_deadline, cmp_deadline)
TREE_GENERATE(users_by_id, chat_user, by_id, cmp_id)
TREE_GENERATE(users_by_name, chat_user, by_name, cmp_name)
TREE_GENERATE(epochs_by_id, chat_epoch, by_id, cmp_epoch_id)
TREE_GENERATE(users_online, chat_user, in_online, cmp_online)

struct chat_user *user_by_id(const struct chat *chat, const uint8_t id[ID_LEN])
{
    struct chat_user key;
    memcpy(key.client_id, id, ID_LEN);
    return RB_FIND(users_by_id, TREE_CONST(users_by_id, &chat->users_by_id), &key);
}

static struct chat_epoch *find_epoch(const struct chat *chat, const uint8_t id[ID_LEN])
{
    struct chat_epoch key;
    memcpy(key.client_id, id, ID_LEN);
    return RB_FIND(epochs_by_id, TREE_CONST(epochs_by_id, &chat->epochs_by_id), &key);
}

uint32_t epoch_of(const struct chat *chat, const uint8_t id[ID_LEN])
{
    const struct chat_epoch *e = find_epoch(chat, id);
    return e ? e->epoch : 0;
}

bool epoch_raise(struct chat *chat, const uint8_t id[ID_LEN], uint32_t epoch)
{
    struct chat_epoch *e = find_epoch(chat, id);

    if (epoch < (e ? e->epoch : 1))
        return false;
    if (!e) {
        e = calloc(1, sizeof(*e));
        if (!e)
            abort();
        memcpy(e->client_id, id, ID_LEN);
        RB_INSERT(epochs_by_id, &chat->epochs_by_id, e);
    }
    e->stored = e->stored && e->epoch == epoch;
    e->epoch = epoch;
    return !e->stored;
}

enum rc chat_restore_epoch(struct chat *chat, const uint8_t client_id[ID_LEN], uint32_t epoch)
{
    if (epoch_raise(chat, client_id, epoch))
        find_epoch(chat, client_id)->stored = true;
    return RC_OK;
}

void chat_restore_feed(struct chat *chat, uint64_t seq)
{
    chat->feed_seq = seq;
}

uint64_t chat_feed_seq(const struct chat *chat)
{
    return chat->feed_seq;
}

/* What could not be stored is stored when the feed tells it again. */
void done_raise_epoch(struct chat *chat, struct chat_job *job)
{
    struct chat_epoch *e = find_epoch(chat, job->who);
    e->stored = job->rc == RC_OK && job->epoch == e->epoch;
}

void done_heard(struct chat *chat, struct chat_job *job)
{
    if (job->rc == RC_OK)
        chat->feed_seq = job->feed_seq;
}

struct chat_user *user_by_name(const struct chat *chat, struct slice name)
{
    struct chat_user key;
    if (name_parse(name, &key.name) != RC_OK)
        return NULL;
    return RB_FIND(users_by_name, TREE_CONST(users_by_name, &chat->users_by_name), &key);
}

struct chat_user *user_add(struct chat *chat, const uint8_t id[ID_LEN], const struct name *name)
{
    struct chat_user *user = calloc(1, sizeof(*user));
    if (!user)
        abort();
    memcpy(user->client_id, id, ID_LEN);
    user->name = *name;
    TAILQ_INIT(&user->conns);
    TAILQ_INIT(&user->rooms);
    TAILQ_INIT(&user->resumables);
    RB_INSERT(users_by_id, &chat->users_by_id, user);

    struct chat_user *older = RB_FIND(users_by_name, &chat->users_by_name, user);
    if (older) { /* a deleted principal's name was given away: the newcomer inherits the name and nothing else */
        RB_REMOVE(users_by_name, &chat->users_by_name, older);
        older->has_name = false;
    }
    RB_INSERT(users_by_name, &chat->users_by_name, user);
    user->has_name = true;
    return user;
}

struct chat_conn *conn_by_serial(const struct chat *chat, uint64_t serial)
{
    struct chat_conn key = {.serial = serial};
    struct chat_conn *conn = RB_FIND(conns_by_serial, TREE_CONST(conns_by_serial, &chat->conns_by_serial), &key);
    return conn && !conn->closing ? conn : NULL;
}

struct chat_conn *conn_add(struct chat *chat, void *edge)
{
    struct chat_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        abort();
    conn->serial = ++chat->serials;
    conn->edge = edge;
    conn->deadline_ms = NEVER;
    RB_INSERT(conns_by_serial, &chat->conns_by_serial, conn);
    chat->conns_n++;
    return conn;
}

struct chat_conn *conn_next_extended(const struct chat *chat, struct chat_conn *conn)
{
    conn = conn ? RB_NEXT(conns_by_serial, TREE_CONST(conns_by_serial, &chat->conns_by_serial), conn)
                : RB_MIN(conns_by_serial, TREE_CONST(conns_by_serial, &chat->conns_by_serial));
    while (conn && !(conn->user && conn->extensions))
        conn = RB_NEXT(conns_by_serial, TREE_CONST(conns_by_serial, &chat->conns_by_serial), conn);
    return conn;
}

void conn_set_deadline(struct chat *chat, struct chat_conn *conn, int64_t deadline_ms)
{
    if (conn->deadline_ms != NEVER)
        RB_REMOVE(conns_by_deadline, &chat->conns_by_deadline, conn);
    conn->deadline_ms = deadline_ms;
    if (deadline_ms != NEVER)
        RB_INSERT(conns_by_deadline, &chat->conns_by_deadline, conn);
}

struct chat_conn *conn_first_deadline(const struct chat *chat)
{
    return RB_MIN(conns_by_deadline, TREE_CONST(conns_by_deadline, &chat->conns_by_deadline));
}

void conn_join(struct chat *chat, struct chat_conn *conn, struct chat_user *user)
{
    conn->user = user;
    conn->since_ping = chat->pings;
    TAILQ_INSERT_TAIL(&user->conns, conn, of_user);
    if (++user->conns_n == 1) {
        RB_INSERT(users_online, &chat->users_online, user);
        chat->names_version++;
        quorum_arrived(user);
        shown_arrived(chat, user);
        presence_changed(chat);
    }
    presence_joined(chat, conn);
}

void conn_depart(struct chat *chat, struct chat_conn *conn)
{
    struct chat_user *user = conn->user;

    conn_set_deadline(chat, conn, NEVER);
    resumable_drop(chat, conn);
    if (!user)
        return;
    conn->user = NULL;
    presence_departed(chat, conn);
    TAILQ_REMOVE(&user->conns, conn, of_user);
    if (--user->conns_n == 0) {
        RB_REMOVE(users_online, &chat->users_online, user);
        chat->names_version++;
        quorum_departed(chat, user);
        shown_departed(chat, user);
        presence_changed(chat);
    }
}

void conn_free(struct chat *chat, struct chat_conn *conn)
{
    conn->closing = true; /* when its going closes a room, what it has waiting there is refused to nobody */
    conn_depart(chat, conn);
    RB_REMOVE(conns_by_serial, &chat->conns_by_serial, conn);
    chat->conns_n--;
    if (conn->resumable)
        conn->resumable->conn = NULL;
    free(conn->errors_ms);
    free(conn);
}

void people_free(struct chat *chat)
{
    struct chat_conn *conn;
    struct chat_user *user;
    struct chat_epoch *epoch;

    RB_FOREACH (user, users_by_id, &chat->users_by_id)
        resumables_end(chat, user);
    while ((epoch = RB_MIN(epochs_by_id, &chat->epochs_by_id))) {
        RB_REMOVE(epochs_by_id, &chat->epochs_by_id, epoch);
        free(epoch);
    }
    while ((conn = RB_MIN(conns_by_serial, &chat->conns_by_serial))) {
        RB_REMOVE(conns_by_serial, &chat->conns_by_serial, conn);
        free(conn->errors_ms);
        free(conn);
    }
    while ((user = RB_MIN(users_by_id, &chat->users_by_id))) {
        RB_REMOVE(users_by_id, &chat->users_by_id, user);
        free(user);
    }
}

void chat_each_online(const struct chat *chat, bool (*f)(void *ctx, const struct chat_user *user), void *ctx)
{
    struct chat_user *user;

    RB_FOREACH (user, users_online, TREE_CONST(users_online, &chat->users_online))
        if (!f(ctx, user))
            return;
}
