/*
 * Frames behind the login. The first byte chooses the profile, and whether the input is what lies in a box or a record
 * (sealed here, so that the decoder is reached; '@' becomes the stamp) or the frame itself.
 */
#include "client/chat_session.h"
#include "tests/fuzz/kit.h"

static struct wire_conn *conns[WIRE_PROFILES];
static struct chat_session client;

static void end(void)
{
    for (int i = 0; i < WIRE_PROFILES; i++)
        wire_conn_free(conns[i]);
    kit->conn = NULL; /* one of them */
    chat_session_done(&client);
}

static void login_classic(void)
{
    kit_session(ETYPE_AES128_CBC);
    kit_connect(WIRE_CLASSIC);
    CHECK_OK(kit_login(kit));
    conns[WIRE_CLASSIC] = kit->conn;
    kit->conn = NULL;
}

static void login_sealed(void)
{
    AUTO(cache_entry_done) struct cache_entry entry = {.server = kit->service};
    AUTO(buf_done) struct buf challenge = {0}, login = {0}, welcome = {0};

    kit_session(ETYPE_AES128_CBC_HS256);
    entry.session = kit->ticket.session;
    entry.ticket = kit_sealed_ticket(kit, &kit->service_key, &kit->conf.realm);
    kit_connect(WIRE_SEALED);
    chat_session_init(&client, &kit->conf.realm, &kit->ticket.client);
    CHECK_OK(wire_handshake(kit->conn, WIRE_NOW, &challenge));
    CHECK_OK(chat_session_login(&client, buf_slice(&challenge), &entry, "fuzz", NULL, &login));
    CHECK_OK(kit_reads(buf_slice(&login), false));
    CHECK_OK(wire_handshake(kit->conn, WIRE_NOW, &welcome));
    CHECK_OK(chat_session_welcome(&client, buf_slice(&welcome)));
    conns[WIRE_SEALED] = kit->conn;
    kit->conn = NULL;
}

void fuzz_open(void)
{
    kit_begin();
    login_classic();
    login_sealed();
    fuzz_at_exit(end);
}

/* What was accepted before is forgotten, so that every input finds the same. */
static void forget_stamps(struct wire_conn *c)
{
    stamps_release(c->classic.stamps);
    stamps_free(c->wire->stamps);
    c->wire->stamps = stamps_new(600);
    CHECK(c->wire->stamps);
    c->classic.stamps = stamps_hold(c->wire->stamps, kit->ticket.id, kit->ticket.client_id);
    CHECK(c->classic.stamps);
}

/* --- what a request may look like --------------------------------------------------------------------------------- */

static bool is_label(struct slice s, size_t chars_max)
{
    return utf8_valid(s) && utf8_chars(s) <= chars_max && (s.n == 0 || !memchr(s.p, 0, s.n));
}

static bool is_name(const struct name *name)
{
    struct name again;
    return name_parse(name_slice(name), &again) == RC_OK && slice_eq(name_slice(name), name_slice(&again));
}

static void check_new_room(const struct chat_request *r)
{
    CHECK(r->users_n <= USERS_MAX);
    CHECK(!r->has_name || is_name(&r->name));
    CHECK(r->hold == HOLD_MEMBERS || r->hold == HOLD_PRESENTERS);
    CHECK(r->keep_days <= KEEP_DAYS_MAX);
    for (size_t i = 0; i < r->users_n; i++)
        CHECK(utf8_valid(r->users[i]));
}

/* `data` is JSON in its shortest form. */
static void check_data(const struct chat_request *r)
{
    AUTO(json_done) json_t *j = json_loadb((const char *)r->data.p, r->data.n, JSON_DECODE_ANY, NULL);

    CHECK(r->has_key && r->key.n > 0 && j);
    char *again = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(again && slice_eq(slice_text(again), r->data));
    free(again);
}

static void check_request(const struct chat_request *r)
{
    bool has_room =
        r->cmd != CMD_ONLINE && r->cmd != CMD_SAVE_DATA && r->cmd != CMD_GET_DATA && r->cmd != CMD_SUBSCRIBE;

    CHECK(r->cmd > CMD_LOGIN && r->cmd < CMD_COUNT && r->cmd != CMD_REAUTH);
    CHECK(is_label(r->label, LABEL_MAX_CHARS) && is_label(r->cid, CID_MAX_CHARS));
    CHECK(!has_room || is_name(&r->room));
    CHECK(utf8_valid(r->text) && utf8_valid(r->secret) && utf8_valid(r->key) && r->key.n <= DATA_KEY_MAX);
    CHECK(r->seq <= INT64_MAX || (r->cmd == CMD_SEARCH && r->seq == UINT64_MAX));
    if (r->cmd == CMD_NEW_ROOM)
        check_new_room(r);
    if (r->cmd == CMD_SECRET)
        CHECK(r->has_secret);
    if (r->cmd == CMD_GET_HISTORY)
        CHECK(r->limit >= 1 && r->limit <= PAGE_MAX);
    if (r->cmd == CMD_EDIT_MESSAGE)
        CHECK(r->text.n > 0);
    if (r->cmd == CMD_SEARCH)
        CHECK(r->limit >= 1 && r->limit <= SEARCH_MAX && r->text.n <= SEARCH_TEXT_MAX);
    if (r->cmd == CMD_SAVE_DATA)
        check_data(r);
}

/* --- what is told of it comes back as it was ---------------------------------------------------------------------- */

static json_t *written(const struct chat_push *push, enum wire_profile profile)
{
    AUTO(buf_done) struct buf json = {0};
    json_t *j = NULL;

    CHECK_OK(wire_write(kit->wire, push, profile, &json));
    CHECK(json.n <= WIRE_JSON_MAX);
    CHECK_OK(json_parse_object(buf_slice(&json), JSON_DEPTH_CHAT + 1, &j));
    return j;
}

static void check_text(const json_t *object, const char *name, struct slice want)
{
    struct slice text;

    CHECK_OK(json_get_text(object, name, &text));
    CHECK(slice_eq(text, want));
}

static void show_message(const struct chat_request *r, enum wire_profile profile)
{
    struct chat_room room = {.id = r->room, .name = r->room};
    const struct chat_shown_message m = {
        .from = name_slice(&kit->ticket.client), .text = r->text, .time_s = WIRE_NOW, .seq = 1};

    TAILQ_INIT(&room.members);
    AUTO(json_done)
    json_t *j =
        written(&(struct chat_push){.kind = PUSH_NEW_MESSAGE, .room = &room, .messages = &m, .messages_n = 1}, profile);
    const json_t *inner = json_object_get(j, "new_message");
    check_text(inner, "text", r->text);
    check_text(inner, "room", name_slice(&r->room));
}

static void show_data(const struct chat_request *r, enum wire_profile profile)
{
    AUTO(json_done) json_t *data = json_loadb((const char *)r->data.p, r->data.n, JSON_DECODE_ANY, NULL);
    struct chat_pair pair = {0};

    CHECK_OK(buf_add(&pair.value, r->data));
    AUTO(json_done)
    json_t *j = written(&(struct chat_push){.kind = PUSH_DATA, .key = r->key, .pairs = &pair, .pairs_n = 1}, profile);
    check_text(j, "key", r->key);
    CHECK(json_equal(json_object_get(j, "data"), data));
    buf_done(&pair.value);
}

static void show_error(const struct chat_request *r, enum chat_code code, enum wire_profile profile)
{
    AUTO(json_done)
    json_t *j =
        written(&(struct chat_push){.kind = PUSH_ERROR, .label = r->label, .request = r->cmd, .code = code}, profile);
    if (r->label.n)
        check_text(j, "id", r->label);
    check_text(j, "request", slice_text(chat_command_word(r->cmd)));
}

/* --- the input ---------------------------------------------------------------------------------------------------- */

static void read_frame(enum wire_profile profile, struct slice frame)
{
    kit->conn = conns[profile];
    CHECK(wire_conn_is_authed(kit->conn));
    (void)!kit_reads(frame, profile == WIRE_SEALED);
    const struct chat_request *r = kit->event.request;
    if (kit->event.kind == CHAT_REFUSED) {
        CHECK(is_label(r->label, LABEL_MAX_CHARS));
        show_error(r, kit->event.code, profile);
    } else if (kit->event.kind == CHAT_REQUEST) {
        check_request(r);
        show_error(r, CODE_INTERNAL, profile);
        if (r->cmd == CMD_NEW_MESSAGE)
            show_message(r, profile);
        if (r->cmd == CMD_SAVE_DATA)
            show_data(r, profile);
    } else {
        CHECK(kit->event.kind == CHAT_REAUTH && profile == WIRE_SEALED);
    }
    kit->conn = NULL;
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 4);
    enum wire_profile profile = choice & 1 ? WIRE_SEALED : WIRE_CLASSIC;
    AUTO(buf_done) struct buf plain = {0}, frame = {0};

    forget_stamps(conns[WIRE_CLASSIC]);
    if (choice & 2) {
        read_frame(profile, input);
        CHECK(kit->event.kind == CHAT_REFUSED);
        return;
    }
    kit_fill(input, '@', kit_stamp(), &plain);
    if (profile == WIRE_SEALED) {
        uint64_t before = client.c2s.sequence;
        CHECK_OK(chat_session_seal(&client, buf_slice(&plain), &frame));
        read_frame(profile, buf_slice(&frame));
        CHECK(conns[profile]->sealed && client.c2s.sequence == before + 1);
    } else {
        CHECK_OK(box_seal(conns[profile]->classic.key, buf_slice(&plain), &frame));
        read_frame(profile, buf_slice(&frame));
        if (kit->event.kind == CHAT_REQUEST) { /* the same once more is a replay */
            read_frame(profile, buf_slice(&frame));
            CHECK(kit->event.kind == CHAT_REFUSED && kit->event.code == CODE_REPLAYED);
        }
    }
}
