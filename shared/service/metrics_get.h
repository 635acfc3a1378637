/*
 * GET /metrics on the inner listener.
 */
#ifndef KERB_SERVICE_METRICS_GET_H
#define KERB_SERVICE_METRICS_GET_H

#include "shared/service/inner.h"
#include "shared/service/metrics.h"

#define METRICS_PATH "/metrics"

/* A handler of an inner_route; ctx is the daemon's name, a text that lives on. */
void metrics_get(void *ctx, const struct http_request *req, struct http_reply *reply);

#endif
