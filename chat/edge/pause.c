/*
 * Who sends while the store is behind is not read until it has caught up: so what waits for the disk is bounded, and
 * the network tells the senders.
 *
 * A connection is paused when its next message comes; that message is kept, and done first when reading goes on. What
 * is on its way behind it stays in the socket and in libwebsockets. Who sends nothing is not touched, and who has not
 * logged in yet is read all the same: his time to do so is limited. That a paused connection has gone is seen when it
 * is read again.
 */
#include "chat/edge/internal.h"

/* More than that part of what may wait. */
static bool is_behind(const struct edge *e, size_t part)
{
    return e->jobs_n > JOBS_MAX / part || e->jobs_bytes + chat_waiting_bytes(e->o.chat) > JOBS_BYTES_MAX / part;
}

void pause_look(struct edge *e)
{
    e->is_reading_paused = e->is_reading_paused || is_behind(e, 1);
}

bool pause_takes(struct session *s, struct slice message, bool is_binary)
{
    if (!s->edge->is_reading_paused || !wire_conn_is_authed(s->wire))
        return false;
    if (buf_add(&s->in, message) != RC_OK) {
        session_close(s, CLOSE_INTERNAL);
        return true;
    }
    s->is_paused = true;
    s->is_kept_binary = is_binary;
    TAILQ_INSERT_TAIL(&s->edge->paused, s, in_paused);
    (void)lws_rx_flow_control(s->wsi, 0);
    return true;
}

/* What may have come meanwhile is a sign of life. */
void pause_end(struct session *s)
{
    if (!s->is_paused)
        return;
    s->is_paused = false;
    TAILQ_REMOVE(&s->edge->paused, s, in_paused);
    if (s->wsi)
        (void)lws_rx_flow_control(s->wsi, 1);
    life_touch(s);
}

/* Those that wait longest first. Their messages may fill the store again. */
void pause_over(struct edge *e)
{
    struct session *s;

    if (!e->is_reading_paused || is_behind(e, 2))
        return;
    e->is_reading_paused = false;
    while (!e->is_reading_paused && (s = TAILQ_FIRST(&e->paused))) {
        AUTO(buf_done) struct buf message = buf_take(&s->in);
        pause_end(s);
        session_read(s, buf_slice(&message), s->is_kept_binary);
    }
}
