/* Reading secrets without echo: see terminal.h. */
#include "shamir/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define READ_STEP 4096

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static struct termios before; /* written before the handler is set */

static void restore_and_die(int signum)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void)raise(signum); /* default action again (SA_RESETHAND), once this handler returns */
}

static bool echo_off(void)
{
    struct termios silent;
    struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND};

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(ending_signals); i++)
        if (sigaction(ending_signals[i], &action, NULL) != 0)
            return false;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
}

static bool is_over(const struct buf *b, enum input_end end)
{
    if (b->n == 0 || b->p[b->n - 1] != '\n')
        return false;
    return end == INPUT_ONE_LINE || b->n == 1 || b->p[b->n - 2] == '\n';
}

static enum rc read_lines(bool is_terminal, enum input_end end, struct buf *ret)
{
    for (;;) {
        TRY(buf_reserve(ret, READ_STEP));
        ssize_t n = read(STDIN_FILENO, ret->p + ret->n, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return RC_IO;
        ret->n += (size_t)n;
        if (ret->n > INPUT_MAX)
            return RC_LIMIT;
        if (n == 0 || (is_terminal && is_over(ret, end)))
            return RC_OK;
    }
}

enum rc input_read(const char *prompt, enum input_end end, struct buf *ret)
{
    if (!isatty(STDIN_FILENO))
        return read_lines(false, end, ret);
    if (!echo_off())
        return RC_IO; /* rather nothing than a secret on the screen */
    fprintf(stderr, "%s\n", prompt);
    enum rc rc = read_lines(true, end, ret);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &before) != 0 && rc == RC_OK)
        rc = RC_IO;
    return rc;
}

enum rc output_write(struct slice s)
{
    while (s.n) {
        ssize_t n = write(STDOUT_FILENO, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return RC_IO;
        s.p += n;
        s.n -= (size_t)n;
    }
    return RC_OK;
}
