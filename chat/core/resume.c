/*
 * Resume: a sealed connection that drops can be gone on with for a while.
 *
 * What is kept of it is its token's hash and where the connection stood in the log; what was sent behind that is looked
 * up when somebody asks. It belongs to its user, so a token is looked for among his own only, and is good for one
 * login, whatever that tells him; a login that is refused leaves it as it is. The old connection may be there still,
 * because nobody has noticed that its network is gone: then the new one takes over, and the old one is closed.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/core/internal.h"

static void resumable_begin(struct chat *chat, struct chat_conn *conn, const uint8_t token[SHA256_LEN], uint64_t number)
{
    struct chat_resumable *r = calloc(1, sizeof(*r));

    if (!r)
        abort();
    memcpy(r->token, token, SHA256_LEN);
    r->user = conn->user;
    r->conn = conn;
    track_start(&r->track, number);
    TAILQ_INSERT_TAIL(&conn->user->resumables, r, of_user);
    conn->resumable = r;
    chat->resumables_n++;
}

void resumable_end(struct chat *chat, struct chat_resumable *r)
{
    if (!r)
        return;
    if (r->is_dropped) {
        TAILQ_REMOVE(&chat->dropped, r, in_dropped);
        r->user->dropped_n--;
        chat->dropped_n--;
    }
    if (r->conn)
        r->conn->resumable = NULL;
    TAILQ_REMOVE(&r->user->resumables, r, of_user);
    track_done(&r->track);
    wipe(r, sizeof(*r));
    free(r);
    if (--chat->resumables_n == 0)
        log_wipe(chat);
}

void resumables_end(struct chat *chat, struct chat_user *user)
{
    struct chat_resumable *r;

    while ((r = TAILQ_FIRST(&user->resumables)))
        resumable_end(chat, r);
}

static struct chat_resumable *first_dropped_of(const struct chat_user *user)
{
    struct chat_resumable *r;

    TAILQ_FOREACH (r, &user->resumables, of_user)
        if (r->is_dropped)
            break;
    return r;
}

/* The bounds are those of connections: nobody has more of them that dropped than he may have of live ones. */
void resumable_drop(struct chat *chat, struct chat_conn *conn)
{
    struct chat_resumable *r = conn->resumable;
    struct chat_user *user = r ? r->user : NULL;

    if (!r || r->is_dropped)
        return;
    r->is_dropped = true;
    r->end_ms = chat->now_ms + CHAT_RESUME_MS;
    TAILQ_INSERT_TAIL(&chat->dropped, r, in_dropped);
    chat->dropped_n++;
    if (++user->dropped_n > chat->env.limits.connections_per_user)
        resumable_end(chat, first_dropped_of(user));
    if (chat->dropped_n > CHAT_DROPPED_MAX)
        resumable_end(chat, TAILQ_FIRST(&chat->dropped));
}

int64_t resume_deadline(const struct chat *chat)
{
    const struct chat_resumable *first = TAILQ_FIRST(&chat->dropped);
    return first ? first->end_ms : NEVER;
}

void resume_expire(struct chat *chat)
{
    while (resume_deadline(chat) <= chat->now_ms)
        resumable_end(chat, TAILQ_FIRST(&chat->dropped));
}

/* --- resuming --- */

/* All of the user's are compared, so the time tells nothing of them. */
static struct chat_resumable *find(const struct chat_user *user, const uint8_t token[SHA256_LEN])
{
    struct chat_resumable *r, *found = NULL;

    TAILQ_FOREACH (r, &user->resumables, of_user)
        if (ct_equal(r->token, token, SHA256_LEN))
            found = r;
    return found;
}

void resume_take(struct chat *chat, struct chat_user *user, const struct chat_login *login, struct resume_claim *ret)
{
    *ret = (struct resume_claim){.number = chat->log_number};
    if (!login->resumes)
        return;
    ret->result = NOT_RESUMED;
    struct chat_resumable *r = find(user, login->resumes);
    if (!r)
        return;
    uint64_t number;
    if (track_number(&r->track, login->seen, &number) && missed_since(chat, user, number, &ret->replay)) {
        ret->result = RESUMED;
        ret->number = number;
    }
    ret->used = r;
}

void resume_finish(struct chat *chat, struct chat_conn *conn, const struct chat_login *login,
                   const struct resume_claim *claim)
{
    if (login->token)
        resumable_begin(chat, conn, login->token, claim->number);
    for (size_t i = 0; i < claim->replay.n && claim->result == RESUMED; i++)
        act_send(chat, conn, claim->replay.pushes[i]);
    if (resume_takes_over(claim))
        act_close(chat, claim->used->conn, CLOSE_TAKEN_OVER);
    else
        resumable_end(chat, claim->used);
}
