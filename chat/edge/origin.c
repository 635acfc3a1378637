/* Which web pages may connect: the Origin header against the allow-list. */
#include <strings.h>

#include "chat/edge/internal.h"

static struct slice without_end_slash(struct slice s)
{
    return s.n > 0 && s.p[s.n - 1] == '/' ? slice_of(s.p, s.n - 1) : s;
}

/* The next word of a list separated by spaces; empty: the end. */
static struct slice next_word(const char **list)
{
    *list += strspn(*list, " ");
    struct slice word = slice_of(*list, strcspn(*list, " "));
    *list += word.n;
    return word;
}

/* Scheme and host know no case, a port has none. Source: RFC 6454 s.6.2. */
bool origin_is_allowed(const char *allowed, struct slice origin)
{
    origin = without_end_slash(origin);
    for (struct slice word; (word = next_word(&allowed)).n > 0;) {
        word = without_end_slash(word);
        if (word.n > 0 && word.n == origin.n && strncasecmp((const char *)word.p, (const char *)origin.p, word.n) == 0)
            return true;
    }
    return false;
}

bool origins_are_well_formed(const char *allowed)
{
    for (struct slice word; (word = next_word(&allowed)).n > 0;) {
        word = without_end_slash(word);
        const uint8_t *colon = memmem(word.p, word.n, "://", 3);
        if (colon == NULL || colon == word.p || colon + 3 == word.p + word.n)
            return false;
        if (memchr(colon + 3, '/', word.n - (size_t)(colon + 3 - word.p)) != NULL)
            return false;
    }
    return true;
}
