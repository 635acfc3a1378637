/* Which records carried which pushes: against a list that forgets nothing, on random connections. */
#include <stdlib.h>

#include "chat/core/internal.h"
#include "tests/unit/unit.h"

#define SENT_MAX 4000

struct sent {
    uint64_t record, number;
};

struct world {
    struct chat_conn conn;
    struct chat_resumable resumable;
    struct sent sent[SENT_MAX];
    size_t n;
    uint64_t begin, record, number, seed;
};

static unsigned pick(struct world *w, unsigned n)
{
    w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)((w->seed >> 33) % n);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->conn.resumable = &w->resumable;
    w->number = w->begin = 1000;
    track_start(&w->resumable.track, w->number);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    track_done(&w->resumable.track);
    free(w);
    return 0;
}

static void send(struct world *w)
{
    chat_sent(&w->conn, w->number, w->record);
    w->sent[w->n++] = (struct sent){w->record++, w->number++};
}

/* What the list says: the last number among so many records. */
static uint64_t number_at(const struct world *w, uint64_t seen)
{
    uint64_t number = w->begin;

    for (size_t i = 0; i < w->n && w->sent[i].record < seen; i++)
        number = w->sent[i].number;
    return number;
}

/* Every answer is right, and they are given from the same record on. Returns how many records are not known. */
static uint64_t check(const struct world *w)
{
    uint64_t unknown = 0, number;

    for (uint64_t seen = 0; seen <= w->record + 2; seen++) {
        bool known = track_number(&w->resumable.track, seen, &number);
        if (!known)
            assert_int_equal(unknown++, seen);
        else if (number != number_at(w, seen))
            fail_msg("%llu records: %llu and not %llu", (unsigned long long)seen, (unsigned long long)number,
                     (unsigned long long)number_at(w, seen));
    }
    return unknown;
}

static void track__knows_every_record_of_one_busy_room(void **state)
{
    struct world *w = *state;

    w->record = 1;
    w->number++;
    while (w->n < SENT_MAX)
        send(w);
    assert_int_equal(check(w), 0);
    assert_int_equal(w->resumable.track.runs_n, 1);
}

static void track__knows_the_last_records_of_many_rooms(void **state)
{
    struct world *w = *state;

    for (w->seed = 1; w->n < SENT_MAX; send(w)) {
        w->record += pick(w, 2);
        w->number += 1 + pick(w, 3);
        if (w->n % 500 == 0)
            (void)check(w);
    }
    assert_true(check(w) < w->record - CHAT_RUNS_MAX / 2);
    assert_true(w->resumable.track.runs_cap <= CHAT_RUNS_MAX);
}

static void track__of_a_quiet_connection_takes_no_memory(void **state)
{
    struct world *w = *state;

    w->record = 100;
    assert_int_equal(check(w), 0);
    assert_null(w->resumable.track.runs);
}

static void track__knows_nothing_where_something_was_left_out(void **state)
{
    struct world *w = *state;
    uint64_t number;

    send(w);
    chat_left_out(&w->conn);
    send(w);
    assert_false(track_number(&w->resumable.track, 2, &number));
    assert_null(w->resumable.track.runs);
}

static void sent__to_a_connection_that_cannot_be_resumed_is_nothing(void **state)
{
    struct world *w = *state;

    w->conn.resumable = NULL;
    send(w);
    chat_left_out(&w->conn);
    assert_int_equal(w->resumable.track.runs_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(track__knows_every_record_of_one_busy_room),
        TEST(track__knows_the_last_records_of_many_rooms),
        TEST(track__of_a_quiet_connection_takes_no_memory),
        TEST(track__knows_nothing_where_something_was_left_out),
        TEST(sent__to_a_connection_that_cannot_be_resumed_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
