/* The life of a daemon: what a start leaves behind, signals, the service manager. */
#include "shared/service/lifecycle.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static void setup__hardens_the_process(void **state)
{
    struct rlimit limit;
    struct sigaction pipe_action;

    (void)state;
    assert_ok(lifecycle_setup());
    assert_int_equal(umask(077), 077);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur >= 65536 || limit.rlim_cur == limit.rlim_max);
    assert_int_equal(sigaction(SIGPIPE, NULL, &pipe_action), 0);
    assert_true(pipe_action.sa_handler == SIG_IGN);
}

static void wait__tells_signals_apart(void **state)
{
    (void)state;
    assert_ok(lifecycle_block_signals());
    assert_int_equal(lifecycle_wait(1), WAKE_TICK);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(lifecycle_wait(1000), WAKE_RELOAD);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(lifecycle_wait(1000), WAKE_STOP);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(lifecycle_wait(1000), WAKE_STOP);
}

static void wait_second__returns_in_a_later_second(void **state)
{
    (void)state;
    int64_t start_s = clock_s();
    lifecycle_wait_second(start_s);
    assert_true(clock_s() > start_s);
    int64_t before = clock_monotonic_ms();
    lifecycle_wait_second(start_s);
    assert_true(clock_monotonic_ms() - before < 500);
}

static void notify__reaches_the_service_manager(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char name[32], got[32] = "";

    (void)state;
    int n = snprintf(name, sizeof name, "@kerb-notify-%d", (int)getpid());
    memcpy(at.sun_path + 1, name + 1, (size_t)n - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)), 0);
    lifecycle_notify("READY=1"); /* nobody to tell: nothing happens */
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    lifecycle_notify("READY=1");
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), 7);
    assert_string_equal(got, "READY=1");
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    lifecycle_notify("STOPPING=1");
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), -1);
    (void)close(fd);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup__hardens_the_process),
        cmocka_unit_test(wait__tells_signals_apart),
        cmocka_unit_test(wait_second__returns_in_a_later_second),
        cmocka_unit_test(notify__reaches_the_service_manager),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
