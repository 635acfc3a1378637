/* Master keys from shares: what is taken, what is refused and how it is named, and that the key comes out. */
#include "shared/base/file.h"
#include "shared/unseal/gather.h"
#include "shared/unseal/packet.h"
#include "shared/unseal/place.h"
#include "tests/unit/state.h"
#include "tgs/store.h"

#define N 5
#define T 3

static struct conf conf;
static struct master_place place;
static struct slice line[N]; /* the shares */
static struct buf texts;

static void split_lines(const struct buf *b, struct slice *out)
{
    struct slice rest = buf_slice(b);
    for (int i = 0; i < N; i++) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        assert_non_null(end);
        out[i] = slice_of(rest.p, (size_t)(end - rest.p));
        rest = slice_of(end + 1, rest.n - out[i].n - 1);
    }
    assert_int_equal(rest.n, 0);
}

/* A TGS whose master key comes from 3 of 5 shares; the process knows the secret no more. */
static int setup(void **state)
{
    uint32_t kvno;

    (void)state;
    state_make(&conf, "tgs");
    AUTO(str_done) char *file = state_path(&conf, "tgs/master.key");
    assert_int_equal(unlink(file), 0);
    (void)snprintf(conf.tgs_master, sizeof conf.tgs_master, "shares");
    assert_ok(name_parse(slice_text("TEST"), &conf.realm));
    assert_ok(master_place_of(&conf, "tgs", &place));
    assert_ok(shares_split(&place, T, N, &texts, &kvno));
    assert_int_equal(kvno, 1);
    split_lines(&texts, line);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    shares_forget();
    buf_done(&texts);
    master_place_done(&place);
    state_remove(&conf);
    return 0;
}

static void add_service(struct tgs_store *s, const char *text)
{
    AUTO(key_done) struct key key = {0};
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    assert_ok(tgs_store_add(s, &name, clock_s(), &key));
}

static void give(struct gather *g, int i, unsigned have)
{
    struct gather_told told;
    assert_ok(gather_take(g, line[i], &told));
    assert_int_equal(told.number, i + 1);
    assert_int_equal(told.have, have);
    assert_int_equal(told.need, T);
    assert_int_equal(told.is_complete, have == T);
}

static void gather__any_threshold_of_shares_opens_what_was_sealed(void **state)
{
    static const int picks[][T] = {
        {0, 1, 2},
        {4, 2, 0},
        {3, 4, 1}
    };
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    uint64_t rows, bad;

    (void)state;
    assert_ok(tgs_store_open(&conf, DB_CREATE, &s));
    add_service(s, "chat");
    for (size_t i = 0; i < ARRAY_LEN(picks); i++) {
        AUTO(tgs_store_done) struct tgs_store *again = NULL;
        AUTO(gather_done) struct gather *g = NULL;
        shares_forget();
        assert_rc(tgs_store_open(&conf, DB_READ, &again), RC_NO_SHARES);
        assert_ok(gather_open(&place, &g));
        for (unsigned j = 0; j < T; j++)
            give(g, picks[i][j], j + 1);
        assert_ok(tgs_store_open(&conf, DB_READ, &again));
        assert_ok(tgs_store_verify(again, &rows, &bad));
        assert_int_equal(rows, 1);
        assert_int_equal(bad, 0);
    }
}

static void gather__refuses_by_name_and_keeps_what_it_has(void **state)
{
    AUTO(gather_done) struct gather *g = NULL;
    AUTO(buf_done) struct buf changed = {0};
    struct gather_told told;

    (void)state;
    shares_forget();
    assert_ok(gather_open(&place, &g));
    give(g, 1, 1);
    assert_rc(gather_take(g, line[1], &told), RC_REPEAT);
    assert_int_equal(told.number, 2);
    assert_int_equal(told.have, 1);
    assert_rc(gather_take(g, slice_text("no share"), &told), RC_MALFORMED);
    assert_int_equal(told.number, 0);
    assert_ok(buf_add(&changed, line[3]));
    changed.p[changed.n - 1] ^= 1; /* another hexadecimal digit, or none */
    assert_int_not_equal(gather_take(g, buf_slice(&changed), &told), RC_OK);
    assert_rc(gather_take(g, slice_text("4-1234"), &told), RC_NOT_US);
    assert_int_equal(told.number, 4);
    assert_rc(gather_take(g, slice_text("200-1234"), &told), RC_NOT_US);
    assert_int_equal(told.number, 200);
    give(g, 3, 2);
    assert_ok(buf_text((buf_reset(&changed), &changed), " \t"));
    assert_ok(buf_add(&changed, line[0]));
    assert_ok(buf_text(&changed, "\r\n"));
    assert_ok(gather_take(g, buf_slice(&changed), &told)); /* blanks around it */
    assert_true(told.is_complete);
    assert_rc(gather_take(g, line[4], &told), RC_REPEAT); /* no more are wanted */
}

static void gather__refuses_shares_of_another_realm_or_daemon(void **state)
{
    AUTO(gather_done) struct gather *g = NULL;
    AUTO(buf_done) struct buf other = {0};
    AUTO(shares_done) struct shares *moved = NULL;
    struct slice foreign[N];
    struct gather_told told;
    uint32_t kvno;

    (void)state;
    struct master_place as = place;
    as.daemon = "as";
    as.dir = conf.realm_state; /* elsewhere */
    assert_ok(shares_split(&as, T, N, &other, &kvno));
    split_lines(&other, foreign);
    assert_ok(gather_open(&place, &g));
    assert_rc(gather_take(g, foreign[3], &told), RC_NOT_US);
    assert_int_equal(told.number, 4);
    /* and the file of one daemon is not that of another */
    as.dir = place.dir;
    assert_rc(shares_load(&as, &moved), RC_NOT_US);
    struct master_place realm = place;
    assert_ok(name_parse(slice_text("OTHER"), &realm.realm));
    assert_rc(shares_load(&realm, &moved), RC_NOT_US);
}

static void shares_key__is_bound_to_realm_daemon_and_version(void **state)
{
    static const uint8_t secret[SHARES_SECRET] = {7};
    AUTO(shares_done) struct shares *s = NULL, *other = NULL;
    struct master_version v1 = {.kvno = 1}, v2 = {.kvno = 2};
    struct key a, b;

    (void)state;
    assert_ok(shares_new(&place, &s));
    assert_ok(shares_new(&place, &other));
    assert_ok(name_parse(slice_text("as"), &other->daemon));
    assert_ok(shares_key(s, secret, &v1, &a));
    assert_ok(shares_key(s, secret, &v2, &b));
    assert_memory_not_equal(a.bytes, b.bytes, a.n);
    assert_ok(shares_key(other, secret, &v1, &b));
    assert_memory_not_equal(a.bytes, b.bytes, a.n);
}

static void split__of_a_file_key_goes_over_to_shares_by_a_roll_over(void **state)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL, *again = NULL;
    AUTO(buf_done) struct buf out = {0};
    uint64_t done, bad;
    uint32_t kvno;

    (void)state;
    AUTO(str_done) char *shares = state_path(&conf, "tgs/master.shares");
    AUTO(str_done) char *file = state_path(&conf, "tgs/master.key");
    assert_int_equal(unlink(shares), 0); /* a realm as it is made by default */
    assert_ok(master_create(file));
    (void)snprintf(conf.tgs_master, sizeof conf.tgs_master, "file");
    assert_ok(tgs_store_open(&conf, DB_CREATE, &s));
    add_service(s, "chat");
    assert_ok(shares_split(&place, T, N, &out, &kvno));
    assert_int_equal(kvno, 2);
    assert_rc(shares_split(&place, T, N, &out, &kvno), RC_EXISTS);
    (void)snprintf(conf.tgs_master, sizeof conf.tgs_master, "shares");
    assert_ok(tgs_store_open(&conf, DB_WRITE, &again)); /* the secret is still here, and the file as well */
    struct sealed_db db = tgs_store_sealed(again);
    assert_int_equal(master_kvno(db.master), 1);
    assert_ok(master_use(&place, 2, clock_s()));
    assert_ok(sealed_rewrap(&db, NULL, NULL, &done, &bad));
    assert_int_equal(done, 1);
    assert_ok(master_purge(&place, 2));
    assert_int_equal(access(file, F_OK), -1); /* nothing of the key is on the disk any more */
    uint64_t rows;
    assert_ok(tgs_store_verify(again, &rows, &bad));
    assert_int_equal(bad, 0);
    assert_ok(master_add(&place, &kvno)); /* of the same secret */
    assert_int_equal(kvno, 3);
}

static void split__of_new_shares_does_not_disturb_who_runs(void **state)
{
    AUTO(master_done) struct master *m = NULL;
    AUTO(buf_done) struct buf out = {0};
    uint8_t secret[SHARES_SECRET];
    bool changed;
    uint32_t kvno;

    (void)state;
    assert_ok(master_open(&place, &m));
    AUTO(shares_done) struct shares *s = NULL;
    assert_ok(shares_load(&place, &s));
    memcpy(secret, shares_supplied(s->set[0].id), sizeof secret);
    assert_ok(shares_split(&place, T, N, &out, &kvno)); /* in another process: */
    shares_forget();
    assert_ok(shares_supply(s->set[0].id, secret));
    assert_ok(master_refresh(m, &changed));
    assert_true(changed);
    assert_null(master_key(m, LABEL_ROW, 2));
    assert_ok(master_use(&place, 2, clock_s()));
    assert_rc(master_refresh(m, &changed), RC_NO_SHARES); /* it must be unsealed again before that */
    assert_int_equal(master_key(m, LABEL_ROW, 0)->kvno, 1);
}

static void split__refuses_counts_that_make_no_sense(void **state)
{
    AUTO(buf_done) struct buf out = {0};
    uint32_t kvno;

    (void)state;
    assert_rc(shares_split(&place, 0, 5, &out, &kvno), RC_LIMIT);
    assert_rc(shares_split(&place, 6, 5, &out, &kvno), RC_LIMIT);
    assert_rc(shares_split(&place, 3, 256, &out, &kvno), RC_LIMIT);
    assert_int_equal(out.n, 0);
}

static void shares_load__refuses_what_is_not_the_file(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "{\"kerb_master_shares\":2,\"realm\":\"TEST\",\"daemon\":\"tgs\",\"sets\":[]}",
        "{\"kerb_master_shares\":1,\"realm\":\"TEST\",\"daemon\":\"tgs\",\"sets\":[]}",
        "{\"kerb_master_shares\":1,\"realm\":\"TEST\",\"daemon\":\"tgs\",\"sets\":[{\"id\":\"AAAA\"}]}",
        ("{\"kerb_master_shares\":1,\"realm\":\"TEST\",\"daemon\":\"tgs\",\"sets\":[{\"id\":\"AAAAAAAAAAAAAAAAAAAAAA\","
         "\"commitments\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"],\"versions\":[{\"kvno\":1,\"valid_from\":0}"
         "],"
         "\"threshold\":2}]}"),
        ("{\"kerb_master_shares\":1,\"realm\":\"TEST\",\"daemon\":\"tgs\",\"sets\":[{\"id\":\"AAAAAAAAAAAAAAAAAAAAAA\","
         "\"commitments\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"],\"versions\":[{\"kvno\":0,\"valid_from\":0}"
         "],"
         "\"threshold\":1}]}"),
    };
    AUTO(shares_done) struct shares *s = NULL;

    (void)state;
    AUTO(str_done) char *path = state_path(&conf, "tgs/master.shares");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_ok(file_write_atomic(path, slice_text(wrong[i]), 0600));
        assert_rc(shares_load(&place, &s), RC_MALFORMED);
    }
    assert_int_equal(chmod(path, 0644), 0);
    assert_rc(shares_load(&place, &s), RC_UNSAFE_FILE);
}

static void packet__reads_what_it_writes_and_refuses_the_rest(void **state)
{
    static const struct unseal_reply replies[] = {
        {RC_OK,        {4, 2, 3, false}  },
        {RC_NOT_US,    {255, 0, 3, false}},
        {RC_REPEAT,    {1, 3, 3, true}   },
        {RC_MALFORMED, {0, 0, 3, false}  }
    };
    static const char *const wrong[] = {"", "{}",
                                        "{\"code\":\"other\",\"number\":1,\"have\":1,\"need\":1,\"complete\":true}",
                                        "{\"code\":\"taken\",\"number\":256,\"have\":1,\"need\":1,\"complete\":true}"};
    struct unseal_reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        AUTO(buf_done) struct buf b = {0};
        assert_ok(unseal_reply_write(&replies[i], &b));
        assert_ok(unseal_reply_read(buf_slice(&b), &r));
        assert_int_equal(r.rc, replies[i].rc);
        assert_int_equal(r.told.number, replies[i].told.number);
        assert_int_equal(r.told.is_complete, replies[i].told.is_complete);
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_rc(unseal_reply_read(slice_text(wrong[i]), &r), RC_MALFORMED);
}

static void credential__is_read_from_its_directory_alone(void **state)
{
    AUTO(master_done) struct master *m = NULL;

    (void)state;
    AUTO(str_done) char *path = state_path(&conf, "kerb-tgs-master");
    struct master_place c = place;
    c.source = MASTER_CREDENTIAL;
    assert_ok(master_create(path));
    assert_int_equal(unsetenv(MASTER_CREDENTIALS), 0);
    assert_rc(master_open(&c, &m), RC_NO_KEY);
    assert_int_equal(setenv(MASTER_CREDENTIALS, "relative", 1), 0);
    assert_rc(master_open(&c, &m), RC_NO_KEY);
    assert_int_equal(setenv(MASTER_CREDENTIALS, conf.realm_state, 1), 0);
    assert_int_equal(chmod(path, 0404), 0);
    assert_rc(master_open(&c, &m), RC_UNSAFE_FILE);
    assert_int_equal(chmod(path, 0400), 0);
    assert_ok(master_open(&c, &m));
    assert_int_equal(master_kvno(m), 1);
    assert_int_equal(unsetenv(MASTER_CREDENTIALS), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(gather__any_threshold_of_shares_opens_what_was_sealed),
        TEST(gather__refuses_by_name_and_keeps_what_it_has),
        TEST(gather__refuses_shares_of_another_realm_or_daemon),
        TEST(shares_key__is_bound_to_realm_daemon_and_version),
        TEST(split__of_a_file_key_goes_over_to_shares_by_a_roll_over),
        TEST(split__of_new_shares_does_not_disturb_who_runs),
        TEST(split__refuses_counts_that_make_no_sense),
        TEST(shares_load__refuses_what_is_not_the_file),
        TEST(packet__reads_what_it_writes_and_refuses_the_rest),
        TEST(credential__is_read_from_its_directory_alone),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
