/* The index of a room's words: a tree of words for each segment, and with each word where it stands. */
#include "chat/core/index.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/tree.h"

#define FEW          4 /* places of a word that are kept with it */
#define BITS         (INDEX_SEGMENT / 64)
#define MALLOC_BYTES 16 /* what a piece of memory costs beside itself, about */

/* A word of a segment, and its places in it, ascending. */
struct term {
    RB_ENTRY(term) by_word;
    union {
        uint16_t few[FEW];
        uint16_t *many; /* when cap > FEW */
    } at;
    uint16_t n, cap;
    uint8_t len;
    uint8_t word[]; /* len bytes */
};

RB_HEAD(terms, term);

struct index_segment {
    TAILQ_ENTRY(index_segment) in_index;
    uint64_t first; /* a multiple of INDEX_SEGMENT */
    struct terms terms;
    size_t bytes;
};

/* To look for a word one needs a term of it. */
union term_key {
    struct term term;
    uint8_t room[sizeof(struct term) + WORD_MAX];
};

static int cmp_word(const struct term *a, const struct term *b)
{
    return slice_cmp(slice_of(a->word, a->len), slice_of(b->word, b->len));
}

TREE_GENERATE(terms, term, by_word, cmp_word)

static const struct term *key_of(union term_key *key, struct slice word)
{
    key->term.len = (uint8_t)word.n;
    memcpy(key->room + offsetof(struct term, word), word.p, word.n);
    return &key->term;
}

static struct term *find_term(const struct index_segment *s, struct slice word)
{
    union term_key key;
    return RB_FIND(terms, TREE_CONST(terms, &s->terms), (struct term *)(uintptr_t)key_of(&key, word));
}

/* --- places of a word --- */

static const uint16_t *places(const struct term *t)
{
    return t->cap > FEW ? t->at.many : t->at.few;
}

static uint16_t *places_to_change(struct term *t)
{
    return t->cap > FEW ? t->at.many : t->at.few;
}

static size_t term_bytes(const struct term *t)
{
    return MALLOC_BYTES + sizeof(*t) + t->len + (t->cap > FEW ? MALLOC_BYTES + t->cap * sizeof(uint16_t) : 0);
}

/* The first that is not below `at`; t->n: none. */
static size_t place_from(const struct term *t, uint16_t at)
{
    const uint16_t *list = places(t);
    size_t low = 0, high = t->n;

    if (t->n && list[t->n - 1] < at) /* most come in order */
        return t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void grow(struct term *t)
{
    uint16_t cap = (uint16_t)(t->cap * 2);
    uint16_t *list = calloc(cap, sizeof(*list));

    if (!list)
        abort();
    memcpy(list, places(t), t->n * sizeof(*list));
    if (t->cap > FEW)
        free(t->at.many);
    t->at.many = list;
    t->cap = cap;
}

static void add_place(struct term *t, uint16_t at)
{
    size_t i = place_from(t, at);

    if (i < t->n && places(t)[i] == at)
        return;
    if (t->n == t->cap)
        grow(t);
    uint16_t *list = places_to_change(t);
    memmove(list + i + 1, list + i, (t->n - i) * sizeof(*list));
    list[i] = at;
    t->n++;
}

static void remove_place(struct term *t, uint16_t at)
{
    size_t i = place_from(t, at);
    uint16_t *list = places_to_change(t);

    if (i == t->n || list[i] != at)
        return;
    memmove(list + i, list + i + 1, (t->n - i - 1) * sizeof(*list));
    t->n--;
}

static void term_free(struct term *t)
{
    if (t->cap > FEW)
        free(t->at.many);
    wipe(t, sizeof(*t) + t->len);
    free(t);
}

/* --- segments --- */

static void segment_free(struct word_index *x, struct index_segment *s)
{
    struct term *t, *next;

    RB_FOREACH_SAFE (t, terms, &s->terms, next) {
        RB_REMOVE(terms, &s->terms, t);
        term_free(t);
    }
    TAILQ_REMOVE(&x->segments, s, in_index);
    x->bytes -= s->bytes;
    free(s);
}

/* NULL: none, and `make` is false. */
static struct index_segment *segment_of(struct word_index *x, uint64_t seq, bool make)
{
    uint64_t first = seq - seq % INDEX_SEGMENT;
    struct index_segment *s, *added;

    TAILQ_FOREACH (s, &x->segments, in_index)
        if (s->first <= first)
            break;
    if (!make || (s && s->first == first))
        return s && s->first == first ? s : NULL;
    added = calloc(1, sizeof(*added));
    if (!added)
        abort();
    added->first = first;
    added->bytes = MALLOC_BYTES + sizeof(*added);
    RB_INIT(&added->terms);
    x->bytes += added->bytes;
    if (s)
        TAILQ_INSERT_BEFORE(s, added, in_index);
    else
        TAILQ_INSERT_TAIL(&x->segments, added, in_index);
    return added;
}

static struct term *term_add(struct index_segment *s, struct slice word)
{
    struct term *t = calloc(1, sizeof(*t) + word.n);

    if (!t)
        abort();
    t->cap = FEW;
    t->len = (uint8_t)word.n;
    memcpy(t->word, word.p, word.n);
    RB_INSERT(terms, &s->terms, t);
    return t;
}

/* A message that is put into its segment, or taken out. */
struct change {
    struct word_index *index;
    struct index_segment *segment;
    uint16_t at;
};

static void count(struct change *c, size_t was, size_t is)
{
    c->segment->bytes += is - was;
    c->index->bytes += is - was;
}

static bool put_word(void *ctx, struct slice word)
{
    struct change *c = ctx;
    struct term *t = find_term(c->segment, word);
    size_t was = t ? term_bytes(t) : 0;

    if (!t)
        t = term_add(c->segment, word);
    add_place(t, c->at);
    count(c, was, term_bytes(t));
    return true;
}

static bool take_word(void *ctx, struct slice word)
{
    struct change *c = ctx;
    struct term *t = find_term(c->segment, word);

    if (!t)
        return true;
    remove_place(t, c->at);
    if (t->n == 0) {
        count(c, term_bytes(t), 0);
        RB_REMOVE(terms, &c->segment->terms, t);
        term_free(t);
    }
    return true;
}

void index_init(struct word_index *x)
{
    TAILQ_INIT(&x->segments);
    x->bytes = 0;
}

void index_done(struct word_index *x)
{
    struct index_segment *s;

    while ((s = TAILQ_FIRST(&x->segments)))
        segment_free(x, s);
}

void index_add(struct word_index *x, uint64_t seq, struct slice text)
{
    struct change c = {.index = x, .segment = segment_of(x, seq, true), .at = (uint16_t)(seq % INDEX_SEGMENT)};
    words_each(text, put_word, &c);
}

void index_remove(struct word_index *x, uint64_t seq, struct slice text)
{
    struct change c = {.index = x, .segment = segment_of(x, seq, false), .at = (uint16_t)(seq % INDEX_SEGMENT)};

    if (c.segment)
        words_each(text, take_word, &c);
}

uint64_t index_drop_oldest(struct word_index *x)
{
    struct index_segment *s = TAILQ_LAST(&x->segments, index_segments);
    uint64_t next = s ? s->first + INDEX_SEGMENT : 0;

    if (s)
        segment_free(x, s);
    return next;
}

void index_drop_up_to(struct word_index *x, uint64_t seq)
{
    struct index_segment *s;

    while ((s = TAILQ_LAST(&x->segments, index_segments)) && s->first + INDEX_SEGMENT <= seq + 1)
        segment_free(x, s);
}

/* --- looking --- */

static bool keep_word(void *ctx, struct slice word)
{
    struct word_query *q = ctx;

    if (q->n == QUERY_WORDS_MAX)
        return false;
    memcpy(q->text[q->n], word.p, word.n);
    q->len[q->n++] = word.n;
    return true;
}

bool word_query_read(struct slice text, struct word_query *ret)
{
    *ret = (struct word_query){0};
    words_each(text, keep_word, ret);
    return ret->n > 0;
}

static void mark(const struct term *t, uint64_t bits[BITS])
{
    for (size_t i = 0; i < t->n; i++)
        bits[places(t)[i] / 64] |= 1ULL << places(t)[i] % 64;
}

/* Where a word stands, or, `is_prefix`, one that begins with it. How many words were looked at. */
static size_t mark_word(const struct index_segment *s, struct slice word, bool is_prefix, uint64_t bits[BITS])
{
    union term_key key;
    size_t looked_at = 0;
    struct term *t = RB_NFIND(terms, TREE_CONST(terms, &s->terms), (struct term *)(uintptr_t)key_of(&key, word));

    for (; t && t->len >= word.n && memcmp(t->word, word.p, word.n) == 0; t = RB_NEXT(terms, &s->terms, t)) {
        looked_at++;
        if (is_prefix || t->len == word.n)
            mark(t, bits);
        if (!is_prefix)
            break;
    }
    return looked_at;
}

/* The last word may begin very many; it is not looked for where one of the others does not stand. */
static size_t match(const struct index_segment *s, const struct word_query *q, uint64_t bits[BITS])
{
    uint64_t some = 1;
    size_t looked_at = 0;

    memset(bits, 0xff, BITS * sizeof(*bits));
    for (size_t w = 0; w < q->n && some; w++) {
        uint64_t has[BITS] = {0};
        looked_at += 1 + mark_word(s, slice_of(q->text[w], q->len[w]), w + 1 == q->n, has);
        some = 0;
        for (size_t i = 0; i < BITS; i++)
            some |= bits[i] &= has[i];
    }
    return looked_at;
}

size_t index_find(const struct word_index *x, const struct word_query *q, uint64_t after, uint64_t before,
                  uint64_t *seqs, size_t max, struct index_look *ret)
{
    const struct index_segment *s;
    size_t n = 0;

    *ret = (struct index_look){0};
    TAILQ_FOREACH (s, &x->segments, in_index) {
        uint64_t bits[BITS];
        if (s->first >= before)
            continue;
        ret->words_n += match(s, q, bits);
        for (size_t at = INDEX_SEGMENT; at-- > 0;) {
            uint64_t seq = s->first + at;
            if (!(bits[at / 64] >> at % 64 & 1) || seq >= before || seq <= after)
                continue;
            if (n == max) {
                ret->has_more = true;
                return n;
            }
            seqs[n++] = seq;
        }
    }
    return n;
}
