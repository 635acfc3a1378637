/* The inner listener and its client, over real loopback sockets. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shared/service/inner.h"
#include "shared/service/inner_client.h"
#include "shared/service/listen.h"
#include "tests/unit/state.h"

static struct inner *inner;
static char address[64];
static int wait_ms; /* that the handler takes */

static void echo(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    const struct timespec pause = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};

    (void)nanosleep(&pause, NULL);
    assert_ok(buf_text(&reply->body, ctx));
    assert_ok(buf_add(&reply->body, req->body));
}

static const struct inner_route routes[] = {
    {"POST", "/echo",    echo, "post:"},
    {"GET",  "/metrics", echo, "get:" },
    {"GET",  "/echo",    echo, "both:"},
};

static int start(void **state)
{
    AUTO(buf_done) struct buf error = {0};

    (void)state;
    wait_ms = 0;
    assert_ok(inner_start("127.0.0.1:0", routes, ARRAY_LEN(routes), &inner, &error));
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", inner_port(inner));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    inner_stop(inner);
    inner = NULL;
    return 0;
}

static enum rc post(const char *path, struct slice body, int *ret_status, struct buf *ret)
{
    return inner_post(address, path, body, 5000, -1, ret_status, ret);
}

static void inner__serves_its_routes(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    int status;

    (void)state;
    assert_ok(post("/echo", slice_text("hello"), &status, &answer));
    assert_int_equal(status, 200);
    assert_slice(buf_slice(&answer), "post:hello");
    buf_reset(&answer);
    assert_ok(post("/echo/", slice_text(""), &status, &answer));
    assert_slice(buf_slice(&answer), "post:");
}

static void inner__refuses_other_paths_and_methods(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    int status;

    (void)state;
    assert_ok(post("/other", slice_text("x"), &status, &answer));
    assert_int_equal(status, 404);
    assert_ok(post("/metrics", slice_text("x"), &status, &answer));
    assert_int_equal(status, 405);
    assert_ok(post("/echoes", slice_text("x"), &status, &answer));
    assert_int_equal(status, 404);
}

static void inner__bounds_the_body(void **state)
{
    AUTO(buf_done) struct buf body = {0}, answer = {0};
    int status;

    (void)state;
    assert_ok(buf_reserve(&body, HTTP_BODY_MAX + 1));
    memset(body.p, 'x', HTTP_BODY_MAX + 1);
    body.n = HTTP_BODY_MAX;
    assert_ok(post("/echo", buf_slice(&body), &status, &answer));
    assert_int_equal(status, 200);
    assert_int_equal(answer.n, HTTP_BODY_MAX + 5);
    body.n++;
    assert_ok(post("/echo", buf_slice(&body), &status, &answer));
    assert_int_equal(status, 413);
}

static void inner__listens_on_loopback_only(void **state)
{
    static const char *const bad[] = {"0.0.0.0:0", "192.0.2.1:8811",   "[::]:0", "[2001:db8::1]:1", "localhost:1", "",
                                      "127.0.0.1", "126.255.255.255:1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_done) struct buf error = {0};
        struct inner *other = NULL;
        assert_false(listen_is_loopback(bad[i]));
        assert_rc(inner_start(bad[i], routes, ARRAY_LEN(routes), &other, &error), RC_BAD_CONFIG);
        assert_true(error.n > 0);
    }
    assert_true(listen_is_loopback("127.0.0.1:0"));
    assert_true(listen_is_loopback("127.9.9.9:1"));
    assert_true(listen_is_loopback("[::1]:8811"));
}

static void inner__tells_that_a_port_is_taken(void **state)
{
    AUTO(buf_done) struct buf error = {0};
    struct inner *other = NULL;

    (void)state;
    assert_rc(inner_start(address, routes, ARRAY_LEN(routes), &other, &error), RC_IO);
    assert_non_null(memmem(error.p, error.n, "another program", 15));
}

static void *slow(void *arg)
{
    AUTO(buf_done) struct buf answer = {0};
    int status = 0;

    (void)arg;
    return inner_post(address, "/echo", slice_text("slow"), 5000, -1, &status, &answer) == RC_OK ? NULL : address;
}

static void inner__serves_others_while_one_waits(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    pthread_t thread;
    void *failed;
    int status;

    (void)state;
    wait_ms = 600;
    assert_int_equal(pthread_create(&thread, NULL, slow, NULL), 0);
    int64_t begin_ms = clock_monotonic_ms();
    assert_ok(post("/other", slice_text("x"), &status, &answer));
    assert_true(clock_monotonic_ms() - begin_ms < 500);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static void client__gives_up_in_time(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    int status;

    (void)state;
    wait_ms = 500;
    int64_t begin_ms = clock_monotonic_ms();
    assert_rc(inner_post(address, "/echo", slice_text("x"), 100, -1, &status, &answer), RC_IO);
    assert_true(clock_monotonic_ms() - begin_ms < 400);
    assert_int_equal(answer.n, 0);
}

static void client__stops_when_told(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    int status, fd = eventfd(1, EFD_CLOEXEC);

    (void)state;
    assert_rc(inner_post(address, "/echo", slice_text("x"), 5000, fd, &status, &answer), RC_STOPPED);
    (void)close(fd);
}

static void client__goes_to_loopback_only(void **state)
{
    AUTO(buf_done) struct buf answer = {0};
    int status;

    (void)state;
    assert_rc(inner_post("192.0.2.1:80", "/", slice_text(""), 100, -1, &status, &answer), RC_BAD_CONFIG);
    assert_rc(inner_post("example.org:80", "/", slice_text(""), 100, -1, &status, &answer), RC_BAD_CONFIG);
}

/* What a peer that is no listener of ours answers. */
struct liar {
    int fd;
    const char *says;
};

static void *lie(void *arg)
{
    const struct liar *liar = arg;
    struct pollfd p = {.fd = liar->fd, .events = POLLIN};
    char buf[1024];

    (void)poll(&p, 1, 5000);
    int fd = accept(liar->fd, NULL, NULL);
    if (fd >= 0) {
        (void)recv(fd, buf, sizeof buf, 0);
        (void)send(fd, liar->says, strlen(liar->says), MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        (void)recv(fd, buf, sizeof buf, 0);
        (void)close(fd);
    }
    return NULL;
}

static void client__refuses_answers_that_are_not_whole(void **state)
{
    static const char *const bad[] = {
        "",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\n\r\nbody without a length",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlong",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\ntwin",
        "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nless",
        "HTTP/1.1 abc OK\r\nContent-Length: 4\r\n\r\nword",
        "SSH-2.0-something\r\nContent-Length: 4\r\n\r\nelse",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_done) struct buf answer = {0}, error = {0};
        struct liar liar = {.says = bad[i]};
        pthread_t thread;
        unsigned port;
        char where[64];
        int status;

        assert_ok(listen_open("127.0.0.1:0", &liar.fd, &port, &error));
        (void)snprintf(where, sizeof where, "127.0.0.1:%u", port);
        assert_int_equal(pthread_create(&thread, NULL, lie, &liar), 0);
        assert_rc(inner_post(where, "/", slice_text("x"), 2000, -1, &status, &answer), RC_IO);
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)close(liar.fd);
        assert_rc(inner_post(where, "/", slice_text("x"), 2000, -1, &status, &answer), RC_IO); /* nobody is there */
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(inner__serves_its_routes),
        TEST(inner__refuses_other_paths_and_methods),
        TEST(inner__bounds_the_body),
        TEST(inner__listens_on_loopback_only),
        TEST(inner__tells_that_a_port_is_taken),
        TEST(inner__serves_others_while_one_waits),
        TEST(client__gives_up_in_time),
        TEST(client__stops_when_told),
        TEST(client__goes_to_loopback_only),
        TEST(client__refuses_answers_that_are_not_whole),
    };
    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
