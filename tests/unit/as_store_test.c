/* The AS's store: what is refused, what is bound to what, and that the decoy answers for unknown names. */
#include "tests/unit/as_fixture.h"

static enum rc login(const char *text, enum rc *why, struct key *key)
{
    struct name name = named(text);
    struct as_login found;
    enum rc rc = as_store_login(store, &name, ETYPE_AES128_CBC, &found);
    *key = found.secret.key;
    *why = found.why;
    return rc;
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
    assert_ok(as_store_key(store, &p, ETYPE_AES128_CBC, &got, NULL));
    assert_memory_equal(got.bytes, made.bytes, 16);
    assert_ok(login("alice", &why, &got));
    assert_ok(why);
    assert_memory_equal(got.bytes, made.bytes, 16);
    assert_rc(as_store_key(store, &p, ETYPE_AES128_CBC_HS256, &got, NULL), RC_NO_CLIENT_KEY);
}

static void add__refuses_names_that_differ_in_case_only(void **state)
{
    struct key key;
    struct name upper = named("ALICE"), same = named("alice"), umlaut = named("J\xc3\x9cRGEN");

    (void)state;
    add("alice", &key);
    add("j\xc3\xbcrgen", &key);
    const struct as_keys keys = classic_keys(&key);
    assert_rc(as_store_add(store, &same, &keys, 1), RC_EXISTS);
    assert_rc(as_store_add(store, &upper, &keys, 1), RC_EXISTS);
    assert_rc(as_store_add(store, &umlaut, &keys, 1), RC_EXISTS);
}

static void add__refuses_a_key_of_the_wrong_length(void **state)
{
    struct key key;
    struct as_principal p;
    struct name bob = named("bob");

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, &key));
    key.n = 15;
    const struct as_keys keys = classic_keys(&key);
    assert_rc(as_store_add(store, &bob, &keys, 1), RC_BAD_ETYPE);
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
    assert_rc(as_store_key(store, &p, ETYPE_AES128_CBC_HS256, &key, NULL), RC_BAD_ROW);
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

static void rekey__replaces_every_key_and_counts_up(void **state)
{
    struct key old, fresh, got;
    struct as_principal p;
    struct name alice = named("alice"), nobody = named("nobody");

    (void)state;
    add("alice", &old);
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, &fresh));
    const struct as_keys keys = classic_keys(&fresh);
    const struct as_rekey change = {.keys = &keys};
    assert_ok(as_store_rekey(store, &alice, &change, 2000));
    assert_ok(as_store_find(store, &alice, &p));
    assert_int_equal(p.kvno, 2);
    assert_int_equal(p.changed_s, 2000);
    assert_ok(as_store_key(store, &p, ETYPE_AES128_CBC, &got, NULL));
    assert_memory_equal(got.bytes, fresh.bytes, 16);
    assert_int_equal(state_sql_int(&conf, "as/as.db", "SELECT count(*) FROM principal_key WHERE principal > 0"), 1);
    assert_rc(as_store_rekey(store, &nobody, &change, 2000), RC_NO_CLIENT);
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
    assert_ok(as_store_delete(store, &alice, 2000));
    assert_rc(as_store_find(store, &alice, &after), RC_NO_CLIENT);
    assert_rc(as_store_delete(store, &alice, 2000), RC_NO_CLIENT);
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
    assert_int_equal(rows, 5); /* the decoy's two as well */
    assert_int_equal(bad, 0);
    meddle("UPDATE principal_key SET kvno = 7 WHERE principal = (SELECT id FROM principal WHERE name = 'bob');"
           "UPDATE tgs_key SET kvno = 9");
    assert_ok(as_store_verify(store, &rows, &bad));
    assert_int_equal(rows, 5);
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
    const struct as_keys keys = classic_keys(&key);
    assert_ok(as_store_open(&conf, DB_READ, &reader));
    assert_ok(as_store_find(reader, &alice, &p));
    assert_rc(as_store_add(reader, &bob, &keys, 1), RC_DB);
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
    meddle("PRAGMA user_version = 2; PRAGMA application_id = 7");
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

/* --- sealed keys ------------------------------------------------------------------------------------------------ */

static void sealed_login__gives_key_salt_and_iterations(void **state)
{
    struct as_keys keys = both_keys(200000);

    (void)state;
    add_keys("alice", &keys);
    struct as_login alice = sealed_login("alice");
    assert_ok(alice.why);
    assert_memory_equal(alice.secret.key.bytes, keys.sealed.bytes, 32);
    assert_memory_equal(alice.params.salt, keys.params.salt, USERKEY_SALT);
    assert_int_equal(alice.params.iterations, 200000);
    assert_int_equal(found("alice").profiles, PROFILE_SEALED | PROFILE_CLASSIC);
}

static void sealed_login__makes_up_the_same_parameters_each_time(void **state)
{
    struct as_keys keys = both_keys(345678), classic = keys;

    (void)state;
    classic.sealed = (struct key){0};
    struct as_login lonely = sealed_login("nobody");
    assert_int_equal(lonely.params.iterations, 600000); /* nobody to copy from: what new keys get */
    add_keys("alice", &keys);
    add_keys("classic", &classic);
    struct as_login nobody = sealed_login("nobody"), again = sealed_login("nobody"), other = sealed_login("other");
    struct as_login keyless = sealed_login("classic");
    assert_rc(nobody.why, RC_NO_CLIENT);
    assert_rc(keyless.why, RC_NO_CLIENT_KEY);
    assert_memory_equal(nobody.params.salt, lonely.params.salt, USERKEY_SALT);
    assert_memory_equal(nobody.params.salt, again.params.salt, USERKEY_SALT);
    assert_memory_not_equal(nobody.params.salt, other.params.salt, USERKEY_SALT);
    assert_memory_not_equal(nobody.params.salt, keyless.params.salt, USERKEY_SALT);
    assert_int_equal(nobody.params.iterations, 345678);
    assert_int_equal(keyless.params.iterations, 345678);
    assert_memory_equal(nobody.secret.key.bytes, keyless.secret.key.bytes, 32); /* the decoy's */

    as_store_close(store); /* and also after a restart */
    assert_ok(as_store_open(&conf, DB_WRITE, &store));
    again = sealed_login("nobody");
    assert_memory_equal(nobody.params.salt, again.params.salt, USERKEY_SALT);
}

static void made_up_iterations__come_from_users_in_their_proportion(void **state)
{
    struct as_keys weak = both_keys(200000), strong = both_keys(600000);
    unsigned weak_n = 0;
    char name[32];

    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "user %d", i);
        add_keys(name, i % 2 ? &weak : &strong);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "nobody %d", i);
        uint32_t iterations = sealed_login(name).params.iterations;
        assert_true(iterations == 200000 || iterations == 600000);
        weak_n += iterations == 200000;
    }
    assert_in_range(weak_n, 30, 170);
}

static void sealed_row__does_not_open_with_other_iterations_beside_it(void **state)
{
    struct as_keys keys = both_keys(600000);
    uint64_t rows, bad;

    (void)state;
    add_keys("alice", &keys);
    meddle("UPDATE principal_key SET iterations = 1 WHERE spot IS NOT NULL");
    assert_int_equal(sealed_login("alice").params.iterations, 600000); /* what is told is under the seal */
    assert_ok(as_store_verify(store, &rows, &bad));
    assert_int_equal(bad, 1);
}

static void add__refuses_a_sealed_key_of_the_wrong_kind(void **state)
{
    struct as_keys keys = both_keys(600000);
    struct name alice = named("alice");

    (void)state;
    keys.sealed = keys.classic;
    assert_rc(as_store_add(store, &alice, &keys, 1), RC_BAD_ETYPE);
    keys = both_keys(600000);
    keys.classic = keys.sealed;
    assert_rc(as_store_add(store, &alice, &keys, 1), RC_BAD_ETYPE);
    keys = both_keys(600000);
    keys.params.iterations = 0;
    assert_rc(as_store_add(store, &alice, &keys, 1), RC_LIMIT);
    keys.params.iterations = USERKEY_ITERATIONS_MAX + 1;
    assert_rc(as_store_add(store, &alice, &keys, 1), RC_LIMIT);
}

static void rekey__replaces_or_deletes_every_key_of_both_profiles(void **state)
{
    struct as_keys old = both_keys(200000), fresh = sealed_keys(600000);
    const struct as_rekey change = {.keys = &fresh};
    struct name alice = named("alice");
    struct as_login login;

    (void)state;
    add_keys("alice", &old);
    assert_ok(as_store_rekey(store, &alice, &change, 2000));
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
    assert_int_equal(found("alice").kvno, 2);
    assert_int_equal(found("alice").epoch, 0);
    assert_memory_equal(sealed_login("alice").secret.key.bytes, fresh.sealed.bytes, 32);
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_rc(login.why, RC_NO_CLIENT_KEY);
    assert_int_equal(state_sql_int(&conf, "as/as.db", "SELECT count(*) FROM principal_key WHERE principal > 0"), 1);
}

static void rekey__changes_nothing_when_somebody_was_faster(void **state)
{
    struct as_keys old = both_keys(200000), fresh = both_keys(600000);
    const struct as_rekey change = {.keys = &fresh, .expect_kvno = 2};
    struct name alice = named("alice");

    (void)state;
    add_keys("alice", &old);
    assert_rc(as_store_rekey(store, &alice, &change, 2000), RC_REPEAT);
    assert_rc(as_store_strengthen(store, &alice, &change, 2000), RC_REPEAT);
    assert_memory_equal(sealed_login("alice").secret.key.bytes, old.sealed.bytes, 32);
}

static void strengthen__replaces_the_sealed_key_alone(void **state)
{
    struct as_keys old = both_keys(200000), fresh = sealed_keys(600000), classic = both_keys(1);
    const struct as_rekey change = {.keys = &fresh, .expect_kvno = 1}, again = {.keys = &fresh};
    struct name alice = named("alice"), bob = named("bob"), nobody = named("nobody");
    struct as_login login;

    (void)state;
    classic.sealed = (struct key){0};
    add_keys("alice", &old);
    add_keys("bob", &classic);
    assert_ok(as_store_strengthen(store, &alice, &change, 2000));
    assert_memory_equal(sealed_login("alice").secret.key.bytes, fresh.sealed.bytes, 32);
    assert_int_equal(sealed_login("alice").params.iterations, 600000);
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_ok(login.why);
    assert_memory_equal(login.secret.key.bytes, old.classic.bytes, 16);
    assert_rc(as_store_strengthen(store, &alice, &again, 2000), RC_LIMIT); /* not more than now */
    assert_rc(as_store_strengthen(store, &bob, &again, 2000), RC_NO_CLIENT_KEY);
    assert_rc(as_store_strengthen(store, &nobody, &again, 2000), RC_NO_CLIENT);
}

static void keep_profiles__deletes_the_others_keys(void **state)
{
    struct as_keys keys = both_keys(200000);
    struct name alice = named("alice"), nobody = named("nobody");
    struct as_login login;

    (void)state;
    add_keys("alice", &keys);
    assert_rc(as_store_keep_profiles(store, &alice, 0, 2000), RC_NO_CLIENT_KEY);
    assert_ok(as_store_keep_profiles(store, &alice, PROFILE_SEALED | PROFILE_CLASSIC, 2000));
    assert_int_equal(found("alice").epoch, 0);
    assert_ok(as_store_keep_profiles(store, &alice, PROFILE_SEALED, 2000));
    assert_int_equal(found("alice").profiles, PROFILE_SEALED);
    assert_int_equal(found("alice").epoch, 1);
    assert_ok(as_store_login(store, &alice, ETYPE_AES128_CBC, &login));
    assert_rc(login.why, RC_NO_CLIENT_KEY);
    assert_rc(as_store_keep_profiles(store, &alice, PROFILE_CLASSIC, 2000), RC_NO_CLIENT_KEY);
    assert_rc(as_store_keep_profiles(store, &nobody, PROFILE_SEALED, 2000), RC_NO_CLIENT);
}

static void admin_flag__is_given_and_taken(void **state)
{
    struct as_keys keys = both_keys(200000);
    struct name alice = named("alice"), nobody = named("nobody");

    (void)state;
    add_keys("alice", &keys);
    assert_false(found("alice").is_admin);
    assert_ok(as_store_set_admin(store, &alice, true));
    assert_true(found("alice").is_admin);
    assert_ok(as_store_set_admin(store, &alice, false));
    assert_false(found("alice").is_admin);
    assert_rc(as_store_set_admin(store, &nobody, true), RC_NO_CLIENT);
}

static void list__walks_a_part(void **state)
{
    AUTO(buf_done) struct buf seen = {0};
    struct key key;

    (void)state;
    add("carol", &key);
    add("carla", &key);
    add("alice", &key);
    add("cara_", &key);
    add("caro%", &key);
    const struct as_part all = {.limit = 2}, car = {slice_text("car"), slice_text("cara_"), 9},
                         percent = {slice_text("caro%"), slice_text(""), 9};
    assert_ok(as_store_list(store, &all, collect, &seen));
    assert_slice(buf_slice(&seen), "alice cara_ ");
    buf_reset(&seen);
    assert_ok(as_store_list(store, &car, collect, &seen));
    assert_slice(buf_slice(&seen), "carla caro% carol ");
    buf_reset(&seen);
    assert_ok(as_store_list(store, &percent, collect, &seen));
    assert_slice(buf_slice(&seen), "caro% ");
}

static void open__brings_a_file_of_the_first_schema_up_to_date(void **state)
{
    struct as_store *again = NULL;
    struct key key, got;
    enum rc why;

    (void)state;
    add("alice", &key);
    as_store_close(store);
    store = NULL;
    meddle("DELETE FROM principal_key WHERE etype = 1; DROP TABLE feed; DROP TABLE code; DROP INDEX principal_key_spot;"
           "ALTER TABLE principal DROP COLUMN admin; ALTER TABLE principal_key DROP COLUMN iterations;"
           "ALTER TABLE principal_key DROP COLUMN spot; PRAGMA user_version = 1");
    assert_rc(as_store_open(&conf, DB_READ, &again), RC_DB);
    assert_ok(as_store_open(&conf, DB_WRITE, &store));
    assert_ok(login("alice", &why, &got));
    assert_ok(why);
    assert_memory_equal(got.bytes, key.bytes, 16);
    assert_int_equal(found("alice").profiles, PROFILE_CLASSIC);
    assert_rc(sealed_login("alice").why, RC_NO_CLIENT_KEY);
    assert_ok(as_store_open(&conf, DB_READ, &again));
    as_store_close(again);
}

int main(void)
{
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
        TEST(rekey__replaces_every_key_and_counts_up),
        TEST(set_disabled__raises_the_epoch_once),
        TEST(delete__gives_a_name_back_without_its_client_id),
        TEST(each__walks_in_order_of_name_without_the_decoy),
        TEST(tgs_key__is_the_newest_whose_time_has_come),
        TEST(verify__counts_rows_that_do_not_open),
        TEST(open__reads_what_was_written_but_writes_nothing),
        TEST(open__refuses_what_it_cannot_trust),
        TEST(open__refuses_the_master_key_of_another_state),
        TEST(sealed_login__gives_key_salt_and_iterations),
        TEST(sealed_login__makes_up_the_same_parameters_each_time),
        TEST(made_up_iterations__come_from_users_in_their_proportion),
        TEST(sealed_row__does_not_open_with_other_iterations_beside_it),
        TEST(add__refuses_a_sealed_key_of_the_wrong_kind),
        TEST(rekey__replaces_or_deletes_every_key_of_both_profiles),
        TEST(rekey__changes_nothing_when_somebody_was_faster),
        TEST(strengthen__replaces_the_sealed_key_alone),
        TEST(keep_profiles__deletes_the_others_keys),
        TEST(admin_flag__is_given_and_taken),
        TEST(list__walks_a_part),
        TEST(open__brings_a_file_of_the_first_schema_up_to_date),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
