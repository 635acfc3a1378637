/* Memory of JSON objects: pieces of a pocket that each thread has, taken one behind the other. */
#include "shared/base/json_pocket.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdlib.h>

#include "shared/base/buf.h"

#define POCKET (UNDER_SANITIZER ? 1 : 8192) /* bytes: the objects of most requests fit; 1: none */

struct pocket {
    alignas(max_align_t) uint8_t bytes[POCKET];
    size_t used, pieces;
};

static _Thread_local struct pocket mine;

static bool is_mine(const void *p)
{
    return (uintptr_t)p - (uintptr_t)mine.bytes < POCKET;
}

void *json_pocket_take(size_t n)
{
    size_t aligned = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    if (aligned < n || aligned > POCKET - mine.used)
        return malloc(n);
    void *p = mine.bytes + mine.used;
    mine.used += aligned;
    mine.pieces++;
    return p;
}

void json_pocket_give(void *p)
{
    if (!p)
        return;
    if (!is_mine(p)) {
        wipe(p, malloc_usable_size(p));
        free(p);
    } else if (--mine.pieces == 0) {
        wipe(mine.bytes, mine.used);
        mine.used = 0;
    }
}
