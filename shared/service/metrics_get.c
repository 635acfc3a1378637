/* GET /metrics. */
#include "shared/service/metrics_get.h"

void metrics_get(void *ctx, const struct http_request *req, struct http_reply *reply)
{
    enum rc rc = metrics_text(ctx, &reply->body);

    if (rc != RC_OK)
        http_reply_error(reply, rc, req->op_id);
    else
        reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
}
