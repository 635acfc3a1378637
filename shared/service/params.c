/* Forms and JSON objects as a list of named texts. */
#include "shared/service/params.h"

#include <string.h>

void params_done(struct params *p)
{
    json_done(&p->json);
    buf_done(&p->decoded);
    p->n = 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes one name or value behind what is in out, which has room. Errors: MALFORMED (bad escape, NUL). */
static enum rc form_decode(struct slice raw, struct buf *out, struct slice *ret)
{
    uint8_t *start = out->p + out->n, *o = start;

    for (size_t i = 0; i < raw.n; i++) {
        uint8_t c = raw.p[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            int hi = raw.n - i > 2 ? hex_digit(raw.p[i + 1]) : -1;
            int lo = hi < 0 ? -1 : hex_digit(raw.p[i + 2]);
            if (lo < 0)
                return RC_MALFORMED;
            c = (uint8_t)(hi << 4 | lo);
            i += 2;
        }
        if (c == 0)
            return RC_MALFORMED;
        *o++ = c;
    }
    *ret = slice_of(start, (size_t)(o - start));
    out->n += ret->n;
    return RC_OK;
}

/* One "name=value" between two '&'. */
static enum rc form_add(struct params *p, struct slice pair)
{
    const uint8_t *eq = memchr(pair.p, '=', pair.n);
    size_t name_n = eq ? (size_t)(eq - pair.p) : pair.n;
    struct slice name, value;

    if (p->n == PARAMS_MAX)
        return RC_MALFORMED;
    TRY(form_decode(slice_of(pair.p, name_n), &p->decoded, &name));
    TRY(form_decode(slice_of(pair.p + name_n + (eq != NULL), pair.n - name_n - (eq != NULL)), &p->decoded, &value));
    if (name.n == 0)
        return RC_MALFORMED;
    for (size_t i = 0; i < p->n; i++)
        if (slice_eq(p->form[i].name, name))
            return RC_MALFORMED;
    p->form[p->n].name = name;
    p->form[p->n++].value = value;
    return RC_OK;
}

/* Nothing between two '&' is nothing: some clients end their form with one. */
static enum rc form_parse(struct slice body, struct params *p)
{
    TRY(buf_reserve(&p->decoded, body.n)); /* decoding never lengthens, so the slices into it stay where they are */
    while (body.n) {
        const uint8_t *amp = memchr(body.p, '&', body.n);
        size_t n = amp ? (size_t)(amp - body.p) : body.n;
        if (n)
            TRY(form_add(p, slice_of(body.p, n)));
        n += amp != NULL;
        body = slice_of(body.p + n, body.n - n);
    }
    return RC_OK;
}

static bool looks_like_json(struct slice body)
{
    size_t i = 0;
    while (i < body.n && memchr(" \t\r\n", body.p[i], 4))
        i++;
    return i < body.n && body.p[i] == '{';
}

enum rc params_parse(struct slice body, struct params *ret)
{
    AUTO(params_done) struct params p = {0};

    if (looks_like_json(body))
        TRY(json_parse_object(body, JSON_DEPTH_HTTP, &p.json));
    else
        TRY(form_parse(body, &p));
    *ret = p;
    p = (struct params){0};
    return RC_OK;
}

static enum rc form_get(const struct params *p, struct slice name, struct slice *ret)
{
    for (size_t i = 0; i < p->n; i++) {
        if (slice_eq(p->form[i].name, name)) {
            *ret = p->form[i].value;
            return RC_OK;
        }
    }
    return RC_MALFORMED;
}

enum rc params_text(const struct params *p, const char *name, size_t max, struct slice *ret)
{
    struct slice value;

    if (p->json)
        TRY(json_get_text(p->json, name, &value));
    else
        TRY(form_get(p, slice_text(name), &value));
    if (value.n > max)
        return RC_MALFORMED;
    *ret = value;
    return RC_OK;
}
