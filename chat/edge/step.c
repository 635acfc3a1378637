/*
 * Steps of the core: an event in, its actions carried out; jobs to the store and back.
 *
 * Carrying out never calls the core again. Whoever has to go in the middle of it is told to the core right after.
 */
#include "chat/edge/internal.h"

static void send_to_all(struct edge *e, const struct chat_action *a)
{
    bool is_written[WIRE_PROFILES] = {false};

    for (size_t i = 0; i < a->conns_n; i++) {
        struct session *s = a->conns[i]->edge;
        enum wire_profile profile = wire_conn_profile(s->wire);
        if (lag_takes(s, a->push)) {
            if (a->push->number)
                chat_left_out(a->conns[i]);
            continue;
        }
        if (!is_written[profile] && wire_write(e->o.wire, a->push, profile, &e->json[profile]) != RC_OK) {
            log_note(LOG_ERROR, "push", "a push could not be written");
            return;
        }
        is_written[profile] = true;
        if (queue_json(s, buf_slice(&e->json[profile])) && a->push->number)
            chat_sent(a->conns[i], a->push->number, wire_conn_records(s->wire) - 1);
    }
}

static void carry_out(struct edge *e, const struct chat_action *a)
{
    switch (a->kind) {
    case ACT_SEND:
        send_to_all(e, a);
        break;
    case ACT_ONLINE:
        for (size_t i = 0; i < a->conns_n; i++)
            queue_online(a->conns[i]->edge);
        break;
    case ACT_PRESENCE:
        for (size_t i = 0; i < a->conns_n; i++)
            queue_presence(a->conns[i]->edge);
        break;
    case ACT_REAUTH:
        session_ask_reauth(a->conns[0]->edge);
        break;
    case ACT_PING:
        queue_ping(a->conns[0]->edge, &a->ping);
        break;
    case ACT_CLOSE:
        session_close(a->conns[0]->edge, a->close_code);
        break;
    case ACT_JOB:
        if (e->jobs_n++ == 0)
            e->store_moved_ms = clock_monotonic_ms();
        a->job->held = chat_job_size(a->job);
        e->jobs_bytes += a->job->held;
        news_job_made(e, a->job->kind);
        e->o.store->ops->put(e->o.store, a->job);
        break;
    }
}

static void one_step(struct edge *e, struct chat_event *ev)
{
    struct chat_actions actions;

    ev->mono_ms = clock_monotonic_ms();
    ev->time_s = clock_s();
    e->is_stepping = true;
    chat_step(e->o.chat, ev, &actions);
    for (size_t i = 0; i < actions.n; i++)
        carry_out(e, &actions.list[i]);
    e->is_stepping = false;
    chat_forget_step(e->o.chat);
    pause_look(e);
}

static void tell_departures(struct edge *e)
{
    struct session *s;

    while (!e->is_stepping && (s = STAILQ_FIRST(&e->departing))) {
        STAILQ_REMOVE_HEAD(&e->departing, in_departing);
        struct chat_event ev = {
            .kind = CHAT_DISCONNECTED, .conn = s->conn, .edge = s, .is_goodbye = session_said_goodbye(s)};
        s->is_departing = false;
        s->conn = NULL;
        one_step(e, &ev);
        if (!s->wsi)
            session_free(s);
    }
}

void edge_step(struct edge *e, struct chat_event *ev)
{
    one_step(e, ev);
    tell_departures(e);
}

void edge_depart(struct session *s)
{
    if (!s->conn || s->is_departing)
        return;
    s->is_departing = true;
    STAILQ_INSERT_TAIL(&s->edge->departing, s, in_departing);
    tell_departures(s->edge);
}

void edge_take_jobs(struct edge *e)
{
    struct chat_job_list done;
    struct chat_job *job;

    e->o.store->ops->take(e->o.store, &done);
    e->store_moved_ms = clock_monotonic_ms();
    while ((job = STAILQ_FIRST(&done))) {
        STAILQ_REMOVE_HEAD(&done, link);
        struct chat_event ev = {.kind = CHAT_DONE, .job = job};
        e->jobs_n--;
        e->jobs_bytes -= job->held;
        enum chat_job_kind kind = job->kind;
        enum rc rc = job->rc;
        edge_step(e, &ev);
        news_job_done(e, kind, rc);
    }
    pause_over(e);
}

static void deadline_reached(uv_timer_t *timer)
{
    struct chat_event ev = {.kind = CHAT_TICK};
    edge_step(timer->data, &ev);
}

void edge_arm_deadline(struct edge *e)
{
    int64_t deadline = chat_deadline(e->o.chat), now = clock_monotonic_ms();

    if (deadline == INT64_MAX)
        (void)uv_timer_stop(&e->deadline);
    else
        (void)uv_timer_start(&e->deadline, deadline_reached, deadline > now ? (uint64_t)(deadline - now) : 0, 0);
}
