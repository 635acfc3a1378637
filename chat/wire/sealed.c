/*
 * The sealed profile: a challenge that makes the login fresh, an ephemeral key exchange, then numbered records.
 *
 * No clock and no replay cache are needed: the server's nonce is in the authenticator's AAD, and a record opens in its
 * place only. Wire: docs/PROTOCOL.md, 5.2.
 */
#include "chat/wire/internal.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"

#define TICKET_MEMBER "ticket"
#define TOKEN         32 /* bytes of what a connection can be resumed by */
#define RECORD_MAX    (INT64_MAX - 1)

struct sealed_conn {
    struct slice said; /* the part of the handshake that is to be sent; borrows from challenge or welcome */
    struct buf challenge, welcome;
    uint8_t nonce[SEALED_NONCE]; /* of the challenge, then of the last reauth_required */
    bool has_nonce;              /* it may be used, once */
    struct record_stream c2s, s2c;
};

void sealed_free(struct sealed_conn *s)
{
    if (!s)
        return;
    buf_done(&s->challenge);
    buf_done(&s->welcome);
    record_stream_done(&s->c2s);
    record_stream_done(&s->s2c);
    wipe(s, sizeof(*s));
    free(s);
}

enum rc sealed_new(struct wire_conn *c)
{
    c->sealed = calloc(1, sizeof(*c->sealed));
    return c->sealed ? RC_OK : RC_NO_MEMORY;
}

struct token {
    uint8_t bytes[TOKEN];
};

static void token_done(struct token *t)
{
    wipe(t, sizeof(*t));
}

static enum rc draw_nonce(struct sealed_conn *s)
{
    TRY(random_bytes(s->nonce, sizeof(s->nonce)));
    s->has_nonce = true;
    return RC_OK;
}

static enum rc write_challenge(struct wire_conn *c, int64_t time_s)
{
    struct sealed_conn *s = c->sealed;

    TRY(draw_nonce(s));
    struct jw j = jw_start(&s->challenge);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text("challenge"));
    jw_base64url(&j, "nonce", SLICE(s->nonce));
    jw_text(&j, "service", name_slice(&c->wire->options.service));
    jw_text(&j, "realm", name_slice(&c->wire->options.conf->realm));
    jw_int(&j, "server_time", time_s);
    jw_open(&j, "versions", '[');
    jw_int(&j, NULL, 1);
    jw_close(&j, ']');
    jw_close(&j, '}');
    s->said = buf_slice(&s->challenge);
    return jw_end(&j);
}

enum rc wire_handshake(struct wire_conn *c, int64_t time_s, struct buf *out)
{
    struct sealed_conn *s = c->sealed;

    if (!s)
        return RC_OK;
    if (!s->challenge.n && !c->authed)
        TRY(write_challenge(c, time_s));
    TRY(buf_add(out, s->said));
    s->said = slice_of(NULL, 0);
    if (c->authed) { /* the keys are made of these frames already */
        buf_done(&s->challenge);
        buf_done(&s->welcome);
    }
    return RC_OK;
}

/* Names of the AAD: the ticket's client, this service. */
static struct envelope_aad aad_of(const struct wire_conn *c, const struct ticket *t, const struct buf *context)
{
    return (struct envelope_aad){
        .realm = name_slice(&c->wire->options.conf->realm),
        .client = name_slice(&t->client),
        .server = name_slice(&c->wire->options.service),
        .context = buf_slice(context),
    };
}

static enum rc derive(const struct ticket *t, enum label label, struct envelope_key *ret)
{
    return envelope_derive(&t->session, label, ret);
}

/* Bytes of exactly n from a member in base64url. */
static enum rc get_bytes(const json_t *j, const char *name, uint8_t *out, size_t n)
{
    struct slice text;

    TRY(json_get_text(j, name, &text));
    return base64url_decode_exact(text, out, n);
}

/* Opens the authenticator: it must name the client and the nonce, which is used up by this, whatever comes of it. */
static enum rc open_authenticator(struct wire_conn *c, const struct ticket *t, struct slice ticket_text,
                                  struct slice authenticator, json_t **ret)
{
    AUTO(buf_done) struct buf context = {0}, envelope = {0}, plain = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    AUTO(json_done) json_t *j = NULL;
    uint8_t nonce[SEALED_NONCE];
    struct slice client;

    if (!c->sealed->has_nonce)
        return RC_REPEAT;
    c->sealed->has_nonce = false;
    TRY(envelope_context(&ticket_text, 1, &context));
    TRY(buf_add(&context, SLICE(c->sealed->nonce)));
    struct envelope_aad aad = aad_of(c, t, &context);
    TRY(derive(t, LABEL_AP_AUTHENTICATOR, &key));
    TRY(base64url_decode(authenticator, &envelope));
    TRY(envelope_open(&key, &aad, buf_slice(&envelope), &plain));
    TRY(json_parse_object(buf_slice(&plain), JSON_DEPTH_CHAT, &j));
    TRY(json_get_text(j, "client", &client));
    if (!slice_eq(client, name_slice(&t->client)))
        return RC_BAD_MATCH;
    TRY(get_bytes(j, "nonce", nonce, sizeof(nonce)));
    if (!ct_equal(nonce, c->sealed->nonce, sizeof(nonce)))
        return RC_MODIFIED;
    *ret = j;
    j = NULL;
    return RC_OK;
}

/* `resume`: the token of an earlier connection, and the last record that was processed there; -1: none was. */
static enum rc read_resume(struct wire_conn *c, const json_t *authenticator)
{
    AUTO(token_done) struct token token = {0};
    struct chat_login *login = &c->wire->scratch.login;
    const json_t *resume = json_object_get(authenticator, "resume");
    int64_t last;

    if (!resume)
        return RC_OK;
    if (!json_is_object(resume))
        return RC_MALFORMED;
    TRY(get_bytes(resume, "token", token.bytes, TOKEN));
    TRY(json_get_int(resume, "last", &last));
    if (last < -1 || last > RECORD_MAX)
        return RC_MALFORMED;
    TRY(sha256(SLICE(token.bytes), c->wire->scratch.resumes));
    login->resumes = c->wire->scratch.resumes;
    login->seen = (uint64_t)(last + 1);
    return RC_OK;
}

/* A token of this connection's own; of it only the hash is kept. */
static enum rc write_token(struct wire_conn *c, struct jw *j)
{
    AUTO(token_done) struct token token;
    struct scratch *s = &c->wire->scratch;

    TRY(random_bytes(token.bytes, TOKEN));
    TRY(sha256(SLICE(token.bytes), s->token));
    s->login.token = s->token;
    jw_base64url(j, "resume", SLICE(token.bytes));
    return RC_OK;
}

/* The reply of the welcome: session id, our point and the token, for the holder of the session key. */
static enum rc write_welcome(struct wire_conn *c, const struct ticket *t, struct slice login_frame, int64_t time_s,
                             const uint8_t session_id[RECORD_SESSION_ID], const uint8_t point[ECDH_POINT])
{
    AUTO(buf_done) struct buf context = {0}, plain = {0}, envelope = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    struct sealed_conn *s = c->sealed;

    struct jw j = jw_start(&plain);
    jw_open(&j, NULL, '{');
    jw_base64url(&j, "session_id", slice_of(session_id, RECORD_SESSION_ID));
    jw_base64url(&j, "ecdh", slice_of(point, ECDH_POINT));
    TRY(write_token(c, &j));
    jw_int(&j, "expires", t->end);
    jw_int(&j, "server_time", time_s);
    jw_close(&j, '}');
    TRY(jw_end(&j));
    TRY(envelope_context(&login_frame, 1, &context));
    struct envelope_aad aad = aad_of(c, t, &context);
    TRY(derive(t, LABEL_AP_REPLY, &key));
    TRY(envelope_seal(&key, &aad, buf_slice(&plain), &envelope));
    j = jw_start(&s->welcome);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text("welcome"));
    jw_base64url(&j, "reply", buf_slice(&envelope));
    jw_close(&j, '}');
    return jw_end(&j);
}

static void secrets_done(struct record_secrets *s)
{
    wipe(s, sizeof(*s));
}

/* Our half of the key exchange, the welcome, and the keys of both directions. */
static enum rc make_keys(struct wire_conn *c, const struct ticket *t, const json_t *authenticator,
                         struct slice login_frame, int64_t time_s)
{
    AUTO(ecdh_done) struct ecdh *pair = NULL;
    AUTO(secrets_done) struct record_secrets secrets = {0};
    struct record_parties parties = {
        .realm = name_slice(&c->wire->options.conf->realm),
        .client = name_slice(&t->client),
        .server = name_slice(&c->wire->options.service),
    };
    uint8_t peer[ECDH_POINT], point[ECDH_POINT];

    TRY(get_bytes(authenticator, "ecdh", peer, sizeof(peer)));
    TRY(random_bytes(parties.session_id, RECORD_SESSION_ID));
    TRY(ecdh_new(&pair, point));
    TRY(ecdh_shared(pair, peer, secrets.ecdh));
    memcpy(secrets.session, t->session.bytes, AEAD_KEY);
    TRY(write_welcome(c, t, login_frame, time_s, parties.session_id, point));
    const struct slice frames[3] = {buf_slice(&c->sealed->challenge), login_frame, buf_slice(&c->sealed->welcome)};
    return record_keys(&secrets, frames, &parties, &c->sealed->c2s, &c->sealed->s2c);
}

/* The ticket and the authenticator that stand in the message. */
static enum rc check_login(struct wire_conn *c, int64_t time_s, struct ticket *t, json_t **ret_authenticator)
{
    const json_t *message = c->wire->scratch.json;
    struct slice ticket, authenticator;
    int64_t client_s;

    TRY(json_get_text(message, TICKET_MEMBER, &ticket));
    TRY(json_get_text(message, "authenticator", &authenticator));
    TRY(wire_check_ticket(c, ticket, ETYPE_AES128_CBC_HS256, time_s, t));
    TRY(open_authenticator(c, t, ticket, authenticator, ret_authenticator));
    if (json_get_int(*ret_authenticator, "time", &client_s) == RC_OK)
        wire_show_skew(c, client_s, time_s);
    return RC_OK;
}

static enum rc login(struct wire_conn *c, struct slice frame, int64_t time_s)
{
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(json_done) json_t *authenticator = NULL;

    TRY(check_login(c, time_s, &t, &authenticator));
    TRY(read_resume(c, authenticator));
    TRY(make_keys(c, &t, authenticator, frame, time_s));
    TRY(wire_adopt(c, &t));
    c->wire->scratch.login.extensions = true;
    c->wire->scratch.login.sealed = true;
    c->sealed->said = buf_slice(&c->sealed->welcome);
    return RC_OK;
}

/* Before the keys: text messages of plain JSON. */
static enum rc read_plain(struct wire_conn *c, struct slice message, int64_t time_s, struct chat_event *ret)
{
    struct scratch *s = &c->wire->scratch;
    int64_t version = 0;

    TRY(json_parse_object(message, JSON_DEPTH_CHAT, &s->json));
    TRY(wire_read_type(s));
    if (s->request.cmd != CMD_LOGIN) {
        ret->code = CODE_NOT_LOGGED_IN;
        return RC_BAD_PREAUTH;
    }
    ret->code = CODE_VERSION;
    TRY(json_get_int(s->json, "v", &version));
    if (version != 1)
        return RC_MALFORMED;
    ret->code = CODE_LOGIN_FAILED;
    TRY(login(c, message, time_s));
    ret->kind = CHAT_LOGIN;
    ret->login = &s->login;
    return RC_OK;
}

/* A new ticket for the same client: keys and numbers go on. */
static enum rc reauth(struct wire_conn *c, int64_t time_s, struct chat_event *ret)
{
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(json_done) json_t *authenticator = NULL;

    ret->code = CODE_LOGIN_FAILED;
    TRY(check_login(c, time_s, &t, &authenticator));
    if (memcmp(t.client_id, c->client_id, ID_LEN) != 0)
        return RC_BAD_MATCH;
    TRY(wire_adopt(c, &t));
    ret->kind = CHAT_REAUTH;
    ret->login = &c->wire->scratch.login;
    return RC_OK;
}

static enum rc read_record(struct wire_conn *c, struct slice message, int64_t time_s, struct chat_event *ret)
{
    struct scratch *s = &c->wire->scratch;

    ret->code = CODE_BROKEN;
    TRY(record_open(&c->sealed->c2s, message, &s->plain));
    ret->code = CODE_MALFORMED;
    TRY(json_parse_object(buf_slice(&s->plain), JSON_DEPTH_CHAT, &s->json));
    TRY(wire_read_type(s));
    ret->code = CODE_WRONG_FROM;
    TRY(wire_check_from(c));
    if (s->request.cmd == CMD_REAUTH)
        return reauth(c, time_s, ret);
    ret->code = s->request.cmd == CMD_LOGIN ? CODE_LOGGED_IN : decode_fields(c, s->request.cmd);
    if (ret->code != CODE_COUNT)
        return RC_MALFORMED;
    ret->kind = CHAT_REQUEST;
    return RC_OK;
}

enum rc sealed_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s, struct chat_event *ret)
{
    if (is_binary != c->authed) { /* a message of the other phase, or of the other profile */
        ret->code = c->authed ? CODE_BROKEN : CODE_MALFORMED;
        return RC_MALFORMED;
    }
    return c->authed ? read_record(c, message, time_s, ret) : read_plain(c, message, time_s, ret);
}

enum rc sealed_seal(struct sealed_conn *s, struct slice json, struct buf *out)
{
    return record_seal(&s->s2c, json, out);
}

uint64_t wire_conn_records(const struct wire_conn *c)
{
    return c->sealed ? c->sealed->s2c.sequence : 0;
}

enum rc wire_ask_reauth(struct wire_conn *c, int64_t time_s, struct buf *json)
{
    TRY(draw_nonce(c->sealed));
    struct jw j = jw_start(json);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text("reauth_required"));
    jw_int(&j, "timestamp", time_s);
    jw_text(&j, "service", name_slice(&c->wire->options.service));
    jw_base64url(&j, "nonce", SLICE(c->sealed->nonce));
    jw_close(&j, '}');
    return jw_end(&j);
}
