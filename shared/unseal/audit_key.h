/* The key of an audit log's head, out of a master key of the log's own. */
#ifndef KERB_UNSEAL_AUDIT_KEY_H
#define KERB_UNSEAL_AUDIT_KEY_H

#include "shared/unseal/place.h"

/* For audit_options.key and ops_options.audit_key; ctx is a struct master that nobody else uses. Follows a roll-over.
 */
MUST enum rc master_audit_key(void *ctx, uint32_t kvno, struct envelope_key *ret);

#endif
