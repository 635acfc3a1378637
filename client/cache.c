/* The tickets of one user, in memory and as JSON. */
#include "client/cache.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "shared/ticket/sealed.h"
#include "shared/ticket/ticket.h"

#define CACHE_VERSION 1
#define TIME_MAX_S    INT64_C(253402300799) /* the end of the year 9999 */
#define URL_MAX       512

void cache_entry_done(struct cache_entry *e)
{
    buf_done(&e->ticket);
    wipe(e, sizeof *e);
}

void cache_vault_done(struct cache_vault *v)
{
    buf_done(&v->record);
    wipe(v, sizeof *v);
}

void cache_done(struct cache *c)
{
    for (size_t i = 0; i < c->n; i++)
        cache_entry_done(&c->entries[i]);
    cache_vault_done(&c->vault);
    buf_done(&c->url);
    wipe(c, sizeof *c);
}

/* Where a new entry goes: its server's old place, a free one, or that of the one which ends first (never the TGT). */
static size_t place_for(const struct cache *c, const struct name *server)
{
    size_t first = 1;

    for (size_t i = 0; i < c->n; i++)
        if (slice_eq(name_slice(&c->entries[i].server), name_slice(server)))
            return i;
    if (c->n < CACHE_ENTRIES_MAX)
        return c->n;
    for (size_t i = 2; i < c->n; i++)
        if (c->entries[i].end < c->entries[first].end)
            first = i;
    return first;
}

void cache_put(struct cache *c, struct cache_entry *entry)
{
    size_t at = place_for(c, &entry->server);

    if (at == c->n)
        c->n++;
    else
        cache_entry_done(&c->entries[at]);
    c->entries[at] = *entry;
    wipe(entry, sizeof *entry);
}

void cache_drop(struct cache *c, struct slice server)
{
    for (size_t i = 1; i < c->n; i++) {
        if (!slice_eq(name_slice(&c->entries[i].server), server))
            continue;
        cache_entry_done(&c->entries[i]);
        c->entries[i] = c->entries[--c->n];
        wipe(&c->entries[c->n], sizeof c->entries[c->n]);
        return;
    }
}

const struct cache_entry *cache_find(const struct cache *c, struct slice server)
{
    for (size_t i = 0; i < c->n; i++)
        if (slice_eq(name_slice(&c->entries[i].server), server))
            return &c->entries[i];
    return NULL;
}

/* --- writing --- */

static void write_entry(struct jw *w, const struct cache_entry *e)
{
    jw_open(w, NULL, '{');
    jw_text(w, "server", name_slice(&e->server));
    jw_text(w, "ticket", buf_slice(&e->ticket));
    jw_base64url(w, "session_key", key_slice(&e->session));
    jw_int(w, "auth_time", e->auth_time);
    jw_int(w, "start_time", e->start);
    jw_int(w, "end_time", e->end);
    jw_int(w, "renew_till", e->renew_till);
    jw_close(w, '}');
}

static void write_vault(struct jw *w, const struct cache_vault *v)
{
    jw_open(w, "vault", '{');
    jw_base64url(w, "key", key_slice(&v->key));
    jw_text(w, "record", buf_slice(&v->record));
    jw_bool(w, "saved", v->is_saved);
    jw_close(w, '}');
}

enum rc cache_write(const struct cache *c, struct buf *out)
{
    struct jw w = jw_start(out);

    jw_open(&w, NULL, '{');
    jw_int(&w, "kerb_ccache", CACHE_VERSION);
    jw_text(&w, "realm", name_slice(&c->realm));
    jw_text(&w, "client", name_slice(&c->client));
    jw_text(&w, "url", buf_slice(&c->url));
    jw_int(&w, "offset", c->offset_s);
    jw_open(&w, "tickets", '[');
    for (size_t i = 0; i < c->n; i++)
        write_entry(&w, &c->entries[i]);
    jw_close(&w, ']');
    if (c->vault.has)
        write_vault(&w, &c->vault);
    jw_close(&w, '}');
    TRY(jw_end(&w));
    return buf_byte(out, '\n');
}

/* --- reading --- */

/* A name in its one spelling. */
static enum rc read_name(const json_t *j, const char *member, struct name *ret)
{
    struct slice text;

    TRY(sealed_text(j, member, NAME_MAX_BYTES, &text));
    TRY(name_parse(text, ret));
    return slice_eq(text, name_slice(ret)) ? RC_OK : RC_MALFORMED;
}

static enum rc read_time(const json_t *j, const char *member, int64_t *ret)
{
    TRY(json_get_int(j, member, ret));
    return *ret >= 0 && *ret <= TIME_MAX_S ? RC_OK : RC_MALFORMED;
}

static enum rc read_key(const json_t *j, const char *member, struct key *ret)
{
    TRY(sealed_bytes(j, member, ret->bytes, AEAD_KEY));
    ret->etype = ETYPE_AES128_CBC_HS256;
    ret->n = AEAD_KEY;
    return RC_OK;
}

static enum rc read_ticket(const json_t *j, struct buf *ret)
{
    AUTO(buf_done) struct buf envelope = {0};
    struct slice text;
    uint32_t kvno;

    TRY(sealed_text(j, "ticket", TICKET_TEXT_MAX, &text));
    TRY(base64url_decode(text, &envelope));
    if (envelope_kvno(buf_slice(&envelope), &kvno) != RC_OK)
        return RC_MALFORMED;
    return buf_add(ret, text);
}

static enum rc read_entry(const json_t *j, struct cache_entry *e)
{
    if (!json_is_object(j) || json_object_size(j) != 7)
        return RC_MALFORMED;
    TRY(read_name(j, "server", &e->server));
    TRY(read_ticket(j, &e->ticket));
    TRY(read_key(j, "session_key", &e->session));
    TRY(read_time(j, "auth_time", &e->auth_time));
    TRY(read_time(j, "start_time", &e->start));
    TRY(read_time(j, "end_time", &e->end));
    TRY(read_time(j, "renew_till", &e->renew_till));
    return e->start <= e->end ? RC_OK : RC_MALFORMED;
}

static enum rc read_entries(const json_t *list, struct cache *c)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n == 0 || n > CACHE_ENTRIES_MAX)
        return RC_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        TRY(read_entry(json_array_get(list, i), &c->entries[c->n++])); /* counted, so that it is wiped */
        for (size_t k = 0; k < i; k++)
            if (slice_eq(name_slice(&c->entries[k].server), name_slice(&c->entries[i].server)))
                return RC_MALFORMED;
    }
    return RC_OK;
}

static enum rc read_vault(const json_t *j, struct cache_vault *v)
{
    struct slice record;
    const json_t *saved = json_object_get(j, "saved");

    if (!json_is_object(j) || json_object_size(j) != 3 || !json_is_boolean(saved))
        return RC_MALFORMED;
    TRY(read_key(j, "key", &v->key));
    TRY(sealed_text(j, "record", CACHE_RECORD_MAX, &record));
    TRY(buf_add(&v->record, record));
    v->is_saved = json_is_true(saved);
    v->has = true;
    return RC_OK;
}

static enum rc read_all(const json_t *j, struct cache *c)
{
    const json_t *vault = json_object_get(j, "vault");
    struct slice url;
    int64_t version;

    TRY(json_get_int(j, "kerb_ccache", &version));
    if (version != CACHE_VERSION || json_object_size(j) != (vault ? 7 : 6))
        return RC_MALFORMED;
    TRY(read_name(j, "realm", &c->realm));
    TRY(read_name(j, "client", &c->client));
    TRY(sealed_text(j, "url", URL_MAX, &url));
    TRY(buf_add(&c->url, url));
    TRY(json_get_int(j, "offset", &c->offset_s));
    if (c->offset_s > TIME_MAX_S || c->offset_s < -TIME_MAX_S)
        return RC_MALFORMED;
    TRY(read_entries(json_object_get(j, "tickets"), c));
    return vault ? read_vault(vault, &c->vault) : RC_OK;
}

enum rc cache_read(struct slice text, struct cache *ret)
{
    AUTO(cache_done) struct cache c = {0};
    AUTO(json_done) json_t *j = NULL;

    TRY(json_parse_object(text, JSON_DEPTH_HTTP, &j));
    TRY(read_all(j, &c));
    cache_done(ret);
    *ret = c;
    wipe(&c, sizeof c);
    return RC_OK;
}
