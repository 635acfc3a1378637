/* The chat's store on a directory of its own; the core is played: what the store tells it is written down in a text. */
#ifndef KERB_TESTS_CHAT_STORE_FIXTURE_H
#define KERB_TESTS_CHAT_STORE_FIXTURE_H

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chat/store/sqlite.h"
#include "chat/store/store.h"
#include "shared/service/conf.h"
#include "tests/unit/unit.h"

#define UNUSED_OK __attribute__((unused))

struct bench {
    char dir[64];
    struct conf conf;
    struct master_watch master;
    struct chat_store *store;
    struct buf told;
    sem_t woken;
};

static struct buf *told; /* of the bench that runs */
static uint8_t history_id[ID_LEN];

/* --- the core's side ---------------------------------------------------------------------------------------------- */

enum rc chat_restore_user(struct chat *chat, const uint8_t client_id[ID_LEN], const struct name *name)
{
    (void)chat;
    return buf_printf(told, "user %c %s\n", client_id[0], name->s);
}

enum rc chat_restore_room(struct chat *chat, const struct chat_restore_room *room)
{
    (void)chat;
    TRY(buf_printf(told, "room %c %s/%s t%u h%d e%u check %c head %llu:", room->uid[0], room->id.s, room->name.s,
                   room->threshold, (int)room->hold, room->epoch, room->key_check[0], (unsigned long long)room->head));
    for (size_t i = 0; i < room->members_n; i++) {
        const struct chat_restore_member *m = &room->members[i];
        TRY(buf_printf(told, " %c%u%c%s", m->client_id[0], m->number, m->commitment[0], m->pending ? "!" : ""));
        if (m->read > 0)
            TRY(buf_printf(told, "(%llu)", (unsigned long long)m->read));
    }
    if (room->keep_days > 0)
        TRY(buf_printf(told, " keep %u", room->keep_days));
    return buf_text(told, "\n");
}

enum rc chat_restore_epoch(struct chat *chat, const uint8_t client_id[ID_LEN], uint32_t epoch)
{
    (void)chat;
    return buf_printf(told, "epoch %c %u\n", client_id[0], epoch);
}

void chat_restore_history(struct chat *chat, const uint8_t id[ID_LEN])
{
    (void)chat;
    memcpy(history_id, id, ID_LEN);
}

void chat_restore_feed(struct chat *chat, uint64_t seq)
{
    (void)chat;
    if (seq > 0)
        assert_ok(buf_printf(told, "feed %llu\n", (unsigned long long)seq));
}

static UNUSED_OK void wake(void *ctx)
{
    struct bench *b = ctx;
    assert_int_equal(sem_post(&b->woken), 0);
}

/* --- the bench ---------------------------------------------------------------------------------------------------- */

static UNUSED_OK void stop_store(struct bench *b)
{
    b->store->ops->stop(b->store);
    master_watch_done(&b->master);
}

static UNUSED_OK void open_store(struct bench *b)
{
    AUTO(buf_done) struct buf error = {0};

    told = &b->told;
    buf_reset(&b->told);
    assert_int_equal(sem_init(&b->woken, 0, 0), 0);
    assert_ok(chat_store_sqlite_open(&b->conf, &b->master, &b->store, &error));
    assert_ok(b->store->ops->restore(b->store, NULL));
    assert_ok(b->store->ops->start(b->store, wake, b));
}

static UNUSED_OK void reopen(struct bench *b)
{
    stop_store(b);
    open_store(b);
}

static UNUSED_OK void path_of(const struct bench *b, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/chat%s", b->dir, name);
}

static UNUSED_OK int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    char path[128];

    assert_non_null(b);
    assert_ok(crypto_setup());
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/kerb-store-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    path_of(b, "", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(b, "/master.key", path);
    assert_ok(master_create(path));
    conf_default(&b->conf);
    (void)snprintf(b->conf.realm_state, sizeof(b->conf.realm_state), "%s", b->dir);
    assert_ok(name_parse(slice_text("KERB"), &b->conf.realm));
    open_store(b);
    *state = b;
    return 0;
}

static UNUSED_OK int teardown(void **state)
{
    static const char *const files[] = {"/chat.db", "/chat.db-wal", "/chat.db-shm", "/master.key", "/history", ""};
    struct bench *b = *state;
    char path[128];

    if (b->store != NULL)
        stop_store(b);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        path_of(b, files[i], path);
        (void)remove(path);
    }
    (void)remove(b->dir);
    buf_done(&b->told);
    free(b);
    return 0;
}

/* Hands over some jobs at once and waits until as many are back; returns the first, the rest in its links. */
static UNUSED_OK struct chat_job *finish(struct bench *b, size_t n)
{
    struct chat_job_list all = STAILQ_HEAD_INITIALIZER(all), some;
    struct chat_job *job;
    size_t back = 0;

    while (back < n) {
        assert_int_equal(sem_wait(&b->woken), 0);
        b->store->ops->take(b->store, &some);
        STAILQ_FOREACH (job, &some, link)
            back++;
        STAILQ_CONCAT(&all, &some);
    }
    assert_int_equal(back, n);
    return STAILQ_FIRST(&all);
}

static UNUSED_OK struct chat_job *done(struct bench *b, struct chat_job *job)
{
    b->store->ops->put(b->store, job);
    assert_ptr_equal(finish(b, 1), job);
    return job;
}

static UNUSED_OK enum rc result(struct bench *b, struct chat_job *job)
{
    enum rc rc = done(b, job)->rc;
    chat_job_free(job);
    return rc;
}

static UNUSED_OK void id_of(uint8_t id[ID_LEN], char letter)
{
    memset(id, letter, ID_LEN);
}

static UNUSED_OK struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static UNUSED_OK struct chat_job *job_of(enum chat_job_kind kind, char who, char room)
{
    struct chat_job *job = chat_job_new(kind);

    assert_non_null(job);
    id_of(job->who, who);
    id_of(job->room_uid, room);
    job->time_s = 1780000000;
    return job;
}

static UNUSED_OK struct chat_job *user_job(char who, const char *name)
{
    struct chat_job *job = job_of(JOB_ADD_USER, who, 0);
    job->who_name = named(name);
    return job;
}

/* members: one letter each; sealed rooms give each the share "NUMBER-LETTER". */
static UNUSED_OK struct chat_job *room_job(char uid, const char *id, uint32_t threshold, const char *members)
{
    struct chat_job *job = job_of(JOB_ADD_ROOM, 0, uid);

    job->room_id = named(id);
    job->room_name = named("a room");
    job->threshold = threshold;
    job->epoch = 1;
    memset(job->key_check, 'k', SHA256_LEN);
    job->members_n = strlen(members);
    job->members = calloc(job->members_n, sizeof(*job->members));
    assert_non_null(job->members);
    for (size_t i = 0; i < job->members_n; i++) {
        struct chat_job_member *m = &job->members[i];
        id_of(m->client_id, members[i]);
        m->number = (uint16_t)(i + 1);
        memset(m->commitment, 'm', SHA256_LEN);
        if (threshold > 0)
            assert_ok(buf_printf(&m->share, "%zu-%c", i + 1, members[i]));
    }
    return job;
}

static UNUSED_OK struct chat_job *message_job(char uid, uint64_t seq, size_t box_n)
{
    struct chat_job *job = job_of(JOB_ADD_MESSAGE, 0, uid);

    job->message.seq = seq;
    job->message.time_s = 1780000000 + (int64_t)seq;
    job->message.epoch = 1;
    memset(job->message.mid, (int)seq, ID_LEN);
    job->message.sender = named("alice");
    while (job->message.box.n < box_n)
        assert_ok(buf_byte(&job->message.box, job->message.box.n ? (uint8_t)seq : 0)); /* no envelope */
    return job;
}

static UNUSED_OK struct chat_job *cid_job(char uid, uint64_t seq, char who, const char *cid)
{
    struct chat_job *job = message_job(uid, seq, 8);
    id_of(job->who, who);
    assert_ok(buf_text(&job->cid, cid));
    return job;
}

/* who's revision of target, as the room's seq; its message gets `box`. */
static UNUSED_OK struct chat_job *revision_job(char who, char uid, uint64_t seq, uint64_t target, const char *box)
{
    struct chat_job *job = job_of(JOB_REVISE, who, uid);
    struct chat_message_row *revised = chat_row_revised(&job->message, target);

    assert_non_null(revised);
    assert_ok(buf_text(&revised->box, box));
    job->message.seq = seq;
    job->message.time_s = 1780000000 + (int64_t)seq;
    job->message.epoch = 1;
    memset(job->message.mid, (int)seq, ID_LEN);
    job->message.sender = named("alice");
    return job;
}

static UNUSED_OK struct chat_job *expire_job(char uid, int64_t expired_s)
{
    struct chat_job *job = job_of(JOB_EXPIRE, 0, uid);
    job->expired_s = expired_s;
    return job;
}

static UNUSED_OK struct chat_job *history_job(char uid, uint32_t rows_max, uint64_t bytes_max)
{
    struct chat_job *job = job_of(JOB_LOAD_HISTORY, 0, uid);
    job->rows_max = rows_max;
    job->bytes_max = bytes_max;
    return job;
}

static UNUSED_OK struct chat_job *data_job(enum chat_job_kind kind, char who, const char *key, const char *value)
{
    struct chat_job *job = job_of(kind, who, 0);
    job->data_max = 32;
    assert_ok(buf_text(&job->key, key));
    assert_ok(buf_text(&job->value, value));
    return job;
}

static UNUSED_OK void people(struct bench *b)
{
    assert_ok(result(b, user_job('a', "alice")));
    assert_ok(result(b, user_job('b', "bob")));
    assert_ok(result(b, user_job('c', "carol")));
}

static UNUSED_OK bool file_has(const struct bench *b, const char *file, const char *text)
{
    static uint8_t bytes[1 << 20];
    char path[128];

    path_of(b, file, path);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    return memmem(bytes, n, text, strlen(text)) != NULL;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
