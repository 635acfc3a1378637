/* Words, by libunistring's tables. */
#include "chat/core/words.h"

#include <errno.h>
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>
#include <uniwbrk.h>

#include "shared/base/text.h"

/* Between two boundaries there is a word, or blanks or marks only: a word has a letter or a digit. */
static bool is_word(const uint8_t *p, size_t n)
{
    ucs4_t c;

    for (int len; n > 0; p += len, n -= (size_t)len) {
        len = u8_mbtouc(&c, p, n);
        if (uc_is_property_alphabetic(c) || uc_is_general_category(c, UC_NUMBER))
            return true;
    }
    return false;
}

static void split(const uint8_t *p, size_t n, const char *is_boundary, bool (*f)(void *ctx, struct slice word),
                  void *ctx)
{
    bool go_on = true;

    for (size_t start = 0, end; go_on && start < n; start = end) {
        end = start + 1;
        while (end < n && !is_boundary[end])
            end++;
        if (is_word(p + start, end - start))
            go_on = f(ctx, slice_of(p + start, end - start > WORD_MAX ? WORD_MAX : end - start));
    }
}

void words_each(struct slice text, bool (*f)(void *ctx, struct slice word), void *ctx)
{
    size_t n = 0;

    if (!utf8_valid(text))
        return;
    uint8_t *folded = u8_casefold(text.p, text.n, NULL, UNINORM_NFKC, NULL, &n);

    if (!folded && errno == ENOMEM)
        abort();
    if (!folded)
        return;
    char *is_boundary = malloc(n + 1);
    if (!is_boundary)
        abort();
    u8_wordbreaks(folded, n, is_boundary);
    split(folded, n, is_boundary, f, ctx);
    free(is_boundary);
    wipe(folded, n);
    free(folded);
}
