/* Asking the chat, and its objects in words. */
#include <stdio.h>
#include <string.h>

#include "client/cmd_chat.h"

struct slice talk_text(const json_t *object, const char *member)
{
    struct slice text;
    return json_get_text(object, member, &text) == RC_OK ? text : slice_of("", 0);
}

int64_t talk_int(const json_t *object, const char *member)
{
    int64_t n;
    return json_get_int(object, member, &n) == RC_OK ? n : 0;
}

static void say(struct buf *why, const char *text)
{
    buf_reset(why);
    if (buf_text(why, text) != RC_OK || !buf_cstr(why))
        buf_done(why);
}

static json_t *check_reply(json_t *reply, struct buf *why, struct name *ret_code)
{
    AUTO(buf_done) struct buf shown = {0};

    if (!slice_eq(talk_text(reply, "type"), slice_text("error")))
        return reply;
    if (ret_code && name_parse(talk_text(reply, "code"), ret_code) != RC_OK)
        *ret_code = (struct name){0};
    say(why, show(talk_text(reply, "error"), &shown));
    json_done(&reply);
    return NULL;
}

json_t *talk_ask(struct kerb_chat *chat, json_t *request, struct buf *why, struct name *ret_code)
{
    struct kerb *k = chat_handle(chat);
    json_t *reply = NULL;

    if (ret_code)
        *ret_code = (struct name){0};
    client_begin(k);
    enum rc rc = request ? chat_call(chat, request, &reply) : RC_NO_MEMORY;
    json_done(&request);
    if (rc == RC_OK)
        return check_reply(reply, why, ret_code);
    (void)client_end(k, rc);
    say(why, kerb_error(k));
    return NULL;
}

bool talk_has(const json_t *names, struct slice name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *x = json_array_get(names, i);
        if (json_is_string(x) && slice_eq(slice_of(json_string_value(x), json_string_length(x)), name))
            return true;
    }
    return false;
}

enum rc talk_names(const json_t *names, const json_t *among, struct buf *out)
{
    bool comma = false;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *x = json_array_get(names, i);
        struct slice name = slice_of(json_is_string(x) ? json_string_value(x) : "", json_string_length(x));
        if (!name.n || (among && !talk_has(among, name)))
            continue;
        if (comma)
            TRY(buf_text(out, ", "));
        TRY(show_text(name, out));
        comma = true;
    }
    return RC_OK;
}

static enum rc read_lock(const json_t *room, struct buf *out)
{
    int64_t threshold = talk_int(room, "threshold");

    if (threshold == 0)
        return buf_text(out, "open to its members");
    if (json_is_true(json_object_get(room, "opened")))
        return buf_text(out, "sealed, open now");
    return buf_printf(out, "sealed, opens with %lld of %zu shares", (long long)threshold,
                      json_array_size(json_object_get(room, "users")));
}

enum rc talk_state(const json_t *room, struct buf *out)
{
    int64_t days = talk_int(room, "keep_days"), head = talk_int(room, "head"), read = talk_int(room, "read");

    TRY(read_lock(room, out));
    if (read >= 0 && head > read)
        TRY(buf_printf(out, "; %lld unread", (long long)(head - read)));
    if (days == 0)
        return RC_OK;
    return buf_printf(out, "; messages are kept for %lld day%s", (long long)days, days == 1 ? "" : "s");
}
