/* What a person says, on its way to the chat. */
#include "client/chat_outbox.h"

#include <bsd/sys/queue.h>
#include <limits.h>
#include <stdlib.h>

#include "client/chat_retry.h"

struct outbox_item {
    STAILQ_ENTRY(outbox_item) of_outbox;
    json_t *message;
    bool is_held;  /* its room is closed; then so are all of that room */
    unsigned told; /* bits of enum outbox_wait */
};

struct chat_outbox {
    struct outbox_ops ops;
    STAILQ_HEAD(, outbox_item) items;
    size_t n;
    bool is_lost;
    struct outbox_item *sent; /* under way; NULL: none is */
    uint64_t sent_id;
    int64_t again_ms; /* nothing is sent before */
};

struct chat_outbox *outbox_new(const struct outbox_ops *ops)
{
    struct chat_outbox *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->ops = *ops;
    STAILQ_INIT(&o->items);
    return o;
}

static void remove_item(struct chat_outbox *o, struct outbox_item *item)
{
    STAILQ_REMOVE(&o->items, item, outbox_item, of_outbox);
    o->n--;
    if (o->sent == item)
        o->sent = NULL;
    json_done(&item->message);
    free(item);
}

void outbox_free(struct chat_outbox *o)
{
    if (!o)
        return;
    while (!STAILQ_EMPTY(&o->items))
        remove_item(o, STAILQ_FIRST(&o->items));
    free(o);
}

static struct slice text_of(const json_t *message, const char *member)
{
    struct slice text;
    return json_get_text(message, member, &text) == RC_OK ? text : slice_of("", 0);
}

static bool is_in(const struct outbox_item *item, struct slice room)
{
    return slice_eq(text_of(item->message, "room"), room);
}

static void tell(struct chat_outbox *o, struct outbox_item *item, enum outbox_wait why)
{
    if (item->told & 1U << why)
        return;
    item->told |= 1U << why;
    o->ops.waits(o->ops.ctx, item->message, why);
}

static bool holds(const struct chat_outbox *o, struct slice room)
{
    const struct outbox_item *item;

    STAILQ_FOREACH (item, &o->items, of_outbox)
        if (item->is_held && is_in(item, room))
            return true;
    return false;
}

enum rc outbox_add(struct chat_outbox *o, json_t *message)
{
    struct outbox_item *item = outbox_is_full(o) ? NULL : calloc(1, sizeof *item);

    if (!item) {
        json_done(&message);
        return outbox_is_full(o) ? RC_LIMIT : RC_NO_MEMORY;
    }
    item->message = message;
    item->is_held = holds(o, text_of(message, "room"));
    STAILQ_INSERT_TAIL(&o->items, item, of_outbox);
    o->n++;
    if (o->is_lost)
        tell(o, item, OUTBOX_CONNECTION);
    else if (item->is_held)
        tell(o, item, OUTBOX_ROOM);
    return RC_OK;
}

/* --- what becomes of it --- */

void outbox_lost(struct chat_outbox *o)
{
    struct outbox_item *item;

    o->is_lost = true;
    o->sent = NULL;
    STAILQ_FOREACH (item, &o->items, of_outbox)
        tell(o, item, OUTBOX_CONNECTION);
}

/* What a closed room held back is tried, too: it may be stored already, which the server tells also of a closed one. */
void outbox_back(struct chat_outbox *o)
{
    struct outbox_item *item;

    o->is_lost = false;
    o->again_ms = 0;
    STAILQ_FOREACH (item, &o->items, of_outbox)
        item->is_held = false;
}

void outbox_open(struct chat_outbox *o, struct slice room)
{
    struct outbox_item *item;

    STAILQ_FOREACH (item, &o->items, of_outbox)
        if (is_in(item, room))
            item->is_held = false;
}

static void hold(struct chat_outbox *o, struct slice room)
{
    struct outbox_item *item;

    STAILQ_FOREACH (item, &o->items, of_outbox) {
        if (!is_in(item, room))
            continue;
        item->is_held = true;
        tell(o, item, OUTBOX_ROOM);
    }
}

static void take_error(struct chat_outbox *o, struct outbox_item *item, const json_t *error, int64_t now_ms)
{
    struct slice code = text_of(error, "code");
    bool is_unable = slice_eq(code, slice_text("unavailable"));
    int64_t wait_ms = retry_after(error);

    if (slice_eq(code, slice_text("room_closed"))) {
        hold(o, text_of(item->message, "room"));
    } else if (wait_ms > 0 || is_unable || slice_eq(code, slice_text("rate_limited"))) {
        o->again_ms = now_ms + (wait_ms ? wait_ms : OUTBOX_AGAIN_MS);
        if (is_unable)
            tell(o, item, OUTBOX_SERVER);
    } else {
        o->ops.refused(o->ops.ctx, item->message, error);
        remove_item(o, item);
    }
}

bool outbox_takes(struct chat_outbox *o, const json_t *answer, uint64_t id, int64_t now_ms)
{
    struct outbox_item *item = o->sent;

    if (!item || id != o->sent_id)
        return false;
    o->sent = NULL;
    if (slice_eq(text_of(answer, "type"), slice_text("error")))
        take_error(o, item, answer, now_ms);
    else
        remove_item(o, item);
    return true;
}

/* --- sending --- */

static struct outbox_item *first_free(const struct chat_outbox *o)
{
    struct outbox_item *item;

    STAILQ_FOREACH (item, &o->items, of_outbox)
        if (!item->is_held)
            return item;
    return NULL;
}

int outbox_poll(struct chat_outbox *o, int64_t now_ms)
{
    struct outbox_item *item = first_free(o);

    if (!item || o->is_lost || o->sent)
        return INT_MAX;
    if (now_ms < o->again_ms)
        return (int)(o->again_ms - now_ms);
    if (o->ops.send(o->ops.ctx, item->message, &o->sent_id) != RC_OK) {
        o->again_ms = now_ms + OUTBOX_AGAIN_MS;
        return OUTBOX_AGAIN_MS;
    }
    o->sent = item;
    return INT_MAX;
}

bool outbox_is_full(const struct chat_outbox *o)
{
    return o->n >= OUTBOX_MAX;
}

bool outbox_is_busy(const struct chat_outbox *o)
{
    return first_free(o) != NULL;
}

json_t *outbox_take(struct chat_outbox *o)
{
    struct outbox_item *first = STAILQ_FIRST(&o->items);
    json_t *message = first ? json_incref(first->message) : NULL;

    if (first)
        remove_item(o, first);
    return message;
}
