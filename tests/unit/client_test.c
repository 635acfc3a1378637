/* The client against a server that lies: every way in which an answer must not be believed. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/chat.h"
#include "tests/unit/client_server.h"
#include "tests/unit/tempdir.h"

static struct tempdir dir;
static char cache_file[512], conf_file[512];
static struct kerb *k;
static struct buf traced;

static void on_trace(void *ctx, const char *line)
{
    (void)ctx;
    assert_ok(buf_text(&traced, line));
    assert_ok(buf_byte(&traced, '\n'));
}

static void reopen(const char *realm)
{
    const struct kerb_options o = {
        .url = "http://127.0.0.1:1", .realm = realm, .config = conf_file, .cache = cache_file, .trace = on_trace};

    kerb_close(k);
    assert_int_equal(kerb_open(&o, &k), KERB_OK);
    k->transport = (struct transport){server_post, NULL};
    k->vault_store = (struct vault_store){0}; /* there is no chat */
}

static void write_conf(const char *text)
{
    assert_int_equal(access(dir.path, W_OK), 0);
    FILE *f = fopen(conf_file, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(conf_file, 0600), 0);
}

static int begin(void **state)
{
    (void)state;
    (void)unsetenv("KERB_URL");
    (void)unsetenv("KERB_REALM");
    (void)unsetenv("KERB_CCACHE");
    assert_ok(crypto_setup());
    tempdir_make(&dir);
    (void)snprintf(cache_file, sizeof cache_file, "%s/ccache", dir.path);
    (void)snprintf(conf_file, sizeof conf_file, "%s/kerb.conf", dir.path);
    write_conf("[client]\niterations_min = 10000\n");
    server_reset();
    reopen(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    kerb_close(k);
    k = NULL;
    server_done();
    buf_done(&traced);
    tempdir_remove(&dir);
    return 0;
}

static enum kerb_status login_as(const char *user, const char *password)
{
    return kerb_login(k, user, password, strlen(password), NULL);
}

static enum kerb_status login(void)
{
    return login_as("alice", PASSWORD);
}

static void assert_distrusted(void)
{
    assert_string_equal(kerb_status_name(login()), "UNTRUSTED");
    assert_int_equal(access(cache_file, F_OK), -1); /* nothing was kept */
    assert_string_equal(kerb_client(k), "");
}

/* --- an honest server --- */

static void login__keeps_the_ticket(void **state)
{
    struct kerb_entry e;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    assert_string_equal(kerb_realm(k), SERVER_REALM);
    reopen(NULL);
    assert_int_equal(kerb_load(k), KERB_OK);
    assert_string_equal(kerb_client(k), "alice");
    assert_true(kerb_entry_at(k, 0, &e));
    assert_true(e.is_tgt);
    assert_int_equal(e.kvno, 3);
    assert_int_equal(e.end - e.start, 36000);
    assert_false(kerb_entry_at(k, 1, &e));
}

static void login__tries_again_with_a_fresh_cookie(void **state)
{
    (void)state;
    server.stale_cookies = 2;
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(server.posts, 4);
    server.stale_cookies = 100;
    assert_int_equal(login(), KERB_UNREACHABLE);
    assert_int_equal(server.posts, 4 + 4);
}

static void login__tells_a_wrong_password(void **state)
{
    (void)state;
    assert_int_equal(login_as("alice", "something else"), KERB_REFUSED);
    assert_non_null(strstr(kerb_error(k), "wrong name or password"));
    assert_null(strchr(kerb_error(k), 0x1B)); /* the server's words do not go to the terminal */
    assert_int_equal(access(cache_file, F_OK), -1);
}

static void login__refuses_what_is_no_name_or_password(void **state)
{
    (void)state;
    assert_int_equal(login_as("al\nice", PASSWORD), KERB_BAD_ARGUMENT);
    assert_int_equal(login_as("", PASSWORD), KERB_BAD_ARGUMENT);
    assert_int_equal(login_as("alice", ""), KERB_BAD_ARGUMENT);
    assert_int_equal(login_as("alice", "\xFF"), KERB_BAD_ARGUMENT);
}

static void ticket__is_fetched_once(void **state)
{
    struct kerb_ticket t;

    (void)state;
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_NO_TICKET);
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
    assert_string_equal(t.service, "chat");
    assert_string_equal(t.client, "alice");
    assert_memory_equal(t.session_key, server_session.bytes, KERB_KEY_SIZE);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
    reopen(NULL);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
    assert_int_equal(server.tgs_posts, 1);
    assert_int_equal(kerb_get_ticket(k, "tgs", &t), KERB_BAD_ARGUMENT);
}

static void ticket__of_a_login_that_is_over_is_refused(void **state)
{
    struct kerb_ticket t;

    (void)state;
    server.lifetime = 0;
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_EXPIRED);
    assert_int_equal(server.tgs_posts, 0);
}

static void ticket__that_came_behind_a_logout_is_not_written(void **state)
{
    struct kerb_ticket t;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    assert_ok(cache_wipe(cache_file)); /* another process logs out */
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
    assert_int_equal(access(cache_file, F_OK), -1);
}

static void refuse_all(const char *code)
{
    server.error = code;
    server.status = 401;
}

static void ticket__refused_as_over_ends_the_login_in_the_file(void **state)
{
    struct kerb_ticket t;
    struct kerb_entry e;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
    refuse_all("KRB_AP_ERR_TKT_EXPIRED");
    assert_int_equal(kerb_get_ticket(k, "mail", &t), KERB_EXPIRED);
    reopen(NULL);
    assert_int_equal(kerb_load(k), KERB_OK);
    assert_string_equal(kerb_client(k), "alice");
    assert_true(kerb_entry_at(k, 0, &e));
    assert_true(e.end <= kerb_now(k) && e.start <= e.end);
    assert_false(kerb_entry_at(k, 1, &e));
    server.error = NULL;
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_EXPIRED);
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
}

static void ticket__refused_for_another_reason_leaves_the_login(void **state)
{
    static const char *const codes[] = {"KRB_AP_ERR_MODIFIED", "KDC_ERR_S_PRINCIPAL_UNKNOWN", "KDC_ERR_POLICY"};
    struct kerb_ticket t;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        refuse_all(codes[i]);
        assert_int_not_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
        server.error = NULL;
        reopen(NULL);
        assert_int_equal(kerb_get_ticket(k, "mail", &t), KERB_OK);
    }
}

static void ticket__refused_as_over_leaves_a_login_that_came_meanwhile(void **state)
{
    struct kerb *old = k;
    struct kerb_ticket t;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    k = NULL;
    reopen(NULL); /* another process */
    assert_int_equal(login(), KERB_OK);
    refuse_all("KRB_AP_ERR_TKT_EXPIRED");
    assert_int_equal(kerb_get_ticket(old, "chat", &t), KERB_EXPIRED);
    kerb_close(old);
    server.error = NULL;
    reopen(NULL);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
}

static void call__with_a_ticket_that_is_not_taken_gets_another_once(void **state)
{
    struct kerb_ticket t;
    char *reply = NULL;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_get_ticket(k, "kerb/admin", &t), KERB_OK);
    server.elsewhere = "KRB_AP_ERR_TKT_EXPIRED";
    server.posts = 0;
    assert_int_equal(kerb_call(k, "/as/admin", "kerb/admin", "{}", &reply), KERB_EXPIRED);
    assert_int_equal(server.posts, 3); /* call, TGS, call */
    assert_int_equal(server.tgs_posts, 2);
    assert_int_equal(kerb_get_ticket(k, "mail", &t), KERB_OK); /* the TGS has not said that the login is over */
    server.elsewhere = "KDC_ERR_POLICY";
    server.posts = 0;
    assert_int_equal(kerb_call(k, "/as/admin", "kerb/admin", "{}", &reply), KERB_POLICY);
    assert_int_equal(server.posts, 1);
    assert_null(reply);
}

static void trace__holds_no_secret(void **state)
{
    AUTO(buf_done) struct buf key_text = {0};
    struct kerb_ticket t;

    (void)state;
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_get_ticket(k, "chat", &t), KERB_OK);
    const char *text = buf_cstr(&traced);
    assert_non_null(strstr(text, "as-preauth"));
    assert_non_null(strstr(text, "tgs-reply"));
    assert_null(strstr(text, PASSWORD));
    assert_null(strstr(text, b64(key_slice(&server_session), &key_text)));
    t.text[20] = 0;
    assert_null(strstr(text, t.text));
}

static void assert_record_is_traced_as(const char *json, const char *line)
{
    buf_reset(&traced);
    chat_trace_record(k, "<-", slice_text(json), 288);
    assert_string_equal(buf_cstr(&traced), line);
}

static void trace__of_a_record_holds_its_type_label_and_size(void **state)
{
    (void)state;
    assert_record_is_traced_as("{\"type\":\"ack\",\"id\":\"k7\",\"room\":\"board\"}",
                               "<- record: ack, id k7, 288 bytes\n");
    assert_record_is_traced_as("{\"type\":\"online\"}", "<- record: online, 288 bytes\n");
    assert_record_is_traced_as("{\"type\":\"\\u001b[2J\",\"id\":\"a\\nb\"}", "<- record: ?, 288 bytes\n");
    assert_record_is_traced_as("{\"type\":[\"x\"],\"id\":7}", "<- record: ?, 288 bytes\n");
}

/* --- downgrade --- */

static void login__refuses_few_iterations(void **state)
{
    (void)state;
    write_conf("[client]\n"); /* not pinned: 200,000 */
    reopen(NULL);
    server.iterations_clear = server.iterations_sealed = 199999;
    assert_distrusted();
    assert_int_equal(server.posts, 1); /* and makes no proof with them */
    server.iterations_clear = server.iterations_sealed = 200000;
    assert_int_equal(login(), KERB_OK);
}

static void login__refuses_many_iterations(void **state)
{
    (void)state;
    server.iterations_clear = server.iterations_sealed = 10000001;
    assert_distrusted();
    assert_int_equal(server.posts, 1);
    server.iterations_clear = -1;
    assert_distrusted();
    server.iterations_clear = INT64_C(4294967296) + SERVER_ITER;
    assert_distrusted();
}

static void login__finds_an_edited_offer(void **state)
{
    (void)state;
    server.iterations_sealed = SERVER_ITER + 1;
    assert_distrusted();
    server_reset();
    server.other_salt = true;
    assert_distrusted();
    server_reset();
    server.etypes_sealed = "[\"aes128-cbc-hs256\",\"aes256-gcm\"]"; /* cut on the way */
    assert_distrusted();
    server_reset();
    server.etypes_clear = "[\"aes128-cbc-hs256\",\"aes128-cbc\"]"; /* grown on the way */
    assert_distrusted();
}

static void login__refuses_an_offer_without_our_etype(void **state)
{
    static const char *const bad[] = {"[\"aes128-cbc\"]", "[]", "null", "\"aes128-cbc-hs256\"", "[1]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        server_reset();
        server.etypes_clear = server.etypes_sealed = bad[i];
        assert_distrusted();
        assert_int_equal(server.posts, 1);
    }
    server_reset();
    server.etype = "aes128-cbc";
    assert_distrusted();
}

static void login__never_asks_in_the_classic_profile(void **state)
{
    static const char *const errors[] = {"KDC_ERR_PREAUTH_FAILED", "KRB_ERR_MALFORMED", "KDC_ERR_POLICY"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        server.error = errors[i];
        server.status = 400;
        server.posts = 0;
        assert_int_not_equal(login(), KERB_OK);
        assert_int_equal(server.posts, 1); /* server_as() takes sealed requests only */
    }
}

/* --- another realm, name, request --- */

static void login__refuses_another_realm(void **state)
{
    (void)state;
    reopen("ELSEWHERE");
    assert_distrusted();
    assert_int_equal(server.posts, 1);
    reopen(NULL);
    server.realm_sealed = "ELSEWHERE";
    assert_distrusted();
    assert_string_equal(kerb_realm(k), ""); /* a lie teaches nothing */
}

static void login__refuses_a_reply_for_others(void **state)
{
    (void)state;
    server.client = "bob";
    assert_distrusted();
    server_reset();
    server.server = "tgs2";
    assert_distrusted();
    server_reset();
    server.other_nonce = true;
    assert_distrusted();
    server_reset();
    server.other_request = true;
    assert_distrusted();
    server_reset();
    server.as_label = LABEL_TGS_REPLY;
    assert_distrusted();
}

static void login__refuses_the_reply_of_another_login(void **state)
{
    (void)state;
    assert_int_equal(login(), KERB_OK);
    assert_int_equal(kerb_logout(k), KERB_OK);
    server.same_reply = true;
    assert_distrusted();
}

static void login__refuses_what_is_not_sealed_or_unasked(void **state)
{
    (void)state;
    server.not_sealed = true;
    assert_distrusted();
    server_reset();
    server.no_proof_needed = true;
    assert_distrusted();
    server_reset();
    server.short_key = true;
    assert_distrusted();
    server_reset();
    server.lifetime = -1;
    assert_distrusted();
    server_reset();
    server.renew_till = 1;
    assert_distrusted();
}

static void assert_ticket_is_distrusted(void)
{
    struct kerb_ticket t;

    server.tgs_posts = 0;
    assert_string_equal(kerb_status_name(kerb_get_ticket(k, "chat", &t)), "UNTRUSTED");
    assert_int_equal(server.tgs_posts, 1);
    assert_null(cache_find(&k->cache, slice_text("chat")));
}

static void ticket__refuses_a_reply_for_others(void **state)
{
    (void)state;
    assert_int_equal(login(), KERB_OK);
    server.client = "bob";
    assert_ticket_is_distrusted();
    server.client = "alice";
    server.service = "mail";
    assert_ticket_is_distrusted();
    server.service = NULL;
    server.other_nonce = true;
    assert_ticket_is_distrusted();
    server.other_nonce = false;
    server.other_request = true;
    assert_ticket_is_distrusted();
    server.other_request = false;
    server.tgs_label = LABEL_AS_REPLY;
    assert_ticket_is_distrusted();
    server.tgs_label = LABEL_TGS_REPLY;
    server.outlives = true;
    assert_ticket_is_distrusted();
}

/* --- refusals --- */

/* What the sentence ends with; NULL: it names none. */
static void assert_op_id(const char *end)
{
    const char *text = kerb_error(k);

    if (end)
        assert_string_equal(text + strlen(text) - strlen(end), end);
    else
        assert_null(strstr(text, "op_id"));
}

static void refusals__have_a_status(void **state)
{
    static const struct {
        const char *code;
        int status;
        enum kerb_status expected;
    } rows[] = {
        {"KDC_ERR_PREAUTH_FAILED",      401, KERB_REFUSED     },
        {"KRB_AP_ERR_TKT_EXPIRED",      401, KERB_EXPIRED     },
        {"KRB_AP_ERR_MODIFIED",         401, KERB_EXPIRED     },
        {"KDC_ERR_S_PRINCIPAL_UNKNOWN", 400, KERB_NO_SERVICE  },
        {"KDC_ERR_POLICY",              403, KERB_POLICY      },
        {"KERB_ERR_RATE_LIMITED",       429, KERB_BUSY        },
        {"KRB_ERR_GENERIC",             500, KERB_SERVER_ERROR},
        {"SOMETHING_NEW",               400, KERB_SERVER_ERROR},
        {"lower case",                  400, KERB_UNREACHABLE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        server.error = rows[i].code;
        server.status = rows[i].status;
        assert_int_equal(login(), rows[i].expected);
        assert_null(strchr(kerb_error(k), 0x1B));
        assert_op_id(rows[i].expected != KERB_UNREACHABLE ? " (op_id a1b2)" : NULL);
    }
}

static void refusals__name_no_op_id_that_could_act_on_a_terminal_or_is_of_before(void **state)
{
    static const char *const bad[] = {"", "a b", "\\u001b[2J", "a)",
                                      "0123456789012345678901234567890123456789012345678901234567890123x"};

    (void)state;
    server.error = "KDC_ERR_POLICY";
    server.status = 403;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        server.op_id = "a1b2";
        assert_int_equal(login(), KERB_POLICY);
        assert_op_id(" (op_id a1b2)");
        server.op_id = bad[i];
        assert_int_equal(login(), KERB_POLICY);
        assert_op_id(NULL);
    }
}

static void http__silence_ends(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    struct kerb *other;
    char url[64];

    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(a.sin_port));
    const struct kerb_options o = {.url = url, .config = conf_file, .no_cache = true, .timeout_s = 1};
    int64_t started = clock_monotonic_ms();
    assert_int_equal(kerb_open(&o, &other), KERB_OK);
    assert_int_equal(kerb_login(other, "alice", PASSWORD, strlen(PASSWORD), NULL), KERB_UNREACHABLE);
    assert_in_range(clock_monotonic_ms() - started, 900, 10000);
    kerb_close(other);
    (void)close(fd);
}

static void open__refuses_urls_that_cannot_be(void **state)
{
    static const char *const bad[] = {"ftp://x",     "file:///etc/passwd", "x",       "http://u@x", "http://u:p@x",
                                      "http://x/?q", "http://x/#f",        "http://", "gopher://x", " http://x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerb *other;
        const struct kerb_options o = {.url = bad[i], .config = conf_file, .no_cache = true};
        assert_int_equal(kerb_open(&o, &other), KERB_BAD_ARGUMENT);
        kerb_close(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(login__keeps_the_ticket),
        T(login__tries_again_with_a_fresh_cookie),
        T(login__tells_a_wrong_password),
        T(login__refuses_what_is_no_name_or_password),
        T(ticket__is_fetched_once),
        T(ticket__of_a_login_that_is_over_is_refused),
        T(ticket__that_came_behind_a_logout_is_not_written),
        T(ticket__refused_as_over_ends_the_login_in_the_file),
        T(ticket__refused_for_another_reason_leaves_the_login),
        T(ticket__refused_as_over_leaves_a_login_that_came_meanwhile),
        T(call__with_a_ticket_that_is_not_taken_gets_another_once),
        T(trace__holds_no_secret),
        T(trace__of_a_record_holds_its_type_label_and_size),
        T(login__refuses_few_iterations),
        T(login__refuses_many_iterations),
        T(login__finds_an_edited_offer),
        T(login__refuses_an_offer_without_our_etype),
        T(login__never_asks_in_the_classic_profile),
        T(login__refuses_another_realm),
        T(login__refuses_a_reply_for_others),
        T(login__refuses_the_reply_of_another_login),
        T(login__refuses_what_is_not_sealed_or_unasked),
        T(ticket__refuses_a_reply_for_others),
        T(refusals__have_a_status),
        T(refusals__name_no_op_id_that_could_act_on_a_terminal_or_is_of_before),
        T(http__silence_ends),
        T(open__refuses_urls_that_cannot_be),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
