/*
 * The contract of chat/store/store.h, run against the SQLite engine. The core is played by this file: what the store
 * tells it is written down in a text.
 */
#include "tests/unit/unit.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chat/store/sqlite.h"
#include "chat/store/store.h"
#include "shared/service/conf.h"

struct bench {
    char dir[64];
    struct conf conf;
    struct master_watch master;
    struct chat_store *store;
    struct buf told;
    sem_t woken;
};

static struct buf *told; /* of the bench that runs */

/* --- the core's side ---------------------------------------------------------------------------------------------- */

enum rc chat_restore_user(struct chat *chat, const uint8_t client_id[ID_LEN], const struct name *name)
{
    (void)chat;
    return buf_printf(told, "user %c %s\n", client_id[0], name->s);
}

enum rc chat_restore_room(struct chat *chat, const struct chat_restore_room *room)
{
    (void)chat;
    TRY(buf_printf(told, "room %c %s/%s t%u h%d e%u check %c head %llu:", room->uid[0], room->id.s, room->name.s,
                   room->threshold, (int)room->hold, room->epoch, room->key_check[0], (unsigned long long)room->head));
    for (size_t i = 0; i < room->members_n; i++)
        TRY(buf_printf(told, " %c%u%c%s", room->members[i].client_id[0], room->members[i].number,
                       room->members[i].commitment[0], room->members[i].pending ? "!" : ""));
    return buf_text(told, "\n");
}

enum rc chat_restore_epoch(struct chat *chat, const uint8_t client_id[ID_LEN], uint32_t epoch)
{
    (void)chat;
    return buf_printf(told, "epoch %c %u\n", client_id[0], epoch);
}

void chat_restore_feed(struct chat *chat, uint64_t seq)
{
    (void)chat;
    if (seq > 0)
        assert_ok(buf_printf(told, "feed %llu\n", (unsigned long long)seq));
}

static void wake(void *ctx)
{
    struct bench *b = ctx;
    assert_int_equal(sem_post(&b->woken), 0);
}

/* --- the bench ---------------------------------------------------------------------------------------------------- */

static void stop_store(struct bench *b)
{
    b->store->ops->stop(b->store);
    master_watch_done(&b->master);
}

static void open_store(struct bench *b)
{
    AUTO(buf_done) struct buf error = {0};

    told = &b->told;
    buf_reset(&b->told);
    assert_int_equal(sem_init(&b->woken, 0, 0), 0);
    assert_ok(chat_store_sqlite_open(&b->conf, &b->master, &b->store, &error));
    assert_ok(b->store->ops->restore(b->store, NULL));
    assert_ok(b->store->ops->start(b->store, wake, b));
}

static void reopen(struct bench *b)
{
    stop_store(b);
    open_store(b);
}

static void path_of(const struct bench *b, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/chat%s", b->dir, name);
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    char path[128];

    assert_non_null(b);
    assert_ok(crypto_setup());
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/kerb-store-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    path_of(b, "", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(b, "/master.key", path);
    assert_ok(master_create(path));
    conf_default(&b->conf);
    (void)snprintf(b->conf.realm_state, sizeof(b->conf.realm_state), "%s", b->dir);
    assert_ok(name_parse(slice_text("KERB"), &b->conf.realm));
    open_store(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"/chat.db", "/chat.db-wal", "/chat.db-shm", "/master.key", ""};
    struct bench *b = *state;
    char path[128];

    if (b->store != NULL)
        stop_store(b);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        path_of(b, files[i], path);
        (void)remove(path);
    }
    (void)remove(b->dir);
    buf_done(&b->told);
    free(b);
    return 0;
}

/* Hands over some jobs at once and waits until as many are back; returns the first, the rest in its links. */
static struct chat_job *finish(struct bench *b, size_t n)
{
    struct chat_job_list all = STAILQ_HEAD_INITIALIZER(all), some;
    struct chat_job *job;
    size_t back = 0;

    while (back < n) {
        assert_int_equal(sem_wait(&b->woken), 0);
        b->store->ops->take(b->store, &some);
        STAILQ_FOREACH (job, &some, link)
            back++;
        STAILQ_CONCAT(&all, &some);
    }
    assert_int_equal(back, n);
    return STAILQ_FIRST(&all);
}

static struct chat_job *done(struct bench *b, struct chat_job *job)
{
    b->store->ops->put(b->store, job);
    assert_ptr_equal(finish(b, 1), job);
    return job;
}

static enum rc result(struct bench *b, struct chat_job *job)
{
    enum rc rc = done(b, job)->rc;
    chat_job_free(job);
    return rc;
}

static void id_of(uint8_t id[ID_LEN], char letter)
{
    memset(id, letter, ID_LEN);
}

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static struct chat_job *job_of(enum chat_job_kind kind, char who, char room)
{
    struct chat_job *job = chat_job_new(kind);

    assert_non_null(job);
    id_of(job->who, who);
    id_of(job->room_uid, room);
    job->time_s = 1780000000;
    return job;
}

static struct chat_job *user_job(char who, const char *name)
{
    struct chat_job *job = job_of(JOB_ADD_USER, who, 0);
    job->who_name = named(name);
    return job;
}

/* members: one letter each; sealed rooms give each the share "NUMBER-LETTER". */
static struct chat_job *room_job(char uid, const char *id, uint32_t threshold, const char *members)
{
    struct chat_job *job = job_of(JOB_ADD_ROOM, 0, uid);

    job->room_id = named(id);
    job->room_name = named("a room");
    job->threshold = threshold;
    job->epoch = 1;
    memset(job->key_check, 'k', SHA256_LEN);
    job->members_n = strlen(members);
    job->members = calloc(job->members_n, sizeof(*job->members));
    assert_non_null(job->members);
    for (size_t i = 0; i < job->members_n; i++) {
        struct chat_job_member *m = &job->members[i];
        id_of(m->client_id, members[i]);
        m->number = (uint16_t)(i + 1);
        memset(m->commitment, 'm', SHA256_LEN);
        if (threshold > 0)
            assert_ok(buf_printf(&m->share, "%zu-%c", i + 1, members[i]));
    }
    return job;
}

static struct chat_job *message_job(char uid, uint64_t seq, size_t box_n)
{
    struct chat_job *job = job_of(JOB_ADD_MESSAGE, 0, uid);

    job->message.seq = seq;
    job->message.time_s = 1780000000 + (int64_t)seq;
    job->message.epoch = 1;
    memset(job->message.mid, (int)seq, ID_LEN);
    job->message.sender = named("alice");
    while (job->message.box.n < box_n)
        assert_ok(buf_byte(&job->message.box, job->message.box.n ? (uint8_t)seq : 0)); /* no envelope */
    return job;
}

static struct chat_job *history_job(char uid, uint32_t rows_max, uint64_t bytes_max)
{
    struct chat_job *job = job_of(JOB_LOAD_HISTORY, 0, uid);
    job->rows_max = rows_max;
    job->bytes_max = bytes_max;
    return job;
}

static struct chat_job *data_job(enum chat_job_kind kind, char who, const char *key, const char *value)
{
    struct chat_job *job = job_of(kind, who, 0);
    job->data_max = 32;
    assert_ok(buf_text(&job->key, key));
    assert_ok(buf_text(&job->value, value));
    return job;
}

static void people(struct bench *b)
{
    assert_ok(result(b, user_job('a', "alice")));
    assert_ok(result(b, user_job('b', "bob")));
    assert_ok(result(b, user_job('c', "carol")));
}

static bool file_has(const struct bench *b, const char *file, const char *text)
{
    static uint8_t bytes[1 << 20];
    char path[128];

    path_of(b, file, path);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    return memmem(bytes, n, text, strlen(text)) != NULL;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

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
    assert_true(job->more);
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
    assert_false(job->more);
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
    assert_true(job->more);
    chat_job_free(job);
    job = done(b, history_job('R', 100, 10));
    assert_int_equal(job->rows_n, 1);
    assert_int_equal(job->rows[0].seq, 4);
    assert_true(job->more);
    chat_job_free(job);
    assert_rc(result(b, history_job('Q', 100, 10)), RC_NOT_FOUND);
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
static void share__is_erased_from_the_files(void **state)
{
    struct bench *b = *state;
    struct db db = {0};
    AUTO(buf_done) struct buf sealed = {0};
    char path[128];
    sqlite3_stmt *st;
    bool has_row;

    people(b);
    assert_ok(result(b, room_job('R', "vault", 1, "a")));
    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_READ, &db));
    assert_ok(db_prepare(&db, "SELECT hex(substr(sealed, 7, 16)) FROM share", &st));
    assert_ok(db_step(st, &has_row));
    assert_true(has_row);
    assert_ok(buf_add(&sealed, db_text(st, 0)));
    db_close(&db);
    assert_ok(result(b, job_of(JOB_DROP_SHARE, 'a', 'R')));
    stop_store(b);

    uint8_t iv[16];
    assert_int_equal(sealed.n, 32);
    for (size_t i = 0; i < 16; i++) {
        char hex[3] = {(char)sealed.p[2 * i], (char)sealed.p[2 * i + 1], 0};
        iv[i] = (uint8_t)strtoul(hex, NULL, 16);
    }
    static uint8_t file[1 << 20];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(file, 1, sizeof(file), f);
    (void)fclose(f);
    assert_true(n > 4096);
    assert_null(memmem(file, n, iv, sizeof(iv)));
    path_of(b, "/chat.db-wal", path);
    struct stat wal;
    assert_true(stat(path, &wal) != 0 || wal.st_size == 0);
    open_store(b);
}

static void share__and_value_lie_sealed(void **state)
{
    struct bench *b = *state;

    people(b);
    struct chat_job *job = room_job('R', "vault", 1, "a");
    assert_ok(buf_text(&job->members[0].share, "-c0ffeec0ffee"));
    assert_ok(result(b, job));
    assert_ok(result(b, data_job(JOB_SAVE_DATA, 'a', "diary", "\"dear-diary\"")));
    assert_true(file_has(b, "/chat.db-wal", "diary"));
    assert_false(file_has(b, "/chat.db-wal", "c0ffeec0ffee"));
    assert_false(file_has(b, "/chat.db-wal", "dear-diary"));
}

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

static void commit__outlives_a_crash(void **state)
{
    struct bench *b = *state;
    int status;

    stop_store(b);
    b->store = NULL;
    pid_t child = fork();
    if (child == 0) {
        open_store(b);
        people(b);
        bool fine = result(b, room_job('R', "vault", 2, "ab")) == RC_OK && result(b, message_job('R', 1, 8)) == RC_OK;
        _exit(fine ? 0 : 1); /* the thread lives, nothing is closed */
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    open_store(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room R vault/a room t2 h0 e1 check k head 1: a1m! b2m!\n");
}

/* Another writer holds the file for longer than the store waits: the batch fails as a whole, heads are as before. */
static void failed_commit__changes_nothing(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;
    struct db db = {0};
    char path[128];

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(result(b, message_job('R', 1, 8)));
    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_WRITE, &db));
    assert_ok(db_begin(&db));
    sqlite3_busy_timeout(s->db.h, 10);
    assert_rc(result(b, message_job('R', 2, 8)), RC_DB);
    assert_rc(b->store->ops->health(b->store), RC_DB);
    assert_ok(result(b, history_job('R', 10, 1000)));
    db_rollback(&db);
    db_close(&db);
    assert_ok(result(b, message_job('R', 2, 8)));
    assert_ok(b->store->ops->health(b->store));
}

/* A trigger makes SQLite itself fail in the middle of a batch, after jobs that went well. */
static void sql_error__fails_the_whole_batch(void **state)
{
    struct bench *b = *state;
    struct sqlite_store *s = (struct sqlite_store *)b->store;

    people(b);
    assert_ok(result(b, room_job('R', "lobby", 0, "ab")));
    assert_ok(db_exec(&s->db, "CREATE TEMP TRIGGER t BEFORE INSERT ON message WHEN new.seq = 2"
                              " BEGIN SELECT abs(-9223372036854775808); END"));
    struct chat_job *batch[] = {
        history_job('R', 10, 1000),      message_job('R', 1, 8), room_job('S', "other", 0, "ab"),
        job_of(JOB_DELETE_ROOM, 0, 'R'), user_job('d', "dave"),  message_job('S', 1, 8),
        message_job('S', 2, 8),
    };
    pthread_mutex_lock(&s->lock); /* so that all are one batch */
    for (size_t i = 0; i < ARRAY_LEN(batch); i++)
        STAILQ_INSERT_TAIL(&s->queue, batch[i], link);
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->ready);
    struct chat_job *job = finish(b, 7), *next;
    for (int i = 0; i < 7; i++, job = next) {
        next = STAILQ_NEXT(job, link);
        assert_rc(job->rc, i == 0 ? RC_OK : RC_DB);
        chat_job_free(job);
    }
    assert_ok(result(b, message_job('R', 1, 8)));
    assert_rc(result(b, message_job('S', 1, 8)), RC_NOT_FOUND);
    reopen(b);
    assert_slice(buf_slice(&b->told), "user a alice\nuser b bob\nuser c carol\n"
                                      "room R lobby/a room t0 h0 e1 check k head 1: a1m b2m\n");
}

static void open__refuses_unsafe_files(void **state)
{
    struct bench *b = *state;
    AUTO(buf_done) struct buf error = {0};
    struct chat_store *store;
    char path[128];

    stop_store(b);
    b->store = NULL;
    path_of(b, "/master.key", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_rc(chat_store_sqlite_open(&b->conf, &b->master, &store, &error), RC_UNSAFE_FILE);
    assert_true(error.n > 0);
    assert_int_equal(chmod(path, 0600), 0);
    path_of(b, "", path);
    assert_int_equal(chmod(path, 0755), 0);
    assert_rc(chat_store_sqlite_open(&b->conf, &b->master, &store, &error), RC_UNSAFE_FILE);
    assert_int_equal(chmod(path, 0700), 0);
}

/* A share moved to another member's row, as somebody with the file but not the key could. */
static void share__moved_to_another_row_is_refused(void **state)
{
    struct bench *b = *state;
    struct db db = {0};
    char path[128];

    people(b);
    assert_ok(result(b, room_job('R', "vault", 1, "ab")));
    path_of(b, "/chat.db", path);
    assert_ok(db_open(path, &store_schema, DB_WRITE, &db));
    assert_ok(db_exec(&db, "UPDATE share SET sealed = (SELECT sealed FROM share ORDER BY id LIMIT 1)"));
    db_close(&db);
    assert_ok(result(b, job_of(JOB_LOAD_SHARES, 'a', 0)));
    assert_rc(result(b, job_of(JOB_LOAD_SHARES, 'b', 0)), RC_MODIFIED);
}

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
static void open__refuses_the_master_key_of_another_database(void **state)
{
    struct bench *b = *state;
    AUTO(buf_done) struct buf error = {0};
    struct chat_store *store;
    char path[128], aside[128];

    stop_store(b);
    path_of(b, "/master.key", path);
    path_of(b, "/master.aside", aside);
    assert_int_equal(rename(path, aside), 0);
    assert_ok(master_create(path));
    assert_rc(chat_store_sqlite_open(&b->conf, &b->master, &store, &error), RC_MODIFIED);
    assert_non_null(strstr(buf_cstr(&error), "not the one of this database"));
    assert_int_equal(rename(aside, path), 0);
    open_store(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store__tells_what_it_holds),
        TEST(store__takes_a_user_once),
        TEST(epoch__rises_and_is_told_again),
        TEST(open__refuses_the_master_key_of_another_database),
        TEST(store__refuses_a_taken_room_and_keeps_the_rest_of_the_batch),
        TEST(store__refuses_a_message_out_of_order),
        TEST(store__gives_jobs_back_in_order),
        TEST(history__is_the_newest_oldest_first),
        TEST(history__is_bounded_in_bytes_and_never_empty),
        TEST(load__sees_what_was_written_before_it),
        TEST(load__of_much_waits_until_the_last_one_is_taken),
        TEST(share__waits_until_it_is_dropped),
        TEST(share__is_erased_from_the_files),
        TEST(share__and_value_lie_sealed),
        TEST(share__moved_to_another_row_is_refused),
        TEST(member__leaves_with_his_share),
        TEST(room__goes_with_all_that_belongs_to_it),
        TEST(data__is_kept_per_user_and_key),
        TEST(data__is_bounded_in_bytes),
        TEST(data__is_bounded_in_entries),
        TEST(commit__outlives_a_crash),
        TEST(failed_commit__changes_nothing),
        TEST(sql_error__fails_the_whole_batch),
        TEST(open__refuses_unsafe_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
