/*
 * Balanced trees: libbsd's intrusive red-black macros, made quiet for unused functions.
 *
 * A tree has no worst case that a peer can provoke, so no map of kerb is a hash table.
 */
#ifndef KERB_BASE_TREE_H
#define KERB_BASE_TREE_H

#include <bsd/sys/tree.h>
#include <stdint.h>

#define TREE_GENERATE(name, type, field, cmp) \
    RB_GENERATE_INTERNAL(name, type, field, cmp, __attribute__((unused)) static)

/* RB_FIND and the like change nothing, but their macros take a tree that they could change. */
#define TREE_CONST(name, head) ((struct name *)(uintptr_t)(head))

#endif
