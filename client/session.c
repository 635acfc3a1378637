/* Logging in, renewing, and tickets: the exchanges joined with the cache. */
#include <string.h>

#include "client/client.h"
#include "client/vault.h"

/* --- login --- */

/* The tickets of a login, in place of what was there. A vault of the same person stays. */
enum rc client_adopt(struct kerb *k, struct login_result *r)
{
    AUTO(cache_done) struct cache c = {0};

    c.realm = k->realm;
    c.client = r->client;
    c.offset_s = r->offset_s;
    TRY(buf_add(&c.url, buf_slice(&k->url)));
    cache_put(&c, &r->tgt);
    bool same = slice_eq(name_slice(&k->cache.client), name_slice(&c.client)) &&
                slice_eq(name_slice(&k->cache.realm), name_slice(&c.realm));
    if (same) {
        c.vault = k->cache.vault;
        k->cache.vault = (struct cache_vault){0};
    }
    cache_done(&k->cache);
    k->cache = c;
    wipe(&c, sizeof c);
    return RC_OK;
}

/* What the file has, when it has something for this realm; a damaged file is written over. */
void client_peek(struct kerb *k)
{
    struct name realm = k->realm;

    if (k->cache.n || k->no_cache)
        return;
    if (cache_load(kerb_cache_path(k), &k->cache) == RC_OK && realm.n &&
        !slice_eq(name_slice(&realm), name_slice(&k->cache.realm)))
        cache_done(&k->cache);
}

static enum rc login(struct kerb *k, const struct name *user, struct slice password, const struct kerb_login_options *o)
{
    AUTO(login_result_done) struct login_result r = {0};
    const struct login_wish wish = {o->lifetime_s, o->renewable};

    if (o->lifetime_s < 0)
        return client_fail(k, KERB_BAD_ARGUMENT, "a lifetime is not negative");
    TRY(client_as(k, user, password, &wish, &r));
    client_peek(k);
    TRY(client_adopt(k, &r));
    client_strengthen(k, password, &r);
    if (!o->forget_vault)
        vault_after_login(k, password);
    return client_save(k, slice_of(NULL, 0));
}

enum kerb_status kerb_login(struct kerb *k, const char *user, const char *password, size_t password_len,
                            const struct kerb_login_options *options)
{
    static const struct kerb_login_options none;
    struct name name;

    client_begin(k);
    enum rc rc = client_name(k, "user", user, &name);
    if (rc == RC_OK)
        rc = login(k, &name, slice_of(password, password_len), options ? options : &none);
    return client_end(k, rc);
}

/* --- renewal --- */

static enum rc renew(struct kerb *k)
{
    AUTO(cache_entry_done) struct cache_entry fresh = {0};
    AUTO(buf_done) struct buf old = {0};

    TRY(client_load(k));
    const struct cache_entry *tgt = &k->cache.entries[0];
    if (!tgt->renew_till)
        return client_fail(k, KERB_POLICY, "this login cannot be renewed: kerb login --renewable");
    if (client_now(k) >= tgt->end || client_now(k) >= tgt->renew_till)
        return client_fail(k, KERB_EXPIRED, "it is too late to renew: kerb login");
    const struct tgs_wish wish = {.client = &k->cache.client, .tgt = tgt, .service = tgt->server, .renew = true};
    TRY(client_tgs(k, &wish, &fresh));
    TRY(buf_add(&old, buf_slice(&tgt->ticket)));
    cache_put(&k->cache, &fresh);
    return client_save(k, buf_slice(&old));
}

enum kerb_status kerb_renew(struct kerb *k)
{
    client_begin(k);
    return client_end(k, renew(k));
}

/* --- tickets --- */

static enum rc copy_entry(const struct cache_entry *e, struct cache_entry *ret)
{
    AUTO(cache_entry_done) struct cache_entry copy = *e;

    copy.ticket = (struct buf){0};
    TRY(buf_add(&copy.ticket, buf_slice(&e->ticket)));
    cache_entry_done(ret);
    *ret = copy;
    wipe(&copy, sizeof copy);
    return RC_OK;
}

void client_end_login(struct kerb *k)
{
    struct cache_entry *tgt = &k->cache.entries[0];
    int64_t now_s = client_now(k);

    if (k->cache.n == 0 || tgt->end <= now_s)
        return;
    tgt->end = now_s;
    tgt->start = tgt->start < now_s ? tgt->start : now_s;
    while (k->cache.n > 1)
        cache_drop(&k->cache, name_slice(&k->cache.entries[1].server));
    if (client_save(k, buf_slice(&tgt->ticket)) != RC_OK)
        client_trace(k, "   that the login is over could not be kept: %s", kerb_error(k));
}

static enum rc copy_kept(const struct kerb *k, const struct name *service, struct cache_entry *ret)
{
    const struct cache_entry *have = cache_find(&k->cache, name_slice(service));
    return have ? copy_entry(have, ret) : RC_NOT_FOUND;
}

enum rc client_fresh_ticket(struct kerb *k, const struct name *service, struct cache_entry *ret)
{
    AUTO(cache_entry_done) struct cache_entry e = {0};
    const struct cache_entry *tgt;

    TRY(client_tgt(k, &tgt));
    const struct tgs_wish wish = {.client = &k->cache.client, .tgt = tgt, .service = *service};
    TRY(client_tgs(k, &wish, &e));
    cache_put(&k->cache, &e);
    TRY(client_save(k, buf_slice(&tgt->ticket)));
    return copy_kept(k, service, ret);
}

enum rc client_ticket(struct kerb *k, const struct name *service, struct cache_entry *ret)
{
    const struct cache_entry *tgt;

    TRY(client_tgt(k, &tgt));
    const struct cache_entry *have = cache_find(&k->cache, name_slice(service));
    if (have == tgt)
        return client_fail(k, KERB_BAD_ARGUMENT, "%s is the ticket-granting service itself", service->s);
    if (!have || have->end - CLIENT_MARGIN_S <= client_now(k))
        return client_fresh_ticket(k, service, ret);
    client_trace(k, "the ticket for %s that is kept is still good: nothing is sent", service->s);
    return copy_entry(have, ret);
}

static void show(const struct kerb *k, const struct cache_entry *e, struct kerb_ticket *ret)
{
    *ret = (struct kerb_ticket){.kvno = client_kvno(e),
                                .auth_time = e->auth_time,
                                .start = e->start,
                                .end = e->end,
                                .renew_till = e->renew_till};
    memcpy(ret->realm, k->cache.realm.s, k->cache.realm.n + 1U);
    memcpy(ret->client, k->cache.client.s, k->cache.client.n + 1U);
    memcpy(ret->service, e->server.s, e->server.n + 1U);
    memcpy(ret->text, e->ticket.p, e->ticket.n); /* at most TICKET_TEXT_MAX; the rest is zero */
    memcpy(ret->session_key, e->session.bytes, KERB_KEY_SIZE);
}

enum kerb_status kerb_get_ticket(struct kerb *k, const char *service, struct kerb_ticket *ret)
{
    AUTO(cache_entry_done) struct cache_entry e = {0};
    struct name name;

    client_begin(k);
    enum rc rc = client_name(k, "service", service, &name);
    if (rc == RC_OK)
        rc = client_ticket(k, &name, &e);
    if (rc == RC_OK)
        show(k, &e, ret);
    return client_end(k, rc);
}

void kerb_ticket_wipe(struct kerb_ticket *ticket)
{
    wipe(ticket, sizeof *ticket);
}
