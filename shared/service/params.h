/*
 * The parameters of a POST: a form or a JSON object, whichever the body is (known clients send JSON as text/plain).
 *
 * Forms: split at '&', the first '=' splits name and value, %XX is decoded, '+' becomes a space (base64 readers turn
 * it back). Refused: a bad escape, a NUL, a name twice, an empty name, more than PARAMS_MAX parameters.
 * JSON: one object, duplicate names refused, depth at most 8; a parameter is a member that is a text.
 * Unknown parameters are ignored.
 */
#ifndef KERB_SERVICE_PARAMS_H
#define KERB_SERVICE_PARAMS_H

#include "shared/base/json.h"

#define PARAMS_MAX 32

struct params {
    json_t *json; /* NULL: a form */
    struct buf decoded;
    struct {
        struct slice name, value;
    } form[PARAMS_MAX];
    size_t n;
};

void params_done(struct params *p);
MUST enum rc params_parse(struct slice body, struct params *ret); /* Errors: MALFORMED, NO_MEMORY */

/* The value, borrowed; required and at most max bytes. Errors: MALFORMED. */
MUST enum rc params_text(const struct params *p, const char *name, size_t max, struct slice *ret);

#endif
