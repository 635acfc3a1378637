/* The feed: its texts and who can read or forge them, and teller and reader over a real inner listener. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "shared/service/feed_wire.h"
#include "tests/unit/sealing.h"
#include "tests/unit/state.h"
#include "tests/unit/tempdir.h"

static struct name realm, chat;
static struct key chat_key, other_key;

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

/* The readers that a teller knows. */
static enum rc key_of(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret)
{
    (void)ctx;
    if (!slice_eq(name_slice(reader), name_slice(&chat)))
        return RC_NO_SERVICE;
    if (kvno != chat_key.kvno)
        return RC_NO_KVNO;
    *ret = chat_key;
    return RC_OK;
}

static int start(void **state)
{
    (void)state;
    realm = named("EXAMPLE");
    chat = named("chat");
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &chat_key));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &other_key));
    return 0;
}

static struct feed_request request_of(int64_t after)
{
    struct feed_request r = {.reader = chat, .after = after, .wait = true};
    assert_ok(random_bytes(r.nonce, sizeof r.nonce));
    return r;
}

static enum rc read_request(const struct buf *text, struct feed_request *ret)
{
    AUTO(key_done) struct key key = {0};
    return feed_request_read(buf_slice(text), &realm, key_of, NULL, ret, &key);
}

static void request__comes_back_as_it_went(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct feed_request r = request_of(77), got;

    (void)state;
    assert_ok(feed_request_write(&chat_key, &realm, &r, &text));
    assert_ok(read_request(&text, &got));
    assert_int_equal(got.after, 77);
    assert_true(got.wait);
    assert_memory_equal(got.nonce, r.nonce, sizeof r.nonce);
    assert_slice(name_slice(&got.reader), "chat");
}

static void request__is_refused_from_whoever_has_no_key(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct feed_request r = request_of(77), got;
    struct name elsewhere = named("ELSEWHERE");

    (void)state;
    assert_ok(feed_request_write(&other_key, &realm, &r, &text));
    assert_rc(read_request(&text, &got), RC_MODIFIED);
    buf_reset(&text);
    assert_ok(feed_request_write(&chat_key, &elsewhere, &r, &text));
    assert_rc(read_request(&text, &got), RC_MODIFIED);
    buf_reset(&text);
    r.reader = named("mail");
    assert_ok(feed_request_write(&chat_key, &realm, &r, &text));
    assert_rc(read_request(&text, &got), RC_NO_SERVICE);
    buf_reset(&text);
    r.reader = chat;
    other_key = chat_key;
    other_key.kvno = 4;
    assert_ok(feed_request_write(&other_key, &realm, &r, &text));
    assert_rc(read_request(&text, &got), RC_NO_KVNO);
}

static void request__is_bound_to_its_number(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct feed_request r = request_of(77), got;

    (void)state;
    assert_ok(feed_request_write(&chat_key, &realm, &r, &text));
    uint8_t *number = memmem(text.p, text.n, "77", 2);
    assert_non_null(number);
    number[1] = '8';
    assert_rc(read_request(&text, &got), RC_MODIFIED);
}

static void request__is_read_strictly(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"v\":1,\"service\":\"chat\",\"feed\":\"AAAA\"}",
        "{\"v\":2,\"service\":\"chat\",\"after\":0,\"feed\":\"AAAA\"}",
        "{\"v\":1,\"service\":\"chat\",\"after\":-1,\"feed\":\"AAAA\"}",
        "{\"v\":1,\"service\":\"chat\",\"after\":\"0\",\"feed\":\"AAAA\"}",
        "{\"v\":1,\"service\":7,\"after\":0,\"feed\":\"AAAA\"}",
        "{\"v\":1,\"service\":\"chat\",\"after\":0,\"feed\":\"A+==\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_done) struct buf text = {0};
        struct feed_request got;
        assert_ok(buf_text(&text, bad[i]));
        assert_rc(read_request(&text, &got), RC_MALFORMED);
    }
}

/* One of each kind. */
static void put_all(struct feed_out *out)
{
    struct feed_item item = {
        .seq = 5, .kind = FEED_EPOCH, .epoch = 9, .client_id = {1, 2, 3}
    };

    assert_ok(feed_put(out, &item));
    item = (struct feed_item){.seq = 6, .kind = FEED_KICK, .client_id = {4}};
    assert_ok(feed_put(out, &item));
    item = (struct feed_item){.seq = 7, .kind = FEED_NOTICE, .text = slice_text("back \"soon\"\n")};
    assert_ok(feed_put(out, &item));
    item = (struct feed_item){.seq = 8, .kind = FEED_DRAIN, .text = slice_text("chat")};
    assert_ok(feed_put(out, &item));
    item = (struct feed_item){.seq = 9, .kind = FEED_SHUTDOWN, .text = slice_text("tgs")};
    assert_ok(feed_put(out, &item));
    item = (struct feed_item){.seq = 10, .kind = FEED_ROTATE, .text = slice_text("mail")};
    assert_ok(feed_put(out, &item));
    item = (struct feed_item){.seq = 11, .kind = FEED_ROTATE, .text = slice_text("chat"), .key = other_key};
    item.key.valid_from = 1780000000;
    assert_ok(feed_put(out, &item));
}

static void write_answer(const struct feed_request *r, struct buf *text)
{
    AUTO(feed_out_done) struct feed_out out;
    feed_out_start(&out);
    put_all(&out);
    assert_ok(feed_answer_write(&chat_key, &realm, r, &out, 11, text));
}

static void answer__brings_every_kind_of_item(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};
    AUTO(buf_done) struct buf text = {0};
    struct feed_request r = request_of(4);

    (void)state;
    write_answer(&r, &text);
    assert_null(memmem(text.p, text.n, "soon", 4));
    assert_ok(feed_answer_read(buf_slice(&text), &chat_key, &realm, &r, &a));
    assert_int_equal(a.n, 7);
    assert_int_equal(a.seq, 11);
    for (size_t i = 0; i < a.n; i++) {
        assert_int_equal(a.items[i].seq, 5 + (int)i);
        assert_int_equal(a.items[i].kind, i <= FEED_ROTATE ? i : FEED_ROTATE);
        assert_int_equal(a.items[i].key.n, i == 6 ? 32 : 0);
    }
    assert_int_equal(a.items[0].epoch, 9);
    assert_int_equal(a.items[0].client_id[2], 3);
    assert_int_equal(a.items[1].client_id[0], 4);
    assert_slice(a.items[2].text, "back \"soon\"\n");
    assert_slice(a.items[3].text, "chat");
    assert_slice(a.items[5].text, "mail");
    assert_int_equal(a.items[6].key.kvno, other_key.kvno);
    assert_int_equal(a.items[6].key.valid_from, 1780000000);
    assert_memory_equal(a.items[6].key.bytes, other_key.bytes, 32);
}

static void answer__belongs_to_its_request(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct feed_request r = request_of(4), later = request_of(4);

    (void)state;
    write_answer(&r, &text);
    for (int i = 0; i < 3; i++) {
        AUTO(feed_answer_done) struct feed_answer a = {0};
        const struct key *key = i == 1 ? &other_key : &chat_key;
        const struct feed_request *asked = i == 0 ? &later : &r;
        if (i == 2)
            ((uint8_t *)memmem(text.p, text.n, "11", 2))[1] = '2'; /* another sequence number */
        assert_rc(feed_answer_read(buf_slice(&text), key, &realm, asked, &a), RC_MODIFIED);
    }
}

static void answer__is_not_a_request_sent_back(void **state)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};
    AUTO(buf_done) struct buf text = {0}, turned = {0};
    struct feed_request r = request_of(4);

    (void)state;
    assert_ok(feed_request_write(&chat_key, &realm, &r, &text));
    const uint8_t *feed = memmem(text.p, text.n, "\"feed\"", 6);
    assert_ok(buf_text(&turned, "{\"v\":1,\"seq\":4,"));
    assert_ok(buf_add(&turned, slice_of(feed, text.n - (size_t)(feed - text.p))));
    assert_rc(feed_answer_read(buf_slice(&turned), &chat_key, &realm, &r, &a), RC_MALFORMED);
}

/* An answer whose items are this text. */
static enum rc read_items(const char *items)
{
    AUTO(feed_answer_done) struct feed_answer a = {0};
    AUTO(buf_done) struct buf text = {0};
    AUTO(feed_out_done) struct feed_out out;
    struct feed_request r = request_of(4);

    feed_out_start(&out);
    assert_ok(buf_text(&out.items, items));
    assert_ok(feed_answer_write(&chat_key, &realm, &r, &out, 11, &text));
    return feed_answer_read(buf_slice(&text), &chat_key, &realm, &r, &a);
}

static void answer__is_read_strictly(void **state)
{
    static const char *const bad[] = {
        "7",
        "{}",
        "{\"seq\":1,\"kind\":\"other\"}",
        "{\"kind\":\"notice\",\"text\":\"x\"}",
        "{\"seq\":1,\"kind\":\"notice\"}",
        "{\"seq\":1,\"kind\":\"kick\",\"client_id\":\"AAAA\"}",
        "{\"seq\":1,\"kind\":\"epoch\",\"client_id\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"seq\":1,\"kind\":\"epoch\",\"client_id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"epoch\":4294967296}",
        "{\"seq\":1,\"kind\":\"epoch\",\"client_id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"epoch\":-1}",
        "{\"seq\":1,\"kind\":\"rotate\",\"service\":\"chat\",\"key\":\"AAAA\",\"kvno\":1,\"valid_from\":0}",
        "{\"seq\":1,\"kind\":\"rotate\",\"service\":\"chat\",\"key\":\"AAAA\"}",
    };

    (void)state;
    assert_ok(read_items("{\"seq\":1,\"kind\":\"kick\",\"client_id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"later\":1}"));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_rc(read_items(bad[i]), RC_MALFORMED);
}

static void put__bounds_what_an_answer_holds(void **state)
{
    AUTO(feed_out_done) struct feed_out out;
    AUTO(buf_done) struct buf long_text = {0};
    struct feed_item item = {.kind = FEED_NOTICE, .text = slice_text("x")};

    (void)state;
    feed_out_start(&out);
    for (int i = 0; i < FEED_ITEMS_MAX; i++)
        assert_ok(feed_put(&out, &item));
    assert_rc(feed_put(&out, &item), RC_LIMIT);
    out.n = 0;
    assert_ok(buf_reserve(&long_text, FEED_TEXT_MAX + 1));
    memset(long_text.p, 'x', FEED_TEXT_MAX + 1);
    item.text = slice_of(long_text.p, FEED_TEXT_MAX + 1);
    assert_rc(feed_put(&out, &item), RC_LIMIT);
}

/* --- teller and reader ------------------------------------------------------------------------------------------- */

/* What the teller tells: notices 1..told. */
static struct {
    int64_t told;
    unsigned reads;
} teller;

static struct {
    pthread_mutex_t lock;
    int64_t seq;
    size_t items, calls;
    enum rc rc; /* that apply returns */
} reader = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;

static enum rc tell(void *ctx, const struct name *who, int64_t after, struct feed_out *out, int64_t *ret_seq)
{
    (void)ctx;
    assert_slice(name_slice(who), "chat");
    (void)pthread_mutex_lock(&told_lock);
    int64_t told = teller.told;
    teller.reads++;
    (void)pthread_mutex_unlock(&told_lock);
    *ret_seq = after > told ? 0 : after;
    for (int64_t seq = *ret_seq + 1; seq <= told; seq++) {
        struct feed_item item = {.seq = seq, .kind = FEED_NOTICE, .text = slice_text("hello")};
        if (feed_put(out, &item) != RC_OK)
            break;
        *ret_seq = seq;
    }
    return RC_OK;
}

static enum rc apply(void *ctx, const struct feed_item *items, size_t n, int64_t seq)
{
    (void)ctx;
    (void)pthread_mutex_lock(&reader.lock);
    reader.calls++;
    enum rc rc = reader.rc;
    if (rc == RC_OK) {
        reader.seq = seq;
        reader.items += n;
        if (n)
            assert_int_equal(items[n - 1].seq, seq);
    }
    (void)pthread_mutex_unlock(&reader.lock);
    return rc;
}

static void say(int64_t told)
{
    (void)pthread_mutex_lock(&told_lock);
    teller.told = told;
    (void)pthread_mutex_unlock(&told_lock);
}

static int64_t heard(void)
{
    (void)pthread_mutex_lock(&reader.lock);
    int64_t seq = reader.seq;
    (void)pthread_mutex_unlock(&reader.lock);
    return seq;
}

static bool comes_true(bool (*claim)(void), int ms)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    for (int64_t end_ms = clock_monotonic_ms() + ms; !claim();) {
        if (clock_monotonic_ms() > end_ms)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

/* Both ends, and the files that they need. */
static struct {
    struct tempdir dir;
    struct feed_server *server;
    struct inner *inner;
    struct inner_route route;
    struct keytab_file *keys;
    struct feed *feed;
    char address[64], asked[64]; /* of the teller; where the reader asks */
} link_;

static void open_teller(const char *listen)
{
    AUTO(buf_done) struct buf error = {0};
    const struct feed_source source = {.key = key_of, .read = tell};

    assert_ok(feed_server_open(&realm, &source, &link_.server));
    link_.route = (struct inner_route){"POST", FEED_PATH, feed_server_post, link_.server};
    assert_ok(inner_start(listen, &link_.route, 1, &link_.inner, &error));
    (void)snprintf(link_.address, sizeof link_.address, "127.0.0.1:%u", inner_port(link_.inner));
}

static void close_teller(void)
{
    feed_server_stop(link_.server);
    inner_stop(link_.inner);
    feed_server_close(link_.server);
    link_.server = NULL;
    link_.inner = NULL;
}

static void open_reader_with(const struct key *key, int64_t after)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    const char *path = tempdir_file(&link_.dir, "chat.keytab");

    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &chat, key));
    assert_ok(keytab_save(kt, path));
    assert_ok(keytab_file_open(path, &link_.keys));
    memcpy(link_.asked, link_.address, sizeof link_.asked);
    const struct feed_options options = {
        .realm = realm, .reader = chat, .address = link_.asked, .keys = link_.keys, .after = after, .apply = apply};
    assert_ok(feed_start(&options, &link_.feed));
}

static void open_reader(int64_t after)
{
    open_reader_with(&chat_key, after);
}

static int link_up(void **state)
{
    start(state);
    tempdir_make(&link_.dir);
    say(0);
    reader.seq = 0;
    reader.items = reader.calls = 0;
    reader.rc = RC_OK;
    open_teller("127.0.0.1:0");
    return 0;
}

static int link_down(void **state)
{
    (void)state;
    feed_stop(link_.feed);
    link_.feed = NULL;
    close_teller();
    keytab_file_close(link_.keys);
    link_.keys = NULL;
    tempdir_remove(&link_.dir);
    return 0;
}

static bool is_up(void)
{
    return feed_down_ms(link_.feed) == 0;
}

static bool heard_3(void)
{
    return heard() == 3;
}

static bool heard_300(void)
{
    return heard() == 300;
}

static bool heard_5(void)
{
    return heard() == 5;
}

static bool is_down(void)
{
    return feed_down_ms(link_.feed) > 0;
}

static void feed__tells_what_was_there_and_what_comes(void **state)
{
    (void)state;
    say(3);
    open_reader(0);
    assert_true(comes_true(heard_3, 2000));
    assert_true(comes_true(is_up, 2000));
    assert_ok(feed_ready(link_.feed));
    say(5);
    assert_true(comes_true(heard_5, 1000)); /* of the 2 s that a cut-off may take, over two links */
    assert_int_equal(reader.items, 5);
}

static void feed__is_up_also_when_there_is_nothing(void **state)
{
    (void)state;
    open_reader(0);
    assert_true(comes_true(is_up, 2000));
    assert_int_equal(reader.calls, 0);
}

static void feed__goes_on_where_it_stood(void **state)
{
    (void)state;
    say(5);
    open_reader(3);
    assert_true(comes_true(heard_5, 2000));
    assert_int_equal(reader.items, 2);
}

static void feed__brings_many_in_turns(void **state)
{
    (void)state;
    say(300);
    open_reader(0);
    assert_true(comes_true(heard_300, 3000));
    assert_int_equal(reader.items, 300);
    assert_int_equal(reader.calls, 3);
}

static void feed__goes_back_with_a_restored_teller(void **state)
{
    (void)state;
    say(5);
    open_reader(900);
    assert_true(comes_true(heard_5, 2000));
    assert_int_equal(reader.items, 5);
}

static void feed__tells_again_what_was_not_applied(void **state)
{
    (void)state;
    reader.rc = RC_DB;
    say(3);
    open_reader(0);
    const struct timespec pause = {.tv_nsec = 300000000};
    (void)nanosleep(&pause, NULL);
    assert_true(is_down());
    (void)pthread_mutex_lock(&reader.lock);
    reader.rc = RC_OK;
    (void)pthread_mutex_unlock(&reader.lock);
    assert_true(comes_true(heard_3, 3000));
    assert_int_equal(reader.items, 3);
}

static void feed__shows_a_link_that_is_down_and_mends_it(void **state)
{
    char address[64];

    (void)state;
    open_reader(0);
    assert_true(comes_true(is_up, 2000));
    memcpy(address, link_.asked, sizeof address);
    close_teller();
    assert_true(comes_true(is_down, 2000));
    assert_ok(feed_ready(link_.feed)); /* not yet for long */
    say(3);
    open_teller(address);
    assert_true(comes_true(heard_3, 3000));
    assert_true(comes_true(is_up, 1000));
}

static void feed__is_refused_with_another_key(void **state)
{
    (void)state;
    say(3);
    open_reader_with(&other_key, 0);
    const struct timespec pause = {.tv_nsec = 700000000};
    (void)nanosleep(&pause, NULL);
    assert_int_equal(heard(), 0);
    assert_true(is_down());
}

static void feed__stops_at_once(void **state)
{
    (void)state;
    open_reader(0);
    assert_true(comes_true(is_up, 2000)); /* a question is held by now, or soon */
    int64_t begin_ms = clock_monotonic_ms();
    feed_stop(link_.feed);
    link_.feed = NULL;
    close_teller();
    assert_true(clock_monotonic_ms() - begin_ms < 2000);
    open_teller("127.0.0.1:0");
}

int main(void)
{
#define TEXT(f) cmocka_unit_test_setup(f, start)
#define LINK(f) cmocka_unit_test_setup_teardown(f, link_up, link_down)
    const struct CMUnitTest tests[] = {
        TEXT(request__comes_back_as_it_went),
        TEXT(request__is_refused_from_whoever_has_no_key),
        TEXT(request__is_bound_to_its_number),
        TEXT(request__is_read_strictly),
        TEXT(answer__brings_every_kind_of_item),
        TEXT(answer__belongs_to_its_request),
        TEXT(answer__is_not_a_request_sent_back),
        TEXT(answer__is_read_strictly),
        TEXT(put__bounds_what_an_answer_holds),
        LINK(feed__tells_what_was_there_and_what_comes),
        LINK(feed__is_up_also_when_there_is_nothing),
        LINK(feed__goes_on_where_it_stood),
        LINK(feed__brings_many_in_turns),
        LINK(feed__goes_back_with_a_restored_teller),
        LINK(feed__tells_again_what_was_not_applied),
        LINK(feed__shows_a_link_that_is_down_and_mends_it),
        LINK(feed__is_refused_with_another_key),
        LINK(feed__stops_at_once),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
