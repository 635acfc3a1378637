/* The classic login: a service ticket, and an authenticator that shows who brings it. */
#include <string.h>

#include "chat/wire/internal.h"

/* Everything that a login is checked for, in the order of RFC 4120 s.3.2.3. */
static enum rc check_ticket(const struct wire_conn *c, struct slice text, int64_t time_s, struct ticket *ret)
{
    const struct wire_options *o = &c->wire->options;
    const struct keytab *keys = keytab_hold(o->keytab);
    enum rc rc = ticket_open(keys, &o->conf->realm, &o->service, TICKET_SERVICE, text, time_s, ret);

    keytab_release(o->keytab, keys);
    TRY(rc);
    if (ret->session.etype != ETYPE_AES128_CBC)
        return RC_BAD_ETYPE;
    if (!c->wire->clean && ret->start <= o->started_s)
        return RC_TKT_BEFORE_CRASH;
    if (o->conf->realm_check_address && strcmp(ret->address, c->address) != 0)
        return RC_BAD_ADDRESS;
    return RC_OK;
}

static enum rc check_authenticator(const struct wire_conn *c, struct slice box, const struct ticket *t, int64_t time_s,
                                   int64_t *ret_stamp)
{
    const struct wire *w = c->wire;
    struct authenticator a;

    TRY(authenticator_open(t->session.bytes, box, &a));
    if (!slice_eq(name_slice(&a.client), name_slice(&t->client)))
        return RC_BAD_MATCH;
    TRY(skew_check(&w->skew, a.time_s, time_s));
    int64_t until = a.time_s + w->skew.behind_s;
    /* The bound is the client's; two tickets have two keys, so what was accepted under one is not of the other. */
    TRY(replay_check(w->replay, t->client_id, a.replay, until < t->end ? until : t->end, time_s));
    *ret_stamp = a.time_s;
    return RC_OK;
}

/* From here on the connection is the ticket's client. */
static enum rc adopt(struct wire_conn *c, const struct ticket *t)
{
    c->stamps = stamps_hold(c->wire->stamps, t->id, t->client_id);
    c->name = slice_dup(name_slice(&t->client));
    if (!c->stamps || !c->name)
        return RC_NO_MEMORY;
    memcpy(c->key, t->session.bytes, BOX_KEY);
    c->authed = true;
    return RC_OK;
}

enum rc login_check(struct wire_conn *c, int64_t time_s)
{
    struct scratch *s = &c->wire->scratch;
    AUTO(ticket_done) struct ticket t = {0};
    struct slice service, ticket, authenticator;

    TRY(json_get_text(s->json, "service_ticket", &ticket));
    TRY(json_get_text(s->json, "authenticator", &authenticator));
    TRY(json_get_text(s->json, "service", &service));
    if (!slice_eq(service, name_slice(&c->wire->options.service)))
        return RC_NO_SERVICE;
    TRY(check_ticket(c, ticket, time_s, &t));
    TRY(check_authenticator(c, authenticator, &t, time_s, &s->login.authenticator_s));
    TRY(adopt(c, &t));
    s->login.client = t.client;
    memcpy(s->login.client_id, t.client_id, ID_LEN);
    s->login.ticket_end_s = t.end;
    s->login.extensions = json_is_true(json_object_get(s->json, "extensions"));
    s->login.label = s->request.label;
    return RC_OK;
}
