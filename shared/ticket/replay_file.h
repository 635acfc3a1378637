/*
 * Inside of shared/ticket: the file of the replay cache, a list of records of one size.
 *
 *   record = kind u8 | owner[16] | digest[32] | time u64be | check[7]      check: first bytes of SHA-256 of the rest
 *
 * The first record is a clock (`time`: the newest second that the cache had seen when the file was written); an orderly
 * stop ends with an end record, which is a clock, too. A record that is appended is one write(): what the kernel has
 * outlives SIGKILL. (A loss of power may take the last seconds: there is no fsync for each request.)
 */
#ifndef KERB_TICKET_REPLAY_FILE_H
#define KERB_TICKET_REPLAY_FILE_H

#include <sys/types.h>

#include "shared/ticket/replay.h"

enum record_kind { RECORD_CLOCK = 'C', RECORD_SEEN = 'S', RECORD_END = 'E' };

struct record {
    enum record_kind kind;
    uint8_t owner[ID_LEN], digest[SHA256_LEN]; /* zero but for RECORD_SEEN */
    int64_t time_s;                            /* RECORD_SEEN: until when it is remembered; else the clock */
};

#define RECORD_LEN 64

/* Appends the bytes of a record. */
MUST enum rc record_encode(const struct record *record, struct buf *out);

/* False: not a record. */
bool record_decode(const uint8_t p[RECORD_LEN], struct record *ret);

/*
 * The records of a file, without a torn tail.
 *
 * Out:    ret_n - records in ret_content; ret_clean - the last one is an end record and nothing follows it
 * Errors: NOT_FOUND, IO (also: not such a file, or damaged in the middle), UNSAFE_FILE, NO_MEMORY
 */
MUST enum rc replay_file_read(const char *path, struct buf *ret_content, size_t *ret_n, bool *ret_clean);

/* Removes the file for good, so that a crash from here on shows at the next start. Errors: IO. */
MUST enum rc replay_file_remove(const char *path);

/* A file that is appended to. fd -1: not open. */
struct journal {
    int fd;
    off_t size;
};

MUST enum rc journal_open(struct journal *j, const char *path);
void journal_close(struct journal *j);

/* All of the record or nothing of it. Errors: IO. */
MUST enum rc journal_append(struct journal *j, const struct record *record);

#endif
