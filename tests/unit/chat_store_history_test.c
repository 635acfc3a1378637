/* What the store does to a room's history beside adding to it: revisions, and how much a page costs. */
#include "tests/unit/chat_store_fixture.h"

static struct chat_job *messages_job(char uid, char own, const uint64_t *seqs, size_t n)
{
    struct chat_job *job = job_of(JOB_LOAD_MESSAGES, own, uid);

    job->own = own != 0;
    for (size_t i = 0; i < n; i++)
        assert_true(chat_job_add_seq(job, seqs[i]));
    return job;
}

/* A room R of alice and bob with three messages, by alice, bob and alice. */
static void three_messages(struct bench *b)
{
    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, cid_job('R', 1, 'a', "m1")));
    assert_ok(result(b, cid_job('R', 2, 'b', "m1")));
    assert_ok(result(b, cid_job('R', 3, 'a', "m2")));
}

static void revision__takes_a_number_and_the_text_of_its_message(void **state)
{
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, revision_job('a', 'R', 4, 1, "\1first")));
    assert_ok(result(b, revision_job('a', 'R', 5, 1, "\1second")));
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 5);
    assert_int_equal(job->rows[0].rev, 5);
    assert_slice(buf_slice(&job->rows[0].box), "\1second");
    assert_null(job->rows[0].revised);
    assert_int_equal(job->rows[1].rev, 0);
    for (size_t i = 3; i < 5; i++) {
        assert_int_equal(job->rows[i].target, 1);
        assert_int_equal(job->rows[i].rev, 5);
        assert_int_equal(job->rows[i].box.n, 0);
    }
    assert_null(job->rows[3].revised); /* what it said is gone */
    assert_int_equal(job->rows[4].revised->seq, 1);
    assert_int_equal(job->rows[4].revised->time_s, 1780000001);
    assert_int_equal(job->rows[4].revised->rev, 5);
    assert_slice(buf_slice(&job->rows[4].revised->box), "\1second");
    chat_job_free(job);
}

/* Many edits of a long text are many rows, and the text once: they do not fill the pages with it. */
static void revision__weighs_nothing_when_another_followed(void **state)
{
    struct bench *b = *state;

    three_messages(b);
    for (uint64_t seq = 4; seq < 54; seq++)
        assert_ok(result(b, revision_job('a', 'R', seq, 1, "\1a text of some length, again and again")));
    struct chat_job *job = done(b, history_job('R', 100, 100));
    assert_int_equal(job->rows_n, 53);
    assert_false(job->more_before);
    chat_job_free(job);
}

static void revision__is_refused_and_changes_nothing(void **state)
{
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, revision_job('a', 'R', 4, 1, "\1edited")));
    assert_rc(result(b, revision_job('b', 'R', 5, 1, "\1another's")), RC_NOT_FOUND);
    assert_rc(result(b, revision_job('a', 'R', 5, 4, "\1of a revision")), RC_NOT_FOUND);
    assert_rc(result(b, revision_job('a', 'R', 5, 9, "\1not there")), RC_NOT_FOUND);
    assert_rc(result(b, revision_job('a', 'Q', 5, 1, "\1no room")), RC_NOT_FOUND);
    assert_rc(result(b, revision_job('a', 'R', 6, 1, "\1behind a hole")), RC_LIMIT);
    assert_rc(result(b, revision_job('a', 'R', 4, 1, "\1its number is taken")), RC_LIMIT);
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 4);
    assert_slice(buf_slice(&job->rows[0].box), "\1edited");
    chat_job_free(job);
    assert_ok(result(b, message_job('R', 5, 8)));
}

static void revision__of_another_room_is_not_seen(void **state)
{
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, room_job('S', "other", 0, "ab")));
    assert_ok(result(b, cid_job('S', 1, 'a', "m3")));
    assert_ok(result(b, revision_job('a', 'S', 2, 1, "\1edited")));
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows[0].rev, 0);
    assert_int_equal(job->rows[0].box.n, 8);
    chat_job_free(job);
}

static void revision__erases_what_was_there_from_the_files(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    struct chat_job *job = cid_job('R', 1, 'a', "m1");
    assert_ok(buf_text(&job->message.box, "the first words"));
    assert_ok(result(b, job));
    assert_ok(result(b, revision_job('a', 'R', 2, 1, "\1the later words")));
    assert_ok(result(b, revision_job('a', 'R', 3, 1, "\1the last words")));
    stop_store(b);
    b->store = NULL;
    assert_false(file_has(b, "/chat.db", "the first words"));
    assert_false(file_has(b, "/chat.db-wal", "the first words"));
    assert_false(file_has(b, "/chat.db", "the later words"));
    assert_false(file_has(b, "/chat.db-wal", "the later words"));
    assert_true(file_has(b, "/chat.db", "the last words"));
    open_store(b);
}

static void messages__are_loaded_by_number(void **state)
{
    static const uint64_t seqs[] = {3, 2, 9, 1, 4, UINT64_MAX};
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, revision_job('a', 'R', 4, 3, "\1edited")));
    struct chat_job *job = done(b, messages_job('R', 0, seqs, ARRAY_LEN(seqs)));
    assert_int_equal(job->rows_n, 3);
    assert_int_equal(job->rows[0].seq, 3);
    assert_int_equal(job->rows[0].rev, 4);
    assert_int_equal(job->rows[1].seq, 2);
    assert_int_equal(job->rows[2].seq, 1);
    chat_job_free(job);
    job = done(b, messages_job('R', 'b', seqs, ARRAY_LEN(seqs)));
    assert_int_equal(job->rows_n, 1);
    assert_int_equal(job->rows[0].seq, 2);
    chat_job_free(job);
    assert_rc(result(b, messages_job('Q', 0, seqs, 1)), RC_NOT_FOUND);
}

/* Who asks for his own to revise it is told of the revision that there is. */
static void messages__come_with_their_newest_revision_to_their_author(void **state)
{
    static const uint64_t seqs[] = {1, 3};
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, revision_job('a', 'R', 4, 1, "\1once")));
    assert_ok(result(b, cid_job('R', 5, 'b', "m2")));
    assert_ok(result(b, revision_job('a', 'R', 6, 1, "\1twice")));
    assert_ok(result(b, cid_job('R', 7, 'b', "m3")));
    struct chat_job *job = done(b, messages_job('R', 'a', seqs, ARRAY_LEN(seqs)));
    assert_int_equal(job->rows_n, 3);
    assert_int_equal(job->rows[0].seq, 1);
    assert_int_equal(job->rows[0].rev, 6);
    assert_int_equal(job->rows[1].seq, 6);
    assert_int_equal(job->rows[1].target, 1);
    assert_int_equal(job->rows[1].time_s, 1780000006);
    assert_int_equal(job->rows[1].mid[0], 6);
    assert_int_equal(job->rows[2].seq, 3);
    chat_job_free(job);
}

/* --- what is older than a room keeps ------------------------------------------------------------------------------ */

#define AT(seq) (1780000000 + (int64_t)(seq)) /* the time of the message with that number */

static void expired__is_not_in_a_page(void **state)
{
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, message_job('R', 4, 8)));
    for (uint64_t floor = 0; floor <= 4; floor++)
        for (int side = SIDE_NEWEST; side <= SIDE_AROUND; side++)
            for (uint64_t from = 0; from <= 6; from++) {
                struct chat_job *job = history_job('R', 2, 1000);
                job->side = (enum chat_side)side;
                job->from_seq = from;
                job->expired_s = AT(floor + 1);
                done(b, job);
                assert_ok(job->rc);
                assert_int_equal(job->floor, floor);
                for (size_t i = 0; i < job->rows_n; i++)
                    assert_true(job->rows[i].seq > floor);
                if (job->rows_n > 0) {
                    assert_int_equal(job->more_before, job->rows[0].seq > floor + 1);
                    assert_int_equal(job->more_after, job->rows[job->rows_n - 1].seq < 4);
                }
                chat_job_free(job);
            }
}

static void expired__goes_piece_by_piece_and_numbers_go_on(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    for (uint64_t seq = 1; seq <= 1100; seq++) {
        struct chat_job *job = message_job('R', seq, 8);
        if (seq <= 500)
            assert_ok(buf_text(&job->message.box, "long ago"));
        assert_ok(result(b, job));
    }
    assert_rc(result(b, expire_job('Q', AT(1))), RC_NOT_FOUND);
    static const struct {
        uint64_t expired, floor;
        bool more;
    } steps[] = {
        {1,    0,    false}, /* nothing is that old */
        {1000, 500,  true }, /* 999 are */
        {1000, 999,  false},
        {1000, 999,  false},
        {5000, 1100, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct chat_job *job = done(b, expire_job('R', AT(steps[i].expired)));
        assert_ok(job->rc);
        assert_int_equal(job->floor, steps[i].floor);
        assert_int_equal(job->more_after, steps[i].more);
        chat_job_free(job);
    }
    reopen(b);
    assert_non_null(strstr(buf_cstr(&b->told), "head 1100:"));
    assert_false(file_has(b, "/chat.db", "long ago"));
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 0);
    assert_int_equal(job->floor, 1100);
    assert_false(job->more_before);
    chat_job_free(job);
    assert_rc(result(b, message_job('R', 1, 8)), RC_LIMIT);
    assert_ok(result(b, message_job('R', 1101, 8)));
}

/* Another writer holds the file: the floor is what it was. */
static void expired__stays_when_its_transaction_fails(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;
    struct db db = {0};
    char path[128];

    three_messages(b);
    assert_ok(db_exec(&s->db, "CREATE TRIGGER no BEFORE UPDATE ON room BEGIN SELECT raise(ROLLBACK, 'no'); END"));
    assert_rc(result(b, expire_job('R', AT(3))), RC_DB);
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 3);
    assert_int_equal(job->floor, 0);
    chat_job_free(job);
    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_WRITE, &db));
    assert_ok(db_exec(&db, "DROP TRIGGER no"));
    db_close(&db);
    job = done(b, expire_job('R', AT(3)));
    assert_ok(job->rc);
    assert_int_equal(job->floor, 2);
    chat_job_free(job);
}

/* The clock was wrong for four messages: what was said before that is not erased with them. */
static void expired__goes_up_to_what_is_kept(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    for (uint64_t seq = 1; seq <= 6; seq++) {
        struct chat_job *job = message_job('R', seq, 8);
        if (seq != 2)
            job->message.time_s = 5;
        assert_ok(result(b, job));
    }
    for (int i = 0; i < 2; i++) {
        struct chat_job *job = done(b, expire_job('R', AT(1)));
        assert_ok(job->rc);
        assert_int_equal(job->floor, 1);
        assert_false(job->more_after);
        chat_job_free(job);
    }
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 5);
    assert_int_equal(job->rows[0].seq, 2);
    chat_job_free(job);
    job = done(b, expire_job('R', AT(9)));
    assert_int_equal(job->floor, 6);
    chat_job_free(job);
}

/* The message goes first; its revision, which came later, then revises nothing. */
static void expired__leaves_a_revision_without_its_message(void **state)
{
    struct bench *b = *state;

    three_messages(b);
    assert_ok(result(b, revision_job('a', 'R', 4, 1, "\1edited")));
    assert_ok(result(b, expire_job('R', AT(2))));
    struct chat_job *job = done(b, history_job('R', 10, 1000));
    assert_int_equal(job->rows_n, 3);
    assert_int_equal(job->rows[2].target, 1);
    assert_null(job->rows[2].revised);
    chat_job_free(job);
    assert_rc(result(b, revision_job('a', 'R', 5, 1, "\1again")), RC_NOT_FOUND);
}

/* --- what a page costs -------------------------------------------------------------------------------------------- */

#define MANY 100000
#define PAGE 200

static void many_messages(struct bench *b)
{
    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    for (uint64_t seq = 1; seq <= MANY;) {
        size_t n = 0;
        for (; seq <= MANY && n < 5000; seq++, n++)
            b->store->ops->put(b->store, message_job('R', seq, 64));
        for (struct chat_job *job = finish(b, n), *next; job; job = next) {
            next = STAILQ_NEXT(job, link);
            assert_ok(job->rc);
            chat_job_free(job);
        }
    }
}

/* Steps of SQLite's machine for a page, which grow with each row that is looked at. */
static int steps_of_page(struct bench *b, enum chat_side side, uint64_t from)
{
    struct sqlite_store *s = (struct sqlite_store *)b->store;
    struct chat_job *job = history_job('R', PAGE, 1 << 20);

    for (size_t i = SQL_BEFORE; i <= SQL_AFTER; i++) {
        (void)sqlite3_stmt_status(s->sql[i], SQLITE_STMTSTATUS_VM_STEP, 1);
        (void)sqlite3_stmt_status(s->sql[i], SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
        (void)sqlite3_stmt_status(s->sql[i], SQLITE_STMTSTATUS_SORT, 1);
    }
    job->side = side;
    job->from_seq = from;
    done(b, job);
    assert_ok(job->rc);
    assert_int_equal(job->rows_n, PAGE);
    chat_job_free(job);
    int steps = 0;
    for (size_t i = SQL_BEFORE; i <= SQL_AFTER; i++) {
        steps += sqlite3_stmt_status(s->sql[i], SQLITE_STMTSTATUS_VM_STEP, 0);
        assert_int_equal(sqlite3_stmt_status(s->sql[i], SQLITE_STMTSTATUS_FULLSCAN_STEP, 0), 0);
        assert_int_equal(sqlite3_stmt_status(s->sql[i], SQLITE_STMTSTATUS_SORT, 0), 0);
    }
    return steps;
}

static void page__costs_the_same_wherever_it_lies(void **state)
{
    struct bench *b = *state;

    many_messages(b);
    int first = steps_of_page(b, SIDE_AFTER, 0);
    for (uint64_t from = 0; from <= MANY - PAGE; from += MANY / 10) {
        assert_in_range(steps_of_page(b, SIDE_AFTER, from), first * 9 / 10, first * 11 / 10);
        assert_in_range(steps_of_page(b, SIDE_BEFORE, from + PAGE + 1), first * 9 / 10, first * 11 / 10);
        assert_in_range(steps_of_page(b, SIDE_AROUND, from + PAGE), first * 9 / 10, first * 11 / 10);
    }
    assert_in_range(steps_of_page(b, SIDE_NEWEST, 0), first * 9 / 10, first * 11 / 10);
    assert_in_range(first, PAGE, PAGE * 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(revision__takes_a_number_and_the_text_of_its_message),
        TEST(revision__weighs_nothing_when_another_followed),
        TEST(revision__is_refused_and_changes_nothing),
        TEST(revision__of_another_room_is_not_seen),
        TEST(revision__erases_what_was_there_from_the_files),
        TEST(messages__are_loaded_by_number),
        TEST(messages__come_with_their_newest_revision_to_their_author),
        TEST(expired__is_not_in_a_page),
        TEST(expired__goes_piece_by_piece_and_numbers_go_on),
        TEST(expired__stays_when_its_transaction_fails),
        TEST(expired__goes_up_to_what_is_kept),
        TEST(expired__leaves_a_revision_without_its_message),
        TEST(page__costs_the_same_wherever_it_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
