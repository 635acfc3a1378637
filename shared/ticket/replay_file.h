/*
 * Inside of shared/ticket: the file of the replay cache, a list of records of one size.
 *
 *   record = kind u8 | owner[16] | digest[32] | time u64be | check[7]      check: first bytes of SHA-256 of the rest
 *
 * The first record is a clock (`time`: the newest second that the cache had seen when the file was written); an orderly
 * stop ends with an end record, which is a clock, too.
 *
 * A journal is written through a mapping, without a system call: what is in the page cache outlives SIGKILL. Its file
 * is longer than its records, by zeros. A record's kind is stored last, so that a killed writer leaves at most one that
 * is none, behind all others. (A loss of power may take the last seconds: nothing is synced for each request. Then
 * records of zeros may lie between good ones, and are passed over.)
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

MUST enum rc record_encode(const struct record *record, uint8_t ret[RECORD_LEN]);

/* False: not a record. */
bool record_decode(const uint8_t p[RECORD_LEN], struct record *ret);

/*
 * The records of a file, without a torn tail.
 *
 * Out:    ret_n - places of records in ret_content, some of them empty after a loss of power;
 *         ret_clean - the last one is an end record and nothing follows it
 * Errors: NOT_FOUND, IO (also: not such a file, or damaged in the middle), UNSAFE_FILE, NO_MEMORY
 */
MUST enum rc replay_file_read(const char *path, struct buf *ret_content, size_t *ret_n, bool *ret_clean);

/* Removes the file for good, so that a crash from here on shows at the next start. Errors: IO. */
MUST enum rc replay_file_remove(const char *path);

/* A file that is appended to, through a window that moves on. fd -1: not open. */
struct journal {
    int fd;
    off_t size;      /* bytes of records */
    uint8_t *window; /* of JOURNAL_WINDOW bytes; NULL: none */
    off_t window_at;
};

#define JOURNAL_WINDOW 65536 /* bytes: by as much a file may be longer than its records */

MUST enum rc journal_open(struct journal *j, const char *path);
void journal_close(struct journal *j);

/*
 * Makes room for one more record: disk space, too, so that storing it cannot fail. (Where a file system copies on write
 * it may: then SIGBUS ends the process before an answer leaves it, and the journal is whole up to there.)
 * Errors: IO.
 */
MUST enum rc journal_reserve(struct journal *j);

/* Stores a record for which there is room. */
void journal_put(struct journal *j, const uint8_t bytes[RECORD_LEN]);

/* Cuts off the room behind the last record. Errors: IO. */
MUST enum rc journal_trim(struct journal *j);

#endif
