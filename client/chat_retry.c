/* How long a server wants its client to wait: a number of its own, so it is bounded before it is added to a time. */
#include "client/chat_retry.h"

int64_t retry_after(const json_t *message)
{
    int64_t ms;

    if (json_get_int(message, "retry_after_ms", &ms) != RC_OK || ms < 0)
        return 0;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}
