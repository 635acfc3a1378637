/* The vault's key: made, wrapped, opened; items sealed under it. */
#include "client/vault.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/crypto/userkey.h"

#define VERSION        1
#define CONTEXT_OF_KEY "key"

/* --- the wrapping key --- */

static enum rc wrapping_key(const struct kerb *k, struct slice password, const struct userkey_params *p,
                            struct key *ret)
{
    AUTO(buf_done) struct buf nfc = {0}, salt = {0};

    if (password.n == 0 || password.n > PASSWORD_MAX)
        return RC_MALFORMED;
    TRY(text_nfc(password, &nfc));
    TRY(buf_text(&salt, "kerb1 vault"));
    TRY(buf_byte(&salt, 0));
    TRY(buf_lp(&salt, name_slice(&k->cache.realm)));
    TRY(buf_lp(&salt, name_slice(&k->cache.client)));
    TRY(buf_add(&salt, SLICE(p->salt)));
    *ret = (struct key){.etype = ETYPE_AES128_CBC_HS256, .n = AEAD_KEY};
    return pbkdf2_sha256(buf_slice(&nfc), buf_slice(&salt), p->iterations, ret->bytes, ret->n);
}

static struct envelope_aad aad_of(const struct kerb *k, struct slice context)
{
    return (struct envelope_aad){.realm = name_slice(&k->cache.realm),
                                 .client = name_slice(&k->cache.client),
                                 .server = slice_text(VAULT_SERVER),
                                 .context = context};
}

static enum rc seal(const struct kerb *k, const struct key *key, struct slice context, struct slice plain,
                    struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};
    AUTO(buf_done) struct buf envelope = {0};
    struct envelope_aad aad = aad_of(k, context);

    TRY(envelope_derive(key, LABEL_VAULT, &derived));
    TRY(envelope_seal(&derived, &aad, plain, &envelope));
    return base64url_encode(buf_slice(&envelope), out);
}

static enum rc open_text(const struct kerb *k, const struct key *key, struct slice context, struct slice text,
                         struct buf *ret)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};
    AUTO(buf_done) struct buf envelope = {0};
    struct envelope_aad aad = aad_of(k, context);

    TRY(envelope_derive(key, LABEL_VAULT, &derived));
    if (base64url_decode(text, &envelope) != RC_OK)
        return RC_MODIFIED;
    return envelope_open(&derived, &aad, buf_slice(&envelope), ret);
}

/* --- the record --- */

static enum rc write_record(const struct userkey_params *p, struct slice wrapped, struct buf *out)
{
    struct jw w = jw_start(out);

    jw_open(&w, NULL, '{');
    jw_int(&w, "v", VERSION);
    jw_base64url(&w, "salt", SLICE(p->salt));
    jw_int(&w, "iterations", p->iterations);
    jw_text(&w, "key", wrapped);
    jw_close(&w, '}');
    return jw_end(&w);
}

enum rc vault_rewrap(struct kerb *k, struct slice password, struct cache_vault *vault)
{
    AUTO(key_done) struct key wrapping = {0};
    AUTO(buf_done) struct buf wrapped = {0}, record = {0};
    struct userkey_params p;

    TRY(userkey_params_make(USERKEY_ITERATIONS, &p));
    TRY(wrapping_key(k, password, &p, &wrapping));
    TRY(seal(k, &wrapping, slice_text(CONTEXT_OF_KEY), key_slice(&vault->key), &wrapped));
    TRY(write_record(&p, buf_slice(&wrapped), &record));
    buf_done(&vault->record);
    vault->record = buf_take(&record);
    vault->is_saved = false;
    vault->has = true;
    return RC_OK;
}

enum rc vault_make(struct kerb *k, struct slice password, struct cache_vault *ret)
{
    AUTO(cache_vault_done) struct cache_vault v = {0};

    TRY(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &v.key));
    TRY(vault_rewrap(k, password, &v));
    cache_vault_done(ret);
    *ret = v;
    wipe(&v, sizeof v);
    return RC_OK;
}

static enum rc read_record(struct slice record, struct userkey_params *p, json_t **ret, struct slice *ret_wrapped)
{
    int64_t iterations;

    if (record.n > CACHE_RECORD_MAX)
        return RC_MALFORMED;
    TRY(json_parse_object(record, JSON_DEPTH_HTTP, ret));
    TRY(sealed_version(*ret));
    TRY(sealed_bytes(*ret, "salt", p->salt, sizeof p->salt));
    TRY(json_get_int(*ret, "iterations", &iterations));
    if (iterations < USERKEY_ITERATIONS_MIN || iterations > USERKEY_ITERATIONS_MAX)
        return RC_MALFORMED;
    p->iterations = (uint32_t)iterations;
    return sealed_text(*ret, "key", CACHE_RECORD_MAX, ret_wrapped);
}

enum rc vault_open(struct kerb *k, struct slice record, struct slice password, struct cache_vault *ret)
{
    AUTO(cache_vault_done) struct cache_vault v = {.has = true, .is_saved = true};
    AUTO(key_done) struct key wrapping = {0};
    AUTO(buf_done) struct buf plain = {0};
    AUTO(json_done) json_t *j = NULL;
    struct userkey_params p;
    struct slice wrapped;

    if (read_record(record, &p, &j, &wrapped) != RC_OK)
        return client_fail(k, KERB_UNTRUSTED, "the record of your vault on the server is damaged");
    TRY(wrapping_key(k, password, &p, &wrapping));
    enum rc rc = open_text(k, &wrapping, slice_text(CONTEXT_OF_KEY), wrapped, &plain);
    if (rc == RC_MODIFIED || (rc == RC_OK && plain.n != AEAD_KEY))
        return client_fail(k, KERB_REFUSED, "your vault does not open with this password");
    TRY(rc);
    v.key = (struct key){.etype = ETYPE_AES128_CBC_HS256, .n = AEAD_KEY};
    memcpy(v.key.bytes, plain.p, AEAD_KEY);
    TRY(buf_add(&v.record, record));
    cache_vault_done(ret);
    *ret = v;
    wipe(&v, sizeof v);
    return RC_OK;
}

/* --- items --- */

static enum rc item_context(const char *name, struct buf *out)
{
    return buf_printf(out, "item %s", name);
}

enum rc vault_seal_item(const struct kerb *k, const char *name, struct slice plain, struct buf *out)
{
    AUTO(buf_done) struct buf context = {0};

    if (!k->cache.vault.has)
        return RC_NOT_FOUND;
    TRY(item_context(name, &context));
    return seal(k, &k->cache.vault.key, buf_slice(&context), plain, out);
}

enum rc vault_open_item(const struct kerb *k, const char *name, struct slice text, struct buf *ret)
{
    AUTO(buf_done) struct buf context = {0};

    if (!k->cache.vault.has)
        return RC_NOT_FOUND;
    TRY(item_context(name, &context));
    return open_text(k, &k->cache.vault.key, buf_slice(&context), text, ret);
}

/* --- with the server --- */

enum rc vault_save(struct kerb *k)
{
    struct cache_vault *v = &k->cache.vault;

    if (!v->has || !k->vault_store.put)
        return RC_NOT_FOUND;
    TRY(k->vault_store.put(k->vault_store.ctx, k, buf_slice(&v->record)));
    v->is_saved = true;
    return RC_OK;
}

enum rc vault_fetch(struct kerb *k, struct slice password)
{
    AUTO(buf_done) struct buf record = {0};

    if (k->cache.vault.has)
        return RC_OK;
    if (!k->vault_store.get)
        return RC_NOT_FOUND;
    TRY(k->vault_store.get(k->vault_store.ctx, k, &record));
    return vault_open(k, buf_slice(&record), password, &k->cache.vault);
}

/* The key is here, but the server's record may be of before a reset of the password: then it is wrapped anew. */
static enum rc check_wrapping(struct kerb *k, struct slice password)
{
    AUTO(cache_vault_done) struct cache_vault opened = {0};
    AUTO(buf_done) struct buf record = {0};

    TRY(buf_add(&record, buf_slice(&k->cache.vault.record)));
    if (vault_open(k, buf_slice(&record), password, &opened) == RC_OK)
        return RC_OK;
    client_begin(k);
    return vault_rewrap(k, password, &k->cache.vault);
}

static enum rc fetch_or_make(struct kerb *k, struct slice password)
{
    enum rc rc = k->cache.vault.has ? check_wrapping(k, password) : vault_fetch(k, password);

    if (rc == RC_NOT_FOUND)
        rc = vault_make(k, password, &k->cache.vault);
    TRY(rc);
    return k->cache.vault.is_saved ? RC_OK : vault_save(k);
}

void vault_after_login(struct kerb *k, struct slice password)
{
    if (!k->vault_store.get || fetch_or_make(k, password) == RC_OK)
        return;
    if (k->status == KERB_REFUSED) /* the record is of before a change of password that could not reach the chat */
        client_notice(k, "the shares that you saved are under an earlier password of yours");
    client_begin(k);
}
