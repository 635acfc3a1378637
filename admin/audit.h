/*
 * kerbadm's part in the audit logs: it reads those of the daemons, and keeps one of its own beside each of theirs.
 */
#ifndef KERB_ADMIN_AUDIT_H
#define KERB_ADMIN_AUDIT_H

#include "admin/admin.h"
#include "shared/service/audit.h"

#define ADMIN_AUDIT_LOG "kerbadm.log" /* in STATE/as or STATE/tgs, wherever the change was made */

/* One log that there may be. */
struct audit_place {
    const char *folder, *file, *daemon;
};
extern const struct audit_place audit_places[];
extern const size_t audit_places_n;

/* Out: ret - its path and key; master - what the key comes from; both are released behind the last use. */
MUST enum rc audit_place_open(const struct admin *a, const struct audit_place *p, struct audit_options *ret,
                              char **ret_path, struct master **ret_master);

/* Records that a command was run, when it is one that changes something. A fault is told, and does not undo it. */
void audit_record(struct admin *a, const char *words, enum rc rc);

/* The heads of a daemon's logs go under the master key that seals now. */
MUST enum rc audit_rewrap(struct admin *a, const char *folder);

/* word: a result's name in the log, or the wire's word that stands for one or for several. result: a line's. */
bool audit_result_is(const char *word, const char *result);
bool audit_result_known(const char *word);
MUST enum rc audit_result_help(struct admin *a); /* prints all of them. Tells */

MUST enum rc cmd_audit_verify(struct admin *a);
MUST enum rc cmd_audit_explain(struct admin *a);
MUST enum rc cmd_audit_show(struct admin *a);

#endif
