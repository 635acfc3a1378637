/* The AS answers a login that was sealed in Python from the protocol's words: tests/vectors/kerb/as.json. */
#include "tests/unit/as_world.h"
#include "tests/unit/boxes.h"
#include "tests/unit/vectors.h"

static json_t *vectors;

static void take(const json_t *j, const char *field, uint8_t *out, size_t n)
{
    AUTO(buf_done) struct buf bytes = vector_hex(j, field);
    assert_int_equal(bytes.n, n);
    memcpy(out, bytes.p, n);
}

static struct key key_in(const json_t *j, const char *field, uint32_t kvno)
{
    struct key key = {.etype = ETYPE_AES128_CBC_HS256, .kvno = kvno, .n = AEAD_KEY};
    take(j, field, key.bytes, AEAD_KEY);
    return key;
}

/* The world of the vectors: their realm, user, TGS key, and the key that their cookie was made with. */
static int begin(void **state)
{
    AUTO(key_done) struct key cookie_key = {0};
    struct as_keys keys = {0};

    start(state);
    vectors = vectors_load("kerb/as.json");
    assert_ok(name_parse(vector_text(vectors, "realm"), &conf.realm));
    keys.sealed = key_in(vectors, "user_key_hex", 0);
    take(vectors, "salt_hex", keys.params.salt, USERKEY_SALT);
    keys.params.iterations = (uint32_t)vector_int(vectors, "iterations");
    AUTO(buf_done) struct buf name = {0};
    assert_ok(buf_add(&name, vector_text(vectors, "client")));
    add_keys(buf_cstr(&name), &keys);
    const json_t *ticket = json_object_get(vectors, "ticket");
    tgs = key_in(ticket, "key_hex", (uint32_t)vector_int(ticket, "kvno"));
    assert_ok(as_store_add_tgs_key(store, &tgs));
    cookie_key = key_in(vectors, "cookie_key_hex", 0);
    assert_ok(envelope_derive(&cookie_key, LABEL_AS_COOKIE, &env.cookies.key));
    ticks = vector_int(vectors, "ticks");
    now_s = vector_int(vectors, "now");
    return 0;
}

static int end(void **state)
{
    json_done(&vectors);
    return stop(state);
}

static int ask(const char *request, struct buf *ret)
{
    const struct http_request req = {vector_text(vectors, request), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};

    as_login_post(&env, &req, &reply);
    *ret = buf_take(&reply.body);
    return reply.status;
}

static void as_login__offers_what_the_vectors_key_was_made_with(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf answer = {0}, salt = {0};
    AUTO(json_done) json_t *offer = NULL;
    uint8_t want[USERKEY_SALT];

    assert_int_equal(ask("first_request", &answer), 401);
    assert_rc(audited.rc, RC_PREAUTH_REQUIRED);
    assert_ok(json_parse_object(buf_slice(&answer), JSON_DEPTH_HTTP, &offer));
    assert_ok(base64url_decode(member(offer, "salt"), &salt));
    take(vectors, "salt_hex", want, sizeof want);
    assert_bytes(buf_slice(&salt), SLICE(want));
    assert_int_equal(number(offer, "iterations"), vector_int(vectors, "iterations"));
}

/* What the reply says beside the vector's: session key and ticket are drawn anew. */
static void check_reply(const json_t *told)
{
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(keytab_done) struct keytab *kt = NULL;
    struct name server = named(AS_TGS_NAME);
    const json_t *like = json_object_get(vectors, "ticket");

    assert_bytes(member(told, "nonce"), vector_text(vectors, "nonce"));
    assert_bytes(member(told, "client"), vector_text(vectors, "client"));
    assert_int_equal(number(told, "end_time"), vector_int(like, "end"));
    assert_int_equal(number(told, "renew_till"), vector_int(like, "renew_till"));
    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &server, &tgs));
    assert_ok(ticket_open(kt, &conf.realm, &server, TICKET_TGT, member(told, "tgt"), now_s, &t));
    assert_bytes(name_slice(&t.client), vector_text(vectors, "client"));
}

static void as_login__grants_what_the_vectors_ask_for(void **state)
{
    (void)state;
    AUTO(key_done) struct key key = key_in(vectors, "user_key_hex", 0);
    AUTO(buf_done) struct buf answer = {0}, client = {0};
    AUTO(json_done) json_t *told = NULL;
    uint8_t digest[SHA256_LEN];

    assert_int_equal(ask("second_request", &answer), 200);
    assert_ok(sha256(vector_text(vectors, "second_request"), digest));
    assert_ok(buf_add(&client, vector_text(vectors, "client")));
    const struct bound b = {conf.realm.s, buf_cstr(&client), AS_TGS_NAME, SLICE(digest)};
    assert_ok(open_reply(&key, LABEL_AS_REPLY, &b, buf_slice(&answer), &told));
    check_reply(told);
}

static void as_login__takes_the_vectors_cookie_once_and_in_time(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf answer = {0};

    ticks += 120;
    assert_int_equal(ask("second_request", &answer), 401);
    assert_rc(audited.rc, RC_PREAUTH_REQUIRED);
    buf_done(&answer);
    ticks--;
    assert_int_equal(ask("second_request", &answer), 200);
    buf_done(&answer);
    assert_int_equal(ask("second_request", &answer), 401);
    assert_rc(audited.rc, RC_PREAUTH_REQUIRED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_login__offers_what_the_vectors_key_was_made_with, begin, end),
        cmocka_unit_test_setup_teardown(as_login__grants_what_the_vectors_ask_for, begin, end),
        cmocka_unit_test_setup_teardown(as_login__takes_the_vectors_cookie_once_and_in_time, begin, end),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
