/* One request and its answer: posted, read strictly, refusals turned into sentences, sealed replies opened. */
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "shared/base/base64.h"

#define HTTP_OK       200
#define OP_ID_MAX     64
#define TIME_MAX_S    INT64_C(253402300799)
#define DELAY_MAX_S   INT64_C(86400)
#define CODE_SENTENCE 160

void answer_done(struct answer *a)
{
    buf_done(&a->body);
}

void reply_done(struct reply *r)
{
    json_done(&r->json);
}

enum rc client_distrust(struct kerb *k, const char *why)
{
    return client_fail(k, KERB_UNTRUSTED, "the answer cannot be trusted, so nothing was done with it: %s", why);
}

bool client_is_word(struct slice s, size_t max)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)(s.p[i] | 0x20);
        if (!(c >= 'a' && c <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-' && s.p[i] != '_')
            return false;
    }
    return s.n > 0 && s.n <= max;
}

/* --- requests --- */

static bool is_code(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return s.n > 0 && s.n < CODE_SENTENCE;
}

/* By it an administrator finds the true reason. */
static void read_op_id(struct kerb *k, const struct reply *r)
{
    struct slice id;

    if (json_get_text(r->json, "op_id", &id) != RC_OK || !client_is_word(id, OP_ID_MAX) ||
        name_parse(id, &k->op_id) != RC_OK)
        k->op_id = (struct name){0};
}

/* An error object has a code; any other answer that is not 200 comes from something between us and the server. */
static enum rc read_code(struct kerb *k, const struct answer *a, struct reply *r)
{
    struct slice code;

    if (json_get_text(r->json, "error", &code) != RC_OK || !is_code(code) || name_parse(code, &r->code) != RC_OK)
        return client_fail(k, KERB_UNREACHABLE, "%s: answers %ld, and not as a kerb server: is this the realm's URL?",
                           kerb_url(k), a->status);
    return RC_OK;
}

static enum rc read_answer(struct kerb *k, const struct answer *a, struct reply *ret)
{
    if (json_parse_object(buf_slice(&a->body), JSON_DEPTH_HTTP, &ret->json) != RC_OK)
        return client_fail(k, KERB_UNREACHABLE, "%s: answers %ld, and not as a kerb server: is this the realm's URL?",
                           kerb_url(k), a->status);
    ret->is_ok = a->status == HTTP_OK;
    read_op_id(k, ret);
    return ret->is_ok ? RC_OK : read_code(k, a, ret);
}

enum rc client_post(struct kerb *k, const char *path, struct slice request, struct reply *ret)
{
    AUTO(answer_done) struct answer a = {0};
    AUTO(buf_done) struct buf url = {0};

    if (!k->url.n)
        return client_fail(k, KERB_BAD_CONFIG,
                           "where is the realm? Give --url, or set KERB_URL, or write it into kerb.conf: [client] url");
    TRY(client_url(k, path, &url));
    client_trace(k, "-> POST %s, %zu bytes", (const char *)url.p, request.n);
    enum rc rc = k->transport.post(k->transport.ctx, (const char *)url.p, request, &a);
    if (rc == RC_IO)
        return client_fail(k, KERB_UNREACHABLE, "%s: %s", kerb_url(k), a.error);
    if (rc == RC_LIMIT)
        return client_fail(k, KERB_UNREACHABLE, "%s: answers with more than %d bytes: is this the realm's URL?",
                           kerb_url(k), CLIENT_ANSWER_MAX);
    TRY(rc);
    rc = read_answer(k, &a, ret);
    client_trace(k, "<- %ld%s%s, %zu bytes, %lld ms", a.status, ret->code.n ? " " : "", ret->code.s, a.body.n,
                 (long long)a.took_ms);
    return rc;
}

/* --- refusals --- */

static const struct {
    const char *code;
    enum kerb_status status;
    const char *sentence;
} refusals[] = {
    {"KDC_ERR_PREAUTH_FAILED",      KERB_REFUSED,      "wrong name or password"                                             },
    {"KDC_ERR_PREAUTH_REQUIRED",    KERB_UNREACHABLE,  "the server asks for the same proof again and again; try once more"  },
    {"KRB_AP_ERR_TKT_EXPIRED",      KERB_EXPIRED,      "the realm takes this login no longer: kerb login"                   },
    {"KRB_AP_ERR_MODIFIED",         KERB_EXPIRED,      "the server does not accept the ticket: log in again with kerb login"},
    {"KRB_AP_ERR_BADMATCH",         KERB_EXPIRED,      "the server does not accept the ticket: log in again with kerb login"},
    {"KDC_ERR_S_PRINCIPAL_UNKNOWN", KERB_NO_SERVICE,   "the realm has no such service"                                      },
    {"KDC_ERR_POLICY",              KERB_POLICY,       "the realm does not allow this"                                      },
    {"KERB_ERR_RATE_LIMITED",       KERB_BUSY,         "too many tries from here: wait a little, then try again"            },
    {"KRB_ERR_MALFORMED",           KERB_SERVER_ERROR, "the server does not understand this client: one of them is older"   },
    {"KRB_ERR_GENERIC",             KERB_SERVER_ERROR, "the server failed; its log tells more"                              },
};

bool reply_is_error(const struct reply *r, const char *code)
{
    return !r->is_ok && strcmp(r->code.s, code) == 0;
}

enum rc client_refuse(struct kerb *k, enum kerb_status status, const char *sentence)
{
    bool has = k->op_id.n > 0;
    return client_fail(k, status, "%s%s%s%s", sentence, has ? " (op_id " : "", k->op_id.s, has ? ")" : "");
}

enum rc client_refused(struct kerb *k, const struct reply *r)
{
    char other[sizeof r->code.s + sizeof "the server refuses: "];

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (reply_is_error(r, refusals[i].code))
            return client_refuse(k, refusals[i].status, refusals[i].sentence);
    (void)snprintf(other, sizeof other, "the server refuses: %s", r->code.s);
    return client_refuse(k, KERB_SERVER_ERROR, other);
}

/* --- sealing --- */

static struct envelope_aad aad_of(const struct kerb *k, struct slice client, struct slice server, struct slice context)
{
    return (struct envelope_aad){
        .realm = name_slice(&k->realm), .client = client, .server = server, .context = context};
}

enum rc client_seal(const struct kerb *k, const struct sealing *s, struct slice plain, struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key derived = {0};
    AUTO(buf_done) struct buf envelope = {0};
    struct envelope_aad aad = aad_of(k, s->client, s->server, s->context);

    TRY(envelope_derive(s->key, s->label, &derived));
    TRY(envelope_seal(&derived, &aad, plain, &envelope));
    return base64url_encode(buf_slice(&envelope), out);
}

enum rc client_open_reply(struct kerb *k, const struct reply *r, const struct binding *b, json_t **ret)
{
    AUTO(buf_done) struct buf context = {0};
    struct slice text;

    if (sealed_version(r->json) != RC_OK || sealed_text(r->json, "reply", CLIENT_ANSWER_MAX, &text) != RC_OK)
        return client_distrust(k, "it is not sealed");
    TRY(envelope_context(&b->request, 1, &context));
    struct envelope_aad aad = aad_of(k, b->client, b->server, buf_slice(&context));
    enum rc rc = sealed_open(b->key, b->label, &aad, text, ret);
    if (rc == RC_MODIFIED)
        return client_distrust(k, "its seal does not open, or belongs to another request");
    return rc;
}

/* --- members of replies --- */

enum rc client_read_times(const json_t *reply, struct cache_entry *e)
{
    TRY(json_get_int(reply, "start_time", &e->start));
    TRY(json_get_int(reply, "end_time", &e->end));
    TRY(json_get_int(reply, "renew_till", &e->renew_till));
    if (e->start < 0 || e->end < e->start || e->end > TIME_MAX_S)
        return RC_MALFORMED;
    return e->renew_till == 0 || (e->renew_till >= e->start && e->renew_till <= TIME_MAX_S) ? RC_OK : RC_MALFORMED;
}

enum rc client_same_name(const json_t *reply, const char *member, const struct name *expected)
{
    struct slice text;

    TRY(sealed_text(reply, member, NAME_MAX_BYTES, &text));
    return slice_eq(text, name_slice(expected)) ? RC_OK : RC_MODIFIED;
}

enum rc client_same_nonce(const json_t *reply, const uint8_t nonce[SEALED_NONCE])
{
    uint8_t got[SEALED_NONCE];

    TRY(sealed_bytes(reply, "nonce", got, sizeof got));
    return ct_equal(got, nonce, sizeof got) ? RC_OK : RC_MODIFIED;
}

enum rc client_read_session(const json_t *reply, const char *ticket_member, struct cache_entry *e)
{
    AUTO(buf_done) struct buf envelope = {0};
    struct slice text;

    TRY(sealed_bytes(reply, "session_key", e->session.bytes, AEAD_KEY));
    e->session.etype = ETYPE_AES128_CBC_HS256;
    e->session.n = AEAD_KEY;
    TRY(sealed_text(reply, ticket_member, TICKET_TEXT_MAX, &text));
    TRY(base64url_decode(text, &envelope));
    uint32_t kvno;
    TRY(envelope_kvno(buf_slice(&envelope), &kvno));
    return buf_add(&e->ticket, text);
}
