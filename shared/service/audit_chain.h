/*
 * Inside of the audit log: the chain and the head, shared by writer and reader.
 */
#ifndef KERB_SERVICE_AUDIT_CHAIN_H
#define KERB_SERVICE_AUDIT_CHAIN_H

#include "shared/service/audit.h"

#define AUDIT_HASH_TEXT 43 /* letters: base64url of 32 bytes */
#define AUDIT_HASH_LEAD ",\"hash\":\""
#define AUDIT_HASH_TAIL "\"}\n"

#define AUDIT_RESUMED "audit_resumed" /* events of our own */
#define AUDIT_BROKEN  "audit_broken"

/* Where a log stands: the number and the hash of its last line. */
struct audit_head {
    uint64_t n;
    uint8_t hash[SHA256_LEN];
};

/* The hash of the line whose text before the hash is `body`, and the head behind it. */
MUST enum rc audit_chain(struct audit_head *head, struct slice body);

/* The head as a file; ret_kvno: the version of the key that it is under. read: NOT_FOUND, MODIFIED (does not open),
 * NO_KVNO, IO, UNSAFE_FILE. */
MUST enum rc audit_head_read(const struct audit_options *o, struct audit_head *ret);
MUST enum rc audit_head_write(const struct audit_options *o, const struct audit_head *head, uint32_t *ret_kvno);

/*
 * One line of a file, without its end.
 * Out: ret_body - what its hash is of; ret_hash. Errors: MALFORMED (no line of an audit log).
 */
MUST enum rc audit_line_split(struct slice line, struct slice *ret_body, uint8_t ret_hash[SHA256_LEN]);

#endif
