/* The subscription to who is online: asked for after each login, and anew should a delta not follow on what is known.
 */
#include "client/chat.h"

/* Where it does not succeed the connection is on its way out, and the next login asks again. */
static void subscribe(struct kerb_chat *c, struct chat_presence *p)
{
    AUTO(json_done) json_t *request = json_pack("{s:s, s:b}", "type", "subscribe", "presence", true);

    p->has_state = false;
    if (!request || chat_send(c, request, NULL) != RC_OK)
        client_trace(chat_handle(c), "   chat: who is online is not told for now");
}

void presence_login(struct kerb_chat *c, struct chat_presence *p)
{
    subscribe(c, p);
}

enum presence_use presence_read(struct chat_presence *p, const json_t *message)
{
    int64_t from = 0, state;
    bool is_delta = json_object_get(message, "from");

    if (is_delta && !p->has_state)
        return PRESENCE_DROP;
    if (json_get_int(message, "state", &state) != RC_OK ||
        (is_delta && (json_get_int(message, "from", &from) != RC_OK || from != p->state)))
        return PRESENCE_ASK;
    p->has_state = true;
    p->state = state;
    return PRESENCE_TAKE;
}

bool presence_follows(struct kerb_chat *c, struct chat_presence *p, const json_t *message)
{
    enum presence_use use = presence_read(p, message);

    if (use == PRESENCE_ASK)
        subscribe(c, p);
    return use == PRESENCE_TAKE;
}
