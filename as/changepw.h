/* POST /as/changepw: a user changes his password, or strengthens the key of the one he has. */
#ifndef KERB_AS_CHANGEPW_H
#define KERB_AS_CHANGEPW_H

#include "as/service.h"

#define AS_CHANGEPW_NAME "kerb/changepw"

/* A handler of http_route; ctx is a const struct as_env. */
void as_changepw_post(void *ctx, const struct http_request *http, struct http_reply *reply);

#endif
