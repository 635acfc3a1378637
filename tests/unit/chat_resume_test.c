/* What is kept for who resumes is bounded over all users, too: the core alone, since it takes many of them. */
#include <stdio.h>
#include <stdlib.h>

#include "chat/core/internal.h"
#include "tests/unit/unit.h"

#define PER_USER 50 /* connections; fewer than their bound */
#define USERS    (CHAT_DROPPED_MAX / PER_USER + 1)

enum { ALICE = USERS, BOB, CAROL, DAVE };

static struct chat *chat;

static enum rc some_random(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return random_bytes(p, n);
}

static void step(struct chat_event *event)
{
    struct chat_actions actions;

    event->mono_ms = 1000;
    event->time_s = 1780000000;
    chat_step(chat, event, &actions);
    for (size_t i = 0; i < actions.n; i++)
        if (actions.list[i].kind == ACT_JOB)
            chat_job_free(actions.list[i].job);
}

static struct name named(const char *prefix, uint64_t n)
{
    struct name name;
    char text[32];

    (void)snprintf(text, sizeof(text), "%s%llu", prefix, (unsigned long long)n);
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static void number_of(uint64_t n, uint8_t *ret, size_t len)
{
    memset(ret, 0, len);
    put_u64be(ret, n);
}

/* Each connection has a token of its own; resumes: that of which it resumes, 0 of none. */
static struct chat_conn *log_in(uint64_t user, uint64_t token, uint64_t resumes, enum chat_resumed *ret)
{
    uint8_t own[SHA256_LEN], old[SHA256_LEN];
    struct chat_event connected = {.kind = CHAT_CONNECTED};
    struct chat_login login = {.client = named("u", user), .ticket_end_s = 1780003600, .sealed = true};

    login.extensions = true;
    number_of(user, login.client_id, ID_LEN);
    number_of(token, own, sizeof(own));
    number_of(resumes, old, sizeof(old));
    login.token = own;
    login.resumes = resumes ? old : NULL;
    step(&connected);
    struct chat_event event = {.kind = CHAT_LOGIN, .conn = connected.conn, .login = &login};
    step(&event);
    if (ret)
        *ret = event.resumed;
    return connected.conn;
}

static void drop(struct chat_conn *conn)
{
    struct chat_event event = {.kind = CHAT_DISCONNECTED, .conn = conn};
    step(&event);
}

/* It comes of the login of this user that he resumes that one; his new connection has no further use. */
static enum chat_resumed resume(uint64_t user, uint64_t token)
{
    enum chat_resumed result;

    (void)log_in(user, UINT64_MAX - token, token, &result);
    return result;
}

/* A room that is closed, of two. */
static void add_room(uint64_t n, uint64_t first, uint64_t second)
{
    struct chat_restore_member members[2] = {{.number = 1}, {.number = 2}};
    struct chat_restore_room room = {.id = named("room", n), .threshold = 2, .epoch = 1, .members = members};

    room.name = room.id;
    room.members_n = ARRAY_LEN(members);
    number_of(n, room.uid, ID_LEN);
    number_of(first, members[0].client_id, ID_LEN);
    number_of(second, members[1].client_id, ID_LEN);
    assert_ok(chat_restore_room(chat, &room));
}

/* The other one is asked for his share: a push that is kept. */
static void ask(struct chat_conn *conn, uint64_t room)
{
    struct chat_request request = {.cmd = CMD_GO_ROOM, .room = named("room", room)};
    struct chat_event event = {.kind = CHAT_REQUEST, .conn = conn, .request = &request};
    step(&event);
}

static int setup(void **state)
{
    const struct chat_env env = {
        .random = some_random, .limits = {.connections_per_user = PER_USER + 2, .login_timeout_ms = 10000}
    };
    uint8_t id[ID_LEN];

    (void)state;
    assert_ok(crypto_setup());
    assert_ok(chat_new(&env, &chat));
    for (uint64_t i = 0; i <= DAVE; i++) {
        struct name name = named("u", i);
        number_of(i, id, ID_LEN);
        assert_ok(chat_restore_user(chat, id, &name));
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chat_free(chat);
    return 0;
}

static void dropped__of_all_users_are_bounded(void **state)
{
    (void)state;
    for (uint64_t i = 0; i <= CHAT_DROPPED_MAX; i++) {
        drop(log_in(i / PER_USER, i + 1, 0, NULL));
        assert_int_equal(chat->dropped_n, i < CHAT_DROPPED_MAX ? i + 1 : CHAT_DROPPED_MAX);
    }
    assert_int_equal(chat->resumables_n, CHAT_DROPPED_MAX);
    assert_int_equal(resume(0, 1), NOT_RESUMED); /* the oldest has gone */
    assert_int_equal(resume(0, 2), RESUMED);
    assert_int_equal(resume(CHAT_DROPPED_MAX / PER_USER, CHAT_DROPPED_MAX + 1), RESUMED);
}

/* Alice misses one push; others of a room that is not hers follow, so many that all are as many as that. */
static enum chat_resumed resumed_behind(size_t pushes)
{
    add_room(1, ALICE, BOB);
    add_room(2, CAROL, DAVE);
    struct chat_conn *bob = log_in(BOB, 2, 0, NULL), *carol = log_in(CAROL, 3, 0, NULL);
    drop(log_in(ALICE, 1, 0, NULL));
    ask(bob, 1);
    for (size_t i = 1; i < pushes; i++)
        ask(carol, 2);
    assert_int_equal(chat->log_number, pushes);
    assert_int_equal(chat->log_n, pushes < CHAT_LOG_MAX ? pushes : CHAT_LOG_MAX);
    assert_true(chat->log_bytes < CHAT_LOG_BYTES);
    return resume(ALICE, 1);
}

static void log__of_so_many_pushes_is_kept(void **state)
{
    (void)state;
    assert_int_equal(resumed_behind(CHAT_LOG_MAX), RESUMED);
}

static void log__loses_the_oldest_beyond_its_bound(void **state)
{
    (void)state;
    assert_int_equal(resumed_behind(CHAT_LOG_MAX + 1), NOT_RESUMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(dropped__of_all_users_are_bounded),
        TEST(log__of_so_many_pushes_is_kept),
        TEST(log__loses_the_oldest_beyond_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
