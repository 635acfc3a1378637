/* kerb login, list, renew, logout, ticket. */
#include "client/cmd.h"

#include <stdio.h>
#include <stdlib.h>

#define COLUMN 16 /* of services */

static void say_until(const struct cmd *c, const struct kerb_entry *e)
{
    char until[CLASSIC_TIME_LEN + 1], span[CMD_SPAN];

    time_format_classic(e->end, until);
    if (e->end <= kerb_now(c->k)) {
        (void)printf("over since %s UTC\n", until);
        return;
    }
    cmd_span(e->end - kerb_now(c->k), span);
    (void)printf("good until %s UTC (%s)", until, span);
    if (e->renew_till > e->end) {
        time_format_classic(e->renew_till, until);
        (void)printf(", renewable till %s UTC", until);
    }
    (void)putchar('\n');
}

static int say_login(struct cmd *c, enum kerb_status status, const char *verb)
{
    struct kerb_entry e;

    if (status == KERB_OK && kerb_entry_at(c->k, 0, &e)) {
        (void)printf("%s %s in %s, ", verb, kerb_client(c->k), kerb_realm(c->k));
        say_until(c, &e);
    }
    return cmd_end(c, status);
}

int cmd_login(struct cmd *c)
{
    AUTO(buf_done) struct buf password = {0}, prompt = {0};
    struct kerb_login_options o = {.renewable = c->opt[OPT_RENEWABLE] != NULL};
    struct name name;

    if (c->opt[OPT_LIFETIME] && !cmd_seconds(c->opt[OPT_LIFETIME], &o.lifetime_s))
        return cmd_fail(EXIT_USAGE, "--lifetime is a number with s, m, h or d behind it, e.g. 8h");
    const char *user = cmd_user(c);
    if (!user)
        return EXIT_USAGE;
    client_begin(c->k);
    if (client_name(c->k, "user", user, &name) != RC_OK) /* before it goes to the terminal */
        return cmd_end(c, KERB_BAD_ARGUMENT);
    if (buf_printf(&prompt, "Password of %s: ", name.s) != RC_OK || !buf_cstr(&prompt))
        return cmd_fail(EXIT_FAILURE, "out of memory");
    int status = cmd_password((const char *)prompt.p, &password);
    if (status != EXIT_SUCCESS)
        return status;
    return say_login(c, kerb_login(c->k, name.s, (const char *)password.p, password.n, &o), "Logged in as");
}

int cmd_renew(struct cmd *c)
{
    return say_login(c, kerb_renew(c->k), "Renewed:");
}

int cmd_logout(struct cmd *c)
{
    enum kerb_status status = kerb_logout(c->k);

    if (status != KERB_OK)
        return cmd_end(c, status);
    (void)puts("Logged out: the tickets are wiped.");
    return EXIT_SUCCESS;
}

/* --- list --- */

static void write_entry(struct jw *w, const struct kerb_entry *e, int64_t now_s)
{
    jw_open(w, NULL, '{');
    jw_text(w, "service", slice_text(e->service));
    jw_bool(w, "tgt", e->is_tgt);
    jw_bool(w, "good", e->end > now_s);
    jw_int(w, "kvno", e->kvno);
    jw_int(w, "auth_time", e->auth_time);
    jw_int(w, "start_time", e->start);
    jw_int(w, "end_time", e->end);
    jw_int(w, "renew_till", e->renew_till);
    jw_close(w, '}');
}

static int print_json(const struct cmd *c, bool is_good)
{
    AUTO(buf_done) struct buf out = {0};
    struct kerb_entry e;
    struct jw w = jw_start(&out);

    jw_open(&w, NULL, '{');
    jw_bool(&w, "good", is_good);
    jw_text(&w, "client", slice_text(kerb_client(c->k)));
    jw_text(&w, "realm", slice_text(kerb_realm(c->k)));
    jw_text(&w, "url", slice_text(kerb_url(c->k)));
    jw_text(&w, "cache", slice_text(kerb_cache_path(c->k)));
    jw_int(&w, "now", kerb_now(c->k));
    jw_open(&w, "tickets", '[');
    for (size_t i = 0; kerb_entry_at(c->k, i, &e); i++)
        write_entry(&w, &e, kerb_now(c->k));
    jw_close(&w, ']');
    jw_close(&w, '}');
    if (jw_end(&w) != RC_OK || !buf_cstr(&out))
        return cmd_fail(EXIT_FAILURE, "out of memory");
    (void)puts((const char *)out.p);
    return EXIT_SUCCESS;
}

static void print_table(const struct cmd *c)
{
    struct kerb_entry e;

    (void)printf("%s in %s at %s\n", kerb_client(c->k), kerb_realm(c->k), kerb_url(c->k));
    for (size_t i = 0; kerb_entry_at(c->k, i, &e); i++) {
        (void)printf("  %-*s ", COLUMN, e.is_tgt ? "(login)" : e.service);
        say_until(c, &e);
    }
}

int cmd_list(struct cmd *c)
{
    struct kerb_entry tgt = {0};

    enum kerb_status status = kerb_load(c->k);
    bool is_good = status == KERB_OK && kerb_entry_at(c->k, 0, &tgt) && tgt.end > kerb_now(c->k);
    if (c->opt[OPT_SILENT])
        return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
    if (c->opt[OPT_JSON] && (status == KERB_OK || status == KERB_NO_TICKET)) {
        int exit_status = print_json(c, is_good);
        return exit_status != EXIT_SUCCESS || !is_good ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (status != KERB_OK)
        return cmd_end(c, status);
    print_table(c);
    return is_good ? EXIT_SUCCESS : cmd_fail(EXIT_FAILURE, "the login is over: kerb login");
}

/* --- ticket --- */

int cmd_ticket(struct cmd *c)
{
    struct kerb_ticket t;

    enum kerb_status status = kerb_get_ticket(c->k, c->args[0], &t);
    if (status != KERB_OK)
        return cmd_end(c, status);
    const struct kerb_entry e = {t.service,   false,   t.kvno, slice_text(t.text).n,
                                 t.auth_time, t.start, t.end,  t.renew_till};
    if (c->opt[OPT_JSON]) {
        AUTO(buf_done) struct buf out = {0};
        struct jw w = jw_start(&out);
        write_entry(&w, &e, kerb_now(c->k));
        if (jw_end(&w) == RC_OK && buf_cstr(&out))
            (void)puts((const char *)out.p);
    } else {
        (void)printf("Ticket for %s, key version %u, ", t.service, t.kvno);
        say_until(c, &e);
    }
    kerb_ticket_wipe(&t);
    return EXIT_SUCCESS;
}
