/*
 * Test vectors: a JSON file of tests/vectors, and its fields as bytes. What is missing fails the test.
 */
#ifndef KERB_TESTS_VECTORS_H
#define KERB_TESTS_VECTORS_H

#include <stdio.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "tests/unit/unit.h"

#ifndef TEST_VECTORS /* kerb_test() tells the true place */
#define TEST_VECTORS "tests/vectors"
#endif

/* The parsed file; json_decref by the caller. */
static inline json_t *vectors_load(const char *name)
{
    char path[512];
    json_error_t error;

    (void)snprintf(path, sizeof(path), "%s/%s", TEST_VECTORS, name);
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!j)
        fail_msg("%s: %s", path, error.text);
    return j;
}

static inline struct slice vector_text(const json_t *j, const char *field)
{
    struct slice s = {0};

    if (json_get_text(j, field, &s) != RC_OK)
        fail_msg("no text %s", field);
    return s;
}

static inline bool vector_is(const json_t *j, const char *field, const char *value)
{
    return slice_eq(vector_text(j, field), slice_text(value));
}

static inline int64_t vector_int(const json_t *j, const char *field)
{
    int64_t v = 0;

    if (json_get_int(j, field, &v) != RC_OK)
        fail_msg("no integer %s", field);
    return v;
}

/* The bytes of a hexadecimal field; buf_done by the caller. */
static inline struct buf vector_hex(const json_t *j, const char *field)
{
    struct buf b = {0};

    /* never NULL: some functions under test have declared arguments that may not be */
    if (buf_reserve(&b, 1) != RC_OK || hex_decode(vector_text(j, field), &b) != RC_OK)
        fail_msg("no hexadecimal %s", field);
    return b;
}

static inline void assert_bytes(struct slice got, struct slice want)
{
    assert_int_equal(got.n, want.n);
    if (want.n)
        assert_memory_equal(got.p, want.p, want.n);
}

#endif
