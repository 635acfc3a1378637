/* POST /as/register: an account of one's own, or a new password by an administrator's code. */
#ifndef KERB_AS_REGISTER_H
#define KERB_AS_REGISTER_H

#include "as/serve.h"
#include "shared/service/http.h"

#define AS_REGISTER_NAME "kerb/register" /* in the AAD of what is sealed under a code */

/* A handler of http_route; ctx is a const struct as_env. */
void as_register_post(void *ctx, const struct http_request *http, struct http_reply *reply);

#endif
