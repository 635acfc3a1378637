/*
 * The feed between daemons. The first byte chooses: a request or an answer, from the wire or sealed here. Of what is
 * sealed, the first line is the number beside the envelope.
 */
#include "shared/service/feed_wire.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

static struct key key;
static struct name realm, reader;
static struct feed_request asked;

void fuzz_open(void)
{
    fuzz_key(ETYPE_AES128_CBC_HS256, 4, &key);
    realm = fuzz_name("KERB");
    reader = fuzz_name("chat");
    asked = (struct feed_request){
        .reader = reader, .after = 7, .nonce = {1, 2, 3}
    };
}

static enum rc key_of(void *ctx, const struct name *who, uint32_t kvno, struct key *ret)
{
    (void)ctx;
    if (!slice_eq(name_slice(who), name_slice(&reader)) || kvno != key.kvno)
        return RC_NO_KVNO;
    *ret = key;
    return RC_OK;
}

/* {"v":1, NUMBER, "feed": E(plain)}, as the other side writes it. */
static void seal(const char *number_name, struct slice plain, struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};
    AUTO(buf_done) struct buf envelope = {0};
    uint8_t context[8];
    uint64_t number = 0;

    struct slice line = fuzz_line(&plain);
    (void)!parse_u64(line, INT64_MAX, &number);
    put_u64be(context, number);
    const struct envelope_aad aad = {
        .realm = name_slice(&realm), .server = name_slice(&reader), .context = SLICE(context)};
    CHECK_OK(envelope_derive(&key, LABEL_EPOCHS, &derived));
    CHECK_OK(envelope_seal(&derived, &aad, plain, &envelope));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "service", name_slice(&reader));
    jw_int(&w, number_name, (int64_t)number);
    jw_base64url(&w, "feed", buf_slice(&envelope));
    jw_close(&w, '}');
    CHECK_OK(jw_end(&w));
}

static void read_request(struct slice text)
{
    AUTO(buf_done) struct buf again = {0};
    AUTO(key_done) struct key found = {0}, same = {0};
    struct feed_request r = {0}, q = {0};

    if (feed_request_read(text, &realm, key_of, NULL, &r, &found) != RC_OK)
        return;
    CHECK(r.after >= 0 && found.n == key.n);
    CHECK_OK(feed_request_write(&found, &realm, &r, &again));
    CHECK_OK(feed_request_read(buf_slice(&again), &realm, key_of, NULL, &q, &same));
    CHECK(q.after == r.after && q.wait == r.wait && memcmp(q.nonce, r.nonce, FEED_NONCE) == 0);
}

/* What is read can be put again, and is read as the same. */
static void write_again(const struct feed_answer *a)
{
    AUTO(feed_out_done) struct feed_out out;
    AUTO(buf_done) struct buf text = {0};
    static struct feed_answer b;

    feed_out_start(&out);
    for (size_t i = 0; i < a->n; i++)
        CHECK_OK(feed_put(&out, &a->items[i]));
    CHECK_OK(feed_answer_write(&key, &realm, &asked, &out, a->seq, &text));
    memset(&b, 0, sizeof b);
    CHECK_OK(feed_answer_read(buf_slice(&text), &key, &realm, &asked, &b));
    CHECK(b.n == a->n && b.seq == a->seq);
    for (size_t i = 0; i < a->n; i++) {
        const struct feed_item *x = &a->items[i], *y = &b.items[i];
        CHECK(x->seq == y->seq && x->kind == y->kind && x->epoch == y->epoch && slice_eq(x->text, y->text));
        CHECK(memcmp(x->client_id, y->client_id, ID_LEN) == 0 && x->key.kvno == y->key.kvno &&
              x->key.valid_from == y->key.valid_from && slice_eq(key_slice(&x->key), key_slice(&y->key)));
    }
    feed_answer_done(&b);
}

static void read_answer(struct slice text)
{
    static struct feed_answer a;

    memset(&a, 0, sizeof a);
    if (feed_answer_read(text, &key, &realm, &asked, &a) == RC_OK) {
        CHECK(a.n <= FEED_ITEMS_MAX && a.seq >= 0);
        write_again(&a);
    }
    feed_answer_done(&a);
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 4);
    bool is_answer = choice & 1, is_sealed = choice < 2;
    AUTO(buf_done) struct buf text = {0};

    if (is_sealed)
        seal(is_answer ? "seq" : "after", input, &text);
    else
        CHECK_OK(buf_add(&text, input));
    if (is_answer)
        read_answer(buf_slice(&text));
    else
        read_request(buf_slice(&text));
}
