/* The replay cache: what it remembers, its limits, its clock, its file after a stop and after a crash. */
#include "shared/ticket/replay.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/tempdir.h"

#define NOW   INT64_C(1780000000)
#define UNTIL (NOW + 600)

static struct tempdir dir;

static int setup(void **state)
{
    (void)state;
    tempdir_make(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

/* Small numbers as owners and digests. */
static enum rc show(struct replay *r, uint32_t owner, uint32_t digest, int64_t until_s, int64_t now_s)
{
    uint8_t id[ID_LEN] = {0}, text[SHA256_LEN] = {0};

    put_u32be(id, owner);
    put_u32be(text + SHA256_LEN - 4, digest);
    return replay_check(r, id, text, until_s, now_s);
}

static struct replay *open_in_memory(void)
{
    struct replay *r = NULL;
    bool clean = true;

    assert_ok(replay_open(NULL, REPLAY_AT_STOP, NOW, &r, &clean));
    assert_false(clean);
    return r;
}

static struct replay *open_file(const char *path, enum replay_mode mode, int64_t now_s, bool want_clean)
{
    struct replay *r = NULL;
    bool clean = !want_clean;

    assert_ok(replay_open(path, mode, now_s, &r, &clean));
    assert_int_equal(clean, want_clean);
    return r;
}

static void replay_check__refuses_the_second(void **state)
{
    (void)state;
    struct replay *r = open_in_memory();

    assert_ok(show(r, 1, 1, UNTIL, NOW));
    assert_rc(show(r, 1, 1, UNTIL, NOW), RC_REPEAT);
    assert_rc(show(r, 1, 1, UNTIL + 99, NOW + 1), RC_REPEAT);
    assert_ok(show(r, 1, 2, UNTIL, NOW));
    assert_ok(show(r, 2, 1, UNTIL, NOW)); /* the same digest of another owner is another thing */
    assert_int_equal(replay_count(r), 3);
    assert_ok(replay_close(r));
}

static void replay_check__forgets_what_would_not_be_accepted(void **state)
{
    (void)state;
    struct replay *r = open_in_memory();

    assert_ok(show(r, 1, 1, NOW + 10, NOW));
    assert_ok(show(r, 1, 2, NOW + 20, NOW));
    assert_rc(show(r, 1, 1, NOW + 10, NOW + 10), RC_REPEAT); /* inclusive */
    assert_ok(show(r, 1, 3, NOW + 99, NOW + 11));
    assert_int_equal(replay_count(r), 2);
    assert_ok(show(r, 1, 4, NOW + 99, NOW + 21));
    assert_int_equal(replay_count(r), 2);
    assert_ok(replay_close(r));
}

static void replay_check__a_clock_set_back_revives_nothing(void **state)
{
    (void)state;
    struct replay *r = open_in_memory();

    assert_ok(show(r, 1, 1, NOW + 10, NOW));
    assert_ok(show(r, 9, 9, NOW + 99999, NOW + 50)); /* time goes by: the first is forgotten */
    assert_int_equal(replay_count(r), 1);
    assert_rc(show(r, 1, 1, NOW + 10, NOW), RC_REPEAT); /* and the clock is set back */
    assert_rc(show(r, 1, 2, NOW + 49, NOW), RC_REPEAT);
    assert_ok(show(r, 1, 2, NOW + 50, NOW));
    assert_ok(replay_close(r));
}

static void replay_check__one_owner_fills_his_own_share(void **state)
{
    (void)state;
    struct replay *r = open_in_memory();

    for (uint32_t i = 0; i < REPLAY_PER_OWNER_MAX; i++)
        assert_ok(show(r, 1, i, UNTIL, NOW));
    assert_rc(show(r, 1, 999999, UNTIL, NOW), RC_RATE_LIMITED);
    assert_rc(show(r, 1, 5, UNTIL, NOW), RC_REPEAT);
    assert_ok(show(r, 2, 5, UNTIL, NOW));
    assert_int_equal(replay_count(r), REPLAY_PER_OWNER_MAX + 1);
    assert_ok(show(r, 1, 999999, UNTIL + 999, UNTIL + 1)); /* his share is free again */
    assert_int_equal(replay_count(r), 1);
    assert_ok(replay_close(r));
}

static void replay_check__a_full_cache_fails_closed(void **state)
{
    (void)state;
    struct replay *r = open_in_memory();
    uint32_t owner = 0;

    for (size_t n = 0; n < REPLAY_TOTAL_MAX; n++) {
        if (n % REPLAY_PER_OWNER_MAX == 0)
            owner++;
        enum rc rc = show(r, owner, (uint32_t)n, UNTIL + (int64_t)(n % 600), NOW);
        if (rc != RC_OK)
            fail_msg("%zu: %s", n, rc_name(rc));
    }
    assert_rc(show(r, 7777777, 1, UNTIL, NOW), RC_CACHE_FULL);
    assert_rc(show(r, 1, 1, UNTIL, NOW), RC_REPEAT);
    assert_int_equal(replay_count(r), REPLAY_TOTAL_MAX);
    assert_ok(show(r, 7777777, 1, UNTIL + 999, UNTIL + 600));
    assert_int_equal(replay_count(r), 1);
    assert_ok(replay_close(r));
}

static void replay_open__reads_what_an_orderly_stop_wrote(void **state)
{
    (void)state;
    for (enum replay_mode mode = REPLAY_AT_STOP; mode <= REPLAY_JOURNAL; mode++) {
        const char *path = tempdir_file(&dir, mode == REPLAY_JOURNAL ? "journal" : "at-stop");
        struct replay *r = open_file(path, mode, NOW, false);
        assert_ok(show(r, 1, 1, UNTIL, NOW));
        assert_ok(show(r, 1, 2, NOW + 5, NOW));
        assert_ok(show(r, 2, 1, UNTIL, NOW));
        assert_ok(replay_close(r));

        r = open_file(path, mode, NOW + 6, true);
        assert_int_equal(replay_count(r), 2); /* one expired in between */
        assert_rc(show(r, 1, 1, UNTIL, NOW + 6), RC_REPEAT);
        assert_rc(show(r, 2, 1, UNTIL, NOW + 6), RC_REPEAT);
        assert_ok(show(r, 1, 3, UNTIL, NOW + 6));
        assert_ok(replay_close(r));

        r = open_file(path, mode, NOW + 7, true);
        assert_int_equal(replay_count(r), 3);
        assert_ok(replay_close(r));
    }
}

static void replay_open__its_clock_goes_on_after_a_stop(void **state)
{
    (void)state;
    for (enum replay_mode mode = REPLAY_AT_STOP; mode <= REPLAY_JOURNAL; mode++) {
        const char *path = tempdir_file(&dir, mode == REPLAY_JOURNAL ? "journal" : "at-stop");
        struct replay *r = open_file(path, mode, NOW, false);
        assert_ok(show(r, 1, 1, NOW + 10, NOW));
        assert_ok(show(r, 1, 2, NOW + 999, NOW + 100));
        assert_ok(replay_close(r));
        r = open_file(path, mode, NOW, true); /* the clock was set back while we were down */
        assert_rc(show(r, 1, 1, NOW + 10, NOW), RC_REPEAT);
        assert_ok(replay_close(r));
        r = open_file(path, mode, NOW - 2 * 24 * 3600, false); /* by so much that the file is not believed */
        assert_ok(show(r, 1, 3, NOW, NOW - 2 * 24 * 3600));
        assert_ok(replay_close(r));
    }
}

/* Accepts two in a child that then ends without closing. */
static void crash(const char *path, enum replay_mode mode, bool killed)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct replay *r = NULL;
        bool clean;
        if (replay_open(path, mode, NOW, &r, &clean) != RC_OK || show(r, 1, 1, UNTIL, NOW) != RC_OK ||
            show(r, 1, 2, NOW + 50000, NOW) != RC_OK)
            _exit(9);
        if (killed)
            (void)raise(SIGKILL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(killed ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void replay_open__a_journal_survives_sigkill(void **state)
{
    (void)state;
    for (int killed = 0; killed <= 1; killed++) {
        const char *path = tempdir_file(&dir, killed ? "killed" : "left");
        crash(path, REPLAY_JOURNAL, killed);
        struct replay *r = open_file(path, REPLAY_JOURNAL, NOW + 1, false);
        assert_rc(show(r, 1, 1, UNTIL, NOW + 1), RC_REPEAT);
        assert_rc(show(r, 1, 2, NOW + 50000, NOW + 49999), RC_REPEAT); /* a stamp that lay ahead */
        assert_ok(replay_close(r));
    }
}

static void replay_open__a_crash_after_an_orderly_stop_shows(void **state)
{
    (void)state;
    for (enum replay_mode mode = REPLAY_AT_STOP; mode <= REPLAY_JOURNAL; mode++) {
        const char *path = tempdir_file(&dir, mode == REPLAY_JOURNAL ? "journal" : "at-stop");
        assert_ok(replay_close(open_file(path, mode, NOW, false)));
        assert_ok(replay_close(open_file(path, mode, NOW, true)));
        crash(path, mode, true);
        assert_ok(replay_close(open_file(path, mode, NOW, false)));
    }
}

static off_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* What crash() leaves: a clock and two records, then room. */
#define CRASH_END (3 * 64)

static void replay_open__torn_tail_costs_the_last_record_only(void **state)
{
    (void)state;
    for (off_t cut = 1; cut <= 64; cut++) {
        const char *path = tempdir_file(&dir, "journal");
        (void)unlink(path);
        crash(path, REPLAY_JOURNAL, true);
        off_t room = size_of(path);
        assert_true(room > CRASH_END);
        assert_int_equal(truncate(path, CRASH_END - cut), 0);
        assert_int_equal(truncate(path, cut % 2 ? room : CRASH_END - cut), 0); /* with zeros behind, and without */
        struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);
        assert_int_equal(replay_count(r), 1);
        assert_rc(show(r, 1, 1, UNTIL, NOW), RC_REPEAT);
        assert_ok(show(r, 1, 2, UNTIL, NOW)); /* and what is appended now is read again */
        assert_ok(replay_close(r));
        r = open_file(path, REPLAY_JOURNAL, NOW, true);
        assert_int_equal(replay_count(r), 2);
        assert_ok(replay_close(r));
    }
}

/* Writes over a part of the file. */
static void overwrite(const char *path, off_t at, struct slice with)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, with.p, with.n, at), with.n);
    assert_int_equal(close(fd), 0);
}

static void replay_open__passes_over_what_never_reached_the_disk(void **state)
{
    static const uint8_t zeros[64];
    (void)state;
    const char *path = tempdir_file(&dir, "journal");

    crash(path, REPLAY_JOURNAL, true);
    overwrite(path, 64, SLICE(zeros));
    struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);
    assert_int_equal(replay_count(r), 1);
    assert_rc(show(r, 1, 2, NOW + 50000, NOW), RC_REPEAT);
    assert_ok(replay_close(r));
    overwrite(path, 0, SLICE(zeros)); /* but the head was synced: without it this is another file */
    struct replay *none = NULL;
    bool clean;
    assert_rc(replay_open(path, REPLAY_JOURNAL, NOW, &none, &clean), RC_IO);
}

static void replay_open__a_record_without_its_kind_is_none(void **state)
{
    static const uint8_t zero[1];
    (void)state;
    const char *path = tempdir_file(&dir, "journal");

    crash(path, REPLAY_JOURNAL, true);
    overwrite(path, CRASH_END - 64, SLICE(zero)); /* the kind is stored last */
    struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);
    assert_int_equal(replay_count(r), 1);
    assert_ok(replay_close(r));
}

static void replay_check__goes_on_in_a_further_window(void **state)
{
    enum { N = 3000 };
    (void)state;
    const char *path = tempdir_file(&dir, "journal");
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct replay *r = NULL;
        bool clean, ok = replay_open(path, REPLAY_JOURNAL, NOW, &r, &clean) == RC_OK;
        for (uint32_t i = 0; ok && i < N; i++)
            ok = show(r, 1, i, UNTIL, NOW) == RC_OK;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);
    assert_int_equal(replay_count(r), N);
    for (uint32_t i = 0; i < N; i++)
        assert_rc(show(r, 1, i, UNTIL, NOW), RC_REPEAT);
    assert_ok(replay_close(r));
    assert_int_equal(size_of(path), 64 * (N + 2)); /* an orderly stop leaves no room behind */
}

static void replay_open__something_behind_the_end_is_no_orderly_stop(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "at-stop");

    assert_ok(replay_close(open_file(path, REPLAY_AT_STOP, NOW, false)));
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "torn", 4), 4);
    assert_int_equal(close(fd), 0);
    assert_ok(replay_close(open_file(path, REPLAY_AT_STOP, NOW, false)));
    assert_ok(replay_close(open_file(path, REPLAY_AT_STOP, NOW, true)));
}

/* Turns one byte of the file over. */
static void spoil(const char *path, off_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0xFF;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void assert_refused(const char *path, enum rc want)
{
    struct replay *r = NULL;
    bool clean;

    assert_rc(replay_open(path, REPLAY_JOURNAL, NOW, &r, &clean), want);
    assert_null(r);
}

static void replay_open__refuses_a_damaged_file(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "journal");

    crash(path, REPLAY_JOURNAL, true);
    spoil(path, 64 + 20); /* in the middle: a good record follows */
    assert_refused(path, RC_IO);
    spoil(path, 64 + 20);
    spoil(path, 3); /* the head */
    assert_refused(path, RC_IO);
    spoil(path, 3);
    assert_ok(replay_close(open_file(path, REPLAY_JOURNAL, NOW, false)));
}

static void replay_open__refuses_another_file(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "other");
    static uint8_t text[1000] = "a file that is something else";

    tempdir_put(path, SLICE(text), 0600);
    assert_refused(path, RC_IO);
    assert_int_equal(size_of(path), sizeof(text)); /* and leaves it alone */
}

static void replay_open__refuses_a_file_that_others_can_read(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "journal");

    assert_ok(replay_close(open_file(path, REPLAY_JOURNAL, NOW, false)));
    assert_int_equal(chmod(path, 0640), 0);
    assert_refused(path, RC_UNSAFE_FILE);
}

static void replay_open__refuses_a_folder_that_is_not_there(void **state)
{
    (void)state;
    assert_refused(tempdir_file(&dir, "none/journal"), RC_IO);
}

static void replay_check__keeps_the_journal_small(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "journal");
    struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);

    for (uint32_t i = 0; i < 30000; i++)
        assert_ok(show(r, i % 50, i, NOW + i / 100 + 2, NOW + i / 100));
    assert_in_range(size_of(path), 64, 64 * 6000);
    size_t n = replay_count(r);
    assert_ok(replay_close(r));
    r = open_file(path, REPLAY_JOURNAL, NOW + 299, true);
    assert_int_equal(replay_count(r), n);
    assert_rc(show(r, 29999 % 50, 29999, NOW + 301, NOW + 299), RC_REPEAT);
    assert_ok(replay_close(r));
}

static void replay_check__refuses_when_the_journal_cannot_be_written(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "journal");
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct replay *r = NULL;
        bool clean;
        (void)signal(SIGXFSZ, SIG_IGN);
        bool ok = replay_open(path, REPLAY_JOURNAL, NOW, &r, &clean) == RC_OK && show(r, 1, 0, UNTIL, NOW) == RC_OK;
        const struct rlimit limit = {(rlim_t)size_of(path), (rlim_t)size_of(path)}; /* the room of now, and no more */
        uint32_t n = 1, room = (uint32_t)(limit.rlim_cur / 64 - 1);
        ok = ok && setrlimit(RLIMIT_FSIZE, &limit) == 0;
        while (ok && n < room)
            ok = show(r, 1, n++, UNTIL, NOW) == RC_OK;
        ok = ok && show(r, 1, n, UNTIL, NOW) == RC_IO && show(r, 1, n, UNTIL, NOW) == RC_IO &&
             show(r, 1, n - 1, UNTIL, NOW) == RC_REPEAT && replay_count(r) == n;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);
    assert_int_equal(replay_count(r), size_of(path) / 64 - 1); /* all that was accepted */
    assert_ok(replay_close(r));
}

enum { THREADS = 4, SHOWN = 2000 };

struct worker {
    struct replay *r;
    size_t accepted;
};

static void *show_all(void *arg)
{
    struct worker *w = arg;

    for (uint32_t i = 0; i < SHOWN; i++)
        w->accepted += show(w->r, 1, i, UNTIL + i % 7, NOW + i % 3) == RC_OK;
    return NULL;
}

static void replay_check__accepts_once_among_threads(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "journal");
    struct replay *r = open_file(path, REPLAY_JOURNAL, NOW, false);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    size_t accepted = 0;

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.r = r};
        assert_int_equal(pthread_create(&threads[i], NULL, show_all, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        accepted += workers[i].accepted;
    }
    assert_int_equal(accepted, SHOWN);
    assert_ok(replay_close(r));
    r = open_file(path, REPLAY_JOURNAL, NOW, true);
    assert_int_equal(replay_count(r), SHOWN);
    assert_ok(replay_close(r));
}

static void replay_close__accepts_null(void **state)
{
    (void)state;
    assert_ok(replay_close(NULL));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(replay_check__refuses_the_second),
        TEST(replay_check__forgets_what_would_not_be_accepted),
        TEST(replay_check__a_clock_set_back_revives_nothing),
        TEST(replay_check__one_owner_fills_his_own_share),
        TEST(replay_check__a_full_cache_fails_closed),
        TEST(replay_open__reads_what_an_orderly_stop_wrote),
        TEST(replay_open__its_clock_goes_on_after_a_stop),
        TEST(replay_open__a_journal_survives_sigkill),
        TEST(replay_open__a_crash_after_an_orderly_stop_shows),
        TEST(replay_open__torn_tail_costs_the_last_record_only),
        TEST(replay_open__passes_over_what_never_reached_the_disk),
        TEST(replay_open__a_record_without_its_kind_is_none),
        TEST(replay_check__goes_on_in_a_further_window),
        TEST(replay_open__something_behind_the_end_is_no_orderly_stop),
        TEST(replay_open__refuses_a_damaged_file),
        TEST(replay_open__refuses_another_file),
        TEST(replay_open__refuses_a_file_that_others_can_read),
        TEST(replay_open__refuses_a_folder_that_is_not_there),
        TEST(replay_check__keeps_the_journal_small),
        TEST(replay_check__refuses_when_the_journal_cannot_be_written),
        TEST(replay_check__accepts_once_among_threads),
        TEST(replay_close__accepts_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
