/* The headers of an upgrade, one a line, in the order of `lines`; libwebsockets is played here. */
#include "chat/edge/internal.h"

#include "shared/base/base64.h"
#include "tests/fuzz/fuzz.h"

static const enum lws_token_indexes lines[] = {
    WSI_TOKEN_GET_URI,
    WSI_TOKEN_HTTP,
    WSI_TOKEN_VERSION,
    WSI_TOKEN_KEY,
    WSI_TOKEN_PROTOCOL,
    WSI_TOKEN_ORIGIN,
    WSI_TOKEN_HTTP_CONTENT_LENGTH,
    WSI_TOKEN_HTTP_TRANSFER_ENCODING,
    WSI_TOKEN_X_FORWARDED_FOR,
};

static struct slice headers[ARRAY_LEN(lines)];
static struct conf conf;
static struct edge edge;
static int answered; /* the status of a refusal; 0: none */

int __wrap_lws_hdr_copy(struct lws *wsi, char *to, int size, enum lws_token_indexes token);
int __wrap_lws_hdr_total_length(struct lws *wsi, enum lws_token_indexes token);
lws_sockfd_type __wrap_lws_get_socket_fd(struct lws *wsi);
bool __wrap_wire_allows(const struct wire *w, enum wire_profile profile);
int __wrap_http_answer(struct lws *wsi, const struct http_head *head, const char *body);
bool __wrap_quota_take(struct quota *q);

static struct slice header(enum lws_token_indexes token)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (lines[i] == token)
            return headers[i];
    return slice_of(NULL, 0);
}

/* As libwebsockets does it: the copy ends with a zero, and -1 stands for one that has no room. */
int __wrap_lws_hdr_copy(struct lws *wsi, char *to, int size, enum lws_token_indexes token)
{
    struct slice h = header(token);

    (void)wsi;
    to[0] = 0;
    if (h.n >= (size_t)size)
        return -1;
    if (h.n)
        memcpy(to, h.p, h.n);
    to[h.n] = 0;
    return (int)h.n;
}

int __wrap_lws_hdr_total_length(struct lws *wsi, enum lws_token_indexes token)
{
    (void)wsi;
    return (int)header(token).n;
}

lws_sockfd_type __wrap_lws_get_socket_fd(struct lws *wsi)
{
    (void)wsi;
    return -1;
}

bool __wrap_wire_allows(const struct wire *w, enum wire_profile profile)
{
    (void)w;
    return profile < WIRE_PROFILES;
}

int __wrap_http_answer(struct lws *wsi, const struct http_head *head, const char *body)
{
    (void)wsi;
    CHECK(body[0] == '{');
    answered = head->status;
    return -1;
}

bool __wrap_quota_take(struct quota *q)
{
    (void)q;
    return false;
}

void fuzz_open(void)
{
    conf_default(&conf);
    (void)snprintf(conf.chat_origins, sizeof conf.chat_origins, "https://chat.example.org http://localhost:8080");
    edge.o.conf = &conf;
}

static bool is_one_of(struct slice s, const char *a, const char *b)
{
    return slice_eq(s, slice_text(a)) || slice_eq(s, slice_text(b));
}

static void check_accepted(void)
{
    AUTO(buf_done) struct buf nonce = {0};
    struct slice origin = header(WSI_TOKEN_ORIGIN);

    CHECK(is_one_of(header(WSI_TOKEN_GET_URI), "/chat", "/chat/"));
    CHECK(slice_eq(header(WSI_TOKEN_HTTP), slice_text("HTTP/1.1")));
    CHECK(slice_eq(header(WSI_TOKEN_VERSION), slice_text("13")));
    CHECK(header(WSI_TOKEN_HTTP_TRANSFER_ENCODING).n == 0);
    CHECK(is_one_of(header(WSI_TOKEN_HTTP_CONTENT_LENGTH), "", "0"));
    CHECK(is_one_of(header(WSI_TOKEN_PROTOCOL), "", WIRE_SUBPROTOCOL));
    if (base64_decode_lenient(header(WSI_TOKEN_KEY), &nonce) == RC_OK) /* unused bits are nobody's business */
        CHECK(nonce.n == 16);
    CHECK(origin.n == 0 || origin_is_allowed(conf.chat_origins, origin));
}

void fuzz_one(struct slice input)
{
    struct lws *wsi = (struct lws *)(void *)headers;
    char address[ADDRESS_MAX];

    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        headers[i] = fuzz_line(&input);
    answered = 0;
    int rc = upgrade_check(&edge, wsi);
    CHECK((rc == 0) == (answered == 0));
    if (rc == 0)
        check_accepted();
    else
        CHECK(answered >= 400 && answered < 500);
    upgrade_address(&edge, wsi, address);
    CHECK(strcmp(address, "local") == 0);
}
