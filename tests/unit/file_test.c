/* Small files: whole, bounded, private. */
#include "shared/base/file.h"

#include <fcntl.h>

#include "tests/unit/tempdir.h"

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

static enum rc read_as(const char *path, size_t max, enum file_safety safety)
{
    AUTO(buf_done) struct buf content = {0};
    return file_read(path, max, safety, &content);
}

static void file_read__gives_the_whole_file(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf content = {0};
    const char *path = tempdir_file(&dir, "file");
    static uint8_t big[100000];

    tempdir_put(path, slice_text("content"), 0600);
    assert_ok(buf_text(&content, "before"));
    assert_ok(file_read(path, 100, FILE_PRIVATE, &content));
    assert_slice(buf_slice(&content), "content");
    tempdir_put(path, slice_text(""), 0600);
    assert_ok(file_read(path, 100, FILE_PRIVATE, &content));
    assert_int_equal(content.n, 0);
    big[99999] = 7;
    tempdir_put(path, SLICE(big), 0600);
    assert_ok(file_read(path, sizeof(big), FILE_PRIVATE, &content));
    assert_true(slice_eq(buf_slice(&content), SLICE(big)));
}

static void file_read__refuses_more_than_its_limit(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "file");

    tempdir_put(path, slice_text("content"), 0600);
    assert_ok(read_as(path, 7, FILE_PRIVATE));
    assert_rc(read_as(path, 6, FILE_PRIVATE), RC_LIMIT);
    assert_rc(read_as(path, 0, FILE_PRIVATE), RC_LIMIT);
}

static void file_read__refuses_what_others_can_use(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        enum rc as_private, as_trusted;
    } cases[] = {
        {0600, RC_OK,          RC_OK         },
        {0400, RC_OK,          RC_OK         },
        {0640, RC_UNSAFE_FILE, RC_OK         },
        {0644, RC_UNSAFE_FILE, RC_OK         },
        {0604, RC_UNSAFE_FILE, RC_OK         },
        {0610, RC_UNSAFE_FILE, RC_OK         },
        {0620, RC_UNSAFE_FILE, RC_UNSAFE_FILE},
        {0602, RC_UNSAFE_FILE, RC_UNSAFE_FILE},
        {0666, RC_UNSAFE_FILE, RC_UNSAFE_FILE},
    };
    const char *path = tempdir_file(&dir, "file");

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tempdir_put(path, slice_text("x"), cases[i].mode);
        assert_rc(read_as(path, 10, FILE_PRIVATE), cases[i].as_private);
        assert_rc(read_as(path, 10, FILE_TRUSTED), cases[i].as_trusted);
        assert_int_equal(unlink(path), 0);
    }
}

static void file_read__refuses_what_is_no_file(void **state)
{
    (void)state;
    assert_rc(read_as(tempdir_file(&dir, "none"), 10, FILE_PRIVATE), RC_NOT_FOUND);
    assert_rc(read_as(dir.path, 10, FILE_PRIVATE), RC_UNSAFE_FILE);
    assert_rc(read_as("/dev/zero", 10, FILE_PRIVATE), RC_UNSAFE_FILE);
    const char *fifo = tempdir_file(&dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_rc(read_as(fifo, 10, FILE_PRIVATE), RC_UNSAFE_FILE); /* and does not wait for a writer */
}

static size_t files_in_dir(void)
{
    DIR *d = opendir(dir.path);
    struct dirent *entry;
    size_t n = 0;

    assert_non_null(d);
    while ((entry = readdir(d)))
        n += entry->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void file_write_atomic__replaces_the_file(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf content = {0};
    const char *path = tempdir_file(&dir, "file");
    struct stat before, after;

    tempdir_put(path, slice_text("old"), 0644);
    assert_int_equal(stat(path, &before), 0);
    assert_ok(file_write_atomic(path, slice_text("new content"), 0600));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mode & 07777, 0600);
    assert_int_not_equal(after.st_ino, before.st_ino);
    assert_ok(file_read(path, 100, FILE_PRIVATE, &content));
    assert_slice(buf_slice(&content), "new content");
    assert_int_equal(files_in_dir(), 1);
}

static void file_write_atomic__a_failure_leaves_the_old_file(void **state)
{
    (void)state;
    const char *sub = tempdir_file(&dir, "sub");

    assert_int_equal(mkdir(sub, 0700), 0); /* a folder cannot be replaced by a file */
    assert_rc(file_write_atomic(sub, slice_text("x"), 0600), RC_IO);
    assert_int_equal(files_in_dir(), 1);
    assert_int_equal(rmdir(sub), 0);
    assert_rc(file_write_atomic(tempdir_file(&dir, "none/file"), slice_text("x"), 0600), RC_IO);
    assert_int_equal(files_in_dir(), 0);
}

static void file_write_atomic__does_not_follow_a_link(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf content = {0};
    struct tempdir names = dir;
    const char *target = tempdir_file(&dir, "target"), *link = tempdir_file(&names, "link");

    tempdir_put(target, slice_text("old"), 0600);
    assert_int_equal(symlink(target, link), 0);
    assert_ok(file_write_atomic(link, slice_text("new"), 0600));
    assert_ok(file_read(target, 100, FILE_PRIVATE, &content));
    assert_slice(buf_slice(&content), "old");
}

static void dir_check_private__refuses_an_open_folder(void **state)
{
    (void)state;
    assert_ok(dir_check_private(dir.path));
    assert_int_equal(chmod(dir.path, 0750), 0);
    assert_rc(dir_check_private(dir.path), RC_UNSAFE_FILE);
    assert_int_equal(chmod(dir.path, 0701), 0);
    assert_rc(dir_check_private(dir.path), RC_UNSAFE_FILE);
    assert_int_equal(chmod(dir.path, 0700), 0);
    assert_rc(dir_check_private(tempdir_file(&dir, "none")), RC_NOT_FOUND);
    const char *path = tempdir_file(&dir, "file");
    tempdir_put(path, slice_text("x"), 0600);
    assert_rc(dir_check_private(path), RC_IO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(file_read__gives_the_whole_file),           TEST(file_read__refuses_more_than_its_limit),
        TEST(file_read__refuses_what_others_can_use),    TEST(file_read__refuses_what_is_no_file),
        TEST(file_write_atomic__replaces_the_file),      TEST(file_write_atomic__a_failure_leaves_the_old_file),
        TEST(file_write_atomic__does_not_follow_a_link), TEST(dir_check_private__refuses_an_open_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
