/*
 * An orderly stop: accept no more, let the store do what it has, tell its results, tell everybody when to come back,
 * close them, wait a little: 4 s for the store, 1 for it to refuse what it has not begun, 3 for the clients. A disk
 * that does not answer at all ends the rest after 12 s.
 *
 * From the beginning of the drain nothing is read from clients any more: what was acknowledged is stored, and what was
 * not they will send again.
 */
#include "chat/edge/internal.h"
#include "shared/service/lifecycle.h"

static void close_all(struct edge *e, enum life life)
{
    struct session *s;

    while ((s = TAILQ_FIRST(&e->life[life])))
        session_close(s, CLOSE_RESTART);
}

static void look(uv_timer_t *timer)
{
    drain_look(timer->data);
}

/* The next part of it, for at most so long. */
static void enter(struct edge *e, enum drain drain, int64_t most_ms)
{
    e->drain = drain;
    e->drain_until_ms = clock_monotonic_ms() + most_ms;
}

void drain_begin(struct edge *e)
{
    if (e->drain != DRAIN_NONE)
        return;
    log_note(LOG_INFO, "stopping", "%zu connections, %zu jobs", e->sessions_n, e->jobs_n);
    lifecycle_end_within(DRAIN_ALL_S);
    listen_stop(e);
    enter(e, DRAIN_STORE, DRAIN_STORE_MS);
    (void)uv_timer_start(&e->again, look, 0, 20);
}

/* Its senders are told `unavailable`. */
static void refuse_rest(struct edge *e)
{
    log_note(LOG_WARN, "stopping", "the store is late: %zu jobs are given up", e->jobs_n);
    e->o.store->ops->give_up(e->o.store);
    enter(e, DRAIN_REFUSE, DRAIN_REFUSE_MS);
}

static void close_sessions(struct edge *e)
{
    edge_step(e, &(struct chat_event){.kind = CHAT_LEAVING});
    close_all(e, LIFE_ALIVE);
    close_all(e, LIFE_PINGED);
    enter(e, DRAIN_CLOSE, DRAIN_CLOSE_MS);
}

void drain_look(struct edge *e)
{
    bool is_late = clock_monotonic_ms() >= e->drain_until_ms, is_idle = e->jobs_n == 0;

    if (e->drain == DRAIN_STORE && !is_idle) {
        if (is_late)
            refuse_rest(e);
    } else if (e->drain == DRAIN_STORE || (e->drain == DRAIN_REFUSE && (is_idle || is_late))) {
        close_sessions(e);
    } else if (e->drain == DRAIN_CLOSE && ((e->sessions_n == 0 && is_idle) || is_late)) {
        e->drain = DRAIN_OVER;
        uv_stop(&e->loop);
    }
}
