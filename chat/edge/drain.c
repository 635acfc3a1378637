/*
 * An orderly stop: accept no more, let the store do what it has, tell its results, tell everybody when to come back,
 * close them, wait a little.
 *
 * From the beginning of the drain nothing is read from clients any more: what was acknowledged is stored, and what was
 * not they will send again.
 */
#include "chat/edge/internal.h"

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

void drain_begin(struct edge *e)
{
    if (e->drain != DRAIN_NONE)
        return;
    log_note(LOG_INFO, "stopping", "%zu connections, %zu jobs", e->sessions_n, e->jobs_n);
    listen_stop(e);
    e->drain = DRAIN_JOBS;
    e->drain_until_ms = clock_monotonic_ms() + DRAIN_WAIT_MS;
    (void)uv_timer_start(&e->again, look, 0, 20);
}

void drain_look(struct edge *e)
{
    bool is_late = clock_monotonic_ms() >= e->drain_until_ms;

    if (e->drain == DRAIN_JOBS && (e->jobs_n == 0 || is_late)) {
        edge_step(e, &(struct chat_event){.kind = CHAT_LEAVING});
        close_all(e, LIFE_ALIVE);
        close_all(e, LIFE_PINGED);
        e->drain = DRAIN_SESSIONS;
        e->drain_until_ms = clock_monotonic_ms() + DRAIN_WAIT_MS;
    } else if (e->drain == DRAIN_SESSIONS && ((e->sessions_n == 0 && e->jobs_n == 0) || is_late)) {
        e->drain = DRAIN_OVER;
        uv_stop(&e->loop);
    }
}
