/* The ticket file: what is written comes back, and what is not ours or not whole is refused. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "client/cache.h"
#include "shared/ticket/ticket.h"
#include "tests/unit/tempdir.h"

static struct tempdir dir;
static struct cache cache;
static char path[512];

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static void put(const char *service, int64_t end)
{
    AUTO(key_done) struct key key = {0};
    struct cache_entry e = {.server = named(service), .auth_time = 5, .start = 10, .end = end};
    struct ticket t = {.kind = TICKET_TGT, .client = named("alice"), .server = e.server, .start = 1, .end = 2};
    struct name realm = named("EXAMPLE");

    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &key));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &e.session));
    t.session = e.session;
    assert_ok(ticket_seal(&key, &realm, &t, &e.ticket));
    cache_put(&cache, &e);
}

static int begin(void **state)
{
    (void)state;
    tempdir_make(&dir);
    (void)snprintf(path, sizeof path, "%s/ccache", dir.path);
    cache = (struct cache){.realm = named("EXAMPLE"), .client = named("alice"), .offset_s = -7};
    assert_ok(buf_text(&cache.url, "https://example.org"));
    put("tgs", 1000);
    put("chat", 900);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cache_done(&cache);
    tempdir_remove(&dir);
    return 0;
}

static void add_vault(void)
{
    cache.vault.has = cache.vault.is_saved = true;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &cache.vault.key));
    assert_ok(buf_text(&cache.vault.record, "{\"v\":1}"));
}

static void save__comes_back(void **state)
{
    AUTO(cache_done) struct cache back = {0};
    struct stat st;

    (void)state;
    add_vault();
    assert_ok(cache_save(path, &cache, slice_of(NULL, 0)));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(cache_load(path, &back));
    assert_int_equal(back.n, 2);
    assert_slice(name_slice(&back.client), "alice");
    assert_slice(buf_slice(&back.url), "https://example.org");
    assert_int_equal(back.offset_s, -7);
    const struct cache_entry *e = cache_find(&back, slice_text("chat"));
    assert_non_null(e);
    assert_int_equal(e->end, 900);
    assert_memory_equal(e->session.bytes, cache.entries[1].session.bytes, AEAD_KEY);
    assert_true(slice_eq(buf_slice(&e->ticket), buf_slice(&cache.entries[1].ticket)));
    assert_true(back.vault.has);
    assert_true(back.vault.is_saved);
    assert_memory_equal(back.vault.key.bytes, cache.vault.key.bytes, AEAD_KEY);
    assert_slice(buf_slice(&back.vault.record), "{\"v\":1}");
}

static void put__replaces_and_makes_room(void **state)
{
    (void)state;
    put("chat", 950);
    assert_int_equal(cache.n, 2);
    assert_int_equal(cache_find(&cache, slice_text("chat"))->end, 950);
    for (int i = 0; i < CACHE_ENTRIES_MAX + 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i);
        put(name, 2000 + i);
    }
    assert_int_equal(cache.n, CACHE_ENTRIES_MAX);
    assert_slice(name_slice(&cache.entries[0].server), "tgs"); /* though it ends first */
    assert_null(cache_find(&cache, slice_text("chat")));
    assert_null(cache_find(&cache, slice_text("s0")));
    assert_non_null(cache_find(&cache, slice_text("s34")));
}

static void read__refuses_each_cut(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(cache_done) struct cache back = {0};

    (void)state;
    add_vault();
    assert_ok(cache_write(&cache, &text));
    for (size_t n = 0; n + 1 < text.n; n++) /* the last byte is the line end */
        if (n != text.n - 1)
            assert_rc(cache_read(slice_of(text.p, n), &back), RC_MALFORMED);
    assert_int_equal(back.n, 0);
}

/* The text with one part replaced. */
static void replaced(const char *old, const char *new, struct buf *out)
{
    AUTO(buf_done) struct buf text = {0};

    assert_ok(cache_write(&cache, &text));
    const char *whole = buf_cstr(&text), *at = strstr(whole, old);
    assert_non_null(at);
    assert_ok(buf_add(out, slice_of(whole, (size_t)(at - whole))));
    assert_ok(buf_text(out, new));
    assert_ok(buf_text(out, at + strlen(old)));
}

static void read__refuses_what_is_not_as_written(void **state)
{
    static const char *const edits[][2] = {
        {"\"kerb_ccache\":1",   "\"kerb_ccache\":2"              },
        {"\"kerb_ccache\":1",   "\"kerb_ccache\":\"1\""          },
        {"\"kerb_ccache\":1",   "\"kerb_ccache\":1,\"more\":1"   },
        {"\"realm\":\"EXAMPLE", "\"realm\":\""                   },
        {"\"client\":\"alice",  "\"client\":\"al\\u0000ice"      },
        {"\"offset\":-7",       "\"offset\":1e3"                 },
        {"\"offset\":-7",       "\"offset\":-9223372036854775808"},
        {"\"server\":\"chat",   "\"server\":\"tgs"               },
        {"\"server\":\"chat",   "\"server\":\" chat"             },
        {"\"start_time\":10",   "\"start_time\":1001"            },
        {"\"start_time\":10",   "\"start_time\":-1"              },
        {"\"end_time\":900",    "\"end_time\":99999999999999"    },
        {"\"renew_till\":0",    "\"renew_till\":null"            },
        {"\"session_key\":\"",  "\"session_key\":\"A"            },
        {"\"ticket\":\"",       "\"ticket\":\"A"                 },
        {"\"ticket\":\"A",      "\"ticket\":\"B"                 },
        {"\"tickets\":[",       "\"tickets\":[1,"                },
        {"\"auth_time\":5",     "\"auth_time\":5,\"auth_time\":5"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        AUTO(buf_done) struct buf text = {0};
        AUTO(cache_done) struct cache back = {0};
        replaced(edits[i][0], edits[i][1], &text);
        assert_rc(cache_read(buf_slice(&text), &back), RC_MALFORMED);
    }
}

static void read__refuses_no_tickets(void **state)
{
    AUTO(cache_done) struct cache back = {0};

    (void)state;
    assert_rc(cache_read(slice_text("{\"kerb_ccache\":1,\"realm\":\"A\",\"client\":\"b\",\"url\":\"\",\"offset\":0,"
                                    "\"tickets\":[]}"),
                         &back),
              RC_MALFORMED);
    assert_rc(cache_read(slice_text("[]"), &back), RC_MALFORMED);
}

static void load__refuses_what_others_can_read(void **state)
{
    AUTO(cache_done) struct cache back = {0};

    (void)state;
    assert_rc(cache_load(path, &back), RC_NOT_FOUND);
    assert_ok(cache_save(path, &cache, slice_of(NULL, 0)));
    assert_int_equal(chmod(path, 0640), 0);
    assert_rc(cache_load(path, &back), RC_UNSAFE_FILE);
}

static void save__wants_a_directory_of_ones_own(void **state)
{
    char own[600];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/kerb", dir.path);
    (void)snprintf(own, sizeof own, "%s/kerb/ccache", dir.path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 0755), 0);
    assert_rc(cache_save(own, &cache, slice_of(NULL, 0)), RC_UNSAFE_FILE);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_rc(cache_save(own, &cache, slice_of(NULL, 0)), RC_UNSAFE_FILE);
    assert_int_equal(unlink(path), 0);
    assert_ok(cache_save(own, &cache, slice_of(NULL, 0))); /* makes it */
    assert_int_equal(unlink(own), 0);
    (void)snprintf(own, sizeof own, "%s/kerb/ccache.lock", dir.path);
    assert_int_equal(unlink(own), 0);
    assert_int_equal(rmdir(path), 0);
}

static void save__only_beside_the_tgt_that_is_meant(void **state)
{
    AUTO(cache_done) struct cache back = {0};
    struct slice tgt = buf_slice(&cache.entries[0].ticket);

    (void)state;
    assert_ok(cache_save(path, &cache, tgt)); /* nobody is logged in: nothing is written */
    assert_rc(cache_load(path, &back), RC_NOT_FOUND);
    assert_ok(cache_save(path, &cache, slice_of(NULL, 0)));
    put("more", 500);
    assert_ok(cache_save(path, &cache, buf_slice(&cache.entries[1].ticket))); /* somebody else's login */
    assert_ok(cache_load(path, &back));
    assert_int_equal(back.n, 2);
    assert_ok(cache_save(path, &cache, buf_slice(&cache.entries[0].ticket)));
    assert_ok(cache_load(path, &back));
    assert_int_equal(back.n, 3);
}

static void wipe__overwrites_and_unlinks(void **state)
{
    uint8_t bytes[64];

    (void)state;
    assert_rc(cache_wipe(path), RC_NOT_FOUND);
    assert_ok(cache_save(path, &cache, slice_of(NULL, 0)));
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_ok(cache_wipe(path));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(read(fd, bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], 0);
    (void)close(fd);
}

static void wipe__leaves_what_is_not_ours(void **state)
{
    char other[600];

    (void)state;
    (void)snprintf(other, sizeof other, "%s/precious", dir.path);
    assert_ok(cache_save(other, &cache, slice_of(NULL, 0)));
    assert_int_equal(symlink(other, path), 0);
    assert_rc(cache_wipe(path), RC_UNSAFE_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(other, path), 0);
    assert_rc(cache_wipe(path), RC_UNSAFE_FILE);
    AUTO(cache_done) struct cache back = {0};
    assert_ok(cache_load(other, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(save__comes_back),
        T(put__replaces_and_makes_room),
        T(read__refuses_each_cut),
        T(read__refuses_what_is_not_as_written),
        T(read__refuses_no_tickets),
        T(load__refuses_what_others_can_read),
        T(save__wants_a_directory_of_ones_own),
        T(save__only_beside_the_tgt_that_is_meant),
        T(wipe__overwrites_and_unlinks),
        T(wipe__leaves_what_is_not_ours),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
