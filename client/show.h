/*
 * Names and texts of other people on a terminal: what would move the cursor, change colours or turn the direction of
 * writing is shown as an escape, so that nobody can forge what the reader sees.
 */
#ifndef KERB_CLIENT_SHOW_H
#define KERB_CLIENT_SHOW_H

#include "shared/base/buf.h"

/*
 * Appends the text with control characters (C0, DEL, C1), line and paragraph separators, marks of direction and
 * invisible ones as \n, \t, \x1b or \u202e, and a byte that is not UTF-8 as \xff. A backslash stays one: an escape is
 * for reading, not for reading back. Errors: NO_MEMORY.
 */
MUST enum rc show_text(struct slice text, struct buf *out);

/* The same, as a string that lives in the buffer; "?" when out of memory. */
const char *show(struct slice text, struct buf *b);

#endif
