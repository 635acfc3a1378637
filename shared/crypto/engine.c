/* What the primitives work with: algorithms for the process, contexts for each thread, the secure heap. */
#include "shared/crypto/engine.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>

#define SECURE_HEAP \
    ((size_t)2 * 1024 * 1024) /* a reload of the largest keytab beside the old one, and room for OpenSSL */
#define SECURE_HEAP_MIN 64    /* bytes of the smallest piece: one key */

static struct {
    EVP_CIPHER *aes128_cbc;
    EVP_MD *sha256;
    bool ready, locked;
    pthread_key_t cleanup;
} process;

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;
static atomic_uint forks;
static _Thread_local struct engine *mine;

static void engine_free(void *p)
{
    struct engine *e = p;

    if (!e)
        return;
    EVP_CIPHER_CTX_free(e->encrypt);
    EVP_CIPHER_CTX_free(e->decrypt);
    EVP_MD_CTX_free(e->digest);
    OPENSSL_clear_free(e, sizeof(*e));
    mine = NULL;
}

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

unsigned engine_forks(void)
{
    return atomic_load(&forks);
}

/* The secure heap works without mlock, too (result 2); then crypto_keys_are_locked() tells. */
static void setup(void)
{
    process.locked = CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_HEAP_MIN) == 1;
    process.aes128_cbc = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    process.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    process.ready = process.aes128_cbc && process.sha256 && pthread_key_create(&process.cleanup, engine_free) == 0 &&
                    pthread_atfork(NULL, NULL, count_fork) == 0;
}

enum rc crypto_setup(void)
{
    (void)pthread_once(&setup_once, setup);
    return process.ready ? RC_OK : RC_CRYPTO;
}

bool crypto_keys_are_locked(void)
{
    return process.locked;
}

/* The cipher keeps what it was told; the flag would have it told again with each key. */
static bool leave_padding(EVP_CIPHER_CTX *ctx)
{
    if (!EVP_CIPHER_CTX_set_padding(ctx, 0))
        return false;
    EVP_CIPHER_CTX_clear_flags(ctx, EVP_CIPH_NO_PADDING);
    return true;
}

static bool engine_fill(struct engine *e)
{
    e->encrypt = EVP_CIPHER_CTX_new();
    e->decrypt = EVP_CIPHER_CTX_new();
    e->digest = EVP_MD_CTX_new();
    return e->encrypt && e->decrypt && e->digest &&
           EVP_EncryptInit_ex2(e->encrypt, process.aes128_cbc, NULL, NULL, NULL) &&
           EVP_DecryptInit_ex2(e->decrypt, process.aes128_cbc, NULL, NULL, NULL) && leave_padding(e->decrypt) &&
           EVP_DigestInit_ex2(e->digest, process.sha256, NULL);
}

static struct engine *engine_new(void)
{
    if (crypto_setup() != RC_OK)
        return NULL;
    struct engine *e = OPENSSL_zalloc(sizeof(*e));
    if (!e)
        return NULL;
    if (!engine_fill(e) || pthread_setspecific(process.cleanup, e) != 0) {
        engine_free(e);
        return NULL;
    }
    mine = e;
    return e;
}

struct engine *engine_get(void)
{
    return mine ? mine : engine_new();
}
