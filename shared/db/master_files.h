/* Inside shared/db: where the master keys of a daemon lie, and walking and changing what lies there. */
#ifndef KERB_DB_MASTER_FILES_H
#define KERB_DB_MASTER_FILES_H

#include "shared/db/shares.h"

struct master_files {
    char *keytab; /* path */
    bool is_credential;
    bool may_lack;             /* with shares, a keytab is what a roll-over leaves behind */
    char *shares;              /* path; NULL: no shares */
    struct master_place place; /* with shares */
};

MUST enum rc master_files_open(const struct master_place *place, struct master_files *ret);
void master_files_done(struct master_files *f);

MUST enum rc master_files_keytab(const struct master_files *f, struct keytab **ret);
MUST enum rc master_principal(struct name *ret);

/* Every version with its key; NULL: its secret was not supplied. The callback's first error ends the walk. */
MUST enum rc master_files_each(const struct master_files *f,
                               enum rc (*each)(void *ctx, const struct master_version *v, const struct key *key),
                               void *ctx);

#endif
