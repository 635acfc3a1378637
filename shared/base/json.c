/* JSON: Jansson behind a strict door, and a small writer. */
#include "shared/base/json.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json_flat.h"
#include "shared/base/json_pocket.h"
#include "shared/base/text.h"

/* Session keys and shares pass through Jansson: wipe what it frees. */
static void wiping_free(void *p)
{
    if (p)
        wipe(p, malloc_usable_size(p));
    free(p);
}

void json_setup(void)
{
    json_object_seed(0);
    json_set_alloc_funcs(malloc, wiping_free);
}

void json_setup_daemon(void)
{
    json_object_seed(0);
    json_set_alloc_funcs(json_pocket_take, json_pocket_give);
}

/* Jansson's own depth limit is 2048; count brackets outside strings before it starts. */
static bool depth_within(struct slice text, int max_depth)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

enum rc json_parse_object(struct slice text, int max_depth, json_t **ret)
{
    json_error_t error;

    if (text.n == 0 || max_depth < 1)
        return RC_MALFORMED;
    json_t *flat = json_flat(text, max_depth);
    if (flat) {
        *ret = flat;
        return RC_OK;
    }
    if (!depth_within(text, max_depth))
        return RC_MALFORMED;
    json_t *j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    if (!j)
        return RC_MALFORMED;
    if (!json_is_object(j)) {
        json_decref(j);
        return RC_MALFORMED;
    }
    *ret = j;
    return RC_OK;
}

void json_done(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

enum rc json_get_text(const json_t *object, const char *name, struct slice *ret)
{
    const json_t *v = json_object_get(object, name);
    if (!json_is_string(v))
        return RC_MALFORMED;
    *ret = slice_of(json_string_value(v), json_string_length(v));
    return RC_OK;
}

enum rc json_get_time(const json_t *object, const char *name, int64_t *ret_s)
{
    struct slice text;
    TRY(json_get_text(object, name, &text));
    return time_parse_classic(text, ret_s);
}

enum rc json_get_int(const json_t *object, const char *name, int64_t *ret)
{
    const json_t *v = json_object_get(object, name);
    if (!json_is_integer(v))
        return RC_MALFORMED;
    *ret = (int64_t)json_integer_value(v);
    return RC_OK;
}

struct jw jw_start(struct buf *out)
{
    return (struct jw){.out = out, .rc = RC_OK};
}

static void put(struct jw *w, enum rc rc)
{
    if (w->rc == RC_OK)
        w->rc = rc;
}

/* Which bytes of UTF-8 text need an escape: quote, backslash, controls. */
static bool needs_escape(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static enum rc escape(struct buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        return buf_text(out, "\\\"");
    case '\\':
        return buf_text(out, "\\\\");
    case '\n':
        return buf_text(out, "\\n");
    case '\r':
        return buf_text(out, "\\r");
    case '\t':
        return buf_text(out, "\\t");
    default:
        return buf_printf(out, "\\u%04x", c);
    }
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Sets the high bit of a byte of w when it, or one before it, is below `limit`, which is at most 0x80. */
static uint64_t below(uint64_t w, uint8_t limit)
{
    return (w - EACH_BYTE(limit)) & ~w & EACH_BYTE(0x80);
}

/* The same for eight bytes at once. */
static bool any_needs_escape(const uint8_t p[8])
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    return below(w, 0x20) | below(w ^ EACH_BYTE('"'), 1) | below(w ^ EACH_BYTE('\\'), 1);
}

/* The first byte from i on that needs an escape, or the end. */
static size_t plain_run(struct slice s, size_t i)
{
    while (i + 8 <= s.n && !any_needs_escape(s.p + i))
        i += 8;
    while (i < s.n && !needs_escape(s.p[i]))
        i++;
    return i;
}

static enum rc quoted(struct buf *out, struct slice s)
{
    size_t run = plain_run(s, 0);

    TRY(buf_reserve(out, s.n + 2)); /* most texts need no escape: then nothing grows below */
    out->p[out->n++] = '"';
    TRY(buf_add(out, slice_of(s.p, run)));
    for (size_t i = run; i < s.n; i = run) {
        TRY(escape(out, s.p[i]));
        run = plain_run(s, i + 1);
        TRY(buf_add(out, slice_of(s.p + i + 1, run - i - 1)));
    }
    return buf_byte(out, '"');
}

/* The comma before and the name of the next value. */
static bool next(struct jw *w, const char *name)
{
    struct slice text = slice_text(name ? name : "");

    if (w->rc == RC_OK)
        w->rc = buf_reserve(w->out, text.n + 4);
    if (w->rc != RC_OK)
        return false;
    if (w->comma)
        w->out->p[w->out->n++] = ',';
    if (name) {
        put(w, quoted(w->out, text));
        put(w, buf_byte(w->out, ':'));
    }
    w->comma = true;
    return w->rc == RC_OK;
}

void jw_open(struct jw *w, const char *name, char bracket)
{
    if (next(w, name))
        put(w, buf_byte(w->out, (uint8_t)bracket));
    w->comma = false;
}

void jw_close(struct jw *w, char bracket)
{
    if (w->rc == RC_OK)
        put(w, buf_byte(w->out, (uint8_t)bracket));
    w->comma = true;
}

void jw_text(struct jw *w, const char *name, struct slice value)
{
    if (next(w, name))
        put(w, quoted(w->out, value));
}

void jw_plain(struct jw *w, const char *name, struct slice value)
{
    if (!next(w, name))
        return;
    put(w, buf_reserve(w->out, value.n + 2));
    put(w, buf_byte(w->out, '"'));
    put(w, buf_add(w->out, value));
    put(w, buf_byte(w->out, '"'));
}

void jw_int(struct jw *w, const char *name, int64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    if (!next(w, name))
        return;
    do
        digits[--at] = (uint8_t)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    put(w, buf_add(w->out, slice_of(digits + at, sizeof digits - at)));
}

void jw_bool(struct jw *w, const char *name, bool value)
{
    jw_raw(w, name, slice_text(value ? "true" : "false"));
}

static void quoted_with(struct jw *w, const char *name, struct slice bytes,
                        enum rc (*encode)(struct slice, struct buf *))
{
    if (!next(w, name))
        return;
    put(w, buf_byte(w->out, '"'));
    put(w, encode(bytes, w->out));
    put(w, buf_byte(w->out, '"'));
}

void jw_base64(struct jw *w, const char *name, struct slice bytes)
{
    quoted_with(w, name, bytes, base64_encode);
}

void jw_base64url(struct jw *w, const char *name, struct slice bytes)
{
    quoted_with(w, name, bytes, base64url_encode);
}

void jw_time(struct jw *w, const char *name, int64_t unix_s)
{
    char text[CLASSIC_TIME_LEN + 1];
    time_format_classic(unix_s, text);
    jw_text(w, name, slice_text(text));
}

void jw_raw(struct jw *w, const char *name, struct slice json)
{
    if (next(w, name))
        put(w, buf_add(w->out, json));
}

enum rc jw_end(const struct jw *w)
{
    return w->rc;
}
