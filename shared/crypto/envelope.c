/* The envelope: header, random IV, ciphertext, tag; everything that is said around it is bound by the AAD. */
#include "shared/crypto/envelope.h"

#include <string.h>

#include "shared/crypto/engine.h"

#define ENVELOPE_VERSION 1
#define LABEL_INFO_MAX   32 /* "kerb1 " and the longest label */
#define AAD_LEAD         "KERB1"
#define AAD_FRAME        (sizeof(AAD_LEAD) - 1 + ENVELOPE_HEAD + 4 * 2) /* bytes beside the four parts */
#define ENVELOPE_IV      ENVELOPE_HEAD
#define ENVELOPE_CT      (ENVELOPE_HEAD + AES_BLOCK)
#define ENVELOPE_MIN     (ENVELOPE_CT + AES_BLOCK + AEAD_TAG) /* an empty text is one block of padding */

static const char *const label_names[] = {
    [LABEL_TICKET] = "ticket",
    [LABEL_MESSAGE] = "message",
    [LABEL_ROW] = "row",
    [LABEL_AS_COOKIE] = "as-cookie",
    [LABEL_AS_PREAUTH] = "as-preauth",
    [LABEL_AS_REPLY] = "as-reply",
    [LABEL_TGS_AUTHENTICATOR] = "tgs-authenticator",
    [LABEL_TGS_REPLY] = "tgs-reply",
    [LABEL_AP_AUTHENTICATOR] = "ap-authenticator",
    [LABEL_AP_REPLY] = "ap-reply",
    [LABEL_EPOCHS] = "epochs",
    [LABEL_NEW_KEYS] = "new-keys",
    [LABEL_VAULT] = "vault",
    [LABEL_AUDIT] = "audit",
};

void envelope_key_done(struct envelope_key *key)
{
    wipe(key, sizeof(*key));
}

static enum rc expand(const uint8_t prk[SHA256_LEN], enum label label, uint8_t out[AEAD_KEY])
{
    char info[LABEL_INFO_MAX] = "kerb1 ";
    size_t start = strlen(info), n = strlen(label_names[label]);

    memcpy(info + start, label_names[label], n);
    return hkdf_expand(prk, slice_of(info, start + n), out, AEAD_KEY);
}

static enum rc derive(const struct key *key, enum label label, uint8_t out[AEAD_KEY])
{
    uint8_t prk[SHA256_LEN];

    enum rc rc = hkdf_extract(slice_of(NULL, 0), key_slice(key), prk);
    if (rc == RC_OK)
        rc = expand(prk, label, out);
    wipe(prk, sizeof(prk));
    return rc;
}

/* The keys of tickets live as long as their daemon and are derived once a thread. */
static enum rc derive_ticket(const struct key *key, uint8_t out[AEAD_KEY])
{
    struct engine *e = engine_get();

    if (!e)
        return RC_CRYPTO;
    for (size_t i = 0; i < DERIVED_MAX; i++) {
        if (e->ticket[i].used && ct_equal(e->ticket[i].from, key->bytes, AEAD_KEY)) {
            memcpy(out, e->ticket[i].key, AEAD_KEY);
            return RC_OK;
        }
    }
    TRY(derive(key, LABEL_TICKET, out));
    struct derived *slot = &e->ticket[e->ticket_next];
    e->ticket_next = (e->ticket_next + 1) % DERIVED_MAX;
    slot->used = true;
    memcpy(slot->from, key->bytes, AEAD_KEY);
    memcpy(slot->key, out, AEAD_KEY);
    return RC_OK;
}

/* Only ticket keys are remembered: the key of a room that closes must not stay anywhere. */
enum rc envelope_derive(const struct key *key, enum label label, struct envelope_key *ret)
{
    if (key->etype != ETYPE_AES128_CBC_HS256 || key->n != AEAD_KEY)
        return RC_BAD_ETYPE;
    TRY(label == LABEL_TICKET ? derive_ticket(key, ret->mac_enc) : derive(key, label, ret->mac_enc));
    ret->kvno = key->kvno;
    return RC_OK;
}

enum rc envelope_derive_pair(const struct key *key, const enum label labels[2], struct envelope_key ret[2])
{
    uint8_t prk[SHA256_LEN];

    if (key->etype != ETYPE_AES128_CBC_HS256 || key->n != AEAD_KEY)
        return RC_BAD_ETYPE;
    enum rc rc = hkdf_extract(slice_of(NULL, 0), key_slice(key), prk);
    for (size_t i = 0; rc == RC_OK && i < 2; i++) {
        rc = expand(prk, labels[i], ret[i].mac_enc);
        ret[i].kvno = key->kvno;
    }
    wipe(prk, sizeof(prk));
    if (rc != RC_OK)
        wipe(ret, 2 * sizeof(ret[0]));
    return rc;
}

/* Into `room`, of ENVELOPE_AAD_MAX bytes: it is short, and no secret. *ret borrows it. */
static enum rc encode_aad(const uint8_t head[ENVELOPE_HEAD], const struct envelope_aad *aad, uint8_t *room,
                          struct slice *ret)
{
    struct buf out = {.p = room, .cap = ENVELOPE_AAD_MAX}; /* does not grow */

    if (aad->realm.n + aad->client.n + aad->server.n + aad->context.n > ENVELOPE_AAD_MAX - AAD_FRAME)
        return RC_LIMIT;
    TRY(buf_text(&out, AAD_LEAD));
    TRY(buf_add(&out, slice_of(head, ENVELOPE_HEAD)));
    TRY(buf_lp(&out, aad->realm));
    TRY(buf_lp(&out, aad->client));
    TRY(buf_lp(&out, aad->server));
    TRY(buf_lp(&out, aad->context));
    *ret = buf_slice(&out);
    return RC_OK;
}

enum rc envelope_context(const struct slice *texts, size_t n, struct buf *out)
{
    uint8_t digest[SHA256_LEN];

    for (size_t i = 0; i < n; i++) {
        TRY(sha256(texts[i], digest));
        TRY(buf_add(out, SLICE(digest)));
    }
    return RC_OK;
}

static enum rc append(const struct envelope_key *key, const struct envelope_aad *aad, struct slice plain,
                      struct buf *out)
{
    uint8_t head[ENVELOPE_HEAD] = {ENVELOPE_VERSION, ETYPE_AES128_CBC_HS256}, iv[AES_BLOCK], tag[AEAD_TAG];
    uint8_t room[ENVELOPE_AAD_MAX];
    struct slice bound;

    put_u32be(head + 2, key->kvno);
    TRY(random_bytes(iv, sizeof(iv)));
    TRY(encode_aad(head, aad, room, &bound));
    TRY(buf_add(out, SLICE(head)));
    TRY(buf_add(out, SLICE(iv)));
    TRY(aead_seal(key->mac_enc, iv, bound, plain, out, tag));
    return buf_add(out, SLICE(tag));
}

enum rc envelope_seal(const struct envelope_key *key, const struct envelope_aad *aad, struct slice plain,
                      struct buf *out)
{
    size_t before = out->n;

    if (plain.n > SIZE_MAX / 4)
        return RC_LIMIT;
    TRY(buf_reserve(out, plain.n + ENVELOPE_OVERHEAD));
    enum rc rc = append(key, aad, plain, out);
    if (rc != RC_OK)
        out->n = before;
    return rc;
}

enum rc envelope_kvno(struct slice e, uint32_t *ret_kvno)
{
    if (e.n < ENVELOPE_MIN || e.p[0] != ENVELOPE_VERSION || e.p[1] != ETYPE_AES128_CBC_HS256)
        return RC_MODIFIED;
    *ret_kvno = get_u32be(e.p + 2);
    return RC_OK;
}

enum rc envelope_open(const struct envelope_key *key, const struct envelope_aad *aad, struct slice e,
                      struct buf *ret_plain)
{
    AUTO(buf_done) struct buf plain = {0};
    uint8_t room[ENVELOPE_AAD_MAX];
    struct slice bound;
    uint32_t kvno;

    buf_reset(ret_plain);
    TRY(envelope_kvno(e, &kvno));
    if (kvno != key->kvno)
        return RC_MODIFIED;
    TRY(encode_aad(e.p, aad, room, &bound));
    struct slice ct = slice_of(e.p + ENVELOPE_CT, e.n - ENVELOPE_CT - AEAD_TAG);
    TRY(aead_open(key->mac_enc, e.p + ENVELOPE_IV, bound, ct, e.p + e.n - AEAD_TAG, &plain));
    buf_done(ret_plain);
    *ret_plain = buf_take(&plain);
    return RC_OK;
}
