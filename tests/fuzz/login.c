/*
 * Logins to the chat. The first byte chooses the profile, and whether the input is the frame, or what lies in its
 * parts: the first line in the ticket, the second in the authenticator, the rest stands in the frame beside them. '@'
 * becomes the stamp or the server's nonce, '$' a point of the curve.
 */
#include "shared/crypto/ecdh.h"
#include "tests/fuzz/kit.h"

static struct envelope_key ticket_key;
static struct buf point;

static void end(void)
{
    buf_done(&point);
}

void fuzz_open(void)
{
    AUTO(ecdh_done) struct ecdh *pair = NULL;
    uint8_t bytes[ECDH_POINT];

    kit_begin();
    CHECK_OK(envelope_derive(&kit->service_key, LABEL_TICKET, &ticket_key));
    CHECK_OK(ecdh_new(&pair, bytes));
    CHECK_OK(base64url_encode(SLICE(bytes), &point));
    fuzz_at_exit(end);
}

static void seal(const struct envelope_key *key, const struct envelope_aad *aad, struct slice plain, struct buf *out)
{
    AUTO(buf_done) struct buf raw = {0};

    CHECK_OK(envelope_seal(key, aad, plain, &raw));
    CHECK_OK(base64url_encode(buf_slice(&raw), out));
}

static void seal_ticket(struct slice plain, struct buf *out)
{
    const struct envelope_aad aad = {.realm = name_slice(&kit->conf.realm), .server = name_slice(&kit->service)};
    seal(&ticket_key, &aad, plain, out);
}

/* What its owner would know of the ticket; a ticket that does not open has the key of the kit. */
static void look_into(struct slice text, struct ticket *ret)
{
    const struct keytab *keys = keytab_hold(kit->keytab);

    if (ticket_open(keys, &kit->conf.realm, &kit->service, TICKET_SERVICE, text, WIRE_NOW, ret) != RC_OK) {
        *ret = (struct ticket){.client = fuzz_name("alice")};
        fuzz_key(ETYPE_AES128_CBC, 0, &ret->session);
    }
    keytab_release(kit->keytab, keys);
}

static void seal_sealed(const struct ticket *t, struct slice ticket, struct slice challenge, struct slice plain,
                        struct buf *out)
{
    AUTO(json_done) json_t *j = NULL;
    AUTO(buf_done) struct buf nonce = {0}, context = {0}, filled = {0}, whole = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    struct slice text;

    if (envelope_derive(&t->session, LABEL_AP_AUTHENTICATOR, &key) != RC_OK)
        return; /* a key of the other profile */
    CHECK_OK(json_parse_object(challenge, JSON_DEPTH_CHAT, &j));
    CHECK_OK(json_get_text(j, "nonce", &text));
    CHECK_OK(base64url_decode(text, &nonce));
    CHECK_OK(envelope_context(&ticket, 1, &context));
    CHECK_OK(buf_add(&context, buf_slice(&nonce)));
    kit_fill(plain, '@', text, &filled);
    kit_fill(buf_slice(&filled), '$', buf_slice(&point), &whole);
    const struct envelope_aad aad = {.realm = name_slice(&kit->conf.realm),
                                     .client = name_slice(&t->client),
                                     .server = name_slice(&kit->service),
                                     .context = buf_slice(&context)};
    seal(&key, &aad, buf_slice(&whole), out);
}

static void seal_classic(const struct ticket *t, struct slice plain, struct buf *out)
{
    AUTO(buf_done) struct buf filled = {0};

    kit_fill(plain, '@', kit_stamp(), &filled);
    CHECK_OK(box_seal(t->session.bytes, buf_slice(&filled), out));
}

static void make_frame(bool is_sealed, struct slice challenge, struct slice input, struct buf *out)
{
    AUTO(buf_done) struct buf ticket = {0}, authenticator = {0};
    AUTO(ticket_done) struct ticket t = {0};

    seal_ticket(fuzz_line(&input), &ticket);
    look_into(buf_slice(&ticket), &t);
    struct slice plain = fuzz_line(&input);
    if (is_sealed)
        seal_sealed(&t, buf_slice(&ticket), challenge, plain, &authenticator);
    else
        seal_classic(&t, plain, &authenticator);
    CHECK_OK(buf_printf(out, "{\"type\":\"login\",\"%s\":\"%.*s\",\"authenticator\":\"%.*s\"",
                        is_sealed ? "ticket" : "service_ticket", SLICE_FMT(buf_slice(&ticket)),
                        SLICE_FMT(buf_slice(&authenticator))));
    CHECK_OK(buf_add(out, input));
    CHECK_OK(buf_byte(out, '}'));
}

/* Nobody is known before his login, and then by the name in his ticket. */
static void check_result(enum rc rc, bool is_sealed)
{
    AUTO(buf_done) struct buf said = {0};
    const struct chat_login *l = kit->event.login;

    CHECK(wire_conn_is_authed(kit->conn) == (rc == RC_OK));
    CHECK_OK(wire_handshake(kit->conn, WIRE_NOW, &said));
    if (rc != RC_OK) {
        CHECK(kit->event.kind == CHAT_REFUSED && wire_conn_name(kit->conn).n == 0 && said.n == 0);
        return;
    }
    CHECK(kit->event.kind == CHAT_LOGIN && l && l->sealed == is_sealed);
    CHECK(slice_eq(wire_conn_name(kit->conn), name_slice(&l->client)) && l->client.n > 0);
    CHECK(l->ticket_end_s > WIRE_NOW && (said.n > 0) == is_sealed);
    CHECK(utf8_valid(l->label) && utf8_chars(l->label) <= LABEL_MAX_CHARS);
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 4);
    bool is_sealed = choice & 1;
    AUTO(buf_done) struct buf challenge = {0}, frame = {0};

    kit_stop(kit); /* with what was accepted before */
    kit_start(kit);
    kit_connect(is_sealed ? WIRE_SEALED : WIRE_CLASSIC);
    CHECK_OK(wire_handshake(kit->conn, WIRE_NOW, &challenge));
    if (choice & 2)
        CHECK_OK(buf_add(&frame, input));
    else
        make_frame(is_sealed, buf_slice(&challenge), input, &frame);
    enum rc rc = kit_reads(buf_slice(&frame), false);
    CHECK(!(choice & 2) || rc != RC_OK);
    check_result(rc, is_sealed);
    if (rc == RC_OK) {
        (void)!kit_reads(buf_slice(&frame), false); /* a second login is none */
        CHECK(kit->event.kind == CHAT_REFUSED);
    }
}
