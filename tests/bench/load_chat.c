/*
 * Load for the chat and for ref_broadcast: many WebSocket connections in one process.
 *
 * Usage: load_chat PORT FILE. Each line of FILE is one connection: the hexadecimal session key, a blank and the login
 * frame (classic); "sealed" and what sealed.h says; or "-" for a connection that needs no login (the reference).
 * Connects them all, waits until each was greeted, prints one JSON object, and then does what its standard input says,
 * one command a line, each answered by one object:
 *
 *   ask TYPE JSON                         seal JSON, send it on connection 0, wait for a frame of TYPE; gives that
 * frame quiet MS                              wait until nothing has come for MS milliseconds hold MS wait, answering
 * pings blast COUNT WINDOW SENDERS ROOM TEXT  send TEXT to ROOM COUNT times, from SENDERS connections in turn, at most
 * WINDOW messages not yet delivered to all; gives deliveries, seconds, spread
 *
 * A message is delivered when every connection has got a text frame for it: nothing else may be pushed meanwhile (see
 * quiet). Connection 0 opens every frame and looks that it is the message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "shared/crypto/box.h"
#include "tests/bench/net.h"
#include "tests/bench/sealed.h"

#define CONNECTIONS_MAX 20000
#define READ_MAX        (4 * 1024 * 1024) /* more than the longest frame */
#define COUNT_MAX       1000000
#define SEALED_WORD     "sealed "
#define PATIENCE_MS     20000 /* without any frame: the measurement has failed */

struct conn {
    int fd;
    bool is_boxed, is_greeted;
    uint8_t key[BOX_KEY];
    struct sealed_client *sealed; /* NULL: another profile */
    size_t got;                   /* text frames of this blast */
    struct buf rest;
};

static struct conn *conns;
static size_t conns_n, greeted_n;
static int loop;
static uint64_t frames_n, last_frame_us; /* text frames in all */
static struct buf answer;                /* the newest frame of connection 0, opened */

static struct {
    bool is_on;
    uint64_t delivered, checked, payload_len;
    const char *text;
    uint64_t *sent_us;
    size_t sent;
    struct spread spread;
} blast;

/* ---- frames ---- */

static void send_frame(struct conn *c, unsigned opcode, struct slice payload)
{
    static struct buf out;
    uint8_t head[WS_HEAD_MAX];

    buf_reset(&out);
    CHECK(buf_add(&out, slice_of(head, ws_write_head(head, opcode, payload.n, true))));
    CHECK(buf_add(&out, payload));
    send_whole(c->fd, out.p, out.n);
}

static void send_text(struct conn *c, struct slice text)
{
    AUTO(buf_done) struct buf sealed = {0};

    if (c->sealed)
        CHECK(record_seal(&c->sealed->c2s, text, &sealed));
    else if (c->is_boxed)
        CHECK(box_seal(c->key, text, &sealed));
    else
        CHECK(buf_add(&sealed, text));
    send_frame(c, c->sealed ? WS_BINARY : WS_TEXT, buf_slice(&sealed));
}

static void open_frame(struct conn *c, struct slice payload)
{
    uint8_t digest[SHA256_LEN];

    if (c->sealed)
        CHECK(record_open(&c->sealed->s2c, payload, &answer));
    else if (c->is_boxed)
        CHECK(box_open(c->key, payload, &answer, digest));
}

static void shake_hands(struct conn *c, struct slice payload)
{
    AUTO(buf_done) struct buf reply = {0};

    sealed_handshake(c->sealed, payload, &reply);
    if (reply.n)
        send_frame(c, WS_TEXT, buf_slice(&reply));
}

static void on_message(struct conn *c, struct slice payload)
{
    last_frame_us = monotonic_us();
    frames_n++;
    if (!c->is_greeted) {
        if (!c->sealed && payload.n && payload.p[0] == '{')
            die("login was refused: %.*s", SLICE_FMT(payload));
        c->is_greeted = true;
        greeted_n++;
    }
    if (c == conns)
        open_frame(c, payload);
    if (!blast.is_on)
        return;
    blast.delivered++;
    blast.payload_len = payload.n;
    if (c->got < blast.sent)
        spread_add(&blast.spread, last_frame_us - blast.sent_us[c->got]);
    c->got++;
    if (c == conns && ((!c->sealed && !c->is_boxed) || (memmem(answer.p, answer.n, blast.text, strlen(blast.text)) &&
                                                        memmem(answer.p, answer.n, "\"new_message\"", 13))))
        blast.checked++;
}

static void on_frame(struct conn *c, const struct ws_head *h, struct slice payload)
{
    if (!h->is_final)
        die("a frame in pieces");
    if (h->opcode == WS_TEXT && c->sealed)
        shake_hands(c, payload);
    else if (h->opcode == WS_TEXT || h->opcode == WS_BINARY)
        on_message(c, payload);
    else if (h->opcode == WS_PING)
        send_frame(c, WS_PONG, payload);
    else if (h->opcode == WS_CLOSE)
        die("closed by the server with %u", payload.n >= 2 ? payload.p[0] * 256u + payload.p[1] : 0u);
}

/* What came before lies in rest; whole frames are taken, the remainder is kept. */
static void read_frames(struct conn *c)
{
    static uint8_t in[READ_MAX];
    struct ws_head h;
    size_t at = 0, have = c->rest.n;

    if (have)
        memcpy(in, c->rest.p, have);
    ssize_t n = recv(c->fd, in + have, sizeof(in) - have, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("connection lost: %s", n ? strerror(errno) : "closed by the server");
    if (n > 0)
        have += (size_t)n;
    while (ws_parse(in + at, have - at, &h) && have - at >= h.head + h.len) {
        on_frame(c, &h, slice_of(in + at + h.head, h.len));
        at += h.head + h.len;
    }
    buf_done(&c->rest);
    if (have > at)
        CHECK(buf_add(&c->rest, slice_of(in + at, have - at)));
}

/* Reads what has come, waiting at most timeout_ms. */
static void pump(int timeout_ms)
{
    struct epoll_event events[512];
    int n = epoll_wait(loop, events, 512, timeout_ms);
    for (int i = 0; i < n; i++)
        read_frames(events[i].data.ptr);
}

/* ---- connecting ---- */

static void upgrade(struct conn *c, int port)
{
    static const char ending[] = "\r\n\r\n";
    char request[256], in[4096];
    size_t have = 0;

    c->fd = tcp_connect(port);
    int n = snprintf(request, sizeof(request),
                     "GET /chat HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n%s\r\n",
                     port, c->sealed ? "Sec-WebSocket-Protocol: kerb.v1\r\n" : "");
    send_whole(c->fd, request, (size_t)n);
    const uint8_t *end = NULL;
    while (!end) {
        ssize_t got = recv(c->fd, in + have, sizeof(in) - have, 0);
        if (got <= 0)
            die("no answer to the upgrade request");
        have += (size_t)got;
        end = memmem(in, have, ending, 4);
    }
    if (memcmp(in, "HTTP/1.1 101", 12) != 0)
        die("upgrade refused: %.*s", (int)have, in);
    size_t used = (size_t)(end + 4 - (const uint8_t *)in);
    if (have > used)
        CHECK(buf_add(&c->rest, slice_of(in + used, have - used)));
}

static void connect_line(struct conn *c, int port, char *line)
{
    AUTO(buf_done) struct buf key = {0};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

    if (strncmp(line, SEALED_WORD, sizeof(SEALED_WORD) - 1) == 0)
        c->sealed = sealed_parse(line + sizeof(SEALED_WORD) - 1);
    upgrade(c, port);
    set_nonblocking(c->fd);
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &e) != 0)
        die("epoll_ctl: %s", strerror(errno));
    if (line[0] == '-') {
        c->is_greeted = true;
        greeted_n++;
        return;
    }
    if (c->sealed) { /* the server speaks first, and may have done so with its upgrade */
        read_frames(c);
        return;
    }
    char *login = strchr(line, ' ');
    if (!login || hex_decode(slice_of(line, (size_t)(login - line)), &key) != RC_OK || key.n != BOX_KEY)
        die("a line is not KEY LOGIN");
    memcpy(c->key, key.p, BOX_KEY);
    send_frame(c, WS_TEXT, slice_text(login + 1));
    c->is_boxed = true;
}

static void connect_all(int port, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    conns = calloc(CONNECTIONS_MAX, sizeof(*conns));
    if (!file || !conns)
        die("cannot open %s", path);
    uint64_t start = monotonic_us();
    while ((n = getline(&line, &cap, file)) > 0) {
        if (conns_n == CONNECTIONS_MAX)
            die("too many connections");
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        connect_line(&conns[conns_n++], port, line);
        if (conns_n % 16 == 0)
            pump(0);
    }
    free(line);
    fclose(file);
    last_frame_us = monotonic_us();
    while (greeted_n < conns_n) {
        pump(100);
        if (monotonic_us() - last_frame_us > PATIENCE_MS * 1000)
            die("%zu of %zu connections were greeted", greeted_n, conns_n);
    }
    printf("{\"connections\": %zu, \"seconds\": %.3f}\n", conns_n, (double)(monotonic_us() - start) / 1e6);
}

/* ---- commands ---- */

static void cmd_ask(char *words)
{
    char *json = strchr(words, ' ');
    if (!json)
        die("ask TYPE JSON");
    *json++ = 0;
    buf_reset(&answer);
    send_text(conns, slice_text(json));
    uint64_t end = monotonic_us() + PATIENCE_MS * 1000;
    while (monotonic_us() < end) {
        pump(100);
        json_t *frame = NULL;
        struct slice type;
        if (answer.n && json_parse_object(buf_slice(&answer), JSON_DEPTH_CHAT, &frame) == RC_OK &&
            json_get_text(frame, "type", &type) == RC_OK &&
            (slice_eq(type, slice_text(words)) || slice_eq(type, slice_text("error")))) {
            json_done(&frame);
            printf("%.*s\n", SLICE_FMT(answer));
            return;
        }
        json_done(&frame);
    }
    die("no answer of type %s", words);
}

static void cmd_wait(const char *words, bool until_quiet)
{
    uint64_t us = (uint64_t)number_arg(words, 0, 600000) * 1000, start = monotonic_us(), before = frames_n;

    last_frame_us = start;
    while (monotonic_us() - (until_quiet ? last_frame_us : start) < us)
        pump(50);
    printf("{\"frames\": %lu}\n", (unsigned long)(frames_n - before));
}

static void post(size_t sender, const char *room, const char *text)
{
    AUTO(buf_done) struct buf json = {0};
    struct jw w = jw_start(&json);

    jw_open(&w, NULL, '{');
    jw_text(&w, "type", slice_text("new_message"));
    jw_text(&w, "room", slice_text(room));
    jw_text(&w, "message", slice_text(text));
    jw_time(&w, "timestamp", clock_s());
    jw_close(&w, '}');
    CHECK(jw_end(&w));
    blast.sent_us[blast.sent++] = monotonic_us();
    send_text(&conns[sender], buf_slice(&json));
}

static void cmd_blast(char *words)
{
    char *word[5], *rest = words;
    for (size_t i = 0; i < 5; i++) {
        word[i] = i < 4 ? strsep(&rest, " ") : rest;
        if (!word[i])
            die("blast COUNT WINDOW SENDERS ROOM TEXT");
    }
    uint64_t count = (uint64_t)number_arg(word[0], 1, COUNT_MAX), window = (uint64_t)number_arg(word[1], 1, COUNT_MAX);
    uint64_t senders = (uint64_t)number_arg(word[2], 1, (long)conns_n);

    memset(&blast, 0, sizeof(blast));
    blast.text = word[4];
    blast.sent_us = calloc(count, sizeof(*blast.sent_us));
    if (!blast.sent_us)
        die("out of memory");
    for (size_t i = 0; i < conns_n; i++)
        conns[i].got = 0;
    blast.is_on = true;
    uint64_t start = last_frame_us = monotonic_us();
    while (blast.delivered < count * conns_n) {
        while (blast.sent < count && blast.sent - blast.delivered / conns_n < window)
            post(blast.sent % senders, word[3], word[4]);
        pump(100);
        if (monotonic_us() - last_frame_us > PATIENCE_MS * 1000)
            die("%lu of %lu frames were delivered; newest: %.*s", (unsigned long)blast.delivered,
                (unsigned long)(count * conns_n), SLICE_FMT(answer));
    }
    blast.is_on = false;
    free(blast.sent_us);
    printf("{\"messages\": %lu, \"deliveries\": %lu, \"checked\": %lu, \"payload_len\": %lu, \"seconds\": %.4f, "
           "\"p50_us\": %lu, \"p99_us\": %lu}\n",
           (unsigned long)count, (unsigned long)blast.delivered, (unsigned long)blast.checked,
           (unsigned long)blast.payload_len, (double)(monotonic_us() - start) / 1e6,
           (unsigned long)spread_at(&blast.spread, 0.5), (unsigned long)spread_at(&blast.spread, 0.99));
}

static bool obey(char *line)
{
    char *words = line;
    const char *command = strsep(&words, " ");

    if (strcmp(command, "quit") == 0)
        return false;
    if (!words)
        die("a command without its words");
    if (strcmp(command, "ask") == 0)
        cmd_ask(words);
    else if (strcmp(command, "quiet") == 0 || strcmp(command, "hold") == 0)
        cmd_wait(words, command[0] == 'q');
    else if (strcmp(command, "blast") == 0)
        cmd_blast(words);
    else
        die("unknown command");
    return true;
}

/* The next line of standard input while the connections are served; NULL at its end. Its memory is used again. */
static char *next_command(void)
{
    static struct buf in;
    static size_t used;
    uint8_t *end;

    if (used) {
        memmove(in.p, in.p + used, in.n - used);
        in.n -= used;
        used = 0;
    }
    while (!(end = in.n ? memchr(in.p, '\n', in.n) : NULL)) {
        fd_set set;
        struct timeval none = {0};
        pump(20);
        FD_ZERO(&set);
        FD_SET(STDIN_FILENO, &set);
        if (select(STDIN_FILENO + 1, &set, NULL, NULL, &none) != 1)
            continue;
        CHECK(buf_reserve(&in, 65536));
        ssize_t n = read(STDIN_FILENO, in.p + in.n, 65536);
        if (n <= 0)
            return NULL;
        in.n += (size_t)n;
    }
    *end = 0;
    used = (size_t)(end + 1 - in.p);
    return (char *)in.p;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("usage: load_chat PORT FILE");
    json_setup();
    CHECK(crypto_setup());
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0)
        die("epoll: %s", strerror(errno));
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    connect_all((int)number_arg(argv[1], 1, 65535), argv[2]);
    for (char *line = next_command(); line && obey(line); line = next_command())
        continue;
    return 0;
}
