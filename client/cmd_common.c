/* Questions and sentences of the command. */
#include "client/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/service/terminal.h"

#define MINUTE_S 60
#define HOUR_S   3600
#define DAY_S    86400

int cmd_fail(int status, const char *fmt, ...)
{
    va_list ap;

    (void)fflush(stdout);
    (void)fputs("kerb: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return status;
}

int cmd_end(const struct cmd *c, enum kerb_status status)
{
    if (status != KERB_OK)
        return cmd_fail(status == KERB_BAD_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE, "%s", kerb_error(c->k));
    if (kerb_notice(c->k)[0])
        (void)cmd_fail(EXIT_SUCCESS, "%s", kerb_notice(c->k));
    return EXIT_SUCCESS;
}

const char *cmd_user(struct cmd *c)
{
    const char *user = getenv("USER");

    if (c->args_n > 0)
        return c->args[0];
    if (kerb_load(c->k) == KERB_OK)
        return kerb_client(c->k);
    if (user && user[0])
        return user;
    (void)cmd_fail(EXIT_USAGE, "who are you? Give your name behind the command, e.g. 'kerb login alice'");
    return NULL;
}

int cmd_password(const char *prompt, struct buf *ret)
{
    enum rc rc =
        isatty(STDIN_FILENO) ? terminal_ask(prompt, PASSWORD_MAX, ret) : terminal_line(STDIN_FILENO, PASSWORD_MAX, ret);

    if (rc == RC_OK)
        return ret->n ? EXIT_SUCCESS
                      : cmd_fail(EXIT_FAILURE,
                                 "no password was given: type it, or put it on the first line of standard input");
    if (rc == RC_NOT_FOUND)
        return cmd_fail(EXIT_FAILURE, "there is no terminal to ask for the password");
    return cmd_fail(EXIT_FAILURE, "cannot read the password: %s", rc == RC_IO ? strerror(errno) : rc_text(rc));
}

int cmd_password_again(const struct buf *first)
{
    AUTO(buf_done) struct buf second = {0};

    if (!isatty(STDIN_FILENO))
        return EXIT_SUCCESS;
    int status = cmd_password("The same once more: ", &second);
    if (status != EXIT_SUCCESS)
        return status;
    if (first->n != second.n || !ct_equal(first->p, second.p, second.n))
        return cmd_fail(EXIT_FAILURE, "the two passwords are not the same; nothing was changed");
    return EXIT_SUCCESS;
}

void cmd_span(int64_t seconds, char out[CMD_SPAN])
{
    long long s = seconds > 0 ? seconds : 0;

    if (s >= DAY_S)
        (void)snprintf(out, CMD_SPAN, "%lld d %lld h", s / DAY_S, s % DAY_S / HOUR_S);
    else if (s >= HOUR_S)
        (void)snprintf(out, CMD_SPAN, "%lld h %lld min", s / HOUR_S, s % HOUR_S / MINUTE_S);
    else if (s >= MINUTE_S)
        (void)snprintf(out, CMD_SPAN, "%lld min", s / MINUTE_S);
    else
        (void)snprintf(out, CMD_SPAN, "%lld s", s);
}

bool cmd_seconds(const char *text, int64_t *ret)
{
    static const struct {
        char letter;
        uint32_t seconds;
    } units[] = {
        {'s', 1       },
        {'m', MINUTE_S},
        {'h', HOUR_S  },
        {'d', DAY_S   },
    };
    struct slice s = slice_text(text);
    uint32_t unit = 1;
    uint64_t n;

    for (size_t i = 0; s.n && i < ARRAY_LEN(units); i++) {
        if (text[s.n - 1] != units[i].letter)
            continue;
        unit = units[i].seconds;
        s.n--;
        break;
    }
    if (parse_u64(s, UINT32_MAX, &n) != RC_OK || n == 0)
        return false;
    *ret = (int64_t)n * unit;
    return true;
}
