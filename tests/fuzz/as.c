/*
 * POST /as/login. The first byte chooses: the whole body; or a classic request, whose first line is the login and whose
 * rest is sealed under alice's key; or a sealed one, whose first line is the object in `body` and whose rest is the
 * proof, sealed under alice's key and bound to a good cookie.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/as_world.h"

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

/* What was accepted before is forgotten. */
static void forget(void)
{
    bool clean;

    CHECK_OK(replay_close(env.replay));
    CHECK_OK(replay_open(NULL, REPLAY_JOURNAL, NOW, &env.replay, &clean));
}

static int post(struct slice body, struct buf *ret)
{
    const struct http_request req = {body, "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};
    unsigned before = audited.n;

    as_login_post(&env, &req, &reply);
    CHECK(audited.n == before + 1 && audited.has_ticket == (audited.rc == RC_OK));
    CHECK(reply.status == rc_http(audited.rc) && reply.status != 500);
    *ret = buf_take(&reply.body);
    return reply.status;
}

/* A refusal is an object with a code; a classic answer opens under alice's key. */
static void check_answer(int status, const struct buf *answer)
{
    AUTO(json_done) json_t *j = NULL;
    AUTO(buf_done) struct buf text = {0};
    uint8_t replay[SHA256_LEN];
    struct slice code;

    if (status == 200 && box_open(alice.classic.bytes, buf_slice(answer), &text, replay) == RC_OK)
        return;
    CHECK_OK(json_parse_object(buf_slice(answer), JSON_DEPTH_HTTP, &j));
    if (status == 200)
        CHECK_OK(json_get_text(j, "reply", &code));
    else
        CHECK(json_get_text(j, "error", &code) == RC_OK && slice_eq(code, slice_text(rc_wire(audited.rc))));
}

static void make_classic(struct slice input, struct buf *out)
{
    AUTO(buf_done) struct buf box = {0};
    struct slice login = fuzz_line(&input);

    CHECK_OK(buf_text(out, "login="));
    for (size_t i = 0; i < login.n; i++)
        CHECK_OK(buf_printf(out, "%%%02x", login.p[i]));
    CHECK_OK(box_seal(alice.classic.bytes, input, &box));
    CHECK_OK(buf_text(out, "&encrypted="));
    CHECK_OK(buf_add(out, buf_slice(&box)));
}

/* {"v":1,"body":...: to be closed. */
static void open_sealed(const struct buf *body, struct buf *out)
{
    CHECK_OK(buf_printf(out, "{\"v\":1,\"body\":\"%.*s\"", SLICE_FMT(buf_slice(body))));
}

static void make_sealed(struct slice input, struct buf *out)
{
    AUTO(buf_done)
    struct buf body = {0}, first = {0}, answer = {0}, cookie = {0}, context = {0}, preauth = {0}, proof = {0};
    AUTO(json_done) json_t *offer = NULL;

    CHECK_OK(base64url_encode(fuzz_line(&input), &body));
    open_sealed(&body, &first);
    CHECK_OK(buf_byte(&first, '}'));
    open_sealed(&body, out);
    int status = post(buf_slice(&first), &answer);
    check_answer(status, &answer);
    CHECK_OK(json_parse_object(buf_slice(&answer), JSON_DEPTH_HTTP, &offer));
    if (status == 401 && json_object_get(offer, "cookie")) {
        CHECK_OK(buf_add(&cookie, member(offer, "cookie")));
        context_of(&context, &body, &cookie, NULL);
        struct bound b = {conf.realm_name, "alice", "tgs", buf_slice(&context)};
        CHECK_OK(buf_add(&proof, input));
        CHECK(buf_cstr(&proof));
        seal_text(&alice.sealed, LABEL_AS_PREAUTH, &b, (char *)proof.p, &preauth);
        CHECK_OK(buf_printf(out, ",\"cookie\":\"%s\",\"preauth\":\"%s\"", buf_cstr(&cookie), buf_cstr(&preauth)));
    }
    CHECK_OK(buf_byte(out, '}'));
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 3);
    AUTO(buf_done) struct buf body = {0}, answer = {0};

    forget();
    if (choice == 0)
        CHECK_OK(buf_add(&body, input));
    else if (choice == 1)
        make_classic(input, &body);
    else
        make_sealed(input, &body);
    int status = post(buf_slice(&body), &answer);
    check_answer(status, &answer);
    CHECK(choice != 0 || status != 200);
}
