/*
 * Standard input and output of kerb-shamir: bytes that are never echoed, never in stdio's buffers, wiped after use.
 */
#ifndef KERB_SHAMIR_TERMINAL_H
#define KERB_SHAMIR_TERMINAL_H

#include "shared/base/buf.h"

#define INPUT_MAX (64 * 1024) /* bytes: 255 shares of the longest kind are 43,000 */

enum input_end {
    INPUT_ONE_LINE,   /* a terminal gives one line */
    INPUT_EMPTY_LINE, /* a terminal gives lines until an empty one */
};

/*
 * All of standard input; from a terminal without echo, after `prompt`, until Ctrl-D or what `end` says.
 * A signal that ends the program restores the echo first. Errors: IO, LIMIT (more than INPUT_MAX), NO_MEMORY.
 */
MUST enum rc input_read(const char *prompt, enum input_end end, struct buf *ret);

/* Errors: IO. */
MUST enum rc output_write(struct slice s);

#endif
