/* The chat's store: its files, what lies sealed in them, crashes, and which history it is. */
#include "shared/base/file.h"
#include "tests/unit/chat_store_fixture.h"

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

static void id_now(struct bench *b, uint8_t ret[ID_LEN])
{
    reopen(b);
    memcpy(ret, history_id, ID_LEN);
}

/* Into a file that is there: in place, as sqlite3's .restore does. */
static void copy_file(const struct bench *b, const char *from, const char *to)
{
    AUTO(buf_done) struct buf content = {0};
    char path[128];

    path_of(b, from, path);
    assert_ok(file_read(path, 1 << 24, FILE_PRIVATE, &content));
    path_of(b, to, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content.p, 1, content.n, f), content.n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void history_id__stays_while_the_database_goes_on(void **state)
{
    struct bench *b = *state;
    uint8_t first[ID_LEN], now[ID_LEN];

    memcpy(first, history_id, ID_LEN);
    people(b);
    for (int i = 0; i < 3; i++) {
        id_now(b, now);
        assert_memory_equal(first, now, ID_LEN);
    }
}

/* A start that was cut off between its steps: both runs stand in the file, the database has the older or the newer. */
static void history_id__stays_when_a_start_was_cut_off(void **state)
{
    struct bench *b = *state;
    uint8_t first[ID_LEN];
    char note[128];

    memcpy(first, history_id, ID_LEN);
    path_of(b, "/history", note);
    for (int order = 0; order < 2; order++) {
        AUTO(buf_done) struct buf run = {0}, both = {0};
        uint8_t other[ID_LEN];
        stop_store(b);
        assert_ok(file_read(note, ID_LEN, FILE_PRIVATE, &run));
        id_of(other, 'x');
        assert_ok(buf_add(&both, order ? SLICE(other) : buf_slice(&run)));
        assert_ok(buf_add(&both, order ? buf_slice(&run) : SLICE(other)));
        assert_ok(file_write_atomic(note, buf_slice(&both), 0600));
        open_store(b);
        assert_memory_equal(first, history_id, ID_LEN);
    }
}

static void history_id__changes_when_a_backup_is_put_back(void **state)
{
    struct bench *b = *state;
    uint8_t first[ID_LEN];
    char path[128];

    memcpy(first, history_id, ID_LEN);
    stop_store(b);
    copy_file(b, "/chat.db", "/backup");
    open_store(b); /* another run */
    stop_store(b);
    copy_file(b, "/backup", "/chat.db"); /* in place: the same inode */
    open_store(b);
    assert_memory_not_equal(first, history_id, ID_LEN);

    memcpy(first, history_id, ID_LEN);
    stop_store(b);
    copy_file(b, "/chat.db", "/backup"); /* of this very run */
    path_of(b, "/chat.db", path);
    assert_int_equal(unlink(path), 0);
    path_of(b, "/backup", path);
    char to[128];
    path_of(b, "/chat.db", to);
    assert_int_equal(rename(path, to), 0);
    open_store(b);
    assert_memory_not_equal(first, history_id, ID_LEN);

    memcpy(first, history_id, ID_LEN);
    stop_store(b);
    path_of(b, "/history", path);
    assert_int_equal(unlink(path), 0);
    open_store(b);
    assert_memory_not_equal(first, history_id, ID_LEN);
}

/* Taken while the daemon ran, put back into the same file after it has ended. */
static void history_id__changes_when_a_backup_of_the_same_run_is_put_back(void **state)
{
    struct bench *b = *state;
    uint8_t first[ID_LEN];
    struct db db = {0};
    char path[128], backup[128], sql[200];

    memcpy(first, history_id, ID_LEN);
    path_of(b, "/chat.db", path);
    path_of(b, "/backup", backup);
    assert_ok(db_open(path, &store_schema, DB_WRITE, &db));
    (void)snprintf(sql, sizeof sql, "VACUUM INTO '%s'", backup);
    assert_ok(db_exec(&db, sql));
    db_close(&db);
    assert_int_equal(chmod(backup, 0600), 0);
    people(b);
    stop_store(b);
    copy_file(b, "/backup", "/chat.db");
    assert_int_equal(unlink(backup), 0);
    open_store(b);
    assert_memory_not_equal(first, history_id, ID_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open__refuses_the_master_key_of_another_database),
        TEST(share__is_erased_from_the_files),
        TEST(share__and_value_lie_sealed),
        TEST(share__moved_to_another_row_is_refused),
        TEST(commit__outlives_a_crash),
        TEST(open__refuses_unsafe_files),
        TEST(history_id__stays_while_the_database_goes_on),
        TEST(history_id__stays_when_a_start_was_cut_off),
        TEST(history_id__changes_when_a_backup_is_put_back),
        TEST(history_id__changes_when_a_backup_of_the_same_run_is_put_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
