/* How long a server wants its client to wait. */
#ifndef KERB_CLIENT_CHAT_RETRY_H
#define KERB_CLIENT_CHAT_RETRY_H

#include "shared/base/json.h"

#define RETRY_MAX_MS 30000

/* `retry_after_ms` of a message; who asks for longer than RETRY_MAX_MS is asked sooner. 0: it does not say. */
int64_t retry_after(const json_t *message);

#endif
