/* Requests and replies of the sealed profile over HTTP, read strictly. */
#include "shared/ticket/sealed.h"

#include <string.h>

#include "shared/base/base64.h"

#define REPLY_FRAME 32 /* bytes of {"v":1,"reply":""} */

bool sealed_claims(const json_t *request)
{
    return json_object_get(request, "v") != NULL;
}

enum rc sealed_version(const json_t *request)
{
    int64_t v;

    TRY(json_get_int(request, "v", &v));
    return v == 1 ? RC_OK : RC_MALFORMED;
}

enum rc sealed_text(const json_t *object, const char *name, size_t max, struct slice *ret)
{
    struct slice text;

    TRY(json_get_text(object, name, &text));
    if (text.n > max)
        return RC_MALFORMED;
    *ret = text;
    return RC_OK;
}

enum rc sealed_bytes(const json_t *object, const char *name, uint8_t *ret, size_t n)
{
    struct slice text;

    TRY(sealed_text(object, name, SEALED_TEXT_MAX, &text));
    return base64url_decode_exact(text, ret, n);
}

enum rc sealed_body(const json_t *request, struct slice *ret_text, json_t **ret_body)
{
    AUTO(buf_done) struct buf plain = {0};
    struct slice text;

    TRY(sealed_text(request, "body", SEALED_TEXT_MAX, &text));
    TRY(base64url_decode(text, &plain));
    TRY(json_parse_object(buf_slice(&plain), JSON_DEPTH_HTTP, ret_body));
    *ret_text = text;
    return RC_OK;
}

static enum rc open_object(const struct envelope_key *key, const struct envelope_aad *aad, struct slice text,
                           json_t **ret)
{
    AUTO(buf_done) struct buf envelope = {0}, plain = {0};

    TRY(base64url_decode(text, &envelope));
    TRY(envelope_open(key, aad, buf_slice(&envelope), &plain));
    return json_parse_object(buf_slice(&plain), JSON_DEPTH_HTTP, ret);
}

enum rc sealed_open_under(const struct envelope_key *key, const struct envelope_aad *aad, struct slice text,
                          json_t **ret)
{
    enum rc rc = open_object(key, aad, text, ret);
    return rc == RC_MALFORMED ? RC_MODIFIED : rc;
}

enum rc sealed_open(const struct key *key, enum label label, const struct envelope_aad *aad, struct slice text,
                    json_t **ret)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};

    TRY(envelope_derive(key, label, &derived));
    return sealed_open_under(&derived, aad, text, ret);
}

enum rc sealed_reply_under(const struct envelope_key *key, const struct envelope_aad *aad, struct slice plain,
                           struct buf *out)
{
    AUTO(buf_done) struct buf envelope = {0};

    TRY(envelope_seal(key, aad, plain, &envelope));
    TRY(buf_reserve(out, REPLY_FRAME + envelope.n * 4 / 3 + 4));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_base64url(&w, "reply", buf_slice(&envelope));
    jw_close(&w, '}');
    return jw_end(&w);
}

enum rc sealed_reply(const struct key *key, enum label label, const struct envelope_aad *aad, struct slice plain,
                     struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};

    TRY(envelope_derive(key, label, &derived));
    return sealed_reply_under(&derived, aad, plain, out);
}
