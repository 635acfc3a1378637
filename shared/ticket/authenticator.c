/* The classic authenticator: opened, read, and its stamp held against the clock. */
#include "shared/ticket/authenticator.h"

#include "shared/base/json.h"

static enum rc read_text(struct slice text, struct authenticator *ret)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice client;

    TRY(json_parse_object(text, JSON_DEPTH_HTTP, &j));
    TRY(json_get_text(j, "user_name", &client));
    TRY(name_parse(client, &ret->client));
    return json_get_time(j, "timestamp", &ret->time_s);
}

enum rc authenticator_open(const uint8_t key[BOX_KEY], struct slice wire, struct authenticator *ret)
{
    AUTO(buf_done) struct buf text = {0};
    struct authenticator a = {0};

    TRY(box_open(key, wire, &text, a.replay));
    enum rc rc = read_text(buf_slice(&text), &a);
    if (rc != RC_OK)
        return rc == RC_MALFORMED ? RC_MODIFIED : rc;
    *ret = a;
    return RC_OK;
}

enum rc skew_check(const struct skew *skew, int64_t stamp_s, int64_t now_s)
{
    return stamp_s >= now_s - skew->behind_s && stamp_s <= now_s + skew->ahead_s ? RC_OK : RC_SKEW;
}
