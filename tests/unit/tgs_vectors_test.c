/* The TGS answers requests that were sealed in Python from the protocol's words: tests/vectors/kerb/tgs.json. */
#include "tests/unit/sealing.h"
#include "tests/unit/tgs_world.h"
#include "tests/unit/vectors.h"

static json_t *vectors;

static struct key key_in(const json_t *j, const char *field, uint32_t kvno)
{
    AUTO(buf_done) struct buf bytes = vector_hex(j, field);
    struct key key = {.etype = ETYPE_AES128_CBC_HS256, .kvno = kvno, .n = AEAD_KEY};

    assert_int_equal(bytes.n, AEAD_KEY);
    memcpy(key.bytes, bytes.p, AEAD_KEY);
    return key;
}

/* The world of the vectors: their realm, clock and TGS key. */
static int begin(void **state)
{
    bool changed;

    start(state);
    vectors = vectors_load("kerb/tgs.json");
    assert_ok(name_parse(vector_text(vectors, "realm"), &conf.realm));
    now_s = vector_int(vectors, "now");
    tgs = key_in(vectors, "tgs_key_hex", (uint32_t)vector_int(vectors, "tgs_kvno"));
    save_keytab(&tgs, 1);
    assert_ok(keytab_file_refresh(env.keys, true, &changed));
    assert_true(changed);
    return 0;
}

static int end(void **state)
{
    json_done(&vectors);
    return stop(state);
}

static void ask(const json_t *exchange, struct buf *answer)
{
    AUTO(buf_done) struct buf request = {0};

    assert_ok(buf_add(&request, vector_text(exchange, "request")));
    assert_int_equal(post(buf_cstr(&request), answer), 200);
    assert_rc(audited.rc, RC_OK);
}

static json_t *opened(const json_t *exchange, const struct buf *answer)
{
    AUTO(key_done) struct key session = key_in(vectors, "session_hex", 0);
    AUTO(buf_done) struct buf client = {0}, service = {0};
    uint8_t digest[SHA256_LEN];
    json_t *told = NULL;

    assert_ok(sha256(vector_text(exchange, "request"), digest));
    assert_ok(buf_add(&client, vector_text(vectors, "client")));
    assert_ok(buf_add(&service, vector_text(exchange, "service")));
    const struct bound b = {conf.realm.s, buf_cstr(&client), buf_cstr(&service), SLICE(digest)};
    assert_ok(open_reply(&session, LABEL_TGS_REPLY, &b, buf_slice(answer), &told));
    return told;
}

static void tgs__grants_what_the_vectors_ask_for(void **state)
{
    (void)state;
    const json_t *exchange;
    size_t i;

    json_array_foreach (json_object_get(vectors, "exchanges"), i, exchange) {
        AUTO(buf_done) struct buf answer = {0};
        AUTO(json_done) json_t *told = NULL;
        const json_t *like = json_object_get(exchange, "ticket");

        ask(exchange, &answer);
        told = opened(exchange, &answer);
        assert_bytes(vector_text(told, "nonce"), vector_text(exchange, "nonce"));
        assert_bytes(vector_text(told, "service"), vector_text(exchange, "service"));
        assert_bytes(vector_text(told, "client"), vector_text(vectors, "client"));
        assert_int_equal(vector_int(told, "end_time"), vector_int(like, "end"));
        assert_int_equal(vector_int(told, "renew_till"), vector_int(like, "renew_till"));
    }
    assert_int_equal(i, 2);
}

static void tgs__refuses_the_vectors_under_another_key(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf request = {0};
    bool changed;

    tgs.bytes[0] ^= 1;
    save_keytab(&tgs, 1);
    assert_ok(keytab_file_refresh(env.keys, true, &changed));
    const json_t *exchange = json_array_get(json_object_get(vectors, "exchanges"), 0);
    assert_ok(buf_add(&request, vector_text(exchange, "request")));
    assert_int_equal(post(buf_cstr(&request), NULL), 401);
    assert_rc(audited.rc, RC_MODIFIED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tgs__grants_what_the_vectors_ask_for, begin, end),
        cmocka_unit_test_setup_teardown(tgs__refuses_the_vectors_under_another_key, begin, end),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
