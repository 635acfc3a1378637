/* Records of a sealed connection. */
#include "shared/crypto/record.h"

#include <string.h>

#define RECORD_MIN (AES_BLOCK + AES_BLOCK + AEAD_TAG) /* an empty text is one block of padding */

static const uint8_t record_head[ENVELOPE_HEAD] = {1, ETYPE_AES128_CBC_HS256};

void record_stream_done(struct record_stream *s)
{
    buf_done(&s->aad);
    wipe(s, sizeof(*s));
}

static enum rc stream_fill(const uint8_t prk[SHA256_LEN], const char *info, const struct record_parties *parties,
                           struct record_stream *s)
{
    *s = (struct record_stream){0};
    TRY(hkdf_expand(prk, slice_text(info), s->mac_enc, sizeof(s->mac_enc)));
    TRY(buf_text(&s->aad, "KERB1"));
    TRY(buf_add(&s->aad, SLICE(record_head)));
    TRY(buf_lp(&s->aad, parties->realm));
    TRY(buf_lp(&s->aad, parties->client));
    TRY(buf_lp(&s->aad, parties->server));
    TRY(buf_u16be(&s->aad, RECORD_SESSION_ID + 8));
    TRY(buf_add(&s->aad, SLICE(parties->session_id)));
    return buf_u64be(&s->aad, 0);
}

enum rc record_keys(const struct record_secrets *secrets, const struct slice frames[3],
                    const struct record_parties *parties, struct record_stream *ret_c2s, struct record_stream *ret_s2c)
{
    AUTO(buf_done) struct buf hashes = {0}, ikm = {0};
    AUTO(record_stream_done) struct record_stream c2s = {0}, s2c = {0};
    uint8_t salt[SHA256_LEN], prk[SHA256_LEN];

    TRY(envelope_context(frames, 3, &hashes));
    TRY(sha256(buf_slice(&hashes), salt));
    TRY(buf_add(&ikm, SLICE(secrets->session)));
    TRY(buf_add(&ikm, SLICE(secrets->ecdh)));
    TRY(hkdf_extract(SLICE(salt), buf_slice(&ikm), prk));
    enum rc rc = stream_fill(prk, "kerb1 c2s", parties, &c2s);
    if (rc == RC_OK)
        rc = stream_fill(prk, "kerb1 s2c", parties, &s2c);
    wipe(prk, sizeof(prk));
    TRY(rc);
    *ret_c2s = c2s;
    *ret_s2c = s2c;
    c2s.aad = s2c.aad = (struct buf){0};
    return RC_OK;
}

/* The AAD of the next record. */
static struct slice numbered(struct record_stream *s)
{
    put_u64be(s->aad.p + s->aad.n - 8, s->sequence);
    return buf_slice(&s->aad);
}

enum rc record_seal(struct record_stream *s, struct slice text, struct buf *out)
{
    uint8_t iv[AES_BLOCK], tag[AEAD_TAG];
    size_t before = out->n;

    if (s->sequence >= INT64_MAX)
        return RC_LIMIT;
    TRY(random_bytes(iv, sizeof(iv)));
    TRY(buf_reserve(out, text.n + RECORD_OVERHEAD));
    TRY(buf_add(out, SLICE(iv)));
    enum rc rc = aead_seal(s->mac_enc, iv, numbered(s), text, out, tag);
    if (rc == RC_OK)
        rc = buf_add(out, SLICE(tag));
    if (rc == RC_OK)
        s->sequence++;
    else
        out->n = before;
    return rc;
}

enum rc record_open(struct record_stream *s, struct slice r, struct buf *ret_text)
{
    buf_reset(ret_text);
    if (r.n < RECORD_MIN || s->sequence >= INT64_MAX)
        return RC_MODIFIED;
    struct slice ct = slice_of(r.p + AES_BLOCK, r.n - AES_BLOCK - AEAD_TAG);
    TRY(aead_open(s->mac_enc, r.p, numbered(s), ct, r.p + r.n - AEAD_TAG, ret_text));
    s->sequence++;
    return RC_OK;
}
