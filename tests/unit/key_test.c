/* Keys, keytabs, and a keytab file that changes under a running daemon. */
#include "shared/crypto/key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "shared/base/json.h"
#include "tests/unit/tempdir.h"

#define NOW INT64_C(1780000000)

static struct tempdir dir;

static int setup(void **state)
{
    (void)state;
    tempdir_make(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

static struct name name_of(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static enum rc add(struct keytab *kt, const char *principal, enum etype etype, uint32_t kvno, int64_t valid_from)
{
    AUTO(key_done) struct key key = {0};
    struct name name = name_of(principal);

    assert_ok(key_random(etype, kvno, valid_from, &key));
    return keytab_add(kt, &name, &key);
}

static struct keytab *some_keytab(void)
{
    struct keytab *kt = NULL;

    assert_ok(keytab_new(&kt));
    assert_ok(add(kt, "tgs", ETYPE_AES128_CBC_HS256, 2, NOW));
    assert_ok(add(kt, "tgs", ETYPE_AES128_CBC_HS256, 10, NOW + 100));
    assert_ok(add(kt, "tgs", ETYPE_AES128_CBC_HS256, 1, NOW - 100));
    assert_ok(add(kt, "tgs", ETYPE_AES128_CBC, 3, 0));
    assert_ok(add(kt, "chat", ETYPE_AES128_CBC_HS256, 7, 0));
    return kt;
}

static const struct key *find(const struct keytab *kt, const char *principal, enum etype etype, uint32_t kvno)
{
    struct name name = name_of(principal);
    return keytab_find(kt, &name, etype, kvno);
}

static uint32_t current(const struct keytab *kt, const char *principal, enum etype etype, int64_t now_s)
{
    struct name name = name_of(principal);
    const struct key *key = keytab_current(kt, &name, etype, now_s);
    return key ? key->kvno : 0;
}

static void etype_parse__knows_two_names(void **state)
{
    (void)state;
    enum etype etype = ETYPE_AES128_CBC;

    assert_ok(etype_parse(slice_text("aes128-cbc-hs256"), &etype));
    assert_int_equal(etype, ETYPE_AES128_CBC_HS256);
    assert_int_equal(etype_key_len(etype), 32);
    assert_string_equal(etype_name(etype), "aes128-cbc-hs256");
    assert_ok(etype_parse(slice_text("aes128-cbc"), &etype));
    assert_int_equal(etype_key_len(etype), 16);
    assert_rc(etype_parse(slice_text("AES128-CBC"), &etype), RC_MALFORMED);
    assert_rc(etype_parse(slice_text(""), &etype), RC_MALFORMED);
    assert_int_equal(etype_key_len((enum etype)9), 0);
    assert_string_equal(etype_name((enum etype)9), "");
}

static void key_random__refuses_an_unknown_etype(void **state)
{
    (void)state;
    struct key key;
    assert_rc(key_random((enum etype)9, 1, 0, &key), RC_BAD_ETYPE);
}

static void keytab_find__finds_the_version_and_no_other(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *kt = some_keytab();

    for (uint32_t kvno = 0; kvno < 12; kvno++) {
        const struct key *key = find(kt, "tgs", ETYPE_AES128_CBC_HS256, kvno);
        assert_int_equal(key != NULL, kvno == 1 || kvno == 2 || kvno == 10);
        if (key)
            assert_int_equal(key->kvno, kvno);
    }
    assert_non_null(find(kt, "tgs", ETYPE_AES128_CBC, 3));
    assert_null(find(kt, "chat", ETYPE_AES128_CBC, 7));
    assert_null(find(kt, "cha", ETYPE_AES128_CBC_HS256, 7));
    assert_null(find(kt, "chatt", ETYPE_AES128_CBC_HS256, 7));
}

static void keytab_current__is_the_newest_that_has_begun(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *kt = some_keytab();

    assert_int_equal(current(kt, "tgs", ETYPE_AES128_CBC_HS256, NOW - 101), 0);
    assert_int_equal(current(kt, "tgs", ETYPE_AES128_CBC_HS256, NOW - 1), 1);
    assert_int_equal(current(kt, "tgs", ETYPE_AES128_CBC_HS256, NOW), 2);
    assert_int_equal(current(kt, "tgs", ETYPE_AES128_CBC_HS256, NOW + 99), 2);
    assert_int_equal(current(kt, "tgs", ETYPE_AES128_CBC_HS256, NOW + 100), 10);
    assert_int_equal(current(kt, "nobody", ETYPE_AES128_CBC_HS256, NOW), 0);
}

static void keytab_add__refuses_the_same_version_twice(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *kt = some_keytab();
    assert_rc(add(kt, "tgs", ETYPE_AES128_CBC_HS256, 2, 0), RC_EXISTS);
}

static void keytab_add__refuses_a_key_of_another_length(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *kt = some_keytab();
    struct name name = name_of("tgs");
    struct key key = {.etype = ETYPE_AES128_CBC, .kvno = 9, .n = 32};

    assert_rc(keytab_add(kt, &name, &key), RC_BAD_ETYPE);
    key.n = 0;
    assert_rc(keytab_add(kt, &name, &key), RC_BAD_ETYPE);
}

static void keytab_add__has_a_limit_and_room_for_it_twice(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *one = NULL, *two = NULL;

    assert_ok(keytab_new(&one));
    assert_ok(keytab_new(&two)); /* a reload beside the old one */
    for (uint32_t i = 1; i <= KEYTAB_KEYS_MAX; i++) {
        assert_ok(add(one, "tgs", ETYPE_AES128_CBC_HS256, i, 0));
        assert_ok(add(two, "tgs", ETYPE_AES128_CBC_HS256, i, 0));
    }
    assert_rc(add(one, "tgs", ETYPE_AES128_CBC_HS256, KEYTAB_KEYS_MAX + 1, 0), RC_LIMIT);
    const char *path = tempdir_file(&dir, "full");
    assert_ok(keytab_save(one, path));
    keytab_done(&two);
    assert_ok(keytab_load(path, &two)); /* and the file has room for it, too */
    assert_non_null(find(two, "tgs", ETYPE_AES128_CBC_HS256, KEYTAB_KEYS_MAX));
}

static void keytab_purge__removes_old_versions_of_one_principal(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *kt = some_keytab();
    struct name tgs = name_of("tgs");
    const struct name *principal;
    const struct key *key;

    keytab_purge(kt, &tgs, 3);
    assert_null(find(kt, "tgs", ETYPE_AES128_CBC_HS256, 2));
    assert_non_null(find(kt, "tgs", ETYPE_AES128_CBC_HS256, 10));
    assert_non_null(find(kt, "tgs", ETYPE_AES128_CBC, 3));
    assert_non_null(find(kt, "chat", ETYPE_AES128_CBC_HS256, 7));
    assert_true(keytab_at(kt, 2, &principal, &key));
    assert_false(keytab_at(kt, 3, &principal, &key));
}

static void keytab_load__gives_back_what_was_saved(void **state)
{
    (void)state;
    AUTO(keytab_done) struct keytab *kt = some_keytab(), *again = NULL;
    const char *path = tempdir_file(&dir, "keytab");
    const struct name *pa, *pb;
    const struct key *a, *b;
    struct stat st;
    size_t n = 0;

    assert_ok(keytab_save(kt, path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(keytab_load(path, &again));
    for (; keytab_at(kt, n, &pa, &a); n++) {
        assert_true(keytab_at(again, n, &pb, &b));
        assert_string_equal(pa->s, pb->s);
        assert_int_equal(a->etype, b->etype);
        assert_int_equal(a->kvno, b->kvno);
        assert_int_equal(a->valid_from, b->valid_from);
        assert_true(slice_eq(key_slice(a), key_slice(b)));
    }
    assert_int_equal(n, 5);
    assert_false(keytab_at(again, n, &pb, &b));
}

static enum rc load_text(const char *text, mode_t mode)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    const char *path = tempdir_file(&dir, "text");

    tempdir_put(path, slice_text(text), mode);
    enum rc rc = keytab_load(path, &kt);
    assert_int_equal(rc == RC_OK, kt != NULL);
    return rc;
}

#define KEY_TAIL(etype, kvno, key) "\"etype\":\"" etype "\",\"kvno\":" kvno ",\"valid_from\":0,\"key\":\"" key "\"}"
#define KEYTAB(keys)               "{\"keytab\":1,\"keys\":[" keys "]}"
#define GOOD_KEY                   "AAECAwQFBgcICQoLDA0ODw"
#define GOOD_ENTRY                 "{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "1", GOOD_KEY)

static void keytab_load__refuses_a_file_that_others_may_use(void **state)
{
    (void)state;
    assert_ok(load_text(KEYTAB(GOOD_ENTRY), 0600));
    assert_ok(load_text(KEYTAB(GOOD_ENTRY), 0400));
    assert_rc(load_text(KEYTAB(GOOD_ENTRY), 0640), RC_UNSAFE_FILE);
    assert_rc(load_text(KEYTAB(GOOD_ENTRY), 0604), RC_UNSAFE_FILE);
    assert_rc(load_text(KEYTAB(GOOD_ENTRY), 0620), RC_UNSAFE_FILE);
}

static void keytab_load__refuses_what_is_not_a_keytab(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"keytab\":2,\"keys\":[]}",
        "{\"keytab\":1}",
        "{\"keytab\":1,\"keys\":{}}",
        KEYTAB("1"),
        KEYTAB("{}"),
        KEYTAB(GOOD_ENTRY "," GOOD_ENTRY),
        KEYTAB(GOOD_ENTRY) "x",
        KEYTAB("{\"principal\":\" tgs\"," KEY_TAIL("aes128-cbc", "1", GOOD_KEY)),
        KEYTAB("{\"principal\":1," KEY_TAIL("aes128-cbc", "1", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("des", "1", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc-hs256", "1", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "0", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "-1", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "4294967296", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "\"1\"", GOOD_KEY)),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "1", GOOD_KEY "==")),
        KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "1", "")),
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        enum rc rc = load_text(texts[i], 0600);
        if (rc != RC_MALFORMED)
            fail_msg("%s: %s", texts[i], rc_name(rc));
    }
}

static void keytab_load__refuses_keys_that_everybody_knows(void **state)
{
    (void)state;
    /* the first 16 bytes of SHA-256 of "tgs_key" and of "service_key"; zeros */
    assert_rc(load_text(KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "1", "ZLvZbaWOsB8HJQ8qsVe9Mg")), 0600),
              RC_NO_KEY);
    assert_rc(load_text(KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "1", "p6C5wTbczIKI4kUcXvV1_g")), 0600),
              RC_NO_KEY);
    assert_rc(load_text(KEYTAB("{\"principal\":\"tgs\"," KEY_TAIL("aes128-cbc", "1", "AAAAAAAAAAAAAAAAAAAAAA")), 0600),
              RC_NO_KEY);
}

static void keytab_load__tells_a_missing_file_and_no_file(void **state)
{
    (void)state;
    struct keytab *kt = NULL;

    assert_rc(keytab_load(tempdir_file(&dir, "none"), &kt), RC_NOT_FOUND);
    assert_rc(keytab_load(dir.path, &kt), RC_UNSAFE_FILE);
    assert_null(kt);
}

static void save_one(const char *path, uint32_t kvno)
{
    AUTO(keytab_done) struct keytab *kt = NULL;

    assert_ok(keytab_new(&kt));
    assert_ok(add(kt, "tgs", ETYPE_AES128_CBC_HS256, kvno, 0));
    assert_ok(keytab_save(kt, path));
}

static uint32_t version_in_use(struct keytab_file *f)
{
    const struct keytab *kt = keytab_hold(f);
    uint32_t kvno = current(kt, "tgs", ETYPE_AES128_CBC_HS256, NOW);
    keytab_release(f, kt);
    return kvno;
}

static void keytab_file__is_read_again_when_it_changes(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "keytab");
    struct keytab_file *f = NULL;
    bool changed = true;

    save_one(path, 1);
    assert_ok(keytab_file_open(path, &f));
    assert_ok(keytab_file_refresh(f, false, &changed));
    assert_false(changed);
    save_one(path, 2);
    assert_ok(keytab_file_refresh(f, false, &changed));
    assert_true(changed);
    assert_int_equal(version_in_use(f), 2);
    assert_ok(keytab_file_refresh(f, true, &changed));
    assert_true(changed);
    keytab_file_close(f);
}

static void keytab_file__keeps_the_old_keys_when_the_file_is_bad(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "keytab");
    struct keytab_file *f = NULL;
    bool changed = true;

    save_one(path, 1);
    assert_ok(keytab_file_open(path, &f));
    tempdir_put(path, slice_text("{"), 0600);
    assert_rc(keytab_file_refresh(f, false, &changed), RC_MALFORMED);
    assert_false(changed);
    assert_ok(keytab_file_refresh(f, false, &changed)); /* told once */
    assert_false(changed);
    assert_int_equal(version_in_use(f), 1);
    assert_int_equal(unlink(path), 0);
    assert_rc(keytab_file_refresh(f, false, &changed), RC_NOT_FOUND);
    save_one(path, 3);
    assert_int_equal(chmod(path, 0644), 0);
    assert_rc(keytab_file_refresh(f, false, &changed), RC_UNSAFE_FILE);
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(keytab_file_refresh(f, false, &changed));
    assert_true(changed);
    assert_int_equal(version_in_use(f), 3);
    keytab_file_close(f);
}

static void keytab_hold__keeps_a_keytab_that_was_replaced(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "keytab");
    struct keytab_file *f = NULL;
    bool changed;

    save_one(path, 1);
    assert_ok(keytab_file_open(path, &f));
    const struct keytab *old = keytab_hold(f), *twice = keytab_hold(f);
    assert_ptr_equal(old, twice);
    save_one(path, 2);
    assert_ok(keytab_file_refresh(f, false, &changed));
    assert_int_equal(version_in_use(f), 2);
    keytab_release(f, twice);
    assert_int_equal(current(old, "tgs", ETYPE_AES128_CBC_HS256, NOW), 1); /* asan watches */
    keytab_release(f, old);
    keytab_file_close(f);
}

static void keytab_file_open__refuses_what_keytab_load_refuses(void **state)
{
    (void)state;
    struct keytab_file *f = NULL;

    assert_rc(keytab_file_open(tempdir_file(&dir, "none"), &f), RC_NOT_FOUND);
    assert_null(f);
    keytab_file_close(NULL);
}

static atomic_bool stop;

static void *reader(void *arg)
{
    struct keytab_file *f = arg;
    struct name tgs;
    size_t good = 0;

    if (name_parse(slice_text("tgs"), &tgs) != RC_OK)
        return NULL;
    do { /* on a busy machine it may begin when all is over */
        const struct keytab *kt = keytab_hold(f);
        good += keytab_current(kt, &tgs, ETYPE_AES128_CBC_HS256, NOW) != NULL;
        keytab_release(f, kt);
    } while (!atomic_load(&stop));
    return good ? f : NULL;
}

static void keytab_file__changes_under_readers(void **state)
{
    (void)state;
    const char *path = tempdir_file(&dir, "keytab");
    struct keytab_file *f = NULL;
    pthread_t threads[2];
    void *result;
    bool changed;

    save_one(path, 1);
    assert_ok(keytab_file_open(path, &f));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, f), 0);
    for (uint32_t kvno = 2; kvno < 30; kvno++) {
        save_one(path, kvno);
        assert_ok(keytab_file_refresh(f, false, &changed));
        assert_true(changed);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_int_equal(version_in_use(f), 29);
    keytab_file_close(f);
}

/* In a child of its own: the secure heap is made once per process. Must run before crypto_setup() elsewhere. */
static void crypto_setup__goes_on_where_memory_cannot_be_locked(void **state)
{
    (void)state;
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        struct keytab *kt = NULL;
        bool limited = setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || setuid(65534) == 0);
        bool ok = limited && crypto_setup() == RC_OK && !crypto_keys_are_locked() && keytab_new(&kt) == RC_OK &&
                  add(kt, "tgs", ETYPE_AES128_CBC_HS256, 1, 0) == RC_OK;
        keytab_free(kt);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(crypto_setup__goes_on_where_memory_cannot_be_locked),
        TEST(etype_parse__knows_two_names),
        TEST(key_random__refuses_an_unknown_etype),
        TEST(keytab_find__finds_the_version_and_no_other),
        TEST(keytab_current__is_the_newest_that_has_begun),
        TEST(keytab_add__refuses_the_same_version_twice),
        TEST(keytab_add__refuses_a_key_of_another_length),
        TEST(keytab_add__has_a_limit_and_room_for_it_twice),
        TEST(keytab_purge__removes_old_versions_of_one_principal),
        TEST(keytab_load__gives_back_what_was_saved),
        TEST(keytab_load__refuses_a_file_that_others_may_use),
        TEST(keytab_load__refuses_what_is_not_a_keytab),
        TEST(keytab_load__refuses_keys_that_everybody_knows),
        TEST(keytab_load__tells_a_missing_file_and_no_file),
        TEST(keytab_file__is_read_again_when_it_changes),
        TEST(keytab_file__keeps_the_old_keys_when_the_file_is_bad),
        TEST(keytab_hold__keeps_a_keytab_that_was_replaced),
        TEST(keytab_file_open__refuses_what_keytab_load_refuses),
        TEST(keytab_file__changes_under_readers),
    };

    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
