/*
 * What a realm answers to the client. The first byte chooses: an offer of the AS (the whole answer), a reply of the AS
 * or of the TGS (sealed here under the right key; '@' becomes the nonce), an answer of either, with its status.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/client_server.h"

enum { OFFER, AS_REPLY, TGS_REPLY, AS_ANSWER, TGS_ANSWER, CHOICES };

static struct kerb *k;
static struct cache_entry tgt;
static unsigned choice;
static struct slice input;
static const struct key *key; /* what the reply at hand is sealed under */

static void end(void)
{
    kerb_close(k);
    cache_entry_done(&tgt);
    server_done();
}

void fuzz_open(void)
{
    const struct kerb_options o = {.url = "http://127.0.0.1:1", .config = fuzz_file(slice_text("")), .no_cache = true};

    server_reset();
    server.iterations_clear = server.iterations_sealed = 1;
    for (uint8_t i = 0; i < sizeof server_salt; i++)
        server_salt[i] = i; /* as the seeds have it */
    CHECK(kerb_open(&o, &k) == KERB_OK);
    k->iterations_min = 1;
    tgt.server = fuzz_name("tgs");
    tgt.session = server_session;
    tgt.start = tgt.auth_time = clock_s();
    tgt.end = tgt.start + 36000;
    server_ticket("tgs", &tgt.ticket);
    fuzz_at_exit(end);
}

/* A reply as an honest server seals it, but for what it says. */
static void seal_reply(enum label label, const char *service, struct slice request, struct answer *ret)
{
    AUTO(json_done) json_t *j = NULL, *body = NULL;
    AUTO(buf_done) struct buf plain = {0};
    struct slice text, nonce;

    CHECK_OK(json_parse_object(request, JSON_DEPTH_HTTP, &j));
    CHECK_OK(sealed_body(j, &text, &body));
    CHECK_OK(json_get_text(body, "nonce", &nonce));
    for (size_t i = 0; i < input.n; i++)
        CHECK_OK(input.p[i] == '@' ? buf_add(&plain, nonce) : buf_byte(&plain, input.p[i]));
    CHECK(buf_cstr(&plain));
    server_seal_reply(key, label, service, request, (char *)plain.p, ret);
}

static enum rc post(void *ctx, const char *url, struct slice request, struct answer *ret)
{
    AUTO(key_done) struct key user = {0};

    (void)ctx, (void)url;
    bool is_offer = choice == AS_REPLY && !memmem(request.p, request.n, "preauth", 7);
    if (is_offer) {
        server_offer(ret);
    } else if (choice == AS_REPLY) {
        server_user_key(&user);
        key = &user;
        seal_reply(LABEL_AS_REPLY, "tgs", request, ret);
    } else if (choice == TGS_REPLY) {
        key = &server_session;
        seal_reply(LABEL_TGS_REPLY, "chat", request, ret);
    } else {
        ret->status = choice == OFFER ? 401 : input.n % 2 ? 401 : 200;
        CHECK_OK(buf_add(&ret->body, input));
    }
    return RC_OK;
}

/* Sentences go to a terminal: whatever a server has written must not get there raw. */
static void check_sentence(enum rc rc)
{
    CHECK((rc == RC_OK) == (k->status == KERB_OK));
    for (const char *s = kerb_error(k); *s; s++)
        CHECK((uint8_t)*s >= 0x20 && *s != 0x7f);
}

static void check_entry(const struct cache_entry *e)
{
    CHECK(e->ticket.n > 0 && e->ticket.n <= KERB_TICKET_MAX && e->session.n == AEAD_KEY);
    CHECK(e->start >= 0 && e->start <= e->end);
}

static void ask_offer(void)
{
    AUTO(offer_done) struct offer offer = {0};
    const struct name user = fuzz_name("alice");

    enum rc rc = client_offer(k, &user, &offer);
    check_sentence(rc);
    if (rc == RC_OK)
        CHECK(offer.realm.n > 0 && offer.params.iterations >= k->iterations_min &&
              offer.params.iterations <= USERKEY_ITERATIONS_MAX && offer.cookie.n <= SEALED_TEXT_MAX);
}

static void ask_as(void)
{
    AUTO(login_result_done) struct login_result result = {0};
    static const struct login_wish wish;
    const struct name user = fuzz_name("alice");

    enum rc rc = client_as(k, &user, slice_text(PASSWORD), &wish, &result);
    check_sentence(rc);
    CHECK(choice != AS_ANSWER || rc != RC_OK);
    if (rc == RC_OK)
        check_entry(&result.tgt);
}

static void ask_tgs(void)
{
    AUTO(cache_entry_done) struct cache_entry entry = {0};
    const struct name client = fuzz_name("alice");
    const struct tgs_wish wish = {.client = &client, .tgt = &tgt, .service = fuzz_name("chat")};

    k->realm = fuzz_name(SERVER_REALM);
    enum rc rc = client_tgs(k, &wish, &entry);
    check_sentence(rc);
    CHECK(choice != TGS_ANSWER || rc != RC_OK);
    if (rc == RC_OK) {
        check_entry(&entry);
        CHECK(entry.end <= tgt.end);
    }
}

void fuzz_one(struct slice bytes)
{
    choice = fuzz_choice(&bytes, CHOICES);
    input = bytes;
    k->transport = (struct transport){post, NULL};
    k->realm = (struct name){0};
    client_begin(k);
    if (choice == OFFER)
        ask_offer();
    else if (choice == AS_REPLY || choice == AS_ANSWER)
        ask_as();
    else
        ask_tgs();
}
