/*
 * What the chat keeps for its user by save_data: the record of the vault, and the shares, each an item of the vault.
 *
 *   "kerb.vault"                  the record (client/vault.h), as text
 *   "kerb.share." b64url(H[0..16))  H = SHA-256(room id); item of the same name: {"room","share"}
 *
 * A share's way: written to the private file as soon as its message is opened, sent to the vault, dropped from the file
 * when the server says that it is saved. Without a vault key it stays in the file.
 */
#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat.h"
#include "client/own_shares.h"
#include "client/vault.h"
#include "shared/base/base64.h"

#define RECORD_KEY "kerb.vault"
#define SHARE_KEY  "kerb.share."
#define DIGEST_USE 16

struct saving {
    LIST_ENTRY(saving) of_keeper;
    uint64_t id;
    struct buf room, share;
};

struct chat_keeper {
    struct own_shares *shares;
    LIST_HEAD(, saving) savings;
};

enum rc keeper_new(struct kerb *k, struct chat_keeper **ret)
{
    struct chat_keeper *x = calloc(1, sizeof *x);

    if (!x)
        return RC_NO_MEMORY;
    enum rc rc = own_shares_load(k, &x->shares);
    if (rc != RC_OK) {
        free(x);
        return rc;
    }
    *ret = x;
    return RC_OK;
}

static void saving_free(struct saving *s)
{
    LIST_REMOVE(s, of_keeper);
    buf_done(&s->room);
    buf_done(&s->share);
    free(s);
}

static void forget_savings(struct chat_keeper *x)
{
    while (!LIST_EMPTY(&x->savings))
        saving_free(LIST_FIRST(&x->savings));
}

void keeper_free(struct chat_keeper *x)
{
    if (!x)
        return;
    forget_savings(x);
    own_shares_free(x->shares);
    free(x);
}

bool keeper_is_busy(const struct chat_keeper *x)
{
    return x && !LIST_EMPTY(&x->savings);
}

/* --- a share goes to the vault --- */

static enum rc share_key(struct slice room, struct buf *ret)
{
    uint8_t digest[SHA256_LEN];

    TRY(sha256(room, digest));
    TRY(buf_text(ret, SHARE_KEY));
    TRY(base64url_encode(slice_of(digest, DIGEST_USE), ret));
    return buf_cstr(ret) ? RC_OK : RC_NO_MEMORY;
}

static enum rc write_item(const struct kerb *k, const char *key, struct slice room, struct slice share, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0};

    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_text(&w, "room", room);
    jw_text(&w, "share", share);
    jw_close(&w, '}');
    TRY(jw_end(&w));
    return vault_seal_item(k, key, buf_slice(&plain), out);
}

static json_t *save_request(const char *key, struct slice data)
{
    return json_pack("{s:s, s:s, s:s%}", "type", "save_data", "key", key, "data", (const char *)data.p, data.n);
}

static enum rc remember(struct chat_keeper *x, uint64_t id, struct slice room, struct slice share)
{
    struct saving *s = calloc(1, sizeof *s);

    if (!s)
        return RC_NO_MEMORY;
    s->id = id;
    LIST_INSERT_HEAD(&x->savings, s, of_keeper);
    TRY(buf_add(&s->room, room));
    return buf_add(&s->share, share);
}

static enum rc save_share(struct kerb_chat *c, struct chat_keeper *x, struct slice room, struct slice share)
{
    AUTO(buf_done) struct buf key = {0}, item = {0};
    AUTO(json_done) json_t *request = NULL;
    uint64_t id;

    TRY(share_key(room, &key));
    TRY(write_item(chat_handle(c), (const char *)key.p, room, share, &item));
    request = save_request((const char *)key.p, buf_slice(&item));
    if (!request)
        return RC_NO_MEMORY;
    TRY(chat_send(c, request, &id));
    return remember(x, id, room, share);
}

static void tell_room(struct kerb_chat *c, enum kerb_chat_event event, struct slice room)
{
    AUTO(str_done) char *text = slice_dup(room);
    chat_tell(c, event, text ? text : "");
}

static void keep(struct kerb_chat *c, struct chat_keeper *x, struct slice room, struct slice share)
{
    bool is_here = own_shares_put(x->shares, room, share) == RC_OK;

    if (save_share(c, x, room, share) != RC_OK && is_here)
        tell_room(c, KERB_CHAT_KEPT_HERE, room);
}

void keeper_saw(struct kerb_chat *c, struct chat_keeper *x, const json_t *message)
{
    struct slice type, room, share;

    if (json_get_text(message, "type", &type) == RC_OK && slice_eq(type, slice_text("new_room")) &&
        json_get_text(message, "secret", &share) == RC_OK && share.n &&
        json_get_text(json_object_get(message, "room"), "room", &room) == RC_OK)
        keep(c, x, room, share);
}

void keeper_login(struct kerb_chat *c, struct chat_keeper *x)
{
    struct slice room, share;

    forget_savings(x); /* asked for on a connection that is no more */
    if (!chat_handle(c)->cache.vault.has)
        return;
    for (size_t i = 0; own_shares_at(x->shares, i, &room, &share); i++)
        if (save_share(c, x, room, share) != RC_OK)
            break;
}

bool keeper_took(struct kerb_chat *c, struct chat_keeper *x, const json_t *message, uint64_t id)
{
    struct saving *s;
    struct slice type;

    LIST_FOREACH(s, &x->savings, of_keeper)
    if (s->id == id)
        break;
    if (!s)
        return false;
    bool saved = json_get_text(message, "type", &type) == RC_OK && slice_eq(type, slice_text("ack"));
    if (saved && own_shares_drop(x->shares, buf_slice(&s->room), buf_slice(&s->share)) != RC_OK)
        saved = true; /* it is safe; that it also lies here is no harm */
    tell_room(c, saved ? KERB_CHAT_KEPT : KERB_CHAT_KEPT_HERE, buf_slice(&s->room));
    saving_free(s);
    return true;
}

/* --- and comes back --- */

static enum rc get_value(struct kerb_chat *c, const char *key, json_t **ret_reply, struct slice *ret)
{
    AUTO(json_done) json_t *request = json_pack("{s:s, s:s}", "type", "get_data", "key", key);
    struct slice type, name;

    if (!request)
        return RC_NO_MEMORY;
    TRY(chat_call(c, request, ret_reply));
    if (json_get_text(*ret_reply, "type", &type) != RC_OK || !slice_eq(type, slice_text("data")) ||
        json_get_text(*ret_reply, "key", &name) != RC_OK || !slice_eq(name, slice_text(key)) ||
        json_get_text(*ret_reply, "data", ret) != RC_OK)
        return client_fail(chat_handle(c), KERB_SERVER_ERROR, "the chat does not give back what was saved there");
    return ret->n ? RC_OK : RC_NOT_FOUND;
}

static enum rc read_item(struct kerb *k, const char *key, struct slice room, struct slice item, char **ret)
{
    AUTO(buf_done) struct buf plain = {0};
    AUTO(json_done) json_t *j = NULL;
    struct slice named, share;

    if (!k->cache.vault.has)
        return client_fail(k, KERB_NO_TICKET, "your share lies in your vault, which is not open here: kerb login");
    if (vault_open_item(k, key, item, &plain) != RC_OK || json_parse_object(buf_slice(&plain), 2, &j) != RC_OK ||
        json_get_text(j, "room", &named) != RC_OK || !slice_eq(named, room) ||
        json_get_text(j, "share", &share) != RC_OK || share.n > SHARE_TEXT_MAX)
        return client_fail(k, KERB_UNTRUSTED,
                           "your share of this room does not open: it is damaged, or of before a reset of your "
                           "password by an administrator, and then lost");
    *ret = slice_dup(share);
    return *ret ? RC_OK : RC_NO_MEMORY;
}

static enum rc find_share(struct kerb_chat *c, struct slice room, char **ret)
{
    AUTO(json_done) json_t *reply = NULL;
    AUTO(buf_done) struct buf key = {0};
    struct slice here = own_shares_get(chat_keeper(c)->shares, room), item;

    *ret = NULL;
    if (here.n) {
        *ret = slice_dup(here);
        return *ret ? RC_OK : RC_NO_MEMORY;
    }
    TRY(share_key(room, &key));
    enum rc rc = get_value(c, (const char *)key.p, &reply, &item);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    return read_item(chat_handle(c), (const char *)key.p, room, item, ret);
}

enum kerb_status kerb_chat_share(struct kerb_chat *c, const char *room, char **ret_share)
{
    client_begin(chat_handle(c));
    return client_end(chat_handle(c), find_share(c, slice_text(room), ret_share));
}

static enum rc forget_share(struct kerb_chat *c, struct slice room)
{
    AUTO(json_done) json_t *request = NULL, *reply = NULL;
    AUTO(buf_done) struct buf key = {0};

    TRY(own_shares_drop(chat_keeper(c)->shares, room, slice_of(NULL, 0)));
    TRY(share_key(room, &key));
    request = save_request((const char *)key.p, slice_text(""));
    return request ? chat_call(c, request, &reply) : RC_NO_MEMORY;
}

enum kerb_status kerb_chat_forget_share(struct kerb_chat *c, const char *room)
{
    client_begin(chat_handle(c));
    return client_end(chat_handle(c), forget_share(c, slice_text(room)));
}

/* --- the record of the vault --- */

/* A short connection as part of a login; the ticket for it is not kept, unless it was there. */
struct visit {
    struct kerb *k;
    struct kerb_chat *chat;
    bool had_ticket;
};

static void visit_done(struct visit *v)
{
    kerb_chat_close(v->chat);
    if (!v->had_ticket)
        cache_drop(&v->k->cache, slice_text(CHAT_SERVICE));
}

static enum rc visit_start(struct kerb *k, struct visit *v)
{
    static const struct kerb_chat_options once = {.device = "vault", .stay_lost = true};

    *v = (struct visit){.k = k, .had_ticket = cache_find(&k->cache, slice_text(CHAT_SERVICE)) != NULL};
    return chat_open(k, &once, &v->chat);
}

static enum rc get_record(void *ctx, struct kerb *k, struct buf *ret_record)
{
    AUTO(visit_done) struct visit v = {.k = k, .had_ticket = true};
    AUTO(json_done) json_t *reply = NULL;
    struct slice record;

    (void)ctx;
    TRY(visit_start(k, &v));
    TRY(get_value(v.chat, RECORD_KEY, &reply, &record));
    return buf_add(ret_record, record);
}

static enum rc put_record(void *ctx, struct kerb *k, struct slice record)
{
    AUTO(json_done) json_t *request = save_request(RECORD_KEY, record), *reply = NULL;
    AUTO(visit_done) struct visit v = {.k = k, .had_ticket = true};
    struct slice type;

    (void)ctx;
    if (!request)
        return RC_NO_MEMORY;
    TRY(visit_start(k, &v));
    TRY(chat_call(v.chat, request, &reply));
    if (json_get_text(reply, "type", &type) != RC_OK || !slice_eq(type, slice_text("ack")))
        return client_fail(k, KERB_SERVER_ERROR, "the chat does not save the vault's key");
    return RC_OK;
}

struct vault_store chat_vault_store(void)
{
    return (struct vault_store){.get = get_record, .put = put_record};
}
