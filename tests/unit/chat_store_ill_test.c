/* The chat's store when its disk fails: what comes back, how it recovers, and how it is told to give up. */
#include <time.h>

#include "tests/unit/chat_store_fixture.h"

#define SOON_MS 5000

/* Somebody else writes. */
static void lock(struct bench *b, struct db *ret)
{
    char path[128];

    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_WRITE, ret));
    assert_ok(db_begin(ret));
}

/* As one batch. */
static void put_at_once(struct sqlite_store *s, struct chat_job **jobs, size_t n)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++)
        STAILQ_INSERT_TAIL(&s->queue, jobs[i], link);
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->ready);
}

static bool is_well_soon(struct bench *b)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int64_t end_ms = clock_monotonic_ms() + SOON_MS;

    while (b->store->ops->health(b->store) != RC_OK && clock_monotonic_ms() < end_ms)
        (void)nanosleep(&pause, NULL);
    return b->store->ops->health(b->store) == RC_OK;
}

static void failed_commit__changes_nothing(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;
    AUTO(db_close) struct db db = {0};

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, message_job('R', 1, 8)));
    lock(b, &db);
    sqlite3_busy_timeout(s->db.h, 10);
    assert_rc(result(b, message_job('R', 2, 8)), RC_DB);
    assert_rc(b->store->ops->health(b->store), RC_DB);
    assert_ok(result(b, history_job('R', 10, 1000)));
    db_rollback(&db);
    assert_ok(result(b, message_job('R', 2, 8)));
    assert_ok(b->store->ops->health(b->store));
}

static void sql_error__fails_all_that_writes(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(db_exec(&s->db, "CREATE TEMP TRIGGER t BEFORE INSERT ON message WHEN new.seq = 2"
                              " BEGIN SELECT abs(-9223372036854775808); END"));
    struct chat_job *batch[] = {
        history_job('R', 10, 1000), message_job('R', 1, 8),     room_job('S', "other", 0, "ab"),
        user_job('d', "dave"),      history_job('R', 10, 1000), job_of(JOB_DELETE_ROOM, 0, 'R'),
        message_job('S', 1, 8),     message_job('S', 2, 8),
    };
    put_at_once(s, batch, ARRAY_LEN(batch));
    struct chat_job *job = finish(b, ARRAY_LEN(batch)), *next;
    for (size_t i = 0; i < ARRAY_LEN(batch); i++, job = next) {
        next = STAILQ_NEXT(job, link);
        bool is_load = i == 0 || i == 4;
        assert_rc(job->rc, is_load ? RC_OK : RC_DB);
        assert_int_equal(job->rows_n, 0); /* the message before it in the batch is none */
        chat_job_free(job);
    }
    assert_ok(result(b, message_job('R', 1, 8)));
    assert_rc(result(b, message_job('S', 1, 8)), RC_NOT_FOUND);
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room R lobby/a room t0 h0 e1 check k head 1: a1m b2m\n");
}

/* Nobody sends anything: it looks by itself. And what changes nothing shows nothing. */
static void ill_store__finds_out_that_it_is_well(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;
    AUTO(db_close) struct db db = {0};

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    lock(b, &db);
    sqlite3_busy_timeout(s->db.h, 10);
    assert_rc(result(b, message_job('R', 1, 8)), RC_DB);
    assert_ok(result(b, history_job('R', 10, 1000)));
    assert_rc(b->store->ops->health(b->store), RC_DB);
    db_rollback(&db);
    assert_true(is_well_soon(b));
    assert_ok(result(b, message_job('R', 1, 8)));
}

/* It waits for a lock that is not given: told to give up, it gives back what it has, and begins nothing. */
static void give_up__fails_what_is_not_begun(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;
    AUTO(db_close) struct db db = {0};

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    lock(b, &db);
    struct chat_job *batch[] = {message_job('R', 1, 8), history_job('R', 10, 1000), message_job('R', 2, 8)};
    put_at_once(s, batch, ARRAY_LEN(batch));
    int64_t began_ms = clock_monotonic_ms();
    b->store->ops->give_up(b->store);
    struct chat_job *job = finish(b, ARRAY_LEN(batch)), *next;
    assert_true(clock_monotonic_ms() - began_ms < STORE_BUSY_MS / 2);
    for (; job; job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, RC_DB);
        chat_job_free(job);
    }
    db_rollback(&db);
    assert_rc(result(b, message_job('R', 1, 8)), RC_DB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(failed_commit__changes_nothing),
        TEST(sql_error__fails_all_that_writes),
        TEST(ill_store__finds_out_that_it_is_well),
        TEST(give_up__fails_what_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
