/* How many sessions each client address has. */
#include <stdio.h>
#include <stdlib.h>

#include "chat/edge/internal.h"

static int compare(const struct address *a, const struct address *b)
{
    return strcmp(a->text, b->text);
}

TREE_GENERATE(address_tree, address, in_tree, compare)

struct address *address_hold(struct edge *e, const char *text)
{
    struct address key;

    (void)snprintf(key.text, sizeof(key.text), "%s", text);
    struct address *a = RB_FIND(address_tree, &e->addresses, &key);
    if (!a) {
        a = calloc(1, sizeof(*a));
        if (!a)
            return NULL;
        memcpy(a->text, key.text, sizeof(a->text));
        RB_INSERT(address_tree, &e->addresses, a);
    }
    a->sessions_n++;
    return a;
}

void address_release(struct edge *e, struct address *a)
{
    if (!a || --a->sessions_n > 0)
        return;
    RB_REMOVE(address_tree, &e->addresses, a);
    free(a);
}
