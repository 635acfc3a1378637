/* Results by either of their words: the audit log's, or that which the client was told. */
#include "admin/audit.h"

#include <string.h>

#include "shared/service/explain.h"

bool audit_result_is(const char *word, const char *result)
{
    enum rc rc;

    if (strcmp(word, result) == 0)
        return true;
    return explain_find(slice_text(result), &rc) == RC_OK && strcmp(word, rc_wire(rc)) == 0;
}

bool audit_result_known(const char *word)
{
    for (enum rc rc = RC_OK; rc < RC_COUNT; rc++)
        if (word[0] && audit_result_is(word, rc_name(rc)))
            return true;
    return false;
}

enum rc audit_result_help(struct admin *a)
{
    AUTO(buf_done) struct buf out = {0};

    for (enum rc rc = RC_OK; rc < RC_COUNT; rc++)
        TRY(buf_printf(&out, "%-20s %-28s %s\n", rc_name(rc), rc_wire(rc), rc_text(rc)));
    return admin_print(a, &out);
}
