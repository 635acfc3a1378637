/* The gate's file: states of buckets, the last one of each counts. */
#include <fcntl.h>
#include <unistd.h>

#include "shared/base/file.h"
#include "shared/service/gate_internal.h"

#define RECORD_BYTES  (GATE_ID * 2 + 4 + 8 + 1) /* key, principal, wrong, last wrong, familiar */
#define FILE_MAX      ((size_t)64 * 1024 * 1024)
#define REWRITE_RATIO 4 /* the file is written anew when it holds so many times more than is alive */
#define REWRITE_LEAST 1000

static enum rc put_record(const struct bucket *b, struct buf *out)
{
    TRY(buf_add(out, SLICE(b->key)));
    TRY(buf_add(out, SLICE(b->principal)));
    TRY(buf_u32be(out, b->wrong));
    TRY(buf_u64be(out, (uint64_t)b->wrong_s));
    return buf_byte(out, b->is_familiar);
}

static enum rc take_record(struct gate *g, const uint8_t *p)
{
    struct bucket *b = bucket_get(g, p, p + GATE_ID);

    if (!b)
        return RC_NO_MEMORY;
    p += (size_t)GATE_ID * 2;
    b->wrong = get_u32be(p);
    b->wrong_s = (int64_t)get_u64be(p + 4);
    b->is_familiar = p[12] != 0;
    bucket_touch(g, b);
    return RC_OK;
}

/* A torn last record is what a crash leaves. */
static enum rc read_file(struct gate *g, int64_t now_s)
{
    AUTO(buf_done) struct buf content = {0};

    enum rc rc = file_read(g->path, FILE_MAX, FILE_PRIVATE, &content);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    for (size_t at = 0; at + RECORD_BYTES <= content.n; at += RECORD_BYTES)
        TRY(take_record(g, content.p + at));
    gate_buckets_drop_empty(g, now_s);
    return RC_OK;
}

/* The file as it would be without its past. Called with the lock held, or by the only thread. */
static enum rc gather_all(const struct gate *g, struct buf *out)
{
    const struct bucket *b;

    for (int worth = 0; worth < WORTH_COUNT; worth++)
        TAILQ_FOREACH (b, &g->used[worth], in_use)
            if (b->wrong > 0 || b->is_familiar)
                TRY(put_record(b, out));
    return RC_OK;
}

/* What changed; it counts as written. */
static enum rc gather_dirty(struct gate *g, struct buf *out)
{
    struct bucket *b;

    while ((b = STAILQ_FIRST(&g->dirty))) {
        STAILQ_REMOVE_HEAD(&g->dirty, in_dirty);
        b->is_dirty = false;
        TRY(put_record(b, out));
    }
    return RC_OK;
}

/* Written anew, then open for appending. */
static enum rc rewrite(struct gate *g, struct slice content)
{
    TRY(file_write_atomic(g->path, content, 0600));
    int fd = open(g->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return RC_IO;
    if (g->fd >= 0)
        (void)close(g->fd);
    g->fd = fd;
    g->records = content.n / RECORD_BYTES;
    return RC_OK;
}

static enum rc append(struct gate *g, struct slice records)
{
    if (records.n > 0 && write(g->fd, records.p, records.n) != (ssize_t)records.n)
        return RC_IO;
    g->records += records.n / RECORD_BYTES;
    return RC_OK;
}

/* Files are written without the lock: who is at the gate does not wait for a disk. */
enum rc gate_flush(struct gate *g)
{
    AUTO(buf_done) struct buf records = {0};

    if (g->fd < 0)
        return RC_OK;
    pthread_mutex_lock(&g->lock);
    bool is_anew = g->is_file_bad || g->records > REWRITE_LEAST + g->n * REWRITE_RATIO;
    enum rc rc = gather_dirty(g, &records);
    if (rc == RC_OK && is_anew) {
        buf_reset(&records);
        rc = gather_all(g, &records);
    }
    pthread_mutex_unlock(&g->lock);
    if (rc == RC_OK)
        rc = is_anew ? rewrite(g, buf_slice(&records)) : append(g, buf_slice(&records));
    g->is_file_bad = rc != RC_OK; /* a part of it may be there: written anew next time, it is whole again */
    return rc;
}

enum rc gate_file_open(struct gate *g, const char *path, int64_t now_s)
{
    if (!path)
        return RC_OK;
    g->path = slice_dup(slice_text(path));
    if (!g->path)
        return RC_NO_MEMORY;
    AUTO(buf_done) struct buf content = {0};
    TRY(read_file(g, now_s));
    TRY(gather_all(g, &content));
    return rewrite(g, buf_slice(&content));
}
