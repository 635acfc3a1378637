/* The handle: opened, closed, and how it says what went wrong. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat.h"
#include "client/http.h"
#include "shared/base/base64.h"

#define TRACE_LINE    1024
#define TIMEOUT_S     30
#define TIMEOUT_MAX_S 600

static const char *const status_names[] = {
    [KERB_OK] = "OK",
    [KERB_BAD_ARGUMENT] = "BAD_ARGUMENT",
    [KERB_BAD_CONFIG] = "BAD_CONFIG",
    [KERB_BAD_CACHE] = "BAD_CACHE",
    [KERB_NO_TICKET] = "NO_TICKET",
    [KERB_EXPIRED] = "EXPIRED",
    [KERB_REFUSED] = "REFUSED",
    [KERB_NO_SERVICE] = "NO_SERVICE",
    [KERB_POLICY] = "POLICY",
    [KERB_BUSY] = "BUSY",
    [KERB_UNREACHABLE] = "UNREACHABLE",
    [KERB_UNTRUSTED] = "UNTRUSTED",
    [KERB_SERVER_ERROR] = "SERVER_ERROR",
    [KERB_INTERNAL] = "INTERNAL",
};

const char *kerb_status_name(enum kerb_status status)
{
    return (size_t)status < ARRAY_LEN(status_names) ? status_names[status] : "?";
}

/* --- failures and the trace --- */

enum rc client_fail(struct kerb *k, enum kerb_status status, const char *fmt, ...)
{
    char sentence[TRACE_LINE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    k->status = status;
    buf_reset(&k->error);
    if (buf_text(&k->error, sentence) != RC_OK || !buf_cstr(&k->error))
        buf_done(&k->error);
    return RC_STOPPED;
}

void client_begin(struct kerb *k)
{
    k->status = KERB_OK;
    buf_reset(&k->error);
}

enum kerb_status client_end(struct kerb *k, enum rc rc)
{
    if (rc == RC_OK)
        return KERB_OK;
    if (k->status == KERB_OK)
        (void)client_fail(k, KERB_INTERNAL, "%s", rc_text(rc));
    return k->status;
}

const char *kerb_error(const struct kerb *k)
{
    return !k || (k->status != KERB_OK && !k->error.p) ? "out of memory"
           : k->status == KERB_OK                      ? "success"
                                                       : (const char *)k->error.p;
}

void client_notice(struct kerb *k, const char *fmt, ...)
{
    char sentence[TRACE_LINE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    buf_reset(&k->notice);
    if (buf_text(&k->notice, sentence) != RC_OK || !buf_cstr(&k->notice))
        buf_done(&k->notice);
}

const char *kerb_notice(const struct kerb *k)
{
    return k->notice.n ? (const char *)k->notice.p : "";
}

void client_trace(const struct kerb *k, const char *fmt, ...)
{
    char line[TRACE_LINE];
    va_list ap;

    if (!k->trace)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    k->trace(k->trace_ctx, line);
}

/* --- life --- */

static enum rc setup(struct kerb *k, const struct kerb_options *o)
{
    TRY(crypto_setup());
    json_setup();
    k->no_cache = o->no_cache;
    k->timeout_s = o->timeout_s ? o->timeout_s : TIMEOUT_S;
    k->trace = o->trace;
    k->trace_ctx = o->trace_ctx;
    if (k->timeout_s > TIMEOUT_MAX_S)
        return client_fail(k, KERB_BAD_ARGUMENT, "a request may take %d seconds at most", TIMEOUT_MAX_S);
    TRY(client_discover(k, o));
    if (!k->no_cache)
        TRY(cache_path(o->cache, &k->cache_path));
    TRY(http_open(k->ca_file, k->timeout_s, &k->http));
    k->transport = (struct transport){http_post, k->http};
    k->vault_store = chat_vault_store();
    return RC_OK;
}

enum kerb_status kerb_open(const struct kerb_options *options, struct kerb **ret)
{
    static const struct kerb_options none;
    struct kerb *k = calloc(1, sizeof *k);

    *ret = k;
    if (!k)
        return KERB_INTERNAL;
    return client_end(k, setup(k, options ? options : &none));
}

void kerb_close(struct kerb *k)
{
    if (!k)
        return;
    http_close(k->http);
    cache_done(&k->cache);
    buf_done(&k->cache_path);
    buf_done(&k->url);
    buf_done(&k->error);
    buf_done(&k->notice);
    wipe(k, sizeof *k);
    free(k);
}

/* --- what it knows --- */

const char *kerb_client(const struct kerb *k)
{
    return k->cache.client.s;
}

const char *kerb_realm(const struct kerb *k)
{
    return k->realm.s;
}

const char *kerb_url(const struct kerb *k)
{
    return k->url.p ? (const char *)k->url.p : "";
}

const char *kerb_cache_path(const struct kerb *k)
{
    return k->cache_path.p ? (const char *)k->cache_path.p : "";
}

int64_t client_now(const struct kerb *k)
{
    return clock_s() + (k->cache.n ? k->cache.offset_s : 0);
}

int64_t kerb_now(const struct kerb *k)
{
    return client_now(k);
}

void kerb_free(char *text)
{
    str_done(&text);
}

enum rc client_url(const struct kerb *k, const char *path, struct buf *ret)
{
    TRY(buf_printf(ret, "%s%s", kerb_url(k), path));
    return buf_cstr(ret) ? RC_OK : RC_NO_MEMORY;
}

enum rc client_name(struct kerb *k, const char *what, const char *text, struct name *ret)
{
    if (text && name_parse(slice_text(text), ret) == RC_OK)
        return RC_OK;
    return client_fail(k, KERB_BAD_ARGUMENT,
                       "the %s is not a name: 1 to 64 characters, no control characters, no space at an end", what);
}

/* --- the cache --- */

static enum rc tell_cache(struct kerb *k, enum rc rc)
{
    const char *path = kerb_cache_path(k);

    if (rc == RC_NOT_FOUND)
        return client_fail(k, KERB_NO_TICKET, "nobody is logged in: kerb login");
    if (rc == RC_UNSAFE_FILE)
        return client_fail(k, KERB_BAD_CACHE,
                           "%s: not a file and a directory of yours alone; look who made it, then remove it", path);
    if (rc == RC_MALFORMED || rc == RC_LIMIT)
        return client_fail(k, KERB_BAD_CACHE, "%s: damaged, or of another program; 'kerb logout' removes it", path);
    return client_fail(k, KERB_BAD_CACHE, "%s: cannot be read or written", path);
}

/* The file's realm must be the one that is meant; where none is named, it is the file's. */
static enum rc adopt(struct kerb *k)
{
    if (k->realm.n && !slice_eq(name_slice(&k->realm), name_slice(&k->cache.realm))) {
        enum rc rc = client_fail(k, KERB_NO_TICKET, "the tickets are for %s, not for %s: kerb login", k->cache.realm.s,
                                 k->realm.s);
        cache_done(&k->cache);
        return rc;
    }
    k->realm = k->cache.realm;
    if (k->url.n || !k->cache.url.n)
        return RC_OK;
    const char *url = buf_cstr(&k->cache.url);
    return url ? client_take_url(k, url) : RC_NO_MEMORY;
}

enum rc client_load(struct kerb *k)
{
    if (k->cache.n)
        return RC_OK;
    if (k->no_cache)
        return client_fail(k, KERB_NO_TICKET, "nobody is logged in");
    enum rc rc = cache_load(kerb_cache_path(k), &k->cache);
    return rc == RC_OK ? adopt(k) : tell_cache(k, rc);
}

enum rc client_save(struct kerb *k, struct slice with_tgt)
{
    if (k->no_cache)
        return RC_OK;
    enum rc rc = cache_save(kerb_cache_path(k), &k->cache, with_tgt);
    return rc == RC_OK ? RC_OK : tell_cache(k, rc == RC_UNSAFE_FILE ? rc : RC_IO);
}

enum rc client_tgt(struct kerb *k, const struct cache_entry **ret)
{
    TRY(client_load(k));
    if (k->cache.entries[0].end <= client_now(k))
        return client_fail(k, KERB_EXPIRED, "the login of %s is over: kerb login", k->cache.client.s);
    *ret = &k->cache.entries[0];
    return RC_OK;
}

enum kerb_status kerb_load(struct kerb *k)
{
    client_begin(k);
    return client_end(k, client_load(k));
}

unsigned client_kvno(const struct cache_entry *e)
{
    AUTO(buf_done) struct buf envelope = {0};
    uint32_t kvno = 0;

    if (base64url_decode(buf_slice(&e->ticket), &envelope) != RC_OK ||
        envelope_kvno(buf_slice(&envelope), &kvno) != RC_OK)
        return 0;
    return kvno;
}

bool kerb_entry_at(const struct kerb *k, size_t i, struct kerb_entry *ret)
{
    if (i >= k->cache.n)
        return false;
    const struct cache_entry *e = &k->cache.entries[i];
    *ret = (struct kerb_entry){.service = e->server.s,
                               .is_tgt = i == 0,
                               .kvno = client_kvno(e),
                               .ticket_len = e->ticket.n,
                               .auth_time = e->auth_time,
                               .start = e->start,
                               .end = e->end,
                               .renew_till = e->renew_till};
    return true;
}

enum kerb_status kerb_logout(struct kerb *k)
{
    client_begin(k);
    cache_done(&k->cache);
    if (k->no_cache)
        return KERB_OK;
    enum rc rc = cache_wipe(kerb_cache_path(k));
    return client_end(k, rc == RC_OK ? RC_OK : tell_cache(k, rc));
}
