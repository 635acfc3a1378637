/*
 * Passwords changed, keys strengthened, accounts made.
 *
 * New keys are made here, from the password, which stays here. They travel under the user's current key (or that of a
 * one-time code), bound to the challenge (or the body): who has only a ticket cannot set a password.
 */
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "client/policy.h"
#include "client/vault.h"
#include "shared/base/base64.h"
#include "shared/crypto/box.h"
#include "shared/crypto/onecode.h"

#define CHANGEPW      "kerb/changepw"
#define CHANGEPW_PATH "/as/changepw"
#define REGISTER      "kerb/register"
#define REGISTER_PATH "/as/register"
#define PROOF_S       300 /* the login that proves the old password lives no longer */
#define MESSAGE_MAX   200

/* --- new keys --- */

struct new_keys {
    struct userkey_params params;
    struct key sealed, classic; /* classic.n 0: none */
};

static void new_keys_done(struct new_keys *n)
{
    wipe(n, sizeof *n);
}

static enum rc make_keys(struct kerb *k, const struct name *user, struct slice password, uint32_t iterations,
                         struct new_keys *ret)
{
    TRY(userkey_params_make(iterations, &ret->params));
    TRY(userkey_derive(password, &k->realm, user, &ret->params, &ret->sealed));
    ret->classic = (struct key){.etype = ETYPE_AES128_CBC, .n = BOX_KEY};
    return box_password_key(password, ret->classic.bytes);
}

static enum rc write_keys(const struct new_keys *n, bool with_classic, struct buf *out)
{
    struct jw w = jw_start(out);

    jw_open(&w, NULL, '{');
    jw_base64url(&w, "salt", SLICE(n->params.salt));
    jw_int(&w, "iterations", n->params.iterations);
    jw_base64url(&w, "key", key_slice(&n->sealed));
    if (with_classic)
        jw_base64url(&w, "classic", key_slice(&n->classic));
    jw_close(&w, '}');
    return jw_end(&w);
}

/* The server may say which profiles the realm allows; an unsalted key is not sent where it is of no use. */
static bool wants_classic(const json_t *challenge)
{
    const json_t *profiles = json_object_get(challenge, "profiles");
    bool wants = !json_is_array(profiles);

    for (size_t i = 0; i < json_array_size(profiles); i++) {
        const char *word = json_string_value(json_array_get(profiles, i));
        wants |= word && strcmp(word, "classic") == 0;
    }
    return wants;
}

/* --- the service kerb/changepw --- */

struct change {
    struct kerb *k;
    const char *op; /* "passwd" or "strengthen" */
    const struct login_result *login;
    const struct new_keys *keys;
    bool cut_off;
};

static enum rc seal_keys(const struct change *c, const struct reply *challenge, struct slice challenge_text,
                         struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, context = {0};
    bool is_passwd = strcmp(c->op, "passwd") == 0;

    TRY(write_keys(c->keys, is_passwd && wants_classic(challenge->json), &plain));
    TRY(envelope_context(&challenge_text, 1, &context));
    const struct sealing s = {.key = &c->login->user_key,
                              .label = LABEL_NEW_KEYS,
                              .client = name_slice(&c->login->client),
                              .server = slice_text(CHANGEPW),
                              .context = buf_slice(&context)};
    TRY(client_seal(c->k, &s, buf_slice(&plain), out));
    client_trace(c->k,
                 "   new keys (%lu PBKDF2 iterations, new salt), sealed under the password's current key, label "
                 "new-keys, bound to the challenge",
                 (unsigned long)c->keys->params.iterations);
    return RC_OK;
}

static enum rc change_body(void *ctx, const struct reply *challenge, struct slice challenge_text, struct buf *out)
{
    const struct change *c = ctx;
    AUTO(buf_done) struct buf keys = {0};

    TRY(seal_keys(c, challenge, challenge_text, &keys));
    struct jw w = jw_start(out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "op", slice_text(c->op));
    jw_text(&w, "keys", buf_slice(&keys));
    if (c->cut_off)
        jw_bool(&w, "cut_off", true);
    jw_close(&w, '}');
    return jw_end(&w);
}

/* What the operation says: {"ok", "code", "message"}. */
static enum rc read_outcome(struct kerb *k, const json_t *j)
{
    struct slice message;

    if (json_is_true(json_object_get(j, "ok")))
        return RC_OK;
    if (json_get_text(j, "message", &message) != RC_OK || message.n > MESSAGE_MAX)
        message = slice_text("the realm does not allow this");
    for (size_t i = 0; i < message.n; i++)
        if (message.p[i] < 0x20 || message.p[i] >= 0x7F) /* it goes to a terminal */
            message = slice_text("the realm does not allow this");
    return client_fail(k, KERB_POLICY, "%.*s", SLICE_FMT(message));
}

static enum rc change_keys(struct kerb *k, struct change *c)
{
    AUTO(cache_entry_done) struct cache_entry ticket = {0};
    AUTO(json_done) json_t *reply = NULL;
    struct tgs_wish wish = {.client = &c->login->client, .tgt = &k->cache.entries[0]};

    TRY(name_parse(slice_text(CHANGEPW), &wish.service));
    enum rc rc = client_tgs(k, &wish, &ticket);
    if (rc != RC_OK && k->status == KERB_NO_SERVICE)
        return client_refuse(
            k, KERB_NO_SERVICE,
            "the realm offers no change of password; its administrator can: kerbadm service add " CHANGEPW);
    TRY(rc);
    const struct ap_wish call = {CHANGEPW_PATH, &c->login->client, &ticket, change_body, c};
    TRY(client_ap(k, &call, &reply));
    return read_outcome(k, reply);
}

/* --- strengthening --- */

static enum rc strengthen(struct kerb *k, struct slice password, const struct login_result *r)
{
    AUTO(new_keys_done) struct new_keys keys = {0};
    struct change c = {.k = k, .op = "strengthen", .login = r, .keys = &keys};

    client_trace(k, "   the realm wants %lu iterations: the key is made stronger", (unsigned long)r->iterations_wanted);
    TRY(make_keys(k, &r->client, password, r->iterations_wanted, &keys));
    return change_keys(k, &c);
}

void client_strengthen(struct kerb *k, struct slice password, const struct login_result *r)
{
    if (r->iterations_wanted <= r->params.iterations || r->iterations_wanted < k->iterations_min)
        return;
    if (strengthen(k, password, r) != RC_OK)
        client_trace(k, "   it stays as it is: %s", kerb_error(k));
    client_begin(k);
}

/* --- change of password --- */

struct passwd {
    struct name user;
    struct slice old, new;
    bool cut_off, was_logged_in;
    struct login_wish wish; /* what the tickets were like that he has */
};

static enum rc who(struct kerb *k, const struct kerb_passwd *p, struct passwd *ret)
{
    if (p->user)
        TRY(client_name(k, "user", p->user, &ret->user));
    else
        TRY(client_load(k));
    client_peek(k);
    if (!p->user)
        ret->user = k->cache.client;
    ret->was_logged_in = k->cache.n && slice_eq(name_slice(&ret->user), name_slice(&k->cache.client));
    if (ret->was_logged_in) {
        const struct cache_entry *tgt = &k->cache.entries[0];
        bool is_good = tgt->end > client_now(k);
        ret->wish = (struct login_wish){is_good ? tgt->end - tgt->start : 0, tgt->renew_till != 0};
    }
    return RC_OK;
}

static uint32_t iterations_for(const struct kerb *k, const struct login_result *r)
{
    uint32_t n = r->iterations_wanted                        ? r->iterations_wanted
                 : r->params.iterations > USERKEY_ITERATIONS ? r->params.iterations
                                                             : USERKEY_ITERATIONS;
    return n < k->iterations_min ? k->iterations_min : n;
}

static enum rc change(struct kerb *k, const struct passwd *p, struct login_result *old)
{
    AUTO(new_keys_done) struct new_keys keys = {0};
    struct change c = {.k = k, .op = "passwd", .login = old, .keys = &keys, .cut_off = p->cut_off};

    TRY(make_keys(k, &p->user, p->new, iterations_for(k, old), &keys));
    return change_keys(k, &c);
}

/* The password is another one now: from here on nothing may fail, only be told. */
static enum rc settle(struct kerb *k, const struct passwd *p)
{
    AUTO(login_result_done) struct login_result fresh = {0};
    struct cache_vault *v = &k->cache.vault;

    TRY(client_as(k, &p->user, p->new, &p->wish, &fresh));
    TRY(client_adopt(k, &fresh));
    if (v->has) {
        TRY(vault_rewrap(k, p->new, v));
        if (vault_save(k) != RC_OK && !p->was_logged_in)
            client_notice(k, "the shares that you saved still open with the old password only: the chat was not "
                             "reached");
    }
    return p->was_logged_in ? client_save(k, slice_of(NULL, 0)) : RC_OK;
}

static enum rc passwd(struct kerb *k, struct passwd *p)
{
    AUTO(login_result_done) struct login_result old = {0};
    const struct login_wish proof = {.lifetime_s = PROOF_S};

    if (p->old.n == p->new.n && ct_equal(p->old.p, p->new.p, p->new.n))
        return client_fail(k, KERB_POLICY, "the new password is the old one");
    TRY(policy_check(k, &p->user, p->new));
    TRY(client_as(k, &p->user, p->old, &proof, &old));
    TRY(client_adopt(k, &old));
    if (vault_fetch(k, p->old) != RC_OK)
        client_begin(k); /* no vault, or not to be had: a later login tells */
    TRY(change(k, p, &old));
    if (settle(k, p) != RC_OK) {
        client_notice(k, "the password is changed, but: %s", kerb_error(k));
        client_begin(k);
    }
    return RC_OK;
}

enum kerb_status kerb_passwd(struct kerb *k, const struct kerb_passwd *p)
{
    struct passwd job = {.old = slice_of(p->old_password, p->old_len),
                         .new = slice_of(p->new_password, p->new_len),
                         .cut_off = p->cut_off};

    client_begin(k);
    enum rc rc = who(k, p, &job);
    if (rc == RC_OK) {
        rc = passwd(k, &job);
        if (rc != RC_OK || !job.was_logged_in)
            cache_done(&k->cache); /* what lies in the file is as it was */
    }
    return client_end(k, rc);
}

/* --- registration --- */

struct registration {
    struct name user;
    bool has_code;
    struct onecode code;
    uint8_t nonce[SEALED_NONCE];
    struct buf body; /* text */
};

static void registration_done(struct registration *r)
{
    onecode_done(&r->code);
    buf_done(&r->body);
}

static enum rc registration_body(struct registration *r)
{
    AUTO(buf_done) struct buf json = {0};
    uint8_t id[ONECODE_ID_LEN];

    TRY(random_bytes(r->nonce, sizeof r->nonce));
    struct jw w = jw_start(&json);
    jw_open(&w, NULL, '{');
    jw_text(&w, "name", name_slice(&r->user));
    jw_base64url(&w, "nonce", SLICE(r->nonce));
    if (r->has_code) {
        TRY(onecode_id(&r->code, id));
        jw_base64url(&w, "code_id", SLICE(id));
    }
    jw_close(&w, '}');
    TRY(jw_end(&w));
    return base64url_encode(buf_slice(&json), &r->body);
}

/* Under the code's key; a realm that is open has no secret to seal with, and TLS alone protects the keys. */
static enum rc registration_keys(struct kerb *k, const struct registration *r, const struct new_keys *keys,
                                 struct buf *out)
{
    AUTO(buf_done) struct buf plain = {0}, context = {0};
    AUTO(key_done) struct key code_key = {0};

    TRY(write_keys(keys, true, &plain));
    if (!r->has_code)
        return base64url_encode(buf_slice(&plain), out);
    TRY(onecode_key(&r->code, &code_key));
    const struct slice body = buf_slice(&r->body);
    TRY(envelope_context(&body, 1, &context));
    const struct sealing s = {.key = &code_key,
                              .label = LABEL_NEW_KEYS,
                              .client = name_slice(&r->user),
                              .server = slice_text(REGISTER),
                              .context = buf_slice(&context)};
    return client_seal(k, &s, buf_slice(&plain), out);
}

static enum rc registration_refused(struct kerb *k, const struct registration *r, const struct reply *reply)
{
    static const struct {
        const char *code, *sentence;
    } reasons[] = {
        {"exists", "this name is taken, perhaps spelled with other capitals"                            },
        {"closed", "the realm takes no registrations of this kind: ask its administrator for an account"},
        {"policy", "the realm does not take keys of this strength: one of us is older"                  },
    };
    struct slice code;

    if (r->has_code && reply_is_error(reply, "KDC_ERR_PREAUTH_FAILED"))
        return client_refuse(k, KERB_REFUSED,
                             "the code is not known, was used, is older than an hour, or is for another name");
    bool has = json_get_text(reply->json, "code", &code) == RC_OK;
    for (size_t i = 0; has && i < ARRAY_LEN(reasons); i++)
        if (slice_eq(code, slice_text(reasons[i].code)))
            return client_refuse(k, KERB_POLICY, reasons[i].sentence);
    return client_refused(k, reply);
}

static enum rc registration_post(struct kerb *k, const struct registration *r, const struct new_keys *keys)
{
    AUTO(buf_done) struct buf text = {0}, request = {0};
    AUTO(reply_done) struct reply reply = {0};

    TRY(registration_keys(k, r, keys, &text));
    struct jw w = jw_start(&request);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", 1);
    jw_text(&w, "body", buf_slice(&r->body));
    jw_text(&w, "keys", buf_slice(&text));
    jw_close(&w, '}');
    TRY(jw_end(&w));
    client_trace(k, "   register %s: new keys (%lu PBKDF2 iterations, new salt), %s", r->user.s,
                 (unsigned long)keys->params.iterations,
                 r->has_code ? "sealed under the code's key, label new-keys, bound to the body"
                             : "protected by TLS alone");
    TRY(client_post(k, REGISTER_PATH, buf_slice(&request), &reply));
    return reply.is_ok ? RC_OK : registration_refused(k, r, &reply);
}

static enum rc do_register(struct kerb *k, struct registration *r, struct slice password)
{
    AUTO(new_keys_done) struct new_keys keys = {0};
    AUTO(offer_done) struct offer offer = {0};

    TRY(policy_check(k, &r->user, password));
    TRY(client_offer(k, &r->user, &offer));
    k->realm = offer.realm;
    if (!r->has_code && strncmp(kerb_url(k), "https://", strlen("https://")) != 0 && !client_url_is_loopback(k))
        return client_fail(k, KERB_POLICY, "without a code the new key is protected by TLS alone, and %s has none",
                           kerb_url(k));
    TRY(make_keys(k, &r->user, password, offer.params.iterations, &keys));
    TRY(registration_body(r));
    return registration_post(k, r, &keys);
}

enum kerb_status kerb_register(struct kerb *k, const struct kerb_register *r)
{
    AUTO(registration_done) struct registration job = {.has_code = r->code != NULL};

    client_begin(k);
    enum rc rc = client_name(k, "user", r->user, &job.user);
    if (rc == RC_OK && r->code && onecode_read(slice_text(r->code), &job.code) != RC_OK)
        rc = client_fail(k, KERB_BAD_ARGUMENT, "this is not a one-time code: 26 letters and digits, hyphens between");
    if (rc == RC_OK)
        rc = do_register(k, &job, slice_of(r->password, r->password_len));
    return client_end(k, rc);
}
