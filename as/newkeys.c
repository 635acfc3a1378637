/* New keys of a user. */
#include "as/newkeys.h"

#include "shared/crypto/box.h"
#include "shared/ticket/sealed.h"

enum rc as_newkeys_read(const json_t *j, struct as_keys *ret)
{
    AUTO(as_keys_done)
    struct as_keys keys = {
        .sealed = {.etype = ETYPE_AES128_CBC_HS256, .n = KEY_MAX}
    };
    int64_t iterations;

    TRY(sealed_bytes(j, "salt", keys.params.salt, USERKEY_SALT));
    TRY(json_get_int(j, "iterations", &iterations));
    TRY(sealed_bytes(j, "key", keys.sealed.bytes, KEY_MAX));
    if (json_object_get(j, "classic")) {
        keys.classic = (struct key){.etype = ETYPE_AES128_CBC, .n = BOX_KEY};
        TRY(sealed_bytes(j, "classic", keys.classic.bytes, BOX_KEY));
    }
    if (iterations < USERKEY_ITERATIONS_MIN || iterations > USERKEY_ITERATIONS_MAX)
        return RC_WEAK_KEYS;
    keys.params.iterations = (uint32_t)iterations;
    *ret = keys;
    return RC_OK;
}

void as_newkeys_trim(const struct conf *conf, const struct as_principal *user, struct as_keys *keys)
{
    bool has_dropped = user && user->profiles && !(user->profiles & PROFILE_CLASSIC);

    if (has_dropped || !(conf_profiles(conf) & PROFILE_CLASSIC))
        key_done(&keys->classic);
}
