/* SQLite files: what is refused, what is migrated, what rows keep. */
#include "shared/db/db.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "tests/unit/unit.h"

static char dir[32], path[64], key_path[64];

static const char *const steps[] = {
    ("CREATE TABLE t (k TEXT PRIMARY KEY, v BLOB NOT NULL) STRICT;"
     "CREATE TABLE child (k TEXT NOT NULL REFERENCES t(k)) STRICT"),
    "ALTER TABLE t ADD COLUMN n INTEGER NOT NULL DEFAULT 7",
    "CREATE TABLE broken (x NONSENSE) STRICT",
};
static const struct db_schema v1 = {0x6B657262, steps, 1}, v2 = {0x6B657262, steps, 2},
                              v3_broken = {0x6B657262, steps, 3}, foreign = {0x12345678, steps, 1};

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/kerb-db-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    (void)snprintf(path, sizeof path, "%s/x.db", dir);
    (void)snprintf(key_path, sizeof key_path, "%s/master.key", dir);
    return 0;
}

static int remove_dir(void **state)
{
    static const char *const tails[] = {"x.db", "x.db-wal", "x.db-shm", "master.key", "link"};
    char file[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        (void)snprintf(file, sizeof file, "%s/%s", dir, tails[i]);
        (void)unlink(file);
    }
    return rmdir(dir);
}

static int64_t one_int(struct db *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    bool row = false;

    assert_ok(db_prepare(db, sql, &st));
    assert_ok(db_step(st, &row));
    assert_true(row);
    int64_t v = db_int(st, 0);
    (void)sqlite3_finalize(st);
    return v;
}

static void make(const struct db_schema *schema)
{
    AUTO(db_close) struct db db = {0};
    assert_ok(db_open(path, schema, DB_CREATE, &db));
    assert_ok(db_exec(&db, "INSERT INTO t (k, v) VALUES ('a', x'01')"));
}

static void db_open__makes_a_private_file_with_safe_pragmas(void **state)
{
    AUTO(db_close) struct db db = {0};
    struct stat st;

    (void)state;
    mode_t before = umask(0);
    assert_ok(db_open(path, &v2, DB_CREATE, &db));
    (void)umask(before);
    assert_ok(db_exec(&db, "INSERT INTO t (k, v) VALUES ('a', x'01')"));
    char wal[80];
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(one_int(&db, "PRAGMA application_id"), 0x6B657262);
    assert_int_equal(one_int(&db, "PRAGMA user_version"), 2);
    assert_int_equal(one_int(&db, "PRAGMA synchronous"), 2);
    assert_int_equal(one_int(&db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(one_int(&db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(one_int(&db, "PRAGMA temp_store"), 2);
    assert_int_equal(one_int(&db, "PRAGMA secure_delete"), 1);
    assert_int_equal(one_int(&db, "PRAGMA busy_timeout"), 5000);
    assert_int_equal(one_int(&db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
}

static void db_open__of_a_missing_file_creates_only_when_told(void **state)
{
    AUTO(db_close) struct db db = {0};

    (void)state;
    assert_rc(db_open(path, &v1, DB_WRITE, &db), RC_NOT_FOUND);
    assert_rc(db_open(path, &v1, DB_READ, &db), RC_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
}

static void db_open__migrates_and_keeps_the_rows(void **state)
{
    AUTO(db_close) struct db old = {0}, db = {0};

    (void)state;
    make(&v1);
    assert_rc(db_open(path, &v2, DB_READ, &old), RC_DB);
    assert_string_equal(db_error(&old), "the file has an older schema: run kerbadm upgrade");
    assert_ok(db_open(path, &v2, DB_WRITE, &db));
    assert_int_equal(one_int(&db, "SELECT n FROM t WHERE k = 'a'"), 7);
    assert_int_equal(one_int(&db, "PRAGMA user_version"), 2);
}

static void db_open__undoes_a_migration_that_fails(void **state)
{
    AUTO(db_close) struct db db = {0}, still = {0};

    (void)state;
    make(&v1);
    assert_rc(db_open(path, &v3_broken, DB_WRITE, &db), RC_DB);
    assert_non_null(strstr(db_error(&db), "NONSENSE"));
    assert_ok(db_open(path, &v2, DB_READ, &still)); /* step 2 was committed on its own, step 3 left nothing */
}

static void db_open__refuses_newer_foreign_and_other_files(void **state)
{
    AUTO(db_close) struct db db = {0};
    AUTO(buf_done) struct buf before = {0}, after = {0};

    (void)state;
    make(&v2);
    assert_ok(file_read(path, 1 << 20, FILE_PRIVATE, &before));
    assert_rc(db_open(path, &v1, DB_CREATE, &db), RC_DB_NEWER);
    assert_rc(db_open(path, &v1, DB_READ, &db), RC_DB_NEWER);
    assert_rc(db_open(path, &foreign, DB_CREATE, &db), RC_DB_FOREIGN);
    assert_ok(file_read(path, 1 << 20, FILE_PRIVATE, &after));
    assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
    assert_ok(file_write_atomic(path, slice_text("this is no database, but it is long enough to have a header of one"),
                                0600));
    assert_rc(db_open(path, &v1, DB_CREATE, &db), RC_DB_FOREIGN);
    assert_ok(file_write_atomic(path, slice_text(""), 0600));
    assert_rc(db_open(path, &v1, DB_WRITE, &db), RC_DB_FOREIGN);
}

static void db_open__refuses_files_that_others_may_touch(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0660};
    AUTO(db_close) struct db db = {0};
    char link_path[64];

    (void)state;
    make(&v1);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_rc(db_open(path, &v1, DB_READ, &db), RC_UNSAFE_FILE);
        assert_rc(db_open(path, &v1, DB_CREATE, &db), RC_UNSAFE_FILE);
    }
    assert_int_equal(chmod(path, 0600), 0);
    (void)snprintf(link_path, sizeof link_path, "%s/link", dir);
    assert_int_equal(symlink(path, link_path), 0);
    assert_rc(db_open(link_path, &v1, DB_WRITE, &db), RC_UNSAFE_FILE);
}

static void db_read__works_while_another_process_writes_and_never_writes(void **state)
{
    AUTO(db_close) struct db reader = {0}, writer = {0};

    (void)state;
    make(&v1);
    assert_ok(db_open(path, &v1, DB_WRITE, &writer));
    assert_ok(db_begin(&writer));
    assert_ok(db_exec(&writer, "INSERT INTO t (k, v) VALUES ('b', x'02')"));
    assert_ok(db_open(path, &v1, DB_READ, &reader));
    assert_int_equal(one_int(&reader, "SELECT count(*) FROM t"), 1);
    assert_ok(db_commit(&writer));
    assert_int_equal(one_int(&reader, "SELECT count(*) FROM t"), 2);
    assert_rc(db_exec(&reader, "DELETE FROM t"), RC_DB);
}

static void db_read__works_after_the_writer_was_killed(void **state)
{
    AUTO(db_close) struct db reader = {0};
    int status;

    (void)state;
    make(&v1);
    pid_t child = fork();
    if (child == 0) {
        struct db db = {0};
        if (db_open(path, &v1, DB_WRITE, &db) != RC_OK || db_exec(&db, "INSERT INTO t VALUES ('b', x'02')") != RC_OK)
            _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_ok(db_open(path, &v1, DB_READ, &reader));
    assert_int_equal(one_int(&reader, "SELECT count(*) FROM t"), 2);
}

static void db_open__by_several_processes_at_once_makes_one_file(void **state)
{
    pid_t children[6];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct db db = {0};
            _exit(db_open(path, &v2, DB_CREATE, &db) == RC_OK ? 0 : 1);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    AUTO(db_close) struct db db = {0};
    assert_ok(db_open(path, &v2, DB_READ, &db));
}

static void statement__binds_steps_and_reads_back(void **state)
{
    AUTO(db_close) struct db db = {0};
    sqlite3_stmt *put = NULL, *get = NULL;
    bool row = false;

    (void)state;
    make(&v2);
    assert_ok(db_open(path, &v2, DB_WRITE, &db));
    assert_ok(db_prepare(&db, "INSERT INTO t (k, v, n) VALUES (?, ?, ?)", &put));
    assert_ok(db_prepare(&db, "SELECT k, v, n FROM t WHERE k = ?", &get));
    assert_ok(db_bind_text(put, 1, slice_of("k\0x", 3)));
    assert_ok(db_bind_blob(put, 2, slice_of(NULL, 0)));
    assert_ok(db_bind_int(put, 3, INT64_MIN));
    assert_ok(db_run(put));
    assert_ok(db_bind_text(get, 1, slice_of("k\0x", 3)));
    assert_ok(db_step(get, &row));
    assert_true(row);
    assert_int_equal(db_text(get, 0).n, 3);
    assert_int_equal(db_blob(get, 1).n, 0);
    assert_int_equal(db_int(get, 2), INT64_MIN);
    assert_ok(db_step(get, &row));
    assert_false(row);
    db_reset(get);
    assert_ok(db_step(get, &row)); /* the binding is gone: NULL equals nothing */
    assert_false(row);
    db_reset_auto(&get);
    assert_null(get);
}

static void statement__tells_a_constraint_from_a_failure(void **state)
{
    AUTO(db_close) struct db db = {0};
    sqlite3_stmt *st = NULL;

    (void)state;
    make(&v1);
    assert_ok(db_open(path, &v1, DB_WRITE, &db));
    assert_ok(db_prepare(&db, "INSERT INTO t (k, v) VALUES ('a', x'')", &st));
    assert_rc(db_run(st), RC_EXISTS);
    assert_ok(db_prepare(&db, "INSERT INTO child (k) VALUES ('nobody')", &st));
    assert_rc(db_run(st), RC_EXISTS);
    assert_rc(db_prepare(&db, "SELECT nothing FROM nowhere", &st), RC_DB);
    assert_rc(db_prepare(&db, "SELECT \"text\"", &st), RC_DB);
    assert_non_null(strstr(db_error(&db), "text"));
}

static void db_rollback__undoes_and_never_fails(void **state)
{
    AUTO(db_close) struct db db = {0};

    (void)state;
    make(&v1);
    assert_ok(db_open(path, &v1, DB_WRITE, &db));
    db_rollback(&db);
    assert_ok(db_begin(&db));
    assert_rc(db_begin(&db), RC_DB);
    assert_ok(db_exec(&db, "DELETE FROM t"));
    db_rollback(&db);
    assert_int_equal(one_int(&db, "SELECT count(*) FROM t"), 1);
}

/* --- master keys and rows --- */

static struct name realm_name(const char *text)
{
    struct name n;
    assert_ok(name_parse(slice_text(text), &n));
    return n;
}

static void master_create__makes_one_private_key_and_never_replaces(void **state)
{
    AUTO(master_done) struct master *m = NULL;
    const struct name realm = realm_name("KERB");
    struct stat st;

    (void)state;
    assert_rc(master_load(key_path, &realm, &m), RC_NOT_FOUND);
    assert_ok(master_create(key_path));
    assert_rc(master_create(key_path), RC_EXISTS);
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(master_load(key_path, &realm, &m));
    assert_int_equal(master_kvno(m), 1);
    assert_int_equal(chmod(key_path, 0640), 0);
    AUTO(master_done) struct master *unsafe = NULL;
    assert_rc(master_load(key_path, &realm, &unsafe), RC_UNSAFE_FILE);
}

static void row_open__opens_only_where_it_was_sealed(void **state)
{
    AUTO(master_done) struct master *m = NULL, *elsewhere = NULL;
    AUTO(buf_done) struct buf sealed = {0}, plain = {0};
    const struct name realm = realm_name("KERB"), other = realm_name("OTHER");
    const struct row_ref ref = {"principal", slice_text("alice"), "key", 3};
    const struct row_ref wrong[] = {
        {"service",    slice_text("alice"), "key", 3},
        {"principal",  slice_text("bob"),   "key", 3},
        {"principal",  slice_text("alice"), "kez", 3},
        {"principal",  slice_text("alice"), "key", 4},
        {"principala", slice_text("lice"),  "key", 3},
    };

    (void)state;
    assert_ok(master_create(key_path));
    assert_ok(master_load(key_path, &realm, &m));
    assert_ok(master_load(key_path, &other, &elsewhere));
    assert_ok(row_seal(m, &ref, slice_text("a secret"), &sealed));
    assert_null(memmem(sealed.p, sealed.n, "secret", 6));
    assert_ok(row_open(m, &ref, buf_slice(&sealed), &plain));
    assert_slice(buf_slice(&plain), "a secret");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_rc(row_open(m, &wrong[i], buf_slice(&sealed), &plain), RC_MODIFIED);
    assert_rc(row_open(elsewhere, &ref, buf_slice(&sealed), &plain), RC_MODIFIED);
    for (size_t i = 6; i < sealed.n; i++) {
        sealed.p[i] ^= 1;
        assert_rc(row_open(m, &ref, buf_slice(&sealed), &plain), RC_MODIFIED);
        sealed.p[i] ^= 1;
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_rc(row_open(m, &ref, slice_of(sealed.p, n), &plain), RC_MODIFIED);
    sealed.p[5] = 9;
    assert_rc(row_open(m, &ref, buf_slice(&sealed), &plain), RC_NO_KVNO);
}

static void master__seals_with_the_newest_and_opens_with_the_old(void **state)
{
    AUTO(keytab_done) struct keytab *keys = NULL;
    AUTO(master_done) struct master *m1 = NULL, *m2 = NULL;
    AUTO(buf_done) struct buf sealed = {0}, newer = {0}, plain = {0};
    AUTO(key_done) struct key second = {0}, third = {0}, classic = {0};
    AUTO(envelope_key_done) struct envelope_key messages = {0};
    const struct name realm = realm_name("KERB"), master = realm_name("master");
    const struct row_ref ref = {"t", slice_text("r"), "c", 0};
    uint32_t kvno;

    (void)state;
    assert_ok(master_create(key_path));
    assert_ok(master_load(key_path, &realm, &m1));
    assert_ok(row_seal(m1, &ref, slice_text("old"), &sealed));
    assert_ok(keytab_load(key_path, &keys));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 2, clock_s() - 1, &second));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, clock_s() + 1000, &third));
    assert_ok(key_random(ETYPE_AES128_CBC, 9, 0, &classic));
    assert_ok(keytab_add(keys, &master, &second));
    assert_ok(keytab_add(keys, &master, &third));
    assert_ok(keytab_add(keys, &master, &classic));
    assert_ok(keytab_save(keys, key_path));
    assert_ok(master_load(key_path, &realm, &m2));
    assert_int_equal(master_kvno(m2), 2);
    assert_ok(row_open(m2, &ref, buf_slice(&sealed), &plain));
    assert_slice(buf_slice(&plain), "old");
    assert_ok(row_seal(m2, &ref, slice_text("new"), &newer));
    assert_ok(envelope_kvno(buf_slice(&newer), &kvno));
    assert_int_equal(kvno, 2);
    assert_ok(row_open(m1, &ref, buf_slice(&newer), &plain)); /* it looks at the file again */
    assert_slice(buf_slice(&plain), "new");
    assert_ok(master_derive(m2, LABEL_MESSAGE, 1, &messages));
    assert_int_equal(messages.kvno, 1);
    assert_rc(master_derive(m2, LABEL_MESSAGE, 9, &messages), RC_NO_KVNO);
}

static void master_load__refuses_a_keytab_of_somebody_else(void **state)
{
    AUTO(keytab_done) struct keytab *keys = NULL;
    AUTO(master_done) struct master *m = NULL;
    AUTO(key_done) struct key key = {0};
    const struct name realm = realm_name("KERB"), chat = realm_name("chat");

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &key));
    assert_ok(keytab_new(&keys));
    assert_ok(keytab_add(keys, &chat, &key));
    assert_ok(keytab_save(keys, key_path));
    assert_rc(master_load(key_path, &realm, &m), RC_NO_KEY);
}

static void mark__differs_after_every_commit_of_anyone(void **state)
{
    AUTO(db_close) struct db one = {0}, other = {0};
    struct db_mark first, second;

    (void)state;
    make(&v2);
    assert_ok(db_open(path, &v2, DB_WRITE, &one));
    assert_ok(db_open(path, &v2, DB_WRITE, &other));
    assert_true(db_mark(&one, &first));
    assert_int_equal(one_int(&other, "SELECT count(*) FROM t"), 1);
    assert_true(db_mark(&one, &second));
    assert_true(db_mark_eq(&first, &second));
    for (int i = 0; i < 20; i++) {
        struct db *writer = i % 2 ? &one : &other;
        assert_ok(db_exec(writer, i % 2 ? "UPDATE t SET v = x'01'" : "UPDATE t SET v = x'02'")); /* to and fro */
        if (i % 5 == 0)
            assert_ok(db_exec(writer, "PRAGMA wal_checkpoint(TRUNCATE)"));
        assert_true(db_mark(&one, &second));
        assert_false(db_mark_eq(&first, &second));
        first = second;
    }
}

static void mark__cannot_be_told_inside_a_transaction(void **state)
{
    AUTO(db_close) struct db db = {0};
    struct db_mark mark;

    (void)state;
    make(&v2);
    assert_ok(db_open(path, &v2, DB_WRITE, &db));
    assert_ok(db_begin(&db));
    assert_false(db_mark(&db, &mark));
    db_rollback(&db);
    assert_true(db_mark(&db, &mark));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(db_open__makes_a_private_file_with_safe_pragmas),
        TEST(db_open__of_a_missing_file_creates_only_when_told),
        TEST(db_open__migrates_and_keeps_the_rows),
        TEST(db_open__undoes_a_migration_that_fails),
        TEST(db_open__refuses_newer_foreign_and_other_files),
        TEST(db_open__refuses_files_that_others_may_touch),
        TEST(db_read__works_while_another_process_writes_and_never_writes),
        TEST(db_read__works_after_the_writer_was_killed),
        TEST(db_open__by_several_processes_at_once_makes_one_file),
        TEST(mark__differs_after_every_commit_of_anyone),
        TEST(mark__cannot_be_told_inside_a_transaction),
        TEST(statement__binds_steps_and_reads_back),
        TEST(statement__tells_a_constraint_from_a_failure),
        TEST(db_rollback__undoes_and_never_fails),
        TEST(master_create__makes_one_private_key_and_never_replaces),
        TEST(row_open__opens_only_where_it_was_sealed),
        TEST(master__seals_with_the_newest_and_opens_with_the_old),
        TEST(master_load__refuses_a_keytab_of_somebody_else),
    };

    json_setup();
    if (crypto_setup() != RC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
