/* The AS's store: one-time codes, for whom they are good and how long. */
#include "tests/unit/as_fixture.h"

static void code_id(const struct onecode *code, uint8_t id[ONECODE_ID_LEN])
{
    assert_ok(onecode_id(code, id));
}

static enum rc use_code(const struct onecode *code, const char *text, int64_t now_s)
{
    struct as_keys keys = both_keys(200000);
    struct name name = named(text);
    uint8_t id[ONECODE_ID_LEN];
    enum as_code_kind kind;

    code_id(code, id);
    return as_store_code_use(store, id, &name, &keys, now_s, &kind);
}

static void invitation__makes_one_user_within_an_hour(void **state)
{
    struct onecode any, bob, late;
    struct as_code about;
    struct key key, want;
    struct name bob_name = named("bob");
    uint8_t id[ONECODE_ID_LEN];

    (void)state;
    assert_ok(as_store_code_make(store, AS_CODE_REGISTER, NULL, 1000, &any));
    assert_ok(as_store_code_make(store, AS_CODE_REGISTER, NULL, 1000, &late));
    assert_ok(as_store_code_make(store, AS_CODE_REGISTER, &bob_name, 1000, &bob));
    code_id(&bob, id);
    assert_ok(as_store_code_find(store, id, 4600, &about, &key));
    assert_int_equal(about.kind, AS_CODE_REGISTER);
    assert_slice(name_slice(&about.name), "bob");
    assert_int_equal(about.expires_s, 4600);
    assert_ok(onecode_key(&bob, &want));
    assert_memory_equal(key.bytes, want.bytes, 32);
    assert_rc(as_store_code_find(store, id, 4601, &about, &key), RC_NOT_FOUND);

    assert_rc(use_code(&bob, "carol", 1001), RC_NOT_FOUND); /* not hers, and not used up by it */
    assert_ok(use_code(&bob, "bob", 1001));
    assert_rc(use_code(&bob, "bob", 1001), RC_NOT_FOUND);
    assert_ok(use_code(&any, "carol", 4600));
    assert_rc(use_code(&any, "dave", 1001), RC_NOT_FOUND);
    assert_rc(use_code(&late, "dave", 4601), RC_NOT_FOUND);
    assert_rc(use_code(&late, "BOB", 1001), RC_EXISTS);
    assert_ok(use_code(&late, "dave", 1001)); /* a name that is taken does not use it up */
    assert_false(found("bob").is_admin);
}

static void reset_code__is_for_that_user_alone(void **state)
{
    struct as_keys keys = both_keys(200000);
    struct name alice = named("alice"), nobody = named("nobody");
    struct onecode code, stale;

    (void)state;
    add_keys("alice", &keys);
    assert_rc(as_store_code_make(store, AS_CODE_RESET, NULL, 1000, &code), RC_NO_CLIENT);
    assert_rc(as_store_code_make(store, AS_CODE_RESET, &nobody, 1000, &code), RC_NO_CLIENT);
    assert_rc(as_store_code_make(store, AS_CODE_REGISTER, &alice, 1000, &code), RC_EXISTS);
    assert_ok(as_store_code_make(store, AS_CODE_RESET, &alice, 1000, &code));
    assert_rc(use_code(&code, "bob", 1001), RC_NOT_FOUND);
    assert_ok(use_code(&code, "alice", 1001));
    assert_int_equal(found("alice").kvno, 2);
    assert_int_equal(found("alice").epoch, 1); /* whoever had tickets has none now */

    assert_ok(as_store_code_make(store, AS_CODE_RESET, &alice, 1000, &stale));
    assert_ok(as_store_delete(store, &alice, 1002));
    assert_rc(use_code(&stale, "alice", 1003), RC_NO_CLIENT);
    add_keys("alice", &keys); /* somebody else, later */
    assert_rc(use_code(&stale, "alice", 1003), RC_NOT_FOUND);
}

/* Whoever got hold of one cannot take the account from its owner, who has set a password since. */
static void reset_code__ends_with_the_next_password(void **state)
{
    struct as_keys keys = both_keys(200000);
    struct name alice = named("alice"), bob = named("bob");
    struct onecode first, second, third, bobs, invitation;
    const struct as_rekey change = {.keys = &keys};

    (void)state;
    add_keys("alice", &keys);
    add_keys("bob", &keys);
    assert_ok(as_store_code_make(store, AS_CODE_RESET, &alice, 1000, &first));
    assert_ok(as_store_code_make(store, AS_CODE_RESET, &alice, 1000, &second));
    assert_ok(as_store_code_make(store, AS_CODE_RESET, &bob, 1000, &bobs));
    assert_ok(as_store_code_make(store, AS_CODE_REGISTER, NULL, 1000, &invitation));
    assert_ok(use_code(&second, "alice", 1001));
    assert_rc(use_code(&first, "alice", 1002), RC_NOT_FOUND);
    assert_ok(as_store_code_make(store, AS_CODE_RESET, &alice, 1002, &third));
    assert_ok(as_store_rekey(store, &alice, &change, 1003));
    assert_rc(use_code(&third, "alice", 1004), RC_NOT_FOUND);
    assert_ok(use_code(&bobs, "bob", 1004));
    assert_ok(use_code(&invitation, "carol", 1004));
}

static void first_admin_code__makes_an_administrator(void **state)
{
    struct onecode code;

    (void)state;
    assert_ok(as_store_code_make(store, AS_CODE_ADMIN, NULL, 1000, &code));
    assert_ok(use_code(&code, "root", 1001));
    assert_true(found("root").is_admin);
}

static void code_row__does_not_open_as_another_kind_or_code(void **state)
{
    struct onecode one, two;
    uint64_t rows, bad;

    (void)state;
    assert_ok(as_store_code_make(store, AS_CODE_REGISTER, NULL, 1000, &one));
    meddle("UPDATE code SET kind = 2");
    assert_rc(use_code(&one, "mallory", 1001), RC_BAD_ROW);
    meddle("UPDATE code SET kind = 0, expires_s = 99999999");
    assert_rc(use_code(&one, "mallory", 4601), RC_NOT_FOUND); /* the end that counts is under the seal */
    assert_ok(as_store_code_make(store, AS_CODE_REGISTER, NULL, 1000, &two));
    meddle("UPDATE code SET sealed = (SELECT sealed FROM code ORDER BY id LIMIT 1)");
    assert_ok(as_store_verify(store, &rows, &bad));
    assert_int_equal(rows, 4); /* with the decoy's two */
    assert_int_equal(bad, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(invitation__makes_one_user_within_an_hour),       TEST(reset_code__is_for_that_user_alone),
        TEST(reset_code__ends_with_the_next_password),         TEST(first_admin_code__makes_an_administrator),
        TEST(code_row__does_not_open_as_another_kind_or_code),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
