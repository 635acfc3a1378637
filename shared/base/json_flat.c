/* Flat objects: one pass, and a doubt ends it. */
#include "shared/base/json_flat.h"

#include <string.h>

#define DIGITS_MAX 18 /* of a number that fits for sure */

struct scan {
    const uint8_t *p, *end;
    bool may_list;
};

/* The next byte behind blanks; 0 at the end (a zero byte is in no object). */
static uint8_t peek(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
    return s->p < s->end ? *s->p : 0;
}

static bool take(struct scan *s, uint8_t c)
{
    if (peek(s) != c)
        return false;
    s->p++;
    return true;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* True when one of eight bytes is not plain: a control, a quote, a backslash, or not ASCII. */
static bool any_special(const uint8_t p[8])
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    uint64_t quote = w ^ EACH_BYTE('"'), backslash = w ^ EACH_BYTE('\\');
    uint64_t below = (w - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1)) | w;
    return below & EACH_BYTE(0x80); /* may be true for plain bytes above a special one, never false for a special */
}

/* A text without escapes. */
static bool text(struct scan *s, struct slice *ret)
{
    if (!take(s, '"'))
        return false;
    const uint8_t *start = s->p;
    while (s->end - s->p >= 8 && !any_special(s->p))
        s->p += 8;
    while (s->p < s->end && *s->p >= 0x20 && *s->p < 0x80 && *s->p != '"' && *s->p != '\\')
        s->p++;
    *ret = slice_of(start, (size_t)(s->p - start));
    return s->p < s->end && *s->p++ == '"';
}

static json_t *number(struct scan *s)
{
    bool negative = s->p < s->end && *s->p == '-';
    json_int_t value = 0;

    s->p += negative;
    const uint8_t *start = s->p;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - start < DIGITS_MAX; s->p++)
        value = value * 10 + (*s->p - '0');
    if (s->p == start || (*start == '0' && s->p - start > 1))
        return NULL;
    return json_integer(negative ? -value : value); /* what follows shows whether it was a whole number */
}

static json_t *word(struct scan *s, const char *letters, json_t *value)
{
    size_t n = strlen(letters);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, letters, n) != 0)
        return NULL;
    s->p += n;
    return value;
}

static json_t *string(struct scan *s)
{
    struct slice t;
    return text(s, &t) ? json_stringn_nocheck((const char *)t.p, t.n) : NULL;
}

static bool items(struct scan *s, json_t *list)
{
    if (take(s, ']'))
        return true;
    do {
        if (json_array_append_new(list, string(s)) != 0)
            return false;
    } while (take(s, ','));
    return take(s, ']');
}

static json_t *list(struct scan *s)
{
    json_t *l = s->may_list && take(s, '[') ? json_array() : NULL;

    if (l && items(s, l))
        return l;
    json_decref(l);
    return NULL;
}

static json_t *value(struct scan *s)
{
    switch (peek(s)) {
    case '"':
        return string(s);
    case '[':
        return list(s);
    case 't':
        return word(s, "true", json_true());
    case 'f':
        return word(s, "false", json_false());
    case 'n':
        return word(s, "null", json_null());
    default:
        return number(s);
    }
}

static bool member(struct scan *s, json_t *object)
{
    struct slice name;

    if (peek(s) != '"' || !text(s, &name) || !take(s, ':') || json_object_getn(object, (const char *)name.p, name.n))
        return false;
    return json_object_setn_new_nocheck(object, (const char *)name.p, name.n, value(s)) == 0;
}

static bool members(struct scan *s, json_t *object)
{
    if (!take(s, '{'))
        return false;
    if (take(s, '}'))
        return true;
    do {
        if (!member(s, object))
            return false;
    } while (take(s, ','));
    return take(s, '}');
}

json_t *json_flat(struct slice t, int max_depth)
{
    struct scan s = {t.p, t.p + t.n, max_depth >= 2};
    json_t *object = json_object();

    if (object && members(&s, object) && peek(&s) == 0 && s.p == s.end)
        return object;
    json_decref(object);
    return NULL;
}
