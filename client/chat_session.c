/* A sealed chat connection as its client sees it. */
#include "client/chat_session.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/ticket/sealed.h"

#define VERSION 1

void chat_session_init(struct chat_session *s, const struct name *realm, const struct name *client)
{
    *s = (struct chat_session){.realm = *realm, .client = *client};
}

static void forget_handshake(struct chat_session *s)
{
    buf_done(&s->challenge);
    buf_done(&s->login);
    ecdh_done(&s->pair);
    s->pair = NULL;
}

void chat_session_done(struct chat_session *s)
{
    forget_handshake(s);
    record_stream_done(&s->c2s);
    record_stream_done(&s->s2c);
    wipe(s, sizeof *s);
}

/* --- the login --- */

static struct envelope_aad aad_of(const struct chat_session *s, const struct buf *context)
{
    return (struct envelope_aad){.realm = name_slice(&s->realm),
                                 .client = name_slice(&s->client),
                                 .server = name_slice(&s->service),
                                 .context = buf_slice(context)};
}

static bool is_text(const json_t *j, const char *member, const struct name *expected)
{
    struct slice text;
    return json_get_text(j, member, &text) == RC_OK && slice_eq(text, name_slice(expected));
}

static bool speaks_our_version(const json_t *challenge)
{
    const json_t *versions = json_object_get(challenge, "versions");

    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *v = json_array_get(versions, i);
        if (json_is_integer(v) && json_integer_value(v) == VERSION)
            return true;
    }
    return false;
}

static enum rc read_challenge(struct chat_session *s, struct slice frame)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice type;

    TRY(json_parse_object(frame, JSON_DEPTH_CHAT, &j));
    TRY(json_get_text(j, "type", &type));
    if (!slice_eq(type, slice_text("challenge")) || !speaks_our_version(j))
        return RC_MALFORMED;
    if (!is_text(j, "realm", &s->realm) || !is_text(j, "service", &s->service))
        return RC_NOT_US;
    TRY(sealed_bytes(j, "nonce", s->nonce, sizeof s->nonce));
    buf_reset(&s->challenge);
    return buf_add(&s->challenge, frame);
}

/* What only a login says; NULL in a reauth. */
struct login_part {
    uint8_t point[ECDH_POINT];
    const char *device;
    const struct chat_resume *resume; /* NULL: none */
};

static void put_login_part(struct jw *j, const struct login_part *login)
{
    jw_base64url(j, "ecdh", SLICE(login->point));
    jw_text(j, "device", slice_text(login->device));
    if (!login->resume)
        return;
    jw_open(j, "resume", '{');
    jw_base64url(j, "token", SLICE(login->resume->token));
    jw_int(j, "last", login->resume->last);
    jw_close(j, '}');
}

static enum rc authenticator(struct chat_session *s, const struct cache_entry *ticket, const struct login_part *login,
                             struct buf *ret_text)
{
    AUTO(buf_done) struct buf context = {0}, plain = {0}, envelope = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    const struct slice ticket_text = buf_slice(&ticket->ticket);

    struct jw j = jw_start(&plain);
    jw_open(&j, NULL, '{');
    jw_text(&j, "client", name_slice(&s->client));
    jw_base64url(&j, "nonce", SLICE(s->nonce));
    jw_int(&j, "time", clock_s());
    if (login)
        put_login_part(&j, login);
    jw_close(&j, '}');
    TRY(jw_end(&j));
    TRY(envelope_context(&ticket_text, 1, &context));
    TRY(buf_add(&context, SLICE(s->nonce)));
    const struct envelope_aad aad = aad_of(s, &context);
    TRY(envelope_derive(&ticket->session, LABEL_AP_AUTHENTICATOR, &key));
    TRY(envelope_seal(&key, &aad, buf_slice(&plain), &envelope));
    return base64url_encode(buf_slice(&envelope), ret_text);
}

enum rc chat_session_login(struct chat_session *s, struct slice challenge, const struct cache_entry *ticket,
                           const char *device, const struct chat_resume *resume, struct buf *login)
{
    AUTO(buf_done) struct buf text = {0};
    struct login_part part = {.device = device, .resume = resume};

    forget_handshake(s);
    s->service = ticket->server;
    s->session = ticket->session;
    TRY(read_challenge(s, challenge));
    TRY(ecdh_new(&s->pair, part.point));
    TRY(authenticator(s, ticket, &part, &text));
    struct jw j = jw_start(&s->login);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text("login"));
    jw_int(&j, "v", VERSION);
    jw_text(&j, "ticket", buf_slice(&ticket->ticket));
    jw_text(&j, "authenticator", buf_slice(&text));
    jw_close(&j, '}');
    TRY(jw_end(&j));
    return buf_add(login, buf_slice(&s->login));
}

/* --- the welcome --- */

static enum rc open_welcome(const struct chat_session *s, struct slice welcome, json_t **ret)
{
    AUTO(buf_done) struct buf context = {0};
    AUTO(json_done) json_t *j = NULL;
    const struct slice login = buf_slice(&s->login);
    struct slice type, text;

    TRY(json_parse_object(welcome, JSON_DEPTH_CHAT, &j));
    TRY(json_get_text(j, "type", &type));
    TRY(json_get_text(j, "reply", &text));
    if (!slice_eq(type, slice_text("welcome")) || !login.n)
        return RC_MALFORMED;
    TRY(envelope_context(&login, 1, &context));
    const struct envelope_aad aad = aad_of(s, &context);
    return sealed_open(&s->session, LABEL_AP_REPLY, &aad, text, ret);
}

static void secrets_done(struct record_secrets *s)
{
    wipe(s, sizeof *s);
}

static enum rc make_keys(struct chat_session *s, const json_t *reply, struct slice welcome)
{
    AUTO(secrets_done) struct record_secrets secrets = {0};
    struct record_parties parties = {
        .realm = name_slice(&s->realm), .client = name_slice(&s->client), .server = name_slice(&s->service)};
    const struct slice frames[3] = {buf_slice(&s->challenge), buf_slice(&s->login), welcome};
    uint8_t point[ECDH_POINT];

    TRY(sealed_bytes(reply, "session_id", parties.session_id, RECORD_SESSION_ID));
    TRY(sealed_bytes(reply, "ecdh", point, ECDH_POINT));
    TRY(ecdh_shared(s->pair, point, secrets.ecdh));
    memcpy(secrets.session, s->session.bytes, AEAD_KEY);
    return record_keys(&secrets, frames, &parties, &s->c2s, &s->s2c);
}

enum rc chat_session_welcome(struct chat_session *s, struct slice welcome)
{
    AUTO(json_done) json_t *reply = NULL;

    TRY(open_welcome(s, welcome, &reply));
    TRY(json_get_int(reply, "expires", &s->expires));
    TRY(json_get_int(reply, "server_time", &s->server_time));
    TRY(sealed_bytes(reply, "resume", s->token, sizeof s->token));
    TRY(make_keys(s, reply, welcome));
    forget_handshake(s);
    s->has_keys = true;
    return RC_OK;
}

/* --- records --- */

enum rc chat_session_seal(struct chat_session *s, struct slice json, struct buf *out)
{
    return s->has_keys ? record_seal(&s->c2s, json, out) : RC_STOPPED;
}

enum rc chat_session_open(struct chat_session *s, struct slice record, struct buf *ret_json)
{
    return s->has_keys ? record_open(&s->s2c, record, ret_json) : RC_STOPPED;
}

enum rc chat_session_reauth(struct chat_session *s, const json_t *required, const struct cache_entry *ticket,
                            struct buf *json)
{
    AUTO(buf_done) struct buf text = {0};

    if (!slice_eq(name_slice(&ticket->server), name_slice(&s->service)))
        return RC_NOT_US;
    TRY(sealed_bytes(required, "nonce", s->nonce, sizeof s->nonce));
    TRY(authenticator(s, ticket, NULL, &text));
    struct jw j = jw_start(json);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text("reauth"));
    jw_text(&j, "ticket", buf_slice(&ticket->ticket));
    jw_text(&j, "authenticator", buf_slice(&text));
    jw_close(&j, '}');
    return jw_end(&j);
}
