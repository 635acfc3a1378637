/* The key of an audit log's head. */
#include "shared/unseal/audit_key.h"

enum rc master_audit_key(void *ctx, uint32_t kvno, struct envelope_key *ret)
{
    struct master *m = ctx;
    bool changed;

    if (kvno == 0 && master_refresh(m, &changed) != RC_OK)
        changed = false; /* a file that cannot be read leaves the old keys in use */
    return master_derive(m, LABEL_AUDIT, kvno, ret);
}
