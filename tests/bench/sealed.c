/* The client's side of a sealed connection. */
#include "tests/bench/sealed.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "tests/bench/net.h"

#define NONCE 32

static struct buf decoded(const json_t *j, const char *name, size_t n)
{
    struct buf bytes = {0};
    struct slice text;

    CHECK(json_get_text(j, name, &text));
    CHECK(base64url_decode(text, &bytes));
    if (n && bytes.n != n)
        die("%s has %zu bytes", name, bytes.n);
    return bytes;
}

struct sealed_client *sealed_parse(char *line)
{
    struct sealed_client *s = calloc(1, sizeof(*s));
    AUTO(buf_done) struct buf key = {0};

    if (!s)
        die("out of memory");
    s->realm = strdup(strsep(&line, " "));
    s->client = strdup(line ? strsep(&line, " ") : "");
    s->service = strdup(line ? strsep(&line, " ") : "");
    const char *hex = line ? strsep(&line, " ") : "";
    s->ticket = strdup(line ? line : "");
    if (hex_decode(slice_text(hex), &key) != RC_OK || key.n != AEAD_KEY)
        die("a line is not sealed REALM CLIENT SERVICE KEY TICKET");
    s->session = (struct key){.etype = ETYPE_AES128_CBC_HS256, .n = AEAD_KEY};
    memcpy(s->session.bytes, key.p, AEAD_KEY);
    return s;
}

static struct envelope_aad aad_of(const struct sealed_client *s, const struct buf *context)
{
    return (struct envelope_aad){.realm = slice_text(s->realm),
                                 .client = slice_text(s->client),
                                 .server = slice_text(s->service),
                                 .context = buf_slice(context)};
}

static void write_login(struct sealed_client *s, struct slice nonce, const uint8_t point[ECDH_POINT])
{
    AUTO(buf_done) struct buf context = {0}, plain = {0}, envelope = {0};
    struct envelope_key key;
    struct slice ticket = slice_text(s->ticket);

    struct jw j = jw_start(&plain);
    jw_open(&j, NULL, '{');
    jw_text(&j, "client", slice_text(s->client));
    jw_base64url(&j, "nonce", nonce);
    jw_base64url(&j, "ecdh", slice_of(point, ECDH_POINT));
    jw_int(&j, "time", clock_s());
    jw_close(&j, '}');
    CHECK(jw_end(&j));
    CHECK(envelope_context(&ticket, 1, &context));
    CHECK(buf_add(&context, nonce));
    struct envelope_aad aad = aad_of(s, &context);
    CHECK(envelope_derive(&s->session, LABEL_AP_AUTHENTICATOR, &key));
    CHECK(envelope_seal(&key, &aad, buf_slice(&plain), &envelope));
    j = jw_start(&s->login);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text("login"));
    jw_int(&j, "v", 1);
    jw_text(&j, "ticket", ticket);
    jw_base64url(&j, "authenticator", buf_slice(&envelope));
    jw_close(&j, '}');
    CHECK(jw_end(&j));
}

static void on_challenge(struct sealed_client *s, const json_t *j, struct slice text, struct buf *reply)
{
    AUTO(buf_done) struct buf nonce = decoded(j, "nonce", NONCE);
    uint8_t point[ECDH_POINT];

    CHECK(buf_add(&s->challenge, text));
    CHECK(ecdh_new(&s->pair, point));
    write_login(s, buf_slice(&nonce), point);
    CHECK(buf_add(reply, buf_slice(&s->login)));
}

static void on_welcome(struct sealed_client *s, const json_t *j, struct slice text)
{
    AUTO(buf_done) struct buf envelope = decoded(j, "reply", 0), context = {0}, plain = {0};
    AUTO(json_done) json_t *reply = NULL;
    struct record_parties parties = {
        .realm = slice_text(s->realm), .client = slice_text(s->client), .server = slice_text(s->service)};
    struct record_secrets secrets;
    struct envelope_key key;
    struct slice login = buf_slice(&s->login);

    CHECK(envelope_context(&login, 1, &context));
    struct envelope_aad aad = aad_of(s, &context);
    CHECK(envelope_derive(&s->session, LABEL_AP_REPLY, &key));
    CHECK(envelope_open(&key, &aad, buf_slice(&envelope), &plain));
    CHECK(json_parse_object(buf_slice(&plain), JSON_DEPTH_CHAT, &reply));
    AUTO(buf_done) struct buf id = decoded(reply, "session_id", RECORD_SESSION_ID);
    AUTO(buf_done) struct buf point = decoded(reply, "ecdh", ECDH_POINT);
    memcpy(parties.session_id, id.p, RECORD_SESSION_ID);
    memcpy(secrets.session, s->session.bytes, AEAD_KEY);
    CHECK(ecdh_shared(s->pair, point.p, secrets.ecdh));
    const struct slice frames[3] = {buf_slice(&s->challenge), login, text};
    CHECK(record_keys(&secrets, frames, &parties, &s->c2s, &s->s2c));
    s->has_keys = true;
}

void sealed_handshake(struct sealed_client *s, struct slice text, struct buf *reply)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice type;

    CHECK(json_parse_object(text, JSON_DEPTH_CHAT, &j));
    CHECK(json_get_text(j, "type", &type));
    if (slice_eq(type, slice_text("challenge")))
        on_challenge(s, j, text, reply);
    else if (slice_eq(type, slice_text("welcome")))
        on_welcome(s, j, text);
    else
        die("login was refused: %.*s", SLICE_FMT(text));
}
