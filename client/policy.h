/* What a password must be that a person chooses. Nobody's password expires by itself. */
#ifndef KERB_CLIENT_POLICY_H
#define KERB_CLIENT_POLICY_H

#include "client/client.h"

#define POLICY_LENGTH_MIN 10 /* characters */

/* Tells: POLICY, BAD_ARGUMENT. */
MUST enum rc policy_check(struct kerb *k, const struct name *user, struct slice password);

/* The words that most people take, lower case, sorted; a password may not be one of them with trimmings. */
extern const char *const policy_common[];
extern const size_t policy_common_n;

#endif
