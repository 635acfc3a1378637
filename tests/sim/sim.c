/* The simulated world: clocks, connections, the store, and one step of the core. */
#include "tests/sim/sim.h"

#include <stdlib.h>

void sim_stop(const struct sim *s, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fail_msg("%s:%zu: %s", s->file, s->line, text);
    abort();
}

int64_t sim_time_s(const struct sim *s)
{
    return SIM_EPOCH_S + s->wall_s + s->mono_ms / 1000;
}

/* --- the environment ---------------------------------------------------------------------------------------------- */

/* Numbers that differ and are the same in every run. */
static enum rc counted_random(void *ctx, void *p, size_t n)
{
    struct sim *s = ctx;

    memset(p, 0, n);
    assert_true(n >= 8);
    put_u64be(p, ++s->random);
    return RC_OK;
}

static void wake(void *ctx)
{
    struct sim *s = ctx;
    assert_int_equal(sem_post(&s->woken), 0);
}

static const struct envelope_key *open_key(void *ctx, uint32_t kvno)
{
    struct sim *s = ctx;
    return master_key(s->master.master, LABEL_MESSAGE, kvno);
}

static void start(struct sim *s)
{
    AUTO(buf_done) struct buf error = {0};

    if (chat_store_sqlite_open(&s->conf, &s->master, &s->store, &error) != RC_OK)
        sim_stop(s, "the store does not open: %.*s", SLICE_FMT(buf_slice(&error)));
    struct chat_env env = {
        .random = counted_random, .ctx = s, .realm = s->conf.realm, .open_key = open_key, .limits = s->limits};
    assert_ok(chat_new(&env, &s->chat));
    assert_ok(s->store->ops->restore(s->store, s->chat));
    assert_ok(s->store->ops->start(s->store, wake, s));
}

static void jobs_drop(struct chat_job_list *list)
{
    struct chat_job *job;

    while ((job = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        chat_job_free(job);
    }
}

void sim_open(struct sim *s, const char *file)
{
    memset(s, 0, sizeof(*s));
    s->file = file;
    s->limits = (struct chat_limits){
        .login_timeout_ms = 10000,
        .connections_per_user = 700,
        .rooms = 100,
        .rooms_per_user = 50,
        .room_members = 300,
        .text_bytes = 1000,
        .user_data_bytes = 100,
        .search_room_bytes = CHAT_SEARCH_ROOM_BYTES,
        .search_bytes = CHAT_SEARCH_BYTES,
    };
    s->mono_ms = 1000;
    STAILQ_INIT(&s->queued);
    STAILQ_INIT(&s->done);
    STAILQ_INIT(&s->shares);
    STAILQ_INIT(&s->tokens);
    STAILQ_INIT(&s->stored);
    TAILQ_INIT(&s->conns);
    assert_int_equal(sem_init(&s->woken, 0, 0), 0);
    state_make(&s->conf, "chat");
    start(s);
}

static void conn_forget(struct sim *s, struct sim_conn *conn)
{
    struct sim_receipt *receipt;

    sim_keep_token(s, conn);

    while ((receipt = STAILQ_FIRST(&conn->receipts))) {
        STAILQ_REMOVE_HEAD(&conn->receipts, link);
        free(receipt);
    }
    sim_forget_asked(conn);
    TAILQ_REMOVE(&s->conns, conn, link);
    free(conn);
}

static void stop(struct sim *s)
{
    struct sim_conn *conn;

    while ((conn = TAILQ_FIRST(&s->conns)))
        conn_forget(s, conn);
    chat_free(s->chat);
    s->store->ops->stop(s->store);
    master_watch_done(&s->master);
    jobs_drop(&s->queued);
    jobs_drop(&s->done);
}

void sim_close(struct sim *s)
{
    struct sim_conn *conn;
    struct sim_share *share;

    s->is_quiet = true;
    while ((conn = TAILQ_FIRST(&s->conns)))
        sim_drop(s, conn, false);
    stop(s);
    while ((share = STAILQ_FIRST(&s->shares))) {
        STAILQ_REMOVE_HEAD(&s->shares, link);
        buf_done(&share->text);
        free(share);
    }
    sim_forget_tokens(s);
    sim_forget_stored(s);
    buf_done(&s->out);
    assert_int_equal(sem_destroy(&s->woken), 0);
    state_remove(&s->conf);
}

void sim_restart(struct sim *s)
{
    stop(s);
    start(s);
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void queue_jobs(struct sim *s, const struct chat_actions *actions)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].kind == ACT_JOB) {
            sim_check_new_job(s, actions->list[i].job);
            STAILQ_INSERT_TAIL(&s->queued, actions->list[i].job, link);
        }
}

void sim_step(struct sim *s, struct chat_event *event)
{
    struct chat_actions actions;

    event->mono_ms = s->mono_ms;
    event->time_s = sim_time_s(s);
    chat_step(s->chat, event, &actions);
    queue_jobs(s, &actions);
    sim_hear(s, event, &actions);
    sim_trace(s, &actions);
    sim_check(s, event, &actions);
    sim_check_jobs(s);
}

void sim_pass(struct sim *s, int64_t ms)
{
    int64_t until = s->mono_ms + ms, at;

    while ((at = chat_deadline(s->chat)) <= until) {
        struct chat_event tick = {.kind = CHAT_TICK};
        if (at > s->mono_ms)
            s->mono_ms = at;
        sim_step(s, &tick);
        if (chat_deadline(s->chat) <= s->mono_ms)
            sim_stop(s, "a tick at its deadline leaves that deadline standing");
    }
    s->mono_ms = until;
}

/* --- the store ---------------------------------------------------------------------------------------------------- */

void sim_store(struct sim *s, size_t n)
{
    struct chat_job *job;
    struct chat_job_list some;
    size_t put = 0, back = 0;

    for (; put < n && (job = STAILQ_FIRST(&s->queued)); put++) {
        STAILQ_REMOVE_HEAD(&s->queued, link);
        s->store->ops->put(s->store, job);
    }
    while (back < put) {
        assert_int_equal(sem_wait(&s->woken), 0);
        s->store->ops->take(s->store, &some);
        STAILQ_FOREACH (job, &some, link) {
            sim_stored(s, job);
            back++;
        }
        STAILQ_CONCAT(&s->done, &some);
    }
}

void sim_answer(struct sim *s)
{
    struct chat_job *job;

    while ((job = STAILQ_FIRST(&s->done))) {
        struct chat_event event = {.kind = CHAT_DONE, .job = job};
        STAILQ_REMOVE_HEAD(&s->done, link);
        sim_step(s, &event);
    }
}

void sim_fail(struct sim *s, size_t n)
{
    struct chat_job *job;

    for (size_t i = 0; i < n && (job = STAILQ_FIRST(&s->queued)); i++) {
        STAILQ_REMOVE_HEAD(&s->queued, link);
        job->rc = RC_DB;
        STAILQ_INSERT_TAIL(&s->done, job, link);
    }
    sim_answer(s);
}

void sim_settle(struct sim *s)
{
    sim_answer(s);
    while (!STAILQ_EMPTY(&s->queued)) {
        sim_store(s, SIZE_MAX);
        sim_answer(s);
    }
    sim_check_quiet(s);
}

/* --- connections and shares --------------------------------------------------------------------------------------- */

struct sim_conn *sim_conn(struct sim *s, const char *name)
{
    struct sim_conn *conn;

    TAILQ_FOREACH (conn, &s->conns, link)
        if (strcmp(conn->name, name) == 0)
            return conn;
    return NULL;
}

struct sim_conn *sim_connect(struct sim *s, const char *name)
{
    struct sim_conn *conn = calloc(1, sizeof(*conn));
    struct chat_event event = {.kind = CHAT_CONNECTED, .edge = conn};

    assert_non_null(conn);
    (void)snprintf(conn->name, sizeof(conn->name), "%s", name);
    conn->is_hidden = s->is_quiet;
    STAILQ_INIT(&conn->receipts);
    STAILQ_INIT(&conn->heard);
    STAILQ_INIT(&conn->asked);
    TAILQ_INSERT_TAIL(&s->conns, conn, link);
    sim_step(s, &event);
    conn->core = event.conn;
    assert_ptr_equal(conn->core->edge, conn);
    return conn;
}

void sim_drop(struct sim *s, struct sim_conn *conn, bool is_goodbye)
{
    struct chat_event event = {.kind = CHAT_DISCONNECTED, .conn = conn->core, .is_goodbye = is_goodbye};

    conn->is_closed = true;
    sim_step(s, &event);
    conn_forget(s, conn);
}

struct sim_share *sim_share(struct sim *s, struct slice room, struct slice user)
{
    struct sim_share *share;

    STAILQ_FOREACH (share, &s->shares, link)
        if (slice_eq(name_slice(&share->room), room) && slice_eq(name_slice(&share->user), user))
            return share;
    return NULL;
}
