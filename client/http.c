/* libcurl, kept on a short leash. */
#include "client/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_S 10L

struct http {
    CURL *curl;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
};

static void global_setup(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct buf *body = ctx;

    (void)size; /* always 1 */
    if (body->n + n > CLIENT_ANSWER_MAX || buf_add(body, slice_of(p, n)) != RC_OK)
        return CURL_WRITEFUNC_ERROR;
    return n;
}

static bool configure(struct http *h, const char *ca_file, unsigned timeout_s)
{
    CURL *c = h->curl;
    struct curl_slist *more = curl_slist_append(h->headers, "Content-Type: application/json");

    if (more)
        h->headers = more;
    more = more ? curl_slist_append(h->headers, "Expect:") : NULL; /* no pause before the body */
    if (!more)
        return false;
    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (ca_file[0] == 0 || curl_easy_setopt(c, CURLOPT_CAINFO, ca_file) == CURLE_OK) &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)timeout_s) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "kerb/" KERB_VERSION) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error) == CURLE_OK;
}

enum rc http_open(const char *ca_file, unsigned timeout_s, struct http **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, global_setup);
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return RC_NO_MEMORY;
    h->curl = curl_easy_init();
    if (!h->curl || !configure(h, ca_file, timeout_s)) {
        http_close(h);
        return RC_NO_MEMORY;
    }
    *ret = h;
    return RC_OK;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    curl_slist_free_all(h->headers);
    free(h);
}

static void tell(const struct http *h, CURLcode code, struct answer *ret)
{
    const char *why = h->error[0] ? h->error : curl_easy_strerror(code);

    (void)snprintf(ret->error, sizeof ret->error, "%s", why);
}

static bool is_loopback(const char *url)
{
    CURLU *u = curl_url();
    char *host = NULL;
    struct in_addr v4;

    bool is = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
               (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127));
    curl_free(host);
    curl_url_cleanup(u);
    return is;
}

bool client_url_is_loopback(const struct kerb *k)
{
    return is_loopback(kerb_url(k));
}

enum rc http_post(void *ctx, const char *url, struct slice body, struct answer *ret)
{
    struct http *h = ctx;
    int64_t started = clock_monotonic_ms();

    h->error[0] = 0;
    if (curl_easy_setopt(h->curl, CURLOPT_URL, url) != CURLE_OK ||
        /* a proxy of the environment does not lead back to this machine */
        curl_easy_setopt(h->curl, CURLOPT_NOPROXY, is_loopback(url) ? "*" : NULL) != CURLE_OK ||
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n) != CURLE_OK ||
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, (const char *)body.p) != CURLE_OK ||
        curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &ret->body) != CURLE_OK)
        return RC_NO_MEMORY;
    CURLcode code = curl_easy_perform(h->curl);
    ret->took_ms = clock_monotonic_ms() - started;
    if (code == CURLE_WRITE_ERROR)
        return RC_LIMIT;
    if (code != CURLE_OK || curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &ret->status) != CURLE_OK) {
        tell(h, code, ret);
        return RC_IO;
    }
    return RC_OK;
}

/* --- URLs --- */

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static bool may_be_ours(CURLU *u)
{
    char *scheme = NULL;
    bool is_http = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    return is_http && has_part(u, CURLUPART_HOST) && !has_part(u, CURLUPART_USER) && !has_part(u, CURLUPART_PASSWORD) &&
           !has_part(u, CURLUPART_QUERY) && !has_part(u, CURLUPART_FRAGMENT);
}

static enum rc url_text(CURLU *u, struct buf *out)
{
    char *text = NULL;

    if (!may_be_ours(u) || curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return RC_MALFORMED;
    size_t n = strlen(text);
    while (n && text[n - 1] == '/')
        n--;
    enum rc rc = n > KERB_URL_MAX ? RC_MALFORMED : buf_add(out, slice_of(text, n));
    curl_free(text);
    return rc;
}

enum rc http_url_check(const char *text, struct buf *out)
{
    CURLU *u = curl_url();

    if (!u)
        return RC_NO_MEMORY;
    enum rc rc = curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK ? url_text(u, out) : RC_MALFORMED;
    curl_url_cleanup(u);
    return rc;
}
