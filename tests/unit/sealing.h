/* Sealed requests as clients and attackers make them. */
#ifndef KERB_TESTS_SEALING_H
#define KERB_TESTS_SEALING_H

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "shared/crypto/envelope.h"
#include "tests/unit/unit.h"

/* What an envelope is bound to, as texts. */
struct bound {
    const char *realm, *client, *server;
    struct slice context;
};

static inline struct envelope_aad bound_aad(const struct bound *b)
{
    return (struct envelope_aad){slice_text(b->realm), slice_text(b->client), slice_text(b->server), b->context};
}

/* Appends the envelope of a text, as base64url. */
static inline void seal_text(const struct key *key, enum label label, const struct bound *b, const char *plain,
                             struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key k = {0};
    AUTO(buf_done) struct buf raw = {0};
    struct envelope_aad aad = bound_aad(b);

    assert_ok(envelope_derive(key, label, &k));
    assert_ok(envelope_seal(&k, &aad, slice_text(plain), &raw));
    assert_ok(base64url_encode(buf_slice(&raw), out));
}

static inline enum rc unseal_text(const struct key *key, enum label label, const struct bound *b, struct slice text,
                                  json_t **ret)
{
    AUTO(envelope_key_done) struct envelope_key k = {0};
    AUTO(buf_done) struct buf raw = {0}, plain = {0};
    struct envelope_aad aad = bound_aad(b);

    assert_ok(envelope_derive(key, label, &k));
    assert_ok(base64url_decode(text, &raw));
    TRY(envelope_open(&k, &aad, buf_slice(&raw), &plain));
    return json_parse_object(buf_slice(&plain), JSON_DEPTH_HTTP, ret);
}

/* SHA-256 of each text, joined. */
static inline void context_of(struct buf *out, const struct buf *a, const struct buf *b, const struct buf *c)
{
    const struct buf *all[] = {a, b, c};
    uint8_t digest[SHA256_LEN];

    for (size_t i = 0; i < ARRAY_LEN(all) && all[i]; i++) {
        assert_ok(sha256(buf_slice(all[i]), digest));
        assert_ok(buf_add(out, SLICE(digest)));
    }
}

/* The envelope in the member `reply` of an answer, opened. */
static inline enum rc open_reply(const struct key *key, enum label label, const struct bound *b, struct slice answer,
                                 json_t **ret)
{
    AUTO(json_done) json_t *outer = NULL;
    struct slice text;
    int64_t v;

    assert_ok(json_parse_object(answer, JSON_DEPTH_HTTP, &outer));
    assert_ok(json_get_int(outer, "v", &v));
    assert_int_equal(v, 1);
    assert_int_equal(json_object_size(outer), 2);
    assert_ok(json_get_text(outer, "reply", &text));
    return unseal_text(key, label, b, text, ret);
}

#endif
