/* The gate: free tries, delays that double, familiar networks, parallel tries, the file. */
#include "shared/service/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/tempdir.h"
#include "tests/unit/unit.h"

static const struct gate_limits limits = {
    .principal_free = 5,
    .principal_hold_s = 900,
    .network_free = 50,
    .network_window_s = 120,
    .forget_s = 86400,
};

#define HOME  "192.0.2.1"
#define OTHER "198.51.100.7"

static struct gate *fresh(const char *path)
{
    struct gate *g = NULL;
    assert_ok(gate_open(&limits, path, 1000, &g));
    return g;
}

static enum gate_verdict attempt(struct gate *g, const char *who, const char *from, bool right, int64_t now_s)
{
    struct gate_try t;
    enum gate_verdict v = gate_enter(g, slice_text(who), from, now_s, &t);
    if (v == GATE_OPEN)
        gate_done(g, &t, right, !right, now_s);
    return v;
}

static void fail_times(struct gate *g, const char *who, const char *from, unsigned n, int64_t now_s)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(attempt(g, who, from, false, now_s), GATE_OPEN);
}

static void gate__lets_the_free_tries_pass_and_a_good_one_after_them(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    fail_times(g, "alice", HOME, limits.principal_free - 1, 1000);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
}

static void gate__holds_even_the_right_secret_after_too_many_wrong_ones(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    fail_times(g, "alice", HOME, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_HELD);
    assert_int_equal(attempt(g, "bob", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
}

static void gate__doubles_the_delay_up_to_its_limit(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    int64_t now_s = 1000;

    fail_times(g, "alice", HOME, limits.principal_free, now_s);
    for (int64_t hold = 1; hold < 1024; hold *= 2) {
        int64_t want = hold < limits.principal_hold_s ? hold : limits.principal_hold_s;
        if (want > 1)
            assert_int_equal(attempt(g, "alice", HOME, false, now_s + want - 1), GATE_HELD);
        now_s += want;
        assert_int_equal(attempt(g, "alice", HOME, false, now_s), GATE_OPEN);
    }
    assert_int_equal(attempt(g, "alice", HOME, true, now_s + limits.principal_hold_s), GATE_OPEN);
    gate_close(g);
}

static void gate__keeps_a_bucket_of_its_own_for_a_network_that_logged_in_well(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", OTHER, true, 1000), GATE_HELD);
    assert_int_equal(attempt(g, "alice", "203.0.113.9", true, 1000), GATE_HELD); /* strangers share one */
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
}

static void gate__floods_a_network_whatever_the_name_and_forgives_it_later(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    char name[16];

    for (unsigned i = 0; i < limits.network_free; i++) {
        (void)snprintf(name, sizeof(name), "user%u", i);
        assert_int_equal(attempt(g, name, HOME, false, 1000), GATE_OPEN);
    }
    assert_int_equal(attempt(g, "somebody", HOME, true, 1000), GATE_FLOODED);
    assert_int_equal(attempt(g, "somebody", OTHER, true, 1000), GATE_OPEN);
    assert_int_equal(attempt(g, "somebody", HOME, true, 1000 + limits.network_window_s), GATE_OPEN);
    gate_close(g);
}

static void gate__takes_64_bits_of_an_ipv6_address_for_one_network(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    assert_int_equal(attempt(g, "alice", "2001:db8:1:2::1", true, 1000), GATE_OPEN);
    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", "2001:db8:1:2:ffff::9", true, 1000), GATE_OPEN);
    assert_int_equal(attempt(g, "alice", "2001:db8:1:3::1", true, 1000), GATE_HELD);
    gate_close(g);
}

static void gate__gives_back_a_try_that_was_neither_right_nor_wrong(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    struct gate_try t;

    for (unsigned i = 0; i < 4 * limits.principal_free; i++) {
        assert_int_equal(gate_enter(g, slice_text("alice"), HOME, 1000, &t), GATE_OPEN);
        gate_done(g, &t, false, false, 1000);
    }
    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_HELD); /* and no network became familiar by it */
    gate_close(g);
}

static void gate__unlocks(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    fail_times(g, "alice", HOME, limits.principal_free, 1000);
    gate_unlock(g, slice_text("alice"));
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
}

static void gate__forgets_after_a_while(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    fail_times(g, "alice", HOME, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000 + limits.forget_s + 1), GATE_OPEN);
    gate_close(g);
}

static void gate__counts_from_now_when_the_clock_was_set_back(void **state)
{
    const int64_t wrong_year_s = 1000 + (int64_t)365 * 86400;

    (void)state;
    struct gate *g = fresh(NULL);
    fail_times(g, "alice", HOME, limits.principal_free, wrong_year_s);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_HELD);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000 + limits.principal_hold_s), GATE_OPEN);
    gate_close(g);
}

static void gate__takes_mapped_addresses_for_what_they_are(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    assert_int_equal(attempt(g, "alice", "::ffff:192.0.2.1", true, 1000), GATE_OPEN);
    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", "192.0.2.1", true, 1000), GATE_OPEN);
    assert_int_equal(attempt(g, "alice", "::ffff:203.0.113.9", true, 1000), GATE_HELD);
    gate_close(g);
}

static off_t file_size(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void gate__remembers_over_a_kill_and_writes_nothing_for_successes(void **state)
{
    struct tempdir dir;

    (void)state;
    tempdir_make(&dir);
    const char *path = tempdir_file(&dir, "gate");
    struct gate *g = fresh(path);
    assert_int_equal(attempt(g, "bob", HOME, true, 1000), GATE_OPEN);
    assert_ok(gate_flush(g));
    assert_int_equal(file_size(path), 0);
    fail_times(g, "alice", HOME, limits.principal_free, 1000);
    assert_ok(gate_flush(g));
    assert_true(file_size(path) > 0);
    struct gate *next = fresh(path); /* as after SIGKILL: the first was never closed */
    assert_int_equal(attempt(next, "alice", HOME, true, 1000), GATE_HELD);
    gate_close(next);
    gate_close(g);
    tempdir_remove(&dir);
}

static void gate__keeps_familiar_networks_over_an_orderly_stop(void **state)
{
    struct tempdir dir;

    (void)state;
    tempdir_make(&dir);
    const char *path = tempdir_file(&dir, "gate");
    struct gate *g = fresh(path);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
    g = fresh(path);
    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
    tempdir_remove(&dir);
}

static void gate__bounds_its_buckets(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    char name[24], from[24];

    for (unsigned i = 0; i < GATE_BUCKETS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "u%u", i);
        (void)snprintf(from, sizeof(from), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        assert_int_equal(attempt(g, name, from, false, 1000), GATE_OPEN);
    }
    assert_true(gate_buckets(g) <= GATE_BUCKETS_MAX);
    gate_close(g);
}

/* Whoever floods the gate with names and networks takes nobody's own bucket away. */
static void gate__keeps_familiar_networks_in_a_flood(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    char name[24], from[32];

    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    for (unsigned i = 0; i < GATE_BUCKETS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "u%u", i);
        (void)snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_int_equal(attempt(g, name, from, false, 1000), GATE_OPEN);
    }
    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    assert_int_equal(attempt(g, "alice", OTHER, true, 1000), GATE_HELD);
    assert_int_equal(attempt(g, "alice", HOME, true, 1000), GATE_OPEN);
    gate_close(g);
}

/* Networks are pushed out before names that are held. */
static void gate__keeps_held_names_in_a_flood_of_networks(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    char from[32];

    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    for (unsigned i = 0; i < GATE_BUCKETS_MAX; i++) {
        struct gate_try t;
        (void)snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_int_equal(gate_enter(g, slice_of(NULL, 0), from, 1000, &t), GATE_OPEN);
        gate_done(g, &t, false, true, 1000);
    }
    assert_int_equal(attempt(g, "alice", OTHER, true, 1000), GATE_HELD);
    gate_close(g);
}

/* Somebody with an account and many networks makes many familiar ones: they push out each other, not names. */
static void gate__keeps_held_names_in_a_flood_of_familiar_networks(void **state)
{
    (void)state;
    struct gate *g = fresh(NULL);
    char from[32];

    fail_times(g, "alice", OTHER, limits.principal_free, 1000);
    for (unsigned i = 0; i < GATE_BUCKETS_MAX; i++) {
        (void)snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_int_equal(attempt(g, "mallory", from, true, 1000), GATE_OPEN);
    }
    assert_int_equal(attempt(g, "alice", OTHER, true, 1000), GATE_HELD);
    gate_close(g);
}

/* --- 200 at once --- */

struct crowd {
    struct gate *gate;
    bool right;
    atomic_uint checked;
};

static void *one_of_crowd(void *arg)
{
    struct crowd *c = arg;
    struct gate_try t;

    if (gate_enter(c->gate, slice_text("alice"), HOME, 1000, &t) == GATE_OPEN) {
        atomic_fetch_add(&c->checked, 1);
        (void)usleep(1000);
        gate_done(c->gate, &t, c->right, !c->right, 1000);
    }
    return NULL;
}

static unsigned run_crowd(bool right)
{
    struct gate_limits wide = limits;
    struct crowd c = {.right = right};
    pthread_t threads[200];

    wide.network_free = 10000;
    assert_ok(gate_open(&wide, NULL, 1000, &c.gate));
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_crowd, &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    gate_close(c.gate);
    return atomic_load(&c.checked);
}

static void gate__lets_no_more_than_the_free_tries_of_200_parallel_guesses_through(void **state)
{
    (void)state;
    assert_int_equal(run_crowd(false), limits.principal_free);
}

static void gate__lets_200_parallel_good_logins_through(void **state)
{
    (void)state;
    assert_int_equal(run_crowd(true), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate__lets_the_free_tries_pass_and_a_good_one_after_them),
        cmocka_unit_test(gate__holds_even_the_right_secret_after_too_many_wrong_ones),
        cmocka_unit_test(gate__doubles_the_delay_up_to_its_limit),
        cmocka_unit_test(gate__keeps_a_bucket_of_its_own_for_a_network_that_logged_in_well),
        cmocka_unit_test(gate__floods_a_network_whatever_the_name_and_forgives_it_later),
        cmocka_unit_test(gate__takes_64_bits_of_an_ipv6_address_for_one_network),
        cmocka_unit_test(gate__gives_back_a_try_that_was_neither_right_nor_wrong),
        cmocka_unit_test(gate__unlocks),
        cmocka_unit_test(gate__forgets_after_a_while),
        cmocka_unit_test(gate__counts_from_now_when_the_clock_was_set_back),
        cmocka_unit_test(gate__takes_mapped_addresses_for_what_they_are),
        cmocka_unit_test(gate__remembers_over_a_kill_and_writes_nothing_for_successes),
        cmocka_unit_test(gate__keeps_familiar_networks_over_an_orderly_stop),
        cmocka_unit_test(gate__bounds_its_buckets),
        cmocka_unit_test(gate__keeps_familiar_networks_in_a_flood),
        cmocka_unit_test(gate__keeps_held_names_in_a_flood_of_networks),
        cmocka_unit_test(gate__keeps_held_names_in_a_flood_of_familiar_networks),
        cmocka_unit_test(gate__lets_no_more_than_the_free_tries_of_200_parallel_guesses_through),
        cmocka_unit_test(gate__lets_200_parallel_good_logins_through),
    };
    if (crypto_setup() != RC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
