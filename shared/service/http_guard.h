/* What a request's headers must be before its body is read. Internal to the folder. */
#ifndef KERB_SERVICE_HTTP_GUARD_H
#define KERB_SERVICE_HTTP_GUARD_H

#include <microhttpd.h>

#include "shared/service/http.h"

struct http_head {
    uint64_t body_n;        /* Content-Length, 0 without one */
    struct slice forwarded; /* the only X-Forwarded-For; borrowed from the request */
    size_t forwarded_n;     /* how many there were */
};

/*
 * In:     version - "HTTP/1.1"
 * Errors: MALFORMED - the length of the body could be read in two ways (answer and close); TOO_LARGE.
 * Source: RFC 9112 s.6.1, s.6.3, s.5.1 (no blank before a header's colon).
 */
MUST enum rc http_guard(struct MHD_Connection *c, const char *version, struct http_head *ret);

/* All X-Forwarded-For values in their order, joined by ", ". Errors: NO_MEMORY. */
MUST enum rc http_forwarded(struct MHD_Connection *c, struct buf *out);

#endif
