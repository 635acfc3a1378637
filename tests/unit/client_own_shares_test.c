/* The file in which shares wait for the vault. */
#include <sys/stat.h>
#include <unistd.h>

#include "client/own_shares.h"
#include "shared/base/file.h"
#include "tests/unit/tempdir.h"

#define PATH_TEXT 512

struct place {
    struct tempdir dir;
    struct kerb k;
    char path[PATH_TEXT];
};

static void be(struct place *p, const char *realm, const char *client)
{
    assert_ok(name_parse(slice_text(realm), &p->k.cache.realm));
    assert_ok(name_parse(slice_text(client), &p->k.cache.client));
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    tempdir_make(&p->dir);
    assert_ok(buf_printf(&p->k.cache_path, "%s/ccache", p->dir.path));
    assert_non_null(buf_cstr(&p->k.cache_path));
    (void)snprintf(p->path, sizeof p->path, "%s/ccache.shares", p->dir.path);
    be(p, "R", "alice");
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    tempdir_remove(&p->dir);
    buf_done(&p->k.cache_path);
    free(p);
    return 0;
}

static struct own_shares *load(struct place *p)
{
    struct own_shares *s = NULL;
    assert_ok(own_shares_load(&p->k, &s));
    return s;
}

static void put(struct place *p, const char *room, const char *share)
{
    struct own_shares *s = load(p);
    assert_ok(own_shares_put(s, slice_text(room), slice_text(share)));
    own_shares_free(s);
}

static void assert_share(struct place *p, const char *room, const char *share)
{
    struct own_shares *s = load(p);
    assert_slice(own_shares_get(s, slice_text(room)), share);
    own_shares_free(s);
}

static void shares__are_kept_between_programs_in_a_private_file(void **state)
{
    struct place *p = *state;
    struct stat st;

    put(p, "board", "1-ab");
    put(p, "other", "2-cd");
    assert_share(p, "board", "1-ab");
    assert_share(p, "other", "2-cd");
    assert_share(p, "none", "");
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void shares__replace_an_earlier_one_of_the_room(void **state)
{
    struct place *p = *state;

    put(p, "board", "1-ab");
    put(p, "board", "1-ff");
    assert_share(p, "board", "1-ff");
}

static void shares__of_other_people_and_realms_are_neither_seen_nor_lost(void **state)
{
    struct place *p = *state;
    struct slice room, share;

    put(p, "board", "1-ab");
    be(p, "R", "bob");
    assert_share(p, "board", "");
    put(p, "board", "2-cd");
    be(p, "S", "alice");
    assert_share(p, "board", "");
    be(p, "R", "alice");
    assert_share(p, "board", "1-ab");
    struct own_shares *s = load(p);
    assert_true(own_shares_at(s, 0, &room, &share));
    assert_slice(share, "1-ab");
    assert_false(own_shares_at(s, 1, &room, &share));
    own_shares_free(s);
}

static void shares__go_only_when_they_are_still_the_same(void **state)
{
    struct place *p = *state;

    put(p, "board", "1-ab");
    struct own_shares *s = load(p);
    assert_ok(own_shares_drop(s, slice_text("board"), slice_text("1-old")));
    assert_slice(own_shares_get(s, slice_text("board")), "1-ab");
    assert_int_equal(access(p->path, F_OK), 0);
    assert_ok(own_shares_drop(s, slice_text("board"), slice_text("1-ab")));
    assert_int_equal(own_shares_get(s, slice_text("board")).n, 0);
    assert_int_not_equal(access(p->path, F_OK), 0);
    own_shares_free(s);
}

static void shares__refuse_a_file_that_others_can_read(void **state)
{
    struct place *p = *state;
    struct own_shares *s = NULL;

    put(p, "board", "1-ab");
    assert_int_equal(chmod(p->path, 0644), 0);
    assert_rc(own_shares_load(&p->k, &s), RC_UNSAFE_FILE);
    assert_null(s);
}

static void shares__refuse_what_is_no_file_of_theirs(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"v\":2,\"shares\":[]}",
        "{\"v\":1,\"shares\":{}}",
        "{\"v\":1,\"shares\":[1]}",
        "{\"v\":1,\"shares\":[{\"realm\":\"R\",\"client\":\"alice\",\"room\":\"x\"}]}",
        "{\"v\":1,\"shares\":[{\"realm\":\"R\",\"client\":\"alice\",\"room\":\"x\",\"share\":1}]}",
    };
    struct place *p = *state;
    struct own_shares *s = NULL;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_ok(file_write_atomic(p->path, slice_text(texts[i]), 0600));
        assert_rc(own_shares_load(&p->k, &s), RC_MALFORMED);
        assert_null(s);
    }
}

static void shares__refuse_a_share_that_is_too_long(void **state)
{
    struct place *p = *state;
    uint8_t longest[SHARE_TEXT_MAX + 1];

    memset(longest, '1', sizeof longest);
    struct own_shares *s = load(p);
    assert_rc(own_shares_put(s, slice_text("board"), SLICE(longest)), RC_LIMIT);
    assert_int_equal(own_shares_get(s, slice_text("board")).n, 0);
    assert_ok(own_shares_put(s, slice_text("board"), slice_of(longest, SHARE_TEXT_MAX)));
    own_shares_free(s);
}

static void shares__without_a_file_live_in_memory(void **state)
{
    struct place *p = *state;

    p->k.no_cache = true;
    struct own_shares *s = load(p);
    assert_ok(own_shares_put(s, slice_text("board"), slice_text("1-ab")));
    assert_slice(own_shares_get(s, slice_text("board")), "1-ab");
    assert_int_not_equal(access(p->path, F_OK), 0);
    own_shares_free(s);
}

#define SHARES_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARES_TEST(shares__are_kept_between_programs_in_a_private_file),
        SHARES_TEST(shares__replace_an_earlier_one_of_the_room),
        SHARES_TEST(shares__of_other_people_and_realms_are_neither_seen_nor_lost),
        SHARES_TEST(shares__go_only_when_they_are_still_the_same),
        SHARES_TEST(shares__refuse_a_file_that_others_can_read),
        SHARES_TEST(shares__refuse_what_is_no_file_of_theirs),
        SHARES_TEST(shares__refuse_a_share_that_is_too_long),
        SHARES_TEST(shares__without_a_file_live_in_memory),
    };
    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
