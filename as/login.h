/* POST /as/login, both profiles: from HTTP to as_serve and back. */
#ifndef KERB_AS_LOGIN_H
#define KERB_AS_LOGIN_H

#include "as/serve.h"
#include "shared/service/http.h"

/* A handler of http_route; ctx is a const struct as_env. */
void as_login_post(void *ctx, const struct http_request *req, struct http_reply *reply);

/* For http_options.ready: the store answers and there is a TGS key; ctx is a const struct as_env. */
MUST enum rc as_ready(void *ctx);

#endif
