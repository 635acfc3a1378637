/*
 * The audit log: one JSON line per decision, chained by hashes, its end known under the master key.
 *
 *   {"time":...,"daemon":"kerb-as","event":"as","op_id":"...",...,"n":17,"hash":"..."}
 *
 * hash = base64url of SHA-256(hash of the line before, 32 raw bytes | this line up to and with n's digits); the first
 * line follows 32 zero bytes. Beside the log lies PATH.head, an envelope (label "audit") of the number and the hash of
 * the last line that was written: so a line that was changed, moved or left out shows, and so does a tail cut off.
 *
 * Lines are gathered and written by a thread every 100 ms and at the end: a request costs no system call. A crash may
 * lose the last 100 ms. It may leave half a line; the next start ends that line and tells so in one of its own
 * ("audit_resumed"). A start that finds the log cut off or replaced goes on, and says so for good in a line
 * "audit_broken", so that a restart covers up nothing.
 * Never a secret, as in log.h. Thread: any.
 */
#ifndef KERB_SERVICE_AUDIT_H
#define KERB_SERVICE_AUDIT_H

#include "shared/crypto/envelope.h"
#include "shared/service/log.h"

#define AUDIT_FLUSH_MS 100
#define AUDIT_LINE_MAX 8192 /* bytes; a longer line would be a bug */

struct audit;

struct audit_options {
    const char *path;   /* of the log, 0600; the head is PATH.head */
    const char *daemon; /* stands in each line; outlives the audit */
    struct name realm;  /* of the envelope's AAD */
    /* The master key, label "audit", of that version; 0: of the one that seals now. Called by the writing thread, each
     * time that it writes, so that it follows a roll-over. Errors: NO_KVNO. */
    enum rc (*key)(void *ctx, uint32_t kvno, struct envelope_key *ret);
    void *key_ctx; /* outlives the audit */
};

/* Goes on with the file that is there, alone: another writer of it is waited for, then IO. Errors: IO, UNSAFE_FILE,
 * NO_MEMORY, MODIFIED (the last line is none of an audit log). */
MUST enum rc audit_open(const struct audit_options *options, struct audit **ret);
void audit_close(struct audit *a); /* writes everything; accepts NULL */

/* RC_OK while the last write succeeded and no line was lost since; else IO. */
enum rc audit_health(struct audit *a);

struct audit_line {
    struct buf text;
    struct jw json;
};

void audit_begin(struct audit *a, struct audit_line *l, const char *event, const char *op_id);
void audit_slice(struct audit_line *l, const char *name, struct slice utf8); /* empty: left out */
void audit_str(struct audit_line *l, const char *name, const char *text);    /* NULL, "": left out */
void audit_id(struct audit_line *l, const char *name, const uint8_t id[ID_LEN]);
void audit_num(struct audit_line *l, const char *name, int64_t value);
void audit_rc(struct audit_line *l, enum rc rc); /* "result" and the true "reason" */
void audit_end(struct audit *a, struct audit_line *l);

/* --- for kerbadm --- */

/*
 * Puts the head of a log that nobody writes now under the master key that seals now; a running daemon does so itself.
 * Errors: as audit_head_read, but a log without a head is fine.
 */
MUST enum rc audit_reseal(const struct audit_options *options);

struct audit_report {
    uint64_t lines;    /* that were read */
    uint64_t torn;     /* halves of lines that a crash has left */
    uint64_t bad_line; /* number in the file, from 1, of the first that is wrong; 0: none */
    const char *what;  /* what is wrong with it, a sentence; NULL: nothing */
};

/*
 * Checks the whole chain and the head; calls each (may be NULL) with every line that is right.
 * Errors: NOT_FOUND, IO, UNSAFE_FILE; MODIFIED when the report names something wrong; what each() returned.
 */
MUST enum rc audit_verify(const struct audit_options *options, enum rc (*each)(void *ctx, const json_t *line),
                          void *ctx, struct audit_report *ret);

#endif
