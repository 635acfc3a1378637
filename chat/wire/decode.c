/* The fields of each request: which there must be, of which kind, how long. */
#include <stdlib.h>
#include <string.h>

#include "chat/wire/internal.h"

/* Text, or an object that has the text under one of two names; absent, or of another kind: false. */
static bool text_or_member(const json_t *v, const char *first, const char *second, struct slice *ret)
{
    if (json_is_object(v)) {
        const json_t *inner = json_object_get(v, first);
        v = inner || !second ? inner : json_object_get(v, second);
    }
    if (!json_is_string(v))
        return false;
    *ret = slice_of(json_string_value(v), json_string_length(v));
    return true;
}

static enum chat_code read_room(const struct scratch *s, struct chat_request *r)
{
    struct slice text;

    if (!text_or_member(json_object_get(s->json, "room"), "room", "name", &text))
        return CODE_MALFORMED;
    return name_parse(text, &r->room) == RC_OK ? CODE_COUNT : CODE_MALFORMED;
}

static enum chat_code read_secret(const struct scratch *s, struct chat_request *r)
{
    const json_t *v = json_object_get(s->json, "secret");

    if (!v || json_is_null(v))
        return CODE_COUNT;
    if (!json_is_string(v))
        return CODE_MALFORMED;
    r->has_secret = true;
    r->secret = slice_of(json_string_value(v), json_string_length(v));
    return CODE_COUNT;
}

/* A number, numeric text, or "" for as many as there are members. */
static enum chat_code read_threshold(const struct scratch *s, struct chat_request *r)
{
    const json_t *v = json_object_get(s->json, "threshold");
    uint64_t n;

    if (json_is_integer(v)) {
        json_int_t i = json_integer_value(v);
        if (i < 0 || i >= THRESHOLD_ALL)
            return CODE_BAD_THRESHOLD;
        r->threshold = (uint32_t)i;
        return CODE_COUNT;
    }
    if (!json_is_string(v))
        return CODE_MALFORMED;
    struct slice text = slice_of(json_string_value(v), json_string_length(v));
    if (text.n == 0) {
        r->threshold = THRESHOLD_ALL;
        return CODE_COUNT;
    }
    if (parse_u64(text, THRESHOLD_ALL - 1, &n) != RC_OK)
        return CODE_BAD_THRESHOLD;
    r->threshold = (uint32_t)n;
    return CODE_COUNT;
}

static enum chat_code read_hold(const struct scratch *s, struct chat_request *r)
{
    struct slice text;

    if (!json_object_get(s->json, "hold"))
        return CODE_COUNT;
    if (json_get_text(s->json, "hold", &text) != RC_OK)
        return CODE_MALFORMED;
    if (slice_eq(text, slice_text("presenters")))
        r->hold = HOLD_PRESENTERS;
    else if (!slice_eq(text, slice_text("members")))
        return CODE_MALFORMED;
    return CODE_COUNT;
}

static enum chat_code read_number(const struct scratch *s, const char *name, int64_t max, uint64_t *ret)
{
    int64_t n;

    if (json_get_int(s->json, name, &n) != RC_OK || n < 0 || n > max)
        return CODE_MALFORMED;
    *ret = (uint64_t)n;
    return CODE_COUNT;
}

static enum chat_code read_keep_days(const struct scratch *s, struct chat_request *r)
{
    uint64_t days = 0;

    if (json_object_get(s->json, "keep_days") && read_number(s, "keep_days", KEEP_DAYS_MAX, &days) != CODE_COUNT)
        return CODE_MALFORMED;
    r->keep_days = (uint32_t)days;
    return CODE_COUNT;
}

static enum chat_code read_users(struct scratch *s, struct chat_request *r)
{
    const json_t *v = json_object_get(s->json, "users");
    size_t n = json_array_size(v);

    if (!json_is_array(v))
        return CODE_MALFORMED;
    if (n > USERS_MAX)
        return CODE_LIMIT;
    s->users = calloc(n + 1, sizeof(*s->users));
    if (!s->users)
        return CODE_INTERNAL;
    for (size_t i = 0; i < n; i++) {
        const json_t *user = json_array_get(v, i);
        if (!json_is_string(user))
            return CODE_MALFORMED;
        s->users[i] = slice_of(json_string_value(user), json_string_length(user));
    }
    r->users = s->users;
    r->users_n = n;
    return CODE_COUNT;
}

static enum chat_code read_name(const struct scratch *s, struct chat_request *r)
{
    struct slice text;

    if (!json_object_get(s->json, "name"))
        return CODE_COUNT;
    r->has_name = true;
    return json_get_text(s->json, "name", &text) == RC_OK && name_parse(text, &r->name) == RC_OK ? CODE_COUNT
                                                                                                 : CODE_MALFORMED;
}

/* The text of a message: `message` itself, or its member `text`. */
static enum chat_code read_message(const struct scratch *s, struct chat_request *r)
{
    return text_or_member(json_object_get(s->json, "message"), "text", NULL, &r->text) ? CODE_COUNT : CODE_MALFORMED;
}

/* The new text of a message. One without text would be deleted, and there is a request for that. */
static enum chat_code read_new_text(const struct scratch *s, struct chat_request *r)
{
    return json_get_text(s->json, "text", &r->text) == RC_OK && r->text.n > 0 ? CODE_COUNT : CODE_MALFORMED;
}

/* What the client calls its message, so that sending it twice stores it once. */
static enum chat_code read_cid(const struct scratch *s, struct chat_request *r)
{
    const json_t *v = json_object_get(s->json, "cid");

    if (!v)
        return CODE_COUNT;
    if (json_get_text(s->json, "cid", &r->cid) != RC_OK || r->cid.n == 0)
        return CODE_MALFORMED;
    return utf8_chars(r->cid) <= CID_MAX_CHARS && !memchr(r->cid.p, 0, r->cid.n) ? CODE_COUNT : CODE_MALFORMED;
}

/* One of before, after, around, or none: the newest. */
static enum chat_code read_page(const struct scratch *s, struct chat_request *r)
{
    static const char *const sides[] = {[SIDE_BEFORE] = "before", [SIDE_AFTER] = "after", [SIDE_AROUND] = "around"};
    uint64_t limit = PAGE_DEFAULT;

    for (size_t side = SIDE_BEFORE; side < ARRAY_LEN(sides); side++) {
        if (!json_object_get(s->json, sides[side]))
            continue;
        if (r->side != SIDE_NEWEST || read_number(s, sides[side], INT64_MAX, &r->seq) != CODE_COUNT)
            return CODE_MALFORMED;
        r->side = (enum chat_side)side;
    }
    if (json_object_get(s->json, "limit") && (read_number(s, "limit", PAGE_MAX, &limit) != CODE_COUNT || limit == 0))
        return CODE_MALFORMED;
    r->limit = (uint32_t)limit;
    return CODE_COUNT;
}

/* What is looked for; without `before`: in all of the room. */
static enum chat_code read_search(const struct scratch *s, struct chat_request *r)
{
    uint64_t limit = SEARCH_DEFAULT;

    r->seq = UINT64_MAX;
    if (json_get_text(s->json, "text", &r->text) != RC_OK)
        return CODE_MALFORMED;
    if (json_object_get(s->json, "before") && read_number(s, "before", INT64_MAX, &r->seq) != CODE_COUNT)
        return CODE_MALFORMED;
    if (json_object_get(s->json, "limit") && (read_number(s, "limit", SEARCH_MAX, &limit) != CODE_COUNT || limit == 0))
        return CODE_MALFORMED;
    r->limit = (uint32_t)limit;
    return r->text.n <= SEARCH_TEXT_MAX ? CODE_COUNT : CODE_LIMIT;
}

/* The name of a saved value; absent or empty stands for all of them, where `required` is false. */
static enum chat_code read_key(const struct scratch *s, struct chat_request *r, bool required)
{
    const json_t *v = json_object_get(s->json, "key");

    if (!v && !required)
        return CODE_COUNT;
    if (!text_or_member(v, "name", NULL, &r->key) || (required && r->key.n == 0))
        return CODE_MALFORMED;
    r->has_key = true;
    return r->key.n <= DATA_KEY_MAX ? CODE_COUNT : CODE_LIMIT;
}

/* Any JSON, kept as compact text. */
static enum chat_code read_data(struct scratch *s, struct chat_request *r)
{
    const json_t *v = json_object_get(s->json, "data");
    if (!v)
        return CODE_MALFORMED;
    size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (n == 0 || buf_reserve(&s->data, n) != RC_OK)
        return CODE_INTERNAL;
    s->data.n = json_dumpb(v, (char *)s->data.p, n, JSON_COMPACT | JSON_ENCODE_ANY);
    r->data = buf_slice(&s->data);
    return CODE_COUNT;
}

static enum chat_code read_subscription(const struct scratch *s, struct chat_request *r)
{
    const json_t *v = json_object_get(s->json, "presence");

    if (!json_is_boolean(v))
        return CODE_MALFORMED;
    r->presence = json_is_true(v);
    return CODE_COUNT;
}

#define CHECK(call)         \
    if (code == CODE_COUNT) \
    code = (call)

enum chat_code decode_fields(struct wire_conn *c, enum chat_command cmd)
{
    struct scratch *s = &c->wire->scratch;
    struct chat_request *r = &s->request;
    enum chat_code code = CODE_COUNT;

    if (cmd != CMD_ONLINE && cmd != CMD_SAVE_DATA && cmd != CMD_GET_DATA && cmd != CMD_SUBSCRIBE)
        code = read_room(s, r);
    if (cmd == CMD_NEW_ROOM) {
        CHECK(read_threshold(s, r));
        CHECK(read_users(s, r));
        CHECK(read_name(s, r));
        CHECK(read_hold(s, r));
        CHECK(read_keep_days(s, r));
    } else if (cmd == CMD_GO_ROOM || cmd == CMD_SECRET) {
        CHECK(read_secret(s, r));
        CHECK(cmd == CMD_SECRET && !r->has_secret ? CODE_MALFORMED : CODE_COUNT);
    } else if (cmd == CMD_NEW_MESSAGE) {
        CHECK(read_message(s, r));
        CHECK(read_cid(s, r));
    } else if (cmd == CMD_MARK_READ || cmd == CMD_EDIT_MESSAGE || cmd == CMD_DELETE_MESSAGE) {
        CHECK(read_number(s, "seq", INT64_MAX, &r->seq));
        CHECK(cmd == CMD_EDIT_MESSAGE ? read_new_text(s, r) : CODE_COUNT);
    } else if (cmd == CMD_SUBSCRIBE) {
        CHECK(read_subscription(s, r));
    } else if (cmd == CMD_GET_HISTORY) {
        CHECK(read_page(s, r));
    } else if (cmd == CMD_SEARCH) {
        CHECK(read_search(s, r));
    } else if (cmd == CMD_SAVE_DATA) {
        CHECK(read_key(s, r, true));
        CHECK(read_data(s, r));
    } else if (cmd == CMD_GET_DATA) {
        CHECK(read_key(s, r, false));
    }
    return code;
}
