/*
 * kerbadm audit verify|show|explain: the audit logs of the daemons, checked and in words.
 *
 * A log may be large, so it is read line by line, once for each question. What is shown comes from the files as they
 * are; whether they were meddled with is verify's question, and explain tells when it says no.
 */
#include "admin/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/service/explain.h"
#include "shared/service/ops.h"

#define STEPS_MAX 32 /* of one ticket's way: renewals make it long */

typedef enum rc line_seen(void *ctx, const json_t *line);

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));
    return text ? text : "";
}

/* --- the files --- */

static void file_done(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

static void free_line(char **line)
{
    free(*line);
}

static enum rc each_in_file(const char *path, line_seen *seen, void *ctx)
{
    AUTO(file_done) FILE *f = fopen(path, "re");
    AUTO(free_line) char *line = NULL;
    size_t cap = 0;

    if (!f)
        return errno == ENOENT ? RC_OK : RC_IO;
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0;) {
        AUTO(json_done) json_t *j = NULL;
        if (json_parse_object(slice_of(line, (size_t)n), JSON_DEPTH_HTTP, &j) == RC_OK)
            TRY(seen(ctx, j)); /* else half a line, which verify tells of */
    }
    return ferror(f) ? RC_IO : RC_OK;
}

static bool is_wanted(const struct admin *a, const struct audit_place *p)
{
    return !a->arg || strcmp(a->arg, p->folder) == 0;
}

static enum rc each_line(struct admin *a, bool all, line_seen *seen, void *ctx)
{
    for (size_t i = 0; i < audit_places_n; i++) {
        AUTO(str_done) char *path = NULL;
        if (!all && !is_wanted(a, &audit_places[i]))
            continue;
        TRY(ops_path(&a->conf, audit_places[i].folder, audit_places[i].file, &path));
        enum rc rc = each_in_file(path, seen, ctx);
        if (rc == RC_IO)
            return admin_fail(a, rc, "%s: %s", path, strerror(errno));
        TRY(rc);
    }
    return RC_OK;
}

static enum rc begin(struct admin *a)
{
    if (a->arg)
        TRY(admin_daemon(a, a->arg));
    return admin_load(a);
}

/* --- verify --- */

static enum rc is_written(const struct admin *a, const struct audit_place *p)
{
    AUTO(str_done) char *path = NULL;

    TRY(ops_path(&a->conf, p->folder, p->file, &path));
    return access(path, F_OK) == 0 || errno != ENOENT ? RC_OK : RC_NOT_FOUND;
}

/* The end of a log is sealed under the master key. asks: also on the terminal, for shares of it. */
static enum rc verify(struct admin *a, const struct audit_place *p, bool asks, struct audit_report *ret)
{
    AUTO(str_done) char *path = NULL;
    AUTO(master_done) struct master *master = NULL;
    struct audit_options options;

    *ret = (struct audit_report){0};
    TRY(is_written(a, p));
    if ((asks || a->opt[OPT_SHARES_FILE]) && admin_unseal(a, p->folder) != RC_OK)
        return RC_NO_SHARES;
    TRY(audit_place_open(a, p, &options, &path, &master));
    return audit_verify(&options, NULL, NULL, ret);
}

static enum rc put_verdict(struct buf *out, const struct audit_place *p, enum rc rc, const struct audit_report *r)
{
    TRY(buf_printf(out, "%s/%s: ", p->folder, p->file));
    if (rc != RC_OK && rc != RC_MODIFIED)
        return buf_printf(out, "whether it is as it was written cannot be told: %s\n", rc_text(rc));
    TRY(buf_printf(out, "%llu lines", (unsigned long long)r->lines));
    if (r->torn)
        TRY(buf_printf(out, ", %llu cut by a crash", (unsigned long long)r->torn));
    if (rc == RC_OK)
        return buf_text(out, ", as they were written\n");
    return buf_printf(out, "; NOT AS IT WAS WRITTEN: line %llu: %s\n", (unsigned long long)r->bad_line,
                      r->what ? r->what : rc_text(rc));
}

static enum rc show_verified(struct jw *w, struct buf *out, const struct audit_place *p, enum rc rc,
                             const struct audit_report *r)
{
    if (!w)
        return put_verdict(out, p, rc, r);
    jw_open(w, NULL, '{');
    jw_text(w, "daemon", slice_text(p->daemon));
    jw_text(w, "folder", slice_text(p->folder));
    jw_bool(w, "ok", rc == RC_OK);
    jw_bool(w, "known", rc == RC_OK || rc == RC_MODIFIED);
    jw_int(w, "lines", (int64_t)r->lines);
    jw_int(w, "torn", (int64_t)r->torn);
    if (rc != RC_OK) {
        jw_int(w, "line", (int64_t)r->bad_line);
        jw_text(w, "what", slice_text(rc == RC_MODIFIED && r->what ? r->what : rc_text(rc)));
    }
    jw_close(w, '}');
    return RC_OK;
}

enum rc cmd_audit_verify(struct admin *a)
{
    AUTO(buf_done) struct buf out = {0};
    struct jw w = jw_start(&out);
    unsigned bad = 0, unknown = 0, seen = 0;

    TRY(begin(a));
    if (a->opt[OPT_JSON])
        jw_open(&w, NULL, '[');
    for (size_t i = 0; i < audit_places_n; i++) {
        struct audit_report r;
        if (!is_wanted(a, &audit_places[i]))
            continue;
        enum rc rc = verify(a, &audit_places[i], true, &r);
        if (rc == RC_NOT_FOUND)
            continue; /* it has never run */
        seen++;
        bad += rc == RC_MODIFIED;
        unknown += rc != RC_OK && rc != RC_MODIFIED;
        TRY(show_verified(a->opt[OPT_JSON] ? &w : NULL, &out, &audit_places[i], rc, &r));
    }
    if (a->opt[OPT_JSON]) {
        jw_close(&w, ']');
        TRY(admin_print_json(a, &w));
    } else {
        TRY(admin_print(a, &out));
    }
    if (bad)
        return admin_fail(a, RC_MODIFIED, "%u of %u audit logs are not as they were written", bad, seen);
    if (unknown)
        return admin_fail(a, RC_NO_SHARES, "of %u of %u audit logs it cannot be told", unknown, seen);
    return RC_OK;
}

/* --- show --- */

static bool matches(const struct admin *a, const json_t *line)
{
    const char *client = a->opt[OPT_CLIENT], *result = a->opt[OPT_RESULT], *since = a->opt[OPT_SINCE];

    if (client && strcmp(client, text_of(line, "client")) != 0 && strcmp(client, text_of(line, "target")) != 0)
        return false;
    if (result && !audit_result_is(result, text_of(line, "result")))
        return false;
    return !since || strcmp(text_of(line, "time"), since) >= 0;
}

/* Jansson's ASCII leaves DEL as it is. */
static enum rc put_ascii(struct buf *out, const char *text)
{
    for (; *text; text++)
        TRY(*text == 0x7F ? buf_text(out, "\\u007f") : buf_byte(out, (uint8_t)*text));
    return buf_byte(out, '\n');
}

/* Names come from outside: in ASCII without controls a terminal obeys none of them. */
static enum rc print_line(struct admin *a, const json_t *line)
{
    AUTO(buf_done) struct buf out = {0};
    char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);

    enum rc rc = text ? put_ascii(&out, text) : RC_NO_MEMORY;
    free(text);
    TRY(rc);
    return admin_print(a, &out);
}

static enum rc show_line(void *ctx, const json_t *line)
{
    struct admin *a = ctx;
    return matches(a, line) ? print_line(a, line) : RC_OK;
}

enum rc cmd_audit_show(struct admin *a)
{
    const char *result = a->opt[OPT_RESULT];

    if (result && strcmp(result, "help") == 0)
        return audit_result_help(a);
    if (result && !audit_result_known(result))
        return admin_fail(a, RC_NOT_FOUND, "there is no result '%s'; '--result help' lists them", result);
    TRY(begin(a));
    return each_line(a, false, show_line, a);
}

/* --- explain --- */

/* A line that is looked for by one of its members; the first that is found. */
struct wanted {
    const char *member, *value;
    json_t *found;
};

static enum rc compare(void *ctx, const json_t *line)
{
    struct wanted *w = ctx;

    if (w->found || strcmp(text_of(line, w->member), w->value) != 0)
        return RC_OK;
    w->found = json_deep_copy(line);
    return w->found ? RC_OK : RC_NO_MEMORY;
}

static enum rc find(struct admin *a, const char *member, const char *value, json_t **ret)
{
    struct wanted w = {member, value, NULL};

    enum rc rc = value[0] ? each_line(a, true, compare, &w) : RC_OK;
    *ret = w.found;
    return rc;
}

/* A name in a sentence: what a terminal might obey is left out. */
static enum rc put_text(struct buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool is_c1 = p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0;
        if (is_c1)
            p++;
        TRY(buf_byte(out, is_c1 || *p < 0x20 || *p == 0x7F ? '?' : *p));
    }
    return RC_OK;
}

static const struct {
    const char *event, *asked;
} deeds[] = {
    {"as",       "asked for a ticket-granting ticket"           },
    {"tgs",      "asked for a ticket for"                       },
    {"login",    "logged in to"                                 },
    {"reauth",   "showed a newer ticket to"                     },
    {"changepw", "asked for another password or a stronger key:"},
    {"register", "registered with a code or without:"           },
    {"admin",    "ordered"                                      },
    {"kerbadm",  "ran kerbadm"                                  },
};

static enum rc put_deed(struct buf *out, const json_t *line)
{
    static const char *const details[] = {"what", "service", "target", "more"};
    const char *event = text_of(line, "event"), *asked = event;

    for (size_t i = 0; i < ARRAY_LEN(deeds); i++)
        if (strcmp(deeds[i].event, event) == 0)
            asked = deeds[i].asked;
    TRY(put_text(out, asked));
    for (size_t i = 0; i < ARRAY_LEN(details); i++) {
        const char *detail = text_of(line, details[i]);
        if (!detail[0])
            continue;
        TRY(buf_byte(out, ' '));
        TRY(put_text(out, detail));
    }
    return RC_OK;
}

static enum rc put_result(struct buf *out, const json_t *line)
{
    const char *name = text_of(line, "result");
    enum rc rc;

    if (explain_find(slice_text(name), &rc) != RC_OK)
        return buf_printf(out, "  What came of it, '%s', is not known to this version.\n", name);
    if (rc == RC_OK && !text_of(line, "refusal")[0])
        return buf_printf(out, "  %s\n", explain_result(rc));
    if (rc == RC_OK)
        return buf_printf(out, "  It was refused; the client was told '%s'.\n", text_of(line, "refusal"));
    return buf_printf(out, "  Refused (%s): %s\n", name, explain_result(rc));
}

static enum rc put_step(struct buf *out, const json_t *line)
{
    const char *client = text_of(line, "client"), *address = text_of(line, "address");
    const char *profile = text_of(line, "profile");

    TRY(put_text(out, text_of(line, "time")));
    TRY(buf_text(out, " "));
    TRY(put_text(out, text_of(line, "daemon")));
    TRY(buf_text(out, ": "));
    TRY(put_text(out, client[0] ? client : "somebody whose ticket did not open"));
    if (address[0]) {
        TRY(buf_text(out, " at "));
        TRY(put_text(out, address));
    }
    TRY(buf_text(out, " "));
    TRY(put_deed(out, line));
    TRY(buf_printf(out, "%s%s%s.\n", profile[0] ? " (" : "", profile, profile[0] ? ")" : ""));
    TRY(put_result(out, line));
    if (text_of(line, "ticket_in")[0])
        TRY(buf_printf(out, "  Ticket shown: %s\n", text_of(line, "ticket_in")));
    if (text_of(line, "ticket_out")[0])
        TRY(buf_printf(out, "  Ticket issued: %s\n", text_of(line, "ticket_out")));
    const json_t *skew = json_object_get(line, "skew_s");
    if (json_is_integer(skew) && json_integer_value(skew) != 0)
        TRY(buf_printf(out, "  The client's clock was %lld seconds %s.\n", llabs(json_integer_value(skew)),
                       json_integer_value(skew) > 0 ? "ahead" : "behind"));
    return RC_OK;
}

/* The steps of a ticket's way, in the order of time. */
struct way {
    json_t *steps[STEPS_MAX];
    size_t n;
};

static void way_done(struct way *w)
{
    for (size_t i = 0; i < w->n; i++)
        json_decref(w->steps[i]);
}

static void put_first(struct way *w, json_t *line)
{
    memmove(w->steps + 1, w->steps, w->n * sizeof(w->steps[0]));
    w->steps[0] = line;
    w->n++;
}

/* Who issued what was shown, and what was shown to him, up to the password. */
static enum rc go_back(struct admin *a, struct way *w)
{
    while (w->n < STEPS_MAX / 2) {
        json_t *before;
        TRY(find(a, "ticket_out", text_of(w->steps[0], "ticket_in"), &before));
        if (!before)
            return RC_OK;
        put_first(w, before);
    }
    return RC_OK;
}

static enum rc take_next(void *ctx, const json_t *line)
{
    struct way *w = ctx;

    if (w->n == STEPS_MAX)
        return RC_OK;
    w->steps[w->n] = json_deep_copy(line);
    return w->steps[w->n] ? (w->n++, RC_OK) : RC_NO_MEMORY;
}

struct follower {
    struct way *way;
    const char *ticket;
};

static enum rc follow(void *ctx, const json_t *line)
{
    struct follower *f = ctx;
    return strcmp(text_of(line, "ticket_in"), f->ticket) == 0 ? take_next(f->way, line) : RC_OK;
}

/* What became of the ticket that was issued: who was shown it. */
static enum rc go_on(struct admin *a, struct way *w)
{
    size_t at = w->n - 1;

    for (; at < w->n && w->n < STEPS_MAX; at++) {
        struct follower f = {w, text_of(w->steps[at], "ticket_out")};
        if (f.ticket[0])
            TRY(each_line(a, true, follow, &f));
    }
    return RC_OK;
}

static enum rc warn_of_broken_logs(struct admin *a, struct buf *out)
{
    enum rc unknown = RC_OK;

    for (size_t i = 0; i < audit_places_n; i++) {
        struct audit_report r;
        const struct audit_place *p = &audit_places[i];
        enum rc rc = verify(a, p, false, &r);
        if (rc == RC_MODIFIED)
            TRY(buf_printf(out, "Beware: %s/%s is not as it was written ('kerbadm audit verify').\n", p->folder,
                           p->file));
        else if (rc != RC_OK && rc != RC_NOT_FOUND)
            unknown = rc;
    }
    if (unknown != RC_OK)
        return buf_printf(out, "Whether all logs are as they were written cannot be told: %s.\n", rc_text(unknown));
    return RC_OK;
}

static enum rc tell_way(struct admin *a, const struct way *w, const json_t *asked)
{
    AUTO(buf_done) struct buf out = {0};

    for (size_t i = 0; i < w->n; i++) {
        if (a->opt[OPT_JSON]) {
            TRY(print_line(a, w->steps[i]));
            continue;
        }
        TRY(buf_text(&out, w->steps[i] == asked ? "> " : "  "));
        TRY(put_step(&out, w->steps[i]));
    }
    if (!a->opt[OPT_JSON])
        TRY(warn_of_broken_logs(a, &out));
    return admin_print(a, &out);
}

enum rc cmd_audit_explain(struct admin *a)
{
    AUTO(way_done) struct way w = {0};
    const char *op_id = a->arg;
    json_t *asked;

    TRY(admin_load(a));
    TRY(find(a, "op_id", op_id, &asked));
    if (!asked)
        return admin_fail(a, RC_NOT_FOUND, "no audit log has '%s': it is in the error that the client got, as op_id",
                          op_id);
    w.steps[w.n++] = asked;
    TRY(go_back(a, &w));
    TRY(go_on(a, &w));
    return tell_way(a, &w, asked);
}
