/* The feed of the AS as a source: what the TGS is told, and that nobody else is. */
#include "tests/unit/unit.h"

#include "as/feed.h"
#include "tests/unit/as_world.h"

static struct as_feed feed;

static int begin(void **state)
{
    struct as_store *reader;

    start(state);
    assert_ok(as_store_open(&conf, DB_READ, &reader));
    assert_ok(as_feed_open(&conf, reader, fake_clock, &feed));
    return 0;
}

static int end(void **state)
{
    as_feed_stop(&feed);
    as_feed_close(&feed);
    return stop(state);
}

/* Asks as the TGS does and opens the answer; the items as one line of text. */
static int ask(const struct key *key, const char *reader, int64_t after, struct buf *ret, int64_t *ret_seq)
{
    AUTO(buf_done) struct buf plain = {0}, envelope = {0}, request = {0};
    AUTO(json_done) json_t *outer = NULL, *inner = NULL;
    uint8_t place[8];
    json_t *item;
    size_t i;

    put_u64be(place, (uint64_t)after);
    struct bound b = {conf.realm_name, "", reader, SLICE(place)};
    assert_ok(buf_printf(&plain, "{\"after\":%lld,\"nonce\":\"" NONCE "\",\"wait\":false}", (long long)after));
    seal_text(key, LABEL_EPOCHS, &b, buf_cstr(&plain), &envelope);
    assert_ok(buf_printf(&request, "{\"v\":1,\"service\":\"%s\",\"after\":%lld,\"feed\":\"%s\"}", reader,
                         (long long)after, buf_cstr(&envelope)));
    const struct http_request http = {buf_slice(&request), "127.0.0.1", "op"};
    struct http_reply reply = {.status = 200};
    feed_server_post(feed.server, &http, &reply);
    AUTO(buf_done) struct buf answer = buf_take(&reply.body);
    if (reply.status != 200)
        return reply.status;
    assert_ok(json_parse_object(buf_slice(&answer), JSON_DEPTH_HTTP, &outer));
    *ret_seq = number(outer, "seq");
    put_u64be(place, (uint64_t)*ret_seq);
    assert_ok(unseal_text(key, LABEL_EPOCHS, &b, member(outer, "feed"), &inner));
    json_array_foreach (json_object_get(inner, "items"), i, item)
        assert_ok(buf_printf(ret, "%s%s%s;", json_string_value(json_object_get(item, "kind")),
                             json_object_get(item, "text") ? " " : "",
                             json_object_get(item, "text") ? json_string_value(json_object_get(item, "text")) : ""));
    return 200;
}

static void tgs__is_told_of_a_cut_off_made_by_another_handle(void **state)
{
    AUTO(buf_done) struct buf items = {0};
    struct name name = named("alice");
    int64_t seq;

    (void)state;
    assert_int_equal(ask(&tgs, "tgs", 0, &items, &seq), 200);
    assert_int_equal(items.n, 0);
    assert_int_equal(seq, 0);
    assert_ok(as_store_set_disabled(store, &name, true, NOW));
    assert_int_equal(ask(&tgs, "tgs", 0, &items, &seq), 200);
    assert_slice(buf_slice(&items), "epoch;");
    assert_int_equal(seq, 1);
    buf_reset(&items);
    assert_int_equal(ask(&tgs, "tgs", 1, &items, &seq), 200);
    assert_int_equal(items.n, 0);
}

static void feed__is_told_to_nobody_but_the_tgs(void **state)
{
    AUTO(buf_done) struct buf items = {0};
    struct key other = tgs, unknown = tgs;
    int64_t seq;

    (void)state;
    other.bytes[0] ^= 1;
    unknown.kvno = 9;
    assert_int_equal(ask(&other, "tgs", 0, &items, &seq), 401);
    assert_int_equal(ask(&unknown, "tgs", 0, &items, &seq), 401);
    assert_int_equal(ask(&tgs, "chat", 0, &items, &seq), 401);
}

static void rotation__brings_the_tgs_its_next_key(void **state)
{
    AUTO(buf_done) struct buf items = {0};
    struct key next, got;
    int64_t seq;

    (void)state;
    assert_ok(as_store_rotate_tgs_key(store, NOW + 60, NOW, &next));
    assert_int_equal(ask(&tgs, "tgs", 0, &items, &seq), 200);
    assert_non_null(memmem(items.p, items.n, "rotate", 6));
    assert_ok(as_store_tgs_key_version(feed.store, 4, &got));
    assert_memory_equal(got.bytes, next.bytes, 32);
    buf_reset(&items);
    assert_int_equal(ask(&next, "tgs", 0, &items, &seq), 200); /* the next version opens the feed as well */
}

static void rotation__is_passed_over_once_its_key_is_purged(void **state)
{
    AUTO(buf_done) struct buf items = {0};
    struct name name = named("alice");
    struct key next, last;
    int64_t seq;
    unsigned n;

    (void)state;
    assert_ok(as_store_rotate_tgs_key(store, NOW - 20, NOW, &next));
    assert_ok(as_store_rotate_tgs_key(store, NOW - 10, NOW, &last));
    assert_ok(as_store_set_disabled(store, &name, true, NOW));
    assert_ok(as_store_purge_tgs_keys(store, NOW - 11, &n)); /* the last was not in use then */
    assert_int_equal(n, 1);
    assert_ok(as_store_tgs_key_version(feed.store, next.kvno, &next));
    assert_ok(as_store_purge_tgs_keys(store, NOW - 10, &n));
    assert_int_equal(n, 1);
    assert_int_equal(ask(&last, "tgs", 0, &items, &seq), 200);
    assert_slice(buf_slice(&items), "rotate;epoch;");
}

static void purge__leaves_the_key_in_use(void **state)
{
    struct key next, got;
    unsigned n;

    (void)state;
    assert_ok(as_store_purge_tgs_keys(store, INT64_MAX, &n));
    assert_int_equal(n, 0);
    assert_ok(as_store_rotate_tgs_key(store, NOW + 60, NOW, &next));
    assert_ok(as_store_purge_tgs_keys(store, NOW, &n));
    assert_int_equal(n, 0);
    assert_ok(as_store_tgs_key(store, NOW, &got));
    assert_int_equal(got.kvno, next.kvno - 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(tgs__is_told_of_a_cut_off_made_by_another_handle),
        TEST(feed__is_told_to_nobody_but_the_tgs),
        TEST(rotation__brings_the_tgs_its_next_key),
        TEST(rotation__is_passed_over_once_its_key_is_purged),
        TEST(purge__leaves_the_key_in_use),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
