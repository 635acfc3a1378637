/* What people may choose as a password, and the vault that opens with it. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "client/policy.h"
#include "client/vault.h"

static struct kerb *k;

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static int begin(void **state)
{
    static const struct kerb_options o = {.url = "http://127.0.0.1:1", .no_cache = true};

    (void)state;
    (void)setenv("HOME", "/nonexistent", 1);
    (void)unsetenv("KERB_CONFIG");
    assert_int_equal(kerb_open(&o, &k), KERB_OK);
    k->cache.realm = named("EXAMPLE");
    k->cache.client = named("alice");
    return 0;
}

static int end(void **state)
{
    (void)state;
    kerb_close(k);
    return 0;
}

static enum kerb_status check(const char *password)
{
    return kerb_password_check(k, "Rosalind F", password, strlen(password));
}

static void policy__refuses(void **state)
{
    static const char *const bad[] = {
        "short",
        "123456789",
        "ninebytes",
        "Password123",
        "p4ssw0rd2024",
        "PASSWORD!!!",
        "!!password!!",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "1234567890",
        "0987654321",
        "abcdefghijkl",
        "qwertyuiop",
        "Qwertyuiop1",
        "iloveyou99",
        "rosalind f",
        "Rosalind F12",
        "letmein12345",
        "sunsh1ne2024",
        "dragon12345",
        "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", /* nine letters, eighteen bytes */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (check(bad[i]) != KERB_POLICY)
            fail_msg("'%s' passes", bad[i]);
    }
    assert_int_equal(check(""), KERB_BAD_ARGUMENT);
    assert_int_equal(check("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), KERB_BAD_ARGUMENT);
}

static void policy__takes(void **state)
{
    static const char *const good[] = {"a few words of mine",
                                       "kq7 vandal moss",
                                       "my password is better",
                                       "9f2c81e07ab4",
                                       "1415926535897932",
                                       ("\xC3\xA4"
                                        "pfel und birnen")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (check(good[i]) != KERB_OK)
            fail_msg("'%s': %s", good[i], kerb_error(k));
}

static void policy__list_is_sorted(void **state)
{
    (void)state;
    assert_true(policy_common_n > 1000);
    for (size_t i = 1; i < policy_common_n; i++)
        assert_true(slice_cmp(slice_text(policy_common[i - 1]), slice_text(policy_common[i])) < 0);
}

/* --- the vault --- */

static void vault__opens_with_its_password_alone(void **state)
{
    AUTO(cache_vault_done) struct cache_vault made = {0}, back = {0};

    (void)state;
    assert_ok(vault_make(k, slice_text("one password"), &made));
    assert_false(made.is_saved);
    assert_ok(vault_open(k, buf_slice(&made.record), slice_text("one password"), &back));
    assert_true(back.is_saved);
    assert_memory_equal(back.key.bytes, made.key.bytes, AEAD_KEY);
    client_begin(k);
    assert_int_not_equal(vault_open(k, buf_slice(&made.record), slice_text("another"), &back), RC_OK);
    assert_int_equal(k->status, KERB_REFUSED);
    k->cache.client = named("bob");
    assert_int_not_equal(vault_open(k, buf_slice(&made.record), slice_text("one password"), &back), RC_OK);
}

static void vault__rewrap_keeps_the_key_and_changes_the_salt(void **state)
{
    AUTO(cache_vault_done) struct cache_vault v = {0}, back = {0};
    AUTO(buf_done) struct buf before = {0};

    (void)state;
    assert_ok(vault_make(k, slice_text("one password"), &v));
    assert_ok(buf_add(&before, buf_slice(&v.record)));
    v.is_saved = true;
    assert_ok(vault_rewrap(k, slice_text("the next one"), &v));
    assert_false(v.is_saved);
    assert_memory_not_equal(before.p, v.record.p, 40); /* {"v":1,"salt":"...: the salt is another one */
    assert_ok(vault_open(k, buf_slice(&v.record), slice_text("the next one"), &back));
    assert_memory_equal(back.key.bytes, v.key.bytes, AEAD_KEY);
    assert_int_not_equal(vault_open(k, buf_slice(&v.record), slice_text("one password"), &back), RC_OK);
}

static void vault__refuses_a_cheap_or_damaged_record(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"v\":2,\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"iterations\":600000,\"key\":\"AA\"}",
        "{\"v\":1,\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"iterations\":199999,\"key\":\"AA\"}",
        "{\"v\":1,\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"iterations\":10000001,\"key\":\"AA\"}",
        "{\"v\":1,\"salt\":\"AAAA\",\"iterations\":600000,\"key\":\"AA\"}",
    };
    AUTO(cache_vault_done) struct cache_vault back = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        client_begin(k);
        assert_int_not_equal(vault_open(k, slice_text(bad[i]), slice_text("one password"), &back), RC_OK);
        assert_int_equal(k->status, KERB_UNTRUSTED);
    }
    assert_false(back.has);
}

static void vault__items_are_bound_to_their_name(void **state)
{
    AUTO(buf_done) struct buf item = {0}, back = {0};

    (void)state;
    assert_rc(vault_seal_item(k, "share a", slice_text("3-ff"), &item), RC_NOT_FOUND);
    assert_ok(vault_make(k, slice_text("one password"), &k->cache.vault));
    assert_ok(vault_seal_item(k, "share a", slice_text("3-ff"), &item));
    assert_ok(vault_open_item(k, "share a", buf_slice(&item), &back));
    assert_slice(buf_slice(&back), "3-ff");
    assert_rc(vault_open_item(k, "share b", buf_slice(&item), &back), RC_MODIFIED);
    assert_rc(vault_open_item(k, "share a", slice_text("!"), &back), RC_MODIFIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(policy__refuses),
        T(policy__takes),
        T(policy__list_is_sorted),
        T(vault__opens_with_its_password_alone),
        T(vault__rewrap_keeps_the_key_and_changes_the_salt),
        T(vault__refuses_a_cheap_or_damaged_record),
        T(vault__items_are_bound_to_their_name),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
