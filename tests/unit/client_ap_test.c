/* The client's side of a service over HTTP against the server's (shared/ticket/ap), and against one that lies. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "client/client.h"
#include "shared/base/base64.h"
#include "shared/ticket/ap.h"
#include "tests/unit/tempdir.h"

static struct tempdir dir;
static struct keytab_file *keys;
static struct key service_key;
static struct ap *ap;
static struct kerb *k;
static struct cache_entry ticket;

static struct {
    unsigned posts, stale; /* stale: challenges that are forgotten before they come back */
    bool forget_challenge, answer_at_once, repeat_reply, other_session;
    const char *error;
    char asked[64];
} server;

static struct buf last_reply;

static struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static void open_service(void)
{
    struct ap_options o = {.realm = named("EXAMPLE"), .service = named("kerb/admin"), .keys = keys};

    ap_close(ap);
    assert_ok(ap_open(&o, clock_s(), &ap));
}

static void write_challenge(const struct ap_call *call, struct answer *ret)
{
    ret->status = 401;
    assert_ok(buf_text(&ret->body, "{\"error\":\"KDC_ERR_PREAUTH_REQUIRED\",\"message\":\"\""));
    if (!server.forget_challenge)
        assert_ok(buf_printf(&ret->body, ",\"challenge\":\"%.*s\"", SLICE_FMT(buf_slice(&call->fresh))));
    assert_ok(buf_byte(&ret->body, '}'));
}

static void write_reply(struct ap_call *call, struct answer *ret)
{
    struct slice op;

    assert_ok(json_get_text(call->body, "op", &op));
    (void)snprintf(server.asked, sizeof server.asked, "%.*s", SLICE_FMT(op));
    ret->status = 200;
    if (server.other_session)
        call->ticket.session.bytes[0] ^= 1;
    if (server.repeat_reply && last_reply.n) {
        assert_ok(buf_add(&ret->body, buf_slice(&last_reply)));
        return;
    }
    assert_ok(ap_reply(ap, call, slice_text("{\"ok\":true,\"n\":7}"), &ret->body));
    buf_reset(&last_reply);
    assert_ok(buf_add(&last_reply, buf_slice(&ret->body)));
}

static enum rc post(void *ctx, const char *url, struct slice body, struct answer *ret)
{
    AUTO(ap_call_done) struct ap_call call = {0};
    const struct ap_request req = {body, "192.0.2.7"};

    (void)ctx;
    assert_string_equal(url, "http://127.0.0.1:1/as/admin");
    server.posts++;
    if (server.posts > 1 && server.stale) {
        server.stale--;
        open_service(); /* the process is another one: its challenges, too */
    }
    if (server.error) {
        ret->status = 403;
        return buf_printf(&ret->body, "{\"error\":\"%s\"}", server.error);
    }
    enum rc rc = ap_accept(ap, &req, clock_s(), &call);
    if (server.answer_at_once) {
        ret->status = 200;
        return buf_text(&ret->body, "{\"ok\":true}");
    }
    if (rc == RC_NO_CHALLENGE) {
        write_challenge(&call, ret);
    } else {
        assert_ok(rc);
        write_reply(&call, ret);
    }
    return RC_OK;
}

static void make_ticket(void)
{
    struct ticket t = {.kind = TICKET_SERVICE,
                       .client = named("alice"),
                       .address = "192.0.2.7",
                       .server = named("kerb/admin"),
                       .auth_time = clock_s(),
                       .start = clock_s(),
                       .end = clock_s() + 600};
    struct name realm = named("EXAMPLE");

    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &t.session));
    assert_ok(random_bytes(t.client_id, ID_LEN));
    assert_ok(random_bytes(t.id, ID_LEN));
    ticket = (struct cache_entry){.server = t.server, .session = t.session, .start = t.start, .end = t.end};
    assert_ok(ticket_seal(&service_key, &realm, &t, &ticket.ticket));
}

static int begin(void **state)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    static const struct kerb_options o = {.url = "http://127.0.0.1:1", .realm = "EXAMPLE", .no_cache = true};
    struct name service = named("kerb/admin");

    (void)state;
    (void)setenv("HOME", "/nonexistent", 1);
    tempdir_make(&dir);
    memset(&server, 0, sizeof server);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &service_key));
    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &service, &service_key));
    assert_ok(keytab_save(kt, tempdir_file(&dir, "as.keytab")));
    assert_ok(keytab_file_open(tempdir_file(&dir, "as.keytab"), &keys));
    open_service();
    assert_int_equal(kerb_open(&o, &k), KERB_OK);
    k->transport = (struct transport){post, NULL};
    make_ticket();
    return 0;
}

static int end(void **state)
{
    (void)state;
    kerb_close(k);
    cache_entry_done(&ticket);
    ap_close(ap);
    ap = NULL;
    keytab_file_close(keys);
    buf_done(&last_reply);
    tempdir_remove(&dir);
    return 0;
}

static enum rc body(void *ctx, const struct reply *challenge, struct slice challenge_text, struct buf *out)
{
    (void)ctx;
    (void)challenge;
    assert_true(challenge_text.n > 0);
    return buf_text(out, "{\"op\":\"user_list\"}");
}

static enum rc call(json_t **ret)
{
    const struct name alice = named("alice");
    const struct ap_wish wish = {"/as/admin", &alice, &ticket, body, NULL};

    client_begin(k);
    return client_ap(k, &wish, ret);
}

static void assert_refused(enum kerb_status status)
{
    AUTO(json_done) json_t *reply = NULL;

    assert_int_not_equal(call(&reply), RC_OK);
    assert_string_equal(kerb_status_name(k->status), kerb_status_name(status));
    assert_null(reply);
}

static void call__is_answered(void **state)
{
    AUTO(json_done) json_t *reply = NULL;
    int64_t n;

    (void)state;
    assert_ok(call(&reply));
    assert_ok(json_get_int(reply, "n", &n));
    assert_int_equal(n, 7);
    assert_string_equal(server.asked, "user_list");
    assert_int_equal(server.posts, 2);
}

static void call__goes_again_with_a_new_challenge(void **state)
{
    AUTO(json_done) json_t *reply = NULL;

    (void)state;
    server.stale = 2;
    assert_ok(call(&reply));
    assert_int_equal(server.posts, 4);
    server.stale = 100;
    server.posts = 0;
    assert_refused(KERB_UNREACHABLE);
    assert_int_equal(server.posts, 4); /* and not for ever */
}

static void call__refuses_the_reply_of_another_call(void **state)
{
    AUTO(json_done) json_t *reply = NULL;

    (void)state;
    assert_ok(call(&reply));
    server.repeat_reply = true;
    assert_refused(KERB_UNTRUSTED);
}

static void call__refuses_a_reply_under_another_key(void **state)
{
    (void)state;
    server.other_session = true;
    assert_refused(KERB_UNTRUSTED);
}

static void call__refuses_an_answer_without_a_question(void **state)
{
    (void)state;
    server.answer_at_once = true;
    assert_refused(KERB_UNTRUSTED);
    server.answer_at_once = false;
    server.forget_challenge = true;
    assert_refused(KERB_UNTRUSTED);
}

static void call__tells_a_refusal(void **state)
{
    (void)state;
    server.error = "KDC_ERR_POLICY";
    assert_refused(KERB_POLICY);
    server.error = "KRB_AP_ERR_TKT_EXPIRED";
    assert_refused(KERB_EXPIRED);
}

static void kerb_call__wants_an_object_and_a_login(void **state)
{
    char *reply = NULL;

    (void)state;
    assert_int_equal(kerb_call(k, "/as/admin", "kerb/admin", "[]", &reply), KERB_BAD_ARGUMENT);
    assert_int_equal(kerb_call(k, "/as/admin", "kerb/admin", "{}", &reply), KERB_NO_TICKET);
    assert_int_equal(kerb_call(k, "/as/admin", " ", "{}", &reply), KERB_BAD_ARGUMENT);
    assert_null(reply);
    assert_int_equal(server.posts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(call__is_answered),
        T(call__goes_again_with_a_new_challenge),
        T(call__refuses_the_reply_of_another_call),
        T(call__refuses_a_reply_under_another_key),
        T(call__refuses_an_answer_without_a_question),
        T(call__tells_a_refusal),
        T(kerb_call__wants_an_object_and_a_login),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
