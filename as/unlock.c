/* Unlocking. */
#include "as/unlock.h"

#include "shared/service/log.h"

#define LOOK_AT 256 /* items at a time */

enum rc as_gate_name(const struct name *name, struct buf *out)
{
    return name_fold(name, out);
}

void as_unlock(struct gate *gate, const struct name *user)
{
    AUTO(buf_done) struct buf folded = {0};

    if (gate && as_gate_name(user, &folded) == RC_OK)
        gate_unlock(gate, buf_slice(&folded));
}

static enum rc carry_out(void *ctx, const struct as_feed_item *item)
{
    struct name name;

    if (item->kind != FEED_UNLOCK)
        return RC_OK;
    TRY(name_parse(item->text, &name));
    as_unlock(ctx, &name);
    return RC_OK;
}

static enum rc look(struct as_unlocks *u, struct as_store *s, struct gate *gate, int64_t now_s)
{
    for (;;) {
        int64_t seq;
        TRY(as_store_feed(s, u->seq, LOOK_AT, now_s, carry_out, gate, &seq));
        if (seq == u->seq)
            return RC_OK;
        u->seq = seq;
    }
}

void as_unlocks_look(struct as_unlocks *u, struct as_store *s, struct gate *gate, int64_t now_s)
{
    enum rc rc = gate ? look(u, s, gate, now_s) : RC_OK;
    if (rc != RC_OK)
        log_note(LOG_WARN, "unlock", "orders cannot be read: %s", rc_text(rc));
}
