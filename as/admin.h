/* POST /as/admin: what an administrator does from elsewhere. */
#ifndef KERB_AS_ADMIN_H
#define KERB_AS_ADMIN_H

#include "as/service.h"

#define AS_ADMIN_NAME "kerb/admin"

/* A handler of http_route; ctx is a const struct as_env. */
void as_admin_post(void *ctx, const struct http_request *http, struct http_reply *reply);

#endif
