/* For each test a state directory with the AS's store open. */
#ifndef KERB_TESTS_AS_FIXTURE_H
#define KERB_TESTS_AS_FIXTURE_H

#include "as/store_rows.h"
#include "tests/unit/state.h"
#include "tests/unit/users.h"

static struct conf conf;
static struct as_store *store;

static UNUSED_OK int start(void **state)
{
    (void)state;
    state_make(&conf, "as");
    assert_ok(as_store_open(&conf, DB_CREATE, &store));
    return 0;
}

static UNUSED_OK int stop(void **state)
{
    (void)state;
    as_store_close(store);
    state_remove(&conf);
    return 0;
}

static UNUSED_OK void add(const char *text, struct key *ret)
{
    struct name name = named(text);
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, ret));
    const struct as_keys keys = classic_keys(ret);
    assert_ok(as_store_add(store, &name, &keys, 1000));
}

static UNUSED_OK void add_keys(const char *text, const struct as_keys *keys)
{
    struct name name = named(text);
    assert_ok(as_store_add(store, &name, keys, 1000));
}

static UNUSED_OK struct as_login sealed_login(const char *text)
{
    struct name name = named(text);
    struct as_login found;
    assert_ok(as_store_login(store, &name, ETYPE_AES128_CBC_HS256, &found));
    return found;
}

static UNUSED_OK struct as_principal found(const char *text)
{
    struct name name = named(text);
    struct as_principal p;
    assert_ok(as_store_find(store, &name, &p));
    return p;
}

/* Runs SQL on the file behind the store's back. */
static UNUSED_OK void meddle(const char *sql)
{
    state_sql(&conf, "as/as.db", sql);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

#endif
