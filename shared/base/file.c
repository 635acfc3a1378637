/* Small files, read and replaced whole. */
#include "shared/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fd_done(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static enum rc open_rc(void)
{
    return errno == ENOENT ? RC_NOT_FOUND : RC_IO;
}

static enum rc check_owner_and_mode(const struct stat *st, mode_t refused)
{
    if (st->st_uid != geteuid() && st->st_uid != 0 && geteuid() != 0)
        return RC_UNSAFE_FILE;
    return st->st_mode & refused ? RC_UNSAFE_FILE : RC_OK;
}

static mode_t forbidden(enum file_safety safety, const struct stat *st)
{
    if (safety == FILE_TRUSTED)
        return S_IWGRP | S_IWOTH;
    if (safety == FILE_CREDENTIAL && st->st_uid == 0 && st->st_gid == 0)
        return S_IWGRP | S_IXGRP | S_IRWXO;
    return S_IRWXG | S_IRWXO;
}

enum rc file_read(const char *path, size_t max, enum file_safety safety, struct buf *ret)
{
    AUTO(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return open_rc();
    if (fstat(fd, &st) != 0)
        return RC_IO;
    if (!S_ISREG(st.st_mode))
        return RC_UNSAFE_FILE;
    TRY(check_owner_and_mode(&st, forbidden(safety, &st)));
    if (st.st_size < 0 || (size_t)st.st_size > max)
        return RC_LIMIT;
    AUTO(buf_done) struct buf content = {0};
    TRY(buf_reserve(&content, (size_t)st.st_size + 1));
    for (;;) {
        ssize_t got = read(fd, content.p + content.n, content.cap - content.n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return RC_IO;
        content.n += (size_t)got;
        if (content.n > max)
            return RC_LIMIT;
        if (got == 0)
            break;
        TRY(buf_reserve(&content, 1));
    }
    buf_done(ret);
    *ret = buf_take(&content);
    return RC_OK;
}

enum rc dir_check_private(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return open_rc();
    if (!S_ISDIR(st.st_mode))
        return RC_IO;
    return check_owner_and_mode(&st, S_IRWXG | S_IRWXO);
}

static enum rc write_all(int fd, struct slice s)
{
    while (s.n) {
        ssize_t put = write(fd, s.p, s.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return RC_IO;
        s = slice_of(s.p + put, s.n - (size_t)put);
    }
    return RC_OK;
}

/* Root writes for others: the file belongs to whom its directory belongs. */
static enum rc give_to_directory_owner(int fd, int dir_fd)
{
    struct stat st;

    if (geteuid() != 0)
        return RC_OK;
    return fstat(dir_fd, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0 ? RC_OK : RC_IO;
}

static enum rc fill(int fd, int dir_fd, struct slice content, unsigned mode)
{
    if (fchmod(fd, (mode_t)mode) != 0)
        return RC_IO;
    TRY(give_to_directory_owner(fd, dir_fd));
    TRY(write_all(fd, content));
    return fsync(fd) == 0 ? RC_OK : RC_IO;
}

enum rc file_write_atomic(const char *path, struct slice content, unsigned mode)
{
    AUTO(buf_done) struct buf tmp = {0}, dir = {0};

    TRY(buf_printf(&tmp, "%s.XXXXXX", path));
    TRY(buf_text(&dir, path));
    char *tmp_path = (char *)(uintptr_t)buf_cstr(&tmp), *dir_path = (char *)(uintptr_t)buf_cstr(&dir);
    if (!tmp_path || !dir_path)
        return RC_NO_MEMORY;
    AUTO(fd_done) int dir_fd = open(dirname(dir_path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return RC_IO;
    AUTO(fd_done) int fd = mkostemp(tmp_path, O_CLOEXEC);
    if (fd < 0)
        return RC_IO;
    if (fill(fd, dir_fd, content, mode) != RC_OK || rename(tmp_path, path) != 0) {
        (void)unlink(tmp_path);
        return RC_IO;
    }
    return fsync(dir_fd) == 0 ? RC_OK : RC_IO;
}
