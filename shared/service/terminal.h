/*
 * Secrets from a person: asked on the terminal without echo, or a line of a file.
 *
 * Never from an argument or the environment: other users can read those.
 */
#ifndef KERB_SERVICE_TERMINAL_H
#define KERB_SERVICE_TERMINAL_H

#include "shared/base/buf.h"

/*
 * Asks on the terminal, whatever standard input is; the terminal is given back also when a signal comes in between.
 * One byte more than max is taken, so that the caller sees what is too long.
 * Out: appended. Errors: NOT_FOUND (no terminal), IO (errno tells), NO_MEMORY.
 */
MUST enum rc terminal_ask(const char *prompt, size_t max, struct buf *out);

/*
 * Appends the first line without its end; what follows stays to be read by others. Errors: IO (errno tells),
 * NO_MEMORY. As terminal_ask() for what is too long.
 */
MUST enum rc terminal_line(int fd, size_t max, struct buf *out);

#endif
