/* The classic profile: a plain login, then boxes. */
#include <string.h>

#include "chat/wire/internal.h"

static enum rc check_authenticator(const struct wire_conn *c, struct slice box, const struct ticket *t, int64_t time_s,
                                   int64_t *ret_stamp)
{
    const struct wire *w = c->wire;
    struct authenticator a;

    TRY(authenticator_open(t->session.bytes, box, &a));
    if (!slice_eq(name_slice(&a.client), name_slice(&t->client)))
        return RC_BAD_MATCH;
    wire_show_skew(c, a.time_s, time_s);
    TRY(skew_check(&w->skew, a.time_s, time_s));
    int64_t until = a.time_s + w->skew.behind_s;
    /* The bound is the client's; two tickets have two keys, so what was accepted under one is not of the other. */
    TRY(replay_check(w->replay, t->client_id, a.replay, until < t->end ? until : t->end, time_s));
    *ret_stamp = a.time_s;
    return RC_OK;
}

static enum rc login(struct wire_conn *c, int64_t time_s)
{
    struct scratch *s = &c->wire->scratch;
    AUTO(ticket_done) struct ticket t = {0};
    struct slice service, ticket, authenticator;

    TRY(json_get_text(s->json, "service_ticket", &ticket));
    TRY(json_get_text(s->json, "authenticator", &authenticator));
    TRY(json_get_text(s->json, "service", &service));
    if (!slice_eq(service, name_slice(&c->wire->options.service)))
        return RC_NO_SERVICE;
    TRY(wire_check_ticket(c, ticket, ETYPE_AES128_CBC, time_s, &t));
    if (!c->wire->clean && t.start <= c->wire->options.started_s)
        return RC_TKT_BEFORE_CRASH;
    TRY(check_authenticator(c, authenticator, &t, time_s, &s->login.authenticator_s));
    c->classic.stamps = stamps_hold(c->wire->stamps, t.id, t.client_id);
    if (!c->classic.stamps)
        return RC_NO_MEMORY;
    TRY(wire_adopt(c, &t));
    memcpy(c->classic.key, t.session.bytes, BOX_KEY);
    s->login.extensions = json_is_true(json_object_get(s->json, "extensions"));
    return RC_OK;
}

/* Before login: plain JSON. */
static enum rc read_plain(struct wire_conn *c, struct slice message, int64_t time_s, struct chat_event *ret)
{
    struct scratch *s = &c->wire->scratch;

    TRY(json_parse_object(message, JSON_DEPTH_CHAT, &s->json));
    TRY(wire_read_type(s));
    if (s->request.cmd != CMD_LOGIN) {
        ret->code = CODE_NOT_LOGGED_IN;
        return RC_BAD_PREAUTH;
    }
    ret->code = CODE_LOGIN_FAILED;
    enum rc rc = login(c, time_s);
    if (rc == RC_RATE_LIMITED || rc == RC_CACHE_FULL) /* the ticket is good: later it may be let in */
        ret->code = CODE_RATE_LIMITED;
    TRY(rc);
    ret->kind = CHAT_LOGIN;
    ret->login = &s->login;
    return RC_OK;
}

/* The stamp: within the skew, and this message not seen before under the ticket. */
static enum rc check_stamp(struct wire_conn *c, const uint8_t digest[SHA256_LEN], int64_t time_s,
                           enum chat_code *ret_code)
{
    int64_t stamp;

    TRY(json_get_time(c->wire->scratch.json, "timestamp", &stamp));
    *ret_code = CODE_SKEW;
    TRY(skew_check(&c->wire->skew, stamp, time_s));
    enum rc rc = stamps_check(c->classic.stamps, stamp, digest, time_s);
    *ret_code = rc == RC_REPEAT ? CODE_REPLAYED : CODE_RATE_LIMITED;
    return rc;
}

/* After login: a box that holds JSON. */
static enum rc read_box(struct wire_conn *c, struct slice message, int64_t time_s, struct chat_event *ret)
{
    struct scratch *s = &c->wire->scratch;
    uint8_t digest[SHA256_LEN];

    TRY(box_open(c->classic.key, message, &s->plain, digest));
    TRY(json_parse_object(buf_slice(&s->plain), JSON_DEPTH_CHAT, &s->json));
    enum rc typed = wire_read_type(s);
    TRY(check_stamp(c, digest, time_s, &ret->code));
    ret->code = CODE_WRONG_FROM;
    TRY(wire_check_from(c));
    ret->code = CODE_MALFORMED;
    TRY(typed);
    ret->code = s->request.cmd == CMD_LOGIN ? CODE_LOGGED_IN : decode_fields(c, s->request.cmd);
    if (ret->code != CODE_COUNT)
        return RC_MALFORMED;
    ret->kind = CHAT_REQUEST;
    return RC_OK;
}

enum rc classic_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s, struct chat_event *ret)
{
    if (is_binary)
        return RC_MALFORMED;
    return c->authed ? read_box(c, message, time_s, ret) : read_plain(c, message, time_s, ret);
}
