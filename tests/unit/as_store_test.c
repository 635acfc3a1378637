/* The AS's store: what is refused, what is bound to what, and that the decoy answers for unknown names. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "as/store.h"
#include "tests/unit/state.h"

static struct conf conf;
static struct as_store *store;

static int start(void **state)
{
    (void)state;
    state_make(&conf, "as");
    assert_ok(as_store_open(&conf, DB_CREATE, &store));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    as_store_close(store);
    state_remove(&conf);
    return 0;
}

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static void add(const char *text, struct key *ret)
{
    struct name name = named(text);
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, ret));
    assert_ok(as_store_add(store, &name, ret, 1000));
}

/* Runs SQL on the file behind the store's back. */
static void meddle(const char *sql)
{
    state_sql(&conf, "as/as.db", sql);
}

static enum rc login(const char *text, enum rc *why, struct key *key)
{
    struct name name = named(text);
    struct as_principal p;
    return as_store_login(store, &name, ETYPE_AES128_CBC, &p, key, why);
}

static void add__makes_a_principal_whose_key_comes_back(void **state)
{
    struct key made, got;
    struct as_principal p;
    struct name alice = named("alice");
    enum rc why;

    (void)state;
    add("alice", &made);
    assert_ok(as_store_find(store, &alice, &p));
    assert_int_equal(p.kvno, 1);
    assert_int_equal(p.epoch, 0);
    assert_int_equal(p.created_s, 1000);
    assert_false(p.disabled);
    assert_ok(as_store_key(store, &p, ETYPE_AES128_CBC, &got));
    assert_memory_equal(got.bytes, made.bytes, 16);
    assert_ok(login("alice", &why, &got));
    assert_ok(why);
    assert_memory_equal(got.bytes, made.bytes, 16);
    assert_rc(as_store_key(store, &p, ETYPE_AES128_CBC_HS256, &got), RC_NO_CLIENT_KEY);
}

static void add__refuses_names_that_differ_in_case_only(void **state)
{
    struct key key;
    struct name upper = named("ALICE"), same = named("alice"), umlaut = named("J\xc3\x9cRGEN");

    (void)state;
    add("alice", &key);
    add("j\xc3\xbcrgen", &key);
    assert_rc(as_store_add(store, &same, &key, 1), RC_EXISTS);
    assert_rc(as_store_add(store, &upper, &key, 1), RC_EXISTS);
    assert_rc(as_store_add(store, &umlaut, &key, 1), RC_EXISTS);
}

static void add__refuses_a_key_of_the_wrong_length(void **state)
{
    struct key key;
    struct as_principal p;
    struct name bob = named("bob");

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, &key));
    key.n = 15;
    assert_rc(as_store_add(store, &bob, &key, 1), RC_BAD_ETYPE);
    assert_rc(as_store_find(store, &bob, &p), RC_NO_CLIENT); /* rolled back whole */
}

static void login__gives_the_decoy_for_an_unknown_name(void **state)
{
    struct key alice, first, second;
    enum rc why;

    (void)state;
    add("alice", &alice);
    assert_ok(login("nobody", &why, &first));
    assert_rc(why, RC_NO_CLIENT);
    assert_int_equal(first.n, 16);
    assert_memory_not_equal(first.bytes, alice.bytes, 16);
    assert_ok(login("somebody else", &why, &second));
    assert_memory_equal(first.bytes, second.bytes, 16);
}

static void login__gives_the_decoy_for_a_client_without_a_key(void **state)
{
    struct key alice, got;
    enum rc why;

    (void)state;
    add("alice", &alice);
    meddle("DELETE FROM principal_key WHERE principal > 0");
    assert_ok(login("alice", &why, &got));
    assert_rc(why, RC_NO_CLIENT_KEY);
    assert_memory_not_equal(got.bytes, alice.bytes, 16);
}

static void key_row__does_not_open_for_another_user(void **state)
{
    struct key key;
    enum rc why;

    (void)state;
    add("alice", &key);
    add("mallory", &key);
    meddle(
        "UPDATE principal_key SET sealed = (SELECT sealed FROM principal_key k JOIN principal p ON p.id = k.principal"
        " WHERE p.name = 'mallory') WHERE principal = (SELECT id FROM principal WHERE name = 'alice')");
    assert_rc(login("alice", &why, &key), RC_BAD_ROW);
    assert_ok(login("mallory", &why, &key));
}

static void key_row__does_not_open_under_another_name(void **state)
{
    struct key key;
    enum rc why;

    (void)state;
    add("alice", &key);
    add("mallory", &key);
    meddle("DELETE FROM principal WHERE name = 'alice'; UPDATE principal SET name = 'alice' WHERE name = 'mallory'");
    assert_rc(login("alice", &why, &key), RC_BAD_ROW);
}

static void key_row__does_not_open_as_another_type_or_version(void **state)
{
    struct key key;
    enum rc why;

    (void)state;
    add("alice", &key);
    add("bob", &key);
    meddle("UPDATE principal_key SET kvno = 2 WHERE principal = (SELECT id FROM principal WHERE name = 'alice');"
           "UPDATE principal_key SET etype = 1 WHERE principal = (SELECT id FROM principal WHERE name = 'bob')");
    assert_rc(login("alice", &why, &key), RC_BAD_ROW);

    struct name bob = named("bob");
    struct as_principal p;
    assert_ok(as_store_find(store, &bob, &p));
    assert_rc(as_store_key(store, &p, ETYPE_AES128_CBC_HS256, &key), RC_BAD_ROW);
}

static void tgs_key_row__does_not_open_as_a_users(void **state)
{
    struct key tgs, key;
    enum rc why;

    (void)state;
    add("alice", &key);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &tgs));
    assert_ok(as_store_add_tgs_key(store, &tgs));
    meddle("UPDATE principal_key SET sealed = (SELECT sealed FROM tgs_key)");
    assert_rc(login("alice", &why, &key), RC_BAD_ROW);
}

static void set_key__replaces_every_key_and_counts_up(void **state)
{
    struct key old, fresh, got;
    struct as_principal p;
    struct name alice = named("alice"), nobody = named("nobody");

    (void)state;
    add("alice", &old);
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, &fresh));
    assert_ok(as_store_set_key(store, &alice, &fresh, 2000));
    assert_ok(as_store_find(store, &alice, &p));
    assert_int_equal(p.kvno, 2);
    assert_int_equal(p.changed_s, 2000);
    assert_ok(as_store_key(store, &p, ETYPE_AES128_CBC, &got));
    assert_memory_equal(got.bytes, fresh.bytes, 16);
    assert_int_equal(state_sql_int(&conf, "as/as.db", "SELECT count(*) FROM principal_key WHERE principal > 0"), 1);
    assert_rc(as_store_set_key(store, &nobody, &fresh, 2000), RC_NO_CLIENT);
}

static void set_disabled__raises_the_epoch_once(void **state)
{
    struct key key;
    struct as_principal p;
    struct name alice = named("alice"), nobody = named("nobody");

    (void)state;
    add("alice", &key);
    assert_ok(as_store_set_disabled(store, &alice, true, 2000));
    assert_ok(as_store_set_disabled(store, &alice, true, 2001));
    assert_ok(as_store_find(store, &alice, &p));
    assert_true(p.disabled);
    assert_int_equal(p.epoch, 1);
    assert_ok(as_store_set_disabled(store, &alice, false, 2002));
    assert_ok(as_store_find(store, &alice, &p));
    assert_false(p.disabled);
    assert_int_equal(p.epoch, 1);
    assert_rc(as_store_set_disabled(store, &nobody, true, 2000), RC_NO_CLIENT);
}

static void delete__gives_a_name_back_without_its_client_id(void **state)
{
    struct key key;
    struct as_principal before, after;
    struct name alice = named("alice");

    (void)state;
    add("alice", &key);
    assert_ok(as_store_find(store, &alice, &before));
    assert_ok(as_store_delete(store, &alice));
    assert_rc(as_store_find(store, &alice, &after), RC_NO_CLIENT);
    assert_rc(as_store_delete(store, &alice), RC_NO_CLIENT);
    add("alice", &key);
    assert_ok(as_store_find(store, &alice, &after));
    assert_memory_not_equal(before.client_id, after.client_id, ID_LEN);
}

static enum rc collect(void *ctx, const struct as_principal *p)
{
    assert_ok(buf_add(ctx, name_slice(&p->name)));
    return buf_byte(ctx, ' ');
}

static enum rc refuse(void *ctx, const struct as_principal *p)
{
    (void)ctx, (void)p;
    return RC_LIMIT;
}

static void each__walks_in_order_of_name_without_the_decoy(void **state)
{
    AUTO(buf_done) struct buf seen = {0};
    struct key key;

    (void)state;
    add("carol", &key);
    add("alice", &key);
    add("bob", &key);
    assert_ok(as_store_each(store, collect, &seen));
    assert_slice(buf_slice(&seen), "alice bob carol ");
    assert_rc(as_store_each(store, refuse, NULL), RC_LIMIT);
}

static void tgs_key__is_the_newest_whose_time_has_come(void **state)
{
    struct key one, two, got;

    (void)state;
    assert_rc(as_store_tgs_key(store, 5000, &got), RC_NO_KEY);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 100, &one));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 2, 200, &two));
    assert_ok(as_store_add_tgs_key(store, &one));
    assert_ok(as_store_add_tgs_key(store, &two));
    assert_rc(as_store_add_tgs_key(store, &two), RC_EXISTS);
    assert_rc(as_store_tgs_key(store, 99, &got), RC_NO_KEY);
    assert_ok(as_store_tgs_key(store, 199, &got));
    assert_int_equal(got.kvno, 1);
    assert_ok(as_store_tgs_key(store, 200, &got));
    assert_int_equal(got.kvno, 2);
    assert_memory_equal(got.bytes, two.bytes, 32);
    assert_int_equal(got.valid_from, 200);

    struct key classic;
    assert_ok(key_random(ETYPE_AES128_CBC, 3, 0, &classic));
    assert_rc(as_store_add_tgs_key(store, &classic), RC_BAD_ETYPE);
}

static void verify__counts_rows_that_do_not_open(void **state)
{
    struct key key, tgs;
    uint64_t rows, bad;

    (void)state;
    add("alice", &key);
    add("bob", &key);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &tgs));
    assert_ok(as_store_add_tgs_key(store, &tgs));
    assert_ok(as_store_verify(store, &rows, &bad));
    assert_int_equal(rows, 4); /* the decoy's too */
    assert_int_equal(bad, 0);
    meddle("UPDATE principal_key SET kvno = 7 WHERE principal = (SELECT id FROM principal WHERE name = 'bob');"
           "UPDATE tgs_key SET kvno = 9");
    assert_ok(as_store_verify(store, &rows, &bad));
    assert_int_equal(rows, 4);
    assert_int_equal(bad, 2);
}

static void open__reads_what_was_written_but_writes_nothing(void **state)
{
    AUTO(as_store_done) struct as_store *reader = NULL;
    struct key key;
    struct as_principal p;
    struct name alice = named("alice"), bob = named("bob");

    (void)state;
    add("alice", &key);
    assert_ok(as_store_open(&conf, DB_READ, &reader));
    assert_ok(as_store_find(reader, &alice, &p));
    assert_rc(as_store_add(reader, &bob, &key, 1), RC_DB);
}

static void open__refuses_what_it_cannot_trust(void **state)
{
    struct as_store *again = NULL;

    (void)state;
    as_store_close(store);
    store = NULL;
    meddle("PRAGMA user_version = 99");
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_DB_NEWER);
    assert_rc(as_store_open(&conf, DB_WRITE, &again), RC_DB_NEWER);
    meddle("PRAGMA user_version = 1; PRAGMA application_id = 7");
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_DB_FOREIGN);
    meddle("PRAGMA application_id = 1799443249");
    state_chmod(&conf, "as/master.key", 0640);
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_UNSAFE_FILE);
    state_chmod(&conf, "as/master.key", 0600);
    state_chmod(&conf, "as", 0755);
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_UNSAFE_FILE);
    state_chmod(&conf, "as", 0700);
    meddle("DELETE FROM principal_key; DELETE FROM principal");
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_NO_KEY);
    assert_ok(as_store_open(&conf, DB_WRITE, &store));
}

static void open__refuses_the_master_key_of_another_state(void **state)
{
    struct as_store *again = NULL;

    (void)state;
    state_new_master(&conf, "as");
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_BAD_ROW);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(add__makes_a_principal_whose_key_comes_back),
        TEST(add__refuses_names_that_differ_in_case_only),
        TEST(add__refuses_a_key_of_the_wrong_length),
        TEST(login__gives_the_decoy_for_an_unknown_name),
        TEST(login__gives_the_decoy_for_a_client_without_a_key),
        TEST(key_row__does_not_open_for_another_user),
        TEST(key_row__does_not_open_under_another_name),
        TEST(key_row__does_not_open_as_another_type_or_version),
        TEST(tgs_key_row__does_not_open_as_a_users),
        TEST(set_key__replaces_every_key_and_counts_up),
        TEST(set_disabled__raises_the_epoch_once),
        TEST(delete__gives_a_name_back_without_its_client_id),
        TEST(each__walks_in_order_of_name_without_the_decoy),
        TEST(tgs_key__is_the_newest_whose_time_has_come),
        TEST(verify__counts_rows_that_do_not_open),
        TEST(open__reads_what_was_written_but_writes_nothing),
        TEST(open__refuses_what_it_cannot_trust),
        TEST(open__refuses_the_master_key_of_another_state),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
