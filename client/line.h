/*
 * A line that a person types while other lines appear above it. On a terminal by libedit (the only file that includes
 * it is line.c), with keys and a memory of lines; otherwise lines are read and printed as they are.
 *
 * Thread: one; there is one of these in a process.
 */
#ifndef KERB_CLIENT_LINE_H
#define KERB_CLIENT_LINE_H

#include "shared/base/buf.h"

#define LINE_MAX_BYTES 60000 /* of a line that is not typed; a message must fit into a frame of 64 KiB */

struct line;

/* Errors: NO_MEMORY, IO. */
MUST enum rc line_open(struct line **ret);
void line_close(struct line *l); /* gives the terminal back; accepts NULL */

bool line_is_terminal(const struct line *l); /* standard input and output are terminals */

/* What stands before what is typed; harmless text. */
void line_prompt(struct line *l, const char *prompt);

/* Prints a line, above the one that is being typed. */
void line_say(struct line *l, const char *text);

enum line_state {
    LINE_PART, /* the person is still typing */
    LINE_WHOLE,
    LINE_END, /* end of input */
};

/* To be called when standard input can be read, or line_has_more(). Replaces *ret, without the end of the line. */
enum line_state line_read(struct line *l, struct buf *ret);

/* Without a terminal: more lines were read than have been asked for. */
bool line_has_more(const struct line *l);

/* The window has another size. */
void line_resized(struct line *l);

#endif
