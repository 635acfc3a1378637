/* The TGS's store: what is refused, what is bound to what, and which key version is used when. */
#include "tests/unit/unit.h"

#include "tests/unit/state.h"
#include "tgs/store.h"

static struct conf conf;
static struct tgs_store *store;

static int start(void **state)
{
    (void)state;
    state_make(&conf, "tgs");
    assert_ok(tgs_store_open(&conf, DB_CREATE, &store));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tgs_store_close(store);
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
    assert_ok(tgs_store_add(store, &name, 1000, ret));
}

/* Runs SQL on the file behind the store's back. */
static void meddle(const char *sql)
{
    state_sql(&conf, "tgs/tgs.db", sql);
}

static enum rc target(const char *text, int64_t now_s, struct key *ret)
{
    struct name name = named(text);
    return tgs_store_target(store, &name, now_s, ret);
}

static void add__makes_a_service_with_a_random_key(void **state)
{
    struct key made, other, got;
    struct tgs_service svc;
    struct name chat = named("chat");

    (void)state;
    add("chat", &made);
    add("mail", &other);
    assert_int_equal(made.etype, ETYPE_AES128_CBC_HS256);
    assert_int_equal(made.kvno, 1);
    assert_memory_not_equal(made.bytes, other.bytes, 32);
    assert_ok(tgs_store_find(store, &chat, &svc));
    assert_int_equal(svc.kvno, 1);
    assert_int_equal(svc.created_s, 1000);
    assert_ok(tgs_store_key(store, &svc, 1000, &got));
    assert_memory_equal(got.bytes, made.bytes, 32);
    assert_ok(target("chat", 1000, &got));
    assert_memory_equal(got.bytes, made.bytes, 32);
}

static void add__refuses_names_that_differ_in_case_only(void **state)
{
    struct key key;
    struct name upper = named("CHAT"), same = named("chat");

    (void)state;
    add("chat", &key);
    assert_rc(tgs_store_add(store, &same, 1, &key), RC_EXISTS);
    assert_rc(tgs_store_add(store, &upper, 1, &key), RC_EXISTS);
}

static void target__tells_what_is_not_there(void **state)
{
    struct key key;

    (void)state;
    add("chat", &key);
    assert_rc(target("mail", 1000, &key), RC_NO_SERVICE);
    assert_rc(target("Chat", 1000, &key), RC_NO_SERVICE);
    assert_rc(target("chat", 999, &key), RC_NO_KEY);
    meddle("UPDATE service SET disabled = 1");
    assert_rc(target("chat", 1000, &key), RC_SERVICE_DISABLED);
}

static void key_row__does_not_open_for_another_service_or_version(void **state)
{
    struct key key;

    (void)state;
    add("chat", &key);
    add("mail", &key);
    add("news", &key);
    meddle("UPDATE service_key SET sealed = (SELECT sealed FROM service_key k JOIN service s ON s.id = k.service"
           " WHERE s.name = 'mail') WHERE service = (SELECT id FROM service WHERE name = 'chat');"
           "UPDATE service_key SET kvno = 2 WHERE service = (SELECT id FROM service WHERE name = 'news')");
    assert_rc(target("chat", 1000, &key), RC_BAD_ROW);
    assert_rc(target("news", 1000, &key), RC_BAD_ROW);
    assert_ok(target("mail", 1000, &key));
    meddle("UPDATE service SET name = 'other' WHERE name = 'mail'");
    assert_rc(target("other", 1000, &key), RC_BAD_ROW);
}

static void rotate__is_used_from_its_time_on(void **state)
{
    struct key one, two, got;
    struct name chat = named("chat"), mail = named("mail");
    struct tgs_service svc;

    (void)state;
    add("chat", &one);
    assert_ok(tgs_store_rotate(store, &chat, 2000, 1000, &two));
    assert_int_equal(two.kvno, 2);
    assert_ok(target("chat", 1999, &got));
    assert_memory_equal(got.bytes, one.bytes, 32);
    assert_ok(target("chat", 2000, &got));
    assert_memory_equal(got.bytes, two.bytes, 32);
    assert_int_equal(got.valid_from, 2000);
    assert_ok(tgs_store_find(store, &chat, &svc));
    assert_int_equal(svc.kvno, 2);
    assert_int_equal(svc.key_from_s, 2000);
    assert_ok(tgs_store_key(store, &svc, 1999, &got));
    assert_int_equal(got.kvno, 1);
    assert_rc(tgs_store_rotate(store, &mail, 2000, 1000, &two), RC_NO_SERVICE);
}

static void export__gives_all_versions(void **state)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    struct key one, two;
    struct name chat = named("chat"), mail = named("mail");

    (void)state;
    add("chat", &one);
    assert_ok(tgs_store_rotate(store, &chat, 2000, 1000, &two));
    assert_ok(keytab_new(&kt));
    assert_rc(tgs_store_export(store, &mail, kt), RC_NO_SERVICE);
    assert_ok(tgs_store_export(store, &chat, kt));
    const struct key *k1 = keytab_find(kt, &chat, ETYPE_AES128_CBC_HS256, 1);
    const struct key *k2 = keytab_find(kt, &chat, ETYPE_AES128_CBC_HS256, 2);
    assert_non_null(k1);
    assert_non_null(k2);
    assert_memory_equal(k1->bytes, one.bytes, 32);
    assert_memory_equal(k2->bytes, two.bytes, 32);
    assert_int_equal(k2->valid_from, 2000);
}

static enum rc collect(void *ctx, const struct tgs_service *svc)
{
    assert_ok(buf_add(ctx, name_slice(&svc->name)));
    return buf_byte(ctx, ' ');
}

static void rotate__gives_a_later_version_a_later_second(void **state)
{
    struct key key;
    struct tgs_service svc;
    struct name chat = named("chat");

    (void)state;
    add("chat", &key);
    assert_ok(tgs_store_rotate(store, &chat, 2000, 1000, &key));
    assert_int_equal(key.valid_from, 2000);
    assert_ok(tgs_store_rotate(store, &chat, 1500, 1000, &key)); /* keytab_delay was made shorter meanwhile */
    assert_int_equal(key.valid_from, 2001);
    assert_ok(tgs_store_find(store, &chat, &svc));
    assert_int_equal(svc.kvno, 3);
    assert_int_equal(svc.key_from_s, 2001);
}

static void purge__drops_what_is_out_of_use_for_so_long(void **state)
{
    struct key key;
    struct name chat = named("chat"), mail = named("mail");
    unsigned n;

    (void)state;
    add("chat", &key);
    add("mail", &key);
    assert_ok(tgs_store_rotate(store, &chat, 2000, 1000, &key));
    assert_ok(tgs_store_rotate(store, &chat, 3000, 1000, &key));
    assert_ok(tgs_store_purge(store, &chat, 1999, &n)); /* 1 is in use until 2000 */
    assert_int_equal(n, 0);
    assert_ok(tgs_store_purge(store, &chat, 2000, &n));
    assert_int_equal(n, 1);
    assert_rc(tgs_store_key_version(store, &chat, 1, &key), RC_NO_KVNO);
    assert_ok(tgs_store_key_version(store, &chat, 2, &key));
    assert_ok(tgs_store_purge(store, &chat, INT64_MAX, &n)); /* the newest stays whatever happens */
    assert_int_equal(n, 1);
    assert_ok(tgs_store_key_version(store, &chat, 3, &key));
    assert_ok(tgs_store_key_version(store, &mail, 1, &key)); /* another service's are not touched */
    assert_rc(tgs_store_purge(store, &(struct name){.n = 1, .s = "x"}, 1, &n), RC_NO_SERVICE);
}

static void open__brings_a_file_of_the_first_version_up_to_date(void **state)
{
    struct tgs_store *again = NULL;
    struct key key;
    int64_t seq;

    (void)state;
    add("chat", &key);
    tgs_store_close(store);
    store = NULL;
    meddle("DROP TABLE epoch; DROP TABLE feed; DROP TABLE feed_position; PRAGMA user_version = 1");
    assert_int_not_equal(tgs_store_open(&conf, DB_READ, &again), RC_OK);
    assert_ok(tgs_store_open(&conf, DB_WRITE, &store));
    assert_ok(tgs_store_position(store, &seq));
    assert_int_equal(seq, 0);
    assert_ok(target("chat", 1000, &key));
}

static void each__walks_in_order_of_name(void **state)
{
    AUTO(buf_done) struct buf seen = {0};
    struct key key;
    struct name chat = named("chat");

    (void)state;
    add("mail", &key);
    add("chat", &key);
    assert_ok(tgs_store_rotate(store, &chat, 2000, 1000, &key));
    assert_ok(tgs_store_each(store, collect, &seen));
    assert_slice(buf_slice(&seen), "chat mail ");
}

static void verify__counts_rows_that_do_not_open(void **state)
{
    struct key key;
    uint64_t rows, bad;

    (void)state;
    add("chat", &key);
    add("mail", &key);
    assert_ok(tgs_store_verify(store, &rows, &bad));
    assert_int_equal(rows, 2);
    assert_int_equal(bad, 0);
    meddle("UPDATE service_key SET kvno = 7 WHERE service = (SELECT id FROM service WHERE name = 'mail')");
    assert_ok(tgs_store_verify(store, &rows, &bad));
    assert_int_equal(rows, 2);
    assert_int_equal(bad, 1);
}

static void open__reads_what_was_written_but_writes_nothing(void **state)
{
    AUTO(tgs_store_done) struct tgs_store *reader = NULL;
    struct key key;
    struct name chat = named("chat"), mail = named("mail");

    (void)state;
    add("chat", &key);
    assert_ok(tgs_store_open(&conf, DB_READ, &reader));
    assert_ok(tgs_store_target(reader, &chat, 1000, &key));
    assert_rc(tgs_store_add(reader, &mail, 1, &key), RC_DB);
}

static void open__refuses_what_it_cannot_trust(void **state)
{
    struct tgs_store *again = NULL;

    (void)state;
    tgs_store_close(store);
    store = NULL;
    meddle("PRAGMA user_version = 99");
    assert_rc(tgs_store_open(&conf, DB_READ, &again), RC_DB_NEWER);
    assert_rc(tgs_store_open(&conf, DB_WRITE, &again), RC_DB_NEWER);
    meddle("PRAGMA user_version = 2; PRAGMA application_id = 7");
    assert_rc(tgs_store_open(&conf, DB_READ, &again), RC_DB_FOREIGN);
    meddle("PRAGMA application_id = 1800685361");
    state_chmod(&conf, "tgs/master.key", 0604);
    assert_rc(tgs_store_open(&conf, DB_READ, &again), RC_UNSAFE_FILE);
    state_chmod(&conf, "tgs/master.key", 0600);
    assert_ok(tgs_store_open(&conf, DB_READ, &store));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(add__makes_a_service_with_a_random_key),
        TEST(add__refuses_names_that_differ_in_case_only),
        TEST(target__tells_what_is_not_there),
        TEST(key_row__does_not_open_for_another_service_or_version),
        TEST(rotate__is_used_from_its_time_on),
        TEST(export__gives_all_versions),
        TEST(rotate__gives_a_later_version_a_later_second),
        TEST(purge__drops_what_is_out_of_use_for_so_long),
        TEST(open__brings_a_file_of_the_first_version_up_to_date),
        TEST(each__walks_in_order_of_name),
        TEST(verify__counts_rows_that_do_not_open),
        TEST(open__reads_what_was_written_but_writes_nothing),
        TEST(open__refuses_what_it_cannot_trust),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
