/*
 * In which messages of a room a word stands: an index in memory.
 *
 * It is cut into segments of INDEX_SEGMENT numbers, each with its own words, so that what lies far back can be left out
 * when there is no room for it. It holds words, not texts; all of it is wiped when it goes. One thread owns it; memory
 * that cannot be had ends the process.
 */
#ifndef KERB_CHAT_CORE_INDEX_H
#define KERB_CHAT_CORE_INDEX_H

#include <sys/queue.h>

#include "chat/core/words.h"

#define INDEX_SEGMENT   2048 /* numbers; they are kept as 16 bits */
#define QUERY_WORDS_MAX 8

struct index_segment;
struct word_index {
    TAILQ_HEAD(index_segments, index_segment) segments; /* newest first */
    size_t bytes;                                       /* of memory */
};

/* What is looked for: messages that hold all of the words, the last of which may be the beginning of one. */
struct word_query {
    uint8_t text[QUERY_WORDS_MAX][WORD_MAX];
    size_t len[QUERY_WORDS_MAX], n;
};

/* Words beyond QUERY_WORDS_MAX do not count. false: there is none. */
bool word_query_read(struct slice text, struct word_query *ret);

void index_init(struct word_index *x);
void index_done(struct word_index *x); /* wipes */

/* A message says this; it says it no more. Numbers may come in any order. */
void index_add(struct word_index *x, uint64_t seq, struct slice text);
void index_remove(struct word_index *x, uint64_t seq, struct slice text);

/* Leaves out the oldest segment; the number from which on the index holds what it held, 0: it is empty now. */
uint64_t index_drop_oldest(struct word_index *x);

/* Leaves out the segments that hold only numbers up to this one. */
void index_drop_up_to(struct word_index *x, uint64_t seq);

struct index_look {
    bool has_more;  /* there are further ones than max */
    size_t words_n; /* that were looked at: what it cost */
};

/* The numbers above `after` and below `before` that meet the query, newest first, at most max. */
size_t index_find(const struct word_index *x, const struct word_query *q, uint64_t after, uint64_t before,
                  uint64_t *seqs, size_t max, struct index_look *ret);

#endif
