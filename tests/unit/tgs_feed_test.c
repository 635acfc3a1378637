/* The TGS between two feeds: what it applies, what it remembers, what it tells whom. */
#include "tests/unit/unit.h"

#include "shared/service/feed_wire.h"
#include "tests/unit/boxes.h"
#include "tests/unit/tgs_world.h"
#include "tgs/feed.h"

static struct tgs_feed feed;
static struct feed_item items[8];
static size_t items_n;

static struct {
    unsigned n;
    bool grace;
} ended;

static void end_it(void *ctx, bool grace)
{
    (void)ctx;
    ended.n++;
    ended.grace = grace;
}

static int begin(void **state)
{
    start(state);
    feed = (struct tgs_feed){
        .conf = &conf, .name = env.name, .writer = store, .epochs = env.epochs, .clock = fake_clock, .end = end_it};
    assert_ok(tgs_store_open(&conf, DB_READ, &feed.teller));
    items_n = 0;
    ended.n = 0;
    return 0;
}

static int end(void **state)
{
    tgs_store_close(feed.teller);
    return stop(state);
}

static struct feed_item *item(enum feed_kind kind)
{
    struct feed_item *i = &items[items_n];
    *i = (struct feed_item){.seq = (int64_t)++items_n, .kind = kind};
    return i;
}

static void item_text(enum feed_kind kind, const char *text)
{
    item(kind)->text = slice_text(text);
}

static void raise_to(const uint8_t id[ID_LEN], uint32_t epoch)
{
    struct feed_item *i = item(FEED_EPOCH);
    memcpy(i->client_id, id, ID_LEN);
    i->epoch = epoch;
}

static enum rc apply(int64_t seq)
{
    enum rc rc = tgs_feed_apply(&feed, items, items_n, seq);
    items_n = 0;
    return rc;
}

/* What a service is told, read as it reads it. */
static void told(const char *reader, int64_t after, struct feed_answer *ret)
{
    AUTO(feed_out_done) struct feed_out out;
    AUTO(buf_done) struct buf text = {0};
    struct feed_request r = {.reader = named(reader), .after = after};
    int64_t seq;

    feed_answer_done(ret);
    *ret = (struct feed_answer){0};
    feed_out_start(&out);
    assert_ok(tgs_feed_read(&feed, &r.reader, after, &out, &seq));
    assert_ok(feed_answer_write(&chat, &conf.realm, &r, &out, seq, &text));
    assert_ok(feed_answer_read(buf_slice(&text), &chat, &conf.realm, &r, ret));
}

static enum rc ask(void)
{
    AUTO(buf_done) struct buf ticket = {0}, box = {0}, text = {0};
    struct tgs_rep rep = {0};

    seal_tgt(&ticket);
    assert_ok(buf_printf(&text, "{\"user_name\": \"alice\", \"timestamp\": \"%s\"}", stamp_of(now_s)));
    box_of(tgt.session.bytes, buf_cstr(&text), &box);
    const struct tgs_req req = {
        .profile = ETYPE_AES128_CBC,
        .authenticator = buf_slice(&box),
        .tgs_ticket = buf_slice(&ticket),
        .service = slice_text("chat"),
        .address = "192.0.2.7",
        .op_id = "op",
    };
    enum rc rc = tgs_serve(&env, &req, &rep);
    buf_done(&rep.body);
    return rc;
}

/* --- epochs --- */

static void epochs__refuse_tickets_of_before(void **state)
{
    (void)state;
    assert_ok(ask()); /* the TGT's epoch is 5 */
    raise_to(tgt.client_id, 5);
    assert_ok(apply(1));
    assert_ok(ask());
    raise_to(tgt.client_id, 6);
    assert_ok(apply(2));
    assert_rc(ask(), RC_CUT_OFF);
    assert_string_equal(rc_wire(RC_CUT_OFF), "KRB_AP_ERR_TKT_EXPIRED");
    assert_true(audited.has_tgt);
    tgt.epoch = 6;
    assert_ok(ask());
}

static void epochs__concern_one_client_alone(void **state)
{
    uint8_t other[ID_LEN] = {7};

    (void)state;
    raise_to(other, 4000000000U);
    assert_ok(apply(1));
    assert_ok(ask());
    assert_int_equal(tgs_epochs_of(env.epochs, other), 4000000000U);
}

static void epochs__never_go_down(void **state)
{
    (void)state;
    raise_to(tgt.client_id, 9);
    raise_to(tgt.client_id, 3);
    assert_ok(apply(2));
    assert_int_equal(tgs_epochs_of(env.epochs, tgt.client_id), 9);
    assert_int_equal(state_sql_int(&conf, "tgs/tgs.db", "SELECT epoch FROM epoch"), 9);
}

static void epochs__outlive_the_process(void **state)
{
    int64_t after;

    (void)state;
    raise_to(tgt.client_id, 6);
    assert_ok(apply(17));
    tgs_epochs_free(env.epochs);
    assert_ok(tgs_epochs_new(&env.epochs));
    feed.epochs = env.epochs;
    assert_ok(ask());
    assert_ok(tgs_feed_load(&feed, &after));
    assert_int_equal(after, 17);
    assert_rc(ask(), RC_CUT_OFF);
}

static void epochs__cut_off_renewal_too(void **state)
{
    (void)state;
    fill_tgt(ETYPE_AES128_CBC_HS256);
    raise_to(tgt.client_id, 6);
    assert_ok(apply(1));
    AUTO(buf_done) struct buf body = {0}, text = {0};
    assert_ok(buf_text(&text, "{\"service\":\"tgs\",\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"options\":[\"renew\"]}"));
    assert_ok(base64url_encode(buf_slice(&text), &body));
    buf_reset(&text);
    assert_ok(buf_text(&text, "{\"v\":1,\"authenticator\":\"AAAA\",\"tgt\":\""));
    seal_tgt(&text);
    assert_ok(buf_printf(&text, "\",\"body\":\"%s\"}", buf_cstr(&body)));
    assert_int_equal(post(buf_cstr(&text), NULL), 401);
    assert_rc(audited.rc, RC_CUT_OFF);
}

static void epochs__are_forgotten_when_no_ticket_can_be_that_old(void **state)
{
    (void)state;
    raise_to(tgt.client_id, 6);
    assert_ok(apply(1));
    now_s += TGS_FEED_KEEP_S;
    assert_ok(apply(2));
    assert_int_equal(state_sql_int(&conf, "tgs/tgs.db", "SELECT count(*) FROM epoch"), 1);
    now_s++;
    assert_ok(apply(3));
    assert_int_equal(state_sql_int(&conf, "tgs/tgs.db", "SELECT count(*) FROM epoch"), 0);
}

/* --- telling on --- */

static void feed__is_told_on(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};

    (void)state;
    raise_to(tgt.client_id, 6);
    memcpy(item(FEED_KICK)->client_id, tgt.client_id, ID_LEN);
    item_text(FEED_NOTICE, "soon");
    item_text(FEED_DRAIN, "chat");
    assert_ok(apply(40));
    told("chat", 0, &a);
    assert_int_equal(a.n, 4);
    assert_int_equal(a.items[0].epoch, 6);
    assert_memory_equal(a.items[1].client_id, tgt.client_id, ID_LEN);
    assert_slice(a.items[2].text, "soon");
    assert_slice(a.items[3].text, "chat");
    assert_int_equal(a.items[3].seq, a.seq); /* our own numbers, not the AS's */
    told("chat", a.seq, &a);
    assert_int_equal(a.n, 0);
}

static void feed__forgets_orders_and_keeps_epochs(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};

    (void)state;
    raise_to(tgt.client_id, 6);
    item(FEED_KICK);
    item_text(FEED_SHUTDOWN, "chat");
    assert_ok(apply(3));
    now_s += TGS_FEED_ORDER_S;
    told("chat", 0, &a);
    assert_int_equal(a.n, 3);
    now_s++; /* a service that comes back now was not meant */
    told("chat", 0, &a);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.items[0].kind, FEED_EPOCH);
    assert_int_equal(a.seq, 3);
}

static void feed__starts_again_when_the_file_was_restored(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};

    (void)state;
    raise_to(tgt.client_id, 6);
    assert_ok(apply(1));
    told("chat", 900, &a);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.seq, 1);
}

static void feed__keeps_all_or_nothing(void **state)
{
    int64_t seq;
    AUTO(buf_done) struct buf long_text = {0};

    (void)state;
    assert_ok(buf_reserve(&long_text, FEED_TEXT_MAX + 1));
    memset(long_text.p, 'x', FEED_TEXT_MAX + 1);
    raise_to(tgt.client_id, 6);
    item(FEED_NOTICE)->text = slice_of(long_text.p, FEED_TEXT_MAX + 1);
    assert_rc(apply(9), RC_LIMIT);
    assert_int_equal(state_sql_int(&conf, "tgs/tgs.db", "SELECT count(*) FROM epoch"), 0);
    assert_ok(tgs_store_position(store, &seq));
    assert_int_equal(seq, 0);
    assert_ok(ask());
}

static void feed__ends_this_daemon_when_it_is_named(void **state)
{
    (void)state;
    item_text(FEED_DRAIN, "chat");
    assert_ok(apply(1));
    assert_int_equal(ended.n, 0);
    item_text(FEED_DRAIN, "tgs");
    assert_ok(apply(2));
    assert_int_equal(ended.n, 1);
    assert_true(ended.grace);
    item_text(FEED_SHUTDOWN, "tgs");
    assert_ok(apply(3));
    assert_false(ended.grace);
}

/* --- keys --- */

static void rotate__makes_a_key_and_tells_it_to_its_service_alone(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};
    AUTO(key_done) struct key key = {0};
    struct name mail = named("mail"), chat_name = named("chat");

    (void)state;
    assert_ok(tgs_store_add(store, &mail, NOW, &key));
    item_text(FEED_ROTATE, "chat");
    assert_ok(apply(1));
    told("mail", 0, &a);
    assert_int_equal(a.n, 0);
    told("chat", 0, &a);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.items[0].key.kvno, 2);
    assert_int_equal(a.items[0].key.valid_from, NOW + conf.policy_keytab_delay);
    assert_ok(tgs_feed_key(&feed, &chat_name, 2, &key));
    assert_memory_equal(a.items[0].key.bytes, key.bytes, 32);
    assert_ok(tgs_store_target(store, &chat_name, NOW, &key)); /* not yet in use */
    assert_int_equal(key.kvno, 1);
    assert_ok(tgs_store_target(store, &chat_name, NOW + conf.policy_keytab_delay, &key));
    assert_int_equal(key.kvno, 2);
}

static void rotate__by_kerbadm_is_told_too(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};
    AUTO(key_done) struct key key = {0};
    struct name chat_name = named("chat");
    unsigned n;

    (void)state;
    assert_ok(tgs_store_rotate(store, &chat_name, NOW + 60, NOW, &key));
    assert_ok(tgs_store_rotate(store, &chat_name, NOW + 90, NOW, &key));
    told("chat", 0, &a);
    assert_int_equal(a.n, 2);
    assert_memory_equal(a.items[1].key.bytes, key.bytes, 32);
    assert_ok(tgs_store_purge(store, &chat_name, NOW + 90, &n)); /* 1 and 2 */
    told("chat", 0, &a);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.items[0].key.kvno, 3);
}

static void rotate__deletes_what_no_ticket_can_need(void **state)
{
    struct key key;
    struct name chat_name = named("chat");

    (void)state;
    item_text(FEED_ROTATE, "chat"); /* 2 is used from NOW + 60 */
    assert_ok(apply(1));
    now_s += conf.policy_keytab_delay + conf_service_ticket_s(&conf) - 1;
    item_text(FEED_ROTATE, "chat");
    assert_ok(apply(2));
    assert_ok(tgs_feed_key(&feed, &chat_name, 1, &key));
    now_s++;
    item_text(FEED_ROTATE, "chat");
    assert_ok(apply(3));
    assert_rc(tgs_feed_key(&feed, &chat_name, 1, &key), RC_NO_KVNO);
    assert_ok(tgs_feed_key(&feed, &chat_name, 2, &key)); /* in use until 3 is */
}

static void rotate__passes_over_what_it_cannot_do(void **state)
{
    struct key key;
    struct name own = named("kerb/admin");

    (void)state;
    assert_ok(tgs_store_add(store, &own, NOW, &key));
    item_text(FEED_ROTATE, "mail");
    item_text(FEED_ROTATE, "kerb/admin");
    item_text(FEED_ROTATE, "");
    raise_to(tgt.client_id, 6); /* what stands behind comes through */
    assert_ok(apply(4));
    assert_int_equal(state_sql_int(&conf, "tgs/tgs.db", "SELECT max(kvno) FROM service_key"), 1);
    assert_rc(ask(), RC_CUT_OFF);
}

static void rotate__brings_the_next_tgs_key(void **state)
{
    AUTO(key_done) struct key next = {0};
    bool changed;

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 4, NOW + 60, &next));
    struct feed_item *i = item(FEED_ROTATE);
    i->text = slice_text("tgs");
    i->key = next;
    assert_ok(apply(1));
    assert_ok(keytab_file_refresh(env.keys, false, &changed));
    assert_true(changed);
    assert_ok(ask()); /* under version 3 */
    tgs = next;
    assert_ok(ask());

    i = item(FEED_ROTATE); /* told once more */
    i->text = slice_text("tgs");
    i->key = next;
    assert_ok(apply(2));
    assert_int_equal(state_sql_int(&conf, "tgs/tgs.db", "SELECT count(*) FROM feed"), 0);
}

static void key__is_of_the_version_asked_for(void **state)
{
    AUTO(key_done) struct key key = {0};
    struct name chat_name = named("chat"), mail = named("mail");

    (void)state;
    assert_ok(tgs_feed_key(&feed, &chat_name, 1, &key));
    assert_memory_equal(key.bytes, chat.bytes, 32);
    assert_rc(tgs_feed_key(&feed, &chat_name, 2, &key), RC_NO_KVNO);
    assert_rc(tgs_feed_key(&feed, &mail, 1, &key), RC_NO_KVNO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(epochs__refuse_tickets_of_before),
        TEST(epochs__concern_one_client_alone),
        TEST(epochs__never_go_down),
        TEST(epochs__outlive_the_process),
        TEST(epochs__cut_off_renewal_too),
        TEST(epochs__are_forgotten_when_no_ticket_can_be_that_old),
        TEST(feed__is_told_on),
        TEST(feed__forgets_orders_and_keeps_epochs),
        TEST(feed__starts_again_when_the_file_was_restored),
        TEST(feed__keeps_all_or_nothing),
        TEST(feed__ends_this_daemon_when_it_is_named),
        TEST(rotate__makes_a_key_and_tells_it_to_its_service_alone),
        TEST(rotate__by_kerbadm_is_told_too),
        TEST(rotate__deletes_what_no_ticket_can_need),
        TEST(rotate__passes_over_what_it_cannot_do),
        TEST(rotate__brings_the_next_tgs_key),
        TEST(key__is_of_the_version_asked_for),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
