/*
 * What the client hands out of what is said in rooms. Each line is a message of the server, but for "lost" (the
 * connection) and "later" (a second); of each room a number follows only lower ones, until a login, a new room or the
 * end of one may begin it anew.
 */
#include <limits.h>
#include <string.h>

#include "client/chat_feed.h"
#include "tests/fuzz/fuzz.h"

#define ROOMS_MAX 16

static struct {
    struct name room;
    int64_t last;
} heard[ROOMS_MAX];
static size_t heard_n;
static uint64_t last_id;

static void hand_out(void *ctx, json_t *message)
{
    const char *type = json_string_value(json_object_get(message, "type"));
    struct slice room;
    int64_t seq = 0;
    size_t i = 0;

    (void)ctx;
    CHECK(type && json_get_text(message, "room", &room) == RC_OK);
    CHECK_OK(json_get_int(json_object_get(message, type), "seq", &seq));
    while (i < heard_n && !slice_eq(name_slice(&heard[i].room), room))
        i++;
    if (i == ROOMS_MAX)
        return;
    if (i == heard_n) {
        CHECK_OK(name_parse(room, &heard[i].room));
        heard[heard_n++].last = 0;
    }
    CHECK(seq > heard[i].last);
    heard[i].last = seq;
}

static enum rc ask(void *ctx, const char *room, int64_t after, uint64_t *ret_id)
{
    (void)ctx;
    CHECK(utf8_valid(slice_text(room)) && after >= 0);
    *ret_id = ++last_id;
    return last_id % 7 ? RC_OK : RC_LIMIT;
}

void fuzz_open(void)
{
}

static void take(struct chat_feed *f, struct slice line, int64_t now_ms)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice type = slice_of("", 0);
    int64_t id = 0;

    if (json_parse_object(line, JSON_DEPTH_CHAT, &j) != RC_OK)
        return;
    (void)!json_get_text(j, "type", &type);
    (void)!json_get_int(j, "id", &id);
    bool is_login = slice_eq(type, slice_text("handshake"));
    if (is_login || slice_eq(type, slice_text("new_room")) || slice_eq(type, slice_text("close_room")))
        heard_n = 0;
    if (is_login)
        feed_login(f, j, now_ms);
    else
        (void)feed_takes(f, j, (uint64_t)id, now_ms);
}

void fuzz_one(struct slice input)
{
    struct chat_feed *f = feed_new(&(struct feed_ops){hand_out, ask, NULL});
    int64_t now_ms = 1000;

    CHECK(f);
    heard_n = 0;
    last_id = 0;
    while (input.n) {
        struct slice line = fuzz_line(&input);
        if (slice_eq(line, slice_text("lost")))
            feed_lost(f);
        else if (slice_eq(line, slice_text("later")))
            now_ms += 1000;
        else
            take(f, line, now_ms);
        CHECK(feed_poll(f, now_ms) >= 0);
    }
    feed_free(f);
}
