/* A state directory for one test: made in a temporary place, meddled with, removed. */
#ifndef KERB_TESTS_STATE_H
#define KERB_TESTS_STATE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/json.h"
#include "shared/db/db.h"
#include "shared/service/conf.h"
#include "tests/unit/unit.h"

#define UNUSED_OK __attribute__((unused))

/* Once, before the tests. */
static UNUSED_OK void state_setup(void)
{
    json_setup();
    if (crypto_setup() != RC_OK)
        abort();
}

/* STATE/sub, to be freed with str_done. */
static UNUSED_OK char *state_path(const struct conf *conf, const char *sub)
{
    char *path;
    assert_ok(conf_path(conf, sub, &path));
    return path;
}

/* Defaults, a fresh directory (in $TMPDIR: one in memory makes long runs faster), and in it the folder of one daemon
 * with its master key. */
static UNUSED_OK void state_make(struct conf *conf, const char *daemon)
{
    const char *tmp = getenv("TMPDIR");
    char dir[256], sub[64];

    conf_default(conf);
    assert_true(snprintf(dir, sizeof dir, "%s/kerb-test-XXXXXX", tmp ? tmp : "/tmp") < (int)sizeof dir);
    assert_non_null(mkdtemp(dir));
    memcpy(conf->realm_state, dir, strlen(dir) + 1);
    AUTO(str_done) char *home = state_path(conf, daemon);
    assert_int_equal(mkdir(home, 0700), 0);
    assert_true(snprintf(sub, sizeof sub, "%s/master.key", daemon) < (int)sizeof sub);
    AUTO(str_done) char *master = state_path(conf, sub);
    assert_ok(master_create(master));
}

static UNUSED_OK int state_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static UNUSED_OK void state_remove(const struct conf *conf)
{
    assert_int_equal(nftw(conf->realm_state, state_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static UNUSED_OK void state_chmod(const struct conf *conf, const char *sub, unsigned mode)
{
    AUTO(str_done) char *path = state_path(conf, sub);
    assert_int_equal(chmod(path, mode), 0);
}

static UNUSED_OK void state_new_master(const struct conf *conf, const char *daemon)
{
    char sub[64];
    assert_true(snprintf(sub, sizeof sub, "%s/master.key", daemon) < (int)sizeof sub);
    AUTO(str_done) char *path = state_path(conf, sub);
    assert_int_equal(unlink(path), 0);
    assert_ok(master_create(path));
}

/* Runs SQL on a database file behind the back of its owner. */
static UNUSED_OK void state_sql(const struct conf *conf, const char *sub, const char *sql)
{
    AUTO(str_done) char *path = state_path(conf, sub);
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static UNUSED_OK int64_t state_sql_int(const struct conf *conf, const char *sub, const char *sql)
{
    AUTO(str_done) char *path = state_path(conf, sub);
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return v;
}

#endif
