/*
 * Load for the chat, for ref_broadcast and for brokers: many websockets in one process.
 *
 * Usage: load_chat PORT FILE [tls] [serial]. Each line of FILE is one connection: the name of a dialect
 * (dialect_chat.c, dialect_broker.c) and what it wants to know. Connects them all (serial: the next when the last was
 * greeted), prints one JSON object, and then does what its standard input says, one command a line, each answered by
 * one object:
 *
 *   ask TYPE JSON    sends JSON on connection 0, waits for a frame of TYPE or an error; gives that frame
 *   ask_on N TYPE JSON   the same on connection N
 *   time_on N TYPE JSON  the same; gives how long it took and how large it was
 *   share N          the last share that connection N, one of the first four, was given
 *   each TYPE JSON   sends JSON on every connection, with its number in the place of '#', and waits until each has
 *                    got a frame of TYPE
 *   quiet MS         waits until nothing has come for MS milliseconds
 *   hold MS          waits, answering pings
 *   blast OBJECT     posts messages and waits until all are delivered: struct blast, as JSON
 *   acks OBJECT      posts messages with a cid to a room for each sender and waits until all are acknowledged
 *
 * A message is delivered when `each` connections have got something for it: nothing else may be pushed meanwhile (see
 * quiet). Connection 0 opens whatever it gets and looks that it is the message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "shared/base/json.h"
#include "shared/base/text.h"
#include "tests/bench/load.h"

#define CONNECTIONS_MAX 20000
#define COUNT_MAX       1000000
#define NAME_MAX_LEN    64
#define WATCHED_N       4     /* connections whose frames are opened always */
#define PATIENCE_MS     20000 /* without any frame: the measurement has failed */

static struct conn *conns, *asked; /* asked: its frames are opened, and kept in answer */
static size_t conns_n, greeted_n;
static uint64_t frames_n, last_frame_us; /* messages in all */
static struct buf answer;                /* the newest of `asked`, opened */
static const char *awaited;              /* what the answer has in it; NULL: nobody asks */
static bool is_answered;
static uint64_t answered_us;
static struct spread spread;
static char shares[WATCHED_N][NAME_MAX_LEN * 2];

enum measurement { NONE, BLAST, ACKS, EACH };

static struct {
    enum measurement is;
    /* from the command */
    uint64_t count, window, senders; /* window: of blast in all, of acks for each sender */
    uint64_t each;                   /* connections that get a message; 0: all */
    uint64_t rooms, stride;          /* rooms > 1: message i goes to ROOM with i % rooms behind it, from connection
                                      * (i % rooms) * stride % senders */
    uint64_t rate;                   /* messages a second; 0: as fast as window allows */
    char *room, *text;
    /* so far */
    uint64_t sent, delivered, checked, acked, payload_len;
    uint64_t *sent_us;
} run;

static bool has(struct slice text, const char *part)
{
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

/* ---- what the dialects tell ---- */

void load_greeted(struct conn *c)
{
    last_frame_us = monotonic_us();
    if (c->is_greeted)
        return;
    c->is_greeted = true;
    greeted_n++;
    spread_add(&spread, last_frame_us - c->begun_us);
}

bool load_wants_open(const struct conn *c)
{
    return c < conns + WATCHED_N || c == asked || run.is == ACKS || run.is == EACH;
}

static void on_delivery(struct conn *c, struct slice text, size_t payload_len)
{
    run.delivered++;
    if (run.delivered > run.sent * run.each)
        die("something else was pushed while messages were counted");
    run.payload_len = payload_len;
    if (c->got < run.sent)
        spread_add(&spread, last_frame_us - run.sent_us[c->got]);
    c->got++;
    if (c == conns && (text.n == 0 || has(text, run.text)))
        run.checked++;
}

/* Acks come in the order of the posts of their connection. */
static void on_ack(struct conn *c, struct slice text)
{
    if (has(text, "\"type\":\"error\""))
        die("refused: %.*s", SLICE_FMT(text));
    if (!has(text, "\"type\":\"ack\""))
        return;
    spread_add(&spread, last_frame_us - run.sent_us[(size_t)(c - conns) * run.window + c->acked % run.window]);
    c->acked++;
    run.acked++;
}

/* of EACH: text is what the awaited frame has in it. */
static void on_one_of_each(struct conn *c, struct slice text)
{
    if (c->acked || !has(text, run.text))
        return;
    c->acked = 1;
    run.acked++;
}

static void keep_share(const struct conn *c, struct slice text)
{
    static const char before[] = "\"secret\":\"";
    const char *at = memmem(text.p, text.n, before, sizeof(before) - 1);
    const char *share = at ? at + sizeof(before) - 1 : NULL, *end = (const char *)text.p + text.n;
    const char *quote = share ? memchr(share, '"', (size_t)(end - share)) : NULL;

    if (quote && quote > share && (size_t)(quote - share) < sizeof(shares[0]))
        (void)snprintf(shares[c - conns], sizeof(shares[0]), "%.*s", (int)(quote - share), share);
}

void load_got(struct conn *c, struct slice text, size_t payload_len)
{
    last_frame_us = monotonic_us();
    frames_n++;
    if (c == asked && !is_answered) {
        buf_reset(&answer);
        CHECK(buf_add(&answer, text));
        answered_us = last_frame_us;
        is_answered = awaited && (has(text, awaited) || has(text, "\"type\":\"error\""));
    }
    if (c < conns + WATCHED_N && run.is == NONE)
        keep_share(c, text);
    if (run.is == BLAST)
        on_delivery(c, text, payload_len);
    else if (run.is == ACKS)
        on_ack(c, text);
    else if (run.is == EACH)
        on_one_of_each(c, text);
}

static void look_patient(void)
{
    if (monotonic_us() - last_frame_us > (uint64_t)PATIENCE_MS * 1000)
        die("nothing came for %d s: %zu of %zu connections are greeted, of %lu messages %lu deliveries and %lu acks; "
            "newest: "
            "%.*s",
            PATIENCE_MS / 1000, greeted_n, conns_n, (unsigned long)run.sent, (unsigned long)run.delivered,
            (unsigned long)run.acked, SLICE_FMT(answer));
}

/* ---- connecting ---- */

static void take_message(struct link *l, unsigned opcode, struct slice payload)
{
    struct conn *c = (struct conn *)l;
    c->dialect->take(c, opcode, payload);
}

static void connect_line(struct conn *c, int port, char *line)
{
    const char *name = strsep(&line, " ");

    c->dialect = dialect_chat(name);
    if (!c->dialect)
        c->dialect = dialect_broker(name);
    if (!c->dialect)
        die("no dialect '%s'", name);
    c->link.take = take_message;
    c->begun_us = monotonic_us();
    link_open(&c->link, port, c->dialect->path, c->dialect->subprotocol);
    c->dialect->begin(c, line);
}

static void connect_all(int port, const char *path, bool is_serial)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    conns = asked = calloc(CONNECTIONS_MAX, sizeof(*conns));
    if (!file || !conns)
        die("cannot open %s", path);
    uint64_t start = last_frame_us = monotonic_us();
    while ((n = getline(&line, &cap, file)) > 0) {
        if (conns_n == CONNECTIONS_MAX)
            die("too many connections");
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        connect_line(&conns[conns_n++], port, line);
        for (link_pump(0); is_serial && greeted_n < conns_n; look_patient())
            link_pump(100);
    }
    free(line);
    fclose(file);
    for (; greeted_n < conns_n; look_patient())
        link_pump(100);
    printf("{\"connections\": %zu, \"seconds\": %.3f, \"p50_us\": %lu, \"p99_us\": %lu}\n", conns_n,
           (double)(monotonic_us() - start) / 1e6, (unsigned long)spread_at(&spread, 0.5),
           (unsigned long)spread_at(&spread, 0.99));
}

/* ---- commands ---- */

/* Sends the request on a connection and waits for the answer, a frame of the type or an error. Returns the time, in us.
 */
static uint64_t ask(size_t number, const char *type, const char *json)
{
    char type_member[NAME_MAX_LEN];

    if (!type || !json || number >= conns_n)
        die("a question without its words");
    (void)snprintf(type_member, sizeof(type_member), "\"type\":\"%s\"", type);
    awaited = type_member;
    asked = &conns[number];
    is_answered = false;
    uint64_t start_us = last_frame_us = monotonic_us();
    chat_send(asked, slice_text(json));
    for (; !is_answered; look_patient())
        link_pump(100);
    uint64_t took_us = answered_us - start_us;
    awaited = NULL;
    is_answered = false;
    asked = conns;
    return took_us;
}

static size_t connection_arg(char **words)
{
    const char *number = strsep(words, " ");
    return (size_t)number_arg(number ? number : "", 0, CONNECTIONS_MAX);
}

static void cmd_ask(char *words)
{
    const char *type = strsep(&words, " ");

    (void)ask(0, type, words);
    printf("%.*s\n", SLICE_FMT(answer));
}

static void cmd_ask_on(char *words)
{
    size_t number = connection_arg(&words);
    const char *type = strsep(&words, " ");

    (void)ask(number, type, words);
    printf("%.*s\n", SLICE_FMT(answer));
}

static void cmd_time_on(char *words)
{
    size_t number = connection_arg(&words);
    const char *type = strsep(&words, " ");

    uint64_t us = ask(number, type, words);
    printf("{\"us\": %lu, \"bytes\": %zu}\n", (unsigned long)us, answer.n);
}

static void cmd_share(char *words)
{
    size_t number = connection_arg(&words);

    if (number >= WATCHED_N)
        die("the shares of this connection are not kept");
    printf("{\"share\": \"%s\"}\n", shares[number]);
}

static void send_numbered(struct conn *c, const char *json)
{
    AUTO(buf_done) struct buf text = {0};

    for (; *json; json++)
        CHECK(*json == '#' ? buf_printf(&text, "%zu", (size_t)(c - conns)) : buf_byte(&text, (uint8_t)*json));
    chat_send(c, buf_slice(&text));
}

static void cmd_each(char *words)
{
    char type_member[NAME_MAX_LEN];

    (void)snprintf(type_member, sizeof(type_member), "\"type\":\"%s\"", strsep(&words, " "));
    if (!words)
        die("each TYPE JSON");
    memset(&run, 0, sizeof(run));
    run.text = type_member;
    run.is = EACH;
    last_frame_us = monotonic_us();
    for (size_t i = 0; i < conns_n; i++) {
        conns[i].acked = 0;
        send_numbered(&conns[i], words);
    }
    for (; run.acked < conns_n; look_patient())
        link_pump(100);
    run.is = NONE;
    printf("{\"answers\": %lu}\n", (unsigned long)run.acked);
}

static void wait(const char *words, bool until_quiet)
{
    uint64_t us = (uint64_t)number_arg(words, 0, 600000) * 1000, start = monotonic_us(), before = frames_n;

    last_frame_us = start;
    while (monotonic_us() - (until_quiet ? last_frame_us : start) < us)
        link_pump(50);
    printf("{\"frames\": %lu}\n", (unsigned long)(frames_n - before));
}

static uint64_t member_of(const json_t *j, const char *name, uint64_t otherwise)
{
    int64_t n = (int64_t)otherwise;

    if (json_object_get(j, name))
        CHECK(json_get_int(j, name, &n));
    if (n < 0 || n > COUNT_MAX)
        die("%s is too large", name);
    return (uint64_t)n;
}

static char *text_of(const json_t *j, const char *name)
{
    struct slice s;

    CHECK(json_get_text(j, name, &s));
    return slice_dup(s);
}

static void run_begin(enum measurement is, const char *words)
{
    AUTO(json_done) json_t *j = NULL;

    CHECK(json_parse_object(slice_text(words), JSON_DEPTH_CHAT, &j));
    memset(&run, 0, sizeof(run));
    memset(&spread, 0, sizeof(spread));
    run.count = member_of(j, "count", 0);
    run.window = member_of(j, "window", 1);
    run.senders = member_of(j, "senders", conns_n);
    run.each = member_of(j, "each", conns_n);
    run.rooms = member_of(j, "rooms", 1);
    run.stride = member_of(j, "stride", 1);
    run.rate = member_of(j, "rate", 0);
    run.room = text_of(j, "room");
    run.text = text_of(j, "text");
    if (!run.count || !run.window || !run.senders || run.senders > conns_n || !run.rooms || !run.each)
        die("no such measurement: %s", words);
    run.sent_us = calloc(is == ACKS ? conns_n * run.window : run.count, sizeof(*run.sent_us));
    if (!run.sent_us || !run.room || !run.text)
        die("out of memory");
    for (size_t i = 0; i < conns_n; i++)
        conns[i].got = conns[i].posted = conns[i].acked = 0;
    run.is = is;
    last_frame_us = monotonic_us();
}

static void run_end(uint64_t start_us)
{
    run.is = NONE;
    free(run.sent_us);
    str_done(&run.room);
    str_done(&run.text);
    printf(
        "{\"messages\": %lu, \"deliveries\": %lu, \"acks\": %lu, \"got\": %zu, \"checked\": %lu, \"payload_len\": %lu, "
        "\"seconds\": %.4f, \"p50_us\": %lu, \"p99_us\": %lu}\n",
        (unsigned long)run.sent, (unsigned long)run.delivered, (unsigned long)run.acked, conns[0].got,
        (unsigned long)run.checked, (unsigned long)run.payload_len, (double)(monotonic_us() - start_us) / 1e6,
        (unsigned long)spread_at(&spread, 0.5), (unsigned long)spread_at(&spread, 0.99));
}

static void post_next(void)
{
    char room[NAME_MAX_LEN];
    size_t sender = run.sent % run.senders, number = run.sent % run.rooms;
    struct post p = {.room = run.room, .text = run.text};

    if (run.rooms > 1) {
        (void)snprintf(room, sizeof(room), "%s%zu", run.room, number);
        p.room = room;
        sender = number * run.stride % run.senders;
    }
    run.sent_us[run.sent++] = monotonic_us();
    conns[sender].dialect->post(&conns[sender], &p);
}

/* Until the next message is due, in ms; 0: it is. Without a rate it is when the window has room. */
static int wait_ms(uint64_t start_us)
{
    uint64_t due = start_us + (run.rate ? run.sent * 1000000 / run.rate : 0), now = monotonic_us();

    if (run.sent == run.count || run.sent - run.delivered / run.each >= run.window)
        return 100;
    return due > now ? (int)((due - now + 999) / 1000) : 0;
}

static void cmd_blast(char *words)
{
    run_begin(BLAST, words);
    uint64_t start_us = last_frame_us;
    while (run.delivered < run.count * run.each) {
        int ms = wait_ms(start_us);
        if (ms == 0)
            post_next();
        else
            link_pump(ms);
        look_patient();
    }
    run_end(start_us);
}

static void post_with_cid(struct conn *c, uint64_t start_us)
{
    char room[NAME_MAX_LEN], cid[NAME_MAX_LEN];
    size_t number = (size_t)(c - conns);
    const struct post p = {.room = room, .text = run.text, .cid = cid};

    (void)snprintf(room, sizeof(room), "%s%zu", run.room, number);
    (void)snprintf(cid, sizeof(cid), "%lu-%zu", (unsigned long)start_us, c->posted);
    run.sent_us[number * run.window + c->posted++ % run.window] = monotonic_us();
    run.sent++;
    c->dialect->post(c, &p);
}

static void cmd_acks(char *words)
{
    run_begin(ACKS, words);
    uint64_t start_us = last_frame_us;
    while (run.acked < run.count) {
        for (size_t i = 0; i < run.senders; i++)
            while (run.sent < run.count && conns[i].posted - conns[i].acked < run.window)
                post_with_cid(&conns[i], start_us);
        link_pump(100);
        look_patient();
    }
    run_end(start_us);
}

static void cmd_quiet(char *words)
{
    wait(words, true);
}

static void cmd_hold(char *words)
{
    wait(words, false);
}

static void obey(char *line)
{
    static const struct {
        const char *name;
        void (*run)(char *words);
    } commands[] = {
        {"ask",     cmd_ask    },
        {"ask_on",  cmd_ask_on },
        {"time_on", cmd_time_on},
        {"share",   cmd_share  },
        {"each",    cmd_each   },
        {"quiet",   cmd_quiet  },
        {"hold",    cmd_hold   },
        {"blast",   cmd_blast  },
        {"acks",    cmd_acks   },
    };
    char *words = line;
    const char *name = strsep(&words, " ");

    for (size_t i = 0; words && i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(words);
            return;
        }
    die("no command '%s', or one without its words", name);
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
        link_pump(20);
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
    bool with_tls = false, is_serial = false;

    for (int i = 3; i < argc; i++) {
        with_tls = with_tls || strcmp(argv[i], "tls") == 0;
        is_serial = is_serial || strcmp(argv[i], "serial") == 0;
    }
    if (argc != 3 + with_tls + is_serial)
        die("usage: load_chat PORT FILE [tls] [serial]");
    json_setup();
    CHECK(crypto_setup());
    link_setup(with_tls);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    connect_all((int)number_arg(argv[1], 1, 65535), argv[2], is_serial);
    for (char *line = next_command(); line; line = next_command())
        obey(line);
    return 0;
}
