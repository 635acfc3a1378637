/*
 * Preloaded into a daemon: kills it right behind a sync of a SQLite log, that is between a commit and whatever the
 * daemon does next. $KERB_TEST_KILL names a file that holds a number: how many syncs to let live. No file: no harm.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_log(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n < 4)
        return 0;
    path[n] = 0;
    return strcmp(path + n - 4, "-wal") == 0;
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

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int r = real(fd);
    after_sync(fd);
    return r;
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int r = real(fd);
    after_sync(fd);
    return r;
}
