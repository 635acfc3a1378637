/* What both profiles ask of a service ticket. */
#include <stdlib.h>
#include <string.h>

#include "chat/wire/internal.h"

/* Who guesses tickets is known by his network only. */
static enum rc open_ticket(const struct wire_conn *c, struct slice text, int64_t time_s, struct ticket *ret)
{
    struct wire *w = c->wire;
    const struct wire_options *o = &w->options;

    TRY(gate_ask(o->gate, slice_of(NULL, 0), c->address, time_s, &w->attempt));
    const struct keytab *keys = keytab_hold(o->keytab);
    enum rc rc = ticket_open(keys, &o->conf->realm, &o->service, TICKET_SERVICE, text, time_s, ret);
    keytab_release(o->keytab, keys);
    w->shown.has_ticket = rc == RC_OK || rc == RC_TKT_EXPIRED;
    if (w->shown.has_ticket) {
        memcpy(w->shown.ticket, ret->id, ID_LEN);
        w->shown.client = ret->client;
    }
    return rc;
}

enum rc wire_check_ticket(const struct wire_conn *c, struct slice text, enum etype etype, int64_t time_s,
                          struct ticket *ret)
{
    const struct wire_options *o = &c->wire->options;

    TRY(open_ticket(c, text, time_s, ret));
    if (ret->session.etype != etype)
        return RC_BAD_ETYPE;
    if (o->conf->realm_check_address && strcmp(ret->address, c->address) != 0)
        return RC_BAD_ADDRESS;
    return RC_OK;
}

void wire_show_skew(const struct wire_conn *c, int64_t stamp_s, int64_t time_s)
{
    c->wire->shown.has_skew = true;
    c->wire->shown.skew_s = time_bounded(stamp_s) - time_s;
}

enum rc wire_adopt(struct wire_conn *c, const struct ticket *t)
{
    struct chat_login *login = &c->wire->scratch.login;

    if (!c->name) {
        c->name = malloc(sizeof(*c->name));
        if (!c->name)
            return RC_NO_MEMORY;
    }
    *c->name = t->client;
    memcpy(c->client_id, t->client_id, ID_LEN);
    c->authed = true;
    login->client = t->client;
    memcpy(login->client_id, t->client_id, ID_LEN);
    login->epoch = t->epoch;
    login->ticket_end_s = t->end;
    login->label = c->wire->scratch.request.label;
    return RC_OK;
}
