/* Tickets: a JSON object with both spellings of the original, sealed for one server. */
#include "shared/ticket/ticket.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"

#define TICKET_DEPTH    2                     /* the object and its list of flags */
#define TICKET_SIZE     1024                  /* bytes: most tickets fit without a second allocation */
#define START_AHEAD_MAX 600                   /* seconds that the issuer's clock may be ahead of ours */
#define TIME_MAX        INT64_C(253402300799) /* 9999-12-31 23:59:59: what a classic time can say */
#define FLAG_RENEWABLE  "renewable"

/* What the two kinds call the same things. */
static const struct {
    const char *server, *session;
} spelling[] = {
    [TICKET_TGT] = {"tgs_name", "session_key"      },
    [TICKET_SERVICE] = {"service",  "client_service_sk"},
};

void ticket_done(struct ticket *t)
{
    wipe(t, sizeof(*t));
}

static bool is_time(int64_t s)
{
    return s >= 0 && s <= TIME_MAX;
}

/* What holds for every ticket, on the way in and on the way out. */
static bool is_sane(const struct ticket *t)
{
    return is_time(t->auth_time) && is_time(t->start) && is_time(t->end) && is_time(t->renew_till) &&
           t->start <= t->end && t->session.n > 0 && t->session.n == etype_key_len(t->session.etype) &&
           t->client.n > 0 && t->server.n > 0;
}

static void write_times(struct jw *w, const struct ticket *t)
{
    jw_int(w, "auth_time", t->auth_time);
    jw_time(w, "timestamp", t->start);
    jw_int(w, "time_to_live", t->end - t->start);
    if (t->kind == TICKET_TGT) {
        jw_int(w, "tgs_ticket_time_to_live", t->end - t->start);
        jw_int(w, "session_key_time_to_live", t->end - t->start);
    }
    jw_int(w, "end_time", t->end);
    jw_int(w, "renew_till", t->renew_till);
    jw_open(w, "flags", '[');
    if (t->renew_till)
        jw_text(w, NULL, slice_text(FLAG_RENEWABLE));
    jw_close(w, ']');
}

static enum rc encode(const struct name *realm, const struct ticket *t, struct buf *out)
{
    struct jw w = jw_start(out);

    jw_open(&w, NULL, '{');
    jw_text(&w, "user_login", name_slice(&t->client));
    jw_text(&w, "user_name", name_slice(&t->client));
    jw_base64url(&w, "client_id", SLICE(t->client_id));
    jw_text(&w, "user_ip", slice_text(t->address));
    jw_text(&w, "realm", name_slice(realm));
    jw_text(&w, "server", name_slice(&t->server));
    jw_text(&w, spelling[t->kind].server, name_slice(&t->server));
    jw_base64(&w, spelling[t->kind].session, key_slice(&t->session));
    jw_text(&w, "etype", slice_text(etype_name(t->session.etype)));
    jw_int(&w, "epoch", t->epoch);
    write_times(&w, t);
    jw_base64url(&w, "ticket_id", SLICE(t->id));
    jw_base64url(&w, "parent_id", SLICE(t->parent_id));
    jw_close(&w, '}');
    return jw_end(&w);
}

/* Names of the reader, so that a ticket of another realm or for another server does not open. */
static struct envelope_aad ticket_aad(const struct name *realm, const struct name *server)
{
    return (struct envelope_aad){.realm = name_slice(realm), .server = name_slice(server)};
}

enum rc ticket_seal(const struct key *server_key, const struct name *realm, const struct ticket *t, struct buf *out)
{
    AUTO(envelope_key_done) struct envelope_key key = {0};
    AUTO(buf_done) struct buf plain = {0}, envelope = {0};
    struct envelope_aad aad = ticket_aad(realm, &t->server);

    if (!is_sane(t))
        return RC_LIMIT;
    TRY(envelope_derive(server_key, LABEL_TICKET, &key));
    TRY(buf_reserve(&plain, TICKET_SIZE));
    TRY(encode(realm, t, &plain));
    TRY(envelope_seal(&key, &aad, buf_slice(&plain), &envelope));
    return base64url_encode(buf_slice(&envelope), out);
}

/* A name in its one spelling. */
static enum rc get_name(const json_t *j, const char *field, struct name *ret)
{
    struct slice raw;

    TRY(json_get_text(j, field, &raw));
    TRY(name_parse(raw, ret));
    return slice_eq(raw, name_slice(ret)) ? RC_OK : RC_MALFORMED;
}

static enum rc expect_name(const json_t *j, const char *field, const struct name *want)
{
    struct slice text;

    TRY(json_get_text(j, field, &text));
    return slice_eq(text, name_slice(want)) ? RC_OK : RC_MALFORMED;
}

static enum rc expect_int(const json_t *j, const char *field, int64_t want)
{
    int64_t got;

    TRY(json_get_int(j, field, &got));
    return got == want ? RC_OK : RC_MALFORMED;
}

static enum rc get_id(const json_t *j, const char *field, uint8_t ret[ID_LEN])
{
    AUTO(buf_done) struct buf id = {0};
    struct slice text;

    TRY(json_get_text(j, field, &text));
    TRY(base64url_decode(text, &id));
    if (id.n != ID_LEN)
        return RC_MALFORMED;
    memcpy(ret, id.p, ID_LEN);
    return RC_OK;
}

static enum rc get_address(const json_t *j, char ret[ADDRESS_MAX])
{
    struct slice text;

    TRY(json_get_text(j, "user_ip", &text));
    if (text.n >= ADDRESS_MAX || memchr(text.p, 0, text.n))
        return RC_MALFORMED;
    memcpy(ret, text.p, text.n);
    ret[text.n] = 0;
    return RC_OK;
}

static enum rc get_session(const json_t *j, const char *field, struct key *ret)
{
    AUTO(buf_done) struct buf bytes = {0};
    struct slice etype, text;

    TRY(json_get_text(j, "etype", &etype));
    TRY(etype_parse(etype, &ret->etype));
    TRY(json_get_text(j, field, &text));
    TRY(base64_decode_lenient(text, &bytes));
    if (bytes.n != etype_key_len(ret->etype))
        return RC_MALFORMED;
    ret->n = (uint8_t)bytes.n;
    memcpy(ret->bytes, bytes.p, bytes.n);
    return RC_OK;
}

/* A flag that we do not know may restrict the ticket: refuse it. */
static enum rc check_flags(const json_t *j, bool is_renewable)
{
    const json_t *flags = json_object_get(j, "flags");

    if (!json_is_array(flags) || json_array_size(flags) != (is_renewable ? 1 : 0))
        return RC_MALFORMED;
    const char *flag = json_string_value(json_array_get(flags, 0));
    return !is_renewable || (flag && slice_eq(slice_text(flag), slice_text(FLAG_RENEWABLE))) ? RC_OK : RC_MALFORMED;
}

static enum rc get_times(const json_t *j, struct ticket *t)
{
    TRY(json_get_int(j, "auth_time", &t->auth_time));
    TRY(json_get_time(j, "timestamp", &t->start));
    TRY(json_get_int(j, "end_time", &t->end));
    TRY(json_get_int(j, "renew_till", &t->renew_till));
    if (!is_time(t->end))
        return RC_MALFORMED;
    TRY(expect_int(j, "time_to_live", t->end - t->start));
    if (t->kind == TICKET_TGT) {
        TRY(expect_int(j, "tgs_ticket_time_to_live", t->end - t->start));
        TRY(expect_int(j, "session_key_time_to_live", t->end - t->start));
    }
    return check_flags(j, t->renew_till != 0);
}

static enum rc get_who(const json_t *j, struct ticket *t)
{
    int64_t epoch;

    TRY(get_name(j, "user_name", &t->client));
    TRY(expect_name(j, "user_login", &t->client));
    TRY(get_id(j, "client_id", t->client_id));
    TRY(get_id(j, "ticket_id", t->id));
    TRY(get_id(j, "parent_id", t->parent_id));
    TRY(get_address(j, t->address));
    TRY(json_get_int(j, "epoch", &epoch));
    if (epoch < 0 || epoch > UINT32_MAX)
        return RC_MALFORMED;
    t->epoch = (uint32_t)epoch;
    return RC_OK;
}

static enum rc decode(struct slice plain, const struct name *realm, const struct name *server, enum ticket_kind kind,
                      struct ticket *t)
{
    AUTO(json_done) json_t *j = NULL;
    struct name issued_in;

    TRY(json_parse_object(plain, TICKET_DEPTH, &j));
    TRY(get_name(j, "realm", &issued_in));
    TRY(get_name(j, "server", &t->server));
    if (!slice_eq(name_slice(&issued_in), name_slice(realm)) || !slice_eq(name_slice(&t->server), name_slice(server)) ||
        !json_object_get(j, spelling[kind].server) || !json_object_get(j, spelling[kind].session))
        return RC_NOT_US;
    t->kind = kind;
    TRY(expect_name(j, spelling[kind].server, server));
    TRY(get_session(j, spelling[kind].session, &t->session));
    TRY(get_who(j, t));
    TRY(get_times(j, t));
    return is_sane(t) ? RC_OK : RC_MALFORMED;
}

static enum rc unseal(const struct keytab *keys, const struct name *realm, const struct name *server, struct slice text,
                      struct buf *plain)
{
    AUTO(envelope_key_done) struct envelope_key key = {0};
    AUTO(buf_done) struct buf envelope = {0};
    struct envelope_aad aad = ticket_aad(realm, server);
    uint32_t kvno;

    if (text.n > TICKET_TEXT_MAX)
        return RC_MODIFIED;
    TRY(base64url_decode(text, &envelope));
    TRY(envelope_kvno(buf_slice(&envelope), &kvno));
    const struct key *server_key = keytab_find(keys, server, ETYPE_AES128_CBC_HS256, kvno);
    if (!server_key)
        return RC_NO_KVNO;
    TRY(envelope_derive(server_key, LABEL_TICKET, &key));
    return envelope_open(&key, &aad, buf_slice(&envelope), plain);
}

enum rc ticket_open(const struct keytab *keys, const struct name *realm, const struct name *server,
                    enum ticket_kind kind, struct slice text, int64_t now_s, struct ticket *ret)
{
    AUTO(buf_done) struct buf plain = {0};
    AUTO(ticket_done) struct ticket t = {0};

    enum rc rc = unseal(keys, realm, server, text, &plain);
    if (rc == RC_OK)
        rc = decode(buf_slice(&plain), realm, server, kind, &t);
    if (rc != RC_OK)
        return rc == RC_MALFORMED ? RC_MODIFIED : rc;
    *ret = t;
    return now_s >= t.end || t.start > now_s + START_AHEAD_MAX ? RC_TKT_EXPIRED : RC_OK;
}
