/* Each label that a connection asked with is answered exactly once. */
#include "tests/sim/sim.h"

#include <stdlib.h>

struct sim_label {
    STAILQ_ENTRY(sim_label) link;
    struct buf text;
};

static void drop(struct sim_conn *conn, struct sim_label *label)
{
    STAILQ_REMOVE(&conn->asked, label, sim_label, link);
    buf_done(&label->text);
    free(label);
}

void sim_asked(struct sim_conn *conn, struct slice label)
{
    if (label.n == 0)
        return;
    struct sim_label *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    assert_ok(buf_add(&l->text, label));
    STAILQ_INSERT_TAIL(&conn->asked, l, link);
}

void sim_answered(const struct sim *s, struct sim_conn *conn, struct slice label)
{
    struct sim_label *l;

    if (label.n == 0)
        return;
    STAILQ_FOREACH (l, &conn->asked, link)
        if (slice_eq(buf_slice(&l->text), label)) {
            drop(conn, l);
            return;
        }
    sim_stop(s, "%s has a reply with label %.*s, which was answered or never asked with", conn->name, SLICE_FMT(label));
}

void sim_forget_asked(struct sim_conn *conn)
{
    while (!STAILQ_EMPTY(&conn->asked))
        drop(conn, STAILQ_FIRST(&conn->asked));
}

void sim_check_answered(const struct sim *s)
{
    const struct sim_conn *conn;

    TAILQ_FOREACH (conn, &s->conns, link) {
        const struct sim_label *l = STAILQ_FIRST(&conn->asked);
        if (l && !conn->is_closed)
            sim_stop(s, "%s has no reply with label %.*s", conn->name, SLICE_FMT(buf_slice(&l->text)));
    }
}
