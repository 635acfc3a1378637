/* The results table, as strings. */
#include "shared/base/rc.h"

static const struct {
    const char *name, *wire, *text;
    int http;
} rows[RC_COUNT] = {
#define X(name, http, wire, text) [RC_##name] = {#name, wire, text, http},
    RC_TABLE(X)
#undef X
};

const char *rc_name(enum rc rc)
{
    return rc < RC_COUNT ? rows[rc].name : "UNKNOWN";
}

const char *rc_text(enum rc rc)
{
    return rc < RC_COUNT ? rows[rc].text : "unknown result";
}

const char *rc_wire(enum rc rc)
{
    return rc < RC_COUNT ? rows[rc].wire : "KRB_ERR_GENERIC";
}

int rc_http(enum rc rc)
{
    return rc < RC_COUNT ? rows[rc].http : 500;
}
