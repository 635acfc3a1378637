/* Cookies: made, read, used up. */
#include "as/cookie.h"

#include <string.h>

#include "shared/base/base64.h"

#define COOKIE_LEN (8 + ID_LEN)

enum rc cookie_jar_open(struct cookie_jar *jar, int64_t ticks_s)
{
    AUTO(key_done) struct key key = {0};
    bool clean;

    TRY(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &key));
    TRY(envelope_derive(&key, LABEL_AS_COOKIE, &jar->key));
    return replay_open(NULL, REPLAY_AT_STOP, ticks_s, &jar->used, &clean);
}

void cookie_jar_close(struct cookie_jar *jar)
{
    (void)replay_close(jar->used); /* has no file */
    jar->used = NULL;
    envelope_key_done(&jar->key);
}

enum rc cookie_make(const struct cookie_jar *jar, const struct envelope_aad *whom, int64_t ticks_s, struct buf *out)
{
    AUTO(buf_done) struct buf envelope = {0};
    uint8_t plain[COOKIE_LEN];

    put_u64be(plain, (uint64_t)(ticks_s + COOKIE_S));
    TRY(random_bytes(plain + 8, ID_LEN));
    TRY(envelope_seal(&jar->key, whom, SLICE(plain), &envelope));
    return base64url_encode(buf_slice(&envelope), out);
}

enum rc cookie_read(const struct cookie_jar *jar, const struct envelope_aad *whom, struct slice text, int64_t ticks_s,
                    struct cookie *ret)
{
    AUTO(buf_done) struct buf envelope = {0}, plain = {0};

    enum rc rc = base64url_decode(text, &envelope);
    if (rc == RC_OK)
        rc = envelope_open(&jar->key, whom, buf_slice(&envelope), &plain);
    if (rc == RC_MALFORMED || rc == RC_MODIFIED || (rc == RC_OK && plain.n != COOKIE_LEN))
        return RC_PREAUTH_REQUIRED;
    TRY(rc);
    ret->expiry_s = (int64_t)get_u64be(plain.p);
    memcpy(ret->id, plain.p + 8, ID_LEN);
    return ticks_s < ret->expiry_s ? RC_OK : RC_PREAUTH_REQUIRED;
}

static void digest_of(const struct cookie *cookie, uint8_t digest[SHA256_LEN])
{
    memset(digest, 0, SHA256_LEN);
    memcpy(digest, cookie->id, ID_LEN);
}

bool cookie_is_used(const struct cookie_jar *jar, const uint8_t client_id[ID_LEN], const struct cookie *cookie)
{
    uint8_t digest[SHA256_LEN];

    digest_of(cookie, digest);
    return replay_has(jar->used, client_id, digest);
}

enum rc cookie_use(const struct cookie_jar *jar, const uint8_t client_id[ID_LEN], const struct cookie *cookie,
                   int64_t ticks_s)
{
    uint8_t digest[SHA256_LEN];

    digest_of(cookie, digest);
    enum rc rc = replay_check(jar->used, client_id, digest, cookie->expiry_s, ticks_s);
    return rc == RC_REPEAT ? RC_PREAUTH_REQUIRED : rc;
}
