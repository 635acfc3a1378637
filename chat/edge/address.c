/*
 * How many sessions each client address has. An IPv6 network of 64 bits counts as one: whoever has one has all its
 * addresses.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "chat/edge/internal.h"

static int compare(const struct address *a, const struct address *b)
{
    return strcmp(a->text, b->text);
}

TREE_GENERATE(address_tree, address, in_tree, compare)

static void network_text(const char *text, char out[ADDRESS_MAX])
{
    struct in6_addr v6;

    (void)snprintf(out, ADDRESS_MAX, "%s", text);
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return;
    memset(v6.s6_addr + 8, 0, 8);
    (void)inet_ntop(AF_INET6, &v6, out, ADDRESS_MAX);
}

struct address *address_hold(struct edge *e, const char *text)
{
    struct address key;

    network_text(text, key.text);
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
