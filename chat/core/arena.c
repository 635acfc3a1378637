/* Memory of one step. */
#include "chat/core/internal.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

struct arena_block {
    SLIST_ENTRY(arena_block) link;
    size_t used, size;
    alignas(max_align_t) uint8_t bytes[];
};

void must(enum rc rc)
{
    if (rc != RC_OK)
        abort();
}

void *arena_get(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    struct arena_block *b = SLIST_FIRST(&a->blocks);

    n = (n + align - 1) / align * align;
    if (!b || b->size - b->used < n) {
        size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        b = calloc(1, sizeof(*b) + size);
        if (!b)
            abort();
        b->size = size;
        SLIST_INSERT_HEAD(&a->blocks, b, link);
    }
    void *p = b->bytes + b->used;
    b->used += n;
    return p;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    uint8_t *p = arena_get(a, s.n ? s.n : 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return slice_of(p, s.n);
}

static void blocks_free(struct arena *a, const struct arena_block *keep)
{
    struct arena_block *b, *next;

    for (b = SLIST_FIRST(&a->blocks); b; b = next) {
        next = SLIST_NEXT(b, link);
        wipe(b->bytes, b->used);
        b->used = 0;
        if (b != keep)
            free(b);
    }
    SLIST_INIT(&a->blocks);
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL, *b;

    SLIST_FOREACH (b, &a->blocks, link)
        if (b->size == BLOCK_BYTES)
            keep = b;
    blocks_free(a, keep);
    if (keep)
        SLIST_INSERT_HEAD(&a->blocks, keep, link);
}

void arena_free(struct arena *a)
{
    blocks_free(a, NULL);
}
