/*
 * The ticket file: where it is, read, replaced, wiped.
 *
 * Writers hold a lock on a file beside it, so that a ticket which arrives while somebody logs out is not written behind
 * the logout. Old contents that a replacement leaves behind lie on blocks which nobody can name; the default place is
 * memory (a tmpfs).
 */
#include "client/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"

#define OWN_DIRECTORY "/kerb/ccache" /* the end of a path whose directory we make */

static void fd_done(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static const char *set(const char *value)
{
    return value && value[0] ? value : NULL;
}

enum rc cache_path(const char *name, struct buf *ret)
{
    const char *file = set(name) ? name : set(getenv("KERB_CCACHE"));
    const char *runtime = set(getenv("XDG_RUNTIME_DIR"));

    if (file)
        TRY(buf_text(ret, file));
    else if (runtime && runtime[0] == '/')
        TRY(buf_printf(ret, "%s" OWN_DIRECTORY, runtime));
    else
        TRY(buf_printf(ret, "/tmp/kerb-%lu/ccache", (unsigned long)geteuid()));
    return buf_cstr(ret) ? RC_OK : RC_NO_MEMORY;
}

enum rc cache_load(const char *path, struct cache *ret)
{
    AUTO(buf_done) struct buf text = {0};

    TRY(file_read(path, CACHE_FILE_MAX, FILE_PRIVATE, &text));
    return cache_read(buf_slice(&text), ret);
}

/* Under /tmp anybody may have made a directory of this name before us: it must be a directory, ours, and closed. */
static enum rc directory_is_ours(const char *dir)
{
    struct stat st;

    if (lstat(dir, &st) != 0)
        return RC_IO;
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)))
        return RC_UNSAFE_FILE;
    return RC_OK;
}

static bool is_own_directory(const char *dir)
{
    const char *last = strrchr(dir, '/');

    return last && (strcmp(last, "/kerb") == 0 || strncmp(dir, "/tmp/kerb-", strlen("/tmp/kerb-")) == 0);
}

static enum rc prepare_directory(const char *path)
{
    AUTO(buf_done) struct buf copy = {0};

    TRY(buf_text(&copy, path));
    char *text = (char *)(uintptr_t)buf_cstr(&copy);
    if (!text)
        return RC_NO_MEMORY;
    const char *dir = dirname(text);
    if (!is_own_directory(dir))
        return RC_OK; /* somebody chose the place */
    if (mkdir(dir, S_IRWXU) != 0 && errno != EEXIST)
        return RC_IO;
    return directory_is_ours(dir);
}

/* The lock is held as long as the descriptor is open. */
static enum rc lock(const char *path, int *ret_fd)
{
    AUTO(buf_done) struct buf name = {0};

    TRY(buf_printf(&name, "%s.lock", path));
    const char *text = buf_cstr(&name);
    if (!text)
        return RC_NO_MEMORY;
    int fd = open(text, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return RC_IO;
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        (void)close(fd);
        return RC_IO;
    }
    *ret_fd = fd;
    return RC_OK;
}

static bool file_has_tgt(const char *path, struct slice tgt)
{
    AUTO(cache_done) struct cache now = {0};

    return cache_load(path, &now) == RC_OK && slice_eq(buf_slice(&now.entries[0].ticket), tgt);
}

enum rc cache_save(const char *path, const struct cache *c, struct slice with_tgt)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(fd_done) int fd = -1;

    TRY(cache_write(c, &text));
    TRY(prepare_directory(path));
    TRY(lock(path, &fd));
    if (with_tgt.n && !file_has_tgt(path, with_tgt))
        return RC_OK;
    return file_write_atomic(path, buf_slice(&text), S_IRUSR | S_IWUSR);
}

static enum rc overwrite(int fd, off_t size)
{
    static const uint8_t zeros[4096];

    for (off_t at = 0; at < size;) {
        size_t n = size - at < (off_t)sizeof zeros ? (size_t)(size - at) : sizeof zeros;
        ssize_t put = pwrite(fd, zeros, n, at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return RC_IO;
        at += put;
    }
    return fsync(fd) == 0 ? RC_OK : RC_IO;
}

enum rc cache_wipe(const char *path)
{
    AUTO(fd_done) int lock_fd = -1;
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR ? RC_NOT_FOUND : RC_IO;
    TRY(lock(path, &lock_fd));
    AUTO(fd_done) int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? RC_NOT_FOUND : errno == ELOOP ? RC_UNSAFE_FILE : RC_IO;
    if (fstat(fd, &st) != 0)
        return RC_IO;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
        return RC_UNSAFE_FILE;
    enum rc rc = overwrite(fd, st.st_size < CACHE_FILE_MAX ? st.st_size : CACHE_FILE_MAX);
    return unlink(path) == 0 ? rc : RC_IO;
}
