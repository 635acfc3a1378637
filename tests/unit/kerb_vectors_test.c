/*
 * Vectors of the sealed profile, made in Python from the protocol's words (tests/vectors/kerb/generate.py): keys, one
 * envelope of each kind, tickets, and the records of a connection. Where an IV can be given, the bytes are compared
 * too.
 */
#include <stdlib.h>

#include "shared/crypto/onecode.h"
#include "shared/crypto/record.h"
#include "shared/crypto/userkey.h"
#include "shared/ticket/ticket.h"
#include "tests/unit/vectors.h"

static const char *const files[] = {"kerb/envelopes.json", "kerb/as.json", "kerb/tgs.json", "kerb/ap.json",
                                    "kerb/chat.json"};

static const struct {
    const char *name;
    enum label label;
} labels[] = {
    {"ticket",            LABEL_TICKET           },
    {"message",           LABEL_MESSAGE          },
    {"row",               LABEL_ROW              },
    {"as-cookie",         LABEL_AS_COOKIE        },
    {"as-preauth",        LABEL_AS_PREAUTH       },
    {"as-reply",          LABEL_AS_REPLY         },
    {"tgs-authenticator", LABEL_TGS_AUTHENTICATOR},
    {"tgs-reply",         LABEL_TGS_REPLY        },
    {"ap-authenticator",  LABEL_AP_AUTHENTICATOR },
    {"ap-reply",          LABEL_AP_REPLY         },
    {"epochs",            LABEL_EPOCHS           },
    {"new-keys",          LABEL_NEW_KEYS         },
    {"vault",             LABEL_VAULT            },
    {"audit",             LABEL_AUDIT            },
};

static struct name vector_name(const json_t *j, const char *field)
{
    struct name name;
    assert_ok(name_parse(vector_text(j, field), &name));
    return name;
}

static struct key vector_key(const json_t *j, const char *field, uint32_t kvno)
{
    AUTO(buf_done) struct buf bytes = vector_hex(j, field);
    struct key key = {.etype = ETYPE_AES128_CBC_HS256, .kvno = kvno, .n = AEAD_KEY};

    assert_int_equal(bytes.n, AEAD_KEY);
    memcpy(key.bytes, bytes.p, AEAD_KEY);
    return key;
}

static struct buf vector_url(const json_t *j, const char *field)
{
    struct buf bytes = {0};
    assert_ok(buf_reserve(&bytes, 1));
    assert_ok(base64url_decode(vector_text(j, field), &bytes));
    return bytes;
}

static void assert_hex(const json_t *j, const char *field, struct slice got)
{
    AUTO(buf_done) struct buf want = vector_hex(j, field);
    assert_bytes(got, buf_slice(&want));
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static void userkey_derive__gives_the_vectors(void **state)
{
    (void)state;
    AUTO(json_done) json_t *j = vectors_load("kerb/keys.json");
    size_t i;
    json_t *v;

    json_array_foreach (json_object_get(j, "user_keys"), i, v) {
        AUTO(buf_done) struct buf salt = vector_hex(v, "salt_hex");
        AUTO(key_done) struct key key = {0};
        struct name realm = vector_name(v, "realm"), client = vector_name(v, "client");
        struct userkey_params params = {.iterations = (uint32_t)vector_int(v, "iterations")};

        assert_int_equal(salt.n, USERKEY_SALT);
        memcpy(params.salt, salt.p, USERKEY_SALT);
        assert_ok(userkey_derive(vector_text(v, "password"), &realm, &client, &params, &key));
        assert_hex(v, "key_hex", key_slice(&key));
    }
    assert_int_equal(i, 8);
}

static void onecode__gives_the_vectors(void **state)
{
    (void)state;
    AUTO(json_done) json_t *j = vectors_load("kerb/keys.json");
    size_t i;
    json_t *v;

    json_array_foreach (json_object_get(j, "codes"), i, v) {
        AUTO(onecode_done) struct onecode code;
        AUTO(key_done) struct key key = {0};
        AUTO(buf_done) struct buf text = {0};
        uint8_t id[ONECODE_ID_LEN];

        assert_ok(onecode_read(vector_text(v, "text"), &code));
        assert_hex(v, "code_hex", SLICE(code.bytes));
        assert_ok(onecode_write(&code, &text));
        assert_bytes(buf_slice(&text), vector_text(v, "text"));
        assert_ok(onecode_id(&code, id));
        assert_hex(v, "id_hex", SLICE(id));
        assert_ok(onecode_key(&code, &key));
        assert_hex(v, "key_hex", key_slice(&key));
    }
    assert_int_equal(i, 3);
}

/* --- envelopes ---------------------------------------------------------------------------------------------------- */

static enum label label_of(const json_t *v)
{
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (vector_is(v, "label", labels[i].name))
            return labels[i].label;
    fail_msg("unknown label");
    return LABEL_TICKET;
}

static enum rc open_vector(const json_t *v, enum label label, const struct envelope_aad *aad, struct slice envelope,
                           struct buf *ret)
{
    AUTO(envelope_key_done) struct envelope_key derived;
    AUTO(key_done) struct key key = vector_key(v, "key_hex", (uint32_t)vector_int(v, "kvno"));

    assert_ok(envelope_derive(&key, label, &derived));
    return envelope_open(&derived, aad, envelope, ret);
}

static struct envelope_aad vector_aad(const json_t *v, const struct buf *context)
{
    return (struct envelope_aad){.realm = vector_text(v, "realm"),
                                 .client = vector_text(v, "client"),
                                 .server = vector_text(v, "server"),
                                 .context = buf_slice(context)};
}

/* The key of the label, and every byte behind the header: made here again from IV, AAD and text. */
static void check_bytes(const json_t *v, struct slice envelope)
{
    AUTO(buf_done) struct buf iv = vector_hex(v, "iv_hex"), aad = vector_hex(v, "aad_hex");
    AUTO(buf_done) struct buf plain = vector_hex(v, "plain_hex"), again = {0};
    AUTO(envelope_key_done) struct envelope_key derived;
    AUTO(key_done) struct key key = vector_key(v, "key_hex", (uint32_t)vector_int(v, "kvno"));
    uint8_t tag[AEAD_TAG];

    assert_ok(envelope_derive(&key, label_of(v), &derived));
    assert_hex(v, "derived_hex", SLICE(derived.mac_enc));
    assert_ok(buf_add(&again, slice_of(envelope.p, ENVELOPE_HEAD)));
    assert_ok(buf_add(&again, buf_slice(&iv)));
    assert_ok(aead_seal(derived.mac_enc, iv.p, buf_slice(&aad), buf_slice(&plain), &again, tag));
    assert_ok(buf_add(&again, SLICE(tag)));
    assert_bytes(buf_slice(&again), envelope);
}

/* The hashes of the texts that the vector names are its context. */
static void check_context(const json_t *v)
{
    AUTO(buf_done) struct buf context = {0};
    const json_t *texts = json_object_get(v, "context_of"), *text;
    size_t i;

    json_array_foreach (texts, i, text) {
        struct slice s = slice_of(json_string_value(text), json_string_length(text));
        assert_ok(envelope_context(&s, 1, &context));
    }
    if (texts)
        assert_hex(v, "context_hex", buf_slice(&context));
}

static void check_refusals(const json_t *v, const struct envelope_aad *good, struct slice envelope)
{
    AUTO(buf_done) struct buf plain = {0};
    struct slice other = slice_text("another");
    const struct envelope_aad bad[] = {
        {other,       good->client, good->server, good->context},
        {good->realm, other,        good->server, good->context},
        {good->realm, good->client, other,        good->context},
        {good->realm, good->client, good->server, other        },
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_rc(open_vector(v, label_of(v), &bad[i], envelope, &plain), RC_MODIFIED);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (labels[i].label != label_of(v))
            assert_rc(open_vector(v, labels[i].label, good, envelope, &plain), RC_MODIFIED);
}

static void check_envelope(const json_t *v)
{
    AUTO(buf_done) struct buf envelope = vector_url(v, "envelope"), context = vector_hex(v, "context_hex"), plain = {0};
    struct envelope_aad aad = vector_aad(v, &context);

    assert_ok(open_vector(v, label_of(v), &aad, buf_slice(&envelope), &plain));
    assert_hex(v, "plain_hex", buf_slice(&plain));
    check_context(v);
    check_bytes(v, buf_slice(&envelope));
    check_refusals(v, &aad, buf_slice(&envelope));
}

static size_t check_list(const json_t *list)
{
    size_t i;
    json_t *v;

    json_array_foreach (list, i, v)
        check_envelope(v);
    return i;
}

static void envelopes__of_each_kind_are_the_vectors(void **state)
{
    (void)state;
    size_t n = 0;

    for (size_t f = 0; f < ARRAY_LEN(files); f++) {
        AUTO(json_done) json_t *j = vectors_load(files[f]);
        const json_t *exchange;
        size_t i;

        n += check_list(json_object_get(j, "seal")) + check_list(json_object_get(j, "envelopes"));
        json_array_foreach (json_object_get(j, "exchanges"), i, exchange)
            n += check_list(json_object_get(exchange, "envelopes"));
    }
    assert_int_equal(n, 21 + 4 + 6 + 4 + 3);
}

static void envelopes__that_were_changed_are_refused(void **state)
{
    (void)state;
    AUTO(json_done) json_t *j = vectors_load("kerb/envelopes.json");
    const json_t *of = json_array_get(json_object_get(j, "seal"), 1), *v;
    AUTO(buf_done) struct buf context = vector_hex(of, "context_hex"), plain = {0};
    struct envelope_aad aad = vector_aad(of, &context);
    size_t i;

    json_array_foreach (json_object_get(j, "refuse"), i, v) {
        AUTO(buf_done) struct buf envelope = vector_url(v, "envelope");
        assert_true(slice_eq(vector_text(v, "of"), vector_text(of, "name")));
        assert_rc(open_vector(of, label_of(of), &aad, buf_slice(&envelope), &plain), RC_MODIFIED);
    }
    assert_int_equal(i, 15);
}

/* --- tickets ------------------------------------------------------------------------------------------------------ */

/* Opened, and sealed again: the same text inside. */
static void check_ticket(const json_t *v, const struct name *realm)
{
    AUTO(key_done) struct key key = vector_key(v, "key_hex", (uint32_t)vector_int(v, "kvno"));
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(envelope_key_done) struct envelope_key derived;
    AUTO(buf_done) struct buf text = {0}, raw = {0}, plain = {0};
    struct name server = vector_name(v, "server");
    enum ticket_kind kind = vector_is(v, "kind", "tgt") ? TICKET_TGT : TICKET_SERVICE;
    int64_t end = vector_int(v, "end");

    assert_ok(keytab_new(&kt));
    assert_ok(keytab_add(kt, &server, &key));
    assert_ok(ticket_open(kt, realm, &server, kind, vector_text(v, "text"), end - 1, &t));
    assert_bytes(name_slice(&t.client), vector_text(v, "client"));
    assert_hex(v, "session_hex", key_slice(&t.session));
    assert_int_equal(t.start, vector_int(v, "start"));
    assert_int_equal(t.end, end);
    assert_int_equal(t.renew_till, vector_int(v, "renew_till"));
    assert_int_equal(t.epoch, vector_int(v, "epoch"));
    assert_rc(ticket_open(kt, realm, &server, kind, vector_text(v, "text"), end, &t), RC_TKT_EXPIRED);

    assert_ok(ticket_seal(&key, realm, &t, &text));
    assert_ok(base64url_decode(buf_slice(&text), &raw));
    assert_ok(envelope_derive(&key, LABEL_TICKET, &derived));
    const struct envelope_aad aad = {.realm = name_slice(realm), .server = name_slice(&server)};
    assert_ok(envelope_open(&derived, &aad, buf_slice(&raw), &plain));
    assert_hex(v, "plain_hex", buf_slice(&plain));
}

static void tickets__are_the_vectors(void **state)
{
    (void)state;
    size_t n = 0;

    for (size_t f = 1; f < ARRAY_LEN(files); f++) {
        AUTO(json_done) json_t *j = vectors_load(files[f]);
        struct name realm;
        const json_t *exchange, *ticket = json_object_get(j, "ticket"), *tgt = json_object_get(j, "tgt");
        size_t i;

        assert_ok(name_parse(slice_text("EXAMPLE.TEST"), &realm));
        if (ticket)
            check_ticket(ticket, &realm);
        if (tgt)
            check_ticket(tgt, &realm);
        n += (ticket ? 1U : 0U) + (tgt ? 1U : 0U);
        json_array_foreach (json_object_get(j, "exchanges"), i, exchange)
            check_ticket(json_object_get(exchange, "ticket"), &realm);
        n += i;
    }
    assert_int_equal(n, 6);
}

/* --- the connection ----------------------------------------------------------------------------------------------- */

struct connection {
    json_t *j;
    struct buf session_id;
    struct record_stream c2s, s2c;
};

static void connection_done(struct connection *c)
{
    json_done(&c->j);
    buf_done(&c->session_id);
    record_stream_done(&c->c2s);
    record_stream_done(&c->s2c);
}

static void connection_start(struct connection *c)
{
    AUTO(buf_done) struct buf session = {0}, x = {0};
    struct record_secrets secrets;
    struct record_parties parties;
    struct slice frames[3];
    size_t i;
    json_t *frame;

    c->j = vectors_load("kerb/chat.json");
    session = vector_hex(c->j, "session_hex");
    x = vector_hex(json_object_get(c->j, "ecdh"), "x_hex");
    c->session_id = vector_hex(c->j, "session_id_hex");
    assert_int_equal(session.n, sizeof secrets.session);
    assert_int_equal(x.n, sizeof secrets.ecdh);
    memcpy(secrets.session, session.p, session.n);
    memcpy(secrets.ecdh, x.p, x.n);
    parties = (struct record_parties){.realm = vector_text(c->j, "realm"),
                                      .client = vector_text(c->j, "client"),
                                      .server = vector_text(c->j, "server")};
    memcpy(parties.session_id, c->session_id.p, RECORD_SESSION_ID);
    json_array_foreach (json_object_get(c->j, "frames"), i, frame)
        frames[i] = slice_of(json_string_value(frame), json_string_length(frame));
    assert_int_equal(i, 3);
    assert_ok(record_keys(&secrets, frames, &parties, &c->c2s, &c->s2c));
}

static void connection_keys__are_the_vectors(void **state)
{
    (void)state;
    AUTO(connection_done) struct connection c = {0};

    connection_start(&c);
    assert_hex(c.j, "c2s_key_hex", SLICE(c.c2s.mac_enc));
    assert_hex(c.j, "s2c_key_hex", SLICE(c.s2c.mac_enc));
}

static void check_record(struct record_stream *mine, struct record_stream *other, const json_t *v)
{
    AUTO(buf_done) struct buf record = vector_hex(v, "record_hex"), aad = vector_hex(v, "aad_hex");
    AUTO(buf_done) struct buf want = vector_hex(v, "plain_hex"), text = {0}, again = {0};
    uint64_t sequence = (uint64_t)vector_int(v, "sequence");
    uint8_t tag[AEAD_TAG];

    mine->sequence = sequence + 1; /* any other number */
    assert_rc(record_open(mine, buf_slice(&record), &text), RC_MODIFIED);
    other->sequence = sequence; /* turned back */
    assert_rc(record_open(other, buf_slice(&record), &text), RC_MODIFIED);
    mine->sequence = sequence;
    assert_ok(record_open(mine, buf_slice(&record), &text));
    assert_bytes(buf_slice(&text), buf_slice(&want));
    assert_true(mine->sequence == sequence + 1);
    assert_rc(record_open(mine, buf_slice(&record), &text), RC_MODIFIED); /* again */

    assert_ok(buf_add(&again, slice_of(record.p, AES_BLOCK)));
    assert_ok(aead_seal(mine->mac_enc, record.p, buf_slice(&aad), buf_slice(&want), &again, tag));
    assert_ok(buf_add(&again, SLICE(tag)));
    assert_bytes(buf_slice(&again), buf_slice(&record));
}

static void records__are_the_vectors(void **state)
{
    (void)state;
    AUTO(connection_done) struct connection c = {0};
    size_t i, n = 0;
    json_t *v;

    connection_start(&c);
    json_array_foreach (json_object_get(c.j, "c2s"), i, v)
        check_record(&c.c2s, &c.s2c, v);
    n += i;
    json_array_foreach (json_object_get(c.j, "s2c"), i, v)
        check_record(&c.s2c, &c.c2s, v);
    assert_int_equal(n + i, 7 + 4);
}

static void points__of_the_vectors_are_taken_or_refused(void **state)
{
    (void)state;
    AUTO(json_done) json_t *j = vectors_load("kerb/chat.json");
    AUTO(ecdh_done) struct ecdh *mine = NULL;
    const json_t *ecdh = json_object_get(j, "ecdh");
    AUTO(buf_done) struct buf one = vector_hex(ecdh, "client_point_hex"), two = vector_hex(ecdh, "server_point_hex");
    uint8_t point[ECDH_POINT], secret[ECDH_SECRET];
    size_t i;
    json_t *v;

    assert_ok(ecdh_new(&mine, point));
    assert_int_equal(one.n, ECDH_POINT);
    assert_ok(ecdh_shared(mine, one.p, secret));
    assert_int_equal(two.n, ECDH_POINT);
    assert_ok(ecdh_shared(mine, two.p, secret));
    json_array_foreach (json_object_get(ecdh, "refuse"), i, v) {
        AUTO(buf_done) struct buf bad = vector_hex(v, "point_hex");
        assert_int_equal(bad.n, ECDH_POINT);
        assert_rc(ecdh_shared(mine, bad.p, secret), RC_MALFORMED);
    }
    assert_int_equal(i, 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(userkey_derive__gives_the_vectors),
        cmocka_unit_test(onecode__gives_the_vectors),
        cmocka_unit_test(envelopes__of_each_kind_are_the_vectors),
        cmocka_unit_test(envelopes__that_were_changed_are_refused),
        cmocka_unit_test(tickets__are_the_vectors),
        cmocka_unit_test(connection_keys__are_the_vectors),
        cmocka_unit_test(records__are_the_vectors),
        cmocka_unit_test(points__of_the_vectors_are_taken_or_refused),
    };

    json_setup();
    if (crypto_setup() != RC_OK)
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
