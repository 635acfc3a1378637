/* The chat connection: requests, and their replies that are waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat_conn.h"
#include "client/chat_retry.h"
#include "shared/base/base64.h"

#define CID_TIME 6 /* bytes of a message's name that tell its time */

enum rc chat_send(struct kerb_chat *c, const json_t *request, uint64_t *ret_id)
{
    AUTO(json_done) json_t *labelled = json_copy((json_t *)(uintptr_t)request);
    AUTO(str_done) char *text = NULL;
    char id[CHAT_ID_MAX];

    if (c->is_over)
        return conn_tell_over(c);
    if (!c->ws || !c->is_ready)
        return client_fail(c->k, KERB_UNREACHABLE, "there is no connection to the chat at the moment");
    (void)snprintf(id, sizeof id, "k%llu", (unsigned long long)++c->last_id);
    if (!labelled || json_object_set_new(labelled, "id", json_string(id)) != 0)
        return RC_NO_MEMORY;
    text = json_dumps(labelled, JSON_COMPACT);
    if (!text)
        return RC_NO_MEMORY;
    if (ret_id)
        *ret_id = c->last_id;
    enum rc rc = conn_send(c, slice_text(text));
    return rc == RC_OK ? RC_OK : client_fail(c->k, KERB_UNREACHABLE, "too much waits to be sent to the chat");
}

/* A name for a message: ids of one sender grow with the time, which keeps the server's index of them compact. */
enum rc chat_name_message(json_t *request)
{
    AUTO(buf_done) struct buf bytes = {0}, text = {0};
    uint8_t id[ID_LEN];

    TRY(random_bytes(id, sizeof id));
    TRY(buf_u64be(&bytes, (uint64_t)clock_ms() << 16));
    memcpy(id, bytes.p, CID_TIME);
    TRY(base64url_encode(SLICE(id), &text));
    if (!buf_cstr(&text) || json_object_set_new(request, "cid", json_string((const char *)text.p)) != 0)
        return RC_NO_MEMORY;
    return RC_OK;
}

/* A message has a name, and so can be sent again without being stored twice. */
static bool is_message(const json_t *request)
{
    struct slice type;
    return json_get_text(request, "type", &type) == RC_OK && slice_eq(type, slice_text("new_message"));
}

static enum rc await_connection(struct kerb_chat *c, int64_t end_ms)
{
    bool other, some;

    while (!c->is_ready && clock_monotonic_ms() < end_ms)
        TRY(conn_step(c, -1, 100, &other, &some));
    return RC_OK;
}

/* Errors: UNREACHABLE, told; *ret_lost: the connection went before the reply came. */
static enum rc call_once(struct kerb_chat *c, const json_t *request, int64_t end_ms, bool *ret_lost)
{
    bool other, some;

    *ret_lost = false;
    TRY(chat_send(c, request, &c->awaited));
    const struct ws *ws = c->ws;
    while (c->awaited) {
        TRY(conn_step(c, -1, 100, &other, &some));
        *ret_lost = c->awaited && c->ws != ws;
        if (*ret_lost || (c->awaited && clock_monotonic_ms() > end_ms)) {
            c->awaited = 0;
            return client_fail(c->k, KERB_UNREACHABLE,
                               "no answer from the chat; what was asked for may have been done");
        }
    }
    return RC_OK;
}

/* How long the server wants us to wait before we ask again; 0: it has answered. */
static int64_t wait_of(const json_t *reply)
{
    const char *type = json_string_value(json_object_get(reply, "type"));
    return type && strcmp(type, "error") == 0 ? retry_after(reply) : 0;
}

static enum rc pause_for(struct kerb_chat *c, int64_t ms)
{
    int64_t end_ms = clock_monotonic_ms() + ms;
    bool other, some;

    for (int64_t left = ms; left > 0; left = end_ms - clock_monotonic_ms())
        TRY(conn_step(c, -1, left < 100 ? (int)left : 100, &other, &some));
    return RC_OK;
}

static enum rc call_until(struct kerb_chat *c, const json_t *request, int64_t end_ms)
{
    bool may_repeat = is_message(request), lost, again;
    enum rc rc;

    do {
        if (may_repeat)
            TRY(await_connection(c, end_ms));
        rc = call_once(c, request, end_ms, &lost);
        int64_t wait_ms = rc == RC_OK ? wait_of(c->reply) : 0;
        again = (lost && may_repeat) || wait_ms > 0;
        if (wait_ms > 0 && clock_monotonic_ms() + wait_ms < end_ms) {
            json_done(&c->reply);
            TRY(pause_for(c, wait_ms));
        } else if (wait_ms > 0) {
            again = false;
        }
    } while (again && clock_monotonic_ms() < end_ms);
    if (rc == RC_OK && !c->reply)
        return client_fail(c->k, KERB_BUSY, "the chat has too much to do: try again later");
    return rc;
}

enum rc chat_call(struct kerb_chat *c, const json_t *request, json_t **ret)
{
    AUTO(json_done) json_t *named = json_copy((json_t *)(uintptr_t)request);

    if (!named)
        return RC_NO_MEMORY;
    if (is_message(named) && !json_object_get(named, "cid"))
        TRY(chat_name_message(named));
    TRY(call_until(c, named, clock_monotonic_ms() + (int64_t)c->k->timeout_s * 1000));
    *ret = c->reply;
    c->reply = NULL;
    return RC_OK;
}

static enum rc read_request(struct kerb_chat *c, const char *json, json_t **ret)
{
    if (json_parse_object(slice_text(json), JSON_DEPTH_CHAT - 1, ret) == RC_OK)
        return RC_OK;
    return client_fail(c->k, KERB_BAD_ARGUMENT, "what is asked for is not a JSON object");
}

enum kerb_status kerb_chat_send(struct kerb_chat *c, const char *json, uint64_t *ret_id)
{
    AUTO(json_done) json_t *request = NULL;

    client_begin(c->k);
    enum rc rc = read_request(c, json, &request);
    if (rc == RC_OK)
        rc = chat_send(c, request, ret_id);
    return client_end(c->k, rc);
}

enum kerb_status kerb_chat_call(struct kerb_chat *c, const char *json, char **ret_json)
{
    AUTO(json_done) json_t *request = NULL, *reply = NULL;

    client_begin(c->k);
    enum rc rc = read_request(c, json, &request);
    if (rc == RC_OK)
        rc = chat_call(c, request, &reply);
    if (rc == RC_OK) {
        char *text = json_dumps(reply, JSON_COMPACT);
        if (text)
            *ret_json = text;
        else
            rc = RC_NO_MEMORY;
    }
    return client_end(c->k, rc);
}
