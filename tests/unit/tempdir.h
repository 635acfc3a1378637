/* A directory of its own for a test that writes files. */
#ifndef KERB_TESTS_TEMPDIR_H
#define KERB_TESTS_TEMPDIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define TEMP_PATH 256

struct tempdir {
    char path[TEMP_PATH];
    char file[2 * TEMP_PATH]; /* the last one that tempdir_file() named */
};

static inline void tempdir_make(struct tempdir *d)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(d->path, sizeof(d->path), "%s/kerb-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(d->path));
}

static inline const char *tempdir_file(struct tempdir *d, const char *name)
{
    (void)snprintf(d->file, sizeof(d->file), "%s/%s", d->path, name);
    return d->file;
}

/* With all the files in it. */
static inline void tempdir_remove(struct tempdir *d)
{
    DIR *dir = opendir(d->path);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            (void)unlink(tempdir_file(d, entry->d_name));
    (void)closedir(dir);
    assert_int_equal(rmdir(d->path), 0);
}

static inline void tempdir_put(const char *path, struct slice content, mode_t mode)
{
    (void)unlink(path); /* one that may only be read is replaced as well, also without root */
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(content.p, 1, content.n, f), content.n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

#endif
