/* Replayed frames: windows of stamps by ticket. */
#include "chat/wire/stamps.h"
#include "tests/unit/unit.h"

#define NOW  1790000000
#define KEEP 600

static struct stamps *all;
static struct stamps_window *alice, *bob;

static struct stamps_window *hold(uint8_t ticket, uint8_t client)
{
    uint8_t ticket_id[ID_LEN] = {0}, client_id[ID_LEN] = {0};

    ticket_id[0] = ticket;
    client_id[0] = client;
    struct stamps_window *w = stamps_hold(all, ticket_id, client_id);
    assert_non_null(w);
    return w;
}

static int setup(void **state)
{
    (void)state;
    all = stamps_new(KEEP);
    assert_non_null(all);
    alice = hold(1, 'a');
    bob = hold(2, 'b');
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stamps_free(all);
    return 0;
}

/* Frame number n, stamped at NOW + at, comes at NOW + when. */
static enum rc come(struct stamps_window *w, uint64_t n, int64_t at, int64_t when)
{
    uint8_t digest[SHA256_LEN] = {0};

    put_u64be(digest, n);
    return stamps_check(w, NOW + at, digest, NOW + when);
}

static void frame__is_accepted_once_under_a_ticket(void **state)
{
    (void)state;
    assert_ok(come(alice, 1, 0, 0));
    assert_rc(come(alice, 1, 0, 0), RC_REPEAT);
    assert_rc(come(alice, 1, 1, 1), RC_REPEAT);
    assert_rc(come(alice, 1, -1, 0), RC_REPEAT);
    assert_ok(come(alice, 2, 0, 0));
    assert_ok(come(bob, 1, 0, 0)); /* under another ticket it does not even open */
}

static void stamp__is_old_ten_seconds_behind_the_newest(void **state)
{
    (void)state;
    assert_ok(come(alice, 1, 100, 0));
    assert_ok(come(alice, 2, 90, 0));
    assert_rc(come(alice, 3, 89, 0), RC_REPEAT);
    assert_ok(come(alice, 4, 99, 0));
    assert_ok(come(alice, 5, 90, 0)); /* a stamp that is not the newest moves nothing */
    assert_ok(come(alice, 6, 105, 0));
    assert_rc(come(alice, 7, 94, 0), RC_REPEAT);
    assert_ok(come(alice, 7, 95, 0));
    assert_ok(come(bob, 3, 0, 0));
}

/* While a stamp can be accepted its frame is known, in whatever order frames came. */
static void frame__is_known_as_long_as_its_stamp_is_good(void **state)
{
    (void)state;
    assert_ok(come(alice, 1, 10, 0));
    assert_ok(come(alice, 2, 0, 0));
    assert_ok(come(alice, 3, 5, 0));
    assert_ok(come(alice, 4, 15, 0));
    assert_rc(come(alice, 1, 10, 0), RC_REPEAT);
    assert_rc(come(alice, 2, 0, 0), RC_REPEAT);
    assert_rc(come(alice, 3, 5, 0), RC_REPEAT);
    assert_ok(come(alice, 5, 20, 0));
    assert_rc(come(alice, 1, 10, 0), RC_REPEAT);
    assert_rc(come(alice, 3, 5, 0), RC_REPEAT);
}

static void ticket__is_bounded(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < STAMPS_TICKET_MAX; n++)
        assert_ok(come(alice, n, 0, 0));
    assert_rc(come(alice, STAMPS_TICKET_MAX, 0, 0), RC_RATE_LIMITED);
    assert_rc(come(alice, STAMPS_TICKET_MAX, 10, 0), RC_RATE_LIMITED);
    assert_ok(come(bob, 1, 0, 0));
    assert_ok(come(alice, STAMPS_TICKET_MAX, 11, 11)); /* the old ones have left the window */
    assert_rc(come(alice, 7, 0, 11), RC_REPEAT);
}

/* Somebody with many tickets fills his own share, not everybody's. */
static void client__is_bounded_over_his_tickets(void **state)
{
    uint64_t accepted = 0;

    (void)state;
    for (uint8_t ticket = 10; ticket < 20; ticket++) {
        struct stamps_window *w = hold(ticket, 'm');
        uint64_t n = 0;
        while (n < STAMPS_TICKET_MAX && come(w, n, 0, 0) == RC_OK)
            n++;
        accepted += n;
        stamps_release(w);
    }
    assert_int_equal(accepted, STAMPS_CLIENT_MAX);
    assert_rc(come(hold(20, 'm'), 1, 0, 0), RC_RATE_LIMITED);
    assert_ok(come(alice, 1, 0, 0));
    assert_ok(come(hold(21, 'a'), 1, 0, 0));

    /* his windows go when their stamps would be refused by the skew anyway, and with them what he held */
    assert_ok(come(bob, 2, KEEP + 31, KEEP + 31));
    assert_ok(come(hold(22, 'm'), 1, KEEP + 31, KEEP + 31));
}

static void window__outlives_its_connections(void **state)
{
    (void)state;
    assert_ok(come(alice, 1, 0, 0));
    stamps_release(alice);
    assert_ok(come(bob, 1, KEEP, KEEP)); /* a sweep: the stamp is at the edge of the skew still */
    alice = hold(1, 'a');
    assert_rc(come(alice, 1, 0, KEEP), RC_REPEAT);
    assert_rc(come(alice, 2, -11, KEEP), RC_REPEAT);
}

/* What was forgotten when the clock ran ahead does not come again when it is set back. */
static void clock__set_back_revives_nothing(void **state)
{
    (void)state;
    assert_ok(come(alice, 1, 0, 0));
    stamps_release(alice);
    assert_ok(come(bob, 1, 2000, 2000));
    alice = hold(1, 'a');
    assert_rc(come(alice, 1, 0, 0), RC_REPEAT);
    assert_rc(come(alice, 1, 0, 1), RC_REPEAT);
    assert_ok(come(alice, 2, 1400, 1400));
}

static void restart__keeps_the_newest_stamp(void **state)
{
    AUTO(buf_done) struct buf saved = {0};

    (void)state;
    assert_ok(come(alice, 1, 7, 0));
    assert_ok(come(alice, 2, 3, 0));
    assert_ok(stamps_save(all, &saved));
    stamps_free(all);
    assert_int_equal(setup(NULL), 0);
    assert_ok(stamps_restore(all, buf_slice(&saved)));
    assert_rc(come(alice, 1, 7, 0), RC_REPEAT);
    assert_rc(come(alice, 3, 7, 0), RC_REPEAT);
    assert_rc(come(alice, 3, 6, 0), RC_REPEAT);
    assert_ok(come(alice, 3, 8, 0));
    assert_ok(come(bob, 1, -100, 0)); /* nothing was accepted under his */

    buf_reset(&saved); /* once more, by somebody who was not seen since */
    assert_ok(stamps_save(all, &saved));
    stamps_free(all);
    all = stamps_new(KEEP);
    assert_non_null(all);
    assert_ok(stamps_restore(all, buf_slice(&saved)));
    buf_reset(&saved);
    assert_ok(stamps_save(all, &saved));
    stamps_free(all);
    assert_int_equal(setup(NULL), 0);
    assert_ok(stamps_restore(all, buf_slice(&saved)));
    assert_rc(come(alice, 4, 8, 0), RC_REPEAT);
    assert_ok(come(alice, 4, 9, 0));
}

static void restore__refuses_what_was_cut(void **state)
{
    AUTO(buf_done) struct buf saved = {0};

    (void)state;
    assert_ok(come(alice, 1, 7, 0));
    assert_ok(stamps_save(all, &saved));
    assert_true(saved.n > 0);
    assert_rc(stamps_restore(all, slice_of(saved.p, saved.n - 1)), RC_MALFORMED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frame__is_accepted_once_under_a_ticket),
        TEST(stamp__is_old_ten_seconds_behind_the_newest),
        TEST(frame__is_known_as_long_as_its_stamp_is_good),
        TEST(ticket__is_bounded),
        TEST(client__is_bounded_over_his_tickets),
        TEST(window__outlives_its_connections),
        TEST(clock__set_back_revives_nothing),
        TEST(restart__keeps_the_newest_stamp),
        TEST(restore__refuses_what_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
