/* Frames after the login: sealed, stamped, never twice, of the right form. */
#include "tests/unit/wire.h"

static int logged_in(void **state)
{
    assert_int_equal(kit_setup(state), 0);
    assert_ok(kit_login(*state));
    return 0;
}

#define AUTHED(f) cmocka_unit_test_setup_teardown(f, logged_in, kit_teardown)

/* --- the box, the object, the type -------------------------------------------------------------------------------- */

static void frame__that_does_not_open_is_refused(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(key_done) struct key own = kit->ticket.session;
    AUTO(buf_done) struct buf good = kit_frame(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}", WIRE_NOW);

    assert_rc(kit_read(kit, slice_text(""), WIRE_NOW), RC_MODIFIED);
    assert_code(kit, MALFORMED);
    assert_rc(kit_read(kit, slice_text("{\"type\":\"online\"}"), WIRE_NOW), RC_MODIFIED);
    assert_code(kit, MALFORMED);
    assert_rc(kit_read(kit, slice_of(good.p, good.n - 4), WIRE_NOW), RC_MODIFIED);
    assert_code(kit, MALFORMED);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &kit->ticket.session));
    assert_true(kit_send(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}") != RC_OK);
    assert_code(kit, MALFORMED);
    kit->ticket.session = own;
    assert_ok(kit_read(kit, buf_slice(&good), WIRE_NOW));
    assert_int_equal(kit->event.kind, CHAT_REQUEST);
    assert_int_equal(kit->event.request->cmd, CMD_ONLINE);
}

static void frame__is_one_object(void **state)
{
    static const char *const texts[] = {
        "[]",
        "null",
        "\"online\"",
        "{\"type\":\"online\",\"timestamp\":\"@\"",
        "{\"type\":\"online\",\"timestamp\":\"@\"}{}",
        "{\"type\":\"online\",\"timestamp\":\"@\",}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":NaN}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":\"\\u0000\"}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":\"\\ud800\"}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":\"\xff\"}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":\"\xc0\xaf\"}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":\"\xed\xa0\x80\"}",
        "{\"type\":\"online\",\"type\":\"online\",\"timestamp\":\"@\"}",
        "{\"type\":\"online\",\"timestamp\":\"@\",\"x\":{\"a\":1,\"a\":1}}",
    };
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_rc(kit_send(kit, texts[i]), RC_MALFORMED);
        assert_code(kit, MALFORMED);
        assert_int_equal(kit->event.request->cmd, CMD_NONE);
    }
}

/* The frame itself is one level, `data` holds the rest. */
static void frame__is_at_most_16_deep(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf text = {0};

    for (int depth = 15; depth <= 16; depth++) {
        buf_reset(&text);
        assert_ok(buf_text(&text, "{\"type\":\"save_data\",\"timestamp\":\"@\",\"key\":\"k\",\"data\":"));
        for (int i = 0; i < depth; i++)
            assert_ok(buf_text(&text, "["));
        for (int i = 0; i < depth; i++)
            assert_ok(buf_text(&text, "]"));
        assert_ok(buf_text(&text, "}"));
        assert_rc(kit_send(kit, buf_cstr(&text)), depth == 15 ? RC_OK : RC_MALFORMED);
    }
    assert_code(kit, MALFORMED);
}

static void frame__has_a_known_type(void **state)
{
    static const char *const texts[] = {
        "{\"timestamp\":\"@\",\"id\":\"L\"}",
        "{\"timestamp\":\"@\",\"id\":\"L\",\"type\":null}",
        "{\"timestamp\":\"@\",\"id\":\"L\",\"type\":7}",
        "{\"timestamp\":\"@\",\"id\":\"L\",\"type\":\"\"}",
        "{\"timestamp\":\"@\",\"id\":\"L\",\"type\":\"Online\"}",
        "{\"timestamp\":\"@\",\"id\":\"L\",\"type\":\"online \"}",
        "{\"timestamp\":\"@\",\"id\":\"L\",\"type\":\"handshake\"}",
    };
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_rc(kit_send(kit, texts[i]), RC_MALFORMED);
        assert_code(kit, MALFORMED);
        assert_int_equal(kit->event.request->cmd, CMD_NONE);
        assert_slice(kit->event.request->label, "L");
    }
}

static void frame__label_is_a_text_of_64_characters(void **state)
{
    char text[512], label[4 * 65 + 1];
    struct wire_kit *kit = *state;

    label[0] = 0;
    for (size_t n = 1; n <= 65; n++) {
        memcpy(label + 2 * (n - 1), "\xc3\xa9", 3);
        if (n < 64)
            continue;
        (void)snprintf(text, sizeof(text), "{\"type\":\"online\",\"timestamp\":\"@\",\"id\":\"%s\"}", label);
        assert_rc(kit_send(kit, text), n == 64 ? RC_OK : RC_MALFORMED);
        assert_int_equal(kit->event.request->label.n, n == 64 ? 128 : 0);
    }
    assert_code(kit, MALFORMED);
    assert_rc(kit_send(kit, "{\"type\":\"online\",\"timestamp\":\"@\",\"id\":7}"), RC_MALFORMED);
    assert_code(kit, MALFORMED);
}

static void login__twice_is_refused(void **state)
{
    struct wire_kit *kit = *state;

    assert_true(kit_send(kit, "{\"type\":\"login\",\"timestamp\":\"@\",\"id\":\"L\"}") != RC_OK);
    assert_code(kit, LOGGED_IN);
    assert_int_equal(kit->event.request->cmd, CMD_LOGIN);
    assert_slice(kit->event.request->label, "L");
    assert_true(kit_login(kit) != RC_OK); /* in clear it is not even a frame */
    assert_code(kit, MALFORMED);
}

/* --- who, when ---------------------------------------------------------------------------------------------------- */

static void from__is_the_users_own_name(void **state)
{
    static const char *const wrong[] = {"\"bob\"",     "\"Alice\"",           "\"\"", "1", "null",
                                        "[\"alice\"]", "{\"name\":\"alice\"}"};
    struct wire_kit *kit = *state;
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"type\":\"new_message\",\"timestamp\":\"@\",\"room\":\"r\",\"message\":\"m\",\"from\":%s}",
                       wrong[i]);
        assert_true(kit_send(kit, text) != RC_OK);
        assert_code(kit, WRONG_FROM);
        (void)snprintf(text, sizeof(text),
                       "{\"type\":\"new_message\",\"timestamp\":\"@\",\"room\":\"r\",\"from\":\"alice\","
                       "\"message\":{\"text\":\"m\",\"from\":%s}}",
                       wrong[i]);
        assert_true(kit_send(kit, text) != RC_OK);
        assert_code(kit, WRONG_FROM);
        (void)snprintf(text, sizeof(text), "{\"type\":\"online\",\"timestamp\":\"@\",\"from\":%s}", wrong[i]);
        assert_true(kit_send(kit, text) != RC_OK);
        assert_code(kit, WRONG_FROM);
    }
    assert_ok(kit_send(kit, "{\"type\":\"new_message\",\"timestamp\":\"@\",\"room\":\"r\",\"from\":\"alice\","
                            "\"message\":{\"text\":\"m\",\"from\":\"alice\"}}"));
}

static void stamp__is_there_and_within_the_skew(void **state)
{
    static const char *const missing[] = {
        "{\"type\":\"online\"}",
        "{\"type\":\"online\",\"timestamp\":null}",
        "{\"type\":\"online\",\"timestamp\":1790000000}",
        "{\"type\":\"online\",\"timestamp\":\"\"}",
        "{\"type\":\"online\",\"timestamp\":\"@ \"}",
        "{\"type\":\"online\",\"timestamp\":\"2026-09-31 14:13:20\"}",
    };
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        assert_rc(kit_send(kit, missing[i]), RC_MALFORMED);
        assert_code(kit, MALFORMED);
        assert_int_equal(kit->event.request->cmd, CMD_ONLINE);
    }
    assert_rc(kit_send_at(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}", WIRE_NOW - 601, WIRE_NOW), RC_SKEW);
    assert_code(kit, SKEW);
    assert_rc(kit_send_at(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}", WIRE_NOW + 601, WIRE_NOW), RC_SKEW);
    assert_code(kit, SKEW);
    assert_ok(kit_send_at(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}", WIRE_NOW - 600, WIRE_NOW));
    assert_ok(kit_send_at(kit, "{\"type\":\"online\",\"timestamp\":\"@\"}", WIRE_NOW + 600, WIRE_NOW));
}

/* --- replayed ----------------------------------------------------------------------------------------------------- */

static void replay(struct wire_kit *kit, const struct buf *raw, int64_t now_s, enum rc want)
{
    AUTO(buf_done) struct buf box = {0};

    assert_ok(base64_encode(buf_slice(raw), &box));
    assert_rc(kit_read(kit, buf_slice(&box), now_s), want);
    if (want != RC_OK)
        assert_code(kit, REPLAYED);
}

static void frame__is_accepted_once(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf raw = {0};
    /* the text ends with its block, so the padding is one of its own; "@" becomes 19 letters */
    AUTO(buf_done)
    struct buf box =
        kit_frame(kit, "{ \"type\":\"new_message\",\"timestamp\":\"@\",\"room\":\"r\",\"message\":\"pay\" }           ",
                  WIRE_NOW);

    assert_ok(base64_decode_lenient(buf_slice(&box), &raw));
    assert_int_equal(raw.n % 16, 0);
    replay(kit, &raw, WIRE_NOW, RC_OK);
    replay(kit, &raw, WIRE_NOW, RC_REPEAT);
    replay(kit, &raw, WIRE_NOW + 599, RC_REPEAT);

    raw.p[1] ^= ' ' ^ '\n'; /* the same in other spacing: its IV was changed */
    replay(kit, &raw, WIRE_NOW, RC_REPEAT);
    raw.p[1] ^= ' ' ^ '\n';
    size_t whole = raw.n;
    raw.n -= AES_BLOCK; /* the padding block cut off */
    replay(kit, &raw, WIRE_NOW, RC_REPEAT);
    raw.n = whole;

    /* on another connection under the same ticket, also after the first has gone */
    struct wire_conn *first = kit->conn;
    kit->conn = NULL;
    kit_new_conn(kit);
    assert_ok(kit_login_at(kit, WIRE_NOW + 1, WIRE_NOW));
    replay(kit, &raw, WIRE_NOW, RC_REPEAT);
    wire_conn_free(first);
    kit_new_conn(kit);
    assert_ok(kit_login_at(kit, WIRE_NOW + 2, WIRE_NOW));
    replay(kit, &raw, WIRE_NOW, RC_REPEAT);

    /* the same text again, honestly sealed, is another frame */
    assert_ok(kit_send(
        kit, "{ \"type\":\"new_message\",\"timestamp\":\"@\",\"room\":\"r\",\"message\":\"pay\" }           "));
}

static void stamp__may_lie_ten_seconds_behind_the_newest(void **state)
{
    static const char online[] = "{\"type\":\"online\",\"timestamp\":\"@\"}";
    struct wire_kit *kit = *state;

    assert_ok(kit_send_at(kit, online, WIRE_NOW, WIRE_NOW));
    assert_ok(kit_send_at(kit, online, WIRE_NOW - 10, WIRE_NOW));
    assert_rc(kit_send_at(kit, online, WIRE_NOW - 11, WIRE_NOW), RC_REPEAT);
    assert_code(kit, REPLAYED);
    assert_ok(kit_send_at(kit, online, WIRE_NOW + 5, WIRE_NOW));
    assert_rc(kit_send_at(kit, online, WIRE_NOW - 6, WIRE_NOW), RC_REPEAT);

    /* another ticket has its own newest stamp */
    kit_ticket(kit, "alice");
    kit_new_conn(kit);
    assert_ok(kit_login(kit));
    assert_ok(kit_send_at(kit, online, WIRE_NOW - 300, WIRE_NOW));
}

static void frame__of_before_an_orderly_restart_is_old(void **state)
{
    static const char online[] = "{\"type\":\"online\",\"timestamp\":\"@\"}";
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf seen = kit_frame(kit, online, WIRE_NOW);

    assert_ok(kit_read(kit, buf_slice(&seen), WIRE_NOW));
    kit_stop(kit);
    kit->started_s = WIRE_NOW + 1;
    kit_start(kit);
    assert_ok(kit_login_at(kit, WIRE_NOW + 2, WIRE_NOW + 2));
    assert_rc(kit_read(kit, buf_slice(&seen), WIRE_NOW + 2), RC_REPEAT);
    assert_code(kit, REPLAYED);
    assert_rc(kit_send_at(kit, online, WIRE_NOW, WIRE_NOW + 2), RC_REPEAT); /* only the newest stamp was kept */
    assert_ok(kit_send_at(kit, online, WIRE_NOW + 1, WIRE_NOW + 2));
}

/* --- fields of the requests --------------------------------------------------------------------------------------- */

static void dump(const struct chat_request *r, struct buf *out)
{
    buf_reset(out);
    assert_ok(buf_printf(out, "%s", chat_command_word(r->cmd)));
    if (r->room.n)
        assert_ok(buf_printf(out, " room=%s", r->room.s));
    if (r->has_name)
        assert_ok(buf_printf(out, " name=%s", r->name.s));
    if (r->cmd == CMD_NEW_ROOM) {
        assert_ok(buf_printf(out, r->threshold == THRESHOLD_ALL ? " all" : " threshold=%u", r->threshold));
        assert_ok(buf_printf(out, " hold=%s", r->hold == HOLD_PRESENTERS ? "presenters" : "members"));
        if (r->keep_days)
            assert_ok(buf_printf(out, " keep=%u", r->keep_days));
        assert_ok(buf_text(out, " users="));
        for (size_t i = 0; i < r->users_n; i++)
            assert_ok(buf_printf(out, "%s%.*s", i ? "," : "", SLICE_FMT(r->users[i])));
    }
    if (r->has_secret)
        assert_ok(buf_printf(out, " secret=%.*s", SLICE_FMT(r->secret)));
    if (r->cmd == CMD_NEW_MESSAGE || r->cmd == CMD_EDIT_MESSAGE || r->cmd == CMD_DELETE_MESSAGE)
        assert_ok(buf_printf(out, " text=%.*s", SLICE_FMT(r->text)));
    if (r->cmd == CMD_MARK_READ || r->cmd == CMD_EDIT_MESSAGE || r->cmd == CMD_DELETE_MESSAGE)
        assert_ok(buf_printf(out, " seq=%llu", (unsigned long long)r->seq));
    if (r->cmd == CMD_SUBSCRIBE)
        assert_ok(buf_printf(out, " presence=%d", r->presence));
    if (r->cmd == CMD_SEARCH)
        assert_ok(buf_printf(out, " text=%.*s before=%lld limit=%u", SLICE_FMT(r->text), (long long)r->seq, r->limit));
    if (r->cmd == CMD_GET_HISTORY)
        assert_ok(buf_printf(out, " side=%d seq=%llu limit=%u", (int)r->side, (unsigned long long)r->seq, r->limit));
    if (r->cid.n)
        assert_ok(buf_printf(out, " cid=%.*s", SLICE_FMT(r->cid)));
    if (r->has_key)
        assert_ok(buf_printf(out, " key=%.*s", SLICE_FMT(r->key)));
    if (r->cmd == CMD_SAVE_DATA)
        assert_ok(buf_printf(out, " data=%.*s", SLICE_FMT(r->data)));
}

/* The fields behind type and timestamp, and the request that they make or the code that refuses them. */
struct fields {
    const char *fields, *want;
};

static void read_all(struct wire_kit *kit, const struct fields *list, size_t n)
{
    AUTO(buf_done) struct buf text = {0}, is = {0};

    for (size_t i = 0; i < n; i++) {
        buf_reset(&text);
        assert_ok(buf_printf(&text, "{\"timestamp\":\"@\",\"type\":%s}", list[i].fields));
        enum rc rc = kit_send(kit, buf_cstr(&text));
        if (rc == RC_OK)
            dump(kit->event.request, &is);
        else
            assert_ok((buf_reset(&is), buf_printf(&is, "! %s", chat_code_word(kit->event.code))));
        if (!slice_eq(buf_slice(&is), slice_text(list[i].want)))
            fail_msg("%s\n reads as %s\n not as %s", list[i].fields, buf_cstr(&is), list[i].want);
    }
}

static void request__room_is_text_or_object(void **state)
{
    static const struct fields list[] = {
        {"\"go_room\",\"room\":\"board\"",                                  "go_room room=board"    },
        {"\"go_room\",\"room\":{\"room\":\"board\"}",                       "go_room room=board"    },
        {"\"go_room\",\"room\":{\"name\":\"board\"}",                       "go_room room=board"    },
        {"\"go_room\",\"room\":{\"name\":\"n\",\"room\":\"r\"}",            "go_room room=r"        },
        {"\"go_room\",\"room\":\"e\\u0301\"",                               "go_room room=\xc3\xa9" },
        {"\"go_room\",\"room\":\"a b\"",                                    "go_room room=a b"      },
        {"\"go_room\",\"unknown\":[1],\"room\":\"board\"",                  "go_room room=board"    },
        {"\"go_room\"",                                                     "! malformed"           },
        {"\"go_room\",\"room\":null",                                       "! malformed"           },
        {"\"go_room\",\"room\":7",                                          "! malformed"           },
        {"\"go_room\",\"room\":[\"board\"]",                                "! malformed"           },
        {"\"go_room\",\"room\":{}",                                         "! malformed"           },
        {"\"go_room\",\"room\":{\"room\":7}",                               "! malformed"           },
        {"\"go_room\",\"room\":{\"id\":\"board\"}",                         "! malformed"           },
        {"\"go_room\",\"room\":\"\"",                                       "! malformed"           },
        {"\"go_room\",\"room\":\" board\"",                                 "! malformed"           },
        {"\"go_room\",\"room\":\"a\\nb\"",                                  "! malformed"           },
        {"\"new_message\",\"message\":\"m\"",                               "! malformed"           },
        {"\"new_message\",\"message\":{\"text\":\"m\",\"room\":\"board\"}", "! malformed"           },
        {"\"secret\",\"secret\":\"1-a\"",                                   "! malformed"           },
        {"\"delete_chat\"",                                                 "! malformed"           },
        {"\"delete_chat\",\"room\":{\"room\":\"board\"}",                   "delete_chat room=board"},
        {"\"online\",\"room\":7",                                           "online"                },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__room_has_at_most_64_characters(void **state)
{
    struct wire_kit *kit = *state;
    char text[512];

    (void)snprintf(text, sizeof(text), "{\"type\":\"go_room\",\"timestamp\":\"@\",\"room\":\"%064d\"}", 0);
    assert_ok(kit_send(kit, text));
    (void)snprintf(text, sizeof(text), "{\"type\":\"go_room\",\"timestamp\":\"@\",\"room\":\"%065d\"}", 0);
    assert_true(kit_send(kit, text) != RC_OK);
    assert_code(kit, MALFORMED);
}

#define NEW_ROOM "\"new_room\",\"room\":\"r\","

static void request__new_room(void **state)
{
    static const struct fields list[] = {
        {NEW_ROOM "\"threshold\":2,\"users\":[\"a\",\"b\"]",                  "new_room room=r threshold=2 hold=members users=a,b"      },
        {NEW_ROOM "\"threshold\":0,\"users\":[]",                             "new_room room=r threshold=0 hold=members users="         },
        {NEW_ROOM "\"threshold\":\"3\",\"users\":[\"a\"]",                    "new_room room=r threshold=3 hold=members users=a"        },
        {NEW_ROOM "\"threshold\":\"\",\"users\":[\"a\"]",                     "new_room room=r all hold=members users=a"                },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"name\":\"N\"",
         "new_room room=r name=N threshold=1 hold=members users="                                                                       },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"keep_days\":36500",
         "new_room room=r threshold=1 hold=members keep=36500 users="                                                                   },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"keep_days\":0",             "new_room room=r threshold=1 hold=members users="         },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"keep_days\":36501",         "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"keep_days\":-1",            "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"keep_days\":\"7\"",         "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"hold\":\"presenters\"",
         "new_room room=r threshold=1 hold=presenters users="                                                                           },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"hold\":\"members\"",
         "new_room room=r threshold=1 hold=members users="                                                                              },
        {NEW_ROOM "\"threshold\":4294967294,\"users\":[]",                    "new_room room=r threshold=4294967294 hold=members users="},

        {NEW_ROOM "\"users\":[\"a\"]",                                        "! malformed"                                             },
        {NEW_ROOM "\"threshold\":null,\"users\":[\"a\"]",                     "! malformed"                                             },
        {NEW_ROOM "\"threshold\":true,\"users\":[\"a\"]",                     "! malformed"                                             },
        {NEW_ROOM "\"threshold\":2.0,\"users\":[\"a\"]",                      "! malformed"                                             },
        {NEW_ROOM "\"threshold\":[2],\"users\":[\"a\"]",                      "! malformed"                                             },
        {NEW_ROOM "\"threshold\":-1,\"users\":[\"a\"]",                       "! bad_threshold"                                         },
        {NEW_ROOM "\"threshold\":4294967295,\"users\":[\"a\"]",               "! bad_threshold"                                         },
        {NEW_ROOM "\"threshold\":9223372036854775807,\"users\":[\"a\"]",      "! bad_threshold"                                         },
        {NEW_ROOM "\"threshold\":\"-1\",\"users\":[\"a\"]",                   "! bad_threshold"                                         },
        {NEW_ROOM "\"threshold\":\"two\",\"users\":[\"a\"]",                  "! bad_threshold"                                         },
        {NEW_ROOM "\"threshold\":\" 2\",\"users\":[\"a\"]",                   "! bad_threshold"                                         },
        {NEW_ROOM "\"threshold\":\"4294967295\",\"users\":[\"a\"]",           "! bad_threshold"                                         },

        {NEW_ROOM "\"threshold\":1",                                          "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":null",                           "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":\"a,b\"",                        "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":{\"a\":1}",                      "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[\"a\",1]",                      "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[null]",                         "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"name\":1",                  "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"name\":\"\"",               "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"hold\":1",                  "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"hold\":\"Members\"",        "! malformed"                                             },
        {NEW_ROOM "\"threshold\":1,\"users\":[],\"hold\":{\"\":\"members\"}", "! malformed"                                             },
        {"\"new_room\",\"threshold\":1,\"users\":[]",                         "! malformed"                                             },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__names_at_most_ten_thousand(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf text = {0};

    for (size_t n = USERS_MAX; n <= USERS_MAX + 1; n++) {
        buf_reset(&text);
        assert_ok(buf_text(&text, "{\"timestamp\":\"@\",\"type\":" NEW_ROOM "\"threshold\":0,\"users\":[\"a\""));
        for (size_t i = 1; i < n; i++)
            assert_ok(buf_text(&text, ",\"a\""));
        assert_ok(buf_text(&text, "]}"));
        assert_true((kit_send(kit, buf_cstr(&text)) == RC_OK) == (n == USERS_MAX));
    }
    assert_code(kit, LIMIT);
}

static void request__secrets(void **state)
{
    static const struct fields list[] = {
        {"\"go_room\",\"room\":\"r\",\"secret\":\"1-ab\"", "go_room room=r secret=1-ab"},
        {"\"go_room\",\"room\":\"r\",\"secret\":\"\"",     "go_room room=r secret="    },
        {"\"go_room\",\"room\":\"r\",\"secret\":null",     "go_room room=r"            },
        {"\"go_room\",\"room\":\"r\",\"secret\":1",        "! malformed"               },
        {"\"go_room\",\"room\":\"r\",\"secret\":[]",       "! malformed"               },
        {"\"secret\",\"room\":\"r\",\"secret\":\"1-ab\"",  "secret room=r secret=1-ab" },
        {"\"secret\",\"room\":\"r\",\"secret\":\"\"",      "secret room=r secret="     },
        {"\"secret\",\"room\":\"r\"",                      "! malformed"               },
        {"\"secret\",\"room\":\"r\",\"secret\":null",      "! malformed"               },
        {"\"secret\",\"room\":\"r\",\"secret\":{}",        "! malformed"               },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__subscribe(void **state)
{
    static const struct fields list[] = {
        {"\"subscribe\",\"presence\":true",                    "subscribe presence=1"},
        {"\"subscribe\",\"presence\":false",                   "subscribe presence=0"},
        {"\"subscribe\",\"presence\":true,\"room\":7,\"x\":1", "subscribe presence=1"},
        {"\"subscribe\"",                                      "! malformed"         },
        {"\"subscribe\",\"presence\":null",                    "! malformed"         },
        {"\"subscribe\",\"presence\":1",                       "! malformed"         },
        {"\"subscribe\",\"presence\":\"true\"",                "! malformed"         },
        {"\"subscribe\",\"presence\":{}",                      "! malformed"         },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__mark_read(void **state)
{
#define MARK "\"mark_read\",\"room\":\"r\""
    static const struct fields list[] = {
        {MARK ",\"seq\":7",           "mark_read room=r seq=7"},
        {MARK ",\"seq\":0",           "mark_read room=r seq=0"},
        {MARK,                        "! malformed"           },
        {MARK ",\"seq\":-1",          "! malformed"           },
        {MARK ",\"seq\":\"7\"",       "! malformed"           },
        {"\"mark_read\",\"seq\":7",   "! malformed"           },
        {"\"typing\",\"room\":\"r\"", "typing room=r"         },
        {"\"typing\"",                "! malformed"           },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__edit_and_delete_message(void **state)
{
#define EDIT "\"edit_message\",\"room\":\"r\",\"text\":"
    static const struct fields list[] = {
        {EDIT "\"new\",\"seq\":7",                       "edit_message room=r text=new seq=7"},
        {EDIT "\"new\"",                                 "! malformed"                       },
        {EDIT "\"\",\"seq\":7",                          "! malformed"                       },
        {EDIT "7,\"seq\":7",                             "! malformed"                       },
        {EDIT "\"new\",\"seq\":-1",                      "! malformed"                       },
        {EDIT "\"new\",\"seq\":\"7\"",                   "! malformed"                       },
        {"\"edit_message\",\"room\":\"r\",\"seq\":7",    "! malformed"                       },
        {"\"edit_message\",\"text\":\"x\",\"seq\":7",    "! malformed"                       },
        {"\"delete_message\",\"room\":\"r\",\"seq\":7",  "delete_message room=r text= seq=7" },
        {"\"delete_message\",\"room\":\"r\"",            "! malformed"                       },
        {"\"delete_message\",\"room\":\"r\",\"seq\":{}", "! malformed"                       },
        {"\"delete_message\",\"seq\":7",                 "! malformed"                       },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__search(void **state)
{
#define SEARCH "\"search\",\"room\":\"r\""
    static const struct fields list[] = {
        {SEARCH ",\"text\":\"a b\"",                         "search room=r text=a b before=-1 limit=20"},
        {SEARCH ",\"text\":\"\"",                            "search room=r text= before=-1 limit=20"   },
        {SEARCH ",\"text\":\"a\",\"before\":7,\"limit\":50", "search room=r text=a before=7 limit=50"   },
        {SEARCH,                                             "! malformed"                              },
        {SEARCH ",\"text\":7",                               "! malformed"                              },
        {SEARCH ",\"text\":\"a\",\"limit\":51",              "! malformed"                              },
        {SEARCH ",\"text\":\"a\",\"limit\":0",               "! malformed"                              },
        {SEARCH ",\"text\":\"a\",\"before\":-1",             "! malformed"                              },
        {"\"search\",\"text\":\"a\"",                        "! malformed"                              },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__search_is_bounded(void **state)
{
    struct wire_kit *kit = *state;
    AUTO(buf_done) struct buf body = {0};

    for (size_t n = SEARCH_TEXT_MAX; n <= SEARCH_TEXT_MAX + 1; n++) {
        buf_reset(&body);
        assert_ok(buf_printf(&body, "{\"type\":\"search\",\"timestamp\":\"@\",\"room\":\"r\",\"text\":\"%*s\"}", (int)n,
                             "x"));
        (void)kit_send(kit, buf_cstr(&body));
        if (n == SEARCH_TEXT_MAX)
            assert_int_equal(kit->event.kind, CHAT_REQUEST);
        else
            assert_code(kit, LIMIT);
    }
}

static void request__get_history(void **state)
{
#define PAGE "\"get_history\",\"room\":\"r\""
    static const struct fields list[] = {
        {PAGE,                                                 "get_history room=r side=0 seq=0 limit=100"},
        {PAGE ",\"before\":7",                                 "get_history room=r side=1 seq=7 limit=100"},
        {PAGE ",\"after\":0,\"limit\":1",                      "get_history room=r side=2 seq=0 limit=1"  },
        {PAGE ",\"around\":9223372036854775807,\"limit\":200",
         "get_history room=r side=3 seq=9223372036854775807 limit=200"                                    },
        {PAGE ",\"limit\":201",                                "! malformed"                              },
        {PAGE ",\"limit\":0",                                  "! malformed"                              },
        {PAGE ",\"limit\":\"5\"",                              "! malformed"                              },
        {PAGE ",\"before\":-1",                                "! malformed"                              },
        {PAGE ",\"before\":1.5",                               "! malformed"                              },
        {PAGE ",\"before\":\"7\"",                             "! malformed"                              },
        {PAGE ",\"before\":null",                              "! malformed"                              },
        {PAGE ",\"before\":7,\"after\":3",                     "! malformed"                              },
        {"\"get_history\",\"before\":7",                       "! malformed"                              },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

#define LETTERS_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void request__cid(void **state)
{
#define MESSAGE "\"new_message\",\"room\":\"r\",\"message\":\"hi\",\"cid\":"
    static const struct fields list[] = {
        {MESSAGE "\"m-1\"",             "new_message room=r text=hi cid=m-1"        },
        {MESSAGE "\"" LETTERS_64 "\"",  "new_message room=r text=hi cid=" LETTERS_64},
        {MESSAGE "\"" LETTERS_64 "0\"", "! malformed"                               },
        {MESSAGE "\"\"",                "! malformed"                               },
        {MESSAGE "null",                "! malformed"                               },
        {MESSAGE "7",                   "! malformed"                               },
        {MESSAGE "[\"m\"]",             "! malformed"                               },
        {MESSAGE "\"a\\u0000b\"",       "! malformed"                               },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__messages(void **state)
{
    static const struct fields list[] = {
        {"\"new_message\",\"room\":\"r\",\"message\":\"hi\"",                                                "new_message room=r text=hi"          },
        {"\"new_message\",\"room\":\"r\",\"message\":{\"text\":\"hi\"}",                                     "new_message room=r text=hi"          },
        {"\"new_message\",\"room\":\"r\",\"message\":{\"text\":\" hi \",\"room\":\"x\",\"time\":\"never\"}",
         "new_message room=r text= hi "                                                                                                            },
        {"\"new_message\",\"room\":\"r\",\"message\":\"a\\/b \\u00e9\"",                                     "new_message room=r text=a/b \xc3\xa9"},
        {"\"new_message\",\"room\":\"r\",\"message\":\"\"",                                                  "new_message room=r text="            },
        {"\"new_message\",\"room\":\"r\"",                                                                   "! malformed"                         },
        {"\"new_message\",\"room\":\"r\",\"text\":\"hi\"",                                                   "! malformed"                         },
        {"\"new_message\",\"room\":\"r\",\"message\":null",                                                  "! malformed"                         },
        {"\"new_message\",\"room\":\"r\",\"message\":7",                                                     "! malformed"                         },
        {"\"new_message\",\"room\":\"r\",\"message\":[\"hi\"]",                                              "! malformed"                         },
        {"\"new_message\",\"room\":\"r\",\"message\":{}",                                                    "! malformed"                         },
        {"\"new_message\",\"room\":\"r\",\"message\":{\"text\":7}",                                          "! malformed"                         },
    };
    read_all(*state, list, ARRAY_LEN(list));
}

static void request__values(void **state)
{
    static const struct fields list[] = {
        {"\"save_data\",\"key\":\"k\",\"data\":\"v\"",                                      "save_data key=k data=\"v\""},
        {"\"save_data\",\"key\":{\"name\":\"k\"},\"data\":1",                               "save_data key=k data=1"    },
        {"\"save_data\",\"key\":\"k\",\"data\":null",                                       "save_data key=k data=null" },
        {"\"save_data\",\"key\":\"k\",\"data\": [1, {\"b\": true, \"a\": \"\\u00e9\\/\"}]",
         "save_data key=k data=[1,{\"b\":true,\"a\":\"\xc3\xa9/\"}]"                                                    },
        {"\"save_data\",\"key\":\"k\",\"data\":{}",                                         "save_data key=k data={}"   },
        {"\"save_data\",\"key\":\"k\"",                                                     "! malformed"               },
        {"\"save_data\",\"data\":1",                                                        "! malformed"               },
        {"\"save_data\",\"key\":\"\",\"data\":1",                                           "! malformed"               },
        {"\"save_data\",\"key\":7,\"data\":1",                                              "! malformed"               },
        {"\"save_data\",\"key\":null,\"data\":1",                                           "! malformed"               },
        {"\"save_data\",\"key\":{},\"data\":1",                                             "! malformed"               },
        {"\"save_data\",\"key\":[\"k\"],\"data\":1",                                        "! malformed"               },
        {"\"get_data\",\"key\":\"k\"",                                                      "get_data key=k"            },
        {"\"get_data\",\"key\":{\"name\":\"k\"}",                                           "get_data key=k"            },
        {"\"get_data\"",                                                                    "get_data"                  },
        {"\"get_data\",\"key\":7",                                                          "! malformed"               },
        {"\"get_data\",\"key\":{\"key\":\"k\"}",                                            "! malformed"               },
    };
    struct wire_kit *kit = *state;
    char text[512];

    read_all(kit, list, ARRAY_LEN(list));
    (void)snprintf(text, sizeof(text), "{\"type\":\"get_data\",\"timestamp\":\"@\",\"key\":\"%0256d\"}", 0);
    assert_ok(kit_send(kit, text));
    (void)snprintf(text, sizeof(text), "{\"type\":\"get_data\",\"timestamp\":\"@\",\"key\":\"%0257d\"}", 0);
    assert_true(kit_send(kit, text) != RC_OK);
    assert_code(kit, LIMIT);
}

/* Both ways use one key, so a push of ours sent back opens; none of them is a request that does something. */
static void push__sent_back_is_no_request(void **state)
{
#define OURS "\"timestamp\":\"@\",\"service\":\"chat\","
#define ROOM "{\"room\":\"r\",\"name\":\"r\",\"users\":[\"alice\"],\"threshold\":1,\"opened\":true,\"pending\":0}"
    static const char *const pushes[] = {
        "{\"type\":\"handshake\"," OURS "\"users_online\":[\"alice\"],\"rooms\":[" ROOM "]}",
        "{\"type\":\"new_message\"," OURS "\"room\":\"r\",\"new_message\":{\"from\":\"alice\",\"text\":\"hi\","
        "\"message\":{\"from\":\"alice\",\"text\":\"hi\"}}}",
        "{\"type\":\"new_room\"," OURS "\"room\":" ROOM ",\"secret\":\"1-a\"}",
        "{\"type\":\"get_secret\"," OURS "\"room\":" ROOM ",\"asked_by\":\"alice\"}",
        "{\"type\":\"room_messages\"," OURS "\"room\":" ROOM ",\"messages\":[],\"more\":false}",
        "{\"type\":\"close_room\"," OURS "\"room\":" ROOM ",\"reason\":\"deleted\"}",
        "{\"type\":\"data\"," OURS "\"key\":\"k\",\"data\":1}",
        "{\"type\":\"error\"," OURS "\"error\":\"x\",\"code\":\"limit\",\"request\":\"login\"}",
        "{\"type\":\"ack\"," OURS "\"request\":\"secret\",\"room\":\"r\"}",
        "{\"user_name\":\"alice\",\"timestamp\":\"@\"}", /* and an authenticator is no frame */
    };
    struct wire_kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(pushes); i++) {
        assert_true(kit_send(kit, pushes[i]) != RC_OK);
        assert_code(kit, MALFORMED);
    }
    /* `online` has no fields either way: sent back it asks who is online */
    assert_ok(kit_send(kit, "{\"type\":\"online\"," OURS "\"users_online\":[],\"rooms\":[],\"rooms_waiting\":[]}"));
#undef OURS
#undef ROOM
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTHED(frame__that_does_not_open_is_refused),
        AUTHED(frame__is_one_object),
        AUTHED(frame__is_at_most_16_deep),
        AUTHED(frame__has_a_known_type),
        AUTHED(frame__label_is_a_text_of_64_characters),
        AUTHED(login__twice_is_refused),
        AUTHED(from__is_the_users_own_name),
        AUTHED(stamp__is_there_and_within_the_skew),
        AUTHED(frame__is_accepted_once),
        AUTHED(stamp__may_lie_ten_seconds_behind_the_newest),
        AUTHED(frame__of_before_an_orderly_restart_is_old),
        AUTHED(push__sent_back_is_no_request),
        AUTHED(request__room_is_text_or_object),
        AUTHED(request__room_has_at_most_64_characters),
        AUTHED(request__new_room),
        AUTHED(request__names_at_most_ten_thousand),
        AUTHED(request__secrets),
        AUTHED(request__messages),
        AUTHED(request__cid),
        AUTHED(request__get_history),
        AUTHED(request__subscribe),
        AUTHED(request__mark_read),
        AUTHED(request__search),
        AUTHED(request__search_is_bounded),
        AUTHED(request__edit_and_delete_message),
        AUTHED(request__values),
    };

    state_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
