/* The file of the replay cache: records with a check, a tail that may be torn. */
#include "shared/ticket/replay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"

#define RECORD_BODY  (1 + ID_LEN + SHA256_LEN + 8)
#define RECORD_CHECK (RECORD_LEN - RECORD_BODY)
/* A journal is written anew when less than half of it is alive; see replay.c. */
#define FILE_MAX ((size_t)(2 * REPLAY_TOTAL_MAX + 4 * REPLAY_PER_OWNER_MAX) * RECORD_LEN + JOURNAL_WINDOW)

_Static_assert(RECORD_CHECK == 7, "a record fills its 64 bytes");
_Static_assert(JOURNAL_WINDOW % RECORD_LEN == 0, "no record lies in two windows");

enum rc record_encode(const struct record *record, uint8_t p[RECORD_LEN])
{
    uint8_t digest[SHA256_LEN];

    p[0] = (uint8_t)record->kind;
    memcpy(p + 1, record->owner, ID_LEN);
    memcpy(p + 1 + ID_LEN, record->digest, SHA256_LEN);
    put_u64be(p + 1 + ID_LEN + SHA256_LEN, (uint64_t)record->time_s);
    TRY(sha256(slice_of(p, RECORD_BODY), digest));
    memcpy(p + RECORD_BODY, digest, RECORD_CHECK);
    return RC_OK;
}

bool record_decode(const uint8_t p[RECORD_LEN], struct record *ret)
{
    uint8_t digest[SHA256_LEN];

    if (p[0] != RECORD_CLOCK && p[0] != RECORD_SEEN && p[0] != RECORD_END)
        return false;
    if (sha256(slice_of(p, RECORD_BODY), digest) != RC_OK || !ct_equal(p + RECORD_BODY, digest, RECORD_CHECK))
        return false;
    ret->kind = (enum record_kind)p[0];
    memcpy(ret->owner, p + 1, ID_LEN);
    memcpy(ret->digest, p + 1 + ID_LEN, SHA256_LEN);
    ret->time_s = (int64_t)get_u64be(p + 1 + ID_LEN + SHA256_LEN);
    return true;
}

static bool is_empty(const uint8_t p[RECORD_LEN])
{
    static const uint8_t zeros[RECORD_LEN];
    return memcmp(p, zeros, RECORD_LEN) == 0;
}

/* A clock, then good records and empty places, and behind the last good one anything that is none. */
static enum rc check_order(struct slice content, size_t *ret_n, bool *ret_ended)
{
    bool bad = false, ended = false;
    size_t n = 0;

    for (size_t i = 0; (i + 1) * RECORD_LEN <= content.n; i++) {
        struct record record;
        if (is_empty(content.p + i * RECORD_LEN))
            continue;
        if (!record_decode(content.p + i * RECORD_LEN, &record)) {
            bad = true;
            continue;
        }
        if (bad || ended || (record.kind == RECORD_CLOCK) != (i == 0) || (i > 0 && n == 0))
            return RC_IO;
        ended = record.kind == RECORD_END;
        n = i + 1;
    }
    *ret_n = n;
    *ret_ended = ended;
    return n == 0 && content.n >= RECORD_LEN ? RC_IO : RC_OK;
}

enum rc replay_file_read(const char *path, struct buf *ret_content, size_t *ret_n, bool *ret_clean)
{
    bool ended = false;

    enum rc rc = file_read(path, FILE_MAX, FILE_PRIVATE, ret_content);
    if (rc != RC_OK)
        return rc == RC_LIMIT ? RC_IO : rc;
    TRY(check_order(buf_slice(ret_content), ret_n, &ended));
    *ret_clean = ended && ret_content->n == *ret_n * RECORD_LEN;
    return RC_OK;
}

enum rc replay_file_remove(const char *path)
{
    AUTO(str_done) char *copy = slice_dup(slice_text(path));

    if (!copy)
        return RC_NO_MEMORY;
    if (unlink(path) != 0 && errno != ENOENT)
        return RC_IO;
    int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return RC_IO;
    int failed = fsync(dir);
    (void)close(dir);
    return failed ? RC_IO : RC_OK;
}

enum rc journal_open(struct journal *j, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return RC_IO;
    if (fstat(fd, &st) != 0) {
        (void)close(fd);
        return RC_IO;
    }
    journal_close(j);
    *j = (struct journal){.fd = fd, .size = st.st_size};
    return RC_OK;
}

static void close_window(struct journal *j)
{
    if (j->window)
        (void)munmap(j->window, JOURNAL_WINDOW);
    j->window = NULL;
}

void journal_close(struct journal *j)
{
    close_window(j);
    if (j->fd >= 0)
        (void)close(j->fd);
    j->fd = -1;
}

/* Pages are made now, so that what the disk has to say is said here; kernels before 5.14 cannot. */
static bool make_pages(uint8_t *window)
{
    return madvise(window, JOURNAL_WINDOW, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

enum rc journal_reserve(struct journal *j)
{
    off_t at = j->size / JOURNAL_WINDOW * JOURNAL_WINDOW;

    if (j->window && j->window_at == at)
        return RC_OK;
    if (j->fd < 0 || posix_fallocate(j->fd, at, JOURNAL_WINDOW) != 0)
        return RC_IO;
    uint8_t *window = mmap(NULL, JOURNAL_WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, at);
    if (window == MAP_FAILED)
        return RC_IO;
    if (!make_pages(window)) {
        (void)munmap(window, JOURNAL_WINDOW);
        return RC_IO;
    }
    close_window(j);
    j->window = window;
    j->window_at = at;
    return RC_OK;
}

void journal_put(struct journal *j, const uint8_t bytes[RECORD_LEN])
{
    uint8_t *p = j->window + (j->size - j->window_at);

    memcpy(p + 1, bytes + 1, RECORD_LEN - 1);
    __atomic_store_n(p, bytes[0], __ATOMIC_RELEASE);
    j->size += RECORD_LEN;
}

enum rc journal_trim(struct journal *j)
{
    close_window(j);
    return j->fd >= 0 && ftruncate(j->fd, j->size) == 0 ? RC_OK : RC_IO;
}
