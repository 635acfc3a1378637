/* The contract of chat/store/store.h, run against the SQLite engine: what each job does. */
#include "tests/unit/chat_store_fixture.h"

static void store__tells_what_it_holds(void **state)
{
    struct bench *b = *state;

    assert_ok(result(b, user_job('z', "zoe")));
    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, room_job('S', "vault", 2, "bac")));
    assert_ok(result(b, message_job('S', 1, 10)));
    assert_ok(result(b, message_job('S', 2, 10)));
    reopen(b);
    assert_slice(buf_slice(&b->told), "user z zoe\nuser a alice\nuser b bob\nuser c carol\n"
                                      "room R lobby/a room t0 h0 e1 check k head 0: a1m b2m\n"
                                      "room S vault/a room t2 h0 e1 check k head 2: b1m! a2m! c3m!\n");
}

static void store__takes_a_user_once(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, user_job('a', "alice")));
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n");
}

static void store__refuses_a_taken_room_and_keeps_the_rest_of_the_batch(void **state)
{
    struct bench *b = *state;

    people(b);
    b->store->ops->put(b->store, room_job('R', "lobby", 1, "ab"));
    b->store->ops->put(b->store, room_job('S', "lobby", 1, "ab"));
    b->store->ops->put(b->store, room_job('T', "other", 1, "ax"));
    b->store->ops->put(b->store, message_job('R', 1, 8));
    struct chat_job *job = finish(b, 4), *next;
    static const enum rc want[] = {RC_OK, RC_EXISTS, RC_NO_CLIENT, RC_OK};
    for (size_t i = 0; i < 4; i++, job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, want[i]);
        chat_job_free(job);
    }
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room R lobby/a room t1 h0 e1 check k head 1: a1m! b2m!\n");
}

static void store__refuses_a_message_out_of_order(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_rc(result(b, message_job('R', 2, 8)), RC_LIMIT);
    assert_ok(result(b, message_job('R', 1, 8)));
    assert_rc(result(b, message_job('R', 1, 8)), RC_LIMIT);
    assert_rc(result(b, message_job('R', 3, 8)), RC_LIMIT);
    assert_rc(result(b, message_job('Q', 1, 8)), RC_NOT_FOUND);
    reopen(b);
    assert_ok(result(b, message_job('R', 2, 8)));
}

static void store__gives_jobs_back_in_order(void **state)
{
    enum { N = 3 * CHAT_STORE_BATCH_MAX };
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    for (uint64_t i = 1; i <= N; i++)
        b->store->ops->put(b->store, message_job('R', i, 8));
    struct chat_job *job = finish(b, N), *next;
    for (uint64_t i = 1; i <= N; i++, job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, RC_OK);
        assert_int_equal(job->message.seq, i);
        chat_job_free(job);
    }
}

static void load__of_much_waits_until_the_last_one_is_taken(void **state)
{
    enum { N = 64, SIZE = 1024 * 1024 };
    struct bench *b = *state;
    AUTO(buf_done) struct buf value = {0};
    struct chat_job_list some;
    struct chat_job *job;
    size_t back = 0;

    people(b);
    assert_ok(buf_reserve(&value, SIZE));
    memset(value.p, 'x', SIZE - 1);
    value.p[SIZE - 1] = 0;
    job = data_job(JOB_SAVE_DATA, 'a', "much", (const char *)value.p);
    job->data_max = 2 * SIZE;
    assert_ok(result(b, job));
    for (size_t i = 0; i < N; i++)
        b->store->ops->put(b->store, data_job(JOB_LOAD_DATA, 'a', "much", ""));
    while (back < N) {
        size_t n = 0;
        assert_int_equal(sem_wait(&b->woken), 0);
        usleep(50000); /* what it does meanwhile must not add up */
        b->store->ops->take(b->store, &some);
        while ((job = STAILQ_FIRST(&some)) != NULL) {
            STAILQ_REMOVE_HEAD(&some, link);
            assert_rc(job->rc, RC_OK);
            assert_int_equal(job->pairs_n, 1);
            chat_job_free(job);
            n++;
        }
        assert_true(n <= 2 * STORE_LOADED_MAX / SIZE);
        back += n;
    }
    assert_int_equal(back, N);
}

static void history__is_the_newest_oldest_first(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, room_job('S', "other", 0, "ab")));
    for (uint64_t i = 1; i <= 5; i++) {
        assert_ok(result(b, message_job('R', i, 100)));
        assert_ok(result(b, message_job('S', i, 100)));
    }
    struct chat_job *job = done(b, history_job('R', 3, 100000));
    assert_rc(job->rc, RC_OK);
    assert_int_equal(job->rows_n, 3);
    assert_true(job->more_before);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(job->rows[i].seq, 3 + i);
        assert_int_equal(job->rows[i].time_s, 1780000003 + (int64_t)i);
        assert_int_equal(job->rows[i].epoch, 1);
        assert_int_equal(job->rows[i].mid[15], 3 + i);
        assert_slice(name_slice(&job->rows[i].sender), "alice");
        assert_int_equal(job->rows[i].box.n, 100);
        assert_int_equal(job->rows[i].box.p[99], 3 + i);
    }
    chat_job_free(job);

    job = done(b, history_job('R', 5, 100000));
    assert_int_equal(job->rows_n, 5);
    assert_false(job->more_before);
    chat_job_free(job);
}

static void history__is_bounded_in_bytes_and_never_empty(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    for (uint64_t i = 1; i <= 4; i++)
        assert_ok(result(b, message_job('R', i, 100)));
    struct chat_job *job = done(b, history_job('R', 100, 299));
    assert_int_equal(job->rows_n, 2);
    assert_int_equal(job->rows[0].seq, 3);
    assert_true(job->more_before);
    chat_job_free(job);
    job = done(b, history_job('R', 100, 10));
    assert_int_equal(job->rows_n, 1);
    assert_int_equal(job->rows[0].seq, 4);
    assert_true(job->more_before);
    chat_job_free(job);
    assert_rc(result(b, history_job('Q', 100, 10)), RC_NOT_FOUND);
}

struct page {
    enum chat_side side;
    uint64_t from;
    uint32_t rows_max;
    uint64_t bytes_max;
    uint64_t first, last; /* 0: nothing */
    bool more_before, more_after;
};

static void check_page(struct bench *b, const struct page *want)
{
    struct chat_job *job = history_job('R', want->rows_max, want->bytes_max);

    job->side = want->side;
    job->from_seq = want->from;
    job = done(b, job);
    assert_ok(job->rc);
    assert_int_equal(job->rows_n, want->last ? want->last - want->first + 1 : 0);
    for (size_t i = 0; i < job->rows_n; i++)
        assert_int_equal(job->rows[i].seq, want->first + i);
    assert_int_equal(job->more_before, want->more_before);
    assert_int_equal(job->more_after, want->more_after);
    chat_job_free(job);
}

static void history__comes_in_pages_on_either_side(void **state)
{
#define MUCH 100000
    static const struct page pages[] = {
        {SIDE_NEWEST, 0,         4, MUCH, 7, 10, true,  false},
        {SIDE_BEFORE, 7,         3, MUCH, 4, 6,  true,  true },
        {SIDE_BEFORE, 4,         3, MUCH, 1, 3,  false, true },
        {SIDE_BEFORE, 1,         3, MUCH, 0, 0,  false, true },
        {SIDE_BEFORE, 0,         3, MUCH, 0, 0,  false, true },
        {SIDE_BEFORE, 11,        3, MUCH, 8, 10, true,  false},
        {SIDE_BEFORE, INT64_MAX, 3, MUCH, 8, 10, true,  false},
        {SIDE_BEFORE, 7,         3, 199,  6, 6,  true,  true },
        {SIDE_AFTER,  0,         3, MUCH, 1, 3,  false, true },
        {SIDE_AFTER,  3,         3, MUCH, 4, 6,  true,  true },
        {SIDE_AFTER,  7,         3, MUCH, 8, 10, true,  false},
        {SIDE_AFTER,  10,        3, MUCH, 0, 0,  true,  false},
        {SIDE_AFTER,  INT64_MAX, 3, MUCH, 0, 0,  true,  false},
        {SIDE_AFTER,  3,         3, 199,  4, 4,  true,  true },
        {SIDE_AROUND, 5,         4, MUCH, 3, 6,  true,  true },
        {SIDE_AROUND, 5,         1, MUCH, 5, 5,  true,  true },
        {SIDE_AROUND, 1,         4, MUCH, 1, 4,  false, true },
        {SIDE_AROUND, 10,        4, MUCH, 8, 10, true,  false},
        {SIDE_AROUND, 0,         4, MUCH, 1, 4,  false, true },
        {SIDE_AROUND, 99,        4, MUCH, 9, 10, true,  false},
    };
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    for (uint64_t i = 1; i <= 10; i++)
        assert_ok(result(b, message_job('R', i, 100)));
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        check_page(b, &pages[i]);
}

static void load__sees_what_was_written_before_it(void **state)
{
    struct bench *b = *state;

    people(b);
    b->store->ops->put(b->store, room_job('R', "lobby", 0, "ab"));
    b->store->ops->put(b->store, message_job('R', 1, 8));
    b->store->ops->put(b->store, history_job('R', 10, 1000));
    b->store->ops->put(b->store, message_job('R', 2, 8));
    struct chat_job *job = finish(b, 4), *next;
    for (size_t i = 0; i < 4; i++, job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, RC_OK);
        if (job->kind == JOB_LOAD_HISTORY)
            assert_int_equal(job->rows_n, 1);
        chat_job_free(job);
    }
}

static size_t shares_of(struct bench *b, char who, char *ret_room, struct buf *ret_share)
{
    struct chat_job *job = done(b, job_of(JOB_LOAD_SHARES, who, 0));
    size_t n = job->pairs_n;

    assert_rc(job->rc, RC_OK);
    buf_reset(ret_share);
    if (n > 0) {
        assert_int_equal(job->pairs[0].key.n, ID_LEN);
        *ret_room = (char)job->pairs[0].key.p[0];
        assert_ok(buf_add(ret_share, buf_slice(&job->pairs[0].value)));
    }
    chat_job_free(job);
    return n;
}

static void share__waits_until_it_is_dropped(void **state)
{
    struct bench *b = *state;
    AUTO(buf_done) struct buf share = {0};
    char room = 0;

    people(b);
    assert_ok(result(b, room_job('R', "vault", 2, "abc")));
    assert_ok(result(b, room_job('S', "safe", 2, "ba")));
    assert_int_equal(shares_of(b, 'b', &room, &share), 2);
    assert_int_equal(room, 'R');
    assert_slice(buf_slice(&share), "2-b");
    assert_ok(result(b, job_of(JOB_DROP_SHARE, 'b', 'R')));
    assert_ok(result(b, job_of(JOB_DROP_SHARE, 'b', 'R')));
    assert_int_equal(shares_of(b, 'b', &room, &share), 1);
    assert_int_equal(room, 'S');
    assert_int_equal(shares_of(b, 'c', &room, &share), 1);
    reopen(b);
    assert_int_equal(shares_of(b, 'a', &room, &share), 2);
    assert_int_equal(shares_of(b, 'b', &room, &share), 1);
}

/* The sealed row, found by what the file holds of it: the bytes in the database before the drop are not there after. */
static void member__leaves_with_his_share(void **state)
{
    struct bench *b = *state;
    AUTO(buf_done) struct buf share = {0};
    char room;

    people(b);
    assert_ok(result(b, room_job('R', "vault", 2, "abc")));
    assert_ok(result(b, job_of(JOB_LEAVE, 'b', 'R')));
    assert_rc(result(b, job_of(JOB_LEAVE, 'b', 'R')), RC_NOT_FOUND);
    assert_rc(result(b, job_of(JOB_LEAVE, 'x', 'R')), RC_NO_CLIENT);
    assert_rc(result(b, job_of(JOB_LEAVE, 'a', 'Q')), RC_NOT_FOUND);
    assert_int_equal(shares_of(b, 'b', &room, &share), 0);
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room R vault/a room t2 h0 e1 check k head 0: a1m! c3m!\n");
}

static int64_t count(const struct bench *b, const char *sql)
{
    struct db db = {0};
    sqlite3_stmt *st;
    char path[128];
    bool has_row;

    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_READ, &db));
    assert_ok(db_prepare(&db, sql, &st));
    assert_ok(db_step(st, &has_row));
    int64_t n = db_int(st, 0);
    db_close(&db);
    return n;
}

static void room__goes_with_all_that_belongs_to_it(void **state)
{
    struct bench *b = *state;
    AUTO(buf_done) struct buf share = {0};
    char room;

    people(b);
    assert_ok(result(b, room_job('R', "vault", 2, "abc")));
    assert_ok(result(b, room_job('S', "other", 0, "ab")));
    for (uint64_t i = 1; i <= 2 * STORE_SWEEP_ROWS + 1; i++)
        b->store->ops->put(b->store, message_job('R', i, 8));
    struct chat_job *job = finish(b, 2 * STORE_SWEEP_ROWS + 1), *next;
    for (; job != NULL; job = next) {
        next = STAILQ_NEXT(job, link);
        chat_job_free(job);
    }
    assert_ok(result(b, message_job('S', 1, 8)));
    assert_ok(result(b, job_of(JOB_DELETE_ROOM, 0, 'R')));
    assert_rc(result(b, job_of(JOB_DELETE_ROOM, 0, 'R')), RC_NOT_FOUND);
    assert_rc(result(b, message_job('R', 2 * STORE_SWEEP_ROWS + 2, 8)), RC_NOT_FOUND);
    assert_rc(result(b, history_job('R', 10, 1000)), RC_NOT_FOUND);
    assert_int_equal(shares_of(b, 'a', &room, &share), 0);
    assert_ok(result(b, room_job('T', "vault", 0, "a"))); /* the id is free again */
    struct chat_job *empty = done(b, history_job('T', 10, 1000));
    assert_int_equal(empty->rows_n, 0);
    chat_job_free(empty);
    for (int i = 0; i < 200 && count(b, "SELECT count(*) FROM sweep") > 0; i++)
        (void)usleep(20000);
    assert_int_equal(count(b, "SELECT count(*) FROM message"), 1);
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room S other/a room t0 h0 e1 check k head 1: a1m b2m\n"
                                      "room T vault/a room t0 h0 e1 check k head 0: a1m\n");
}

static void data__is_kept_per_user_and_key(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "k", "1")));
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "k", "22")));
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "j", "\"x\"")));
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'b', "k", "333")));
    reopen(b);
    struct chat_job *job = done(b, data_job(JOB_LOAD_DATA, 'a', "k", ""));
    assert_rc(job->rc, RC_OK);
    assert_int_equal(job->pairs_n, 1);
    assert_slice(buf_slice(&job->pairs[0].key), "k");
    assert_slice(buf_slice(&job->pairs[0].value), "22");
    chat_job_free(job);
    job = done(b, data_job(JOB_LOAD_DATA, 'a', "", ""));
    assert_int_equal(job->pairs_n, 2);
    assert_slice(buf_slice(&job->pairs[0].key), "j");
    chat_job_free(job);
    job = done(b, data_job(JOB_LOAD_DATA, 'a', "none", ""));
    assert_rc(job->rc, RC_OK);
    assert_int_equal(job->pairs_n, 0);
    chat_job_free(job);
    assert_rc(result(b, data_job(JOB_SAVE_DATA, 'x', "k", "1")), RC_NO_CLIENT);
}

static void data__is_bounded_in_bytes(void **state)
{
    struct bench *b = *state; /* data_max is 32 */

    people(b);
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "one", "1234567890123"))); /* 16 */
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "two", "1234567890123"))); /* 32 */
    assert_rc(result(b, data_job(JOB_SAVE_DATA, 'a', "3", "1")), RC_LIMIT);
    assert_rc(result(b, data_job(JOB_SAVE_DATA, 'a', "two", "12345678901234")), RC_LIMIT);
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "two", "12345678901"))); /* 30 */
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "3", "1")));             /* 32 */
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'b', "one", "1234567890123")));
    reopen(b);
    assert_rc(result(b, data_job(JOB_SAVE_DATA, 'a', "4", "1")), RC_LIMIT);
}

static void data__is_bounded_in_entries(void **state)
{
    struct bench *b = *state;
    char key[16];

    people(b);
    for (int i = 0; i <= STORE_ENTRIES_MAX; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        struct chat_job *job = data_job(JOB_SAVE_DATA, 'a', key, "1");
        job->data_max = 1 << 20;
        b->store->ops->put(b->store, job);
    }
    struct chat_job *job = finish(b, STORE_ENTRIES_MAX + 1), *next;
    for (int i = 0; i <= STORE_ENTRIES_MAX; i++, job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, i < STORE_ENTRIES_MAX ? RC_OK : RC_LIMIT);
        chat_job_free(job);
    }
}

/* Another writer holds the file for longer than the store waits: the batch fails as a whole, heads are as before. */
/* A trigger makes SQLite itself fail in the middle of a batch, after jobs that went well. */
/* A share moved to another member's row, as somebody with the file but not the key could. */
static struct chat_job *epoch_job(char who, uint32_t epoch)
{
    struct chat_job *job = job_of(JOB_RAISE_EPOCH, who, 0);
    job->epoch = epoch;
    return job;
}

static struct chat_job *heard_job(uint64_t feed_seq)
{
    struct chat_job *job = job_of(JOB_HEARD, 0, 0);
    job->feed_seq = feed_seq;
    return job;
}

/* Of anybody, also of who is no user here; an epoch never goes back, the number of a restored feed does. */
static void epoch__rises_and_is_told_again(void **state)
{
    struct bench *b = *state;

    assert_ok(result(b, epoch_job('x', 3)));
    assert_ok(result(b, epoch_job('x', 2)));
    assert_ok(result(b, epoch_job('y', 1)));
    assert_ok(result(b, heard_job(11)));
    assert_ok(result(b, heard_job(9)));
    reopen(b);
    assert_string_equal(buf_cstr(&b->told), "feed 9\nepoch x 3\nepoch y 1\n");
}

/* Told at the start, before anything is sealed under a key that does not belong here. */

static struct chat_job *mark_job(char who, char uid, uint64_t seq)
{
    struct chat_job *job = job_of(JOB_MARK_READ, who, uid);
    job->from_seq = seq;
    return job;
}

static void mark__rises_and_is_told_again(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, mark_job('a', 'R', 5)));
    assert_ok(result(b, mark_job('a', 'R', 3)));
    assert_ok(result(b, mark_job('c', 'R', 3))); /* no member: nothing to keep it in */
    assert_rc(result(b, mark_job('a', 'Q', 3)), RC_NOT_FOUND);
    assert_rc(result(b, mark_job('z', 'R', 3)), RC_NO_CLIENT);
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room R lobby/a room t0 h0 e1 check k head 0: a1m(5) b2m\n");
}

static struct chat_job *find_job(char who, const char *cid)
{
    struct chat_job *job = job_of(JOB_FIND_MESSAGE, who, 0);
    assert_ok(buf_text(&job->cid, cid));
    return job;
}

static void cid__is_stored_once_for_each_user(void **state)
{
    struct bench *b = *state;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, room_job('S', "other", 0, "ab")));
    assert_ok(result(b, cid_job('R', 1, 'a', "m1")));
    assert_ok(result(b, cid_job('R', 2, 'b', "m1")));
    struct chat_job *job = done(b, cid_job('S', 1, 'a', "m1"));
    assert_rc(job->rc, RC_EXISTS);
    assert_int_equal(job->found_uid[0], 'R');
    assert_int_equal(job->rows_n, 1);
    assert_int_equal(job->rows[0].seq, 1);
    chat_job_free(job);
    assert_ok(result(b, message_job('S', 1, 8))); /* the number is still free */
    job = done(b, find_job('b', "m1"));
    assert_ok(job->rc);
    assert_int_equal(job->rows[0].seq, 2);
    chat_job_free(job);
    assert_rc(result(b, find_job('b', "m2")), RC_NOT_FOUND);
    assert_rc(result(b, find_job('c', "m1")), RC_NOT_FOUND);
}

/* While the messages of a deleted room are swept away, too. */
static void cid__of_a_room_that_is_gone_is_free(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, room_job('S', "other", 0, "ab")));
    assert_ok(result(b, cid_job('R', 1, 'a', "m1")));
    struct chat_job *batch[] = {job_of(JOB_DELETE_ROOM, 0, 'R'), find_job('a', "m1"), cid_job('S', 1, 'a', "m1")};
    pthread_mutex_lock(&s->lock); /* so that all are one batch */
    for (size_t i = 0; i < ARRAY_LEN(batch); i++)
        STAILQ_INSERT_TAIL(&s->queue, batch[i], link);
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->ready);
    struct chat_job *job = finish(b, 3), *next;
    for (int i = 0; i < 3; i++, job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, i == 1 ? RC_NOT_FOUND : RC_OK);
        chat_job_free(job);
    }
    job = done(b, find_job('a', "m1"));
    assert_int_equal(job->found_uid[0], 'S');
    chat_job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store__tells_what_it_holds),
        TEST(store__takes_a_user_once),
        TEST(epoch__rises_and_is_told_again),
        TEST(store__refuses_a_taken_room_and_keeps_the_rest_of_the_batch),
        TEST(store__refuses_a_message_out_of_order),
        TEST(store__gives_jobs_back_in_order),
        TEST(history__is_the_newest_oldest_first),
        TEST(history__is_bounded_in_bytes_and_never_empty),
        TEST(history__comes_in_pages_on_either_side),
        TEST(load__sees_what_was_written_before_it),
        TEST(load__of_much_waits_until_the_last_one_is_taken),
        TEST(share__waits_until_it_is_dropped),
        TEST(member__leaves_with_his_share),
        TEST(room__goes_with_all_that_belongs_to_it),
        TEST(data__is_kept_per_user_and_key),
        TEST(data__is_bounded_in_bytes),
        TEST(data__is_bounded_in_entries),
        TEST(mark__rises_and_is_told_again),
        TEST(cid__is_stored_once_for_each_user),
        TEST(cid__of_a_room_that_is_gone_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
