/* The life of a daemon: hardening, signals, the second of the start, the service manager. */
#include "shared/service/lifecycle.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/json.h"
#include "shared/crypto/primitives.h"

#define FILES_WANTED 65536 /* descriptors: more than the largest connections_max, and what the rest needs */

/* The look for leaks at exit attaches to the process, which a non-dumpable one refuses. */
static enum rc forbid_dumps(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return RC_IO;
    if (!UNDER_SANITIZER && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return RC_IO;
    return RC_OK;
}

/* As many descriptors as are allowed and useful; fewer are no reason not to start. */
static void raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t want = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
    if (files.rlim_cur < want) {
        files.rlim_cur = want;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

enum rc lifecycle_setup(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)umask(077);
    TRY(forbid_dumps());
    raise_file_limit();
    if (sigaction(SIGPIPE, &ignore, NULL) != 0)
        return RC_IO;
    json_setup_daemon();
    return crypto_setup();
}

static void lifecycle_signals(sigset_t *ret)
{
    (void)sigemptyset(ret);
    (void)sigaddset(ret, SIGTERM);
    (void)sigaddset(ret, SIGINT);
    (void)sigaddset(ret, SIGHUP);
}

enum rc lifecycle_block_signals(void)
{
    sigset_t set;

    lifecycle_signals(&set);
    return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 ? RC_OK : RC_IO;
}

enum rc lifecycle_begin(const char *daemon, enum log_level level)
{
    log_setup(daemon, level);
    if (!crypto_keys_are_locked())
        log_note(LOG_WARN, "memory", "keys are not locked into memory: raise the limit of locked memory");
    return lifecycle_block_signals();
}

/* What may be called in a signal handler is little. */
static void end_now(int signal)
{
    static const char line[] = "{\"level\":\"error\",\"event\":\"stopping\",\"message\":\"took too long: cut off\"}\n";

    (void)signal;
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        _exit(1);
    _exit(1);
}

void lifecycle_end_within(unsigned seconds)
{
    const struct sigaction act = {.sa_handler = end_now};

    if (sigaction(SIGALRM, &act, NULL) == 0)
        (void)alarm(seconds);
}

static struct timespec from_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

void lifecycle_wait_second(int64_t start_s)
{
    for (;;) {
        int64_t left_ms = (start_s + 1) * 1000 - clock_ms();
        if (left_ms <= 0)
            return;
        struct timespec pause = from_ms(left_ms < 1000 ? left_ms : 1000);
        (void)nanosleep(&pause, NULL);
    }
}

enum lifecycle_wake lifecycle_wait(int timeout_ms)
{
    sigset_t set;

    lifecycle_signals(&set);
    struct timespec timeout = from_ms(timeout_ms > 0 ? timeout_ms : 0);
    switch (sigtimedwait(&set, NULL, &timeout)) {
    case SIGTERM:
    case SIGINT:
        return WAKE_STOP;
    case SIGHUP:
        return WAKE_RELOAD;
    default:
        return WAKE_TICK;
    }
}

/* A file that cannot be read is told once: what has not changed is not looked at again. */
void lifecycle_keys(struct keytab_file *keys, const char *name, bool force)
{
    bool changed;

    enum rc rc = keytab_file_refresh(keys, force, &changed);
    if (rc != RC_OK)
        log_note(LOG_ERROR, "keytab", "%s cannot be read, the old keys stay in use: %s", name, rc_text(rc));
    else if (changed)
        log_note(LOG_INFO, "keytab", "%s was read again", name);
}

void lifecycle_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (to.sun_path[0] == '@') /* an abstract name begins with a zero byte */
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)(const void *)&to, len);
    (void)close(fd);
}

void lifecycle_serves(const char *listen, unsigned port, unsigned inner_port)
{
    const char *colon = strrchr(listen, ':');
    struct log_line line;

    log_begin(&line, LOG_INFO, "listening");
    log_slice(&line, "address", slice_of(listen, colon ? (size_t)(colon - listen) : strlen(listen)));
    log_num(&line, "port", port);
    if (inner_port)
        log_num(&line, "inner_port", inner_port);
    log_end(&line);
    lifecycle_notify("READY=1");
}
