/*
 * The client's address behind proxies. First line: the trusted ones; second: the peer's address; rest:
 * X-Forwarded-For.
 */
#include "shared/service/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

/* False: neither kind of address; then the peer is of no family that is known. */
static bool read_peer(struct slice text, struct sockaddr_storage *ret)
{
    AUTO(str_done) char *s = slice_dup(text);
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, s, &v4->sin_addr) == 1)
        ret->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, s, &v6->sin6_addr) == 1)
        ret->ss_family = AF_INET6;
    return ret->ss_family != AF_UNSPEC;
}

/* An address in its one spelling: IPv4 never as a mapped one. */
static bool is_address(const char *text)
{
    struct in6_addr a;
    char again[ADDRESS_MAX];

    if (inet_pton(AF_INET, text, &a) == 1)
        return true;
    return inet_pton(AF_INET6, text, &a) == 1 && !IN6_IS_ADDR_V4MAPPED(&a) &&
           inet_ntop(AF_INET6, &a, again, sizeof again) && strcmp(again, text) == 0;
}

void fuzz_one(struct slice input)
{
    AUTO(str_done) char *trusted = slice_dup(fuzz_line(&input));
    struct proxy_list list = {.n = 1000}, none = {0};
    struct sockaddr_storage peer;
    char client[ADDRESS_MAX], direct[ADDRESS_MAX];

    if (proxy_list_parse(trusted, &list) != RC_OK) {
        CHECK(list.n == 1000);
        list = none;
    }
    CHECK(list.n <= PROXY_LIST_MAX);
    bool has_peer = read_peer(fuzz_line(&input), &peer);
    proxy_client_address(&none, (struct sockaddr *)&peer, input, direct);
    proxy_client_address(&list, (struct sockaddr *)&peer, input, client);
    if (!has_peer) {
        CHECK(strcmp(client, "local") == 0 && strcmp(direct, "local") == 0);
        return;
    }
    CHECK(is_address(client) && is_address(direct));
    CHECK(list.n > 0 || strcmp(client, direct) == 0); /* nobody is believed */
    if (input.n == 0)
        CHECK(strcmp(client, direct) == 0);
}
