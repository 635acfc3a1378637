/*
 * Against request smuggling: libmicrohttpd 0.9.75 takes the first of two Content-Length headers, and lets
 * Transfer-Encoding win over it; a proxy in front may read the same bytes the other way. Such requests end here.
 */
#include "shared/service/http_guard.h"

#include <string.h>
#include <strings.h>

struct walk {
    struct http_head head;
    const char *length, *encoding; /* the first of each */
    unsigned lengths_n, encodings_n;
    bool bad_name;
};

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct walk *w = ctx;

    (void)kind;
    if (!value)
        value = "";
    if (strpbrk(name, " \t"))
        w->bad_name = true;
    switch (name[0] | 0x20) {
    case 'c':
        if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0 && w->lengths_n++ == 0)
            w->length = value;
        break;
    case 't':
        if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0 && w->encodings_n++ == 0)
            w->encoding = value;
        break;
    case 'x':
        if (strcasecmp(name, "X-Forwarded-For") == 0 && w->head.forwarded_n++ == 0)
            w->head.forwarded = slice_text(value);
        break;
    default:
        break;
    }
    return MHD_YES;
}

enum rc http_guard(struct MHD_Connection *c, const char *version, struct http_head *ret)
{
    struct walk w = {0};

    (void)MHD_get_connection_values(c, MHD_HEADER_KIND, on_header, &w);
    if (w.bad_name || w.lengths_n > 1 || w.encodings_n > 1 || (w.lengths_n && w.encodings_n))
        return RC_MALFORMED;
    if (w.encoding && (strcasecmp(w.encoding, "chunked") != 0 || strcmp(version, MHD_HTTP_VERSION_1_1) != 0))
        return RC_MALFORMED;
    if (w.length && parse_u64(slice_text(w.length), INT64_MAX, &w.head.body_n) != RC_OK)
        return RC_MALFORMED;
    *ret = w.head;
    return w.head.body_n > HTTP_BODY_MAX ? RC_TOO_LARGE : RC_OK;
}

struct join {
    struct buf *out;
    enum rc rc;
};

static enum MHD_Result on_forwarded(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct join *j = ctx;

    (void)kind;
    if (strcasecmp(name, "X-Forwarded-For") != 0)
        return MHD_YES;
    if (j->rc == RC_OK && j->out->n)
        j->rc = buf_text(j->out, ", ");
    if (j->rc == RC_OK && value)
        j->rc = buf_text(j->out, value);
    return j->rc == RC_OK ? MHD_YES : MHD_NO;
}

enum rc http_forwarded(struct MHD_Connection *c, struct buf *out)
{
    struct join j = {.out = out, .rc = RC_OK};

    (void)MHD_get_connection_values(c, MHD_HEADER_KIND, on_forwarded, &j);
    return j.rc;
}
