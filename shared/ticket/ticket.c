/* Tickets: a JSON object with both spellings of the original, sealed for one server. */
#include "shared/ticket/ticket.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"

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

static enum rc read_id(struct jr *r, const char *field, uint8_t ret[ID_LEN])
{
    return base64url_decode_exact(jr_text(r, field), ret, ID_LEN);
}

/* The text of an address, or a word: whatever stands here goes into logs. */
static enum rc read_address(struct jr *r, char ret[ADDRESS_MAX])
{
    struct slice text = jr_text(r, "user_ip");

    if (jr_end(r) != RC_OK || text.n >= ADDRESS_MAX)
        return RC_MALFORMED;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return RC_MALFORMED;
    memcpy(ret, text.p, text.n);
    ret[text.n] = 0;
    return RC_OK;
}

static enum rc read_session(struct jr *r, const char *field, struct key *ret)
{
    AUTO(buf_done) struct buf bytes = {0};

    TRY(base64_decode_lenient(jr_text(r, field), &bytes));
    TRY(etype_parse(jr_text(r, "etype"), &ret->etype));
    if (bytes.n != etype_key_len(ret->etype))
        return RC_MALFORMED;
    ret->n = (uint8_t)bytes.n;
    memcpy(ret->bytes, bytes.p, bytes.n);
    return RC_OK;
}

/* A flag that we do not know may restrict the ticket: refuse it. */
static enum rc read_flags(struct jr *r, bool is_renewable)
{
    jr_open(r, "flags", '[');
    if (is_renewable && !slice_eq(jr_text(r, NULL), slice_text(FLAG_RENEWABLE)))
        return RC_MALFORMED;
    jr_close(r, ']');
    return jr_end(r);
}

static enum rc read_times(struct jr *r, struct ticket *t)
{
    t->auth_time = jr_int(r, "auth_time");
    t->start = jr_time(r, "timestamp");
    int64_t lifetime = jr_int(r, "time_to_live"), tgt_lifetime = lifetime, session_lifetime = lifetime;
    if (t->kind == TICKET_TGT) {
        tgt_lifetime = jr_int(r, "tgs_ticket_time_to_live");
        session_lifetime = jr_int(r, "session_key_time_to_live");
    }
    t->end = jr_int(r, "end_time");
    t->renew_till = jr_int(r, "renew_till");
    if (!is_time(t->end) || t->end - t->start != lifetime || tgt_lifetime != lifetime || session_lifetime != lifetime)
        return RC_MALFORMED;
    return read_flags(r, t->renew_till != 0);
}

static enum rc read_client(struct jr *r, struct ticket *t)
{
    struct name again;

    jr_name(r, "user_login", &t->client);
    jr_name(r, "user_name", &again);
    if (jr_end(r) != RC_OK || !slice_eq(name_slice(&again), name_slice(&t->client)))
        return RC_MALFORMED;
    TRY(read_id(r, "client_id", t->client_id));
    return read_address(r, t->address);
}

/* For whom: realm, server, and the field that only this kind has. */
static enum rc read_target(struct jr *r, const struct name *realm, const struct name *server, struct ticket *t)
{
    struct name issued_in, again;

    jr_name(r, "realm", &issued_in);
    jr_name(r, "server", &t->server);
    TRY(jr_end(r));
    if (!slice_eq(name_slice(&issued_in), name_slice(realm)) || !slice_eq(name_slice(&t->server), name_slice(server)) ||
        jr_is(r, spelling[t->kind == TICKET_TGT ? TICKET_SERVICE : TICKET_TGT].server))
        return RC_NOT_US;
    jr_name(r, spelling[t->kind].server, &again);
    TRY(jr_end(r));
    return slice_eq(name_slice(&again), name_slice(server)) ? RC_OK : RC_MALFORMED;
}

/* The mirror of encode(). */
static enum rc decode(struct slice plain, const struct name *realm, const struct name *server, enum ticket_kind kind,
                      struct ticket *t)
{
    struct jr r = jr_start(plain);

    t->kind = kind;
    jr_open(&r, NULL, '{');
    TRY(read_client(&r, t));
    TRY(read_target(&r, realm, server, t));
    TRY(read_session(&r, spelling[kind].session, &t->session));
    int64_t epoch = jr_int(&r, "epoch");
    if (epoch < 0 || epoch > UINT32_MAX)
        return RC_MALFORMED;
    t->epoch = (uint32_t)epoch;
    TRY(read_times(&r, t));
    TRY(read_id(&r, "ticket_id", t->id));
    TRY(read_id(&r, "parent_id", t->parent_id));
    TRY(jr_end(&r));
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
