/* Roll-over of a master key: versions come, seal, and go, and rows follow them. */
#include "as/store.h"
#include "shared/unseal/place.h"
#include "tests/unit/state.h"
#include "tgs/store.h"

#define SERVICES (REWRAP_ROWS + 20) /* more than one transaction */

static struct conf conf;
static struct master_place place;

static int setup_for(const char *daemon)
{
    state_make(&conf, daemon);
    assert_int_equal(name_parse(slice_text("TEST"), &conf.realm), RC_OK);
    assert_ok(master_place_of(&conf, daemon, &place));
    return 0;
}

static int setup_tgs(void **state)
{
    (void)state;
    return setup_for("tgs");
}

static int setup_as(void **state)
{
    (void)state;
    return setup_for("as");
}

static int teardown(void **state)
{
    (void)state;
    master_place_done(&place);
    state_remove(&conf);
    return 0;
}

static struct name named(const char *text)
{
    struct name n;
    assert_ok(name_parse(slice_text(text), &n));
    return n;
}

static void add_service(struct tgs_store *s, const char *text)
{
    AUTO(key_done) struct key key = {0};
    struct name name = named(text);
    assert_ok(tgs_store_add(s, &name, clock_s(), &key));
}

static void add_services(struct tgs_store *s, int n)
{
    char text[16];
    for (int i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "s%d", i);
        add_service(s, text);
    }
}

static uint64_t rows_under(struct sealed_db db, uint32_t kvno)
{
    struct sealed_counts counts = {0};
    assert_ok(sealed_count(&db, &counts));
    return sealed_counts_of(&counts, kvno);
}

/* The next version, in use. */
static uint32_t roll(void)
{
    uint32_t kvno;
    assert_ok(master_add(&place, &kvno));
    assert_ok(master_use(&place, kvno, clock_s()));
    return kvno;
}

static void master_add__makes_a_version_that_seals_only_when_used(void **state)
{
    AUTO(master_done) struct master *m = NULL;
    struct master_list l;
    uint32_t kvno;

    (void)state;
    assert_ok(master_open(&place, &m));
    assert_ok(master_add(&place, &kvno));
    assert_int_equal(kvno, 2);
    assert_int_equal(master_key(m, LABEL_ROW, 0)->kvno, 1);
    assert_non_null(master_key(m, LABEL_ROW, 2)); /* it opens already */
    assert_rc(master_use(&place, 3, clock_s()), RC_NO_KVNO);
    assert_rc(master_use(&place, 1, clock_s()), RC_EXISTS);
    assert_ok(master_use(&place, 2, clock_s()));
    assert_int_equal(master_key(m, LABEL_ROW, 0)->kvno, 2); /* at once, without a restart */
    assert_rc(master_use(&place, 2, clock_s()), RC_EXISTS);
    assert_ok(master_list(&place, &l));
    assert_int_equal(l.n, 2);
    assert_int_equal(master_list_current(&l, clock_s()), 2);
}

static void master_purge__keeps_the_version_and_what_is_newer(void **state)
{
    AUTO(master_done) struct master *m = NULL;
    struct master_list l;
    bool changed;

    (void)state;
    assert_int_equal(roll(), 2);
    assert_int_equal(roll(), 3);
    assert_ok(master_open(&place, &m));
    assert_rc(master_purge(&place, 9), RC_NO_KVNO);
    assert_ok(master_purge(&place, 2));
    assert_ok(master_list(&place, &l));
    assert_int_equal(l.n, 2);
    assert_int_equal(l.version[0].kvno, 2);
    assert_ok(master_refresh(m, &changed));
    assert_true(changed);
    assert_null(master_key(m, LABEL_ROW, 1));
    assert_non_null(master_key(m, LABEL_MESSAGE, 2));
}

static void master_refresh__of_a_bad_file_keeps_the_old_keys(void **state)
{
    AUTO(master_done) struct master *m = NULL;
    bool changed;

    (void)state;
    assert_ok(master_open(&place, &m));
    state_chmod(&conf, "tgs/master.key", 0644);
    assert_rc(master_refresh(m, &changed), RC_UNSAFE_FILE);
    assert_false(changed);
    assert_rc(master_refresh(m, &changed), RC_UNSAFE_FILE);
    assert_int_equal(master_key(m, LABEL_ROW, 0)->kvno, 1);
    state_chmod(&conf, "tgs/master.key", 0600);
    assert_ok(master_refresh(m, &changed));
    assert_true(changed);
}

static bool only_once(void *ctx)
{
    int *left = ctx;
    return (*left)-- > 0;
}

static void rewrap__goes_on_where_it_was_stopped(void **state)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL, *daemon = NULL;
    uint64_t done, bad;
    int once = 1;

    (void)state;
    assert_ok(tgs_store_open(&conf, DB_CREATE, &s));
    add_services(s, SERVICES);
    assert_ok(tgs_store_open(&conf, DB_READ, &daemon));
    assert_int_equal(roll(), 2);
    struct sealed_db db = tgs_store_sealed(s);
    assert_rc(sealed_rewrap(&db, only_once, &once, &done, &bad), RC_STOPPED);
    assert_int_equal(done, REWRAP_ROWS);
    assert_int_equal(rows_under(db, 1), SERVICES - REWRAP_ROWS);
    assert_int_equal(rows_under(db, 2), REWRAP_ROWS);
    assert_ok(sealed_rewrap(&db, NULL, NULL, &done, &bad));
    assert_int_equal(done, SERVICES - REWRAP_ROWS);
    assert_int_equal(bad, 0);
    assert_int_equal(rows_under(db, 1), 0);
    assert_ok(sealed_rewrap(&db, NULL, NULL, &done, &bad));
    assert_int_equal(done, 0);
    uint64_t rows;
    assert_ok(tgs_store_verify(daemon, &rows, &bad)); /* opened before the roll-over */
    assert_int_equal(rows, SERVICES);
    assert_int_equal(bad, 0);
}

static void rewrap__leaves_a_row_that_does_not_open(void **state)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    uint64_t done, bad;

    (void)state;
    assert_ok(tgs_store_open(&conf, DB_CREATE, &s));
    add_services(s, 3);
    state_sql(&conf, "tgs/tgs.db",
              "UPDATE service_key SET sealed = CAST(substr(sealed, 1, 30) || x'00' AS BLOB) WHERE service = 2");
    assert_int_equal(roll(), 2);
    struct sealed_db db = tgs_store_sealed(s);
    assert_ok(sealed_rewrap(&db, NULL, NULL, &done, &bad));
    assert_int_equal(done, 2);
    assert_int_equal(bad, 1);
    assert_int_equal(rows_under(db, 1), 1); /* so that nobody purges version 1 */
}

static void a_store__seals_under_the_new_version_without_being_opened_again(void **state)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;

    (void)state;
    assert_ok(tgs_store_open(&conf, DB_CREATE, &s));
    add_service(s, "before");
    assert_int_equal(roll(), 2);
    add_service(s, "after");
    assert_int_equal(rows_under(tgs_store_sealed(s), 1), 1);
    assert_int_equal(rows_under(tgs_store_sealed(s), 2), 1);
}

static void add_user(struct as_store *s, const char *text)
{
    AUTO(as_keys_done) struct as_keys keys = {.params = {.iterations = 200000}};
    struct name name = named(text);

    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &keys.sealed));
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &keys.classic));
    assert_ok(as_store_add(s, &name, &keys, clock_s()));
}

static void rewrap__of_the_as_takes_users_tgs_keys_and_codes(void **state)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(onecode_done) struct onecode code = {0};
    AUTO(key_done) struct key tgs = {0}, key = {0};
    struct name alice = named("alice");
    uint8_t id[ONECODE_ID_LEN];
    struct as_code found;
    uint64_t done, bad, rows;

    (void)state;
    assert_ok(as_store_open(&conf, DB_CREATE, &s));
    add_user(s, "alice");
    add_user(s, "bob");
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &tgs));
    assert_ok(as_store_add_tgs_key(s, &tgs));
    assert_ok(as_store_code_make(s, AS_CODE_RESET, &alice, clock_s(), &code));
    struct sealed_db db = as_store_sealed(s);
    uint64_t all = rows_under(db, 1);
    assert_int_equal(all, 4 + 2 + 1 + 1); /* and the decoy's two */
    assert_int_equal(roll(), 2);
    assert_ok(sealed_rewrap(&db, NULL, NULL, &done, &bad));
    assert_int_equal(done, all);
    assert_int_equal(rows_under(db, 1), 0);
    assert_ok(master_purge(&place, 2));
    assert_ok(as_store_verify(s, &rows, &bad));
    assert_int_equal(rows, all);
    assert_int_equal(bad, 0);
    assert_ok(onecode_id(&code, id));
    assert_ok(as_store_code_find(s, id, clock_s(), &found, &key));
    assert_slice(name_slice(&found.name), "alice");
}

#define TGS(f) cmocka_unit_test_setup_teardown(f, setup_tgs, teardown)
#define AS(f)  cmocka_unit_test_setup_teardown(f, setup_as, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TGS(master_add__makes_a_version_that_seals_only_when_used),
        TGS(master_purge__keeps_the_version_and_what_is_newer),
        TGS(master_refresh__of_a_bad_file_keeps_the_old_keys),
        TGS(rewrap__goes_on_where_it_was_stopped),
        TGS(rewrap__leaves_a_row_that_does_not_open),
        TGS(a_store__seals_under_the_new_version_without_being_opened_again),
        AS(rewrap__of_the_as_takes_users_tgs_keys_and_codes),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
