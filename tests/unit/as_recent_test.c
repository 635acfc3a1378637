/* The AS's store: what was read a moment ago is used again, and never after somebody has written. */
#include "tests/unit/as_fixture.h"

static struct as_keys add_user(const char *text)
{
    struct as_keys keys = both_keys(USERKEY_ITERATIONS);

    add_keys(text, &keys);
    return keys;
}

static void login__sees_what_another_handle_has_committed(void **state)
{
    AUTO(as_store_done) struct as_store *other = NULL;
    AUTO(as_login_done) struct as_login login = {0};
    struct as_keys first, second;
    struct name alice = named("alice"), bob = named("bob");

    (void)state;
    first = add_user("alice");
    assert_ok(as_store_open(&conf, DB_WRITE, &other));
    for (int i = 0; i < 2; i++) {
        assert_ok(as_store_login(other, &alice, ETYPE_AES128_CBC, &login));
        assert_memory_equal(login.secret.key.bytes, first.classic.bytes, first.classic.n);
        assert_ok(as_store_login(other, &bob, ETYPE_AES128_CBC, &login));
        assert_int_equal(login.why, RC_NO_CLIENT);
    }
    assert_ok(as_store_set_disabled(store, &alice, true, 2000));
    assert_ok(as_store_login(other, &alice, ETYPE_AES128_CBC, &login));
    assert_true(login.client.disabled);
    second = add_user("bob");
    assert_ok(as_store_login(other, &bob, ETYPE_AES128_CBC, &login));
    assert_int_equal(login.why, RC_OK);
    assert_memory_equal(login.secret.key.bytes, second.classic.bytes, second.classic.n);
    assert_ok(as_store_delete(other, &alice, 3000)); /* its own changes, too */
    assert_ok(as_store_login(other, &alice, ETYPE_AES128_CBC, &login));
    assert_int_equal(login.why, RC_NO_CLIENT);
}

static void login__reads_nothing_twice_while_nobody_writes(void **state)
{
    AUTO(as_login_done) struct as_login login = {0};
    struct name alice = named("alice");

    (void)state;
    (void)add_user("alice");
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC_HS256, &login));
    int before = sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0);
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC_HS256, &login));
    assert_int_equal(sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0), before);
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login)); /* another key of his */
    assert_int_equal(login.secret.key.etype, ETYPE_AES128_CBC);
    assert_int_equal(sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0), before + 1);
}

static void read_names(unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n; i++) {
        AUTO(as_login_done) struct as_login login = {0};
        char text[32];
        (void)snprintf(text, sizeof text, "nobody%u", i);
        struct name name = named(text);
        assert_ok(as_store_login(store, &name, ETYPE_AES128_CBC, &login));
        assert_int_equal(login.why, RC_NO_CLIENT);
    }
}

/* Of one hash there are several places: among twenty names two often share one. */
static void login__keeps_names_that_share_a_hash_and_bounds_how_many(void **state)
{
    AUTO(as_login_done) struct as_login login = {0};
    struct name alice = named("alice");

    (void)state;
    struct as_keys keys = add_user("alice");
    read_names(0, 20);
    int before = sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0);
    read_names(0, 20);
    assert_int_equal(sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0), before);
    read_names(100, 2000); /* more than there are places */
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_memory_equal(login.secret.key.bytes, keys.classic.bytes, keys.classic.n);
    before = sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0);
    read_names(0, 20);
    assert_int_equal(sqlite3_stmt_status(store->st[ST_LOGIN], SQLITE_STMTSTATUS_RUN, 0), before + 20);
}

static void login__inside_a_transaction_reads_the_transaction(void **state)
{
    AUTO(as_login_done) struct as_login login = {0};
    struct name alice = named("alice");

    (void)state;
    (void)add_user("alice");
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_ok(db_begin(&store->db));
    assert_ok(db_exec(&store->db, "UPDATE principal SET disabled = 1 WHERE name = 'alice'"));
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_true(login.client.disabled);
    db_rollback(&store->db);
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_false(login.client.disabled);
}

static void tgs_key__is_the_one_that_another_handle_has_made(void **state)
{
    AUTO(as_store_done) struct as_store *other = NULL;
    struct key first, second, got;

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 500, &first));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 2, 600, &second));
    assert_ok(as_store_add_tgs_key(store, &first));
    assert_ok(as_store_open(&conf, DB_READ, &other));
    assert_ok(as_store_tgs_key(other, 1000, &got));
    assert_int_equal(got.kvno, 1);
    assert_ok(as_store_add_tgs_key(store, &second));
    assert_ok(as_store_tgs_key(other, 1000, &got)); /* in the same second */
    assert_int_equal(got.kvno, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(login__sees_what_another_handle_has_committed),
        TEST(login__reads_nothing_twice_while_nobody_writes),
        TEST(login__keeps_names_that_share_a_hash_and_bounds_how_many),
        TEST(login__inside_a_transaction_reads_the_transaction),
        TEST(tgs_key__is_the_one_that_another_handle_has_made),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
