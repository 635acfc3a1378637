/*
 * HTTP by libcurl: one POST at a time, bounded in size and time, http and https only, no redirects, certificates
 * checked. The only place that includes curl/.
 */
#ifndef KERB_CLIENT_HTTP_H
#define KERB_CLIENT_HTTP_H

#include "client/client.h"

struct http; /* a connection that is kept between requests */

/* ca_file: "" for the system's authorities. Errors: NO_MEMORY. */
MUST enum rc http_open(const char *ca_file, unsigned timeout_s, struct http **ret);
void http_close(struct http *h); /* accepts NULL */

/* ctx: a struct http. Errors: IO (no answer: ret->error says why), LIMIT (too long an answer). */
MUST enum rc http_post(void *ctx, const char *url, struct slice body, struct answer *ret);

/* Checks a realm's URL and brings it to one spelling, appended: scheme://host[:port][/path]. Errors: MALFORMED. */
MUST enum rc http_url_check(const char *text, struct buf *out);

#endif
