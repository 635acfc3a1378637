/*
 * Where a password comes from: a prompt without echo, the first line of a file, or the random generator.
 *
 * Never from an argument or the environment: other users can read those.
 */
#ifndef KERB_ADMIN_PASSWORD_H
#define KERB_ADMIN_PASSWORD_H

#include "admin/admin.h"

/*
 * Valid UTF-8 of 1 to PASSWORD_MAX bytes. Warns of one that kerb would not let its user choose (client/policy.h).
 * Out: ret - replaced. Errors: all told.
 */
MUST enum rc password_get(struct admin *a, const struct name *user, struct buf *ret);

/* The keys of a password: one for each profile that the realm allows. Takes some tenths of a second. */
MUST enum rc password_keys(struct admin *a, const struct name *user, struct slice password, struct as_keys *ret);
#endif
