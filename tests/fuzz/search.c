/*
 * Looking for words: the first line is the query, the others are what messages say, each the text of a next number; a
 * line that begins with '-' takes the text of the number before it away again. The index is compared with looking at
 * every text.
 */
#include "chat/core/index.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

#define MESSAGES_MAX 64
#define STRIDE       700 /* between numbers: several segments */

static struct {
    struct slice text;
    bool is_gone;
} messages[MESSAGES_MAX];

void fuzz_open(void)
{
}

struct look {
    struct slice word;
    bool is_prefix, is_found;
};

static bool compare(void *ctx, struct slice word)
{
    struct look *l = ctx;

    CHECK(word.n > 0 && word.n <= WORD_MAX);
    bool is_long_enough = l->is_prefix ? word.n >= l->word.n : word.n == l->word.n;
    l->is_found = is_long_enough && memcmp(word.p, l->word.p, l->word.n) == 0;
    return !l->is_found;
}

/* All of the words, the last as the beginning of one. */
static bool meets(const struct word_query *q, struct slice text)
{
    for (size_t i = 0; i < q->n; i++) {
        struct look l = {.word = slice_of(q->text[i], q->len[i]), .is_prefix = i + 1 == q->n};
        words_each(text, compare, &l);
        if (!l.is_found)
            return false;
    }
    return true;
}

static size_t read_messages(struct word_index *x, struct slice input)
{
    size_t n = 0;

    while (input.n && n < MESSAGES_MAX) {
        struct slice line = fuzz_line(&input);
        if (line.n && line.p[0] == '-' && n > 0 && !messages[n - 1].is_gone) {
            index_remove(x, n * STRIDE, messages[n - 1].text);
            messages[n - 1].is_gone = true;
            continue;
        }
        messages[n].text = line;
        messages[n++].is_gone = false;
        index_add(x, n * STRIDE, line);
    }
    return n;
}

void fuzz_one(struct slice input)
{
    struct word_query query;
    struct word_index x;
    uint64_t seqs[MESSAGES_MAX];
    struct index_look seen;
    size_t at = 0;

    if (!word_query_read(fuzz_line(&input), &query))
        return;
    CHECK(query.n > 0 && query.n <= QUERY_WORDS_MAX);
    index_init(&x);
    size_t n = read_messages(&x, input);
    size_t found = index_find(&x, &query, 0, UINT64_MAX, seqs, MESSAGES_MAX, &seen);
    CHECK(!seen.has_more);
    for (size_t i = n; i > 0; i--)
        if (!messages[i - 1].is_gone && meets(&query, messages[i - 1].text))
            CHECK(at < found && seqs[at++] == i * STRIDE); /* newest first */
    CHECK(at == found);
    index_done(&x);
    CHECK(x.bytes == 0);
}
