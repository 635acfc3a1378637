/* What is said in rooms is handed out once and in order: pushes, gaps, pages, new connections. */
#include <limits.h>
#include <stdlib.h>

#include "client/chat_feed.h"
#include "client/chat_retry.h"
#include "tests/unit/unit.h"

struct world {
    struct chat_feed *feed;
    struct buf out;   /* what was handed out, and asked for */
    uint64_t last_id; /* of a request */
    bool is_deaf;     /* nothing can be sent */
    int64_t now_ms;
};

static void hand_out(void *ctx, json_t *message)
{
    struct world *w = ctx;
    const char *type = json_string_value(json_object_get(message, "type"));
    const json_t *said = json_object_get(message, type);

    assert_ok(buf_printf(&w->out, "%c%s:%lld ", type[0], json_string_value(json_object_get(message, "room")),
                         json_integer_value(json_object_get(said, "seq"))));
}

static enum rc ask(void *ctx, const char *room, int64_t after, uint64_t *ret_id)
{
    struct world *w = ctx;

    if (w->is_deaf)
        return RC_LIMIT;
    *ret_id = ++w->last_id;
    assert_ok(buf_printf(&w->out, "?%s>%lld ", room, (long long)after));
    return RC_OK;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->now_ms = 1000;
    w->feed = feed_new(&(struct feed_ops){hand_out, ask, w});
    assert_non_null(w->feed);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    feed_free(w->feed);
    buf_done(&w->out);
    free(w);
    return 0;
}

static json_t *read_json(const char *text)
{
    json_t *j = NULL;

    assert_ok(json_parse_object(slice_text(text), JSON_DEPTH_CHAT, &j));
    return j;
}

#define assert_out(w, want)                         \
    do {                                            \
        assert_slice(buf_slice(&(w)->out), (want)); \
        buf_reset(&(w)->out);                       \
    } while (0)

static void login(struct world *w, const char *text)
{
    AUTO(json_done) json_t *j = read_json(text);
    feed_login(w->feed, j, w->now_ms);
}

static bool takes(struct world *w, const char *text, uint64_t id)
{
    AUTO(json_done) json_t *j = read_json(text);
    return feed_takes(w->feed, j, id, w->now_ms);
}

static void push(struct world *w, const char *kind, const char *room, int seq)
{
    AUTO(json_done) json_t *j = json_pack("{s:s, s:s, s:{s:i}}", "type", kind, "room", room, kind, "seq", seq);
    assert_true(feed_takes(w->feed, j, 0, w->now_ms));
}

/* A page of numbers from first to last. */
static void page(struct world *w, uint64_t id, int first, int last, int head)
{
    json_t *rows = json_array();

    for (int i = first; i <= last; i++)
        assert_int_equal(json_array_append_new(rows, json_pack("{s:i}", "seq", i)), 0);
    AUTO(json_done)
    json_t *j = json_pack("{s:s, s:{s:s}, s:o, s:i, s:b}", "type", "room_messages", "room", "room", "r", "messages",
                          rows, "head", head, "more_after", last < head);
    assert_true(feed_takes(w->feed, j, id, w->now_ms));
}

#define ROOM(head)           "{\"room\":\"r\",\"threshold\":0,\"head\":" #head "}"
#define SEALED(head, opened) "{\"room\":\"r\",\"threshold\":2,\"opened\":" #opened ",\"head\":" #head "}"
#define LOGIN(rooms, more)   "{\"type\":\"handshake\",\"history_id\":\"h1\",\"rooms\":[" rooms "]" more "}"
#define RESUMED              ",\"resumed\":true"

static void feed__hands_out_what_follows_and_nothing_twice(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(7), ""));
    push(w, "new_message", "r", 8);
    push(w, "edited", "r", 9);
    push(w, "new_message", "r", 8);
    push(w, "deleted", "r", 10);
    push(w, "new_message", "r", 7);
    push(w, "new_message", "other", 3); /* a room that it has not heard of begins where it begins */
    push(w, "new_message", "other", 4);
    assert_out(w, "nr:8 er:9 dr:10 nother:3 nother:4 ");
}

static void feed__asks_for_a_gap_once_and_leaves_the_rest_to_the_pages(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    push(w, "new_message", "r", 4);
    push(w, "new_message", "r", 5);
    assert_out(w, "?r>1 ");
    page(w, 1, 2, 3, 5);
    assert_out(w, "nr:2 nr:3 ?r>3 ");
    page(w, 2, 4, 5, 5);
    push(w, "new_message", "r", 6);
    assert_out(w, "nr:4 nr:5 nr:6 ");
}

static void feed__reads_what_a_connection_has_missed(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    push(w, "new_message", "r", 2);
    feed_lost(w->feed);
    login(w, LOGIN(ROOM(4), ",\"resumed\":false"));
    assert_out(w, "nr:2 ?r>2 ");
    push(w, "new_message", "r", 5);
    page(w, 1, 3, 5, 5);
    assert_out(w, "nr:3 nr:4 nr:5 ");
}

static void feed__asks_nothing_when_it_was_resumed_but_for_what_was_missing_before(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    login(w, LOGIN(ROOM(3), RESUMED));
    push(w, "new_message", "r", 2);
    push(w, "new_message", "r", 3);
    assert_out(w, "nr:2 nr:3 ");
    push(w, "new_message", "r", 5);
    login(w, LOGIN(ROOM(5), RESUMED)); /* the page that was asked for has never come */
    assert_out(w, "?r>3 ?r>3 ");
}

static void feed__asks_a_room_that_was_made_meanwhile_from_its_beginning(void **state)
{
    struct world *w = *state;

    login(w, LOGIN("", ""));
    login(w, LOGIN(ROOM(2), ",\"resumed\":false"));
    assert_out(w, "?r>0 ");
    login(w, LOGIN("", ",\"resumed\":false"));
    assert_false(takes(w, "{\"type\":\"new_room\",\"room\":" ROOM(0) "}", 0));
    push(w, "new_message", "r", 1); /* another one of that id */
    assert_out(w, "nr:1 ");
}

static void feed__waits_for_a_closed_room(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(SEALED(1, true), ""));
    push(w, "new_message", "r", 3);
    assert_out(w, "?r>1 ");
    assert_true(takes(w, "{\"type\":\"error\",\"code\":\"room_closed\"}", 1));
    assert_int_equal(feed_poll(w->feed, w->now_ms), INT_MAX);
    login(w, LOGIN(SEALED(3, false), ""));
    assert_out(w, "");
    assert_false(takes(
        w,
        "{\"type\":\"room_messages\",\"room\":" SEALED(3, true) ",\"messages\":[{\"seq\":1},{\"seq\":2},{\"seq\":3}]}",
        0)); /* all that was missing */
    push(w, "new_message", "r", 4);
    assert_out(w, "nr:4 ");
}

static void feed__takes_out_of_a_rooms_newest_what_would_leave_a_gap(void **state)
{
    struct world *w = *state;
    AUTO(json_done)
    json_t *newest =
        read_json("{\"type\":\"room_messages\",\"room\":" SEALED(9, true) ",\"messages\":[{\"seq\":8},{\"seq\":9}]}");

    login(w, LOGIN(SEALED(5, true), ""));
    assert_false(feed_takes(w->feed, newest, 0, w->now_ms));
    assert_int_equal(json_array_size(json_object_get(newest, "messages")), 0);
    page(w, 1, 6, 9, 9);
    assert_out(w, "?r>5 nr:6 nr:7 nr:8 nr:9 ");
}

static void feed__goes_on_behind_what_is_kept_no_more(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    login(w, LOGIN(ROOM(8), ",\"resumed\":false"));
    page(w, 1, 6, 7, 8); /* 8 does not open */
    page(w, 2, 9, 8, 8); /* empty */
    push(w, "new_message", "r", 9);
    assert_out(w, "?r>1 nr:6 nr:7 ?r>7 nr:9 ");
}

static void feed__asks_again_when_it_is_told_to_wait_and_when_it_could_not_ask(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    push(w, "new_message", "r", 3);
    assert_true(takes(w, "{\"type\":\"error\",\"code\":\"rate_limited\",\"retry_after_ms\":70}", 1));
    assert_int_equal(feed_poll(w->feed, w->now_ms), 70);
    w->is_deaf = true;
    assert_int_equal(feed_poll(w->feed, w->now_ms += 70), FEED_AGAIN_MS);
    w->is_deaf = false;
    assert_int_equal(feed_poll(w->feed, w->now_ms += FEED_AGAIN_MS), INT_MAX);
    assert_out(w, "?r>1 ?r>1 ");
}

/* The largest number there is, added to the time, would be in the past: it would be asked without a pause. */
static void feed__waits_no_longer_than_it_would_by_itself(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    push(w, "new_message", "r", 3);
    assert_true(takes(w, "{\"type\":\"error\",\"code\":\"rate_limited\",\"retry_after_ms\":9223372036854775807}", 1));
    assert_int_equal(feed_poll(w->feed, w->now_ms), RETRY_MAX_MS);
    assert_out(w, "?r>1 ");
}

static void feed__reads_on_where_a_slow_reader_was_left(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    assert_true(takes(w, "{\"type\":\"lagged\",\"room\":\"r\",\"from_seq\":2}", 0));
    assert_true(takes(w, "{\"type\":\"lagged\",\"room\":\"nowhere\",\"from_seq\":2}", 0));
    assert_out(w, "?r>1 ");
}

static void feed__tells_another_history_from_its_beginning(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(5) ",{\"room\":\"quiet\",\"threshold\":0,\"head\":5}", ""));
    push(w, "new_message", "r", 6);
    login(w, "{\"type\":\"handshake\",\"history_id\":\"h2\",\"rooms\":[" ROOM(
                 3) ",{\"room\":\"quiet\",\"threshold\":0,\"head\":4}]}");
    page(w, 1, 1, 3, 3);
    push(w, "new_message", "quiet", 5);
    assert_out(w, "nr:6 ?r>0 nr:1 nr:2 nr:3 nquiet:5 ");
}

static void feed__leaves_alone_what_is_not_its_own(void **state)
{
    struct world *w = *state;

    login(w, LOGIN(ROOM(1), ""));
    assert_false(takes(w, "{\"type\":\"ack\"}", 7));
    assert_false(takes(w, "{\"type\":\"error\",\"code\":\"internal\"}", 7));
    assert_false(takes(
        w, "{\"type\":\"room_messages\",\"room\":" ROOM(1) ",\"messages\":[{\"seq\":9}],\"more_after\":false}", 7));
    assert_false(takes(w, "{\"type\":\"close_room\",\"room\":" ROOM(1) ",\"reason\":\"deleted\"}", 0));
    assert_true(takes(w, "{\"type\":\"new_message\"}", 0)); /* of no room, with no number */
    assert_true(takes(w, "{\"type\":\"new_message\",\"room\":7,\"new_message\":[]}", 0));
    assert_out(w, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(feed__hands_out_what_follows_and_nothing_twice),
        TEST(feed__asks_for_a_gap_once_and_leaves_the_rest_to_the_pages),
        TEST(feed__reads_what_a_connection_has_missed),
        TEST(feed__asks_nothing_when_it_was_resumed_but_for_what_was_missing_before),
        TEST(feed__asks_a_room_that_was_made_meanwhile_from_its_beginning),
        TEST(feed__waits_for_a_closed_room),
        TEST(feed__takes_out_of_a_rooms_newest_what_would_leave_a_gap),
        TEST(feed__goes_on_behind_what_is_kept_no_more),
        TEST(feed__asks_again_when_it_is_told_to_wait_and_when_it_could_not_ask),
        TEST(feed__waits_no_longer_than_it_would_by_itself),
        TEST(feed__reads_on_where_a_slow_reader_was_left),
        TEST(feed__tells_another_history_from_its_beginning),
        TEST(feed__leaves_alone_what_is_not_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
