/*
 * Memory for secrets that live long: whole pages, zeroed, locked where the limit of locked memory allows it, and left
 * out of core dumps.
 */
#ifndef KERB_BASE_PAGES_H
#define KERB_BASE_PAGES_H

#include <stddef.h>

void *pages_take(size_t n);         /* bytes; NULL: no memory */
void pages_give(void *p, size_t n); /* wipes and returns them; accepts NULL */

#endif
