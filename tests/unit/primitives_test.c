/* The primitives: every vector of Project Wycheproof that applies, A128CBC-HS256 of RFC 7518, the random pool. */
#include "shared/crypto/primitives.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/vectors.h"

#define OUT_MAX (256 * SHA256_LEN)

typedef void (*check_fn)(const json_t *group, const json_t *test, bool valid);

/* Walks all tests of a Wycheproof file; returns how many there were of each result. */
static void each_wycheproof(const char *file, check_fn check, size_t want_valid, size_t want_invalid)
{
    AUTO(json_done) json_t *j = vectors_load(file);
    size_t g, t, seen[2] = {0, 0};
    json_t *group, *test;

    json_array_foreach (json_object_get(j, "testGroups"), g, group) {
        json_array_foreach (json_object_get(group, "tests"), t, test) {
            bool valid = vector_is(test, "result", "valid");
            assert_true(valid || vector_is(test, "result", "invalid"));
            seen[valid]++;
            check(group, test, valid);
        }
    }
    assert_int_equal(seen[1], want_valid);
    assert_int_equal(seen[0], want_invalid);
}

static enum rc cbc_decrypt(const json_t *test, struct buf *out)
{
    AUTO(buf_done) struct buf key = vector_hex(test, "key"), iv = vector_hex(test, "iv"), ct = vector_hex(test, "ct");
    size_t n;

    TRY(aes128_cbc_decrypt_raw(key.p, iv.p, buf_slice(&ct), out));
    if (!pkcs7_unpad(buf_slice(out), &n))
        return RC_MODIFIED;
    out->n = n;
    return RC_OK;
}

static void check_cbc(const json_t *group, const json_t *test, bool valid)
{
    if (vector_int(group, "keySize") != AES128_KEY * 8)
        return; /* other key lengths are not ours */
    AUTO(buf_done) struct buf key = vector_hex(test, "key"), iv = vector_hex(test, "iv"), ct = vector_hex(test, "ct");
    AUTO(buf_done) struct buf msg = vector_hex(test, "msg"), got = {0}, plain = {0};

    assert_int_equal(cbc_decrypt(test, &plain) == RC_OK, valid);
    if (!valid)
        return;
    assert_bytes(buf_slice(&plain), buf_slice(&msg));
    assert_ok(aes128_cbc_encrypt(key.p, iv.p, buf_slice(&msg), &got));
    assert_bytes(buf_slice(&got), buf_slice(&ct));
}

static void check_hmac(const json_t *group, const json_t *test, bool valid)
{
    AUTO(buf_done)
    struct buf key = vector_hex(test, "key"), msg = vector_hex(test, "msg"), tag = vector_hex(test, "tag");
    uint8_t got[SHA256_LEN];

    assert_int_equal(tag.n * 8, vector_int(group, "tagSize")); /* 256 bits, or the first 128 of them */
    assert_ok(hmac_sha256(buf_slice(&key), buf_slice(&msg), got));
    assert_int_equal(ct_equal(got, tag.p, tag.n), valid);
}

static void check_hkdf(const json_t *group, const json_t *test, bool valid)
{
    AUTO(buf_done) struct buf ikm = vector_hex(test, "ikm"), salt = vector_hex(test, "salt");
    AUTO(buf_done) struct buf info = vector_hex(test, "info"), okm = vector_hex(test, "okm");
    static uint8_t out[OUT_MAX];
    size_t n = (size_t)vector_int(test, "size");

    (void)group;
    assert_true(n <= sizeof(out));
    enum rc rc = hkdf_sha256(buf_slice(&ikm), buf_slice(&salt), buf_slice(&info), out, n);
    assert_int_equal(rc == RC_OK, valid);
    if (valid)
        assert_bytes(slice_of(out, n), buf_slice(&okm));
}

static void check_pbkdf2(const json_t *group, const json_t *test, bool valid)
{
    AUTO(buf_done) struct buf pw = vector_hex(test, "password"), salt = vector_hex(test, "salt");
    AUTO(buf_done) struct buf dk = vector_hex(test, "dk");
    uint8_t out[256];
    size_t n = (size_t)vector_int(test, "dkLen");

    (void)group;
    assert_true(valid && n <= sizeof(out));
    uint32_t iterations = (uint32_t)vector_int(test, "iterationCount");
    assert_ok(pbkdf2_sha256(buf_slice(&pw), buf_slice(&salt), iterations, out, n));
    assert_bytes(slice_of(out, n), buf_slice(&dk));
}

/* The reader of an aead vector checks the lengths of IV and tag, as the envelope does by its layout. */
static enum rc open_vector(const json_t *test, struct buf *plain)
{
    AUTO(buf_done) struct buf key = vector_hex(test, "key"), iv = vector_hex(test, "iv"), aad = vector_hex(test, "aad");
    AUTO(buf_done) struct buf ct = vector_hex(test, "ct"), tag = vector_hex(test, "tag");

    assert_int_equal(key.n, AEAD_KEY);
    if (iv.n != AES_BLOCK || tag.n != AEAD_TAG)
        return RC_MODIFIED;
    return aead_open(key.p, iv.p, buf_slice(&aad), buf_slice(&ct), tag.p, plain);
}

static void check_aead_valid(const json_t *test)
{
    AUTO(buf_done) struct buf key = vector_hex(test, "key"), iv = vector_hex(test, "iv"), aad = vector_hex(test, "aad");
    AUTO(buf_done) struct buf msg = vector_hex(test, "msg"), ct = vector_hex(test, "ct"), tag = vector_hex(test, "tag");
    AUTO(buf_done) struct buf plain = {0}, sealed = {0};
    uint8_t got[AEAD_TAG];

    assert_ok(open_vector(test, &plain));
    assert_bytes(buf_slice(&plain), buf_slice(&msg));
    assert_ok(aead_seal(key.p, iv.p, buf_slice(&aad), buf_slice(&msg), &sealed, got));
    assert_bytes(buf_slice(&sealed), buf_slice(&ct));
    assert_bytes(SLICE(got), buf_slice(&tag));
}

static void check_aead_invalid(const json_t *test)
{
    AUTO(buf_done) struct buf plain = {0};

    assert_ok(buf_text(&plain, "kept"));
    assert_rc(open_vector(test, &plain), RC_MODIFIED);
    assert_bytes(buf_slice(&plain), slice_text("kept"));
}

static void check_aead(const json_t *group, const json_t *test, bool valid)
{
    (void)group;
    if (valid)
        check_aead_valid(test);
    else
        check_aead_invalid(test);
}

static void aes128_cbc__passes_wycheproof(void **state)
{
    (void)state;
    each_wycheproof("wycheproof/aes_cbc_pkcs5_test.json", check_cbc, 72, 144);
}

static void hmac_sha256__passes_wycheproof(void **state)
{
    (void)state;
    each_wycheproof("wycheproof/hmac_sha256_test.json", check_hmac, 66, 108);
}

static void hkdf_sha256__passes_wycheproof(void **state)
{
    (void)state;
    each_wycheproof("wycheproof/hkdf_sha256_test.json", check_hkdf, 83, 3);
}

static void pbkdf2_sha256__passes_wycheproof(void **state)
{
    (void)state;
    each_wycheproof("wycheproof/pbkdf2_hmacsha256_test.json", check_pbkdf2, 60, 0);
}

static void aead__passes_wycheproof(void **state)
{
    (void)state;
    each_wycheproof("wycheproof/a128cbc_hs256_test.json", check_aead, 67, 27);
}

static void aead__passes_our_vectors(void **state)
{
    (void)state;
    AUTO(json_done) json_t *j = vectors_load("a128cbc_hs256.json");
    const json_t *valid = json_object_get(j, "valid"), *invalid = json_object_get(j, "invalid");
    size_t i;
    json_t *test;

    assert_int_equal(json_array_size(valid), 34);
    assert_int_equal(json_array_size(invalid), 109);
    json_array_foreach (valid, i, test) {
        check_aead_valid(test);
    }
    json_array_foreach (invalid, i, test) {
        check_aead_invalid(test);
    }
}

static void aead_seal__appends(void **state)
{
    (void)state;
    const uint8_t key[AEAD_KEY] = {1}, iv[AES_BLOCK] = {2};
    AUTO(buf_done) struct buf out = {0}, plain = {0};
    uint8_t tag[AEAD_TAG];

    assert_ok(buf_text(&out, "head"));
    assert_ok(buf_text(&plain, "head"));
    assert_ok(aead_seal(key, iv, slice_text("aad"), slice_text("text"), &out, tag));
    assert_int_equal(out.n, 4 + AES_BLOCK);
    assert_ok(aead_open(key, iv, slice_text("aad"), slice_of(out.p + 4, AES_BLOCK), tag, &plain));
    assert_bytes(buf_slice(&plain), slice_text("headtext"));
}

static void aes128_cbc_decrypt_raw__refuses_what_is_not_whole_blocks(void **state)
{
    (void)state;
    const uint8_t key[AES128_KEY] = {1}, iv[AES_BLOCK] = {2}, ct[33] = {0};
    AUTO(buf_done) struct buf out = {0};

    for (size_t n = 0; n <= sizeof(ct); n++) {
        enum rc want = n && n % AES_BLOCK == 0 ? RC_OK : RC_MALFORMED;
        assert_int_equal(aes128_cbc_decrypt_raw(key, iv, slice_of(ct, n), &out), want);
    }
    assert_int_equal(out.n, 16 + 32);
}

static void pkcs7_unpad__refuses_a_padding_that_is_not_consistent(void **state)
{
    (void)state;
    uint8_t block[AES_BLOCK];
    size_t n = 99;

    memset(block, AES_BLOCK, sizeof(block));
    assert_true(pkcs7_unpad(SLICE(block), &n));
    assert_int_equal(n, 0);
    for (size_t i = 0; i < AES_BLOCK - 1; i++) {
        block[i] ^= 1;
        assert_false(pkcs7_unpad(SLICE(block), &n));
        block[i] ^= 1;
    }
    block[AES_BLOCK - 1] = 0;
    assert_false(pkcs7_unpad(SLICE(block), &n));
    block[AES_BLOCK - 1] = 17;
    assert_false(pkcs7_unpad(SLICE(block), &n));
    assert_false(pkcs7_unpad(slice_of(block, 0), &n));
    assert_false(pkcs7_unpad(slice_of(block, 15), &n));
}

static void sha256__knows_the_empty_text(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf hex = {0};
    uint8_t out[SHA256_LEN];

    assert_ok(sha256(slice_of(NULL, 0), out));
    assert_ok(hex_encode(SLICE(out), &hex));
    assert_bytes(buf_slice(&hex), slice_text("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

static void hmac_sha256__an_empty_key_is_not_the_key_before(void **state)
{
    (void)state;
    uint8_t fresh[SHA256_LEN], after[SHA256_LEN], other[SHA256_LEN];

    assert_ok(hmac_sha256(slice_of(NULL, 0), slice_text("x"), fresh));
    assert_ok(hmac_sha256(slice_text("secret"), slice_text("x"), other));
    assert_ok(hmac_sha256(slice_of(NULL, 0), slice_text("x"), after));
    assert_memory_equal(fresh, after, SHA256_LEN);
    assert_memory_not_equal(fresh, other, SHA256_LEN);
}

static void pbkdf2_sha256__refuses_no_iterations(void **state)
{
    (void)state;
    uint8_t out[16];

    assert_rc(pbkdf2_sha256(slice_text("a"), slice_text("b"), 0, out, sizeof(out)), RC_CRYPTO);
    assert_rc(pbkdf2_sha256(slice_text("a"), slice_text("b"), UINT32_MAX, out, sizeof(out)), RC_CRYPTO);
}

static void ct_equal__tells_one_bit(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};

    assert_true(ct_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a) * 8; i++) {
        b[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(ct_equal(a, b, sizeof(a)));
        b[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void random_bytes__never_repeats(void **state)
{
    (void)state;
    enum { DRAWS = 2000 };
    static uint8_t seen[DRAWS][16];

    for (size_t i = 0; i < DRAWS; i++)
        assert_ok(random_bytes(seen[i], 16));
    for (size_t i = 0; i < DRAWS; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(seen[i], seen[k], 16);
}

static void random_bytes__fills_every_size(void **state)
{
    (void)state;
    uint8_t big[6000], small[256];
    size_t zeros = 0;

    assert_ok(random_bytes(big, sizeof(big)));
    for (size_t i = 0; i < sizeof(big); i++)
        zeros += big[i] == 0;
    assert_true(zeros < 200); /* 23 are to be expected */
    for (size_t n = 0; n <= sizeof(small); n++)
        assert_ok(random_bytes(small, n));
}

static void random_bytes__a_forked_child_draws_its_own(void **state)
{
    (void)state;
    uint8_t warm[16], mine[16], theirs[16];
    int pipes[2];

    assert_ok(random_bytes(warm, sizeof(warm))); /* the pool is full now */
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool ok = random_bytes(theirs, sizeof(theirs)) == RC_OK && write(pipes[1], theirs, sizeof(theirs)) == 16;
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(pipes[0], theirs, sizeof(theirs)), 16);
    assert_ok(random_bytes(mine, sizeof(mine)));
    assert_memory_not_equal(mine, theirs, sizeof(mine));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

enum { THREADS = 4, ROUNDS = 500 };

/* Seals and opens with its own key; a context shared between threads would not survive this. */
static void *work(void *arg)
{
    size_t *good = arg;
    uint8_t key[AEAD_KEY], iv[AES_BLOCK], tag[AEAD_TAG];

    for (int i = 0; i < ROUNDS; i++) {
        AUTO(buf_done) struct buf ct = {0}, plain = {0};
        if (random_bytes(key, sizeof(key)) != RC_OK || random_bytes(iv, sizeof(iv)) != RC_OK ||
            aead_seal(key, iv, slice_text("aad"), slice_text("the text"), &ct, tag) != RC_OK ||
            aead_open(key, iv, slice_text("aad"), buf_slice(&ct), tag, &plain) != RC_OK)
            return NULL;
        *good += slice_eq(buf_slice(&plain), slice_text("the text"));
    }
    return NULL;
}

static void primitives__work_in_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t good[THREADS] = {0};

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &good[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(good[i], ROUNDS);
    }
}

static void crypto_setup__may_be_called_again(void **state)
{
    (void)state;
    assert_ok(crypto_setup());
    assert_ok(crypto_setup());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crypto_setup__may_be_called_again),
        cmocka_unit_test(aes128_cbc__passes_wycheproof),
        cmocka_unit_test(hmac_sha256__passes_wycheproof),
        cmocka_unit_test(hkdf_sha256__passes_wycheproof),
        cmocka_unit_test(pbkdf2_sha256__passes_wycheproof),
        cmocka_unit_test(aead__passes_wycheproof),
        cmocka_unit_test(aead__passes_our_vectors),
        cmocka_unit_test(aead_seal__appends),
        cmocka_unit_test(aes128_cbc_decrypt_raw__refuses_what_is_not_whole_blocks),
        cmocka_unit_test(pkcs7_unpad__refuses_a_padding_that_is_not_consistent),
        cmocka_unit_test(sha256__knows_the_empty_text),
        cmocka_unit_test(hmac_sha256__an_empty_key_is_not_the_key_before),
        cmocka_unit_test(pbkdf2_sha256__refuses_no_iterations),
        cmocka_unit_test(ct_equal__tells_one_bit),
        cmocka_unit_test(random_bytes__never_repeats),
        cmocka_unit_test(random_bytes__fills_every_size),
        cmocka_unit_test(random_bytes__a_forked_child_draws_its_own),
        cmocka_unit_test(primitives__work_in_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
