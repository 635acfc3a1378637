/* Log lines: JSON, escaped, bounded, written at once or gathered. */
#include "shared/service/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int saved_stderr = -1, ends[2];

/* Standard error into a pipe. */
static int capture(void **state)
{
    (void)state;
    saved_stderr = dup(STDERR_FILENO);
    log_setup("kerb-test", LOG_INFO);
    return saved_stderr < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 || dup2(ends[1], STDERR_FILENO) < 0;
}

static int release(void **state)
{
    (void)state;
    int failed = dup2(saved_stderr, STDERR_FILENO) < 0;
    (void)close(saved_stderr);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return failed;
}

/* What was written, without its line end, as an object. */
static json_t *captured(void)
{
    char line[16384];
    json_t *j = NULL;

    ssize_t n = read(ends[0], line, sizeof line);
    assert_true(n > 1 && line[n - 1] == '\n');
    assert_null(memchr(line, '\n', (size_t)n - 1));
    assert_ok(json_parse_object(slice_of(line, (size_t)n - 1), 2, &j));
    return j;
}

static void assert_text(const json_t *j, const char *name, const char *want)
{
    struct slice got;
    assert_ok(json_get_text(j, name, &got));
    assert_slice(got, want);
}

static void log_line__is_one_object_with_its_fields(void **state)
{
    struct log_line l;
    struct slice time;
    int64_t n;

    (void)state;
    log_begin(&l, LOG_WARN, "as");
    log_slice(&l, "client", slice_text("J\xC3\xBCrgen \"x\"\n"));
    log_num(&l, "n", -5);
    log_rc(&l, RC_SKEW);
    log_end(&l);
    AUTO(json_done) json_t *j = captured();
    assert_text(j, "level", "warn");
    assert_text(j, "daemon", "kerb-test");
    assert_text(j, "event", "as");
    assert_text(j, "client", "J\xC3\xBCrgen \"x\"\n");
    assert_text(j, "result", "SKEW");
    assert_text(j, "reason", "client clock is outside the allowed skew");
    assert_ok(json_get_int(j, "n", &n));
    assert_int_equal(n, -5);
    assert_ok(json_get_text(j, "time", &time));
    assert_int_equal(time.n, 24);
    assert_int_equal(time.p[10], 'T');
    assert_int_equal(time.p[23], 'Z');
}

static void log_slice__shows_what_is_no_plain_text_as_hexadecimal(void **state)
{
    struct log_line l;

    (void)state;
    log_begin(&l, LOG_INFO, "x");
    log_slice(&l, "bad", slice_of("a\xFF", 2));
    log_slice(&l, "c1", slice_text("\xC2\x9B"));
    log_slice(&l, "del", slice_text("\x7F"));
    log_slice(&l, "nul", slice_of("\0", 1));
    log_slice(&l, "nothing", slice_of(NULL, 0));
    log_end(&l);
    AUTO(json_done) json_t *j = captured();
    assert_text(j, "bad", "hex:61ff");
    assert_text(j, "c1", "hex:c29b");
    assert_text(j, "del", "hex:7f");
    assert_text(j, "nul", "hex:00");
    assert_text(j, "nothing", "");
}

static void log_slice__cuts_long_values_between_characters(void **state)
{
    AUTO(buf_done) struct buf value = {0};
    struct log_line l;
    struct slice got;

    (void)state;
    assert_ok(buf_byte(&value, 'x'));
    while (value.n < 4000)
        assert_ok(buf_text(&value, "\xE2\x82\xAC"));
    log_begin(&l, LOG_INFO, "x");
    log_slice(&l, "v", buf_slice(&value));
    log_end(&l);
    AUTO(json_done) json_t *j = captured();
    assert_ok(json_get_text(j, "v", &got));
    assert_int_equal(got.n, 511);
}

static void log_line__below_the_level_is_silent(void **state)
{
    struct log_line l;
    char c;

    (void)state;
    log_begin(&l, LOG_DEBUG, "x");
    log_str(&l, "a", "b");
    log_num(&l, "n", 1);
    log_rc(&l, RC_DB);
    log_end(&l);
    log_note(LOG_DEBUG, "x", "%d", 1);
    assert_int_equal(read(ends[0], &c, 1), -1);
}

static void log_note__carries_its_message(void **state)
{
    (void)state;
    log_note(LOG_ERROR, "stop", "signal %d", 15);
    AUTO(json_done) json_t *j = captured();
    assert_text(j, "message", "signal 15");
    assert_text(j, "event", "stop");
}

/* Line ends that can be read now. */
static int lines_out(void)
{
    char text[65536];
    int n = 0;

    for (ssize_t got; (got = read(ends[0], text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < got; i++)
            n += text[i] == '\n';
    return n;
}

static void wait_for_lines(int want)
{
    const struct timespec pause = {.tv_nsec = 5000000};

    for (int i = 0; i < 1000 && want > 0; i++) {
        want -= lines_out();
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(want, 0);
}

static void log_start__gathers_for_a_moment(void **state)
{
    (void)state;
    log_start();
    log_note(LOG_INFO, "x", "1");
    log_note(LOG_INFO, "x", "2");
    assert_int_equal(lines_out(), 0);
    wait_for_lines(2);
    log_note(LOG_INFO, "x", "3");
    wait_for_lines(1);
    log_stop();
    assert_int_equal(lines_out(), 0);
}

static void log_start__a_warning_takes_along_what_came_before(void **state)
{
    (void)state;
    log_start();
    log_note(LOG_INFO, "first", "1");
    log_note(LOG_WARN, "second", "2");
    char text[1024] = {0};
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    const char *first = strstr(text, "first"), *second = strstr(text, "second");
    assert_true(first && second && first < second);
    log_stop();
}

static void log_stop__writes_the_rest(void **state)
{
    (void)state;
    log_stop(); /* was not started */
    log_start();
    log_note(LOG_INFO, "x", "1");
    log_stop();
    assert_int_equal(lines_out(), 1);
    log_note(LOG_INFO, "x", "2");
    assert_int_equal(lines_out(), 1);
}

enum { WRITERS = 4, LINES = 2000 };

static void *write_lines(void *arg)
{
    char name[2] = {*(const char *)arg, 0};

    for (int i = 0; i < LINES; i++)
        log_note(i % 100 ? LOG_INFO : LOG_WARN, name, "%d", i);
    return NULL;
}

/* Reads on until all writers have ended; checks that each writer's lines come whole, once and in order. */
static void log_start__keeps_lines_whole_among_threads(void **state)
{
    static const char names[WRITERS] = "abcd";
    pthread_t threads[WRITERS];
    int next[WRITERS] = {0}, all = 0;

    (void)state;
    assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0); /* reads wait */
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    FILE *in = fdopen(dup(ends[0]), "r");
    assert_non_null(in);
    log_start();
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)(uintptr_t)&names[i]), 0);
    for (char line[1024]; all < WRITERS * LINES && fgets(line, sizeof line, in); all++) {
        AUTO(json_done) json_t *j = NULL;
        struct slice event, message;
        uint64_t n;
        assert_ok(json_parse_object(slice_of(line, strlen(line) - 1), 2, &j));
        assert_ok(json_get_text(j, "event", &event));
        assert_ok(json_get_text(j, "message", &message));
        assert_ok(parse_u64(message, LINES, &n));
        assert_int_equal(n, next[event.p[0] - 'a']++);
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_stop();
    assert_int_equal(all, WRITERS * LINES);
    assert_int_equal(fclose(in), 0);
}

static void log_level__parses_the_four_words_only(void **state)
{
    enum log_level level;

    (void)state;
    assert_ok(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_rc(log_level_parse("Info", &level), RC_BAD_CONFIG);
    assert_rc(log_level_parse("", &level), RC_BAD_CONFIG);
}

static void op_id__is_fresh_each_time(void **state)
{
    char a[OP_ID_LEN + 1], b[OP_ID_LEN + 1];

    (void)state;
    op_id_make(a);
    op_id_make(b);
    assert_int_equal(strlen(a), OP_ID_LEN);
    assert_string_not_equal(a, b);
    for (int n = 0; n < 2000; n++) { /* a word for commands, never an option */
        op_id_make(a);
        assert_true(a[0] != '-' && a[0] != '_');
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log_line__is_one_object_with_its_fields, capture, release),
        cmocka_unit_test_setup_teardown(log_slice__shows_what_is_no_plain_text_as_hexadecimal, capture, release),
        cmocka_unit_test_setup_teardown(log_slice__cuts_long_values_between_characters, capture, release),
        cmocka_unit_test_setup_teardown(log_line__below_the_level_is_silent, capture, release),
        cmocka_unit_test_setup_teardown(log_note__carries_its_message, capture, release),
        cmocka_unit_test_setup_teardown(log_start__gathers_for_a_moment, capture, release),
        cmocka_unit_test_setup_teardown(log_start__a_warning_takes_along_what_came_before, capture, release),
        cmocka_unit_test_setup_teardown(log_stop__writes_the_rest, capture, release),
        cmocka_unit_test_setup_teardown(log_start__keeps_lines_whole_among_threads, capture, release),
        cmocka_unit_test(log_level__parses_the_four_words_only),
        cmocka_unit_test(op_id__is_fresh_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
