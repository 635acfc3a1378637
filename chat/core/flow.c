/*
 * How much one may ask. A bucket of tokens for each connection, and one for its user, which holds twice as many: each
 * request takes a token of both, and time puts them back. What a request turns out to cost more is owed.
 */
#include "chat/core/internal.h"

#define TOKEN 1000 /* parts: so many come back in a millisecond as there are requests in a second */

static int64_t most_of(const struct chat *chat, uint32_t share)
{
    return (int64_t)chat->env.limits.request_burst * share * TOKEN;
}

/* How long until there are as many tokens; 0: there are. */
static int64_t wait_ms(const struct chat *chat, struct chat_bucket *b, uint32_t share, int64_t cost)
{
    int64_t rate = (int64_t)chat->env.limits.request_rate * share;
    int64_t most = most_of(chat, share), passed_ms = chat->now_ms - b->since_ms;

    if (b->since_ms == 0 || passed_ms > (most - b->parts) / rate)
        b->parts = most;
    else
        b->parts = b->parts + passed_ms * rate < most ? b->parts + passed_ms * rate : most;
    b->since_ms = chat->now_ms;
    if (cost > most)
        cost = most; /* of a small bucket */
    return b->parts >= cost ? 0 : (cost - b->parts + rate - 1) / rate;
}

/* What makes much work for little. */
static int64_t cost_of(enum chat_command cmd)
{
    bool is_costly = cmd == CMD_GET_HISTORY || cmd == CMD_SEARCH || cmd == CMD_GO_ROOM || cmd == CMD_NEW_ROOM ||
                     cmd == CMD_SUBSCRIBE || cmd == CMD_EDIT_MESSAGE || cmd == CMD_DELETE_MESSAGE;
    return (is_costly ? 5 : 1) * TOKEN;
}

int64_t flow_take(struct chat *chat, struct chat_conn *conn, enum chat_command cmd)
{
    int64_t cost = cost_of(cmd);

    if (chat->env.limits.request_rate == 0)
        return 0;
    int64_t own = wait_ms(chat, &conn->flow, 1, cost), users = wait_ms(chat, &conn->user->flow, 2, cost);
    if (own || users)
        return own > users ? own : users;
    conn->flow.parts -= cost;
    conn->user->flow.parts -= cost;
    return 0;
}

/* At most as much as the bucket holds, so that nobody waits for very long. */
static void owe(const struct chat *chat, struct chat_bucket *b, uint32_t share, int64_t cost)
{
    int64_t least = -most_of(chat, share);
    b->parts = b->parts - cost > least ? b->parts - cost : least;
}

void flow_owe_user(struct chat *chat, struct chat_user *user, size_t tokens)
{
    owe(chat, &user->flow, 2, (int64_t)tokens * TOKEN);
}

void flow_owe(struct chat *chat, struct chat_conn *conn, size_t tokens)
{
    owe(chat, &conn->flow, 1, (int64_t)tokens * TOKEN);
    flow_owe_user(chat, conn->user, tokens);
}

void flow_owe_rooms(struct chat *chat, struct chat_conn *conn)
{
    const struct chat_member *m;
    size_t names = 0;

    TAILQ_FOREACH (m, &conn->user->rooms, of_user)
        names += m->room->members_n;
    flow_owe(chat, conn, names / CHAT_REPLY_NAMES);
}
