/* The reader of what jw has written. */
#include <string.h>

#include "shared/base/json.h"

struct jr jr_start(struct slice text)
{
    return (struct jr){.rest = text, .rc = RC_OK};
}

static void fail(struct jr *r)
{
    r->rc = RC_MALFORMED;
}

static void skip(struct jr *r, size_t n)
{
    r->rest = slice_of(r->rest.p + n, r->rest.n - n);
}

static void eat(struct jr *r, char c)
{
    if (r->rc == RC_OK && r->rest.n && r->rest.p[0] == (uint8_t)c)
        skip(r, 1);
    else
        fail(r);
}

/* Bytes of `,"name":` at the front; 0 when something else stands there. */
static size_t member_len(const struct jr *r, const char *name)
{
    size_t n = strlen(name), at = r->comma;
    const uint8_t *p = r->rest.p;

    if (r->rc != RC_OK || r->rest.n < at + n + 3 || (r->comma && p[0] != ','))
        return 0;
    p += at;
    return p[0] == '"' && memcmp(p + 1, name, n) == 0 && p[n + 1] == '"' && p[n + 2] == ':' ? at + n + 3 : 0;
}

bool jr_is(const struct jr *r, const char *name)
{
    return member_len(r, name) > 0;
}

/* Up to the value of a member, or of an element when name is NULL. */
static void go_to(struct jr *r, const char *name)
{
    if (name) {
        size_t n = member_len(r, name);
        if (n)
            skip(r, n);
        else
            fail(r);
    } else if (r->comma) {
        eat(r, ',');
    }
    r->comma = true;
}

void jr_open(struct jr *r, const char *name, char bracket)
{
    go_to(r, name);
    eat(r, bracket);
    r->comma = false;
}

void jr_close(struct jr *r, char bracket)
{
    eat(r, bracket);
    r->comma = true;
}

struct slice jr_text(struct jr *r, const char *name)
{
    go_to(r, name);
    eat(r, '"');
    const uint8_t *end = r->rc == RC_OK && r->rest.n ? memchr(r->rest.p, '"', r->rest.n) : NULL;
    if (!end) {
        fail(r);
        return slice_of(NULL, 0);
    }
    struct slice text = slice_of(r->rest.p, (size_t)(end - r->rest.p));
    if (text.n && memchr(text.p, '\\', text.n))
        fail(r);
    skip(r, text.n + 1);
    return r->rc == RC_OK ? text : slice_of(NULL, 0);
}

/* A name may hold a quote or a backslash: the two that jw escapes and a name may have. */
void jr_name(struct jr *r, const char *name, struct name *ret)
{
    uint8_t text[NAME_MAX_BYTES];
    size_t n = 0, i = 0;

    go_to(r, name);
    eat(r, '"');
    if (r->rc != RC_OK)
        return;
    while (i < r->rest.n && r->rest.p[i] != '"' && n < sizeof text) {
        i += r->rest.p[i] == '\\';
        if (i == r->rest.n)
            break;
        text[n++] = r->rest.p[i++];
    }
    skip(r, i);
    eat(r, '"');
    struct slice raw = slice_of(text, n);
    if (r->rc == RC_OK && (name_parse(raw, ret) != RC_OK || !slice_eq(raw, name_slice(ret))))
        fail(r);
}

int64_t jr_int(struct jr *r, const char *name)
{
    uint64_t v;
    size_t n = 0;

    go_to(r, name);
    bool minus = r->rc == RC_OK && r->rest.n && r->rest.p[0] == '-';
    if (minus)
        skip(r, 1);
    while (r->rc == RC_OK && n < r->rest.n && r->rest.p[n] >= '0' && r->rest.p[n] <= '9')
        n++;
    if (r->rc != RC_OK || parse_u64(slice_of(r->rest.p, n), INT64_MAX, &v) != RC_OK) {
        fail(r);
        return 0;
    }
    skip(r, n);
    return minus ? -(int64_t)v : (int64_t)v;
}

int64_t jr_time(struct jr *r, const char *name)
{
    int64_t unix_s = 0;
    struct slice text = jr_text(r, name);

    if (r->rc == RC_OK && time_parse_classic(text, &unix_s) != RC_OK)
        fail(r);
    return unix_s;
}

enum rc jr_end(const struct jr *r)
{
    return r->rc;
}
