/* Random bytes: small requests from a pool of the thread, large ones straight from the DRBG. */
#include <limits.h>
#include <openssl/rand.h>
#include <string.h>

#include "shared/crypto/engine.h"

#define POOL_REQUEST_MAX 256 /* bytes; larger requests gain nothing from the pool */

static enum rc pool_fill(struct engine *e)
{
    unsigned now = engine_forks(); /* before the draw: a fork between the two makes the pool stale, not shared */

    e->pool_left = 0;
    if (RAND_bytes(e->pool, RANDOM_POOL) != 1)
        return RC_CRYPTO;
    e->forks = now;
    e->pool_left = RANDOM_POOL;
    return RC_OK;
}

enum rc random_bytes(void *p, size_t n)
{
    if (n > INT_MAX)
        return RC_CRYPTO;
    if (n > POOL_REQUEST_MAX)
        return RAND_bytes(p, (int)n) == 1 ? RC_OK : RC_CRYPTO;
    struct engine *e = engine_get();
    if (!e)
        return RC_CRYPTO;
    if (e->pool_left < n || e->forks != engine_forks())
        TRY(pool_fill(e));
    uint8_t *from = e->pool + RANDOM_POOL - e->pool_left;
    memcpy(p, from, n);
    wipe(from, n);
    e->pool_left -= n;
    return RC_OK;
}
