/*
 * Scenarios of the chat's core: tests/sim/ holds them as transcripts, this program plays them and compares.
 *
 * `chat_trace_test --update` writes the transcripts anew; read the difference before you commit it.
 */
#include "tests/sim/sim.h"

#include <glob.h>
#include <stdlib.h>

#ifndef TEST_SIM /* kerb_test() tells the true place */
#define TEST_SIM "tests/sim"
#endif

#define TRACE     "    " /* what a line of the trace starts with */
#define DIFF_MORE 3      /* lines shown around a difference */

static bool is_update;

static struct buf read_all(const char *path)
{
    struct buf b = {0};
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "rb");

    if (!f)
        fail_msg("%s: cannot be read", path);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        assert_ok(buf_add(&b, slice_of(piece, n)));
    assert_int_equal(fclose(f), 0);
    return b;
}

static bool next_line(struct slice *rest, struct slice *ret)
{
    const uint8_t *end;

    if (rest->n == 0)
        return false;
    end = memchr(rest->p, '\n', rest->n);
    ret->p = rest->p;
    ret->n = end ? (size_t)(end - rest->p) : rest->n;
    *rest = slice_of(rest->p + ret->n + (end ? 1 : 0), rest->n - ret->n - (end ? 1 : 0));
    return true;
}

/* Plays the inputs of a transcript; *ret is the transcript as it should be. */
static void play(const char *path, struct slice text, struct buf *ret)
{
    struct sim s;
    struct slice line;

    sim_open(&s, path);
    while (next_line(&text, &line)) {
        s.line++;
        if (line.n >= strlen(TRACE) && memcmp(line.p, TRACE, strlen(TRACE)) == 0)
            continue;
        assert_ok(buf_add(&s.out, line));
        assert_ok(buf_byte(&s.out, '\n'));
        if (line.n == 0 || line.p[0] == '#')
            continue;
        AUTO(str_done) char *input = slice_dup(line);
        sim_input(&s, input);
    }
    *ret = buf_take(&s.out);
    sim_close(&s);
}

static void show(const char *sign, struct slice text, size_t from, size_t n)
{
    struct slice line;

    for (size_t at = 1; next_line(&text, &line) && at < from + n; at++)
        if (at >= from)
            print_error("%s%.*s\n", sign, SLICE_FMT(line));
}

/* The number of the first line that differs; 0: none. */
static size_t first_difference(struct slice want, struct slice got)
{
    struct slice a, b;

    for (size_t line = 1;; line++) {
        bool has_a = next_line(&want, &a), has_b = next_line(&got, &b);
        if (!has_a && !has_b)
            return 0;
        if (has_a != has_b || !slice_eq(a, b))
            return line;
    }
}

static void write_all(const char *path, struct slice text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    assert_int_equal(fclose(f), 0);
}

static bool compare(const char *path)
{
    AUTO(buf_done) struct buf want = read_all(path), got = {0};

    play(path, buf_slice(&want), &got);
    size_t line = first_difference(buf_slice(&want), buf_slice(&got));
    if (line == 0)
        return true;
    if (is_update) {
        write_all(path, buf_slice(&got));
        print_message("%s: written anew\n", path);
        return true;
    }
    size_t before = line > DIFF_MORE ? line - DIFF_MORE : 1;
    print_error("%s:%zu: the trace differs (- expected, + is)\n", path, line);
    show(" ", buf_slice(&want), before, line - before);
    show("-", buf_slice(&want), line, DIFF_MORE);
    show("+", buf_slice(&got), line, DIFF_MORE);
    return false;
}

static void core__plays_every_transcript(void **state)
{
    glob_t found;
    size_t wrong = 0;

    (void)state;
    assert_int_equal(glob(TEST_SIM "/*.txt", 0, NULL, &found), 0);
    assert_true(found.gl_pathc > 20);
    for (size_t i = 0; i < found.gl_pathc; i++)
        wrong += !compare(found.gl_pathv[i]);
    globfree(&found);
    if (wrong)
        fail_msg("%zu transcripts differ", wrong);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core__plays_every_transcript),
    };

    state_setup();
    is_update = argc > 1 && strcmp(argv[1], "--update") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
