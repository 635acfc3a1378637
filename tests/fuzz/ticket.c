/*
 * Tickets. The first byte chooses: the text of a ticket as it comes from the wire, or what lies in one, which is sealed
 * here under the key that opens it, so that the reader behind the tag is reached.
 */
#include "shared/ticket/ticket.h"

#include <string.h>

#include "shared/base/base64.h"
#include "tests/fuzz/fuzz.h"

#define NOW  1780000000
#define KVNO 2

static struct keytab *keys;
static struct key key;
static struct envelope_key sealing;
static struct name realm, server;

static void end(void)
{
    keytab_free(keys);
}

void fuzz_open(void)
{
    realm = fuzz_name("KERB");
    server = fuzz_name("chat");
    fuzz_key(ETYPE_AES128_CBC_HS256, KVNO, &key);
    CHECK_OK(envelope_derive(&key, LABEL_TICKET, &sealing));
    CHECK_OK(keytab_new(&keys));
    fuzz_at_exit(end);
    CHECK_OK(keytab_add(keys, &server, &key));
}

static void seal(struct slice plain, struct buf *ret_text)
{
    AUTO(buf_done) struct buf raw = {0};
    const struct envelope_aad aad = {.realm = name_slice(&realm), .server = name_slice(&server)};

    CHECK_OK(envelope_seal(&sealing, &aad, plain, &raw));
    CHECK_OK(base64url_encode(buf_slice(&raw), ret_text));
}

static void check_opened(const struct ticket *t, enum ticket_kind kind)
{
    CHECK(t->kind == kind);
    CHECK(slice_eq(name_slice(&t->server), name_slice(&server)));
    CHECK(t->client.n > 0 && utf8_valid(name_slice(&t->client)));
    CHECK(memchr(t->address, 0, sizeof(t->address)));
    CHECK(t->session.n == etype_key_len(t->session.etype) && t->session.kvno == 0);
    CHECK(t->start <= t->end);
}

/* A good ticket, written again, is the same. */
static void check_again(const struct ticket *t, enum ticket_kind kind)
{
    AUTO(ticket_done) struct ticket u = {0};
    AUTO(buf_done) struct buf text = {0};

    CHECK_OK(ticket_seal(&key, &realm, t, &text));
    CHECK(text.n <= TICKET_TEXT_MAX);
    CHECK_OK(ticket_open(keys, &realm, &server, kind, buf_slice(&text), NOW, &u));
    CHECK(slice_eq(name_slice(&t->client), name_slice(&u.client)) && strcmp(t->address, u.address) == 0);
    CHECK(memcmp(t->client_id, u.client_id, ID_LEN) == 0 && memcmp(t->id, u.id, ID_LEN) == 0 &&
          memcmp(t->parent_id, u.parent_id, ID_LEN) == 0);
    CHECK(t->session.etype == u.session.etype && slice_eq(key_slice(&t->session), key_slice(&u.session)));
    CHECK(t->epoch == u.epoch && t->auth_time == u.auth_time && t->start == u.start && t->end == u.end &&
          t->renew_till == u.renew_till);
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 4);
    enum ticket_kind kind = choice & 1 ? TICKET_SERVICE : TICKET_TGT;
    AUTO(ticket_done) struct ticket t = {0};
    AUTO(buf_done) struct buf text = {0};

    if (choice & 2)
        CHECK_OK(buf_add(&text, input));
    else
        seal(input, &text);
    enum rc rc = ticket_open(keys, &realm, &server, kind, buf_slice(&text), NOW, &t);
    CHECK(!(choice & 2) || rc != RC_OK);
    if (rc == RC_OK || rc == RC_TKT_EXPIRED)
        check_opened(&t, kind);
    if (rc == RC_OK)
        check_again(&t, kind);
}
