/* Secrets from a person. */
#include "shared/service/terminal.h"

#include <bsd/readpassphrase.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum rc terminal_ask(const char *prompt, size_t max, struct buf *out)
{
    TRY(buf_reserve(out, max + 2));
    char *at = (char *)out->p + out->n;
    if (!readpassphrase(prompt, at, max + 2, RPP_ECHO_OFF | RPP_REQUIRE_TTY))
        return errno == ENOTTY || errno == ENXIO ? RC_NOT_FOUND : RC_IO;
    out->n += strlen(at);
    return RC_OK;
}

/* Byte by byte: the rest is somebody else's. */
enum rc terminal_line(int fd, size_t max, struct buf *out)
{
    size_t start = out->n;

    TRY(buf_reserve(out, max + 2));
    while (out->n - start < max + 2) {
        ssize_t got = read(fd, out->p + out->n, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return RC_IO;
        if (got == 0 || out->p[out->n] == '\n')
            break;
        out->n++;
    }
    if (out->n > start && out->p[out->n - 1] == '\r')
        out->n--;
    return RC_OK;
}
