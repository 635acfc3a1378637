/* Files of older versions of the chat's store: what was in them is there as it was, and they go on. */
#include "shared/base/base64.h"
#include "tests/unit/chat_store_fixture.h"

/* What turns a file of now into one of that version. */
#define TO_V5                                                                      \
    "DROP INDEX message_cid;"                                                      \
    "CREATE UNIQUE INDEX message_cid ON message(user, cid) WHERE cid IS NOT NULL;" \
    "PRAGMA user_version = 5;"
#define TO_V4 \
    TO_V5 "ALTER TABLE room DROP COLUMN keep_days; ALTER TABLE room DROP COLUMN floor; PRAGMA user_version = 4;"
#define TO_V3 TO_V4 "DROP INDEX message_target; ALTER TABLE message DROP COLUMN target; PRAGMA user_version = 3;"
#define TO_V2                                                                                 \
    TO_V3 "DROP TABLE history; DROP INDEX message_cid; ALTER TABLE message DROP COLUMN user;" \
          "ALTER TABLE message DROP COLUMN cid; ALTER TABLE member DROP COLUMN read; PRAGMA user_version = 2;"

/* The daemon of before has ended, and that of now begins. */
static void upgrade(struct bench *b, const char *to_old)
{
    struct db db = {0};
    char path[128];

    stop_store(b);
    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_WRITE, &db));
    assert_ok(db_exec(&db, to_old));
    db_close(&db);
    open_store(b);
}

/* Messages of before the third schema are read as they were; they have no cid. */
static void open__brings_a_file_of_version_2_up_to_date(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, message_job('R', 1, 8)));
    upgrade(b, TO_V2);
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 1);
    assert_int_equal(job->rows[0].seq, 1);
    chat_job_free(job);
    assert_ok(result(b, cid_job('R', 2, 'a', "m1")));
}

/* An open room: messages of the same cid by two people, one edited twice, one deleted, some read; and a sealed one. */
static void rooms_of_version_4(struct bench *b)
{
    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, room_job('S', "vault", 2, "abc")));
    assert_ok(result(b, cid_job('R', 1, 'a', "m1")));
    assert_ok(result(b, cid_job('R', 2, 'b', "m1")));
    assert_ok(result(b, cid_job('R', 3, 'a', "m2")));
    assert_ok(result(b, revision_job('a', 'R', 4, 1, "\1edited")));
    assert_ok(result(b, revision_job('a', 'R', 5, 3, "\1")));
    assert_ok(result(b, revision_job('a', 'R', 6, 1, "\1edited again")));
    assert_ok(result(b, cid_job('S', 1, 'c', "m1")));
    struct chat_job *read = job_of(JOB_MARK_READ, 'b', 'R');
    read->from_seq = 5;
    assert_ok(result(b, read));
}

/* All that there is of a room, as text. */
static void tell_history(struct bench *b, char uid, struct buf *ret)
{
    struct chat_job *job = done(b, history_job(uid, 100, 1 << 20));

    assert_ok(job->rc);
    assert_ok(buf_printf(ret, "%c floor %llu\n", uid, (unsigned long long)job->floor));
    for (size_t i = 0; i < job->rows_n; i++) {
        const struct chat_message_row *m = &job->rows[i];
        assert_ok(buf_printf(ret, "%llu %s time %lld mid %u target %llu rev %llu box ", (unsigned long long)m->seq,
                             m->sender.s, (long long)m->time_s, m->mid[0], (unsigned long long)m->target,
                             (unsigned long long)m->rev));
        assert_ok(hex_encode(buf_slice(&m->box), ret));
        if (m->revised)
            assert_ok(hex_encode(buf_slice(&m->revised->box), ret));
        assert_ok(buf_byte(ret, '\n'));
    }
    chat_job_free(job);
}

/* What the core is told at the start, and what people can read. */
static void tell_all(struct bench *b, const char *uids, struct buf *ret)
{
    assert_ok(buf_add(ret, buf_slice(&b->told)));
    for (; *uids; uids++)
        tell_history(b, *uids, ret);
}

static uint64_t seq_of_cid(struct bench *b, char who, const char *cid)
{
    struct chat_job *job = job_of(JOB_FIND_MESSAGE, who, 'R');

    assert_ok(buf_text(&job->cid, cid));
    assert_ok(done(b, job)->rc);
    assert_int_equal(job->rows_n, 1);
    uint64_t seq = job->rows[0].seq;
    chat_job_free(job);
    return seq;
}

/* Resent, it is the one that there was; and the rooms go on. */
static void check_rooms_of_version_4(struct bench *b)
{
    assert_int_equal(seq_of_cid(b, 'a', "m1"), 1);
    assert_int_equal(seq_of_cid(b, 'b', "m1"), 2);
    assert_int_equal(seq_of_cid(b, 'a', "m2"), 3);
    assert_rc(result(b, cid_job('R', 7, 'a', "m2")), RC_EXISTS);
    assert_rc(result(b, cid_job('R', 7, 'b', "m1")), RC_EXISTS);
    assert_ok(result(b, revision_job('a', 'R', 7, 1, "\1edited anew")));
    assert_ok(result(b, cid_job('R', 8, 'b', "m2")));
    assert_ok(result(b, cid_job('S', 2, 'c', "m2")));
    struct chat_job *shares = done(b, job_of(JOB_LOAD_SHARES, 'c', 0));
    assert_int_equal(shares->pairs_n, 1);
    assert_slice(buf_slice(&shares->pairs[0].value), "3-c");
    chat_job_free(shares);
}

static void open__brings_a_file_of_version_4_up_to_date(void **state)
{
    AUTO(buf_done) struct buf before = {0}, after = {0};
    struct bench *b = *state;

    rooms_of_version_4(b);
    reopen(b);
    tell_all(b, "RS", &before);
    upgrade(b, TO_V4);
    tell_all(b, "RS", &after);
    assert_string_equal(buf_cstr(&after), buf_cstr(&before));
    check_rooms_of_version_4(b);
}

/* Rooms of that version forget: one has lost its first message, one all of them. */
static void open__brings_a_file_of_version_5_up_to_date(void **state)
{
    AUTO(buf_done) struct buf before = {0}, after = {0};
    struct bench *b = *state;

    rooms_of_version_4(b);
    for (const char *uid = "KL"; *uid; uid++) {
        struct chat_job *room = room_job(*uid, *uid == 'K' ? "short" : "shorter", 0, "ab");
        room->keep_days = 7;
        assert_ok(result(b, room));
        assert_ok(result(b, message_job(*uid, 1, 8)));
        assert_ok(result(b, message_job(*uid, 2, 8)));
        assert_ok(result(b, expire_job(*uid, 1780000000 + (*uid == 'K' ? 2 : 3))));
    }
    reopen(b);
    tell_all(b, "RSKL", &before);
    assert_non_null(strstr(buf_cstr(&before), "head 2: a1m b2m keep 7\n"));
    assert_non_null(strstr(buf_cstr(&before), "K floor 1\n"));
    assert_non_null(strstr(buf_cstr(&before), "L floor 2\n"));
    upgrade(b, TO_V5);
    tell_all(b, "RSKL", &after);
    assert_string_equal(buf_cstr(&after), buf_cstr(&before));
    check_rooms_of_version_4(b);
    assert_ok(result(b, message_job('L', 3, 8)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open__brings_a_file_of_version_2_up_to_date),
        TEST(open__brings_a_file_of_version_4_up_to_date),
        TEST(open__brings_a_file_of_version_5_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
