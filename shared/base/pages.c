/* Pages for secrets. */
#include "shared/base/pages.h"

#include <sys/mman.h>

#include "shared/base/buf.h"

void *pages_take(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    (void)mlock(p, n);
    (void)madvise(p, n, MADV_DONTDUMP);
    return p;
}

void pages_give(void *p, size_t n)
{
    if (!p)
        return;
    wipe(p, n);
    (void)munmap(p, n);
}
