/* Tickets: what is sealed comes back whole; whatever is changed, foreign or late is refused. */
#include "shared/ticket/ticket.h"

#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/json.h"
#include "tests/unit/vectors.h"

#define NOW INT64_C(1780000000)

struct world {
    struct keytab *keys;
    struct key key;
    struct name realm, tgs;
    struct ticket tgt;
};

static struct name name_of(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static int setup(void **state)
{
    static struct world w;

    w = (struct world){.realm = name_of("EXAMPLE"), .tgs = name_of("tgs")};
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &w.key));
    assert_ok(keytab_new(&w.keys));
    assert_ok(keytab_add(w.keys, &w.tgs, &w.key));
    w.tgt = (struct ticket){.kind = TICKET_TGT,
                            .client = name_of("Вася \"x\""),
                            .address = "2001:db8::1",
                            .server = w.tgs,
                            .epoch = 7,
                            .auth_time = NOW - 5,
                            .start = NOW,
                            .end = NOW + 3600};
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &w.tgt.session));
    assert_ok(random_bytes(w.tgt.client_id, ID_LEN));
    assert_ok(random_bytes(w.tgt.id, ID_LEN));
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    keytab_free(w->keys);
    return 0;
}

static struct buf sealed(const struct world *w, const struct ticket *t)
{
    struct buf text = {0};
    assert_ok(ticket_seal(&w->key, &w->realm, t, &text));
    return text;
}

static enum rc open_tgt(const struct world *w, struct slice text, int64_t now_s, struct ticket *ret)
{
    return ticket_open(w->keys, &w->realm, &w->tgs, TICKET_TGT, text, now_s, ret);
}

static void assert_same_ticket(const struct ticket *a, const struct ticket *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_bytes(name_slice(&a->client), name_slice(&b->client));
    assert_bytes(name_slice(&a->server), name_slice(&b->server));
    assert_memory_equal(a->client_id, b->client_id, ID_LEN);
    assert_memory_equal(a->id, b->id, ID_LEN);
    assert_memory_equal(a->parent_id, b->parent_id, ID_LEN);
    assert_string_equal(a->address, b->address);
    assert_int_equal(a->session.etype, b->session.etype);
    assert_bytes(key_slice(&a->session), key_slice(&b->session));
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->auth_time, b->auth_time);
    assert_int_equal(a->start, b->start);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->renew_till, b->renew_till);
}

static void ticket_open__gives_back_a_tgt(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);

    assert_ok(open_tgt(w, buf_slice(&text), NOW, &t));
    assert_same_ticket(&t, &w->tgt);
    assert_int_equal(t.session.kvno, 0);
}

static void ticket_open__gives_back_a_service_ticket(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = {0}, service = w->tgt;

    service.kind = TICKET_SERVICE;
    service.renew_till = NOW + 7200;
    assert_ok(random_bytes(service.parent_id, ID_LEN));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 0, 0, &service.session));
    AUTO(buf_done) struct buf text = sealed(w, &service);
    assert_ok(ticket_open(w->keys, &w->realm, &w->tgs, TICKET_SERVICE, buf_slice(&text), NOW, &t));
    assert_same_ticket(&t, &service);
}

/* The plaintext of a ticket, as only the server can see it. */
static json_t *inside(const struct world *w, struct slice text)
{
    AUTO(buf_done) struct buf raw = {0}, plain = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    struct envelope_aad aad = {.realm = name_slice(&w->realm), .server = name_slice(&w->tgs)};
    json_t *j = NULL;

    assert_ok(base64url_decode(text, &raw));
    assert_ok(envelope_derive(&w->key, LABEL_TICKET, &key));
    assert_ok(envelope_open(&key, &aad, buf_slice(&raw), &plain));
    assert_ok(json_parse_object(buf_slice(&plain), 2, &j));
    return j;
}

static void ticket_seal__writes_the_fields_of_the_protocol(void **state)
{
    struct world *w = *state;
    static const char *const fields[] = {
        "user_login",   "user_name",
        "client_id",    "user_ip",
        "realm",        "server",
        "tgs_name",     "etype",
        "session_key",  "epoch",
        "auth_time",    "timestamp",
        "end_time",     "flags",
        "time_to_live", "ticket_id",
        "parent_id",    "tgs_ticket_time_to_live",
        "renew_till",   "session_key_time_to_live",
    };
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(json_done) json_t *j = inside(w, buf_slice(&text));

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!json_object_get(j, fields[i]))
            fail_msg("%s is missing", fields[i]);
    assert_int_equal(json_object_size(j), ARRAY_LEN(fields));
    assert_true(vector_is(j, "user_login", "Вася \"x\""));
    assert_true(vector_is(j, "timestamp", "2026-05-28 20:26:40"));
    assert_true(vector_is(j, "etype", "aes128-cbc"));
    assert_int_equal(vector_int(j, "time_to_live"), 3600);
}

static void ticket_seal__names_a_service_in_the_service_field(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket service = w->tgt;

    service.kind = TICKET_SERVICE;
    AUTO(buf_done) struct buf text = sealed(w, &service);
    AUTO(json_done) json_t *j = inside(w, buf_slice(&text));
    assert_true(vector_is(j, "service", "tgs"));
    assert_non_null(json_object_get(j, "client_service_sk"));
    assert_null(json_object_get(j, "tgs_name"));
    assert_null(json_object_get(j, "session_key"));
}

static void ticket_seal__two_longest_names_fit(void **state)
{
    struct world *w = *state;
    char longest[NAME_MAX_BYTES + 1] = "";
    AUTO(ticket_done) struct ticket t = w->tgt, opened = {0};
    AUTO(keytab_done) struct keytab *keys = NULL;

    for (size_t i = 0; i < NAME_MAX_CHARS; i++)
        memcpy(longest + 4 * i, "\xF0\x9F\x94\x91", 5);
    struct name realm = t.client = t.server = name_of(longest);
    AUTO(buf_done) struct buf text = {0};
    assert_ok(ticket_seal(&w->key, &realm, &t, &text));
    assert_in_range(text.n, 1, TICKET_TEXT_MAX);
    assert_ok(keytab_new(&keys));
    assert_ok(keytab_add(keys, &t.server, &w->key));
    assert_ok(ticket_open(keys, &realm, &t.server, TICKET_TGT, buf_slice(&text), NOW, &opened));
}

static void ticket_open__refuses_every_flipped_bit(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt), raw = {0};

    assert_ok(base64url_decode(buf_slice(&text), &raw));
    for (size_t bit = 0; bit < raw.n * 8; bit++) {
        AUTO(ticket_done) struct ticket t = {0};
        AUTO(buf_done) struct buf forged = {0};
        raw.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_ok(base64url_encode(buf_slice(&raw), &forged));
        raw.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bool in_kvno = bit / 8 >= 2 && bit / 8 < 6;
        assert_rc(open_tgt(w, buf_slice(&forged), NOW, &t), in_kvno ? RC_NO_KVNO : RC_MODIFIED);
        assert_int_equal(t.client.n, 0);
    }
}

static void ticket_open__refuses_every_changed_letter(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);

    for (size_t i = 0; i < text.n; i++) {
        AUTO(ticket_done) struct ticket t = {0};
        uint8_t was = text.p[i];
        text.p[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(open_tgt(w, buf_slice(&text), NOW, &t), RC_OK);
        text.p[i] = ' ';
        assert_rc(open_tgt(w, buf_slice(&text), NOW, &t), RC_MODIFIED);
        text.p[i] = was;
    }
}

static void ticket_open__refuses_every_cut(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);

    for (size_t n = 0; n < text.n; n++) {
        AUTO(ticket_done) struct ticket t = {0};
        assert_rc(open_tgt(w, slice_of(text.p, n), NOW, &t), RC_MODIFIED);
    }
    while (text.n <= TICKET_TEXT_MAX)
        assert_ok(buf_byte(&text, 'A'));
    AUTO(ticket_done) struct ticket t = {0};
    assert_rc(open_tgt(w, buf_slice(&text), NOW, &t), RC_MODIFIED);
}

static void ticket_open__refuses_another_realm(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    struct name other = name_of("OTHER");

    assert_rc(ticket_open(w->keys, &other, &w->tgs, TICKET_TGT, buf_slice(&text), NOW, &t), RC_MODIFIED);
}

static void ticket_open__refuses_another_server_even_with_the_same_key(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    struct name chat = name_of("chat");

    assert_rc(ticket_open(w->keys, &w->realm, &chat, TICKET_TGT, buf_slice(&text), NOW, &t), RC_NO_KVNO);
    assert_ok(keytab_add(w->keys, &chat, &w->key));
    assert_rc(ticket_open(w->keys, &w->realm, &chat, TICKET_TGT, buf_slice(&text), NOW, &t), RC_MODIFIED);
}

static void ticket_open__refuses_the_other_kind(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);

    assert_rc(ticket_open(w->keys, &w->realm, &w->tgs, TICKET_SERVICE, buf_slice(&text), NOW, &t), RC_NOT_US);
}

static void ticket_open__refuses_another_key_version(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(keytab_done) struct keytab *newer = NULL;
    struct key other;

    assert_ok(keytab_new(&newer));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 4, 0, &other));
    assert_ok(keytab_add(newer, &w->tgs, &other));
    assert_rc(ticket_open(newer, &w->realm, &w->tgs, TICKET_TGT, buf_slice(&text), NOW, &t), RC_NO_KVNO);
    other.kvno = 3; /* the version it names, but not that key */
    assert_ok(keytab_add(newer, &w->tgs, &other));
    assert_rc(ticket_open(newer, &w->realm, &w->tgs, TICKET_TGT, buf_slice(&text), NOW, &t), RC_MODIFIED);
}

/* Seals any text as the server's own code could: with a label, for the TGS. */
static struct buf sealed_text(const struct world *w, enum label label, struct slice plain)
{
    AUTO(envelope_key_done) struct envelope_key key = {0};
    AUTO(buf_done) struct buf raw = {0};
    struct envelope_aad aad = {.realm = name_slice(&w->realm), .server = name_slice(&w->tgs)};
    struct buf text = {0};

    assert_ok(envelope_derive(&w->key, label, &key));
    assert_ok(envelope_seal(&key, &aad, plain, &raw));
    assert_ok(base64url_encode(buf_slice(&raw), &text));
    return text;
}

static void ticket_open__refuses_an_envelope_of_another_label(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(json_done) json_t *j = inside(w, buf_slice(&text));
    AUTO(str_done) char *plain = json_dumps(j, JSON_COMPACT);
    AUTO(ticket_done) struct ticket t = {0};

    AUTO(buf_done) struct buf row = sealed_text(w, LABEL_ROW, slice_text(plain));
    assert_rc(open_tgt(w, buf_slice(&row), NOW, &t), RC_MODIFIED);
    AUTO(buf_done) struct buf message = sealed_text(w, LABEL_MESSAGE, slice_text(plain));
    assert_rc(open_tgt(w, buf_slice(&message), NOW, &t), RC_MODIFIED);
    AUTO(buf_done) struct buf right = sealed_text(w, LABEL_TICKET, slice_text(plain));
    assert_ok(open_tgt(w, buf_slice(&right), NOW, &t));
}

/* Opens the ticket with one field set to a JSON value (NULL: left out). */
static enum rc open_with(const struct world *w, const char *field, const char *value)
{
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(json_done) json_t *j = inside(w, buf_slice(&text));
    AUTO(ticket_done) struct ticket t = {0};

    if (value)
        assert_int_equal(json_object_set_new(j, field, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    else
        assert_int_equal(json_object_del(j, field), 0);
    AUTO(str_done) char *plain = json_dumps(j, JSON_COMPACT);
    AUTO(buf_done) struct buf again = sealed_text(w, LABEL_TICKET, slice_text(plain));
    return open_tgt(w, buf_slice(&again), NOW, &t);
}

static void ticket_open__refuses_a_text_that_is_too_long(void **state)
{
    struct world *w = *state;
    char padding[TICKET_TEXT_MAX];

    memset(padding, 'x', sizeof(padding));
    padding[0] = padding[sizeof(padding) - 2] = '"';
    padding[sizeof(padding) - 1] = 0;
    assert_rc(open_with(w, "padding", padding), RC_MODIFIED);
    padding[TICKET_TEXT_MAX / 4] = '"';
    padding[TICKET_TEXT_MAX / 4 + 1] = 0;
    assert_ok(open_with(w, "padding", padding));
}

static void ticket_open__refuses_a_missing_field(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(json_done) json_t *j = inside(w, buf_slice(&text));
    const char *field;
    json_t *value;

    json_object_foreach (j, field, value) {
        enum rc rc = open_with(w, field, NULL);
        if (rc != RC_MODIFIED && rc != RC_NOT_US)
            fail_msg("without %s: %s", field, rc_name(rc));
        rc = open_with(w, field, "{}");
        if (rc != RC_MODIFIED && rc != RC_NOT_US)
            fail_msg("%s an object: %s", field, rc_name(rc));
    }
}

static void ticket_open__refuses_fields_that_disagree(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *field, *value;
    } cases[] = {
        {"user_login",              "\"admin\""                   },
        {"user_name",               "\"admin\""                   },
        {"tgs_name",                "\"chat\""                    },
        {"time_to_live",            "3601"                        },
        {"tgs_ticket_time_to_live", "1"                           },
        {"end_time",                "1780003601"                  },
        {"end_time",                "-1"                          },
        {"end_time",                "9223372036854775807"         },
        {"timestamp",               "1780000000"                  },
        {"timestamp",               "\"2026-05-28 20:26:41\""     },
        {"auth_time",               "-1"                          },
        {"renew_till",              "1780009999"                  },
        {"flags",                   "[\"renewable\"]"             },
        {"flags",                   "[\"restricted\"]"            },
        {"epoch",                   "-1"                          },
        {"epoch",                   "4294967296"                  },
        {"etype",                   "\"aes128-cbc-hs256\""        },
        {"etype",                   "\"des\""                     },
        {"session_key",             "\"AAAA\""                    },
        {"session_key",             "\"\""                        },
        {"client_id",               "\"AAAA\""                    },
        {"ticket_id",               "\"AAAAAAAAAAAAAAAAAAAAAA==\""},
        {"user_ip",                 "\""
                    "1234567890123456789012345678901234567890123456"
                    "\""                       },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum rc rc = open_with(w, cases[i].field, cases[i].value);
        if (rc != RC_MODIFIED)
            fail_msg("%s = %s: %s", cases[i].field, cases[i].value, rc_name(rc));
    }
    assert_rc(open_with(w, "realm", "\"OTHER\""), RC_NOT_US);
    assert_rc(open_with(w, "server", "\"chat\""), RC_NOT_US);
    assert_ok(open_with(w, "unknown", "1")); /* unknown fields are ignored */
}

static void ticket_open__refuses_a_ticket_past_its_end_and_tells_whose(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(ticket_done) struct ticket t = {0};

    assert_ok(open_tgt(w, buf_slice(&text), NOW + 3599, &t));
    ticket_done(&t);
    assert_rc(open_tgt(w, buf_slice(&text), NOW + 3600, &t), RC_TKT_EXPIRED);
    assert_same_ticket(&t, &w->tgt);
}

static void ticket_open__refuses_a_ticket_that_starts_in_the_future(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf text = sealed(w, &w->tgt);
    AUTO(ticket_done) struct ticket t = {0};

    assert_ok(open_tgt(w, buf_slice(&text), NOW - 600, &t));
    assert_rc(open_tgt(w, buf_slice(&text), NOW - 601, &t), RC_TKT_EXPIRED);
}

static void ticket_seal__refuses_what_makes_no_sense(void **state)
{
    struct world *w = *state;
    AUTO(ticket_done) struct ticket t = w->tgt;
    AUTO(buf_done) struct buf text = {0};
    AUTO(key_done) struct key classic = {0};

    t.end = t.start - 1;
    assert_rc(ticket_seal(&w->key, &w->realm, &t, &text), RC_LIMIT);
    t = w->tgt;
    t.session.n = 15;
    assert_rc(ticket_seal(&w->key, &w->realm, &t, &text), RC_LIMIT);
    assert_ok(key_random(ETYPE_AES128_CBC, 1, 0, &classic));
    assert_rc(ticket_seal(&classic, &w->realm, &w->tgt, &text), RC_BAD_ETYPE);
    assert_int_equal(text.n, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(ticket_open__gives_back_a_tgt),
        TEST(ticket_open__gives_back_a_service_ticket),
        TEST(ticket_seal__writes_the_fields_of_the_protocol),
        TEST(ticket_seal__names_a_service_in_the_service_field),
        TEST(ticket_seal__two_longest_names_fit),
        TEST(ticket_open__refuses_every_flipped_bit),
        TEST(ticket_open__refuses_every_changed_letter),
        TEST(ticket_open__refuses_every_cut),
        TEST(ticket_open__refuses_another_realm),
        TEST(ticket_open__refuses_another_server_even_with_the_same_key),
        TEST(ticket_open__refuses_the_other_kind),
        TEST(ticket_open__refuses_another_key_version),
        TEST(ticket_open__refuses_an_envelope_of_another_label),
        TEST(ticket_open__refuses_a_text_that_is_too_long),
        TEST(ticket_open__refuses_a_missing_field),
        TEST(ticket_open__refuses_fields_that_disagree),
        TEST(ticket_open__refuses_a_ticket_past_its_end_and_tells_whose),
        TEST(ticket_open__refuses_a_ticket_that_starts_in_the_future),
        TEST(ticket_seal__refuses_what_makes_no_sense),
    };

    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
