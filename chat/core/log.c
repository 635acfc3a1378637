/*
 * The log: what connections may have missed, kept once however many were sent it.
 *
 * A push that is worth telling again gets the next number of the whole chat and belongs to those who may be told: the
 * members of a room, or all. Of either the number of the last push that is not there (any more) is known, so whoever
 * must learn that something is missing is found without keeping what is missing. The log is bounded in number and
 * bytes, and is empty while nobody could resume. A room that closes takes its part along, wiped.
 *
 * Not in it: replies, presence, who is typing; read marks, since the handshake tells them; shares, which lie in the
 * store until they have arrived; the history that comes when a room opens, which is too large.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/core/internal.h"

void missed_init(struct chat_missed *missed)
{
    TAILQ_INIT(&missed->list);
}

static void kept_free(struct chat *chat, struct chat_kept *kept)
{
    struct chat_missed *missed = kept->missed;

    if (missed->lost < kept->push.number)
        missed->lost = kept->push.number;
    TAILQ_REMOVE(&missed->list, kept, of_missed);
    TAILQ_REMOVE(&chat->log, kept, of_log);
    chat->log_n--;
    chat->log_bytes -= kept->size;
    wipe(kept, kept->size);
    free(kept);
}

void missed_wipe(struct chat *chat, struct chat_missed *missed)
{
    struct chat_kept *kept;

    while ((kept = TAILQ_FIRST(&missed->list)))
        kept_free(chat, kept);
}

void missed_wipe_text(struct chat *chat, struct chat_room *room, uint64_t seq)
{
    struct chat_kept *kept, *next;

    for (kept = TAILQ_FIRST(&room->missed.list); kept; kept = next) {
        next = TAILQ_NEXT(kept, of_missed);
        if (kept->message.seq == seq || kept->message.target == seq)
            kept_free(chat, kept);
    }
}

void missed_wipe_before(struct chat *chat, struct chat_room *room, int64_t time_s)
{
    struct chat_kept *kept;

    while ((kept = TAILQ_FIRST(&room->missed.list)) && kept->push.time_s < time_s)
        kept_free(chat, kept);
}

void log_wipe(struct chat *chat)
{
    struct chat_kept *kept;

    while ((kept = TAILQ_FIRST(&chat->log)))
        kept_free(chat, kept);
}

static struct slice keep_text(struct chat_kept *kept, struct slice text)
{
    uint8_t *p = kept->bytes + kept->bytes_n;

    if (text.n)
        memcpy(p, text.p, text.n);
    kept->bytes_n += text.n;
    return slice_of(p, text.n);
}

/* A copy of the push and of all that it points to. */
static struct chat_kept *copy(const struct chat_push *push)
{
    const struct chat_shown_message *m = push->messages_n ? &push->messages[0] : NULL;
    size_t size = sizeof(struct chat_kept) + push->text.n + push->asked_by.n + (m ? m->from.n + m->text.n : 0);
    struct chat_kept *kept = calloc(1, size);

    if (!kept)
        abort();
    kept->size = size;
    kept->push = *push;
    kept->push.label = slice_of(NULL, 0);
    kept->push.text = keep_text(kept, push->text);
    kept->push.asked_by = keep_text(kept, push->asked_by);
    if (m) {
        kept->message = *m;
        kept->message.from = keep_text(kept, m->from);
        kept->message.text = keep_text(kept, m->text);
        kept->push.messages = &kept->message;
    }
    return kept;
}

void missed_keep(struct chat *chat, struct chat_missed *missed, struct chat_push *push)
{
    if (chat->resumables_n == 0)
        return;
    push->number = ++chat->log_number;
    struct chat_kept *kept = copy(push);
    kept->missed = missed;
    TAILQ_INSERT_TAIL(&missed->list, kept, of_missed);
    TAILQ_INSERT_TAIL(&chat->log, kept, of_log);
    chat->log_n++;
    chat->log_bytes += kept->size;
    while (chat->log_n > CHAT_LOG_MAX || chat->log_bytes > CHAT_LOG_BYTES)
        kept_free(chat, TAILQ_FIRST(&chat->log));
}

void missed_pass(struct chat *chat, struct chat_missed *missed, struct chat_push *push)
{
    if (chat->resumables_n > 0)
        push->number = missed->lost = ++chat->log_number;
}

/* --- told again --- */

/* For this step: the log may lose it while the actions are still to be carried out. */
static struct chat_push *replayed(struct chat *chat, const struct chat_kept *kept)
{
    struct chat_push *push = push_new(chat, kept->push.kind);

    *push = kept->push;
    push->text = arena_copy(&chat->arena, push->text);
    push->asked_by = arena_copy(&chat->arena, push->asked_by);
    if (push->messages_n) {
        struct chat_shown_message *m = arena_get(&chat->arena, sizeof(*m));
        *m = kept->message;
        m->from = arena_copy(&chat->arena, m->from);
        m->text = arena_copy(&chat->arena, m->text);
        push->messages = m;
    }
    return push;
}

/* A question is not repeated to who has asked it, and not when it has its answer. */
static bool is_over(const struct chat_push *push, const struct chat_user *user)
{
    return push->kind == PUSH_GET_SECRET && (push->room->open || slice_eq(push->asked_by, name_slice(&user->name)));
}

/* Counts what is behind the number into ret; adds it, too, where there is room for it. */
static bool collect(struct chat *chat, const struct chat_missed *missed, const struct chat_user *user, uint64_t number,
                    struct replay *ret)
{
    const struct chat_kept *kept;

    if (missed->lost > number)
        return false;
    TAILQ_FOREACH_REVERSE(kept, &missed->list, chat_kept_list, of_missed)
    {
        if (kept->push.number <= number)
            break;
        if (is_over(&kept->push, user))
            continue;
        ret->bytes += kept->bytes_n;
        if (ret->n == CHAT_REPLAY_MAX || ret->bytes > CHAT_REPLAY_BYTES)
            return false;
        ret->pushes[ret->n++] = replayed(chat, kept);
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    const struct chat_push *const *x = a, *const *y = b;
    return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

bool missed_since(struct chat *chat, const struct chat_user *user, uint64_t number, struct replay *ret)
{
    const struct chat_member *m;

    ret->pushes = arena_get(&chat->arena, CHAT_REPLAY_MAX * sizeof(struct chat_push *));
    if (!collect(chat, &chat->missed, user, number, ret))
        return false;
    TAILQ_FOREACH (m, &user->rooms, of_user) {
        missed_wipe_before(chat, m->room, room_expired_s(chat, m->room));
        if (!m->leaving && !collect(chat, &m->room->missed, user, number, ret))
            return false;
    }
    qsort(ret->pushes, ret->n, sizeof(struct chat_push *), by_number);
    return true;
}
