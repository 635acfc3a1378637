/* What harnesses share. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/json.h"

void fuzz_failed(const char *file, int line, const char *claim)
{
    (void)fprintf(stderr, "%s:%d: not true: %s\n", file, line, claim);
    abort();
}

struct slice fuzz_line(struct slice *rest)
{
    const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct slice line = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);

    *rest = end ? slice_of(end + 1, rest->n - line.n - 1) : slice_of(NULL, 0);
    return line;
}

unsigned fuzz_choice(struct slice *rest, unsigned n)
{
    if (rest->n == 0)
        return 0;
    unsigned choice = rest->p[0] % n;
    *rest = slice_of(rest->p + 1, rest->n - 1);
    return choice;
}

void fuzz_setup(void)
{
    json_setup();
    CHECK_OK(crypto_setup());
}

void fuzz_key(enum etype etype, uint32_t kvno, struct key *ret)
{
    *ret = (struct key){.etype = etype, .kvno = kvno, .n = (uint8_t)etype_key_len(etype)};
    for (uint8_t i = 0; i < ret->n; i++)
        ret->bytes[i] = (uint8_t)(7 * i + 1);
}

struct name fuzz_name(const char *text)
{
    struct name name;

    CHECK_OK(name_parse(slice_text(text), &name));
    return name;
}

/* Of LeakSanitizer, when it is there. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

void fuzz_keep(void (*make)(void))
{
    if (__lsan_disable)
        __lsan_disable();
    make();
    if (__lsan_enable)
        __lsan_enable();
}

void fuzz_at_exit(void (*end)(void))
{
    CHECK(atexit(end) == 0);
}

/* --- a file ------------------------------------------------------------------------------------------------------ */

static char file_path[] = "/tmp/kerb-fuzz-XXXXXX";
static int file_fd = -1;

static void file_remove(void)
{
    (void)close(file_fd);
    (void)unlink(file_path);
}

const char *fuzz_file(struct slice content)
{
    if (file_fd < 0) {
        file_fd = mkstemp(file_path);
        CHECK(file_fd >= 0);
        fuzz_at_exit(file_remove);
    }
    CHECK(ftruncate(file_fd, 0) == 0);
    CHECK(pwrite(file_fd, content.p, content.n, 0) == (ssize_t)content.n);
    return file_path;
}
