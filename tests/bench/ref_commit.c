/*
 * The reference for the store: a bare group-commit writer.
 *
 * Usage: ref_commit DIRECTORY ROWS BATCH BOX. Writes ROWS messages with BOX bytes of ciphertext, BATCH in a
 * transaction, into a fresh database of the chat's schema and settings, in 50 rooms from 50 users in turn, and prints
 * the CPU time of its thread and the time that passed. One statement, prepared once; nothing is checked, nobody is
 * waited for.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chat/store/sqlite.h"
#include "shared/base/file.h"
#include "tests/bench/net.h"

#define SENDERS  50
#define ROWS_MAX 10000000
#define BOX_MAX  65536

static struct db db;
static sqlite3_stmt *insert;
static int64_t users[SENDERS];

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add_users(void)
{
    sqlite3_stmt *st;
    uint8_t id[ID_LEN];

    CHECK(db_prepare(&db, "INSERT INTO user(client_id, name, first_seen) VALUES(?1, 'user', 0)", &st));
    CHECK(db_begin(&db));
    for (size_t i = 0; i < SENDERS; i++) {
        CHECK(random_bytes(id, sizeof(id)));
        CHECK(db_bind_blob(st, 1, SLICE(id)));
        CHECK(db_run(st));
        users[i] = sqlite3_last_insert_rowid(db.h);
    }
    CHECK(db_commit(&db));
}

static void add_message(int64_t i, struct slice box)
{
    uint8_t mid[ID_LEN];
    char cid[64];

    CHECK(random_bytes(mid, sizeof(mid)));
    (void)snprintf(cid, sizeof(cid), "1234567890123-%ld", (long)(i / SENDERS));
    CHECK(db_bind_int(insert, 1, i % SENDERS + 1));
    CHECK(db_bind_int(insert, 2, i / SENDERS + 1));
    CHECK(db_bind_int(insert, 3, clock_s()));
    CHECK(db_bind_blob(insert, 4, SLICE(mid)));
    CHECK(db_bind_text(insert, 5, slice_text("sender")));
    CHECK(db_bind_int(insert, 6, 0));
    CHECK(db_bind_blob(insert, 7, box));
    CHECK(db_bind_int(insert, 8, users[i % SENDERS]));
    CHECK(db_bind_text(insert, 9, slice_text(cid)));
    CHECK(db_run(insert));
}

int main(int argc, char **argv)
{
    AUTO(buf_done) struct buf path = {0}, box = {0};

    if (argc != 5)
        die("usage: ref_commit DIRECTORY ROWS BATCH BOX");
    int64_t rows = number_arg(argv[2], 1, ROWS_MAX), batch = number_arg(argv[3], 1, ROWS_MAX);
    box.n = (size_t)number_arg(argv[4], 1, BOX_MAX);
    size_t n = box.n;
    box.n = 0;
    CHECK(buf_reserve(&box, n));
    CHECK(random_bytes(box.p, n));
    box.n = n;
    CHECK(buf_printf(&path, "%s/ref_commit.db", argv[1]));
    CHECK(db_open(buf_cstr(&path), &store_schema, DB_CREATE, &db));
    add_users();
    CHECK(db_prepare(&db,
                     "INSERT INTO message(room, seq, time, mid, sender, epoch, box, user, cid)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                     &insert));
    uint64_t cpu = thread_cpu_ns(), start = monotonic_us();
    for (int64_t i = 0; i < rows; i++) {
        if (i % batch == 0)
            CHECK(db_begin(&db));
        add_message(i, buf_slice(&box));
        if ((i + 1) % batch == 0 || i + 1 == rows)
            CHECK(db_commit(&db));
    }
    printf("{\"us\": %.3f, \"seconds\": %.4f}\n", (double)(thread_cpu_ns() - cpu) / 1000 / (double)rows,
           (double)(monotonic_us() - start) / 1e6);
    db_close(&db);
    return 0;
}
