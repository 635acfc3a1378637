/*
 * The reference for the chat: a bare epoll WebSocket broadcaster that seals.
 *
 * Each connection has keys of its own. What any connection sends goes to all of them: the same plaintext (a fixed one
 * of
 * --plain bytes), per recipient a random IV and AES-128-CBC; then base64 and a text frame (--seal classic), or
 * HMAC-SHA-256 over --aad bytes with the number of the record, IV and ciphertext, and a binary frame (--seal sealed).
 * --mode plain sends each frame at once; --mode gather joins the frames of one loop turn and sends them with one call
 * per connection. No rooms, no JSON, no storage, no limits. Algorithms are fetched once, contexts are used again, the
 * pads of the HMAC are made with the key; random bytes are drawn in pieces of 4 KiB.
 *
 * Usage: ref_broadcast --plain BYTES [--mode plain|gather] [--seal classic|sealed] [--aad BYTES]. Prints its port; ends
 * by a signal.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/net.h"

#define CONNECTIONS_MAX 20000
#define PLAIN_MAX       32768
#define FRAME_MAX       (WS_HEAD_MAX + (PLAIN_MAX + 32 + 2) / 3 * 4 + 8)
#define IN_MAX          131072
#define AAD_MAX         4096
#define SHA256_BLOCK    64
#define TAG_LEN         16

struct conn {
    int fd;
    bool is_open, is_dirty, is_choked;
    uint8_t key[16];
    uint8_t inner[SHA256_BLOCK], outer[SHA256_BLOCK]; /* of the HMAC: its key XOR a byte */
    uint64_t number;                                  /* of the next record */
    uint8_t *in, *out; /* what waits for the rest of a frame; what waits for the socket */
    size_t in_n, out_n, out_cap;
};

static struct conn conns[CONNECTIONS_MAX];
static size_t conns_n;
static struct conn *dirty[CONNECTIONS_MAX];
static size_t dirty_n;
static int loop;
static bool is_gathering;
static uint8_t plain[PLAIN_MAX];
static size_t plain_len;
static bool is_sealing; /* the sealed profile */
static uint8_t aad[AAD_MAX];
static size_t aad_len;
static EVP_CIPHER_CTX *cipher;
static EVP_MD_CTX *digest;

static void draw(uint8_t *p, size_t n)
{
    static uint8_t pool[4096];
    static size_t used = sizeof(pool);

    if (used + n > sizeof(pool)) {
        if (RAND_bytes(pool, sizeof(pool)) != 1)
            die("no random bytes");
        used = 0;
    }
    memcpy(p, pool + used, n);
    used += n;
}

/* IV and ciphertext; returns their length. */
static size_t encrypt(const struct conn *c, uint8_t *raw)
{
    int n = 0, end = 0;

    draw(raw, 16);
    if (EVP_EncryptInit_ex2(cipher, NULL, c->key, raw, NULL) != 1 ||
        EVP_EncryptUpdate(cipher, raw + 16, &n, plain, (int)plain_len) != 1 ||
        EVP_EncryptFinal_ex(cipher, raw + 16 + n, &end) != 1)
        die("cannot encrypt");
    return (size_t)(16 + n + end);
}

static void hash(const uint8_t pad[SHA256_BLOCK], const struct slice *parts, size_t n, uint8_t out[EVP_MAX_MD_SIZE])
{
    bool ok = EVP_DigestInit_ex2(digest, NULL, NULL) && EVP_DigestUpdate(digest, pad, SHA256_BLOCK);
    for (size_t i = 0; i < n; i++)
        ok = ok && EVP_DigestUpdate(digest, parts[i].p, parts[i].n);
    if (!ok || !EVP_DigestFinal_ex(digest, out, NULL))
        die("cannot hash");
}

/* The tag behind n bytes of IV and ciphertext. */
static void add_tag(struct conn *c, uint8_t *raw, size_t n)
{
    uint8_t inner[EVP_MAX_MD_SIZE], outer[EVP_MAX_MD_SIZE], number[8], bits[8];

    put_u64be(number, c->number++);
    put_u64be(bits, (aad_len + sizeof(number)) * 8);
    const struct slice parts[4] = {slice_of(aad, aad_len), SLICE(number), slice_of(raw, n), SLICE(bits)};
    const struct slice digested = slice_of(inner, 32);
    hash(c->inner, parts, 4, inner);
    hash(c->outer, &digested, 1, outer);
    memcpy(raw + n, outer, TAG_LEN);
}

static size_t seal_classic(struct conn *c, uint8_t frame[FRAME_MAX])
{
    static uint8_t raw[16 + PLAIN_MAX + 16];
    size_t len = encrypt(c, raw), text = (len + 2) / 3 * 4;
    size_t head = ws_write_head(frame, WS_TEXT, text, false);

    (void)EVP_EncodeBlock(frame + head, raw, (int)len);
    return head + text;
}

static size_t seal_sealed(struct conn *c, uint8_t frame[FRAME_MAX])
{
    size_t len = 16 + (plain_len / 16 + 1) * 16;
    size_t head = ws_write_head(frame, WS_BINARY, len + TAG_LEN, false);

    (void)encrypt(c, frame + head);
    add_tag(c, frame + head, len);
    return head + len + TAG_LEN;
}

/* The frame for one recipient; returns its length. */
static size_t seal(struct conn *c, uint8_t frame[FRAME_MAX])
{
    return is_sealing ? seal_sealed(c, frame) : seal_classic(c, frame);
}

static void make_keys(struct conn *c)
{
    uint8_t key[SHA256_BLOCK] = {0};

    draw(c->key, sizeof(c->key));
    draw(key, 16);
    for (size_t i = 0; i < SHA256_BLOCK; i++) {
        c->inner[i] = key[i] ^ 0x36;
        c->outer[i] = key[i] ^ 0x5c;
    }
}

static void watch(struct conn *c, bool is_choked)
{
    struct epoll_event e = {.events = EPOLLIN | (is_choked ? EPOLLOUT : 0), .data.ptr = c};
    if (c->is_choked != is_choked && epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &e) != 0)
        die("epoll_ctl: %s", strerror(errno));
    c->is_choked = is_choked;
}

static void keep(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->out_n + n > c->out_cap) {
        c->out_cap = (c->out_n + n) * 2;
        c->out = realloc(c->out, c->out_cap);
        if (!c->out)
            die("out of memory");
    }
    memcpy(c->out + c->out_n, p, n);
    c->out_n += n;
}

/* Sends what the socket takes; returns the bytes sent. */
static size_t send_some(struct conn *c, const uint8_t *p, size_t n)
{
    ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        sent = (ssize_t)n; /* the connection is gone: its end is read soon */
    return sent < 0 ? 0 : (size_t)sent;
}

static void flush(struct conn *c)
{
    size_t sent = send_some(c, c->out, c->out_n);
    memmove(c->out, c->out + sent, c->out_n - sent);
    c->out_n -= sent;
    watch(c, c->out_n > 0);
}

static void push(struct conn *c)
{
    static uint8_t frame[FRAME_MAX];
    size_t n = seal(c, frame);

    if (is_gathering || c->out_n) {
        keep(c, frame, n);
        if (is_gathering && !c->is_dirty) {
            c->is_dirty = true;
            dirty[dirty_n++] = c;
        }
        return;
    }
    size_t sent = send_some(c, frame, n);
    if (sent < n) {
        keep(c, frame + sent, n - sent);
        watch(c, true);
    }
}

static void broadcast(void)
{
    for (size_t i = 0; i < conns_n; i++)
        if (conns[i].is_open)
            push(&conns[i]);
}

static void drop(struct conn *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
    *c = (struct conn){.fd = -1};
}

/* Answers the upgrade request when it is whole. Source: RFC 6455 s.4.2.2. */
static void upgrade(struct conn *c)
{
    char text[4096], accept[32], answer[256];
    uint8_t hashed[EVP_MAX_MD_SIZE];

    if (c->in_n >= sizeof(text))
        die("upgrade request is too long");
    memcpy(text, c->in, c->in_n);
    text[c->in_n] = 0;
    if (!strstr(text, "\r\n\r\n"))
        return;
    const char *key = strcasestr(text, "\r\nSec-WebSocket-Key: ");
    if (!key)
        die("upgrade request without a key");
    char joined[64];
    (void)snprintf(joined, sizeof(joined), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 21);
    if (EVP_Digest(joined, strlen(joined), hashed, NULL, EVP_sha1(), NULL) != 1)
        die("cannot hash");
    (void)EVP_EncodeBlock((uint8_t *)accept, hashed, 20);
    int n = snprintf(answer, sizeof(answer),
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    send_whole(c->fd, answer, (size_t)n);
    c->in_n = 0;
    c->is_open = true;
}

/* Takes whole frames from the front of what was read. Returns false when the client closes. */
static bool take_frames(struct conn *c)
{
    struct ws_head h;
    size_t at = 0;
    bool goes_on = true;

    while (goes_on && ws_parse(c->in + at, c->in_n - at, &h) && c->in_n - at >= h.head + h.len) {
        for (size_t i = 0; i < h.len; i++)
            c->in[at + h.head + i] ^= h.mask[i % 4];
        if (h.opcode == WS_TEXT)
            broadcast();
        goes_on = h.opcode != WS_CLOSE;
        at += h.head + h.len;
    }
    memmove(c->in, c->in + at, c->in_n - at);
    c->in_n -= at;
    return goes_on;
}

static void on_input(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_n, IN_MAX - c->in_n, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->in_n += (size_t)n;
    if (!c->is_open)
        upgrade(c);
    else if (!take_frames(c))
        drop(c);
}

static void on_connect(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (conns_n == CONNECTIONS_MAX)
            die("too many connections");
        struct conn *c = &conns[conns_n++];
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        *c = (struct conn){.fd = fd, .in = malloc(IN_MAX)};
        make_keys(c);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (!c->in || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e) != 0)
            die("cannot take a connection");
    }
}

static void serve(int listener)
{
    struct epoll_event events[256];
    int n = epoll_wait(loop, events, 256, -1);

    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (!c) {
            on_connect(listener);
            continue;
        }
        if (events[i].events & EPOLLOUT)
            flush(c);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            on_input(c);
    }
    for (size_t i = 0; i < dirty_n; i++) {
        dirty[i]->is_dirty = false;
        if (dirty[i]->is_open && !dirty[i]->is_choked)
            flush(dirty[i]);
    }
    dirty_n = 0;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"plain", required_argument, NULL, 'p'},
        {"mode",  required_argument, NULL, 'm'},
        {"seal",  required_argument, NULL, 's'},
        {"aad",   required_argument, NULL, 'a'},
        {NULL,    0,                 NULL, 0  },
    };
    int c, port;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'p')
            plain_len = (size_t)number_arg(optarg, 1, PLAIN_MAX);
        else if (c == 'm')
            is_gathering = strcmp(optarg, "gather") == 0;
        else if (c == 's')
            is_sealing = strcmp(optarg, "sealed") == 0;
        else if (c == 'a')
            aad_len = (size_t)number_arg(optarg, 0, AAD_MAX);
        else
            return 2;
    }
    EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    EVP_MD *sha = EVP_MD_fetch(NULL, "SHA256", NULL);
    cipher = EVP_CIPHER_CTX_new();
    digest = EVP_MD_CTX_new();
    if (!aes || !cipher || EVP_EncryptInit_ex2(cipher, aes, NULL, NULL, NULL) != 1)
        die("no AES");
    if (!sha || !digest || EVP_DigestInit_ex2(digest, sha, NULL) != 1)
        die("no SHA-256");
    memset(plain, 'x', sizeof(plain));
    int listener = tcp_listen(&port);
    loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e) != 0)
        die("epoll: %s", strerror(errno));
    printf("port %d\n", port);
    fflush(stdout);
    for (;;)
        serve(listener);
}
