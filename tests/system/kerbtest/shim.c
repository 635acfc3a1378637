/*
 * Preloaded into a daemon: makes its disk go wrong.
 *
 * $KERB_TEST_KILL names a file that holds a number: how many syncs of a SQLite log to let live. Right behind the next
 * one, that is between a commit and whatever the daemon does next, it is killed.
 *
 * $KERB_TEST_DISK names a file that holds a word: the number of an errno, with which every change of a file below
 * $KERB_TEST_DIR fails, or, below 0, how many milliseconds each sync there takes longer. No file: no harm.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *path_of(int fd, char path[4096])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 4095);
    path[n < 0 ? 0 : n] = 0;
    return path;
}

static int is_log(int fd)
{
    char path[4096];
    size_t n = strlen(path_of(fd, path));
    return n > 4 && strcmp(path + n - 4, "-wal") == 0;
}

static long read_number(const char *name)
{
    char text[16] = "";
    FILE *f = fopen(name, "r");

    if (f == NULL)
        return 0;
    char *got = fgets(text, sizeof(text), f);
    fclose(f);
    return got ? strtol(text, NULL, 10) : 0;
}

/* What is wrong with the disk that this file lies on. */
static long trouble_of(int fd)
{
    const char *name = getenv("KERB_TEST_DISK"), *dir = getenv("KERB_TEST_DIR");
    char path[4096];

    if (name == NULL || dir == NULL || access(name, F_OK) != 0)
        return 0;
    return strncmp(path_of(fd, path), dir, strlen(dir)) == 0 ? read_number(name) : 0;
}

static int fails(int fd)
{
    int before = errno;
    long trouble = trouble_of(fd);

    errno = trouble > 0 ? (int)trouble : before;
    return trouble > 0;
}

static void after_sync(int fd)
{
    const char *name = getenv("KERB_TEST_KILL");
    char text[16] = "";
    FILE *f = name && is_log(fd) ? fopen(name, "r+") : NULL;

    if (f == NULL)
        return;
    if (fgets(text, sizeof(text), f) && strtol(text, NULL, 10) == 0) {
        unlink(name);
        kill(getpid(), SIGKILL);
    }
    rewind(f);
    fprintf(f, "%ld\n", strtol(text, NULL, 10) - 1);
    fclose(f);
}

static int sync_by(const char *function, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    long trouble = trouble_of(fd);

    if (fails(fd))
        return -1;
    if (trouble < 0) {
        struct timespec pause = {.tv_sec = -trouble / 1000, .tv_nsec = -trouble % 1000 * 1000000};
        while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
            ;
    }
    int r = real(fd);
    after_sync(fd);
    return r;
}

int fdatasync(int fd)
{
    return sync_by("fdatasync", fd);
}

int fsync(int fd)
{
    return sync_by("fsync", fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
    ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return fails(fd) ? -1 : real(fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    return fails(fd) ? -1 : real(fd, p, n, at);
}

int ftruncate64(int fd, off64_t n)
{
    int (*real)(int, off64_t) = (int (*)(int, off64_t))dlsym(RTLD_NEXT, "ftruncate64");
    return fails(fd) ? -1 : real(fd, n);
}
