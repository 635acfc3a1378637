/* Shamir's secret sharing: every vector, every refusal, and the arithmetic at its edges. */
#include <jansson.h>

#include "shamir/field.h"
#include "shared/base/base64.h"
#include "shared/crypto/primitives.h"
#include "tests/unit/unit.h"

static json_t *vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = json_load_file(TEST_VECTORS "/shamir.json", JSON_REJECT_DUPLICATES, NULL);
    return vectors && crypto_setup() == RC_OK ? 0 : -1;
}

static int drop_vectors(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return text;
}

static json_t *array_of(const json_t *object, const char *name)
{
    json_t *array = json_object_get(object, name);
    assert_true(json_is_array(array));
    return array;
}

/* Hexadecimal with any number of digits as `len` bytes, big-endian. */
static void hex_number(const char *hex, uint8_t *out, size_t len)
{
    struct buf padded = {0}, bytes = {0};

    assert_true(strlen(hex) <= len * 2);
    for (size_t i = strlen(hex); i < len * 2; i++)
        assert_ok(buf_byte(&padded, '0'));
    assert_ok(buf_text(&padded, hex));
    assert_ok(hex_decode(buf_slice(&padded), &bytes));
    memcpy(out, bytes.p, len);
    buf_done(&padded);
    buf_done(&bytes);
}

static struct shamir_field *field_of_prime(const char *hex)
{
    uint8_t prime[SHAMIR_VALUE_MAX];
    struct shamir_field *f = NULL;

    hex_number(hex, prime, sizeof(prime));
    assert_ok(shamir_field_new(SLICE(prime), &f));
    return f;
}

static struct shamir_field *field_of_u64(uint64_t prime)
{
    uint8_t bytes[8];
    struct shamir_field *f = NULL;

    put_u64be(bytes, prime);
    assert_ok(shamir_field_new(SLICE(bytes), &f));
    return f;
}

static struct shamir_share share_of(const struct shamir_field *f, const char *text)
{
    struct shamir_share s;

    assert_ok(shamir_share_parse(f, slice_text(text), &s));
    return s;
}

static const char *text_by_index(const json_t *shares, json_int_t index)
{
    return json_string_value(json_array_get(shares, (size_t)index - 1));
}

static void assert_combines_to(const struct shamir_field *f, const struct shamir_share *shares, size_t n,
                               const char *hex)
{
    uint8_t want[SHAMIR_VALUE_MAX], got[SHAMIR_VALUE_MAX];

    hex_number(hex, want, shamir_value_len(f));
    assert_ok(shamir_combine(f, shares, n, got));
    assert_memory_equal(got, want, shamir_value_len(f));
}

/* The shares with the numbers in `use`, the one of the same number replaced when `replaced` is given. */
static void assert_set_gives(const struct shamir_field *f, const json_t *shares, const json_t *use,
                             const char *replaced, const char *hex)
{
    struct shamir_share set[SHAMIR_SHARES_MAX];
    size_t i, swapped = 0;
    json_t *index;

    json_array_foreach (use, i, index) {
        set[i] = share_of(f, text_by_index(shares, json_integer_value(index)));
        if (replaced && share_of(f, replaced).index == set[i].index) {
            set[i] = share_of(f, replaced);
            swapped++;
        }
    }
    assert_int_equal(swapped, replaced ? 1 : 0);
    assert_combines_to(f, set, json_array_size(use), hex);
}

static void assert_recovers(const struct shamir_field *f, const json_t *c)
{
    json_t *use;
    size_t i;

    assert_true(json_array_size(array_of(c, "recover")) > 0);
    json_array_foreach (array_of(c, "recover"), i, use)
        assert_set_gives(f, array_of(c, "shares"), use, NULL, text_of(c, "secret_hex"));
}

/* The shares of the case come out of its coefficients, as text and back. */
static void assert_evaluates(const struct shamir_field *f, const json_t *c)
{
    struct fe poly[SHAMIR_SHARES_MAX], value;
    uint8_t bytes[SHAMIR_VALUE_MAX];
    size_t i, t = json_array_size(array_of(c, "coefficients_hex"));
    json_t *item;

    assert_int_equal(t, json_integer_value(json_object_get(c, "threshold")));
    json_array_foreach (array_of(c, "coefficients_hex"), i, item) {
        hex_number(json_string_value(item), bytes, shamir_value_len(f));
        assert_true(fe_from_bytes(f, bytes, &poly[i]));
    }
    assert_int_equal(json_array_size(array_of(c, "shares")), json_integer_value(json_object_get(c, "n")));
    json_array_foreach (array_of(c, "shares"), i, item) {
        struct shamir_share s = {.index = (uint8_t)(i + 1)};
        struct buf text = {0};
        poly_at(f, poly, t, (unsigned)i + 1, &value);
        fe_to_bytes(f, &value, s.value);
        assert_ok(shamir_share_text(f, &s, &text));
        assert_string_equal(buf_cstr(&text), json_string_value(item));
        assert_true(text.n <= SHAMIR_TEXT_MAX);
        buf_done(&text);
        assert_memory_equal(share_of(f, json_string_value(item)).value, s.value, shamir_value_len(f));
    }
}

static void shamir__agrees_with_every_vector_case(void **state)
{
    size_t i, k;
    json_t *c, *few;

    (void)state;
    json_array_foreach (array_of(vectors, "cases"), i, c) {
        struct shamir_field *f = field_of_prime(text_of(c, "prime_hex"));
        const json_t *shares = array_of(c, "shares"), *spoilt = json_object_get(c, "spoilt");
        assert_evaluates(f, c);
        assert_recovers(f, c);
        json_array_foreach (array_of(c, "too_few"), k, few)
            assert_set_gives(f, shares, array_of(few, "use"), NULL, text_of(few, "gives"));
        assert_set_gives(f, shares, array_of(spoilt, "use"), text_of(spoilt, "replaced"), text_of(spoilt, "gives"));
        shamir_field_free(f);
    }
    assert_int_equal(i, 111);
}

static void shamir_combine__reads_shares_of_another_library(void **state)
{
    size_t i;
    json_t *c;

    (void)state;
    json_array_foreach (array_of(vectors, "library"), i, c) {
        struct shamir_field *f = field_of_prime(text_of(c, "prime_hex"));
        assert_recovers(f, c);
        shamir_field_free(f);
    }
    assert_int_equal(i, 8);
}

/* The index in hexadecimal is another number or no number: never silently the same share. */
static void shamir_share_parse__does_not_take_hexadecimal_indices(void **state)
{
    size_t i, k;
    json_t *c, *text;
    unsigned seen = 0;

    (void)state;
    json_array_foreach (array_of(vectors, "cases"), i, c) {
        if (!json_object_get(c, "shares_index_in_hex"))
            continue;
        struct shamir_field *f = field_of_prime(text_of(c, "prime_hex"));
        json_array_foreach (array_of(c, "shares_index_in_hex"), k, text) {
            struct shamir_share s;
            enum rc rc = shamir_share_parse(f, slice_text(json_string_value(text)), &s);
            if (k + 1 >= 10)
                assert_true(rc == RC_MALFORMED || s.index != k + 1);
            seen++;
        }
        shamir_field_free(f);
    }
    assert_true(seen > 0);
}

static void shamir_share_parse__refuses_every_other_spelling(void **state)
{
    static const char *const more[] = {"256-ff", "1-00", "1-g", "1-:", "1-/", "1-`", "1-@", "1-A", "1-\x80", "1-fG"};
    const struct shamir_field *f = shamir_field_named("2^127-1");
    struct shamir_share s;
    json_t *c;
    size_t i;

    (void)state;
    json_array_foreach (array_of(vectors, "refuse_share"), i, c)
        assert_rc(shamir_share_parse(f, slice_text(text_of(c, "share")), &s), RC_MALFORMED);
    assert_int_equal(i, 24);
    json_array_foreach (array_of(vectors, "same_value_other_spelling"), i, c) {
        assert_rc(shamir_share_parse(f, slice_text(text_of(c, "share")), &s), RC_MALFORMED);
        assert_ok(shamir_share_parse(f, slice_text(text_of(c, "canonical")), &s));
    }
    assert_int_equal(i, 3);
    for (i = 0; i < ARRAY_LEN(more); i++)
        assert_rc(shamir_share_parse(f, slice_text(more[i]), &s), RC_MALFORMED);
    assert_rc(shamir_share_parse(f, slice_of("1-f\0f", 5), &s), RC_MALFORMED);
    assert_ok(shamir_share_parse(f, slice_text("255-0"), &s));
    assert_ok(shamir_share_parse(f, slice_text("9-abcdef0123456789"), &s));
}

static void shamir_share_text__refuses_an_index_that_is_none(void **state)
{
    struct shamir_share s = {.index = 0};
    struct buf text = {0};

    (void)state;
    assert_rc(shamir_share_text(shamir_field_named("2^127-1"), &s, &text), RC_MALFORMED);
    buf_done(&text);
}

static void shamir_combine__refuses_sets_that_are_none(void **state)
{
    size_t i, k;
    json_t *c, *text;
    uint8_t out[SHAMIR_VALUE_MAX];

    (void)state;
    json_array_foreach (array_of(vectors, "refuse_set"), i, c) {
        const struct shamir_field *f = shamir_field_named(text_of(c, "prime"));
        struct shamir_share set[4];
        json_array_foreach (array_of(c, "shares"), k, text)
            set[k] = share_of(f, json_string_value(text));
        assert_int_equal(shamir_combine(f, set, k, out), k ? RC_MALFORMED : RC_LIMIT);
    }
    assert_int_equal(i, 3);

    const struct shamir_field *f = shamir_field_named("2^255-19");
    static struct shamir_share many[SHAMIR_SHARES_MAX + 1];
    assert_rc(shamir_combine(f, many, SHAMIR_SHARES_MAX + 1, out), RC_LIMIT);
    assert_rc(shamir_combine(f, many, 1, out), RC_MALFORMED); /* index 0 */
    many[0].index = 1;
    memset(many[0].value, 0xff, 32);
    assert_rc(shamir_combine(f, many, 1, out), RC_MALFORMED); /* not below the prime */
}

static void shamir_split__gives_shares_that_combine(void **state)
{
    static const char *const names[] = {"2^127-1", "2^130-5", "2^255-19", "2^521-1"};
    static const size_t lens[] = {16, 17, 32, 66};
    static const unsigned thresholds[][2] = {
        {1,   1  },
        {1,   3  },
        {2,   3  },
        {3,   5  },
        {5,   5  },
        {16,  20 },
        {255, 255}
    };
    static struct shamir_share shares[SHAMIR_SHARES_MAX];
    uint8_t secret[SHAMIR_VALUE_MAX], got[SHAMIR_VALUE_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct shamir_field *f = shamir_field_named(names[i]);
        assert_int_equal(shamir_value_len(f), lens[i]);
        for (size_t k = 0; k < ARRAY_LEN(thresholds); k++) {
            unsigned t = thresholds[k][0], n = thresholds[k][1];
            assert_ok(shamir_random(f, secret));
            assert_ok(shamir_split(f, secret, t, n, shares));
            assert_int_equal(shares[0].index, 1);
            assert_int_equal(shares[n - 1].index, n);
            assert_ok(shamir_combine(f, shares + n - t, t, got)); /* the last t of them */
            assert_memory_equal(got, secret, lens[i]);
            if (t > 1) {
                assert_ok(shamir_combine(f, shares, t - 1, got));
                assert_memory_not_equal(got, secret, lens[i]);
            }
        }
    }
}

static void shamir_split__refuses_numbers_outside(void **state)
{
    const struct shamir_field *f = shamir_field_named("2^255-19");
    static struct shamir_share shares[SHAMIR_SHARES_MAX + 1];
    uint8_t secret[SHAMIR_VALUE_MAX] = {0};

    (void)state;
    assert_rc(shamir_split(f, secret, 0, 3, shares), RC_LIMIT);
    assert_rc(shamir_split(f, secret, 4, 3, shares), RC_LIMIT);
    assert_rc(shamir_split(f, secret, 0, 0, shares), RC_LIMIT);
    assert_rc(shamir_split(f, secret, 2, 256, shares), RC_LIMIT);
    memset(secret, 0xff, 32);
    secret[0] = 0x7f;
    secret[31] = 0xed; /* the prime */
    assert_rc(shamir_split(f, secret, 2, 3, shares), RC_MALFORMED);
    secret[31] = 0xec;
    assert_ok(shamir_split(f, secret, 2, 3, shares));

    struct shamir_field *small = field_of_u64(251); /* numbers must differ modulo the prime */
    assert_int_equal(small->index_max, 250);
    secret[0] = 0;
    assert_rc(shamir_split(small, secret, 2, 251, shares), RC_LIMIT);
    assert_ok(shamir_split(small, secret, 2, 250, shares));
    shamir_field_free(small);
}

static void shamir_field_new__refuses_what_cannot_be_a_prime(void **state)
{
    uint8_t large[SHAMIR_VALUE_MAX + 1];
    struct shamir_field *f = NULL;

    (void)state;
    memset(large, 0xff, sizeof(large));
    assert_rc(shamir_field_new(SLICE(large), &f), RC_MALFORMED);
    assert_rc(shamir_field_new(slice_of("\x01", 1), &f), RC_MALFORMED);
    assert_rc(shamir_field_new(slice_of("\x02", 1), &f), RC_MALFORMED);
    assert_rc(shamir_field_new(slice_of("\x10", 1), &f), RC_MALFORMED);
    assert_rc(shamir_field_new(slice_of("\0\0", 2), &f), RC_MALFORMED);
    assert_rc(shamir_field_new(slice_of("", 0), &f), RC_MALFORMED);
    assert_null(f);
    assert_null(shamir_field_named("2^255-18"));
    assert_null(shamir_field_named(""));
}

static void shamir_field_named__has_the_primes_of_the_vectors(void **state)
{
    size_t i;
    json_t *c;
    unsigned seen = 0;

    (void)state;
    json_array_foreach (array_of(vectors, "cases"), i, c) {
        const struct shamir_field *named = shamir_field_named(text_of(c, "prime"));
        if (!named)
            continue;
        struct shamir_field *f = field_of_prime(text_of(c, "prime_hex"));
        assert_memory_equal(&named->p, &f->p, sizeof(f->p));
        assert_memory_equal(&named->p_minus_2, &f->p_minus_2, sizeof(f->p));
        assert_int_equal(named->bytes, f->bytes);
        assert_int_equal(named->top_mask, f->top_mask);
        shamir_field_free(f);
        seen++;
    }
    assert_int_equal(seen, 63);
}

/* Any t-1 shares fit every secret: for each of the 251 there is exactly one polynomial. */
static void shamir__fewer_shares_than_the_threshold_say_nothing(void **state)
{
    struct shamir_field *f = field_of_u64(251);
    struct shamir_share set[3] = {
        {.index = 2,      .value = {17}},
        {.index = 5,               .value = {201}},
        {.index = 9}
    };
    unsigned times[251] = {0};
    uint8_t secret;

    (void)state;
    for (unsigned v = 0; v < 251; v++) { /* two shares are known; whatever the third is, another secret */
        set[2].value[0] = (uint8_t)v;
        assert_ok(shamir_combine(f, set, 3, &secret));
        times[secret]++;
    }
    for (unsigned v = 0; v < 251; v++)
        assert_int_equal(times[v], 1);
    shamir_field_free(f);
}

/* The shares of one fixed secret are uniform: chi-square over 250 degrees of freedom, far outside only by a fault. */
static void shamir_split__draws_uniform_coefficients(void **state)
{
    enum { ROUNDS = 251 * 200 };
    struct shamir_field *f = field_of_u64(251);
    struct shamir_share shares[3];
    unsigned count[2][251] = {{0}}, highest_zero = 0;
    uint8_t secret = 77;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_ok(shamir_split(f, &secret, 2, 3, shares));
        count[0][shares[0].value[0]]++;
        count[1][shares[2].value[0]]++;
        highest_zero += shares[0].value[0] == secret; /* degree 0: must happen, once in 251 */
    }
    for (unsigned k = 0; k < 2; k++) {
        double chi = 0;
        for (unsigned v = 0; v < 251; v++) {
            double d = (double)count[k][v] - 200.0;
            chi += d * d / 200.0;
        }
        assert_true(chi > 120 && chi < 420); /* mean 250, deviation 22: 6 and 7 deviations away */
    }
    assert_true(highest_zero > 80 && highest_zero < 350);
    shamir_field_free(f);
}

/* All of a small field against the machine's own arithmetic. */
static void field__agrees_with_machine_arithmetic(void **state)
{
    static const uint64_t primes[] = {3, 5, 251, 257, 65537, 0x1fffffffffffffff, 0xffffffffffffffc5};
    __extension__ typedef unsigned __int128 u128;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(primes); i++) {
        uint64_t p = primes[i], x = 1, y = p - 1;
        struct shamir_field *f = field_of_u64(p);
        for (unsigned k = 0; k < 300; k++) {
            struct fe a = {{x}}, b = {{y}}, am, r;
            fe_add(f, &a, &b, &r);
            assert_true(r.w[0] == (uint64_t)(((u128)x + y) % p));
            fe_sub(f, &a, &b, &r);
            assert_true(r.w[0] == (uint64_t)(((u128)x + p - y) % p));
            fe_mul(f, &a, &f->rr, &am);
            fe_mul(f, &b, &am, &r);
            assert_true(r.w[0] == (uint64_t)((u128)x * y % p));
            fe_invert(f, &am, &r);
            fe_mul(f, &r, &a, &r); /* (1/x, Montgomery) times x, plain */
            assert_true(r.w[0] == (x ? 1 : 0));
            x = (uint64_t)(((u128)x * 6364136223846793005u + k) % p);
            y = (uint64_t)(((u128)y * 2862933555777941757u + k) % p);
        }
        shamir_field_free(f);
    }
}

/* The largest modulus of ten limbs (2^640 - 305 is odd; a product needs no prime): (p-1)^2 is 1. */
static void field__holds_at_its_largest(void **state)
{
    uint8_t bytes[SHAMIR_VALUE_MAX];
    struct shamir_field *f = NULL;
    struct fe a, am, r, one = {{1}};

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    bytes[SHAMIR_VALUE_MAX - 2] = 0xfe;
    bytes[SHAMIR_VALUE_MAX - 1] = 0xcf;
    assert_ok(shamir_field_new(SLICE(bytes), &f));
    assert_int_equal(shamir_value_len(f), SHAMIR_VALUE_MAX);
    assert_false(fe_from_bytes(f, bytes, &a)); /* the modulus itself */
    bytes[SHAMIR_VALUE_MAX - 1] = 0xce;
    assert_true(fe_from_bytes(f, bytes, &a));
    fe_mul(f, &a, &f->rr, &am);
    fe_mul(f, &a, &am, &r);
    assert_memory_equal(&r, &one, sizeof(r));
    fe_add(f, &a, &one, &r);
    assert_true(r.w[0] == 0);
    shamir_field_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shamir__agrees_with_every_vector_case),
        cmocka_unit_test(shamir_combine__reads_shares_of_another_library),
        cmocka_unit_test(shamir_share_parse__does_not_take_hexadecimal_indices),
        cmocka_unit_test(shamir_share_parse__refuses_every_other_spelling),
        cmocka_unit_test(shamir_share_text__refuses_an_index_that_is_none),
        cmocka_unit_test(shamir_combine__refuses_sets_that_are_none),
        cmocka_unit_test(shamir_split__gives_shares_that_combine),
        cmocka_unit_test(shamir_split__refuses_numbers_outside),
        cmocka_unit_test(shamir_field_new__refuses_what_cannot_be_a_prime),
        cmocka_unit_test(shamir_field_named__has_the_primes_of_the_vectors),
        cmocka_unit_test(shamir__fewer_shares_than_the_threshold_say_nothing),
        cmocka_unit_test(shamir_split__draws_uniform_coefficients),
        cmocka_unit_test(field__agrees_with_machine_arithmetic),
        cmocka_unit_test(field__holds_at_its_largest),
    };
    return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
