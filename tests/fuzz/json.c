/* JSON: the quick reader of plain objects against Jansson, and what our writer makes of a text. */
#include <string.h>

#include "shared/base/json.h"
#include "shared/base/json_flat.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

static json_t *by_jansson(struct slice text)
{
    return json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
}

/* The deepest nesting, the outermost object included. */
static int depth_of(const json_t *j)
{
    int deepest = 0;
    const char *name;
    json_t *v;
    size_t i;

    if (json_is_object(j))
        json_object_foreach ((json_t *)(uintptr_t)j, name, v)
            deepest = depth_of(v) > deepest ? depth_of(v) : deepest;
    else if (json_is_array(j))
        json_array_foreach (j, i, v)
            deepest = depth_of(v) > deepest ? depth_of(v) : deepest;
    else
        return 0;
    return deepest + 1;
}

/* A text that goes through the writer and comes back is the same. */
static void check_writer(struct slice text)
{
    AUTO(buf_done) struct buf out = {0};
    AUTO(json_done) json_t *j = NULL;
    struct slice back;

    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "text", text);
    jw_close(&w, '}');
    CHECK_OK(jw_end(&w));
    if (text.n && memchr(text.p, 0, text.n))
        return; /* a NUL is written as an escape, and no reader of ours takes it */
    CHECK_OK(json_parse_object(buf_slice(&out), JSON_DEPTH_HTTP, &j));
    CHECK_OK(json_get_text(j, "text", &back));
    CHECK(slice_eq(back, text));
}

void fuzz_one(struct slice input)
{
    AUTO(json_done) json_t *flat = NULL, *whole = NULL, *parsed = NULL;

    if (utf8_valid(input))
        check_writer(input);
    whole = by_jansson(input);
    for (int depth = 1; depth <= 2; depth++) {
        flat = json_flat(input, depth);
        CHECK(!flat || (whole && json_equal(flat, whole) && depth_of(flat) <= depth));
        json_done(&flat);
    }
    enum rc rc = json_parse_object(input, JSON_DEPTH_CHAT, &parsed);
    bool is_good = json_is_object(whole) && depth_of(whole) <= JSON_DEPTH_CHAT;
    CHECK((rc == RC_OK) == is_good);
    CHECK((rc == RC_OK) == (parsed != NULL));
    CHECK(!parsed || json_equal(parsed, whole));
}
