/* A service over HTTP, the server's side: what it accepts, and every way to be refused. */
#include "tests/unit/unit.h"

#include "shared/ticket/ap.h"
#include "shared/ticket/replay.h"
#include "tests/unit/sealing.h"
#include "tests/unit/tempdir.h"

#define NOW INT64_C(1780000000)

static struct tempdir dir;
static struct keytab_file *keys;
static struct key service_key;
static struct ap *ap;
static struct ap_options options;
static struct ticket ticket; /* what the client holds; a test changes it before it is sealed */
static int64_t now_s;

/* What the client sends; a test changes it before it is joined. */
static struct buf ticket_text, challenge, body;
static const char *authenticator_client, *bound_client, *bound_server;
static enum label authenticator_label;

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static void seal_ticket(void)
{
    buf_reset(&ticket_text);
    assert_ok(ticket_seal(&service_key, &options.realm, &ticket, &ticket_text));
}

static void ask_for(const char *json)
{
    buf_reset(&body);
    assert_ok(base64url_encode(slice_text(json), &body));
}

static int start(void **state)
{
    AUTO(keytab_done) struct keytab *kt = NULL;

    (void)state;
    tempdir_make(&dir);
    now_s = NOW;
    options = (struct ap_options){.realm = named("EXAMPLE"), .service = named("kerb/admin")};
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 2, 0, &service_key));
    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &options.service, &service_key));
    const char *path = tempdir_file(&dir, "as.keytab");
    assert_ok(keytab_save(kt, path));
    assert_ok(keytab_file_open(path, &keys));
    options.keys = keys;
    assert_ok(ap_open(&options, NOW, &ap));
    ticket = (struct ticket){.kind = TICKET_SERVICE,
                             .client = named("alice"),
                             .address = "192.0.2.7",
                             .server = options.service,
                             .auth_time = NOW - 60,
                             .start = NOW - 30,
                             .end = NOW + 3600};
    assert_ok(random_bytes(ticket.client_id, ID_LEN));
    assert_ok(random_bytes(ticket.id, ID_LEN));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &ticket.session));
    seal_ticket();
    ask_for("{\"op\":\"user_list\"}");
    bound_client = authenticator_client = "alice";
    bound_server = "kerb/admin";
    authenticator_label = LABEL_AP_AUTHENTICATOR;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ap_close(ap);
    keytab_file_close(keys);
    buf_done(&ticket_text);
    buf_done(&challenge);
    buf_done(&body);
    tempdir_remove(&dir);
    return 0;
}

static enum rc accept(const struct buf *request, struct ap_call *ret)
{
    const struct ap_request req = {buf_slice(request), "192.0.2.7"};
    return ap_accept(ap, &req, now_s, ret);
}

/* The first request; keeps the challenge that its 401 carries. */
static void get_challenge(void)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(ap_call_done) struct ap_call call = {0};

    assert_ok(
        buf_printf(&request, "{\"v\":1,\"ticket\":\"%s\",\"body\":\"%s\"}", buf_cstr(&ticket_text), buf_cstr(&body)));
    assert_rc(accept(&request, &call), RC_NO_CHALLENGE);
    assert_true(call.fresh.n > 0);
    assert_null(call.body);
    buf_reset(&challenge);
    assert_ok(buf_add(&challenge, buf_slice(&call.fresh)));
}

static void make_authenticator(struct buf *out)
{
    AUTO(buf_done) struct buf context = {0}, plain = {0};

    context_of(&context, &ticket_text, &body, &challenge);
    struct bound b = {"EXAMPLE", bound_client, bound_server, buf_slice(&context)};
    assert_ok(buf_printf(&plain, "{\"client\":\"%s\",\"time\":%lld,\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
                         authenticator_client, (long long)(now_s - 100000)));
    seal_text(&ticket.session, authenticator_label, &b, buf_cstr(&plain), out);
}

/* The second request: the texts as they stand. */
static void join(const struct buf *authenticator, struct buf *out)
{
    assert_ok(
        buf_printf(out, "{\"v\":1,\"ticket\":\"%s\",\"challenge\":\"%s\",\"body\":\"%s\",\"authenticator\":\"%s\"}",
                   buf_cstr(&ticket_text), buf_cstr(&challenge), buf_cstr(&body), (const char *)authenticator->p));
}

static void make_request(struct buf *out)
{
    AUTO(buf_done) struct buf authenticator = {0};
    make_authenticator(&authenticator);
    assert_non_null(buf_cstr(&authenticator));
    join(&authenticator, out);
}

static enum rc ask(void)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(ap_call_done) struct ap_call call = {0};

    make_request(&request);
    enum rc rc = accept(&request, &call);
    assert_int_equal(call.fresh.n > 0, rc == RC_NO_CHALLENGE);
    assert_int_equal(call.body != NULL, rc == RC_OK);
    return rc;
}

static void accept__gives_who_asks_for_what(void **state)
{
    AUTO(buf_done) struct buf request = {0}, answer = {0};
    AUTO(ap_call_done) struct ap_call call = {0};
    AUTO(json_done) json_t *reply = NULL;
    uint8_t digest[SHA256_LEN];
    struct slice op;

    (void)state;
    get_challenge();
    make_request(&request);
    assert_ok(accept(&request, &call));
    assert_slice(name_slice(&call.ticket.client), "alice");
    assert_ok(json_get_text(call.body, "op", &op));
    assert_slice(op, "user_list");
    assert_int_equal(call.time_s, NOW - 100000); /* a wrong clock is no reason to refuse */
    assert_ok(sha256(buf_slice(&challenge), digest));
    assert_memory_equal(call.challenge, digest, sizeof digest);

    assert_ok(ap_reply(ap, &call, slice_text("{\"ok\":true}"), &answer));
    assert_ok(sha256(buf_slice(&request), digest));
    struct bound b = {"EXAMPLE", "alice", "kerb/admin", SLICE(digest)};
    assert_ok(open_reply(&ticket.session, LABEL_AP_REPLY, &b, buf_slice(&answer), &reply));
    assert_true(json_is_true(json_object_get(reply, "ok")));
}

static void reply__opens_for_its_request_only(void **state)
{
    AUTO(buf_done) struct buf request = {0}, answer = {0};
    AUTO(ap_call_done) struct ap_call call = {0};
    AUTO(json_done) json_t *reply = NULL;
    uint8_t digest[SHA256_LEN];

    (void)state;
    get_challenge();
    make_request(&request);
    assert_ok(accept(&request, &call));
    assert_ok(ap_reply(ap, &call, slice_text("{\"ok\":true}"), &answer));
    assert_ok(sha256(buf_slice(&request), digest));
    struct bound b = {"EXAMPLE", "alice", "kerb/admin", SLICE(digest)};
    assert_rc(open_reply(&ticket.session, LABEL_AP_AUTHENTICATOR, &b, buf_slice(&answer), &reply), RC_MODIFIED);
    assert_rc(open_reply(&ticket.session, LABEL_TGS_REPLY, &b, buf_slice(&answer), &reply), RC_MODIFIED);
    digest[0] ^= 1;
    assert_rc(open_reply(&ticket.session, LABEL_AP_REPLY, &b, buf_slice(&answer), &reply), RC_MODIFIED);
    assert_null(reply);
}

static void accept__takes_a_challenge_once(void **state)
{
    (void)state;
    get_challenge();
    assert_ok(ask());
    assert_rc(ask(), RC_NO_CHALLENGE);
    get_challenge();
    assert_ok(ask());
}

static void accept__refuses_a_challenge_that_expired(void **state)
{
    (void)state;
    get_challenge();
    now_s += AP_CHALLENGE_S;
    assert_rc(ask(), RC_NO_CHALLENGE);
    get_challenge();
    now_s += AP_CHALLENGE_S - 1;
    assert_ok(ask());
    now_s = NOW + AP_CHALLENGE_S; /* a clock set back brings none back */
    assert_rc(ask(), RC_NO_CHALLENGE);
}

static void accept__refuses_a_challenge_of_another_client(void **state)
{
    (void)state;
    get_challenge();
    ticket.client = named("bob");
    bound_client = authenticator_client = "bob";
    seal_ticket();
    assert_rc(ask(), RC_NO_CHALLENGE);
}

static void accept__refuses_a_challenge_of_another_process(void **state)
{
    (void)state;
    get_challenge();
    ap_close(ap);
    assert_ok(ap_open(&options, NOW, &ap));
    assert_rc(ask(), RC_NO_CHALLENGE);
}

static void accept__refuses_a_challenge_that_cannot_be_read(void **state)
{
    (void)state;
    assert_rc(ask(), RC_NO_CHALLENGE); /* empty */
    assert_ok(buf_text(&challenge, "!!!"));
    assert_rc(ask(), RC_NO_CHALLENGE);
    get_challenge();
    for (size_t i = 0; i < challenge.n; i += 7) {
        uint8_t was = challenge.p[i];
        challenge.p[i] = was == 'A' ? 'B' : 'A';
        assert_rc(ask(), RC_NO_CHALLENGE);
        challenge.p[i] = was;
    }
    assert_ok(ask());
}

static void accept__uses_a_challenge_up_only_by_a_proof(void **state)
{
    (void)state;
    get_challenge();
    bound_client = "bob";
    assert_rc(ask(), RC_MODIFIED);
    bound_client = "alice";
    assert_ok(ask());
}

static void accept__refuses_what_the_authenticator_is_not_bound_to(void **state)
{
    AUTO(buf_done) struct buf authenticator = {0}, request = {0};
    AUTO(ap_call_done) struct ap_call call = {0};

    (void)state;
    get_challenge();
    make_authenticator(&authenticator);
    assert_non_null(buf_cstr(&authenticator));
    ask_for("{\"op\":\"user_del\"}"); /* another body, put in on the way */
    join(&authenticator, &request);
    assert_rc(accept(&request, &call), RC_MODIFIED);

    ask_for("{\"op\":\"user_list\"}");
    get_challenge(); /* another challenge */
    buf_reset(&request);
    join(&authenticator, &request);
    ap_call_done(&call);
    assert_rc(accept(&request, &call), RC_MODIFIED);

    seal_ticket(); /* another envelope of the same ticket */
    buf_reset(&request);
    join(&authenticator, &request);
    ap_call_done(&call);
    assert_rc(accept(&request, &call), RC_MODIFIED);
    assert_true(call.is_opened);
}

static void accept__refuses_an_authenticator_of_another_kind_or_server(void **state)
{
    (void)state;
    get_challenge();
    authenticator_label = LABEL_TGS_AUTHENTICATOR;
    assert_rc(ask(), RC_MODIFIED);
    authenticator_label = LABEL_AP_AUTHENTICATOR;
    bound_server = "kerb/changepw";
    assert_rc(ask(), RC_MODIFIED);
    bound_server = "kerb/admin";
    authenticator_client = "mallory";
    assert_rc(ask(), RC_BAD_MATCH);
    authenticator_client = "alice";
    assert_ok(ask());
}

static void accept__refuses_an_authenticator_under_another_key(void **state)
{
    (void)state;
    get_challenge();
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &ticket.session));
    assert_rc(ask(), RC_MODIFIED);
}

static void accept__refuses_tickets_that_are_not_for_it(void **state)
{
    (void)state;
    get_challenge();
    ticket.end = NOW;
    seal_ticket();
    assert_rc(ask(), RC_TKT_EXPIRED);
    ticket.end = NOW + 60;

    ticket.server = named("kerb/changepw");
    seal_ticket();
    assert_rc(ask(), RC_MODIFIED);
    ticket.server = options.service;

    ticket.kind = TICKET_TGT;
    seal_ticket();
    assert_rc(ask(), RC_NOT_US);
    ticket.kind = TICKET_SERVICE;

    service_key.kvno++;
    seal_ticket();
    assert_rc(ask(), RC_NO_KVNO);
    service_key.kvno--;

    buf_reset(&ticket_text);
    assert_ok(buf_text(&ticket_text, "AAAA"));
    assert_rc(ask(), RC_MODIFIED);
}

static void accept__takes_sealed_tickets_only(void **state)
{
    AUTO(buf_done) struct buf request = {0};
    AUTO(ap_call_done) struct ap_call call = {0};

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &ticket.session));
    seal_ticket();
    assert_ok(buf_printf(&request, "{\"v\":1,\"ticket\":\"%s\"}", buf_cstr(&ticket_text)));
    assert_rc(accept(&request, &call), RC_BAD_ETYPE);
    assert_int_equal(call.fresh.n, 0);
}

static void accept__binds_the_address_when_told_to(void **state)
{
    (void)state;
    memcpy(ticket.address, "192.0.2.8", sizeof "192.0.2.8");
    seal_ticket();
    get_challenge();
    assert_ok(ask());
    ap_close(ap);
    options.check_address = true;
    assert_ok(ap_open(&options, NOW, &ap));
    assert_rc(ask(), RC_BAD_ADDRESS);
}

static void accept__reads_strictly(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "v=1&ticket=AAAA",
        "{}",
        "{\"v\":2,\"ticket\":\"AAAA\"}",
        "{\"v\":\"1\",\"ticket\":\"AAAA\"}",
        "{\"v\":1}",
        "{\"v\":1,\"ticket\":7}",
        "{\"v\":1,\"v\":1,\"ticket\":\"AAAA\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_done) struct buf request = {0};
        AUTO(ap_call_done) struct ap_call call = {0};
        assert_ok(buf_text(&request, bad[i]));
        assert_rc(accept(&request, &call), RC_MALFORMED);
    }
    get_challenge();
    ask_for("[1]");
    assert_rc(ask(), RC_MALFORMED);
    buf_reset(&body);
    assert_ok(buf_text(&body, "e30=")); /* {} with padding */
    assert_rc(ask(), RC_MALFORMED);
    ask_for("{}");
    assert_ok(ask());
}

static void accept__bounds_what_one_client_makes_it_remember(void **state)
{
    (void)state;
    for (int i = 0; i < REPLAY_PER_OWNER_MAX; i++) {
        get_challenge();
        assert_ok(ask());
    }
    get_challenge();
    assert_rc(ask(), RC_RATE_LIMITED);
    assert_ok(random_bytes(ticket.client_id, ID_LEN));
    seal_ticket();
    assert_ok(ask());
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(accept__gives_who_asks_for_what),
        TEST(reply__opens_for_its_request_only),
        TEST(accept__takes_a_challenge_once),
        TEST(accept__refuses_a_challenge_that_expired),
        TEST(accept__refuses_a_challenge_of_another_client),
        TEST(accept__refuses_a_challenge_of_another_process),
        TEST(accept__refuses_a_challenge_that_cannot_be_read),
        TEST(accept__uses_a_challenge_up_only_by_a_proof),
        TEST(accept__refuses_what_the_authenticator_is_not_bound_to),
        TEST(accept__refuses_an_authenticator_of_another_kind_or_server),
        TEST(accept__refuses_an_authenticator_under_another_key),
        TEST(accept__refuses_tickets_that_are_not_for_it),
        TEST(accept__takes_sealed_tickets_only),
        TEST(accept__binds_the_address_when_told_to),
        TEST(accept__reads_strictly),
        TEST(accept__bounds_what_one_client_makes_it_remember),
    };
    json_setup();
    if (crypto_setup() != RC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
