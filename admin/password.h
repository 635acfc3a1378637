/*
 * Where a password comes from: a prompt without echo, the first line of a file, or the random generator.
 *
 * Never from an argument or the environment: other users can read those.
 */
#ifndef KERB_ADMIN_PASSWORD_H
#define KERB_ADMIN_PASSWORD_H

#include "admin/admin.h"

#define PASSWORD_WEAK 8 /* characters: fewer are accepted with a warning */

/* Out: ret - replaced. Warns about a weak one. Errors: all told. */
MUST enum rc password_get(struct admin *a, const struct name *user, struct buf *ret);

/* The rules: not empty, valid UTF-8, at most PASSWORD_MAX bytes. Errors: MALFORMED, told. */
MUST enum rc password_check(struct admin *a, struct slice password);

/* The keys of a password: one for each profile that the realm allows. Takes some tenths of a second. */
MUST enum rc password_keys(struct admin *a, const struct name *user, struct slice password, struct as_keys *ret);

/* Asks twice on the terminal. Errors: all told. */
MUST enum rc password_ask(struct admin *a, const struct name *user, struct buf *ret);

#endif
