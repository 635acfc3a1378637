/* Keys of users as the AS's store takes them. */
#ifndef KERB_TESTS_USERS_H
#define KERB_TESTS_USERS_H

#include "as/store.h"
#include "tests/unit/unit.h"

static inline struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static inline struct as_keys classic_keys(const struct key *classic)
{
    return (struct as_keys){.classic = *classic};
}

/* Random keys of both profiles. */
static inline struct as_keys both_keys(uint32_t iterations)
{
    struct as_keys keys = {0};
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &keys.sealed));
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &keys.classic));
    assert_ok(userkey_params_make(iterations, &keys.params));
    return keys;
}

static inline struct as_keys sealed_keys(uint32_t iterations)
{
    struct as_keys keys = both_keys(iterations);
    keys.classic = (struct key){0};
    return keys;
}

#endif
