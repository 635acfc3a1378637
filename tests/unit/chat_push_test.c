/* Pushes as JSON: every field of every push, and what happens to those that grow too large. */
#include "chat/core/internal.h"
#include "tests/unit/wire.h"

#define STAMP "\"timestamp\":\"2026-09-21 14:13:20\",\"service\":\"chat\""

/* --- a chat to tell of: alice and bob, a sealed room and an open one -------------------------------------------------
 */

struct bench {
    struct wire_kit *kit;
    struct chat *chat;
    struct envelope_key open_key;
    struct chat_conn *conns[4000];
    size_t conns_n;
};

static struct bench *bench;

static enum rc some_random(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return random_bytes(p, n);
}

static void client_id(uint8_t id[ID_LEN], size_t n)
{
    memset(id, 0, ID_LEN);
    put_u64be(id, n);
}

static void step(struct chat_event *event)
{
    struct chat_actions actions;

    event->time_s = WIRE_NOW;
    chat_step(bench->chat, event, &actions);
    for (size_t i = 0; i < actions.n; i++)
        if (actions.list[i].kind == ACT_JOB)
            chat_job_free(actions.list[i].job);
}

/* So much later than the other steps. */
static void step_at(int64_t mono_ms)
{
    struct chat_event tick = {.kind = CHAT_TICK, .mono_ms = mono_ms};
    step(&tick);
}

static struct chat_conn *log_in(size_t id, const char *name)
{
    struct chat_event connected = {.kind = CHAT_CONNECTED};
    struct chat_login login = {.client = wire_name(name), .ticket_end_s = WIRE_NOW + 3600};

    client_id(login.client_id, id);
    step(&connected);
    struct chat_event event = {.kind = CHAT_LOGIN, .conn = connected.conn, .login = &login};
    step(&event);
    bench->conns[bench->conns_n++] = connected.conn;
    return connected.conn;
}

static void log_out(struct chat_conn *conn)
{
    struct chat_event event = {.kind = CHAT_DISCONNECTED, .conn = conn};

    for (size_t i = 0; i < bench->conns_n; i++)
        if (bench->conns[i] == conn)
            bench->conns[i] = NULL;
    step(&event);
}

static void add_user(size_t id, const char *text)
{
    uint8_t bytes[ID_LEN];
    struct name name = wire_name(text);

    client_id(bytes, id);
    assert_ok(chat_restore_user(bench->chat, bytes, &name));
}

/* Members: the users with these numbers. */
static const struct chat_room *add_room(const char *id, const char *name, uint32_t threshold, size_t first, size_t n)
{
    struct chat_restore_room room = {
        .id = wire_name(id), .name = wire_name(name), .threshold = threshold, .epoch = 1, .members_n = n};
    struct chat_restore_member *members = calloc(n, sizeof(*members));

    assert_non_null(members);
    assert_ok(random_bytes(room.uid, ID_LEN));
    for (size_t i = 0; i < n; i++) {
        client_id(members[i].client_id, first + i);
        members[i].number = (uint16_t)(i + 1);
        members[i].pending = threshold > 0 && i == 0;
    }
    room.members = members;
    assert_ok(chat_restore_room(bench->chat, &room));
    free(members);
    return room_by_id(bench->chat, &room.id);
}

static const struct envelope_key *open_key(void *ctx, uint32_t kvno)
{
    (void)ctx;
    (void)kvno;
    return &bench->open_key;
}

static int setup(void **state)
{
    bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    assert_int_equal(kit_setup((void **)&bench->kit), 0);
    struct chat_env env = {
        .random = some_random,
        .realm = bench->kit->conf.realm,
        .open_key = open_key,
        .limits = {.connections_per_user = 10, .login_timeout_ms = 10000}
    };
    assert_ok(chat_new(&env, &bench->chat));
    add_user(1, "alice");
    add_user(2, "b\"ob");
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < bench->conns_n; i++)
        if (bench->conns[i])
            log_out(bench->conns[i]);
    chat_free(bench->chat);
    kit_teardown((void **)&bench->kit);
    free(bench);
    return 0;
}

/* --- what is written ---------------------------------------------------------------------------------------------- */

static json_t *written(const struct chat_push *push)
{
    AUTO(buf_done) struct buf text = {0};
    json_error_t error;

    assert_ok(wire_write(bench->kit->wire, push, WIRE_CLASSIC, &text));
    assert_true(text.n <= WIRE_JSON_MAX);
    json_t *j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    if (!j)
        fail_msg("no JSON: %s: %.*s", error.text, (int)(text.n > 2000 ? 2000 : text.n), (const char *)text.p);
    return j;
}

/* The push is this JSON, whatever the order of its fields. */
static void assert_json(const struct chat_push *push, const char *want_text)
{
    AUTO(json_done) json_t *is = written(push), *want = json_loads(want_text, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(want);
    if (json_equal(is, want))
        return;
    char *text = json_dumps(is, JSON_SORT_KEYS);
    print_error("%s\nis not\n%s\n", text, want_text);
    free(text);
    fail();
}

static struct chat_push push_of(enum chat_push_kind kind)
{
    return (struct chat_push){.kind = kind, .time_s = WIRE_NOW, .chat = bench->chat};
}

#define BOARD                                                                                                        \
    "{\"room\":\"board\",\"name\":\"The board\",\"users\":[\"alice\",\"b\\\"ob\"],\"threshold\":2,\"opened\":false," \
    "\"pending\":1}"
#define LOUNGE \
    "{\"room\":\"lounge\",\"name\":\"lounge\",\"users\":[\"alice\"],\"threshold\":0,\"opened\":true,\"pending\":0}"

#define BOARD_OWN                                                                                                    \
    "{\"room\":\"board\",\"name\":\"The board\",\"users\":[\"alice\",\"b\\\"ob\"],\"threshold\":2,\"opened\":false," \
    "\"pending\":1,\"head\":0,\"read\":0}"
#define LOUNGE_OWN                                                                                                  \
    "{\"room\":\"lounge\",\"name\":\"lounge\",\"users\":[\"alice\"],\"threshold\":0,\"opened\":true,\"pending\":0," \
    "\"head\":0,\"read\":0}"

static void push__handshake_and_online(void **state)
{
    const struct chat_conn *conn;

    (void)state;
    add_room("board", "The board", 2, 1, 2);
    add_room("lounge", "lounge", 0, 1, 1);
    conn = log_in(1, "alice");
    struct chat_push push = push_of(PUSH_HANDSHAKE);
    push.user = conn->user;
    push.authenticator_s = WIRE_NOW - 60;
    push.label = slice_text("L");
    assert_json(&push, "{\"type\":\"handshake\",\"id\":\"L\"," STAMP ",\"users_online\":[\"alice\"],\"rooms\":[" LOUNGE
                       "],\"authenticator_timestamp\":\"2026-09-21 14:12:20\"}");
    static const uint8_t history[ID_LEN] = {0xff};
    push.history_id = history;
    assert_json(&push,
                "{\"type\":\"handshake\",\"id\":\"L\"," STAMP ",\"users_online\":[\"alice\"],\"rooms\":[" LOUNGE
                "],\"authenticator_timestamp\":\"2026-09-21 14:12:20\",\"history_id\":\"_wAAAAAAAAAAAAAAAAAAAA\"}");
    chat_online_push(bench->chat, conn, WIRE_NOW, &push);
    assert_json(&push, "{\"type\":\"online\"," STAMP ",\"users_online\":[\"alice\"],\"rooms\":[" LOUNGE
                       "],\"rooms_waiting\":[" BOARD "]}");

    /* the list of names follows who comes and goes */
    struct chat_conn *bob = log_in(2, "b\"ob");
    assert_json(&push, "{\"type\":\"online\"," STAMP ",\"users_online\":[\"alice\",\"b\\\"ob\"],\"rooms\":[" BOARD
                       "," LOUNGE "],\"rooms_waiting\":[]}");
    log_out(bob);
    assert_json(&push, "{\"type\":\"online\"," STAMP ",\"users_online\":[\"alice\"],\"rooms\":[" LOUNGE
                       "],\"rooms_waiting\":[" BOARD "]}");
    push.user = NULL; /* of a connection that is closing */
    assert_json(&push,
                "{\"type\":\"online\"," STAMP ",\"users_online\":[\"alice\"],\"rooms\":[],\"rooms_waiting\":[]}");
}

static void push__new_message(void **state)
{
    const struct chat_shown_message message = {
        .from = slice_text("b\"ob"),
        .text = slice_text("a\\b \xc3\xa9\n\x01/"),
        .time_s = WIRE_NOW - 1,
        .seq = 4294967296,
        .mid = {0xfb, 0xff}
    };
    struct chat_push push = push_of(PUSH_NEW_MESSAGE);

    (void)state;
    push.room = add_room("board", "The board", 2, 1, 2);
    push.messages = &message;
    push.messages_n = 1;
    assert_json(&push, "{\"type\":\"new_message\"," STAMP ",\"room\":\"board\",\"new_message\":{"
                       "\"from\":\"b\\\"ob\",\"time\":\"2026-09-21 14:13:19\",\"room\":\"board\","
                       "\"text\":\"a\\\\b \xc3\xa9\\n\\u0001/\",\"mid\":\"-_8AAAAAAAAAAAAAAAAAAA\",\"seq\":4294967296,"
                       "\"message\":{\"from\":\"b\\\"ob\",\"time\":\"2026-09-21 14:13:19\",\"room\":\"board\","
                       "\"text\":\"a\\\\b \xc3\xa9\\n\\u0001/\"}}}");
}

static void push__new_room(void **state)
{
    struct chat_push push = push_of(PUSH_NEW_ROOM);

    (void)state;
    push.room = add_room("board", "The board", 2, 1, 2);
    push.share = slice_text("1-ab");
    push.label = slice_text("7");
    assert_json(&push, "{\"type\":\"new_room\",\"id\":\"7\"," STAMP ",\"room\":" BOARD ",\"secret\":\"1-ab\"}");
    push.room = add_room("lounge", "lounge", 0, 1, 1);
    push.share = slice_of(NULL, 0);
    push.label = slice_of(NULL, 0);
    assert_json(&push, "{\"type\":\"new_room\"," STAMP ",\"room\":" LOUNGE ",\"secret\":\"\"}");
}

static void push__get_secret_and_close_room(void **state)
{
    struct chat_push push = push_of(PUSH_GET_SECRET);

    (void)state;
    push.room = add_room("board", "The board", 2, 1, 2);
    push.asked_by = slice_text("alice");
    assert_json(&push, "{\"type\":\"get_secret\"," STAMP ",\"room\":" BOARD ",\"asked_by\":\"alice\"}");
    push.kind = PUSH_CLOSE_ROOM;
    push.reason = "quorum_lost";
    assert_json(&push, "{\"type\":\"close_room\"," STAMP ",\"room\":" BOARD ",\"reason\":\"quorum_lost\"}");
}

static void push__room_messages(void **state)
{
    const struct chat_shown_message messages[] = {
        {.from = slice_text("alice"), .text = slice_text("one"), .time_s = WIRE_NOW - 9, .seq = 1},
        {.from = slice_text("alice"), .text = slice_text(""),    .time_s = WIRE_NOW - 8, .seq = 2},
    };
    struct chat_push push = push_of(PUSH_ROOM_MESSAGES);

    (void)state;
    push.room = add_room("board", "The board", 2, 1, 2);
    assert_json(&push, "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":[],\"more\":false}");
    push.messages = messages;
    push.messages_n = 2;
    push.more = true;
    assert_json(&push, "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":["
                       "{\"from\":\"alice\",\"time\":\"2026-09-21 14:13:11\",\"room\":\"board\",\"text\":\"one\","
                       "\"mid\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"seq\":1},"
                       "{\"from\":\"alice\",\"time\":\"2026-09-21 14:13:12\",\"room\":\"board\",\"text\":\"\","
                       "\"mid\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"seq\":2}],\"more\":true}");
}

static struct buf text_buf(const char *text)
{
    return (struct buf){.p = (uint8_t *)(uintptr_t)text, .n = strlen(text)};
}

static void push__data(void **state)
{
    const struct chat_pair pairs[] = {
        {.key = text_buf("k"),     .value = text_buf("[1,null]")},
        {.key = text_buf("q\"\n"), .value = text_buf("\"v\"")   }
    };
    struct chat_push push = push_of(PUSH_DATA);

    (void)state;
    push.key = slice_text("k");
    assert_json(&push, "{\"type\":\"data\"," STAMP ",\"key\":\"k\",\"data\":\"\"}");
    push.pairs = pairs;
    push.pairs_n = 1;
    assert_json(&push, "{\"type\":\"data\"," STAMP ",\"key\":\"k\",\"data\":[1,null]}");
    push.key = slice_of(NULL, 0);
    push.pairs_n = 2;
    assert_json(&push, "{\"type\":\"data\"," STAMP ",\"key\":\"\",\"data\":{\"k\":[1,null],\"q\\\"\\n\":\"v\"}}");
    push.pairs_n = 0;
    assert_json(&push, "{\"type\":\"data\"," STAMP ",\"key\":\"\",\"data\":{}}");
}

static void push__error(void **state)
{
    struct chat_push push = push_of(PUSH_ERROR);

    (void)state;
    push.code = CODE_UNKNOWN_USER;
    push.request = CMD_NEW_ROOM;
    push.detail = slice_text("d\"ave, erin");
    push.label = slice_text("9");
    assert_json(&push,
                "{\"type\":\"error\",\"id\":\"9\"," STAMP ",\"error\":\"these users never logged in to this chat: "
                "d\\\"ave, erin\",\"code\":\"unknown_user\",\"request\":\"new_room\"}");
    push = push_of(PUSH_ERROR);
    push.code = CODE_MALFORMED;
    assert_json(&push,
                "{\"type\":\"error\"," STAMP ",\"error\":\"the message is not a request this server understands\","
                "\"code\":\"malformed\",\"request\":\"\"}");
}

static void push__ack(void **state)
{
    const struct chat_shown_message message = {.time_s = WIRE_NOW - 1, .seq = 3};
    struct chat_push push = push_of(PUSH_ACK);

    (void)state;
    push.label = slice_text("5");
    push.request = CMD_SAVE_DATA;
    assert_json(&push, "{\"type\":\"ack\",\"id\":\"5\"," STAMP ",\"request\":\"save_data\"}");
    push.request = CMD_SECRET;
    push.room = add_room("board", "The board", 2, 1, 2);
    assert_json(&push, "{\"type\":\"ack\",\"id\":\"5\"," STAMP ",\"request\":\"secret\",\"room\":\"board\","
                       "\"opened\":false,\"presented\":0,\"threshold\":2}");
    push.request = CMD_NEW_MESSAGE;
    push.messages = &message;
    push.messages_n = 1;
    assert_json(&push, "{\"type\":\"ack\",\"id\":\"5\"," STAMP ",\"request\":\"new_message\",\"room\":\"board\","
                       "\"mid\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"seq\":3,\"time\":\"2026-09-21 14:13:19\"}");
    push.cid = slice_text("m\"1");
    push.dup = true;
    assert_json(&push, "{\"type\":\"ack\",\"id\":\"5\"," STAMP ",\"request\":\"new_message\",\"room\":\"board\","
                       "\"mid\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"seq\":3,\"time\":\"2026-09-21 14:13:19\","
                       "\"cid\":\"m\\\"1\",\"dup\":true}");
}

static void push__of_revisions(void **state)
{
#define REVISED "\"from\":\"alice\",\"time\":\"2026-09-21 14:13:19\",\"room\":\"board\","
#define MID     "\"mid\":\"AAAAAAAAAAAAAAAAAAAAAA\","
    const struct chat_shown_message plain = {.from = slice_text("alice"), .time_s = WIRE_NOW - 1};
    struct chat_shown_message messages[5] = {plain, plain, plain, plain, plain};
    struct chat_push push = push_of(PUSH_EDITED);

    (void)state;
    messages[0].seq = 3, messages[0].target = 1, messages[0].text = slice_text("two");
    messages[1].seq = 4, messages[1].target = 2, messages[1].is_deleted = true;
    messages[2].seq = 1, messages[2].rev = 3, messages[2].text = slice_text("two");
    messages[3].seq = 2, messages[3].rev = 4, messages[3].is_deleted = true;
    messages[4].seq = 5, messages[4].rev = 6, messages[4].target = 1, messages[4].is_outdated = true;
    push.room = add_room("board", "The board", 2, 1, 2);
    push.messages = messages;
    push.messages_n = 1;
    assert_json(&push, "{\"type\":\"edited\"," STAMP ",\"room\":\"board\",\"edited\":{" REVISED "\"text\":\"two\"," MID
                       "\"seq\":3,\"edits\":1}}");
    push.kind = PUSH_DELETED;
    push.messages = &messages[1];
    assert_json(&push, "{\"type\":\"deleted\"," STAMP ",\"room\":\"board\",\"deleted\":{" REVISED MID
                       "\"seq\":4,\"deletes\":2}}");
    push.kind = PUSH_ROOM_MESSAGES;
    push.messages = &messages[2];
    push.messages_n = 3;
    assert_json(&push, "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":["
                       "{" REVISED "\"text\":\"two\"," MID "\"seq\":1,\"edited\":3},"
                       "{" REVISED MID "\"seq\":2,\"deleted\":4},{" REVISED MID "\"seq\":5,\"edits\":1}],"
                       "\"more\":false}");
    push.kind = PUSH_ACK;
    push.request = CMD_EDIT_MESSAGE;
    push.messages = messages;
    push.messages_n = 1;
    push.dup = true;
    assert_json(&push, "{\"type\":\"ack\"," STAMP ",\"request\":\"edit_message\",\"room\":\"board\"," MID
                       "\"seq\":3,\"time\":\"2026-09-21 14:13:19\",\"target\":1,\"dup\":true}");
}

static void push__found(void **state)
{
    const struct chat_shown_message plain = {.from = slice_text("alice"), .time_s = WIRE_NOW - 1};
    struct chat_shown_message messages[2] = {plain, plain};
    struct chat_push push = push_of(PUSH_FOUND);

    (void)state;
    messages[0].seq = 9, messages[0].rev = 10, messages[0].text = slice_text("two");
    messages[1].seq = 4, messages[1].text = slice_text("to");
    push.room = add_room("board", "The board", 2, 1, 2);
    push.label = slice_text("7");
    push.messages = messages;
    push.messages_n = 2;
    push.more_after = true;
    push.seq = 3;
    assert_json(&push,
                "{\"type\":\"found\",\"id\":\"7\"," STAMP ",\"room\":\"board\",\"messages\":["
                "{" REVISED "\"text\":\"two\"," MID "\"seq\":9,\"edited\":10},"
                "{" REVISED "\"text\":\"to\"," MID "\"seq\":4}],\"more\":true,\"from_seq\":3,\"complete\":false}");
    push.messages_n = 0;
    push.more_after = false;
    push.is_complete = true;
    assert_json(&push, "{\"type\":\"found\",\"id\":\"7\"," STAMP ",\"room\":\"board\",\"messages\":[],\"more\":false,"
                       "\"from_seq\":3,\"complete\":true}");
}

static void push__of_a_room_that_keeps_for_days(void **state)
{
    struct chat_push push = push_of(PUSH_ROOM_MESSAGES);

    (void)state;
    push.room = add_room("board", "The board", 2, 1, 2);
    push.extensions = true;
    push.floor = 7;
    assert_json(&push,
                "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":[],\"more\":false,\"floor\":7}");
    push.extensions = false;
    assert_json(&push, "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":[],\"more\":false}");
}

static void push__read_and_typing(void **state)
{
    struct chat_push push = push_of(PUSH_READ);

    (void)state;
    push.room = add_room("board", "The board", 2, 1, 2);
    push.seq = 7;
    assert_json(&push, "{\"type\":\"read\"," STAMP ",\"room\":\"board\",\"seq\":7}");
    push.kind = PUSH_TYPING;
    push.asked_by = slice_text("b\"ob");
    assert_json(&push, "{\"type\":\"typing\"," STAMP ",\"room\":\"board\",\"from\":\"b\\\"ob\"}");
}

/* What is additive is in the lists of those who asked for it. */
static void push__online_with_extensions(void **state)
{
    (void)state;
    add_room("lounge", "lounge", 0, 1, 1);
    struct chat_conn *conn = log_in(1, "alice");
    struct chat_push push;
    TAILQ_FIRST(&conn->user->rooms)->read = 3;
    TAILQ_FIRST(&conn->user->rooms)->room->head = 4;
    TAILQ_FIRST(&conn->user->rooms)->room->keep_days = 30;
    conn->extensions = true;
    chat_online_push(bench->chat, conn, WIRE_NOW, &push);
    assert_json(&push, "{\"type\":\"online\"," STAMP ",\"users_online\":[\"alice\"],\"rooms\":["
                       "{\"room\":\"lounge\",\"name\":\"lounge\",\"users\":[\"alice\"],\"threshold\":0,"
                       "\"opened\":true,\"pending\":0,\"head\":4,\"read\":3,\"keep_days\":30}],\"rooms_waiting\":[]}");
    conn->extensions = false; /* as it logged in, so does it leave */
}

/* Every object of a room says for how long it keeps its messages, to who asked for what is additive. */
static void push__room_object_with_extensions(void **state)
{
    static const enum chat_push_kind kinds[] = {PUSH_NEW_ROOM, PUSH_GET_SECRET, PUSH_ROOM_MESSAGES, PUSH_CLOSE_ROOM};
    struct chat_room *room;

    (void)state;
    add_room("lounge", "lounge", 0, 1, 1);
    struct name id = wire_name("lounge");
    room = room_by_id(bench->chat, &id);
    for (size_t i = 0; i < ARRAY_LEN(kinds) * 4; i++) {
        struct chat_push push = push_of(kinds[i / 4]);
        push.room = room;
        push.reason = "deleted";
        push.extensions = i % 2;
        room->keep_days = i / 2 % 2 ? 30 : 0;
        AUTO(json_done) json_t *is = written(&push);
        const json_t *keep = json_object_get(json_object_get(is, "room"), "keep_days");
        assert_int_equal(json_integer_value(keep), push.extensions ? room->keep_days : 0);
        assert_int_equal(keep != NULL, push.extensions && room->keep_days);
    }
}

static void push__rate_limited(void **state)
{
    struct chat_push push = push_of(PUSH_ERROR);

    (void)state;
    push.code = CODE_RATE_LIMITED;
    push.request = CMD_ONLINE;
    push.retry_after_ms = 50;
    assert_json(&push, "{\"type\":\"error\"," STAMP ",\"error\":\"too many messages at once; wait a few seconds\","
                       "\"code\":\"rate_limited\",\"request\":\"online\",\"retry_after_ms\":50}");
}

static void push__lagged(void **state)
{
    struct chat_push push = push_of(PUSH_LAGGED);

    (void)state;
    push.text = slice_text("board");
    push.seq = 12;
    assert_json(&push, "{\"type\":\"lagged\"," STAMP ",\"room\":\"board\",\"from_seq\":12}");
}

static void push__restart(void **state)
{
    struct chat_push push = push_of(PUSH_RESTART);

    (void)state;
    push.retry_after_ms = 1234;
    assert_json(&push, "{\"type\":\"restart\"," STAMP ",\"retry_after_ms\":1234}");
}

static void push__a_page_of_history(void **state)
{
    const struct chat_shown_message message = {.from = slice_text("alice"), .text = slice_text("x"), .seq = 5};
    struct chat_push push = push_of(PUSH_ROOM_MESSAGES);
    const struct chat_room *room = add_room("board", "The board", 2, 1, 2);

    (void)state;
    ((struct chat_room *)(uintptr_t)room)->head = 9;
    push.room = room;
    push.is_page = push.more_after = true;
    assert_json(&push, "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":[],\"more\":false,"
                       "\"head\":9,\"more_before\":false,\"more_after\":true}");
    push.messages = &message;
    push.messages_n = 1;
    push.more = true;
    push.more_after = false;
    assert_json(&push, "{\"type\":\"room_messages\"," STAMP ",\"room\":" BOARD ",\"messages\":["
                       "{\"from\":\"alice\",\"time\":\"1970-01-01 00:00:00\",\"room\":\"board\",\"text\":\"x\","
                       "\"mid\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"seq\":5}],\"more\":true,"
                       "\"head\":9,\"more_before\":true,\"more_after\":false}");
}

/* What does not fit into a frame goes from the far end of what was asked for, so that no message lies in between. */
static void push__a_page_that_is_too_large(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct chat_shown_message messages[5];
    struct chat_push push = push_of(PUSH_ROOM_MESSAGES);

    (void)state;
    assert_ok(buf_reserve(&text, 200000));
    memset(text.p, 'x', 200000);
    text.n = 200000;
    for (uint64_t i = 0; i < 5; i++)
        messages[i] = (struct chat_shown_message){
            .from = slice_text("alice"), .text = buf_slice(&text), .time_s = WIRE_NOW, .seq = i + 1};
    push.room = add_room("board", "The board", 2, 1, 2);
    push.messages = messages;
    push.messages_n = 5;
    push.is_page = true;
    static const struct {
        enum chat_side side;
        uint64_t first, last;
    } want[] = {
        {SIDE_AFTER,  1, 3},
        {SIDE_BEFORE, 3, 5},
        {SIDE_AROUND, 1, 3}, /* of 2 */
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        push.side = want[i].side;
        push.seq = 2;
        AUTO(json_done) json_t *j = written(&push);
        const json_t *list = json_object_get(j, "messages");
        assert_int_equal(json_array_size(list), want[i].last - want[i].first + 1);
        assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "seq")), want[i].first);
        assert_int_equal(json_is_true(json_object_get(j, "more_before")), want[i].first > 1);
        assert_int_equal(json_is_true(json_object_get(j, "more_after")), want[i].last < 5);
    }
}

/* --- one MiB ------------------------------------------------------------------------------------------------------ */

/* A frame of the largest JSON stays below 1 MiB when it is sealed. */
static void push__of_the_largest_size_fits_a_frame(void **state)
{
    struct wire_kit *kit = bench->kit;
    AUTO(buf_done) struct buf json = {0}, frame = {0};
    bool is_binary;

    (void)state;
    assert_ok(kit_login(kit));
    assert_ok(buf_reserve(&json, WIRE_JSON_MAX));
    memset(json.p, 'x', WIRE_JSON_MAX);
    json.n = WIRE_JSON_MAX;
    assert_ok(wire_seal(kit->conn, buf_slice(&json), &frame, &is_binary));
    assert_true(frame.n <= 1048576);
}

/* A thousand texts of letters that take six bytes each: the newest are shown, and `more` says that some were not. */
static void history__is_cut_to_the_newest(void **state)
{
    struct chat_shown_message *messages = calloc(1000, sizeof(*messages));
    struct chat_push push = push_of(PUSH_ROOM_MESSAGES);
    static char text[500];

    (void)state;
    assert_non_null(messages);
    memset(text, 1, sizeof(text));
    for (size_t i = 0; i < 1000; i++)
        messages[i] = (struct chat_shown_message){
            .from = slice_text("b\"ob"), .text = slice_of(text, sizeof(text)), .time_s = WIRE_NOW, .seq = i + 1};
    push.room = add_room("board", "The board", 2, 1, 2);
    push.messages = messages;
    push.messages_n = 1000;
    AUTO(json_done) json_t *j = written(&push);
    json_t *list = json_object_get(j, "messages");
    size_t n = json_array_size(list);
    assert_true(n > 200 && n < 1000);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, n - 1), "seq")), 1000);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "seq")), 1000 - n + 1);
    assert_true(json_is_true(json_object_get(j, "more")));
    free(messages);
}

#define CROWD 2000

/* Names of 64 letters of four bytes. */
static void long_name(size_t i, char out[NAME_MAX_BYTES + 1])
{
    for (size_t k = 0; k < NAME_MAX_CHARS; k++)
        memcpy(out + 4 * k, "\xf0\x9f\x98\x80", 5);
    out[NAME_MAX_BYTES] = 0;
    out[4 * NAME_MAX_CHARS - 1] = (char)(0x80 + i % 64);
    out[4 * NAME_MAX_CHARS - 5] = (char)(0x80 + i / 64 % 64);
}

static void add_crowd(void)
{
    char name[NAME_MAX_BYTES + 1];

    for (size_t i = 0; i < CROWD; i++) {
        long_name(i, name);
        add_user(100 + i, name);
    }
}

static const json_t *rooms_of(const json_t *j, const char *list, size_t *ret_n)
{
    const json_t *rooms = json_object_get(j, list);

    assert_true(json_is_array(rooms));
    *ret_n = json_array_size(rooms);
    return rooms;
}

/* Rooms that are too large for one frame are left out; what came before them is told. */
static void online__is_cut_to_the_rooms_that_fit(void **state)
{
    const struct chat_conn *conn;
    struct chat_push push;
    char id[16], name[NAME_MAX_BYTES + 1];
    size_t available, waiting;

    (void)state;
    add_crowd();
    add_room("small", "small", 0, 100, 2);
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof(id), "huge%zu", i);
        add_room(id, id, 0, 100, CROWD);
    }
    add_room("board", "board", 2, 100, 2);
    long_name(0, name);
    conn = log_in(100, name);
    chat_online_push(bench->chat, conn, WIRE_NOW, &push);
    AUTO(json_done) json_t *j = written(&push);
    assert_string_equal(json_string_value(json_object_get(j, "type")), "online");
    const json_t *rooms = rooms_of(j, "rooms", &available);
    rooms_of(j, "rooms_waiting", &waiting);
    assert_int_equal(available, 2);
    assert_int_equal(waiting, 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rooms, 0), "room")), "small");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rooms, 1), "room")), "huge0");
}

static void online__is_cut_to_the_names_that_fit(void **state)
{
    const struct chat_conn *conn;
    struct chat_push push;
    char name[NAME_MAX_BYTES + 1];
    size_t n;

    (void)state;
    add_crowd();
    add_room("board", "board", 0, 1, 1);
    for (size_t i = 0; i < CROWD; i++) {
        long_name(i, name);
        log_in(100 + i, name);
    }
    conn = log_in(1, "alice");
    chat_online_push(bench->chat, conn, WIRE_NOW, &push);
    AUTO(json_done) json_t *j = written(&push);
    assert_string_equal(json_string_value(json_object_get(j, "type")), "online");
    n = json_array_size(json_object_get(j, "users_online"));
    assert_true(n > 900 && n < CROWD);
    rooms_of(j, "rooms", &n);
    assert_int_equal(n, 1);
}

/* What cannot be cut becomes an error that says so, to the request that asked. */
static void data__too_large_is_an_error(void **state)
{
    struct chat_job *job = chat_job_new(JOB_LOAD_DATA);
    const struct chat_conn *conn = log_in(1, "alice");
    struct chat_event event = {.kind = CHAT_DONE, .job = job, .time_s = WIRE_NOW};
    struct chat_actions actions;

    (void)state;
    assert_non_null(job);
    job->conn = conn->serial;
    struct chat_pair *pair = chat_job_add_pair(job);
    assert_non_null(pair);
    assert_ok(buf_text(&pair->key, "k"));
    assert_ok(buf_reserve(&pair->value, WIRE_JSON_MAX));
    memset(pair->value.p, '7', WIRE_JSON_MAX);
    pair->value.n = WIRE_JSON_MAX;
    chat_step(bench->chat, &event, &actions);
    for (size_t i = 0; i < actions.n; i++)
        if (actions.list[i].kind == ACT_SEND) {
            assert_json(actions.list[i].push,
                        "{\"type\":\"error\"," STAMP ",\"error\":\"a limit of this server is reached\","
                        "\"code\":\"limit\",\"request\":\"get_data\"}");
            return;
        }
    fail_msg("nothing was sent");
}

/* --- who is online, for subscribers ------------------------------------------------------------------------------- */

static struct chat_conn *log_in_extended(size_t id, const char *name)
{
    struct chat_event connected = {.kind = CHAT_CONNECTED};
    struct chat_login login = {.client = wire_name(name), .ticket_end_s = WIRE_NOW + 3600, .extensions = true};

    client_id(login.client_id, id);
    step(&connected);
    struct chat_event event = {.kind = CHAT_LOGIN, .conn = connected.conn, .login = &login};
    step(&event);
    bench->conns[bench->conns_n++] = connected.conn;
    return connected.conn;
}

/* Subscribes, and looks at the answer. */
static void assert_whole(struct chat_conn *conn, const char *want)
{
    const struct chat_request request = {.cmd = CMD_SUBSCRIBE, .presence = true, .label = slice_text("L")};
    struct chat_event event = {.kind = CHAT_REQUEST, .conn = conn, .request = &request, .time_s = WIRE_NOW};
    struct chat_actions actions;

    chat_step(bench->chat, &event, &actions);
    assert_true(actions.n >= 1);
    assert_int_equal(actions.list[0].kind, ACT_SEND);
    assert_json(actions.list[0].push, want);
}

static void assert_news(struct chat_conn *conn, const char *want)
{
    struct chat_push push;

    assert_true(chat_presence_push(bench->chat, conn, WIRE_NOW, &push));
    assert_json(&push, want);
    assert_false(chat_presence_push(bench->chat, conn, WIRE_NOW, &push));
}

static void presence__whole_and_what_is_new(void **state)
{
    struct chat_push push;

    (void)state;
    add_room("board", "The board", 2, 1, 2);
    add_room("lounge", "lounge", 0, 1, 1);
    struct chat_conn *alice = log_in_extended(1, "alice"), *bob = log_in_extended(2, "b\"ob");
    assert_false(chat_presence_push(bench->chat, alice, WIRE_NOW, &push)); /* she has not subscribed */
    log_out(bob);                                                          /* and is held */
    assert_whole(alice, "{\"type\":\"presence\",\"id\":\"L\"," STAMP
                        ",\"state\":2,\"count\":2,\"users\":[\"alice\",\"b\\\"ob\"],\"rooms\":[" BOARD_OWN
                        "," LOUNGE_OWN "],\"rooms_waiting\":[]}");
    assert_false(chat_presence_push(bench->chat, alice, WIRE_NOW, &push));
    step_at(CHAT_HOLD_MS);
    assert_news(alice, "{\"type\":\"presence\"," STAMP ",\"state\":3,\"count\":1,\"from\":2,\"joined\":[],"
                       "\"left\":[\"b\\\"ob\"],\"available\":[],\"waiting\":[\"board\"]}");
    assert_whole(alice, "{\"type\":\"presence\",\"id\":\"L\"," STAMP
                        ",\"state\":3,\"count\":1,\"users\":[\"alice\"],\"rooms\":[" LOUNGE_OWN
                        "],\"rooms_waiting\":[" BOARD_OWN "]}");
    log_in_extended(3, "carol");
    assert_news(alice, "{\"type\":\"presence\"," STAMP
                       ",\"state\":4,\"count\":2,\"from\":3,\"joined\":[\"carol\"],\"left\":[]}");
}

/* The text that was written for one is not given to another who knows another state. */
static void presence__is_shared_by_those_who_know_the_same(void **state)
{
    (void)state;
    struct chat_conn *alice = log_in_extended(1, "alice"), *bob = log_in_extended(2, "b\"ob");
    assert_whole(alice, "{\"type\":\"presence\",\"id\":\"L\"," STAMP ",\"state\":2,\"count\":2,\"users\":["
                        "\"alice\",\"b\\\"ob\"],\"rooms\":[],\"rooms_waiting\":[]}");
    log_in_extended(3, "carol");
    assert_whole(bob, "{\"type\":\"presence\",\"id\":\"L\"," STAMP ",\"state\":3,\"count\":3,\"users\":["
                      "\"alice\",\"b\\\"ob\",\"carol\"],\"rooms\":[],\"rooms_waiting\":[]}");
    struct chat_conn *dave = log_in_extended(4, "dave");
    assert_whole(dave, "{\"type\":\"presence\",\"id\":\"L\"," STAMP ",\"state\":4,\"count\":4,\"users\":["
                       "\"alice\",\"b\\\"ob\",\"carol\",\"dave\"],\"rooms\":[],\"rooms_waiting\":[]}");
    log_in_extended(5, "erin");
    assert_news(alice, "{\"type\":\"presence\"," STAMP
                       ",\"state\":5,\"count\":5,\"from\":2,\"joined\":[\"carol\",\"dave\",\"erin\"],\"left\":[]}");
    assert_news(bob, "{\"type\":\"presence\"," STAMP
                     ",\"state\":5,\"count\":5,\"from\":3,\"joined\":[\"dave\",\"erin\"],\"left\":[]}");
    assert_news(dave, "{\"type\":\"presence\"," STAMP
                      ",\"state\":5,\"count\":5,\"from\":4,\"joined\":[\"erin\"],\"left\":[]}");
}

static void presence__of_many_is_a_count(void **state)
{
    char name[32];

    (void)state;
    struct chat_conn *alice = log_in_extended(1, "alice");
    assert_whole(alice, "{\"type\":\"presence\",\"id\":\"L\"," STAMP
                        ",\"state\":1,\"count\":1,\"users\":[\"alice\"],\"rooms\":[],\"rooms_waiting\":[]}");
    for (size_t i = 0; i < CHAT_NAMES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "u%zu", i);
        log_in_extended(100 + i, name);
    }
    assert_news(alice, "{\"type\":\"presence\"," STAMP ",\"state\":101,\"count\":101,\"from\":1}");
    assert_whole(alice, "{\"type\":\"presence\",\"id\":\"L\"," STAMP
                        ",\"state\":101,\"count\":101,\"rooms\":[],\"rooms_waiting\":[]}");

    /* nor does a login with extensions list them, and one without does */
    struct chat_push push = push_of(PUSH_HANDSHAKE);
    push.user = alice->user;
    push.authenticator_s = WIRE_NOW;
    push.extensions = true;
    assert_json(&push,
                "{\"type\":\"handshake\"," STAMP ",\"rooms\":[],\"authenticator_timestamp\":\"2026-09-21 14:13:20\"}");
    push.extensions = false;
    AUTO(json_done) json_t *classic = written(&push);
    assert_int_equal(json_array_size(json_object_get(classic, "users_online")), 101);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(push__handshake_and_online),
        TEST(push__new_message),
        TEST(push__new_room),
        TEST(push__get_secret_and_close_room),
        TEST(push__room_messages),
        TEST(push__restart),
        TEST(push__lagged),
        TEST(push__rate_limited),
        TEST(push__read_and_typing),
        TEST(push__of_revisions),
        TEST(push__found),
        TEST(push__of_a_room_that_keeps_for_days),
        TEST(push__online_with_extensions),
        TEST(push__room_object_with_extensions),
        TEST(push__a_page_of_history),
        TEST(push__a_page_that_is_too_large),
        TEST(push__data),
        TEST(push__error),
        TEST(push__ack),
        TEST(push__of_the_largest_size_fits_a_frame),
        TEST(history__is_cut_to_the_newest),
        TEST(online__is_cut_to_the_rooms_that_fit),
        TEST(online__is_cut_to_the_names_that_fit),
        TEST(data__too_large_is_an_error),
        TEST(presence__whole_and_what_is_new),
        TEST(presence__is_shared_by_those_who_know_the_same),
        TEST(presence__of_many_is_a_count),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
