/* The AS's store: what the feed tells, and no longer than it counts. */
#include "tests/unit/as_fixture.h"

static enum rc collect_item(void *ctx, const struct as_feed_item *item)
{
    return buf_printf(ctx, "%lld %s %u %.*s;", (long long)item->seq, feed_kind_name(item->kind), item->number,
                      SLICE_FMT(item->text));
}

static void assert_feed(int64_t after, int64_t now_s, const char *items, int64_t want_seq)
{
    AUTO(buf_done) struct buf seen = {0};
    int64_t seq;

    assert_ok(as_store_feed(store, after, 100, now_s, collect_item, &seen, &seq));
    assert_slice(buf_slice(&seen), items);
    assert_int_equal(seq, want_seq);
}

static void feed__tells_every_epoch_that_was_raised(void **state)
{
    struct as_keys keys = both_keys(200000);
    const struct as_rekey quiet = {.keys = &keys}, cut = {.keys = &keys, .cut_off = true};
    struct name alice = named("alice");

    (void)state;
    assert_feed(0, 2000, "", 0);
    add_keys("alice", &keys);
    assert_ok(as_store_rekey(store, &alice, &quiet, 2000));
    assert_feed(0, 2000, "", 0);
    assert_ok(as_store_rekey(store, &alice, &cut, 2000));
    assert_ok(as_store_set_disabled(store, &alice, true, 2000));
    assert_ok(as_store_set_disabled(store, &alice, true, 2000)); /* is already */
    assert_ok(as_store_set_disabled(store, &alice, false, 2000));
    assert_ok(as_store_cut_off(store, &alice, 2000));
    assert_ok(as_store_keep_profiles(store, &alice, PROFILE_SEALED, 2000));
    assert_int_equal(found("alice").epoch, 4);
    assert_ok(as_store_delete(store, &alice, 2000));
    assert_feed(0, 2000, "1 epoch 1 ;2 epoch 2 ;3 epoch 3 ;4 epoch 4 ;5 epoch 5 ;", 5);
    assert_feed(3, 2000, "4 epoch 4 ;5 epoch 5 ;", 5);
    assert_feed(5, 2000, "", 5);
    assert_feed(77, 2000, "1 epoch 1 ;2 epoch 2 ;3 epoch 3 ;4 epoch 4 ;5 epoch 5 ;", 5); /* from a lost future */
    assert_feed(4, 2000 + 30 * 86400, "5 epoch 5 ;", 5);
}

static void feed__raises_nothing_when_the_change_is_rolled_back(void **state)
{
    struct as_keys keys = both_keys(200000), bad = keys;
    const struct as_rekey cut = {.keys = &bad, .cut_off = true};
    struct name alice = named("alice");

    (void)state;
    bad.classic.n = 3;
    add_keys("alice", &keys);
    assert_rc(as_store_rekey(store, &alice, &cut, 2000), RC_BAD_ETYPE);
    assert_feed(0, 2000, "", 0);
    assert_memory_equal(sealed_login("alice").secret.key.bytes, keys.sealed.bytes, 32);
}

static void feed__forgets_orders_that_came_too_late(void **state)
{
    const struct as_feed_item notice = {.kind = FEED_NOTICE, .text = slice_text("soon")};
    const struct as_feed_item rotate = {.kind = FEED_ROTATE, .text = slice_text("chat")};
    const struct as_feed_item drain = {.kind = FEED_DRAIN, .text = slice_text("chat")};
    char text[FEED_TEXT_MAX + 2];
    struct as_feed_item longest = {.kind = FEED_NOTICE, .text = slice_of(text, FEED_TEXT_MAX + 1)};

    (void)state;
    memset(text, 'x', sizeof text);
    assert_ok(as_store_order(store, &notice, 1000));
    assert_ok(as_store_order(store, &rotate, 1000));
    assert_ok(as_store_order(store, &drain, 1030));
    assert_rc(as_store_order(store, &longest, 1030), RC_LIMIT);
    assert_feed(0, 1060, "1 notice 0 soon;2 rotate 0 chat;3 drain 0 chat;", 3);
    assert_feed(0, 1061, "2 rotate 0 chat;3 drain 0 chat;", 3);
    assert_feed(0, 4601, "", 3);
}

static void tgs_key_rotation__is_told_by_the_feed(void **state)
{
    struct key first, next, got;

    (void)state;
    assert_rc(as_store_rotate_tgs_key(store, 2000, 1000, &next), RC_NO_KEY);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 5000, &first));
    assert_ok(as_store_add_tgs_key(store, &first));
    assert_ok(as_store_rotate_tgs_key(store, 2000, 1000, &next));
    assert_int_equal(next.kvno, 2);
    assert_int_equal(next.valid_from, 5001); /* later than the one before */
    assert_ok(as_store_tgs_key_version(store, 2, &got));
    assert_memory_equal(got.bytes, next.bytes, 32);
    assert_rc(as_store_tgs_key_version(store, 3, &got), RC_NO_KEY);
    assert_feed(0, 1000, "1 rotate 2 tgs;", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed__tells_every_epoch_that_was_raised),
        TEST(feed__raises_nothing_when_the_change_is_rolled_back),
        TEST(feed__forgets_orders_that_came_too_late),
        TEST(tgs_key_rotation__is_told_by_the_feed),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
