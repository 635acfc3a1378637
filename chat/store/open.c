/* Opening the SQLite engine, telling the core what it holds, and closing. */
#include <stdlib.h>
#include <string.h>

#include "chat/store/sqlite.h"
#include "shared/base/file.h"
#include "shared/service/conf.h"
#include "shared/unseal/watch.h"

static enum rc take_id(sqlite3_stmt *st, int col, uint8_t *ret, size_t n)
{
    struct slice s = db_blob(st, col);

    if (s.n != n)
        return RC_MODIFIED;
    memcpy(ret, s.p, n);
    return RC_OK;
}

static enum rc restore_users(struct sqlite_store *s, struct chat *into)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_EACH_USER];
    bool has_row;

    for (;;) {
        struct name name;
        uint8_t client_id[ID_LEN];

        TRY(db_step(st, &has_row));
        if (!has_row)
            return RC_OK;
        TRY(take_id(st, 0, client_id, ID_LEN));
        TRY(name_parse(db_text(st, 1), &name));
        TRY(chat_restore_user(into, client_id, &name));
    }
}

static enum rc restore_epochs(struct sqlite_store *s, struct chat *into)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_EACH_EPOCH];
    AUTO(db_reset_auto) sqlite3_stmt *feed = s->sql[SQL_FEED];
    uint8_t client_id[ID_LEN];
    bool has_row;

    TRY(db_step(feed, &has_row));
    chat_restore_feed(into, has_row ? (uint64_t)db_int(feed, 0) : 0);
    for (;;) {
        TRY(db_step(st, &has_row));
        if (!has_row)
            return RC_OK;
        TRY(take_id(st, 0, client_id, ID_LEN));
        TRY(chat_restore_epoch(into, client_id, (uint32_t)db_int(st, 1)));
    }
}

static void members_done(struct chat_restore_member **members)
{
    free(*members);
}

static enum rc read_members(struct sqlite_store *s, int64_t row, struct chat_restore_member **ret, size_t *ret_n)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_MEMBERS];
    AUTO(members_done) struct chat_restore_member *members = NULL;
    size_t n = 0, cap = 0;
    bool has_row;

    TRY(db_bind_int(st, 1, row));
    for (;;) {
        TRY(db_step(st, &has_row));
        if (!has_row)
            break;
        if (n == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            struct chat_restore_member *more = realloc(members, cap * sizeof(*more));
            if (more == NULL)
                return RC_NO_MEMORY;
            members = more;
        }
        struct chat_restore_member *m = &members[n++];
        TRY(take_id(st, 0, m->client_id, ID_LEN));
        m->number = (uint16_t)db_int(st, 1);
        TRY(take_id(st, 2, m->commitment, SHA256_LEN));
        m->read = (uint64_t)db_int(st, 3);
        m->pending = db_int(st, 4) != 0;
    }
    *ret = members;
    *ret_n = n;
    members = NULL;
    return RC_OK;
}

static enum rc read_head(struct sqlite_store *s, int64_t row, uint64_t *ret)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_HEAD];
    bool has_row;

    TRY(db_bind_int(st, 1, row));
    TRY(db_step(st, &has_row));
    *ret = has_row ? (uint64_t)db_int(st, 0) : 0;
    return RC_OK;
}

static enum rc restore_room(struct sqlite_store *s, sqlite3_stmt *st, struct chat *into)
{
    AUTO(members_done) struct chat_restore_member *members = NULL;
    struct chat_restore_room room = {0};
    int64_t row = db_int(st, 0);

    TRY(take_id(st, 1, room.uid, ID_LEN));
    TRY(name_parse(db_text(st, 2), &room.id));
    TRY(name_parse(db_text(st, 3), &room.name));
    room.threshold = (uint32_t)db_int(st, 4);
    room.hold = db_int(st, 5) == HOLD_PRESENTERS ? HOLD_PRESENTERS : HOLD_MEMBERS;
    room.epoch = (uint32_t)db_int(st, 6);
    TRY(take_id(st, 7, room.key_check, SHA256_LEN));
    TRY(read_members(s, row, &members, &room.members_n));
    TRY(read_head(s, row, &room.head));
    room.keep_days = (uint32_t)db_int(st, 8);
    uint64_t floor = (uint64_t)db_int(st, 9);
    if (room.head < floor) /* all there was has expired: numbers go on all the same */
        room.head = floor;
    room.members = members;

    struct store_room *known = store_room_add(s, room.uid);
    if (known == NULL)
        return RC_NO_MEMORY;
    known->row = row;
    known->head = known->committed = room.head;
    known->floor = known->committed_floor = floor;
    return chat_restore_room(into, &room);
}

static enum rc store_restore(struct chat_store *base, struct chat *into)
{
    struct sqlite_store *s = (struct sqlite_store *)base;
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_EACH_ROOM];
    bool has_row;

    chat_restore_history(into, s->history_id);
    TRY(restore_epochs(s, into));
    TRY(restore_users(s, into));
    for (;;) {
        TRY(db_step(st, &has_row));
        if (!has_row)
            return RC_OK;
        TRY(restore_room(s, st, into));
    }
}

static void store_stop(struct chat_store *base)
{
    struct sqlite_store *s = (struct sqlite_store *)base;
    struct chat_job *job;

    if (s == NULL)
        return;
    store_end_thread(s);
    s->is_hurried = true;
    if (s->note)
        store_lineage_end(s, s->note);
    str_done(&s->note);
    str_done(&s->log_path);
    while ((job = STAILQ_FIRST(&s->done)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->done, link);
        chat_job_free(job);
    }
    store_rooms_free(s);
    db_close(&s->db);
    master_free(s->master);
    pthread_cond_destroy(&s->ready);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct chat_store_ops ops = {
    .restore = store_restore,
    .start = store_start,
    .put = store_put,
    .take = store_take,
    .health = store_health,
    .log_bytes = store_log_bytes,
    .give_up = store_give_up,
    .stop = store_stop,
};

static struct sqlite_store *store_new(void)
{
    struct sqlite_store *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    if (s == NULL)
        return NULL;
    s->base.ops = &ops;
    RB_INIT(&s->rooms);
    STAILQ_INIT(&s->touched);
    STAILQ_INIT(&s->queue);
    STAILQ_INIT(&s->done);
    s->may_sweep = true;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->ready, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

static enum rc prepare_all(struct sqlite_store *s)
{
    static const char *const sql[] = {
#define X(name, text) text,
        STORE_SQL_TABLE(X)
#undef X
    };

    for (size_t i = 0; i < SQL_COUNT; i++)
        TRY(db_prepare(&s->db, sql[i], &s->sql[i]));
    return RC_OK;
}

/* Before anything is read or written under a master key of another database. */
static enum rc check_canary(struct sqlite_store *s)
{
    AUTO(db_reset_auto) sqlite3_stmt *st = s->sql[SQL_CANARY];
    AUTO(db_reset_auto) sqlite3_stmt *add = s->sql[SQL_ADD_CANARY];
    AUTO(buf_done) struct buf text = {0};
    struct row_ref ref = store_canary_ref();
    bool has_row;

    TRY(db_step(st, &has_row));
    if (has_row)
        return row_open(s->master, &ref, db_blob(st, 0), &text);
    db_reset(st);
    TRY(row_seal(s->master, &ref, slice_text("kerb"), &text));
    TRY(db_bind_blob(add, 1, buf_slice(&text)));
    return db_run(add);
}

/* A crash may have left erased rows in the WAL: it starts empty. */
static enum rc open_file(struct sqlite_store *s, const char *path, const char *note)
{
    TRY(db_open(path, &store_schema, DB_CREATE, &s->db));
    TRY(db_exec(&s->db, "PRAGMA wal_checkpoint(TRUNCATE)"));
    TRY(prepare_all(s));
    TRY(store_wait_by_own_rules(s));
    TRY(check_canary(s));
    return store_lineage(s, path, note);
}

static enum rc told(enum rc rc, struct buf *error, const char *path, const char *detail)
{
    if (rc != RC_OK && buf_printf(error, "%s: %s%s%s", path, rc_text(rc), detail == NULL ? "" : ": ",
                                  detail == NULL ? "" : detail) != RC_OK)
        buf_reset(error);
    return rc;
}

static void store_done(struct sqlite_store **s)
{
    if (*s != NULL)
        store_stop(&(*s)->base);
}

enum rc chat_store_sqlite_open(const struct conf *conf, struct master_watch *ret_master, struct chat_store **ret,
                               struct buf *error)
{
    AUTO(str_done) char *dir = NULL, *file = NULL, *note = NULL;
    AUTO(master_watch_done) struct master_watch master = {0};
    AUTO(store_done) struct sqlite_store *s = store_new();

    if (s == NULL)
        return RC_NO_MEMORY;
    TRY(conf_path(conf, "chat", &dir));
    TRY(conf_path(conf, "chat/chat.db", &file));
    TRY(conf_path(conf, "chat/chat.db-wal", &s->log_path));
    TRY(conf_path(conf, "chat/history", &note));
    TRY(told(dir_check_private(dir), error, dir, NULL));
    TRY(told(master_of(conf, "chat", &s->master), error, dir, "the master key"));
    TRY(told(master_watch_open(conf, "chat", &master), error, dir, "the master key"));
    enum rc rc = open_file(s, file, note);
    if (rc != RC_OK)
        return told(rc, error, file,
                    rc == RC_DB                             ? db_error(&s->db)
                    : rc == RC_MODIFIED || rc == RC_NO_KVNO ? "chat/master.key is not the one of this database"
                                                            : NULL);
    s->note = note;
    note = NULL;
    *ret_master = master;
    master.master = NULL;
    *ret = &s->base;
    s = NULL;
    return RC_OK;
}
