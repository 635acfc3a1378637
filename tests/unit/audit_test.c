/* The audit log: what was written verifies; what was meddled with does not. */
#include "shared/service/audit.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/file.h"
#include "tests/unit/tempdir.h"
#include "tests/unit/unit.h"

struct bed {
    struct tempdir dir;
    char path[TEMP_PATH * 2], head[TEMP_PATH * 2];
    struct envelope_key key;
    struct audit_options options;
};

static enum rc bed_key(void *ctx, uint32_t kvno, struct envelope_key *ret)
{
    const struct bed *b = ctx;

    if (kvno != 0 && kvno != b->key.kvno)
        return RC_NO_KVNO;
    *ret = b->key;
    return RC_OK;
}

static void bed_make(struct bed *b)
{
    AUTO(key_done) struct key master;

    tempdir_make(&b->dir);
    (void)snprintf(b->path, sizeof(b->path), "%s", tempdir_file(&b->dir, "audit.log"));
    (void)snprintf(b->head, sizeof(b->head), "%s", tempdir_file(&b->dir, "audit.log.head"));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &master));
    assert_ok(envelope_derive(&master, LABEL_AUDIT, &b->key));
    b->options = (struct audit_options){.path = b->path, .daemon = "kerb-test", .key = bed_key, .key_ctx = b};
    assert_ok(name_parse(slice_text("KERB"), &b->options.realm));
}

/* Lines of two beds differ, also when they are written in one millisecond. */
static void write_lines(const struct bed *b, struct audit *a, unsigned n)
{
    struct audit_line l;

    for (unsigned i = 0; i < n; i++) {
        audit_begin(a, &l, "as", "op-id-op-id-op-i");
        audit_slice(&l, "client", slice_text("al\"ice\n"));
        audit_num(&l, "duration_us", i);
        audit_str(&l, "bed", b->dir.path);
        audit_rc(&l, i % 2 ? RC_OK : RC_BAD_PREAUTH);
        audit_end(a, &l);
    }
}

static void bed_write(struct bed *b, unsigned n)
{
    struct audit *a;

    assert_ok(audit_open(&b->options, &a));
    write_lines(b, a, n);
    audit_close(a);
}

static void bed_expect(struct bed *b, enum rc want, uint64_t lines, const char *what)
{
    struct audit_report report;

    assert_rc(audit_verify(&b->options, NULL, NULL, &report), want);
    assert_int_equal(report.lines, lines);
    if (what)
        assert_non_null(strstr(report.what, what));
}

static struct buf content_of(const char *path)
{
    struct buf content = {0};
    assert_ok(file_read(path, (size_t)1 << 20, FILE_PRIVATE, &content));
    return content;
}

static void put_content(const char *path, struct slice content)
{
    assert_ok(file_write_atomic(path, content, 0600));
}

/* Start of line i, from 0. */
static size_t line_at(const struct buf *b, unsigned i)
{
    size_t at = 0;
    while (i > 0)
        i -= b->p[at++] == '\n';
    return at;
}

static void audit__verifies_what_it_wrote_over_several_starts(void **state)
{
    struct bed b;

    (void)state;
    bed_make(&b);
    bed_write(&b, 10);
    bed_write(&b, 0);
    bed_write(&b, 5);
    bed_expect(&b, RC_OK, 15, NULL);
    tempdir_remove(&b.dir);
}

static void audit__shows_a_changed_byte_of_any_line(void **state)
{
    struct bed b;

    (void)state;
    bed_make(&b);
    bed_write(&b, 3);
    struct buf content = content_of(b.path);
    for (size_t i = 0; i < content.n; i += 7) {
        struct audit_report report;
        content.p[i] ^= 1;
        put_content(b.path, buf_slice(&content));
        assert_rc(audit_verify(&b.options, NULL, NULL, &report), RC_MODIFIED);
        content.p[i] ^= 1;
    }
    buf_done(&content);
    tempdir_remove(&b.dir);
}

static void audit__shows_a_line_that_was_left_out_or_moved(void **state)
{
    AUTO(buf_done) struct buf changed = {0};
    struct bed b;

    (void)state;
    bed_make(&b);
    bed_write(&b, 4);
    struct buf content = content_of(b.path);
    size_t second = line_at(&content, 1), third = line_at(&content, 2);
    assert_ok(buf_add(&changed, slice_of(content.p, second)));
    assert_ok(buf_add(&changed, slice_of(content.p + third, content.n - third)));
    put_content(b.path, buf_slice(&changed));
    bed_expect(&b, RC_MODIFIED, 1, "hash");
    buf_done(&content);
    tempdir_remove(&b.dir);
}

static void audit__shows_a_tail_that_was_cut_off(void **state)
{
    struct bed b;

    (void)state;
    bed_make(&b);
    bed_write(&b, 4);
    struct buf content = content_of(b.path);
    put_content(b.path, slice_of(content.p, line_at(&content, 3)));
    bed_expect(&b, RC_MODIFIED, 3, "cut off");
    bed_write(&b, 2); /* a start covers up nothing: it leaves a line that says what it found */
    bed_expect(&b, RC_MODIFIED, 6, "a start found");
    buf_done(&content);
    tempdir_remove(&b.dir);
}

static void audit__shows_lines_that_were_added_while_nobody_wrote(void **state)
{
    struct bed b;
    struct audit_report report;

    (void)state;
    bed_make(&b);
    bed_write(&b, 2);
    struct buf head = content_of(b.head);
    bed_write(&b, 1);
    put_content(b.head, buf_slice(&head)); /* as if the third line had been added by hand, or the daemon killed */
    bed_write(&b, 1);
    assert_ok(audit_verify(&b.options, NULL, NULL, &report));
    assert_int_equal(report.lines, 5);
    struct buf content = content_of(b.path);
    assert_non_null(memmem(content.p, content.n, "\"beyond_head\":1", 15));
    buf_done(&content);
    buf_done(&head);
    tempdir_remove(&b.dir);
}

static void audit__lets_one_write_at_a_time(void **state)
{
    struct bed b;
    struct audit *a, *other;

    (void)state;
    bed_make(&b);
    assert_ok(audit_open(&b.options, &a));
    assert_rc(audit_open(&b.options, &other), RC_IO);
    audit_close(a);
    assert_ok(audit_open(&b.options, &other));
    audit_close(other);
    tempdir_remove(&b.dir);
}

static void audit__starts_with_a_head_of_a_key_that_is_gone_and_says_so(void **state)
{
    struct bed b;
    struct audit_report report;

    (void)state;
    bed_make(&b);
    bed_write(&b, 2);
    b.key.kvno = 7;
    assert_rc(audit_verify(&b.options, NULL, NULL, &report), RC_MODIFIED);
    bed_write(&b, 1);
    bed_expect(&b, RC_MODIFIED, 4, "a start found");
    tempdir_remove(&b.dir);
}

static void audit__shows_a_log_that_was_written_anew(void **state)
{
    struct bed b, other;

    (void)state;
    bed_make(&b);
    bed_make(&other);
    bed_write(&b, 4);
    bed_write(&other, 4);
    struct buf content = content_of(other.path);
    put_content(b.path, buf_slice(&content));
    bed_expect(&b, RC_MODIFIED, 3, "anew");
    buf_done(&content);
    struct buf head = content_of(other.head);
    put_content(b.head, buf_slice(&head)); /* with its own head, which is under another key */
    bed_expect(&b, RC_MODIFIED, 0, "does not open");
    buf_done(&head);
    assert_int_equal(unlink(b.head), 0);
    bed_expect(&b, RC_MODIFIED, 4, "no head");
    tempdir_remove(&b.dir);
    tempdir_remove(&other.dir);
}

static void audit__goes_on_after_half_a_line(void **state)
{
    struct bed b;

    (void)state;
    bed_make(&b);
    bed_write(&b, 3);
    struct buf content = content_of(b.path);
    int fd = open(b.path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, content.p, 40), 40);
    assert_int_equal(close(fd), 0);
    bed_write(&b, 2);
    struct audit_report report;
    assert_ok(audit_verify(&b.options, NULL, NULL, &report));
    assert_int_equal(report.lines, 6); /* one says that the start found half a line */
    assert_int_equal(report.torn, 1);
    buf_done(&content);
    tempdir_remove(&b.dir);
}

static void audit__writes_within_a_moment_without_being_closed(void **state)
{
    struct bed b;
    struct audit_report report = {0};

    (void)state;
    bed_make(&b);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct audit *a;
        if (audit_open(&b.options, &a) != RC_OK)
            _exit(1);
        write_lines(&b, a, 20);
        (void)pause(); /* until it is killed */
    }
    for (int i = 0; i < 600 && report.lines < 20; i++) {
        (void)usleep(50000);
        enum rc rc = audit_verify(&b.options, NULL, NULL, &report);
        assert_true(rc == RC_OK || rc == RC_NOT_FOUND || rc == RC_MODIFIED);
    }
    assert_int_equal(report.lines, 20);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    bed_write(&b, 1);
    assert_ok(audit_verify(&b.options, NULL, NULL, &report));
    assert_in_range(report.lines, 21, 22); /* killed between lines and head, the next start says so in a line */
    tempdir_remove(&b.dir);
}

static void audit__refuses_a_log_that_others_can_read(void **state)
{
    struct bed b;
    struct audit *a;
    struct audit_report report;

    (void)state;
    bed_make(&b);
    bed_write(&b, 1);
    assert_int_equal(chmod(b.path, 0644), 0);
    assert_rc(audit_open(&b.options, &a), RC_UNSAFE_FILE);
    assert_rc(audit_verify(&b.options, NULL, NULL, &report), RC_UNSAFE_FILE);
    tempdir_remove(&b.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit__verifies_what_it_wrote_over_several_starts),
        cmocka_unit_test(audit__shows_a_changed_byte_of_any_line),
        cmocka_unit_test(audit__shows_a_line_that_was_left_out_or_moved),
        cmocka_unit_test(audit__shows_a_tail_that_was_cut_off),
        cmocka_unit_test(audit__shows_lines_that_were_added_while_nobody_wrote),
        cmocka_unit_test(audit__lets_one_write_at_a_time),
        cmocka_unit_test(audit__starts_with_a_head_of_a_key_that_is_gone_and_says_so),
        cmocka_unit_test(audit__shows_a_log_that_was_written_anew),
        cmocka_unit_test(audit__goes_on_after_half_a_line),
        cmocka_unit_test(audit__writes_within_a_moment_without_being_closed),
        cmocka_unit_test(audit__refuses_a_log_that_others_can_read),
    };
    json_setup();
    if (crypto_setup() != RC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
