/* The gate in result codes. */
#include "shared/service/gate.h"
#include "shared/service/metrics.h"

enum rc gate_ask(struct gate *g, struct slice principal, const char *address, int64_t now_s, struct gate_try *ret)
{
    *ret = (struct gate_try){0};
    if (!g)
        return RC_OK;
    switch (gate_enter(g, principal, address, now_s, ret)) {
    case GATE_OPEN:
        return RC_OK;
    case GATE_HELD:
        metric_count(COUNT_throttled_held, 1);
        return RC_HELD;
    case GATE_FLOODED:
    default:
        metric_count(COUNT_throttled_flooded, 1);
        return RC_FLOODED;
    }
}

/*
 * Results that a guess can have. The others come from a secret that was proved, or from before it was looked at: they
 * are given back, and make no network familiar.
 */
static bool is_wrong(enum rc rc)
{
    static const enum rc wrong[] = {
        RC_NO_CLIENT,   RC_BAD_PREAUTH, RC_CLIENT_DISABLED, RC_NO_CLIENT_KEY, RC_REFLECTED,
        RC_PROFILE_OFF, RC_REPEAT,      RC_MODIFIED,        RC_NO_KVNO,       RC_NOT_US,
        RC_BAD_ETYPE,   RC_BAD_MATCH,   RC_BAD_ADDRESS,     RC_BAD_CODE,      RC_NAME_TAKEN,
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (wrong[i] == rc)
            return true;
    return false;
}

void gate_tell(struct gate *g, struct gate_try *t, enum rc rc, int64_t now_s)
{
    if (g && t->is_under_way)
        gate_done(g, t, rc == RC_OK, is_wrong(rc), now_s);
}
