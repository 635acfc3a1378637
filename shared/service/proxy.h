/*
 * The client's address behind trusted proxies: the peer, or the right-most address of X-Forwarded-For that is not a
 * trusted proxy, if the peer is one. What a client wrote further left is never believed.
 */
#ifndef KERB_SERVICE_PROXY_H
#define KERB_SERVICE_PROXY_H

#include <sys/socket.h>

#include "shared/base/text.h"

#define PROXY_LIST_MAX   32
#define PROXY_HEADER_MAX 2048 /* bytes of X-Forwarded-For that are looked at, from the right */

struct proxy_list {
    struct {
        uint8_t bytes[16]; /* IPv6, or IPv4-mapped */
        uint8_t bits;
    } nets[PROXY_LIST_MAX];
    size_t n;
};

/* Space-separated addresses and networks. Errors: BAD_CONFIG. */
MUST enum rc proxy_list_parse(const char *text, struct proxy_list *ret);

/*
 * In:  peer - address of the socket's peer; forwarded - all X-Forwarded-For values joined by ", " (may be empty)
 * Out: the address as text; an IPv4-mapped IPv6 address is written as IPv4
 */
void proxy_client_address(const struct proxy_list *list, const struct sockaddr *peer, struct slice forwarded,
                          char out[ADDRESS_MAX]);

#endif
