/* POST /tgs: from HTTP to tgs_serve and back, and what is recorded of it. */
#ifndef KERB_TGS_GRANT_H
#define KERB_TGS_GRANT_H

#include "shared/service/http.h"
#include "tgs/serve.h"

/* A handler of http_route; ctx is a const struct tgs_env. */
void tgs_grant_post(void *ctx, const struct http_request *req, struct http_reply *reply);

/* For tgs_env.audit: into the audit log and the metrics; ctx is the struct ops of the daemon. */
void tgs_audit_ops(void *ctx, const struct tgs_event *event);

/* For http_options.ready: the store answers, there is a TGS key, and the link to the AS is up; ctx is a const struct
 * tgs_env. */
MUST enum rc tgs_ready(void *ctx);

#endif
