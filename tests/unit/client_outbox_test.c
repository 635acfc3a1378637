/* What a person says goes to the chat in order and once, over lost connections and closed rooms. */
#include <limits.h>
#include <stdlib.h>

#include "client/chat_outbox.h"
#include "tests/unit/unit.h"

struct world {
    struct chat_outbox *outbox;
    struct buf out;   /* what was sent (id and text), told and refused */
    uint64_t last_id; /* of a request */
    bool is_deaf;     /* nothing can be sent */
    int64_t now_ms;
};

static const char *text_of(const json_t *message)
{
    return json_string_value(json_object_get(message, "message"));
}

static enum rc send_now(void *ctx, const json_t *message, uint64_t *ret_id)
{
    struct world *w = ctx;

    if (w->is_deaf)
        return RC_LIMIT;
    *ret_id = ++w->last_id;
    assert_ok(buf_printf(&w->out, "%llu:%s ", (unsigned long long)*ret_id, text_of(message)));
    return RC_OK;
}

static void waits(void *ctx, const json_t *message, enum outbox_wait why)
{
    static const char *const words[] = {
        [OUTBOX_CONNECTION] = "connection", [OUTBOX_ROOM] = "room", [OUTBOX_SERVER] = "server"};
    struct world *w = ctx;

    assert_ok(buf_printf(&w->out, "%s(%s) ", words[why], text_of(message)));
}

static void refused(void *ctx, const json_t *message, const json_t *error)
{
    struct world *w = ctx;

    assert_ok(buf_printf(&w->out, "%s!%s ", text_of(message), json_string_value(json_object_get(error, "code"))));
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->now_ms = 1000;
    w->outbox = outbox_new(&(struct outbox_ops){send_now, waits, refused, w});
    assert_non_null(w->outbox);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    outbox_free(w->outbox);
    buf_done(&w->out);
    free(w);
    return 0;
}

static enum rc add(struct world *w, const char *room, const char *text)
{
    return outbox_add(w->outbox, json_pack("{s:s, s:s}", "room", room, "message", text));
}

static int poll_now(struct world *w)
{
    return outbox_poll(w->outbox, w->now_ms);
}

static bool answer(struct world *w, uint64_t id, const char *text)
{
    AUTO(json_done) json_t *j = NULL;

    assert_ok(json_parse_object(slice_text(text), JSON_DEPTH_CHAT, &j));
    return outbox_takes(w->outbox, j, id, w->now_ms);
}

static void ack(struct world *w, uint64_t id)
{
    assert_true(answer(w, id, "{\"type\":\"ack\"}"));
    (void)poll_now(w);
}

static void closed(struct world *w, uint64_t id)
{
    assert_true(answer(w, id, "{\"type\":\"error\",\"code\":\"room_closed\"}"));
    (void)poll_now(w);
}

#define assert_out(w, want)                         \
    do {                                            \
        assert_slice(buf_slice(&(w)->out), (want)); \
        buf_reset(&(w)->out);                       \
    } while (0)

static void outbox__sends_one_after_the_other(void **state)
{
    struct world *w = *state;

    assert_ok(add(w, "r", "a"));
    assert_ok(add(w, "r", "b"));
    assert_int_equal(poll_now(w), INT_MAX);
    assert_int_equal(poll_now(w), INT_MAX);
    assert_out(w, "1:a ");
    assert_false(answer(w, 7, "{\"type\":\"ack\"}"));
    assert_false(answer(w, 0, "{\"type\":\"new_message\"}"));
    ack(w, 1);
    assert_false(answer(w, 1, "{\"type\":\"ack\"}"));
    assert_true(outbox_is_busy(w->outbox));
    ack(w, 2);
    assert_out(w, "2:b ");
    assert_false(outbox_is_busy(w->outbox));
}

static void outbox__sends_again_what_a_lost_connection_left_unanswered(void **state)
{
    struct world *w = *state;

    assert_ok(add(w, "r", "a"));
    assert_ok(add(w, "r", "b"));
    (void)poll_now(w);
    outbox_lost(w->outbox);
    assert_ok(add(w, "r", "c"));
    assert_int_equal(poll_now(w), INT_MAX);
    assert_out(w, "1:a connection(a) connection(b) connection(c) ");
    assert_false(answer(w, 1, "{\"type\":\"ack\"}"));
    outbox_lost(w->outbox); /* told once */
    outbox_back(w->outbox);
    (void)poll_now(w);
    ack(w, 2);
    ack(w, 3);
    ack(w, 4);
    assert_out(w, "2:a 3:b 4:c ");
    assert_false(outbox_is_busy(w->outbox));
}

static void outbox__keeps_what_is_for_a_closed_room_and_sends_the_rest(void **state)
{
    struct world *w = *state;

    assert_ok(add(w, "sealed", "a"));
    assert_ok(add(w, "sealed", "b"));
    assert_ok(add(w, "r", "c"));
    (void)poll_now(w);
    closed(w, 1);
    assert_ok(add(w, "sealed", "d"));
    assert_out(w, "1:a room(a) room(b) 2:c room(d) ");
    outbox_open(w->outbox, slice_text("other"));
    ack(w, 2);
    assert_false(outbox_is_busy(w->outbox));
    assert_out(w, "");
    outbox_open(w->outbox, slice_text("sealed"));
    (void)poll_now(w);
    ack(w, 3);
    ack(w, 4);
    ack(w, 5);
    assert_out(w, "3:a 4:b 5:d ");
}

/* The answer to the first may be lost: a server whose room is closed knows that it is stored. */
static void outbox__asks_again_for_a_closed_room_on_a_new_connection(void **state)
{
    struct world *w = *state;

    assert_ok(add(w, "sealed", "a"));
    assert_ok(add(w, "sealed", "b"));
    (void)poll_now(w);
    outbox_lost(w->outbox);
    outbox_back(w->outbox);
    (void)poll_now(w);
    ack(w, 2);
    closed(w, 3);
    assert_out(w, "1:a connection(a) connection(b) 2:a 3:b room(b) ");
    outbox_lost(w->outbox);
    outbox_back(w->outbox);
    (void)poll_now(w);
    closed(w, 4);
    assert_out(w, "4:b ");
}

static void outbox__waits_as_long_as_it_is_told(void **state)
{
    struct world *w = *state;

    assert_ok(add(w, "r", "a"));
    assert_ok(add(w, "r", "b"));
    (void)poll_now(w);
    assert_true(answer(w, 1, "{\"type\":\"error\",\"code\":\"rate_limited\",\"retry_after_ms\":250}"));
    assert_int_equal(poll_now(w), 250);
    w->now_ms += 250;
    assert_int_equal(poll_now(w), INT_MAX);
    assert_true(answer(w, 2, "{\"type\":\"error\",\"code\":\"unavailable\"}"));
    assert_int_equal(poll_now(w), OUTBOX_AGAIN_MS);
    assert_out(w, "1:a 2:a server(a) ");
    w->now_ms += OUTBOX_AGAIN_MS;
    w->is_deaf = true;
    assert_int_equal(poll_now(w), OUTBOX_AGAIN_MS);
    w->is_deaf = false;
    w->now_ms += OUTBOX_AGAIN_MS;
    (void)poll_now(w);
    assert_out(w, "3:a ");
}

static void outbox__hands_back_what_is_refused(void **state)
{
    struct world *w = *state;

    assert_ok(add(w, "r", "a"));
    assert_ok(add(w, "r", "b"));
    (void)poll_now(w);
    assert_true(answer(w, 1, "{\"type\":\"error\",\"code\":\"not_found\"}"));
    (void)poll_now(w);
    assert_out(w, "1:a a!not_found 2:b ");
}

static void outbox__has_an_end(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < OUTBOX_MAX; i++)
        assert_ok(add(w, "r", i == 0 ? "first" : "more"));
    assert_true(outbox_is_full(w->outbox));
    assert_int_equal(add(w, "r", "too much"), RC_LIMIT);
    (void)poll_now(w);
    ack(w, 1);
    assert_ok(add(w, "r", "last"));
    assert_out(w, "1:first 2:more ");
}

static void outbox__gives_back_what_was_not_sent(void **state)
{
    struct world *w = *state;
    int n = 0;

    assert_ok(add(w, "r", "a"));
    assert_ok(add(w, "r", "b"));
    (void)poll_now(w);
    for (json_t *m; (m = outbox_take(w->outbox)); json_done(&m), n++)
        assert_string_equal(text_of(m), n == 0 ? "a" : "b");
    assert_int_equal(n, 2);
    assert_false(answer(w, 1, "{\"type\":\"ack\"}"));
    assert_int_equal(poll_now(w), INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(outbox__sends_one_after_the_other),
        TEST(outbox__sends_again_what_a_lost_connection_left_unanswered),
        TEST(outbox__keeps_what_is_for_a_closed_room_and_sends_the_rest),
        TEST(outbox__asks_again_for_a_closed_room_on_a_new_connection),
        TEST(outbox__waits_as_long_as_it_is_told),
        TEST(outbox__hands_back_what_is_refused),
        TEST(outbox__has_an_end),
        TEST(outbox__gives_back_what_was_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
