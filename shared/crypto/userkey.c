/* The sealed profile's user key. */
#include "shared/crypto/userkey.h"

enum rc userkey_params_make(uint32_t iterations, struct userkey_params *ret)
{
    ret->iterations = iterations;
    return random_bytes(ret->salt, sizeof(ret->salt));
}

enum rc userkey_derive(struct slice password, const struct name *realm, const struct name *client,
                       const struct userkey_params *params, struct key *ret)
{
    AUTO(buf_done) struct buf nfc = {0}, salt = {0};

    if (password.n == 0 || password.n > PASSWORD_MAX)
        return RC_MALFORMED;
    if (params->iterations == 0 || params->iterations > USERKEY_ITERATIONS_MAX)
        return RC_LIMIT;
    TRY(text_nfc(password, &nfc));
    TRY(buf_text(&salt, "A128CBC-HS256"));
    TRY(buf_byte(&salt, 0));
    TRY(buf_lp(&salt, name_slice(realm)));
    TRY(buf_lp(&salt, name_slice(client)));
    TRY(buf_add(&salt, SLICE(params->salt)));
    struct key key = {.etype = ETYPE_AES128_CBC_HS256, .n = AEAD_KEY};
    TRY(pbkdf2_sha256(buf_slice(&nfc), buf_slice(&salt), params->iterations, key.bytes, key.n));
    *ret = key;
    key_done(&key);
    return RC_OK;
}
