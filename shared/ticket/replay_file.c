/* The file of the replay cache: records with a check, a tail that may be torn. */
#include "shared/ticket/replay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"

#define RECORD_BODY  (1 + ID_LEN + SHA256_LEN + 8)
#define RECORD_CHECK (RECORD_LEN - RECORD_BODY)
/* A journal is written anew when less than half of it is alive; see replay.c. */
#define FILE_MAX ((size_t)(2 * REPLAY_TOTAL_MAX + 4 * REPLAY_PER_OWNER_MAX) * RECORD_LEN)

_Static_assert(RECORD_CHECK == 7, "a record fills its 64 bytes");

enum rc record_encode(const struct record *record, struct buf *out)
{
    uint8_t p[RECORD_LEN], digest[SHA256_LEN];

    p[0] = (uint8_t)record->kind;
    memcpy(p + 1, record->owner, ID_LEN);
    memcpy(p + 1 + ID_LEN, record->digest, SHA256_LEN);
    put_u64be(p + 1 + ID_LEN + SHA256_LEN, (uint64_t)record->time_s);
    TRY(sha256(slice_of(p, RECORD_BODY), digest));
    memcpy(p + RECORD_BODY, digest, RECORD_CHECK);
    return buf_add(out, SLICE(p));
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

/* Whether any whole record from number i on is a good one. */
static bool any_good(struct slice content, size_t i)
{
    struct record record;

    for (; (i + 1) * RECORD_LEN <= content.n; i++)
        if (record_decode(content.p + i * RECORD_LEN, &record))
            return true;
    return false;
}

enum rc replay_file_read(const char *path, struct buf *ret_content, size_t *ret_n, bool *ret_clean)
{
    struct record record = {.kind = RECORD_CLOCK};
    size_t n = 0;

    enum rc rc = file_read(path, FILE_MAX, FILE_PRIVATE, ret_content);
    if (rc != RC_OK)
        return rc == RC_LIMIT ? RC_IO : rc;
    struct slice content = buf_slice(ret_content);
    while ((n + 1) * RECORD_LEN <= content.n && record_decode(content.p + n * RECORD_LEN, &record)) {
        if ((record.kind == RECORD_CLOCK) != (n == 0))
            return RC_IO;
        n++;
        if (record.kind == RECORD_END)
            break;
    }
    if ((n == 0 && content.n >= RECORD_LEN) || any_good(content, n))
        return RC_IO;
    *ret_n = n;
    *ret_clean = n > 0 && record.kind == RECORD_END && content.n == n * RECORD_LEN;
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
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

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

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        (void)close(j->fd);
    j->fd = -1;
}

enum rc journal_append(struct journal *j, const struct record *record)
{
    AUTO(buf_done) struct buf bytes = {0};

    if (j->fd < 0)
        return RC_IO;
    TRY(record_encode(record, &bytes));
    ssize_t put;
    do
        put = write(j->fd, bytes.p, bytes.n);
    while (put < 0 && errno == EINTR);
    if (put == (ssize_t)bytes.n) {
        j->size += put;
        return RC_OK;
    }
    /* A part of a record must not stay in the middle. Where it cannot be cut off, nothing is appended any more. */
    if (put > 0 && ftruncate(j->fd, j->size) != 0)
        journal_close(j);
    return RC_IO;
}
