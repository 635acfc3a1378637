/*
 * Replays inputs, one after the other: replay FILE or DIRECTORY... Each is one allocation of its exact size, so that a
 * sanitizer sees a look beyond its end. Fails when there is none.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)16 * 1024 * 1024)

static size_t replayed;

static void replay_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");

    (void)printf("%s\n", path); /* the last one named is the one that failed */
    (void)fflush(stdout);
    CHECK(f != NULL && fstat(fileno(f), &st) == 0);
    size_t n = (size_t)st.st_size;
    CHECK(st.st_size >= 0 && n <= INPUT_MAX);
    uint8_t *bytes = malloc(n ? n : 1);
    CHECK(bytes != NULL && fread(bytes, 1, n, f) == n);
    (void)fclose(f);
    fuzz_one(slice_of(bytes, n));
    free(bytes);
    replayed++;
}

static void replay_directory(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);

    CHECK(n >= 0);
    for (int i = 0; i < n; i++) {
        AUTO(buf_done) struct buf file = {0};
        if (names[i]->d_name[0] != '.') {
            CHECK_OK(buf_printf(&file, "%s/%s", path, names[i]->d_name));
            replay_file(buf_cstr(&file));
        }
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    fuzz_setup();
    fuzz_open();
    for (int i = 1; i < argc; i++) {
        struct stat st;
        CHECK(stat(argv[i], &st) == 0);
        if (S_ISDIR(st.st_mode))
            replay_directory(argv[i]);
        else
            replay_file(argv[i]);
    }
    (void)printf("%zu inputs\n", replayed);
    return replayed ? 0 : 1;
}
