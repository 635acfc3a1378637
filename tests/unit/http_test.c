/* The HTTP server, started for real on a free port and spoken to byte by byte. */
#include "shared/service/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shared/crypto/primitives.h"
#include "tests/unit/unit.h"

#define BIG (16u << 20) /* bytes: more than the sockets' buffers hold */

static struct http *server;
static atomic_int served;
static atomic_bool is_ready;

/* --- handlers --- */

static void must(enum rc rc)
{
    if (rc != RC_OK)
        abort();
}

/* "address|body" */
static void echo(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    (void)ctx;
    atomic_fetch_add(&served, 1);
    must(buf_text(&reply->body, req->address));
    must(buf_byte(&reply->body, '|'));
    must(buf_add(&reply->body, req->body));
}

static void slow(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    const struct timespec pause = {.tv_nsec = 400000000};
    (void)nanosleep(&pause, NULL);
    echo(ctx, req, reply);
}

static void big(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    (void)ctx;
    (void)req;
    must(buf_reserve(&reply->body, BIG));
    memset(reply->body.p, 'x', BIG);
    reply->body.n = BIG;
}

static void fail_with(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    must(buf_text(&reply->body, "left over"));
    http_reply_error(reply, *(const enum rc *)ctx, req->op_id);
}

static enum rc ready(void *ctx)
{
    (void)ctx;
    return atomic_load(&is_ready) ? RC_OK : RC_NO_KEY;
}

/* --- the server --- */

static enum rc limited = RC_RATE_LIMITED, unknown = RC_NO_CLIENT, wrong = RC_BAD_PREAUTH, ours = RC_DB;
static const struct http_route routes[] = {
    {"/as/login", echo,      NULL    },
    {"/slow",     slow,      NULL    },
    {"/big",      big,       NULL    },
    {"/limited",  fail_with, &limited},
    {"/unknown",  fail_with, &unknown},
    {"/wrong",    fail_with, &wrong  },
    {"/ours",     fail_with, &ours   },
};
static struct proxy_list proxies;

static void start_server(unsigned threads, unsigned timeout_s)
{
    AUTO(buf_done) struct buf error = {0};
    const struct http_options options = {
        .listen = "127.0.0.1:0",
        .threads = threads,
        .connections_max = 64,
        .request_timeout_s = timeout_s,
        .proxies = &proxies,
        .routes = routes,
        .routes_n = ARRAY_LEN(routes),
        .ready = ready,
    };
    assert_ok(http_start(&options, &server, &error));
    assert_int_equal(error.n, 0);
    assert_true(http_port(server) > 0);
}

static int up(void **state)
{
    (void)state;
    atomic_store(&served, 0);
    atomic_store(&is_ready, true);
    proxies = (struct proxy_list){0};
    start_server(2, 1);
    return 0;
}

static int down(void **state)
{
    (void)state;
    http_stop(server, 0);
    server = NULL;
    return 0;
}

/* --- the client --- */

static int connect_raw(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(server))};
    const struct timeval patience = {.tv_sec = 10};

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int dial(void)
{
    int fd = connect_raw();
    assert_true(fd >= 0);
    return fd;
}

static void say(int fd, struct slice s)
{
    while (s.n) {
        ssize_t put = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (put <= 0)
            return; /* closed by the server: the answer tells */
        s = slice_of(s.p + put, s.n - (size_t)put);
    }
}

/* Milliseconds until the server closes; what comes before is thrown away. -1: it did not within the patience. */
static int64_t closed_after(int fd)
{
    int64_t start = clock_monotonic_ms();
    char scratch[4096];

    for (;;) {
        ssize_t n = recv(fd, scratch, sizeof scratch, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return -1;
        if (n <= 0)
            return clock_monotonic_ms() - start;
    }
}

struct answer {
    char head[2048];
    char body[65536];
    int status;
    size_t body_n;
};

/* The value of a header of the answer; "" when it has none. */
static const char *header(const struct answer *a, const char *name)
{
    static char value[256];
    char key[64];

    value[0] = 0;
    (void)snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strcasestr(a->head, key);
    if (at)
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(key), "\r"), at + strlen(key));
    return value;
}

/* Reads exactly one answer, byte by byte up to the end of its head. */
static void hear(int fd, bool is_head, struct answer *a)
{
    size_t n = 0;

    *a = (struct answer){0};
    while (n < 4 || memcmp(a->head + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n < sizeof a->head - 1);
        assert_int_equal(recv(fd, a->head + n, 1, 0), 1);
        n++;
    }
    assert_memory_equal(a->head, "HTTP/1.1 ", 9);
    a->status = (int)strtol(a->head + 9, NULL, 10);
    size_t want = is_head ? 0 : (size_t)strtoul(header(a, "Content-Length"), NULL, 10);
    assert_true(want < sizeof a->body);
    while (a->body_n < want) {
        ssize_t got = recv(fd, a->body + a->body_n, want - a->body_n, 0);
        assert_true(got > 0);
        a->body_n += (size_t)got;
    }
}

static void ask(int fd, const char *request, struct answer *a)
{
    say(fd, slice_text(request));
    hear(fd, strncmp(request, "HEAD", 4) == 0, a);
}

/* One request on a connection of its own. */
static void ask_once(const char *request, struct answer *a)
{
    int fd = dial();
    ask(fd, request, a);
    (void)close(fd);
}

static struct answer an; /* large, so not on the stack */

/* --- tests: what is served --- */

static void reply__is_exactly_what_the_handler_gave(void **state)
{
    (void)state;
    ask_once("POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", &an);
    assert_int_equal(an.status, 200);
    assert_string_equal(an.body, "127.0.0.1|hello");
    assert_string_equal(header(&an, "Content-Type"), "text/plain");
    assert_string_equal(header(&an, "Cache-Control"), "no-store");
    assert_string_equal(header(&an, "Content-Length"), "15");
}

static void path__is_served_with_and_without_one_slash_at_its_end(void **state)
{
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        {"/as/login",           200},
        {"/as/login/",          200},
        {"/as/login?login=x&y", 200},
        {"/as/login/?",         200},
        {"/as/login//",         404},
        {"/as/logi",            404},
        {"/as/loginx",          404},
        {"//as/login",          404},
        {"/",                   404},
        {"/AS/login",           404},
        {"/as/login/x",         404},
        {"/as/../as/login",     404},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char request[256];
        (void)snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz",
                       rows[i].path);
        ask_once(request, &an);
        assert_int_equal(an.status, rows[i].status);
    }
}

static void method__other_than_post_is_refused_with_allow_and_the_connection_stays(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "DELETE", "OPTIONS", "post", "BREW"};

    (void)state;
    int fd = dial();
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char request[128];
        (void)snprintf(request, sizeof request, "%s /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
                       methods[i]);
        ask(fd, request, &an);
        assert_int_equal(an.status, 405);
        assert_string_equal(header(&an, "Allow"), "POST");
        assert_non_null(strstr(an.body, "\"error\":\"KRB_ERR_MALFORMED\""));
    }
    ask(fd, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &an);
    assert_int_equal(an.status, 200);
    assert_int_equal(atomic_load(&served), 1);
    (void)close(fd);
}

static void health__answers_get_and_head(void **state)
{
    (void)state;
    ask_once("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &an);
    assert_int_equal(an.status, 200);
    assert_string_equal(an.body, "{\"status\":\"ok\"}");
    ask_once("HEAD /readyz/ HTTP/1.1\r\nHost: x\r\n\r\n", &an);
    assert_int_equal(an.status, 200);
    atomic_store(&is_ready, false);
    ask_once("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", &an);
    assert_int_equal(an.status, 503);
    assert_null(strstr(an.body, "key"));
    ask_once("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &an);
    assert_int_equal(an.status, 200);
    ask_once("POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &an);
    assert_int_equal(an.status, 405);
    assert_string_equal(header(&an, "Allow"), "GET, HEAD");
}

static void error__is_json_with_an_id_and_tells_no_more_than_its_code(void **state)
{
    struct slice a, b;
    int64_t time;

    (void)state;
    ask_once("POST /unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &an);
    assert_int_equal(an.status, 401);
    assert_string_equal(header(&an, "Content-Type"), "application/json");
    AUTO(json_done) json_t *first = NULL;
    assert_ok(json_parse_object(slice_of(an.body, an.body_n), 1, &first));
    assert_int_equal(json_object_size(first), 4);
    assert_ok(json_get_text(first, "error", &a));
    assert_slice(a, "KDC_ERR_PREAUTH_FAILED");
    assert_ok(json_get_text(first, "op_id", &a));
    assert_int_equal(a.n, OP_ID_LEN);
    assert_ok(json_get_int(first, "server_time", &time));
    assert_true(time >= clock_s() - 5 && time <= clock_s());
    ask_once("POST /wrong HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &an);
    AUTO(json_done) json_t *second = NULL;
    assert_ok(json_parse_object(slice_of(an.body, an.body_n), 1, &second));
    assert_ok(json_get_text(first, "message", &a));
    assert_ok(json_get_text(second, "message", &b));
    assert_true(a.n > 10 && slice_eq(a, b));
    ask_once("POST /ours HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &an);
    assert_int_equal(an.status, 500);
    assert_null(strstr(an.body, "database"));
    ask_once("POST /limited HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &an);
    assert_int_equal(an.status, 429);
    assert_string_equal(header(&an, "Retry-After"), "60");
}

static void pipelined_requests__are_answered_in_order(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, slice_text("POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /as/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"
                       "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
                       "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nc"));
    hear(fd, false, &an);
    assert_string_equal(an.body, "127.0.0.1|a");
    hear(fd, false, &an);
    assert_string_equal(an.body, "127.0.0.1|b");
    hear(fd, false, &an);
    assert_int_equal(an.status, 404);
    hear(fd, false, &an);
    assert_string_equal(an.body, "127.0.0.1|c");
    (void)close(fd);
}

static void one_thread__serves_too(void **state)
{
    (void)state;
    http_stop(server, 0);
    start_server(1, 1);
    ask_once("POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", &an);
    assert_int_equal(an.status, 200);
}

/* --- tests: what is refused --- */

static void length__that_can_be_read_in_two_ways_is_refused_and_closed(void **state)
{
    static const char *const heads[] = {
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 50\r\n",
        "content-length: 4\r\nCONTENT-LENGTH: 50\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length : 4\r\n",
        "Content-Length: 0\r\nTransfer-Encoding\t: chunked\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char request[512];
        (void)snprintf(request, sizeof request,
                       "POST /as/login HTTP/1.1\r\nHost: x\r\n%s\r\n0\r\n\r\n"
                       "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                       heads[i]);
        int fd = dial();
        say(fd, slice_text(request));
        hear(fd, false, &an);
        if (an.status < 400 || an.status == 404)
            fail_msg("'%s' was answered by %d", heads[i], an.status);
        assert_true(an.status == 400 || an.status == 413);
        assert_string_equal(header(&an, "Connection"), "close");
        assert_true(closed_after(fd) >= 0);
        (void)close(fd);
    }
    assert_int_equal(atomic_load(&served), 0);
}

static void chunked_body__of_http_1_0_is_refused(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, slice_text("POST /as/login HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    char got[16] = "";
    assert_true(recv(fd, got, 12, MSG_WAITALL) == 12);
    assert_string_equal(got + 8, " 400");
    assert_true(closed_after(fd) >= 0);
    assert_int_equal(atomic_load(&served), 0);
    (void)close(fd);
}

static void host__must_be_there(void **state)
{
    (void)state;
    ask_once("POST /as/login HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &an);
    assert_int_equal(an.status, 400);
    assert_int_equal(atomic_load(&served), 0);
}

static void body__of_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    AUTO(buf_done) struct buf body = {0}, request = {0};

    (void)state;
    assert_ok(buf_reserve(&body, HTTP_BODY_MAX));
    memset(body.p, 'y', HTTP_BODY_MAX);
    body.n = HTTP_BODY_MAX;
    assert_ok(buf_printf(&request, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", HTTP_BODY_MAX));
    assert_ok(buf_add(&request, buf_slice(&body)));
    int fd = dial();
    say(fd, buf_slice(&request));
    hear(fd, false, &an);
    assert_int_equal(an.status, 200);
    assert_int_equal(an.body_n, HTTP_BODY_MAX + strlen("127.0.0.1|"));
    (void)close(fd);
    fd = dial(); /* told at once: no byte of the body is sent */
    char head[128];
    (void)snprintf(head, sizeof head, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                   HTTP_BODY_MAX + 1);
    ask(fd, head, &an);
    assert_int_equal(an.status, 413);
    assert_string_equal(header(&an, "Connection"), "close");
    assert_true(closed_after(fd) >= 0);
    (void)close(fd);
    assert_int_equal(atomic_load(&served), 1);
}

static void chunked_body__is_bounded_too(void **state)
{
    static const int pieces[] = {16, 17}; /* of 1,024 bytes */
    static char piece[1024 + 8];

    (void)state;
    memcpy(piece, "400\r\n", 5);
    memset(piece + 5, 'z', 1024);
    memcpy(piece + 5 + 1024, "\r\n", 2);
    int fd = dial();
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        say(fd, slice_text("POST /as/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
        for (int j = 0; j < pieces[i]; j++)
            say(fd, slice_of(piece, 5 + 1024 + 2));
        say(fd, slice_text("0\r\n\r\n"));
        hear(fd, false, &an);
        assert_int_equal(an.status, pieces[i] == 16 ? 200 : 413);
    }
    ask(fd, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok", &an);
    assert_string_equal(an.body, "127.0.0.1|ok");
    (void)close(fd);
}

static void headers__that_do_not_fit_are_refused(void **state)
{
    AUTO(buf_done) struct buf request = {0};

    (void)state;
    assert_ok(buf_text(&request, "POST /as/login HTTP/1.1\r\nHost: x\r\n"));
    for (int i = 0; i < 2000; i++)
        assert_ok(buf_printf(&request, "X-%d: aaaaaaaaaaaaaaaa\r\n", i));
    int fd = dial();
    say(fd, buf_slice(&request));
    char got[13] = "";
    if (recv(fd, got, 12, MSG_WAITALL) == 12)
        assert_string_equal(got + 8, " 431");
    assert_int_equal(atomic_load(&served), 0);
    (void)close(fd);
}

/* --- tests: slow clients --- */

/* One byte each 50 ms; returns after how long the connection is gone. */
static int64_t drip(int fd, const char *first, char then)
{
    int64_t start = clock_monotonic_ms();

    say(fd, slice_text(first));
    for (int i = 0; i < 100; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char c;
        if (poll(&p, 1, 50) > 0 && recv(fd, &c, 1, MSG_DONTWAIT) <= 0)
            return clock_monotonic_ms() - start;
        say(fd, slice_of(&then, 1));
    }
    return -1;
}

static void slow_client__is_cut_off_after_the_total_deadline(void **state)
{
    static const struct {
        const char *first;
        char then;
    } rows[] = {
        {"POST /as/login HTTP/1.1\r\nHost: x\r\nX-Slow: ",                     'a'},
        {"POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", 'a'},
        {"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n",  'a'},
        {"P",                                                                  'O'},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int fd = dial();
        int64_t ms = drip(fd, rows[i].first, rows[i].then);
        if (ms < 900 || ms > 3000)
            fail_msg("row %zu: cut off after %lld ms", i, (long long)ms);
        (void)close(fd);
    }
    assert_int_equal(atomic_load(&served), 0);
}

static void silent_client__is_cut_off(void **state)
{
    int fd[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        fd[i] = dial();
    int64_t start = clock_monotonic_ms();
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        assert_true(closed_after(fd[i]) >= 0);
        (void)close(fd[i]);
    }
    int64_t ms = clock_monotonic_ms() - start;
    assert_true(ms >= 800 && ms < 3000);
}

static void slow_reader__is_cut_off(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, slice_text("POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
    (void)usleep(2500 * 1000); /* reads nothing meanwhile */
    int64_t got = 0;
    char scratch[65536];
    ssize_t n;
    while ((n = recv(fd, scratch, sizeof scratch, 0)) > 0)
        got += n;
    assert_true(got < BIG);
    (void)close(fd);
}

static void kept_alive_client__may_wait_longer_than_a_request(void **state)
{
    (void)state;
    int fd = dial();
    ask(fd, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", &an);
    (void)usleep(1800 * 1000);
    ask(fd, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb", &an);
    assert_string_equal(an.body, "127.0.0.1|b");
    int64_t ms = drip(fd, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", 'a');
    assert_true(ms >= 900 && ms < 3000);
    (void)close(fd);
}

/* --- tests: the client's address --- */

static void address__is_read_behind_trusted_proxies_only(void **state)
{
    static const struct {
        const char *trusted, *headers, *want;
    } rows[] = {
        {"",                     "X-Forwarded-For: 198.51.100.1\r\n",                                       "127.0.0.1|"   },
        {"10.0.0.0/8",           "X-Forwarded-For: 198.51.100.1\r\n",                                       "127.0.0.1|"   },
        {"127.0.0.1",            "X-Forwarded-For: 198.51.100.1\r\n",                                       "198.51.100.1|"},
        {"127.0.0.1",            "x-forwarded-for: 6.6.6.6, 198.51.100.1\r\n",                              "198.51.100.1|"},
        {"127.0.0.1",            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 198.51.100.1\r\n",           "198.51.100.1|"},
        {"127.0.0.1 10.0.0.0/8", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\nX-Forwarded-For: 10.0.0.7\r\n",
         "198.51.100.1|"                                                                                                   },
        {"127.0.0.1",            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: junk\r\n",                   "127.0.0.1|"   },
        {"127.0.0.1",            "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n",                        "127.0.0.1|"   },
        {"127.0.0.1",            "X-Forwarded-For: ::ffff:198.51.100.1\r\n",                                "198.51.100.1|"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char request[512];
        assert_ok(proxy_list_parse(rows[i].trusted, &proxies));
        (void)snprintf(request, sizeof request, "POST /as/login HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n",
                       rows[i].headers);
        ask_once(request, &an);
        assert_string_equal(an.body, rows[i].want);
    }
}

/* --- tests: start and stop --- */

static void *stop_gently(void *ctx)
{
    (void)ctx;
    http_stop(server, 3000);
    return NULL;
}

static void stop__finishes_what_was_begun(void **state)
{
    pthread_t stopper;

    (void)state;
    int busy = dial(), idle = dial();
    ask(idle, "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", &an);
    say(busy, slice_text("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nlast"));
    (void)usleep(100 * 1000);
    unsigned port = http_port(server);
    int64_t start = clock_monotonic_ms();
    assert_int_equal(pthread_create(&stopper, NULL, stop_gently, NULL), 0);
    int64_t idle_ms = closed_after(idle); /* the worker that owns it may be within the slow handler */
    assert_true(idle_ms >= 0 && idle_ms < 1000);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (const struct sockaddr *)&to, sizeof to), -1);
    hear(busy, false, &an);
    assert_int_equal(an.status, 200);
    assert_string_equal(an.body, "127.0.0.1|last");
    assert_string_equal(header(&an, "Connection"), "close");
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_true(clock_monotonic_ms() - start < 2000);
    server = NULL;
    (void)close(late);
    (void)close(busy);
    (void)close(idle);
}

/* Requests without a pause, on a connection of its own, until the server closes it. */
static void *pound(void *ctx)
{
    static const char request[] = "POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";
    int fd = *(int *)ctx;
    char scratch[1024];

    do
        say(fd, slice_text(request));
    while (recv(fd, scratch, sizeof scratch, 0) > 0);
    (void)close(fd);
    return NULL;
}

/* libmicrohttpd's own call for it (MHD_quiesce_daemon) races with its busy workers and sometimes ends the process. */
static void stop__is_safe_while_workers_are_busy(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        pthread_t client[4];
        int fd[ARRAY_LEN(client)];
        for (size_t j = 0; j < ARRAY_LEN(client); j++) {
            fd[j] = dial();
            assert_int_equal(pthread_create(&client[j], NULL, pound, &fd[j]), 0);
        }
        (void)usleep(1000);
        http_stop(server, 1000);
        for (size_t j = 0; j < ARRAY_LEN(client); j++)
            assert_int_equal(pthread_join(client[j], NULL), 0);
        start_server(i % 3 + 1, 1);
    }
}

static void stop__does_not_wait_for_ever(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, slice_text("POST /as/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"));
    (void)usleep(50 * 1000);
    int64_t start = clock_monotonic_ms();
    http_stop(server, 200);
    server = NULL;
    assert_true(clock_monotonic_ms() - start < 1000);
    assert_true(closed_after(fd) >= 0);
    (void)close(fd);
}

static void start__says_why_it_cannot_listen(void **state)
{
    char taken[32];
    struct http *second = NULL;

    (void)state;
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", http_port(server));
    const struct {
        const char *listen, *error;
        enum rc rc;
    } rows[] = {
        {taken,         "another program listens there",           RC_IO        },
        {"192.0.2.1:0", "this machine does not have that address", RC_IO        },
        {"localhost:1", "is not address:port",                     RC_BAD_CONFIG},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_done) struct buf error = {0};
        const struct http_options options = {
            .listen = rows[i].listen, .threads = 1, .connections_max = 8, .request_timeout_s = 1};
        assert_rc(http_start(&options, &second, &error), rows[i].rc);
        assert_non_null(strstr(buf_cstr(&error), rows[i].error));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(reply__is_exactly_what_the_handler_gave),
        TEST(path__is_served_with_and_without_one_slash_at_its_end),
        TEST(method__other_than_post_is_refused_with_allow_and_the_connection_stays),
        TEST(health__answers_get_and_head),
        TEST(error__is_json_with_an_id_and_tells_no_more_than_its_code),
        TEST(pipelined_requests__are_answered_in_order),
        TEST(one_thread__serves_too),
        TEST(length__that_can_be_read_in_two_ways_is_refused_and_closed),
        TEST(chunked_body__of_http_1_0_is_refused),
        TEST(host__must_be_there),
        TEST(body__of_the_limit_passes_and_one_byte_more_does_not),
        TEST(chunked_body__is_bounded_too),
        TEST(headers__that_do_not_fit_are_refused),
        TEST(slow_client__is_cut_off_after_the_total_deadline),
        TEST(silent_client__is_cut_off),
        TEST(slow_reader__is_cut_off),
        TEST(kept_alive_client__may_wait_longer_than_a_request),
        TEST(address__is_read_behind_trusted_proxies_only),
        TEST(stop__finishes_what_was_begun),
        TEST(stop__is_safe_while_workers_are_busy),
        TEST(stop__does_not_wait_for_ever),
        TEST(start__says_why_it_cannot_listen),
    };

    json_setup();
    if (crypto_setup() != RC_OK)
        return 1;
    log_setup("http-test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
