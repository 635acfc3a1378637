/* Addresses are compared as 16 bytes: IPv4 is written as an IPv4-mapped IPv6 address, so there is one kind. */
#include "shared/service/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define V4_PREFIX 12 /* bytes before the address in an IPv4-mapped one */

struct addr {
    uint8_t b[16];
};

static const uint8_t v4_prefix[V4_PREFIX] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static bool is_v4(const struct addr *a)
{
    return memcmp(a->b, v4_prefix, V4_PREFIX) == 0;
}

static bool addr_parse(struct slice text, struct addr *ret)
{
    char s[ADDRESS_MAX];

    if (text.n == 0 || text.n >= sizeof s)
        return false;
    memcpy(s, text.p, text.n);
    s[text.n] = 0;
    memcpy(ret->b, v4_prefix, V4_PREFIX);
    return inet_pton(AF_INET, s, ret->b + V4_PREFIX) == 1 || inet_pton(AF_INET6, s, ret->b) == 1;
}

/* For every request: inet_ntop prints by a format, and costs ten times this. */
static void v4_text(const uint8_t b[4], char *out)
{
    for (size_t i = 0; i < 4; i++) {
        if (b[i] >= 100)
            *out++ = (char)('0' + b[i] / 100);
        if (b[i] >= 10)
            *out++ = (char)('0' + b[i] / 10 % 10);
        *out++ = (char)('0' + b[i] % 10);
        *out++ = i < 3 ? '.' : 0;
    }
}

static void addr_text(const struct addr *a, char out[ADDRESS_MAX])
{
    if (is_v4(a))
        v4_text(a->b + V4_PREFIX, out);
    else if (!inet_ntop(AF_INET6, a->b, out, ADDRESS_MAX))
        out[0] = 0;
}

static bool addr_of_peer(const struct sockaddr *peer, struct addr *ret)
{
    if (peer->sa_family == AF_INET) {
        memcpy(ret->b, v4_prefix, V4_PREFIX);
        memcpy(ret->b + V4_PREFIX, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
        return true;
    }
    if (peer->sa_family == AF_INET6) {
        memcpy(ret->b, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
        return true;
    }
    return false;
}

/* True when the first `bits` of both are equal. */
static bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool has_host_bits(const struct addr *a, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        if (a->b[i / 8] & (0x80 >> i % 8))
            return true;
    return false;
}

/* "a.b.c.d", "a.b.c.d/n", "x::y", "x::y/n"; bits behind the prefix must be 0: they would be a slip of the pen. */
static enum rc net_parse(struct slice text, struct proxy_list *list)
{
    const uint8_t *slash = memchr(text.p, '/', text.n);
    size_t addr_n = slash ? (size_t)(slash - text.p) : text.n;
    struct addr a;
    uint64_t bits = 128;

    if (list->n == PROXY_LIST_MAX || !addr_parse(slice_of(text.p, addr_n), &a))
        return RC_BAD_CONFIG;
    bool v4 = memchr(text.p, ':', addr_n) == NULL;
    if (slash) {
        if (parse_u64(slice_of(slash + 1, text.n - addr_n - 1), v4 ? 32 : 128, &bits) != RC_OK)
            return RC_BAD_CONFIG;
        bits += v4 ? 96 : 0;
    }
    if (has_host_bits(&a, (unsigned)bits))
        return RC_BAD_CONFIG;
    memcpy(list->nets[list->n].bytes, a.b, sizeof a.b);
    list->nets[list->n++].bits = (uint8_t)bits;
    return RC_OK;
}

enum rc proxy_list_parse(const char *text, struct proxy_list *ret)
{
    struct proxy_list list = {0};

    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, " ");
        if (n == 0)
            break;
        TRY(net_parse(slice_of(text, n), &list));
        text += n;
    }
    *ret = list;
    return RC_OK;
}

static bool is_trusted(const struct proxy_list *list, const struct addr *a)
{
    for (size_t i = 0; i < list->n; i++)
        if (same_prefix(list->nets[i].bytes, a->b, list->nets[i].bits))
            return true;
    return false;
}

/* Some proxies write "a.b.c.d:port" or "[x::y]:port". */
static struct slice without_port(struct slice s)
{
    const uint8_t *colon = s.n ? memchr(s.p, ':', s.n) : NULL;

    if (!colon)
        return s;
    if (s.p[0] == '[') {
        const uint8_t *end = memchr(s.p, ']', s.n);
        return end ? slice_of(s.p + 1, (size_t)(end - s.p) - 1) : s;
    }
    bool only_one = memchr(colon + 1, ':', s.n - (size_t)(colon - s.p) - 1) == NULL;
    return only_one ? slice_of(s.p, (size_t)(colon - s.p)) : s;
}

/* The part that is looked at: from the right, and not beginning within an address. */
static struct slice forwarded_tail(struct slice s)
{
    if (s.n <= PROXY_HEADER_MAX)
        return s;
    s = slice_of(s.p + s.n - PROXY_HEADER_MAX, PROXY_HEADER_MAX);
    const uint8_t *comma = memchr(s.p, ',', s.n);
    if (!comma)
        return slice_of(s.p, 0);
    return slice_of(comma, s.n - (size_t)(comma - s.p));
}

void proxy_client_address(const struct proxy_list *list, const struct sockaddr *peer, struct slice forwarded,
                          char out[ADDRESS_MAX])
{
    struct addr client;

    if (!addr_of_peer(peer, &client)) {
        (void)snprintf(out, ADDRESS_MAX, "local");
        return;
    }
    forwarded = forwarded_tail(forwarded);
    while (forwarded.n && is_trusted(list, &client)) {
        const uint8_t *comma = memrchr(forwarded.p, ',', forwarded.n);
        size_t start = comma ? (size_t)(comma - forwarded.p) + 1 : 0;
        struct slice last = slice_trim(slice_of(forwarded.p + start, forwarded.n - start), " \t");
        struct addr next;
        if (!addr_parse(without_port(last), &next))
            break; /* nobody vouches for what is further left */
        client = next;
        forwarded.n = comma ? start - 1 : 0;
    }
    addr_text(&client, out);
}
