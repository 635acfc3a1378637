/* Requests, answers and items of the feed as texts. */
#include "shared/service/feed_wire.h"

#include <string.h>

#include "shared/base/base64.h"

static const char *const kind_names[FEED_KINDS] = {
    [FEED_EPOCH] = "epoch",       [FEED_KICK] = "kick",     [FEED_NOTICE] = "notice", [FEED_DRAIN] = "drain",
    [FEED_SHUTDOWN] = "shutdown", [FEED_ROTATE] = "rotate", [FEED_UNLOCK] = "unlock",
};

const char *feed_kind_name(enum feed_kind kind)
{
    return (size_t)kind < FEED_KINDS ? kind_names[kind] : "?";
}

/* --- envelopes: bound to the reader and to the number that stands beside them --- */

static enum rc seal(const struct key *key, const struct name *realm, const struct name *reader, int64_t number,
                    struct slice plain, struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};
    uint8_t context[8];

    put_u64be(context, (uint64_t)number);
    struct envelope_aad aad = {.realm = name_slice(realm), .server = name_slice(reader), .context = SLICE(context)};
    TRY(envelope_derive(key, LABEL_EPOCHS, &derived));
    return envelope_seal(&derived, &aad, plain, out);
}

static enum rc unseal(const struct key *key, const struct name *realm, const struct name *reader, int64_t number,
                      struct slice envelope, json_t **ret)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};
    AUTO(buf_done) struct buf plain = {0};
    uint8_t context[8];

    put_u64be(context, (uint64_t)number);
    struct envelope_aad aad = {.realm = name_slice(realm), .server = name_slice(reader), .context = SLICE(context)};
    TRY(envelope_derive(key, LABEL_EPOCHS, &derived));
    TRY(envelope_open(&derived, &aad, envelope, &plain));
    return json_parse_object(buf_slice(&plain), JSON_DEPTH_HTTP, ret);
}

static enum rc get_bytes(const json_t *object, const char *name, uint8_t *ret, size_t n)
{
    struct slice text;

    TRY(json_get_text(object, name, &text));
    return base64url_decode_exact(text, ret, n);
}

/* A number that counts: never negative. */
static enum rc get_count(const json_t *object, const char *name, int64_t *ret)
{
    TRY(json_get_int(object, name, ret));
    return *ret >= 0 ? RC_OK : RC_MALFORMED;
}

/* {"v":1, number_name: number, "feed": E} read as far as it is in clear. */
static enum rc read_outer(struct slice text, const char *number_name, json_t **ret, int64_t *ret_number,
                          struct buf *ret_envelope)
{
    struct slice feed;
    int64_t v;

    TRY(json_parse_object(text, JSON_DEPTH_HTTP, ret));
    TRY(json_get_int(*ret, "v", &v));
    if (v != 1)
        return RC_MALFORMED;
    TRY(get_count(*ret, number_name, ret_number));
    TRY(json_get_text(*ret, "feed", &feed));
    return base64url_decode(feed, ret_envelope);
}

/* --- the request --- */

enum rc feed_request_write(const struct key *key, const struct name *realm, const struct feed_request *r,
                           struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, envelope = {0};

    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_int(&w, "after", r->after);
    jw_base64url(&w, "nonce", SLICE(r->nonce));
    jw_bool(&w, "wait", r->wait);
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(seal(key, realm, &r->reader, r->after, buf_slice(&plain), &envelope));
    w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "service", name_slice(&r->reader));
    jw_int(&w, "after", r->after);
    jw_base64url(&w, "feed", buf_slice(&envelope));
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc read_request(const json_t *inner, struct feed_request *r)
{
    const json_t *wait = json_object_get(inner, "wait");
    int64_t after;

    TRY(get_count(inner, "after", &after));
    TRY(get_bytes(inner, "nonce", r->nonce, FEED_NONCE));
    if (!json_is_boolean(wait) || after != r->after)
        return RC_MALFORMED;
    r->wait = json_is_true(wait);
    return RC_OK;
}

enum rc feed_request_read(struct slice text, const struct name *realm,
                          enum rc (*key_of)(void *ctx, const struct name *reader, uint32_t kvno, struct key *ret),
                          void *ctx, struct feed_request *ret, struct key *ret_key)
{
    AUTO(json_done) json_t *outer = NULL, *inner = NULL;
    AUTO(buf_done) struct buf envelope = {0};
    struct feed_request r = {0};
    struct slice reader;
    uint32_t kvno;

    TRY(read_outer(text, "after", &outer, &r.after, &envelope));
    TRY(json_get_text(outer, "service", &reader));
    TRY(name_parse(reader, &r.reader));
    TRY(envelope_kvno(buf_slice(&envelope), &kvno));
    TRY(key_of(ctx, &r.reader, kvno, ret_key));
    TRY(unseal(ret_key, realm, &r.reader, r.after, buf_slice(&envelope), &inner));
    TRY(read_request(inner, &r));
    *ret = r;
    return RC_OK;
}

/* --- items --- */

void feed_out_start(struct feed_out *out)
{
    *out = (struct feed_out){0};
}

void feed_out_done(struct feed_out *out)
{
    buf_done(&out->items);
}

enum rc feed_put(struct feed_out *out, const struct feed_item *item)
{
    if (item->text.n > FEED_TEXT_MAX || out->n == FEED_ITEMS_MAX)
        return RC_LIMIT;
    struct jw w = jw_start(&out->items);
    w.comma = out->n > 0;
    jw_open(&w, NULL, '{');
    jw_int(&w, "seq", item->seq);
    jw_text(&w, "kind", slice_text(feed_kind_name(item->kind)));
    if (item->kind == FEED_EPOCH || item->kind == FEED_KICK)
        jw_base64url(&w, "client_id", SLICE(item->client_id));
    if (item->kind == FEED_EPOCH)
        jw_int(&w, "epoch", item->epoch);
    if (item->kind == FEED_NOTICE)
        jw_text(&w, "text", item->text);
    if (item->kind == FEED_DRAIN || item->kind == FEED_SHUTDOWN)
        jw_text(&w, "daemon", item->text);
    if (item->kind == FEED_ROTATE)
        jw_text(&w, "service", item->text);
    if (item->key.n) {
        jw_int(&w, "kvno", item->key.kvno);
        jw_int(&w, "valid_from", item->key.valid_from);
        jw_base64url(&w, "key", key_slice(&item->key));
    }
    jw_close(&w, '}');
    out->n++;
    return jw_end(&w);
}

static enum rc read_key(const json_t *j, struct key *ret)
{
    int64_t kvno;

    if (!json_object_get(j, "key"))
        return RC_OK;
    TRY(get_count(j, "kvno", &kvno));
    TRY(get_count(j, "valid_from", &ret->valid_from));
    TRY(get_bytes(j, "key", ret->bytes, etype_key_len(ETYPE_AES128_CBC_HS256)));
    if (kvno < 1 || kvno > UINT32_MAX)
        return RC_MALFORMED;
    ret->etype = ETYPE_AES128_CBC_HS256;
    ret->kvno = (uint32_t)kvno;
    ret->n = (uint8_t)etype_key_len(ETYPE_AES128_CBC_HS256);
    return RC_OK;
}

static enum rc read_text(const json_t *j, const char *name, struct slice *ret)
{
    TRY(json_get_text(j, name, ret));
    return ret->n <= FEED_TEXT_MAX ? RC_OK : RC_MALFORMED;
}

static enum rc read_epoch(const json_t *j, uint32_t *ret)
{
    int64_t epoch;

    TRY(get_count(j, "epoch", &epoch));
    if (epoch > UINT32_MAX)
        return RC_MALFORMED;
    *ret = (uint32_t)epoch;
    return RC_OK;
}

static enum rc read_item(const json_t *j, struct feed_item *ret)
{
    struct slice kind;

    TRY(get_count(j, "seq", &ret->seq));
    TRY(json_get_text(j, "kind", &kind));
    for (ret->kind = 0; ret->kind < FEED_KINDS; ret->kind++)
        if (slice_eq(kind, slice_text(kind_names[ret->kind])))
            break;
    switch (ret->kind) {
    case FEED_EPOCH:
        TRY(read_epoch(j, &ret->epoch));
        return get_bytes(j, "client_id", ret->client_id, ID_LEN);
    case FEED_KICK:
        return get_bytes(j, "client_id", ret->client_id, ID_LEN);
    case FEED_NOTICE:
        return read_text(j, "text", &ret->text);
    case FEED_DRAIN:
    case FEED_SHUTDOWN:
        return read_text(j, "daemon", &ret->text);
    case FEED_ROTATE:
        TRY(read_text(j, "service", &ret->text));
        return read_key(j, &ret->key);
    case FEED_KINDS:
    default:
        return RC_MALFORMED; /* a newer teller: better not to go on than to miss a change */
    }
}

/* --- the answer --- */

enum rc feed_answer_write(const struct key *key, const struct name *realm, const struct feed_request *r,
                          struct feed_out *items, int64_t seq, struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, envelope = {0}, array = {0};

    TRY(buf_byte(&array, '['));
    TRY(buf_add(&array, buf_slice(&items->items)));
    TRY(buf_byte(&array, ']'));
    struct jw w = jw_start(&plain);
    jw_open(&w, NULL, '{');
    jw_base64url(&w, "nonce", SLICE(r->nonce));
    jw_raw(&w, "items", buf_slice(&array));
    jw_int(&w, "seq", seq);
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(seal(key, realm, &r->reader, seq, buf_slice(&plain), &envelope));
    w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_int(&w, "seq", seq);
    jw_base64url(&w, "feed", buf_slice(&envelope));
    jw_close(&w, '}');
    return jw_end(&w);
}

void feed_answer_done(struct feed_answer *a)
{
    json_done(&a->json);
    wipe(a->items, sizeof a->items); /* keys */
    a->n = 0;
}

static enum rc read_answer(const struct feed_request *r, struct feed_answer *a)
{
    const json_t *items = json_object_get(a->json, "items"), *item;
    uint8_t nonce[FEED_NONCE];
    int64_t seq;
    size_t i;

    TRY(get_bytes(a->json, "nonce", nonce, FEED_NONCE));
    TRY(get_count(a->json, "seq", &seq));
    if (memcmp(nonce, r->nonce, FEED_NONCE) != 0)
        return RC_MODIFIED;
    if (!json_is_array(items) || json_array_size(items) > FEED_ITEMS_MAX || seq != a->seq)
        return RC_MALFORMED;
    json_array_foreach (items, i, item)
        TRY(read_item(item, &a->items[i]));
    a->n = json_array_size(items);
    return RC_OK;
}

enum rc feed_answer_read(struct slice text, const struct key *key, const struct name *realm,
                         const struct feed_request *r, struct feed_answer *ret)
{
    AUTO(json_done) json_t *outer = NULL;
    AUTO(buf_done) struct buf envelope = {0};

    TRY(read_outer(text, "seq", &outer, &ret->seq, &envelope));
    TRY(unseal(key, realm, &r->reader, ret->seq, buf_slice(&envelope), &ret->json));
    return read_answer(r, ret);
}
