/* The sealed AS exchange on a fake clock: both its steps, what it grants, and each rule refusing. */
#include "tests/unit/unit.h"

#include "tests/unit/as_world.h"
#include "tests/unit/boxes.h"

#define OTHER_NONCE "AAECAwQFBgcICQoLDA0ODA"
#define SEEN        "[\"aes128-cbc-hs256\"]"

/* What the client does; a test changes it. */
static struct {
    const char *login, *tgs_name, *more; /* of the body; more: further members */
    const char *nonce, *seen;            /* of the proof */
    const char *bound_client, *bound_server, *bound_realm;
    enum label label;
    struct key key;
    long long time_s;
} ask;

static struct buf body_text, cookie, request; /* what went out last */

static int begin(void **state)
{
    start(state);
    ask.login = ask.bound_client = "alice";
    ask.tgs_name = ask.bound_server = "tgs";
    ask.bound_realm = conf.realm_name;
    ask.more = "";
    ask.nonce = NONCE;
    ask.seen = SEEN;
    ask.label = LABEL_AS_PREAUTH;
    ask.key = alice.sealed;
    ask.time_s = NOW;
    return 0;
}

static int end(void **state)
{
    buf_done(&body_text);
    buf_done(&cookie);
    buf_done(&request);
    return stop(state);
}

static int post_it(struct buf *ret)
{
    const struct http_request req = {buf_slice(&request), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};
    unsigned before = audited.n;

    as_login_post(&env, &req, &reply);
    assert_int_equal(audited.n, before + 1);
    assert_string_equal(reply.content_type, "application/json");
    assert_int_equal(reply.status, rc_http(audited.rc));
    assert_int_equal(audited.has_ticket, audited.rc == RC_OK);
    *ret = buf_take(&reply.body);
    return reply.status;
}

static void make_body(void)
{
    AUTO(buf_done) struct buf plain = {0};

    buf_reset(&body_text);
    assert_ok(buf_printf(&plain, "{\"login\":\"%s\",\"tgs_name\":\"%s\",\"nonce\":\"" NONCE "\"%s}", ask.login,
                         ask.tgs_name, ask.more));
    assert_ok(base64url_encode(buf_slice(&plain), &body_text));
}

/* The first step: asks without a proof and keeps the cookie. */
static json_t *offered(void)
{
    AUTO(buf_done) struct buf answer = {0};
    json_t *offer = NULL;

    make_body();
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\"}", buf_cstr(&body_text)));
    assert_int_equal(post_it(&answer), 401);
    assert_rc(audited.rc, RC_PREAUTH_REQUIRED);
    assert_ok(json_parse_object(buf_slice(&answer), JSON_DEPTH_HTTP, &offer));
    assert_slice(member(offer, "error"), "KDC_ERR_PREAUTH_REQUIRED");
    buf_reset(&cookie);
    assert_ok(buf_add(&cookie, member(offer, "cookie")));
    return offer;
}

static void get_cookie(void)
{
    json_t *offer = offered();
    json_done(&offer);
}

static void make_request(void)
{
    AUTO(buf_done) struct buf context = {0}, plain = {0}, preauth = {0};

    make_body();
    context_of(&context, &body_text, &cookie, NULL);
    struct bound b = {ask.bound_realm, ask.bound_client, ask.bound_server, buf_slice(&context)};
    assert_ok(
        buf_printf(&plain, "{\"nonce\":\"%s\",\"time\":%lld,\"etypes_seen\":%s}", ask.nonce, ask.time_s, ask.seen));
    seal_text(&ask.key, ask.label, &b, buf_cstr(&plain), &preauth);
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\",\"cookie\":\"%s\",\"preauth\":\"%s\"}",
                         buf_cstr(&body_text), buf_cstr(&cookie), buf_cstr(&preauth)));
}

/* Sends the request as it stands. */
static enum rc send_it(void)
{
    AUTO(buf_done) struct buf answer = {0};
    (void)post_it(&answer);
    return audited.rc;
}

static enum rc send_new(void)
{
    make_request();
    return send_it();
}

static json_t *opened(const struct buf *answer)
{
    uint8_t digest[SHA256_LEN];
    json_t *reply = NULL;

    assert_ok(sha256(buf_slice(&request), digest));
    struct bound b = {conf.realm_name, "alice", "tgs", SLICE(digest)};
    assert_ok(open_reply(&alice.sealed, LABEL_AS_REPLY, &b, buf_slice(answer), &reply));
    return reply;
}

static json_t *grant(struct ticket *ret)
{
    AUTO(buf_done) struct buf answer = {0};
    AUTO(keytab_done) struct keytab *kt = NULL;
    struct name tgs_name = named("tgs");

    get_cookie();
    make_request();
    assert_int_equal(post_it(&answer), 200);
    json_t *reply = opened(&answer);
    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &tgs_name, &tgs));
    assert_ok(ticket_open(kt, &conf.realm, &tgs_name, TICKET_TGT, member(reply, "tgt"), NOW, ret));
    return reply;
}

/* --- the first step ---------------------------------------------------------------------------------------------- */

static void first_step__tells_the_parameters_of_the_key(void **state)
{
    uint8_t salt[USERKEY_SALT];

    (void)state;
    AUTO(json_done) json_t *offer = offered();
    assert_slice(member(offer, "realm"), conf.realm_name);
    assert_int_equal(number(offer, "iterations"), 654321);
    assert_ok(sealed_bytes(offer, "salt", salt, sizeof salt));
    assert_memory_equal(salt, alice.params.salt, sizeof salt);
    assert_int_equal(json_array_size(json_object_get(offer, "etypes")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(offer, "etypes"), 0)), "aes128-cbc-hs256");
    assert_true(number(offer, "server_time") > 0);
    assert_slice(member(offer, "op_id"), "op");
}

/* Names, types and lengths of the members, without what is random or depends on the name. */
static void shape_of(const char *login, struct buf *out)
{
    const char *name;
    json_t *value;

    ask.login = login;
    AUTO(json_done) json_t *offer = offered();
    json_object_foreach (offer, name, value)
        assert_ok(buf_printf(out, "%s %d %zu;", name, json_typeof(value), json_string_length(value)));
    assert_int_equal(number(offer, "iterations"), 654321);
}

static void first_step__has_one_shape_for_every_name(void **state)
{
    AUTO(buf_done) struct buf known = {0}, unknown = {0}, classic = {0}, disabled = {0};
    struct as_keys keys = both_keys(654321), only_classic = keys;
    struct name bob = named("bobby");

    (void)state;
    only_classic.sealed = (struct key){0};
    add_keys("bobby", &keys);
    add_keys("carol", &only_classic);
    assert_ok(as_store_set_disabled(store, &bob, true, NOW));
    shape_of("alice", &known);
    shape_of("nobod", &unknown); /* as long, so that the cookies are */
    shape_of("carol", &classic);
    shape_of("bobby", &disabled);
    assert_slice(buf_slice(&unknown), buf_cstr(&known));
    assert_slice(buf_slice(&classic), buf_cstr(&known));
    assert_slice(buf_slice(&disabled), buf_cstr(&known));
}

static void first_step__gives_an_unknown_name_the_same_salt_each_time(void **state)
{
    uint8_t first[USERKEY_SALT], second[USERKEY_SALT];

    (void)state;
    ask.login = "nobody";
    AUTO(json_done) json_t *one = offered();
    AUTO(json_done) json_t *two = offered();
    assert_ok(sealed_bytes(one, "salt", first, sizeof first));
    assert_ok(sealed_bytes(two, "salt", second, sizeof second));
    assert_memory_equal(first, second, sizeof first);
    assert_false(slice_eq(member(one, "cookie"), member(two, "cookie")));
}

static void either_part_of_a_proof_alone__is_answered_with_a_cookie(void **state)
{
    static const char *const more[] = {",\"cookie\":\"AAAA\"", ",\"preauth\":\"AAAA\"",
                                       ",\"cookie\":\"\",\"preauth\":\"\""};

    (void)state;
    make_body();
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        buf_reset(&request);
        assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\"%s}", buf_cstr(&body_text), more[i]));
        assert_rc(send_it(), RC_PREAUTH_REQUIRED);
    }
}

/* --- the second step --------------------------------------------------------------------------------------------- */

static void proof__is_granted_a_ticket_whose_fields_equal_the_replys(void **state)
{
    AUTO(ticket_done) struct ticket t = {0};
    uint8_t key[32], salt[USERKEY_SALT];

    (void)state;
    AUTO(json_done) json_t *reply = grant(&t);
    struct as_principal p = found("alice");
    assert_slice(name_slice(&t.client), "alice");
    assert_memory_equal(t.client_id, p.client_id, ID_LEN);
    assert_string_equal(t.address, "192.0.2.7");
    assert_int_equal(t.session.etype, ETYPE_AES128_CBC_HS256);
    assert_int_equal(t.epoch, 0);
    assert_int_equal(t.start, NOW);
    assert_int_equal(t.end, NOW + 36000);
    assert_int_equal(t.renew_till, 0);
    assert_int_equal(number(reply, "auth_time"), NOW);
    assert_int_equal(number(reply, "start_time"), t.start);
    assert_int_equal(number(reply, "end_time"), t.end);
    assert_int_equal(number(reply, "renew_till"), 0);
    assert_slice(member(reply, "nonce"), NONCE);
    assert_slice(member(reply, "client"), "alice");
    assert_slice(member(reply, "server"), "tgs");
    assert_slice(member(reply, "realm"), conf.realm_name);
    assert_slice(member(reply, "etype"), "aes128-cbc-hs256");
    assert_int_equal(number(reply, "iterations"), 654321);
    assert_int_equal(json_array_size(json_object_get(reply, "etypes")), 1);
    assert_ok(sealed_bytes(reply, "salt", salt, sizeof salt));
    assert_memory_equal(salt, alice.params.salt, sizeof salt);
    assert_ok(sealed_bytes(reply, "session_key", key, sizeof key));
    assert_memory_equal(key, t.session.bytes, sizeof key);
}

static void lifetime__is_what_was_asked_for_and_no_longer_than_the_realm_allows(void **state)
{
    static const struct {
        const char *more;
        int64_t lives_s, renew_s;
    } cases[] = {
        {",\"lifetime_s\":60",                   60,    0     },
        {",\"lifetime_s\":36001",                36000, 0     },
        {",\"lifetime_s\":9223372036854775807",  36000, 0     },
        {",\"renewable\":true",                  36000, 604800},
        {",\"renewable\":false",                 36000, 0     },
        {",\"renewable\":true,\"lifetime_s\":1", 1,     604800},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(ticket_done) struct ticket t = {0};
        ask.more = cases[i].more;
        AUTO(json_done) json_t *reply = grant(&t);
        assert_int_equal(t.end - t.start, cases[i].lives_s);
        assert_int_equal(t.renew_till, cases[i].renew_s ? NOW + cases[i].renew_s : 0);
        assert_int_equal(number(reply, "renew_till"), t.renew_till);
    }
    AUTO(ticket_done) struct ticket t = {0};
    conf.policy_sealed_renew_lifetime = 0;
    ask.more = ",\"renewable\":true";
    AUTO(json_done) json_t *reply = grant(&t);
    assert_int_equal(number(reply, "renew_till"), 0);
    assert_int_equal(t.renew_till, 0);
}

static void proof__needs_no_clock(void **state)
{
    (void)state;
    ask.time_s = -1;
    get_cookie();
    assert_ok(send_new());
    ask.time_s = INT64_MAX;
    get_cookie();
    assert_ok(send_new());
}

static void ticket__carries_the_epoch(void **state)
{
    AUTO(ticket_done) struct ticket t = {0};
    struct name name = named("alice");

    (void)state;
    assert_ok(as_store_cut_off(store, &name, NOW));
    AUTO(json_done) json_t *reply = grant(&t);
    assert_slice(member(reply, "client"), "alice");
    assert_int_equal(t.epoch, 1);
}

static void reply__does_not_open_for_another_request_or_as_another_kind(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    AUTO(json_done) json_t *reply = NULL;
    uint8_t digest[SHA256_LEN];

    (void)state;
    get_cookie();
    make_request();
    assert_int_equal(post_it(&answer), 200);
    assert_ok(sha256(buf_slice(&request), digest));
    struct bound b = {conf.realm_name, "alice", "tgs", SLICE(digest)};
    assert_rc(open_reply(&alice.sealed, LABEL_AS_PREAUTH, &b, buf_slice(&answer), &reply), RC_MODIFIED);
    b.client = "mallory";
    assert_rc(open_reply(&alice.sealed, LABEL_AS_REPLY, &b, buf_slice(&answer), &reply), RC_MODIFIED);
    b.client = "alice";
    digest[0] ^= 1;
    assert_rc(open_reply(&alice.sealed, LABEL_AS_REPLY, &b, buf_slice(&answer), &reply), RC_MODIFIED);
}

/* --- cookies ----------------------------------------------------------------------------------------------------- */

static void cookie__serves_one_login(void **state)
{
    (void)state;
    get_cookie();
    assert_ok(send_new());
    assert_rc(send_it(), RC_PREAUTH_REQUIRED);  /* the same bytes */
    assert_rc(send_new(), RC_PREAUTH_REQUIRED); /* another proof */
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &ask.key));
    assert_rc(send_new(), RC_PREAUTH_REQUIRED); /* not counted as a wrong password either */
}

static void cookie__is_not_used_up_by_a_wrong_proof(void **state)
{
    (void)state;
    get_cookie();
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &ask.key));
    assert_rc(send_new(), RC_BAD_PREAUTH);
    ask.key = alice.sealed;
    ask.seen = "[\"aes128-cbc\"]";
    assert_rc(send_new(), RC_DOWNGRADE);
    ask.seen = SEEN;
    assert_ok(send_new());
}

static void cookie__ends_after_two_minutes(void **state)
{
    (void)state;
    get_cookie();
    make_request();
    ticks += COOKIE_S;
    assert_rc(send_it(), RC_PREAUTH_REQUIRED);
    ticks--;
    assert_ok(send_it());
}

static void cookie__does_not_care_for_the_wall_clock(void **state)
{
    (void)state;
    get_cookie();
    assert_ok(send_new());
    now_s = NOW + 86400;
    assert_rc(send_new(), RC_PREAUTH_REQUIRED);
    get_cookie();
    now_s = NOW - 86400;
    assert_ok(send_new());
}

static void cookie__that_was_used_is_remembered_until_its_end(void **state)
{
    (void)state;
    get_cookie();
    assert_ok(send_new());
    ticks += COOKIE_S - 1;
    assert_rc(send_it(), RC_PREAUTH_REQUIRED);
    get_cookie();
    ticks += 2;
    assert_ok(send_new());
    assert_int_equal(replay_count(env.cookies.used), 1); /* the first one is forgotten, and past its end */
}

static void cookie__of_another_client_is_of_no_use(void **state)
{
    struct as_keys keys = both_keys(654321);

    (void)state;
    add_keys("mallory", &keys);
    ask.login = "mallory";
    get_cookie();
    ask.login = "alice";
    assert_rc(send_new(), RC_PREAUTH_REQUIRED);
}

static void cookie__of_another_process_or_none_is_of_no_use(void **state)
{
    static const char *const texts[] = {"AAAA", "!", "AQEAAAAA"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_reset(&cookie);
        assert_ok(buf_text(&cookie, texts[i]));
        assert_rc(send_new(), RC_PREAUTH_REQUIRED);
    }
    get_cookie();
    cookie_jar_close(&env.cookies);
    assert_ok(cookie_jar_open(&env.cookies, ticks));
    assert_rc(send_new(), RC_PREAUTH_REQUIRED);
    get_cookie();
    cookie.p[cookie.n / 2] ^= 1;
    assert_rc(send_new(), RC_PREAUTH_REQUIRED);
}

static void cookies__of_one_client_are_bounded(void **state)
{
    struct as_principal p = found("alice");
    struct as_keys bob = both_keys(654321);

    (void)state;
    for (uint32_t i = 0; i < REPLAY_PER_OWNER_MAX; i++) {
        struct cookie c = {.expiry_s = ticks + 60};
        put_u32be(c.id, i);
        assert_ok(cookie_use(&env.cookies, p.client_id, &c, ticks));
    }
    get_cookie();
    assert_rc(send_new(), RC_RATE_LIMITED);
    add_keys("bob", &bob);
    ask.login = ask.bound_client = "bob";
    ask.key = bob.sealed;
    get_cookie();
    assert_ok(send_new());
}

/* --- refused proofs ---------------------------------------------------------------------------------------------- */

static enum rc refused(void)
{
    get_cookie();
    enum rc rc = send_new();
    assert_string_equal(rc_wire(rc), "KDC_ERR_PREAUTH_FAILED");
    assert_int_equal(rc_http(rc), 401);
    return rc;
}

static void proof__is_refused_with_one_answer_whatever_is_wrong(void **state)
{
    struct as_keys bob = both_keys(654321), carol = bob;
    struct name bob_name = named("bob");

    (void)state;
    ask.login = ask.bound_client = "nobody";
    assert_rc(refused(), RC_NO_CLIENT);
    carol.sealed = (struct key){0};
    add_keys("carol", &carol);
    ask.login = ask.bound_client = "carol";
    assert_rc(refused(), RC_NO_CLIENT_KEY);
    add_keys("bob", &bob);
    assert_ok(as_store_set_disabled(store, &bob_name, true, NOW));
    ask.login = ask.bound_client = "bob";
    ask.key = bob.sealed;
    assert_rc(refused(), RC_CLIENT_DISABLED);
    ask.login = ask.bound_client = "alice";
    assert_rc(refused(), RC_BAD_PREAUTH); /* bob's key */
    ask.key = alice.sealed;
    memcpy(conf.realm_profiles, "classic", 8);
    assert_rc(refused(), RC_PROFILE_OFF);
}

static void proof__is_bound_to_all_it_was_made_for(void **state)
{
    (void)state;
    ask.bound_client = "bob";
    assert_rc(refused(), RC_BAD_PREAUTH);
    ask.bound_client = "alice";
    ask.bound_server = "chat";
    assert_rc(refused(), RC_BAD_PREAUTH);
    ask.bound_server = "tgs";
    ask.bound_realm = "OTHER";
    assert_rc(refused(), RC_BAD_PREAUTH);
    ask.bound_realm = conf.realm_name;
    ask.label = LABEL_AS_REPLY;
    assert_rc(refused(), RC_BAD_PREAUTH);
    ask.label = LABEL_AS_PREAUTH;
    ask.nonce = OTHER_NONCE;
    assert_rc(refused(), RC_BAD_PREAUTH);
    ask.nonce = NONCE;
    get_cookie();
    assert_ok(send_new());
}

static void proof__cannot_be_put_under_another_body_or_cookie(void **state)
{
    AUTO(buf_done) struct buf one = {0}, proof = {0};

    (void)state;
    get_cookie();
    make_request();
    AUTO(json_done) json_t *sent = NULL;
    assert_ok(json_parse_object(buf_slice(&request), JSON_DEPTH_HTTP, &sent));
    assert_ok(buf_add(&proof, member(sent, "preauth")));
    assert_ok(buf_add(&one, buf_slice(&cookie)));

    ask.more = ",\"lifetime_s\":1,\"renewable\":true";
    make_body();
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\",\"cookie\":\"%s\",\"preauth\":\"%s\"}",
                         buf_cstr(&body_text), buf_cstr(&one), buf_cstr(&proof)));
    assert_rc(send_it(), RC_BAD_PREAUTH);

    ask.more = "";
    get_cookie();
    make_body();
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\",\"cookie\":\"%s\",\"preauth\":\"%s\"}",
                         buf_cstr(&body_text), buf_cstr(&cookie), buf_cstr(&proof)));
    assert_rc(send_it(), RC_BAD_PREAUTH);
}

static void proof__must_have_seen_our_offer(void **state)
{
    static const char *const seen[] = {"[]", "[\"aes128-cbc\"]", "[\"aes128-cbc-hs256\",\"aes128-cbc\"]", "[1]",
                                       "[\"aes128-cbc-hs256 \"]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        ask.seen = seen[i];
        assert_rc(refused(), RC_DOWNGRADE);
    }
    ask.seen = "\"aes128-cbc-hs256\"";
    assert_rc(refused(), RC_BAD_PREAUTH);
}

static void server__must_be_the_tgs(void **state)
{
    (void)state;
    ask.tgs_name = ask.bound_server = "chat";
    get_cookie();
    assert_rc(send_new(), RC_NO_SERVICE);
    ask.login = ask.bound_client = "nobody"; /* told to nobody without the key */
    get_cookie();
    assert_rc(send_new(), RC_NO_CLIENT);
}

/* --- profiles ---------------------------------------------------------------------------------------------------- */

static void profiles__never_serve_each_other(void **state)
{
    AUTO(buf_done) struct buf box = {0}, answer = {0};
    struct name name = named("alice");
    char text[96];

    (void)state;
    /* a sealed request that also holds a classic one is sealed */
    snprintf(text, sizeof text, "{\"tgs_name\": \"tgs\", \"timestamp\": \"%s\"}", stamp_of(NOW));
    box_of(alice.classic.bytes, text, &box);
    assert_ok(buf_printf(&request, "{\"v\":1,\"login\":\"alice\",\"encrypted\":\"%s\"}", buf_cstr(&box)));
    assert_rc(send_it(), RC_MALFORMED);

    /* without its classic key the principal refuses a classic login, with the one answer */
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"login\":\"alice\",\"encrypted\":\"%s\"}", buf_cstr(&box)));
    const struct http_request req = {buf_slice(&request), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};
    as_login_post(&env, &req, &reply);
    assert_int_equal(reply.status, 200);
    buf_done(&reply.body);
    assert_ok(as_store_keep_profiles(store, &name, PROFILE_SEALED, NOW));
    as_login_post(&env, &req, &reply);
    assert_int_equal(reply.status, 401);
    assert_rc(audited.rc, RC_NO_CLIENT_KEY);
    assert_non_null(memmem(reply.body.p, reply.body.n, "KDC_ERR_PREAUTH_FAILED", 22));
    buf_done(&reply.body);

    memcpy(conf.realm_profiles, "sealed", 7);
    struct as_keys keys = both_keys(654321);
    add_keys("bob", &keys);
    box_of(keys.classic.bytes, text, &answer);
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"login\":\"bob\",\"encrypted\":\"%s\"}", buf_cstr(&answer)));
    assert_rc(send_it(), RC_PROFILE_OFF);
}

static void requests__that_are_not_whole_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{}",
        "{\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "\"}",
        "{\"login\":\"alice\",\"nonce\":\"" NONCE "\"}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\"}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\",\"nonce\":\"AAAA\"}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "=\"}",
        "{\"login\":\" alice\",\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "\"}",
        "{\"login\":\"alice\",\"tgs_name\":\"\",\"nonce\":\"" NONCE "\"}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "\",\"lifetime_s\":0}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "\",\"lifetime_s\":-5}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "\",\"lifetime_s\":\"60\"}",
        "{\"login\":\"alice\",\"tgs_name\":\"tgs\",\"nonce\":\"" NONCE "\",\"renewable\":1}",
        "[]",
    };
    static const char *const wholes[] = {
        "{\"v\":1}",
        "{\"v\":2,\"body\":\"e30\"}",
        "{\"v\":\"1\",\"body\":\"e30\"}",
        "{\"v\":1,\"body\":\"e30=\"}",
        "{\"v\":null,\"login\":\"alice\",\"encrypted\":\"AAAA\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        AUTO(buf_done) struct buf text = {0};
        assert_ok(base64url_encode(slice_text(bodies[i]), &text));
        buf_reset(&request);
        assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\"}", buf_cstr(&text)));
        assert_rc(send_it(), RC_MALFORMED);
    }
    for (size_t i = 0; i < ARRAY_LEN(wholes); i++) {
        buf_reset(&request);
        assert_ok(buf_text(&request, wholes[i]));
        assert_rc(send_it(), RC_MALFORMED);
    }
    make_body();
    buf_reset(&request);
    assert_ok(buf_printf(&request, "{\"v\":1,\"body\":\"%s\",\"cookie\":1}", buf_cstr(&body_text)));
    assert_rc(send_it(), RC_MALFORMED);
}

static void names__are_found_in_their_one_spelling(void **state)
{
    struct as_keys keys = both_keys(654321);

    (void)state;
    add_keys("j\xc3\xb6rg", &keys);
    ask.login = "jo\xcc\x88rg";
    ask.bound_client = "j\xc3\xb6rg"; /* what is sealed is the registered spelling */
    ask.key = keys.sealed;
    get_cookie();
    assert_ok(send_new());
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(first_step__tells_the_parameters_of_the_key),
        TEST(first_step__has_one_shape_for_every_name),
        TEST(first_step__gives_an_unknown_name_the_same_salt_each_time),
        TEST(either_part_of_a_proof_alone__is_answered_with_a_cookie),
        TEST(proof__is_granted_a_ticket_whose_fields_equal_the_replys),
        TEST(lifetime__is_what_was_asked_for_and_no_longer_than_the_realm_allows),
        TEST(proof__needs_no_clock),
        TEST(ticket__carries_the_epoch),
        TEST(reply__does_not_open_for_another_request_or_as_another_kind),
        TEST(cookie__serves_one_login),
        TEST(cookie__is_not_used_up_by_a_wrong_proof),
        TEST(cookie__ends_after_two_minutes),
        TEST(cookie__does_not_care_for_the_wall_clock),
        TEST(cookie__that_was_used_is_remembered_until_its_end),
        TEST(cookie__of_another_client_is_of_no_use),
        TEST(cookie__of_another_process_or_none_is_of_no_use),
        TEST(cookies__of_one_client_are_bounded),
        TEST(proof__is_refused_with_one_answer_whatever_is_wrong),
        TEST(proof__is_bound_to_all_it_was_made_for),
        TEST(proof__cannot_be_put_under_another_body_or_cookie),
        TEST(proof__must_have_seen_our_offer),
        TEST(server__must_be_the_tgs),
        TEST(profiles__never_serve_each_other),
        TEST(requests__that_are_not_whole_are_refused),
        TEST(names__are_found_in_their_one_spelling),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
