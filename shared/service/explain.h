/*
 * Results in words, for an administrator who asks why: what was found, and what helps.
 */
#ifndef KERB_SERVICE_EXPLAIN_H
#define KERB_SERVICE_EXPLAIN_H

#include "shared/base/buf.h"

/* One or two sentences, for every row of the table in rc.h. Never NULL. */
const char *explain_result(enum rc rc);

/* The row of a name as the audit log has it ("NO_CLIENT"). Errors: NOT_FOUND. */
MUST enum rc explain_find(struct slice name, enum rc *ret);

#endif
