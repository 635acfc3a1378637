/* Ephemeral Diffie-Hellman on P-256. */
#include "shared/crypto/ecdh.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct ecdh {
    EVP_PKEY *pair;
};

void ecdh_free(struct ecdh *e)
{
    if (!e)
        return;
    EVP_PKEY_free(e->pair);
    free(e);
}

void ecdh_done(struct ecdh **e)
{
    ecdh_free(*e);
    *e = NULL;
}

enum rc ecdh_new(struct ecdh **ret, uint8_t public_point[ECDH_POINT])
{
    AUTO(ecdh_done) struct ecdh *e = calloc(1, sizeof(*e));
    size_t n = 0;

    if (!e)
        return RC_NO_MEMORY;
    e->pair = EVP_EC_gen("P-256");
    if (!e->pair || !EVP_PKEY_get_octet_string_param(e->pair, OSSL_PKEY_PARAM_PUB_KEY, public_point, ECDH_POINT, &n) ||
        n != ECDH_POINT || public_point[0] != POINT_CONVERSION_UNCOMPRESSED)
        return RC_CRYPTO;
    *ret = e;
    e = NULL;
    return RC_OK;
}

static void pkey_done(EVP_PKEY **p)
{
    EVP_PKEY_free(*p);
}

static void pkey_ctx_done(EVP_PKEY_CTX **c)
{
    EVP_PKEY_CTX_free(*c);
}

/* The peer's point as a key; OpenSSL checks that it lies on the curve. */
static enum rc peer_key(const uint8_t point[ECDH_POINT], EVP_PKEY **ret)
{
    AUTO(pkey_ctx_done) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, ECDH_POINT),
        OSSL_PARAM_construct_end(),
    };

    if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0)
        return RC_CRYPTO;
    return EVP_PKEY_fromdata(ctx, ret, EVP_PKEY_PUBLIC_KEY, params) > 0 ? RC_OK : RC_MALFORMED;
}

enum rc ecdh_shared(const struct ecdh *e, const uint8_t peer[ECDH_POINT], uint8_t secret[ECDH_SECRET])
{
    AUTO(pkey_done) EVP_PKEY *other = NULL;
    size_t n = ECDH_SECRET;

    if (peer[0] != POINT_CONVERSION_UNCOMPRESSED)
        return RC_MALFORMED;
    TRY(peer_key(peer, &other));
    AUTO(pkey_ctx_done) EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, other, NULL);
    if (!check)
        return RC_CRYPTO;
    if (EVP_PKEY_public_check(check) <= 0)
        return RC_MALFORMED;
    AUTO(pkey_ctx_done) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, e->pair, NULL);
    if (!ctx || EVP_PKEY_derive_init(ctx) <= 0 || EVP_PKEY_derive_set_peer(ctx, other) <= 0 ||
        EVP_PKEY_derive(ctx, secret, &n) <= 0 || n != ECDH_SECRET)
        return RC_CRYPTO;
    return RC_OK;
}
