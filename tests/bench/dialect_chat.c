/* What kerb-chat speaks, classic and sealed; and ref_broadcast, which sends all it gets to everybody. */
#include <stdio.h>
#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "tests/bench/load.h"

void chat_send(struct conn *c, struct slice json)
{
    AUTO(buf_done) struct buf sealed = {0};

    if (c->sealed)
        CHECK(record_seal(&c->sealed->c2s, json, &sealed));
    else
        CHECK(box_seal(c->key, json, &sealed));
    link_send(&c->link, c->sealed ? WS_BINARY : WS_TEXT, buf_slice(&sealed));
}

static void post_json(struct conn *c, const struct post *p)
{
    static struct buf json;
    buf_reset(&json);
    struct jw w = jw_start(&json);

    jw_open(&w, NULL, '{');
    jw_text(&w, "type", slice_text("new_message"));
    jw_text(&w, "room", slice_text(p->room));
    jw_text(&w, "message", slice_text(p->text));
    if (p->cid)
        jw_text(&w, "cid", slice_text(p->cid));
    if (!c->sealed)
        jw_time(&w, "timestamp", clock_s());
    jw_close(&w, '}');
    CHECK(jw_end(&w));
    chat_send(c, buf_slice(&json));
}

/* ---- classic: KEY LOGIN ---- */

static void classic_begin(struct conn *c, char *line)
{
    AUTO(buf_done) struct buf key = {0};
    char *login = strchr(line, ' ');

    if (!login || hex_decode(slice_of(line, (size_t)(login - line)), &key) != RC_OK || key.n != BOX_KEY)
        die("a line is not classic KEY LOGIN");
    memcpy(c->key, key.p, BOX_KEY);
    link_send(&c->link, WS_TEXT, slice_text(login + 1));
}

static void classic_take(struct conn *c, unsigned opcode, struct slice payload)
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t digest[SHA256_LEN];

    (void)opcode;
    if (!c->is_greeted) {
        if (payload.n && payload.p[0] == '{')
            die("login was refused: %.*s", SLICE_FMT(payload));
        load_greeted(c);
    }
    if (load_wants_open(c))
        CHECK(box_open(c->key, payload, &text, digest));
    load_got(c, buf_slice(&text), payload.n);
}

/* ---- sealed: REALM CLIENT SERVICE KEY TICKET ---- */

static void sealed_begin(struct conn *c, char *line)
{
    c->sealed = sealed_parse(line);
    link_read(&c->link); /* the server speaks first, and may have done so with its upgrade */
}

static void sealed_take(struct conn *c, unsigned opcode, struct slice payload)
{
    AUTO(buf_done) struct buf text = {0};

    if (opcode == WS_TEXT) {
        sealed_handshake(c->sealed, payload, &text);
        if (text.n)
            link_send(&c->link, WS_TEXT, buf_slice(&text));
        return;
    }
    if (!c->is_greeted)
        load_greeted(c);
    if (load_wants_open(c))
        CHECK(record_open(&c->sealed->s2c, payload, &text));
    else
        c->sealed->s2c.sequence++;
    load_got(c, buf_slice(&text), payload.n);
}

/* ---- bare ---- */

static void bare_begin(struct conn *c, char *line)
{
    (void)line;
    load_greeted(c);
}

static void bare_take(struct conn *c, unsigned opcode, struct slice payload)
{
    (void)opcode;
    load_got(c, slice_of(NULL, 0), payload.n);
}

static void bare_post(struct conn *c, const struct post *p)
{
    link_send(&c->link, WS_TEXT, slice_text(p->text));
}

const struct dialect *dialect_chat(const char *name)
{
    static const struct dialect dialects[] = {
        {"classic", "/chat", NULL,      classic_begin, classic_take, post_json},
        {"sealed",  "/chat", "kerb.v1", sealed_begin,  sealed_take,  post_json},
        {"bare",    "/chat", NULL,      bare_begin,    bare_take,    bare_post},
    };

    for (size_t i = 0; i < ARRAY_LEN(dialects); i++)
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    return NULL;
}
