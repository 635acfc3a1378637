/*
 * POST /tgs. The first byte chooses: the whole body; or a classic or a sealed request with a good ticket, whose first
 * line is the service or the object in `body`, and whose rest is the authenticator, sealed under the ticket's key.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/sealing.h"
#include "tests/unit/tgs_world.h"

#include "shared/crypto/box.h"

static void end(void)
{
    (void)stop(NULL);
}

void fuzz_open(void)
{
    CHECK(start(NULL) == 0);
    fuzz_at_exit(end);
}

static void forget(void)
{
    bool clean;

    CHECK_OK(replay_close(env.replay));
    CHECK_OK(replay_open(NULL, REPLAY_AT_STOP, NOW, &env.replay, &clean));
}

static void make_classic(struct slice input, struct buf *out)
{
    AUTO(buf_done) struct buf box = {0};
    struct slice service = fuzz_line(&input);

    CHECK_OK(buf_text(out, "service="));
    for (size_t i = 0; i < service.n; i++)
        CHECK_OK(buf_printf(out, "%%%02x", service.p[i]));
    CHECK_OK(buf_text(out, "&tgs_ticket="));
    seal_tgt(out);
    CHECK_OK(box_seal(tgt.session.bytes, input, &box));
    CHECK_OK(buf_text(out, "&authenticator="));
    CHECK_OK(buf_add(out, buf_slice(&box)));
}

static void make_sealed(struct slice input, struct buf *out)
{
    AUTO(buf_done) struct buf ticket = {0}, body = {0}, context = {0}, plain = {0}, authenticator = {0};

    seal_tgt(&ticket);
    CHECK_OK(base64url_encode(fuzz_line(&input), &body));
    context_of(&context, &ticket, &body, NULL);
    struct bound b = {conf.realm_name, "alice", "chat", buf_slice(&context)};
    CHECK_OK(buf_add(&plain, input));
    CHECK(buf_cstr(&plain));
    seal_text(&tgt.session, LABEL_TGS_AUTHENTICATOR, &b, (char *)plain.p, &authenticator);
    CHECK(buf_cstr(&ticket) && buf_cstr(&body) && buf_cstr(&authenticator));
    CHECK_OK(buf_printf(out, "{\"v\":1,\"tgt\":\"%s\",\"authenticator\":\"%s\",\"body\":\"%s\"}", (char *)ticket.p,
                        (char *)authenticator.p, (char *)body.p));
}

static void check_answer(int status, const struct buf *answer)
{
    AUTO(json_done) json_t *j = NULL;
    AUTO(buf_done) struct buf text = {0};
    uint8_t replay[SHA256_LEN];
    struct slice code;

    if (status == 200 && box_open(tgt.session.bytes, buf_slice(answer), &text, replay) == RC_OK)
        return;
    CHECK_OK(json_parse_object(buf_slice(answer), JSON_DEPTH_HTTP, &j));
    if (status == 200)
        CHECK_OK(json_get_text(j, "reply", &code));
    else
        CHECK(json_get_text(j, "error", &code) == RC_OK && slice_eq(code, slice_text(rc_wire(audited.rc))));
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 3);
    AUTO(buf_done) struct buf body = {0};
    struct http_reply reply = {.status = 200};
    unsigned before = audited.n;

    forget();
    fill_tgt(choice == 2 ? ETYPE_AES128_CBC_HS256 : ETYPE_AES128_CBC);
    tgt.renew_till = choice == 2 ? NOW + 86400 : 0;
    if (choice == 0)
        CHECK_OK(buf_add(&body, input));
    else if (choice == 1)
        make_classic(input, &body);
    else
        make_sealed(input, &body);
    const struct http_request req = {buf_slice(&body), "192.0.2.7", "op"};
    tgs_grant_post(&env, &req, &reply);
    CHECK(audited.n == before + 1 && audited.has_ticket == (audited.rc == RC_OK));
    CHECK(reply.status == rc_http(audited.rc) && reply.status != 500);
    CHECK(choice != 0 || reply.status != 200);
    check_answer(reply.status, &reply.body);
    buf_done(&reply.body);
}
