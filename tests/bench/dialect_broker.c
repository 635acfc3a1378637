/*
 * What the brokers speak: MQTT 3.1.1 (QoS 0) and NATS, both as a stream in binary messages.
 *
 * A connection subscribes to one topic. Source: MQTT 3.1.1 (OASIS), s.3; NATS client protocol.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "tests/bench/load.h"

static void take_topic(struct conn *c, const char *line)
{
    c->topic = strdup(line);
    if (!c->topic)
        die("out of memory");
}

/* Takes whole packets from the front of the stream. next: what one takes, 0 when it is not whole yet. */
static void take_packets(struct conn *c, struct slice payload, size_t (*next)(struct conn *c, struct slice rest))
{
    size_t at = 0, n;

    CHECK(buf_add(&c->stream, payload));
    while ((n = next(c, slice_of(c->stream.p + at, c->stream.n - at))))
        at += n;
    if (at == 0)
        return;
    memmove(c->stream.p, c->stream.p + at, c->stream.n - at);
    c->stream.n -= at;
}

static struct slice opened(const struct conn *c, struct slice text)
{
    return load_wants_open(c) ? text : slice_of(NULL, 0);
}

/* ---- MQTT: TOPIC ---- */

#define MQTT_CONNECT   0x10
#define MQTT_CONNACK   0x20
#define MQTT_PUBLISH   0x30
#define MQTT_SUBSCRIBE 0x82
#define MQTT_SUBACK    0x90

static void mqtt_send(struct conn *c, uint8_t type, const struct buf *body)
{
    AUTO(buf_done) struct buf packet = {0};
    size_t left = body->n;

    CHECK(buf_byte(&packet, type));
    do {
        CHECK(buf_byte(&packet, (uint8_t)(left % 128 + (left > 127 ? 128 : 0))));
        left /= 128;
    } while (left);
    CHECK(buf_add(&packet, buf_slice(body)));
    link_send(&c->link, WS_BINARY, buf_slice(&packet));
}

static void mqtt_begin(struct conn *c, char *line)
{
    static const uint8_t clean_no_keepalive_no_id[] = {4, 2, 0, 0, 0, 0};
    AUTO(buf_done) struct buf body = {0};

    take_topic(c, line);
    CHECK(buf_lp(&body, slice_text("MQTT")));
    CHECK(buf_add(&body, SLICE(clean_no_keepalive_no_id)));
    mqtt_send(c, MQTT_CONNECT, &body);
}

static void mqtt_subscribe(struct conn *c)
{
    AUTO(buf_done) struct buf body = {0};

    CHECK(buf_u16be(&body, 1));
    CHECK(buf_lp(&body, slice_text(c->topic)));
    CHECK(buf_byte(&body, 0));
    mqtt_send(c, MQTT_SUBSCRIBE, &body);
}

static void mqtt_post(struct conn *c, const struct post *p)
{
    AUTO(buf_done) struct buf body = {0};

    CHECK(buf_lp(&body, slice_text(p->room)));
    CHECK(buf_text(&body, p->text));
    mqtt_send(c, MQTT_PUBLISH, &body);
}

static void mqtt_packet(struct conn *c, uint8_t type, struct slice body)
{
    if (type == MQTT_CONNACK && body.n == 2 && body.p[1] == 0)
        mqtt_subscribe(c);
    else if (type == MQTT_SUBACK && body.n == 3 && body.p[2] == 0)
        load_greeted(c);
    else if (type == MQTT_PUBLISH && body.n > 2)
        load_got(c, opened(c, body), body.n);
    else
        die("MQTT packet %02x", type);
}

static size_t mqtt_next(struct conn *c, struct slice s)
{
    size_t len = 0, head = 1;

    do {
        if (head >= s.n || head > 4)
            return 0;
        len |= (size_t)(s.p[head] & 127) << 7 * (head - 1);
    } while (s.p[head++] & 128);
    if (s.n < head + len)
        return 0;
    mqtt_packet(c, s.p[0], slice_of(s.p + head, len));
    return head + len;
}

static void mqtt_take(struct conn *c, unsigned opcode, struct slice payload)
{
    (void)opcode;
    take_packets(c, payload, mqtt_next);
}

/* ---- NATS: SUBJECT ---- */

static void nats_begin(struct conn *c, char *line)
{
    AUTO(buf_done) struct buf text = {0};

    take_topic(c, line);
    CHECK(buf_printf(&text, "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}\r\nSUB %s 1\r\nPING\r\n",
                     line));
    link_send(&c->link, WS_BINARY, buf_slice(&text));
    link_read(&c->link);
}

static void nats_post(struct conn *c, const struct post *p)
{
    AUTO(buf_done) struct buf text = {0};

    CHECK(buf_printf(&text, "PUB %s %zu\r\n%s\r\n", p->room, strlen(p->text), p->text));
    link_send(&c->link, WS_BINARY, buf_slice(&text));
}

/* MSG SUBJECT SID BYTES, and so many bytes with a line's end behind. */
static size_t nats_message(struct conn *c, struct slice s, size_t line)
{
    const uint8_t *count = memrchr(s.p, ' ', line);
    size_t n = count ? strtoul((const char *)count + 1, NULL, 10) : 0;

    if (s.n < line + n + 4)
        return 0;
    load_got(c, opened(c, slice_of(s.p + line + 2, n)), n);
    return line + n + 4;
}

static size_t nats_next(struct conn *c, struct slice s)
{
    const uint8_t *end = s.n ? memmem(s.p, s.n, "\r\n", 2) : NULL;

    if (!end)
        return 0;
    size_t line = (size_t)(end - s.p);
    if (line > 4 && memcmp(s.p, "MSG ", 4) == 0)
        return nats_message(c, s, line);
    if (line >= 4 && memcmp(s.p, "PING", 4) == 0)
        link_send(&c->link, WS_BINARY, slice_text("PONG\r\n"));
    else if (line >= 4 && memcmp(s.p, "PONG", 4) == 0)
        load_greeted(c);
    else if (line >= 4 && memcmp(s.p, "INFO", 4) != 0)
        die("NATS says %.*s", (int)line, (const char *)s.p);
    return line + 2;
}

static void nats_take(struct conn *c, unsigned opcode, struct slice payload)
{
    (void)opcode;
    take_packets(c, payload, nats_next);
}

const struct dialect *dialect_broker(const char *name)
{
    static const struct dialect dialects[] = {
        {"mqtt", "/", "mqtt", mqtt_begin, mqtt_take, mqtt_post},
        {"nats", "/", NULL,   nats_begin, nats_take, nats_post},
    };

    for (size_t i = 0; i < ARRAY_LEN(dialects); i++)
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    return NULL;
}
