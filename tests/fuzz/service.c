/*
 * The AS's services over HTTP. The first byte chooses what root asks for: an operation of the administration, sealed
 * into a good request; a change of password, its first line the operation and its rest the keys, sealed under the old
 * one ('$' becomes them); a registration in an open realm, its first line the body and its rest the keys. Or the input
 * is the whole request to one of the three.
 */
#include "as/register.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/as_service.h"

enum { ADMIN, CHANGEPW, REGISTER, WHOLE };

static struct as_keys root;

static void end(void)
{
    (void)stop_services(NULL);
}

static void begin(void)
{
    struct name name = named("root");

    CHECK(start_services(NULL) == 0);
    (void)snprintf(conf.realm_registration, sizeof conf.realm_registration, "open");
    root = both_keys(200000);
    add_keys("root", &root);
    CHECK_OK(as_store_set_admin(store, &name, true));
}

void fuzz_open(void)
{
    begin();
    fuzz_at_exit(end);
}

/* A NUL-terminated copy, empty as well. */
static char *text_of(struct slice s)
{
    char *text = slice_dup(s);

    CHECK(text);
    return text;
}

/* An answer other than 200, and nothing of our own fault. */
static void check_refused(const char *body)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice code;

    CHECK(audited.rc != RC_OK && rc_http(audited.rc) != 500);
    CHECK_OK(json_parse_object(slice_text(body), JSON_DEPTH_HTTP, &j));
    CHECK_OK(json_get_text(j, "error", &code));
}

/* True: something may have changed. */
static bool ask(struct slice input, bool is_change)
{
    AUTO(buf_done) struct buf ticket_text = {0}, op = {0}, sealed = {0};
    AUTO(json_done) json_t *answer = NULL;
    uint8_t digest[SHA256_LEN];

    hold_ticket("root", is_change ? AS_CHANGEPW_NAME : AS_ADMIN_NAME);
    get_challenge(&ticket_text);
    CHECK(buf_cstr(&ticket_text));
    if (is_change) {
        struct slice line = fuzz_line(&input);
        AUTO(str_done) char *plain = text_of(input);
        CHECK_OK(sha256(buf_slice(&challenge), digest));
        struct bound b = {conf.realm_name, "root", AS_CHANGEPW_NAME, SLICE(digest)};
        seal_text(&root.sealed, LABEL_NEW_KEYS, &b, plain, &sealed);
        for (size_t i = 0; i < line.n; i++)
            CHECK_OK(line.p[i] == '$' ? buf_add(&op, buf_slice(&sealed)) : buf_byte(&op, line.p[i]));
    } else {
        CHECK_OK(buf_add(&op, input));
    }
    AUTO(str_done) char *text = text_of(buf_slice(&op));
    enum rc rc = send_op(&ticket_text, text, &answer);
    CHECK((rc == RC_OK) == (answer != NULL) && rc_http(rc) != 500);
    return rc == RC_OK && is_ok(answer);
}

static bool post_register(struct slice body)
{
    const struct http_request http = {body, "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};
    unsigned before = audited.n;

    as_register_post(&env, &http, &reply);
    CHECK(audited.n == before + 1 && reply.status == rc_http(audited.rc));
    CHECK(buf_cstr(&reply.body));
    if (reply.status != 200)
        check_refused((char *)reply.body.p);
    buf_done(&reply.body);
    return reply.status == 200;
}

static bool enlist(struct slice input)
{
    AUTO(buf_done) struct buf text = {0};

    CHECK_OK(buf_text(&text, "{\"v\":1,\"body\":\""));
    CHECK_OK(base64url_encode(fuzz_line(&input), &text));
    CHECK_OK(buf_text(&text, "\",\"keys\":\""));
    CHECK_OK(base64url_encode(input, &text));
    CHECK_OK(buf_text(&text, "\"}"));
    return post_register(buf_slice(&text));
}

static bool post_whole(struct slice input, unsigned whom)
{
    if (whom == REGISTER)
        return post_register(input);
    service = whom == ADMIN ? AS_ADMIN_NAME : AS_CHANGEPW_NAME;
    buf_reset(&request);
    CHECK_OK(buf_add(&request, input));
    CHECK(post_request() != 200); /* who finds a ticket has found a fault */
    CHECK(buf_cstr(&reply_body));
    check_refused((char *)reply_body.p);
    return false;
}

void fuzz_one(struct slice input)
{
    unsigned choice = fuzz_choice(&input, 2 * WHOLE);
    bool has_changed = choice >= WHOLE      ? post_whole(input, choice - WHOLE)
                       : choice == REGISTER ? enlist(input)
                                            : ask(input, choice == CHANGEPW);

    if (!has_changed)
        return;
    (void)stop_services(NULL); /* the next input finds everything as it was */
    fuzz_keep(begin);
}
