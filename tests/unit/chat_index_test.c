/* Words of texts, and the index of where they stand. */
#include "chat/core/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static bool join(void *ctx, struct slice word)
{
    struct buf *b = ctx;

    assert_ok(buf_add(b, word));
    assert_ok(buf_byte(b, '|'));
    return true;
}

static void assert_words(struct slice text, const char *expected)
{
    AUTO(buf_done) struct buf words = {0};

    words_each(text, join, &words);
    assert_slice(buf_slice(&words), expected);
}

static void words__are_split_and_folded(void **state)
{
    (void)state;
    assert_words(slice_text("The quick, brown FOX!"), "the|quick|brown|fox|");
    assert_words(slice_text("don't e-mail 3.14 x_1 a/b"), "don't|e|mail|3.14|x_1|a|b|");
    assert_words(slice_text("STRASSE Stra\xc3\x9f"
                            "e"),
                 "strasse|strasse|");
    assert_words(slice_text("\xc3\x89t\xc3\xa9 E\xcc\x81te\xcc\x81"), "\xc3\xa9t\xc3\xa9|\xc3\xa9t\xc3\xa9|");
    assert_words(slice_text("\xce\x9f\xce\x94\xce\x9f\xce\xa3"), "\xce\xbf\xce\xb4\xce\xbf\xcf\x83|"); /* final sigma */
    assert_words(slice_text("\xe6\x9d\xb1\xe4\xba\xac"), "\xe6\x9d\xb1|\xe4\xba\xac|"); /* each ideograph */
    assert_words(slice_text("\xef\xac\x81t"), "fit|");                                  /* a ligature */
    assert_words(slice_text(""), "");
    assert_words(slice_text(" ,.!\n\xf0\x9f\x99\x82"), "");
    assert_words(slice_of("a\xff b", 4), ""); /* no UTF-8 */
    assert_words(slice_of("a\0b", 3), "a|b|");
}

static void words__of_great_length_are_cut(void **state)
{
    char text[200];

    (void)state;
    memset(text, 'a', sizeof text);
    assert_words(slice_of(text, sizeof text), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|");
}

/* The numbers found, with a plus when there are more. */
static void assert_found(const struct word_index *x, const char *text, uint64_t before, size_t max,
                         const char *expected)
{
    AUTO(buf_done) struct buf out = {0};
    struct word_query q;
    uint64_t seqs[64];
    struct index_look seen;

    assert_true(word_query_read(slice_text(text), &q));
    size_t n = index_find(x, &q, 0, before, seqs, max, &seen);
    for (size_t i = 0; i < n; i++)
        assert_ok(buf_printf(&out, "%s%llu", i ? " " : "", (unsigned long long)seqs[i]));
    if (seen.has_more)
        assert_ok(buf_text(&out, " +"));
    assert_slice(buf_slice(&out), expected);
}

static void index__finds_all_words_newest_first(void **state)
{
    struct word_index x;

    (void)state;
    index_init(&x);
    index_add(&x, 1, slice_text("red green"));
    index_add(&x, 5000, slice_text("Green blue green"));
    index_add(&x, 2, slice_text("red blue greenish"));
    index_add(&x, INDEX_SEGMENT, slice_text("red"));
    assert_found(&x, "green", UINT64_MAX, 9, "5000 2 1"); /* the last word is a beginning */
    assert_found(&x, "green red", UINT64_MAX, 9, "1");
    assert_found(&x, "red green", UINT64_MAX, 9, "2 1");
    assert_found(&x, "RED", UINT64_MAX, 9, "2048 2 1");
    assert_found(&x, "re", UINT64_MAX, 2, "2048 2 +");
    assert_found(&x, "re", 2048, 9, "2 1");
    assert_found(&x, "re", 2, 9, "1");
    assert_found(&x, "re", 1, 9, "");
    assert_found(&x, "yellow", UINT64_MAX, 9, "");
    assert_found(&x, "red yellow", UINT64_MAX, 9, "");
    assert_found(&x, "re blue", UINT64_MAX, 9, "");
    index_done(&x);
    assert_int_equal(x.bytes, 0);
}

static void index__forgets_what_is_taken_out(void **state)
{
    struct word_index x;

    (void)state;
    index_init(&x);
    index_add(&x, 7, slice_text("one two two"));
    size_t bytes = x.bytes;
    index_add(&x, 7, slice_text("two"));
    assert_int_equal(x.bytes, bytes);
    index_add(&x, 8, slice_text("two three"));
    index_remove(&x, 7, slice_text("one two two"));
    assert_found(&x, "one", UINT64_MAX, 9, "");
    assert_found(&x, "two", UINT64_MAX, 9, "8");
    index_remove(&x, 9, slice_text("two"));
    index_remove(&x, 99999, slice_text("two"));
    index_remove(&x, 8, slice_text("two three four"));
    assert_found(&x, "two", UINT64_MAX, 9, "");
    index_done(&x);
    assert_int_equal(x.bytes, 0);
}

/* In any order, and as a list of the same would say. */
static void index__holds_many_places_of_a_word(void **state)
{
    enum { N = 3 * INDEX_SEGMENT };
    static bool is_in[N];
    struct word_index x;
    uint64_t seqs[N];
    struct word_query q;
    uint32_t walk = 1;
    struct index_look seen;

    (void)state;
    index_init(&x);
    for (int i = 0; i < 4 * N; i++) {
        walk = walk * 1103515245 + 12345;
        uint32_t at = (walk >> 8) % N;
        if (is_in[at])
            index_remove(&x, (uint64_t)at, slice_text("word"));
        else
            index_add(&x, (uint64_t)at, slice_text("word"));
        is_in[at] = !is_in[at];
    }
    assert_true(word_query_read(slice_text("word"), &q));
    size_t n = index_find(&x, &q, 9, UINT64_MAX, seqs, N, &seen), want = 0;
    for (int at = N; at-- > 10;)
        if (is_in[at]) {
            assert_true(want < n);
            assert_int_equal(seqs[want++], at);
        }
    assert_int_equal(n, want);
    index_done(&x);
    assert_int_equal(x.bytes, 0);
}

static void index__leaves_out_the_oldest(void **state)
{
    struct word_index x;

    (void)state;
    index_init(&x);
    assert_int_equal(index_drop_oldest(&x), 0);
    index_add(&x, 1, slice_text("word"));
    index_add(&x, INDEX_SEGMENT + 1, slice_text("word"));
    index_add(&x, 2 * INDEX_SEGMENT + 1, slice_text("word"));
    assert_int_equal(index_drop_oldest(&x), INDEX_SEGMENT);
    assert_found(&x, "word", UINT64_MAX, 9, "4097 2049");
    index_drop_up_to(&x, 2 * INDEX_SEGMENT - 2);
    assert_found(&x, "word", UINT64_MAX, 9, "4097 2049");
    index_drop_up_to(&x, 2 * INDEX_SEGMENT - 1);
    assert_found(&x, "word", UINT64_MAX, 9, "4097");
    index_done(&x);
    assert_int_equal(x.bytes, 0);
}

static size_t cost_of(const struct word_index *x, const char *text)
{
    struct word_query q;
    uint64_t seqs[64];
    struct index_look seen;

    assert_true(word_query_read(slice_text(text), &q));
    (void)index_find(x, &q, 0, UINT64_MAX, seqs, ARRAY_LEN(seqs), &seen);
    return seen.words_n;
}

/* A beginning costs as many words as have it, unless another word says already that there is nothing. */
static void index__tells_what_a_search_costs(void **state)
{
    struct word_index x;

    (void)state;
    index_init(&x);
    index_add(&x, 1, slice_text("red rest rich"));
    index_add(&x, INDEX_SEGMENT + 1, slice_text("red rest green"));
    assert_int_equal(cost_of(&x, "red"), 4);
    assert_int_equal(cost_of(&x, "r"), 7);
    assert_int_equal(cost_of(&x, "rich r"), 1 + 2 + 4);
    assert_int_equal(cost_of(&x, "none r"), 2);
    index_done(&x);
}

static void query__has_words_and_not_too_many(void **state)
{
    struct word_query q;

    (void)state;
    assert_false(word_query_read(slice_text(""), &q));
    assert_false(word_query_read(slice_text(" ... "), &q));
    assert_true(word_query_read(slice_text("a b c d e f g h i j"), &q));
    assert_int_equal(q.n, QUERY_WORDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words__are_split_and_folded),         cmocka_unit_test(words__of_great_length_are_cut),
        cmocka_unit_test(index__finds_all_words_newest_first), cmocka_unit_test(index__forgets_what_is_taken_out),
        cmocka_unit_test(index__holds_many_places_of_a_word),  cmocka_unit_test(index__leaves_out_the_oldest),
        cmocka_unit_test(index__tells_what_a_search_costs),    cmocka_unit_test(query__has_words_and_not_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
