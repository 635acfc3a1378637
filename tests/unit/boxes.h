/* Classic boxes as clients and attackers make them. */
#ifndef KERB_TESTS_BOXES_H
#define KERB_TESTS_BOXES_H

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "shared/crypto/box.h"
#include "tests/unit/unit.h"

/* Appends a box of the text. */
static inline void box_of(const uint8_t key[BOX_KEY], const char *text, struct buf *out)
{
    assert_ok(box_seal(key, slice_text(text), out));
}

/* "2026-11-20 10:00:00" of a time. */
static inline const char *stamp_of(int64_t unix_s)
{
    static char text[CLASSIC_TIME_LEN + 1];
    time_format_classic(unix_s, text);
    return text;
}

/* The box with IV[i] ^= x[i]: changes the letters of the first block and nothing else. */
static inline void box_turn_iv(struct buf *box, const uint8_t *x, size_t n)
{
    AUTO(buf_done) struct buf raw = {0};
    assert_ok(base64_decode_lenient(buf_slice(box), &raw));
    for (size_t i = 0; i < n; i++)
        raw.p[i] ^= x[i];
    buf_reset(box);
    assert_ok(base64_encode(buf_slice(&raw), box));
}

/* The box without its last block. */
static inline void box_cut_block(struct buf *box)
{
    AUTO(buf_done) struct buf raw = {0};
    assert_ok(base64_decode_lenient(buf_slice(box), &raw));
    assert_true(raw.n > 48);
    raw.n -= AES_BLOCK;
    buf_reset(box);
    assert_ok(base64_encode(buf_slice(&raw), box));
}

/* Opens a box that holds a JSON object. */
static inline json_t *box_object(const uint8_t key[BOX_KEY], struct slice box)
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t digest[SHA256_LEN];
    json_t *object;
    assert_ok(box_open(key, box, &text, digest));
    assert_ok(json_parse_object(buf_slice(&text), JSON_DEPTH_HTTP, &object));
    return object;
}

static inline struct slice member_text(const json_t *object, const char *name)
{
    struct slice s = {0};
    assert_ok(json_get_text(object, name, &s));
    return s;
}

static inline int64_t member_int(const json_t *object, const char *name)
{
    int64_t v = 0;
    assert_ok(json_get_int(object, name, &v));
    return v;
}

static inline int64_t member_time(const json_t *object, const char *name)
{
    int64_t v = 0;
    assert_ok(json_get_time(object, name, &v));
    return v;
}

#endif
