/*
 * Which history this is: an id that stays while the database goes on, and changes when an older one was put back.
 *
 * Each start and each orderly end draws a run's id and writes it into the database and into a file beside it; the
 * database keeps, too, which file it lies in (inode and time of birth). A backup that is put back is another file, or
 * has another run's id than the file beside it. One that is cut off leaves both ids in the file, and either is the
 * last. What escapes: a backup of the very run that was killed, put back into the same file; and both files of one
 * moment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "chat/store/sqlite.h"
#include "shared/base/file.h"
#include "shared/service/log.h"

#define PLACE_LEN 20 /* inode u64be, birth: seconds u64be, nanoseconds u32be */

struct lineage {
    bool is_there;
    uint8_t id[ID_LEN], run[ID_LEN], place[PLACE_LEN];
};

/* A file system that tells no time of birth gives the inode alone. */
static enum rc place_of(const char *path, uint8_t ret[PLACE_LEN])
{
    struct statx st;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) != 0)
        return RC_IO;
    bool has_birth = st.stx_mask & STATX_BTIME;
    put_u64be(ret, st.stx_ino);
    put_u64be(ret + 8, has_birth ? (uint64_t)st.stx_btime.tv_sec : 0);
    put_u32be(ret + 16, has_birth ? st.stx_btime.tv_nsec : 0);
    return RC_OK;
}

static bool take(sqlite3_stmt *st, int col, uint8_t *ret, size_t n)
{
    struct slice s = db_blob(st, col);

    if (s.n == n)
        memcpy(ret, s.p, n);
    return s.n == n;
}

static enum rc read_row(struct sqlite_store *s, struct lineage *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_HISTORY_ID];
    bool has_row;

    TRY(db_step(st, &has_row));
    ret->is_there =
        has_row && take(st, 0, ret->id, ID_LEN) && take(st, 1, ret->run, ID_LEN) && take(st, 2, ret->place, PLACE_LEN);
    return RC_OK;
}

static enum rc write_row(struct sqlite_store *s, const struct lineage *l)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_SET_HISTORY_ID];

    TRY(db_bind_blob(st, 1, SLICE(l->id)));
    TRY(db_bind_blob(st, 2, SLICE(l->run)));
    TRY(db_bind_blob(st, 3, SLICE(l->place)));
    return db_run(st);
}

/* Is the run's id one of those in the file beside the database? */
static enum rc is_last_run(const char *note, const uint8_t run[ID_LEN], bool *ret)
{
    AUTO(buf_done) struct buf file = {0};

    *ret = false;
    enum rc rc = file_read(note, (size_t)2 * ID_LEN, FILE_PRIVATE, &file);
    if (rc == RC_NOT_FOUND || rc == RC_LIMIT)
        return RC_OK;
    TRY(rc);
    for (size_t at = 0; at + ID_LEN <= file.n; at += ID_LEN)
        *ret = *ret || memcmp(file.p + at, run, ID_LEN) == 0;
    return RC_OK;
}

static enum rc write_note(const char *note, const uint8_t run[ID_LEN], const uint8_t *before)
{
    AUTO(buf_done) struct buf file = {0};

    TRY(buf_add(&file, slice_of(run, ID_LEN)));
    if (before)
        TRY(buf_add(&file, slice_of(before, ID_LEN)));
    return file_write_atomic(note, buf_slice(&file), 0600);
}

static enum rc begin_run(struct sqlite_store *s, const char *note, struct lineage *l, const uint8_t *before)
{
    TRY(random_bytes(l->run, ID_LEN));
    TRY(write_note(note, l->run, before));
    TRY(write_row(s, l));
    return write_note(note, l->run, NULL);
}

enum rc store_lineage(struct sqlite_store *s, const char *path, const char *note)
{
    struct lineage was = {0}, is = {0};
    bool goes_on = false;

    TRY(read_row(s, &was));
    TRY(place_of(path, is.place));
    if (was.is_there)
        TRY(is_last_run(note, was.run, &goes_on));
    goes_on = goes_on && memcmp(was.place, is.place, PLACE_LEN) == 0;
    if (was.is_there && !goes_on)
        log_note(LOG_WARN, "history", "this is not the database that was served last: clients read their rooms again");
    if (goes_on)
        memcpy(is.id, was.id, ID_LEN);
    else
        TRY(random_bytes(is.id, ID_LEN));
    TRY(begin_run(s, note, &is, was.is_there ? was.run : NULL));
    memcpy(s->history_id, is.id, ID_LEN);
    return RC_OK;
}

void store_lineage_end(struct sqlite_store *s, const char *note)
{
    struct lineage l = {0};
    uint8_t before[ID_LEN];

    if (read_row(s, &l) != RC_OK || !l.is_there)
        return;
    memcpy(before, l.run, ID_LEN);
    if (begin_run(s, note, &l, before) != RC_OK)
        log_note(LOG_WARN, "history", "the end of this run could not be noted");
}
