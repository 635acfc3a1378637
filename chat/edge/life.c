/*
 * Signs of life: who was silent for long is pinged, who does not answer is closed, who does not close is cut off.
 *
 * Each stage has one list in the order of time: entering is O(1), and a look at the heads finds whoever is due.
 */
#include "chat/edge/internal.h"

static int64_t now_ms(struct edge *e)
{
    return (int64_t)uv_now(&e->loop);
}

void life_enter(struct session *s, enum life life)
{
    s->life = life;
    s->life_ms = now_ms(s->edge);
    TAILQ_INSERT_TAIL(&s->edge->life[life], s, in_life);
}

void life_leave(struct session *s)
{
    TAILQ_REMOVE(&s->edge->life[s->life], s, in_life);
}

static void life_move(struct session *s, enum life life)
{
    life_leave(s);
    life_enter(s, life);
}

/* Once a second is often enough. */
void life_touch(struct session *s)
{
    if (s->life == LIFE_CLOSING || (s->life == LIFE_ALIVE && now_ms(s->edge) - s->life_ms < 1000))
        return;
    life_move(s, LIFE_ALIVE);
}

/* The first in the list, when it has been there for so long. */
static struct session *due(struct edge *e, enum life life, int64_t after_ms)
{
    struct session *s = TAILQ_FIRST(&e->life[life]);
    return s && now_ms(e) - s->life_ms >= after_ms ? s : NULL;
}

/* Whose socket has taken nothing for so long keeps our memory and reads nothing, whatever it sends. */
static void close_choked(struct edge *e)
{
    const struct conf *conf = e->o.conf;
    int64_t most_ms = (conf->chat_ping_interval + conf->chat_pong_timeout) * 1000;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&e->choked); s && now_ms(e) - s->choked_ms >= most_ms; s = next) {
        next = TAILQ_NEXT(s, in_choked);
        if (s->life == LIFE_CLOSING)
            continue;
        metric_count(COUNT_slow_readers, 1);
        session_close(s, CLOSE_TOO_SLOW);
    }
}

void life_tick(struct edge *e)
{
    const struct conf *conf = e->o.conf;
    struct session *s;

    close_choked(e);

    while ((s = due(e, LIFE_ALIVE, conf->chat_ping_interval * 1000))) {
        life_move(s, LIFE_PINGED);
        queue_ping(s, NULL);
    }
    while ((s = due(e, LIFE_PINGED, conf->chat_pong_timeout * 1000))) {
        if (s->is_paused) /* it may have answered: we do not read */
            life_move(s, LIFE_ALIVE);
        else
            session_close(s, CLOSE_NO_PONG);
    }
    while ((s = due(e, LIFE_CLOSING, CLOSE_WAIT_MS))) {
        session_kill(s);
        life_move(s, LIFE_CLOSING); /* it leaves when libwebsockets says so */
    }
}
