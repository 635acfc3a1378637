/*
 * kerbadm unseal, mkey split, init --unseal-shares: master keys that lie nowhere, but come from shares.
 *
 * A daemon takes its shares through a socket in its directory. kerbadm itself needs them, too, where it opens a
 * database whose master key comes from shares: it asks for them, or reads --shares-file. Shares are never arguments.
 */
#include "admin/mkey.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/service/terminal.h"
#include "shared/unseal/unseal.h"

/* --- one share at a time --- */

static enum rc ask(struct admin *a, const char *daemon, const struct gather_told *p, struct buf *out)
{
    AUTO(buf_done) struct buf prompt = {0};

    TRY(buf_printf(&prompt, "Share of the master key of %s (%u of %u are there), not shown: ", daemon, p->have,
                   p->need));
    const char *text = buf_cstr(&prompt);
    if (!text)
        return RC_NO_MEMORY;
    enum rc rc = terminal_ask(text, SHARE_TEXT_MAX, out);
    if (rc == RC_NOT_FOUND)
        return admin_fail(a, rc, "no terminal to ask for the shares of %s: use --shares-file", daemon);
    return rc == RC_IO ? admin_fail(a, rc, "cannot read the share: %s", strerror(errno)) : rc;
}

static bool next_line(struct slice *rest, struct slice *ret)
{
    if (rest->n == 0)
        return false;
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    *ret = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
    size_t used = ret->n + (end ? 1 : 0);
    *rest = slice_of(rest->p + used, rest->n - used);
    return true;
}

static void tell_refusal(const char *daemon, const struct name *realm, enum rc rc, unsigned number)
{
    if (rc == RC_MALFORMED)
        (void)fputs("kerbadm: this is not a share: a number, '-', hexadecimal digits\n", stderr);
    else if (rc == RC_NOT_US)
        (void)fprintf(stderr, "kerbadm: share %u is not of %s in the realm %s\n", number, daemon, realm->s);
    else if (rc == RC_REPEAT)
        (void)fprintf(stderr, "kerbadm: share %u was given already\n", number);
    else
        (void)fprintf(stderr, "kerbadm: share %u: %s\n", number, rc_text(rc));
}

/* --- for kerbadm itself --- */

/* Standard input or the file, once for all daemons. */
static enum rc read_shares(struct admin *a)
{
    const char *path = a->opt[OPT_SHARES_FILE];

    if (a->shares.n)
        return RC_OK;
    if (strcmp(path, "-") != 0) {
        enum rc rc = file_read(path, SHARES_FILE_MAX, FILE_PRIVATE, &a->shares);
        return rc == RC_OK ? rc : admin_fail(a, rc, "%s: %s", path, rc_text(rc));
    }
    for (;;) {
        TRY(buf_reserve(&a->shares, 4096));
        ssize_t got = read(STDIN_FILENO, a->shares.p + a->shares.n, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || a->shares.n > SHARES_FILE_MAX)
            return admin_fail(a, RC_IO, "standard input: cannot read the shares");
        if (got == 0)
            return RC_OK;
        a->shares.n += (size_t)got;
    }
}

/* Shares of other daemons may stand in the file as well. */
static enum rc take_file(struct admin *a, const char *daemon, struct gather *g)
{
    struct gather_told told;
    struct slice line;

    TRY(read_shares(a));
    gather_progress(g, &told);
    for (struct slice rest = buf_slice(&a->shares); !told.is_complete && next_line(&rest, &line);) {
        enum rc rc = line.n ? gather_take(g, line, &told) : RC_OK;
        if (rc == RC_MALFORMED || rc == RC_REPEAT)
            tell_refusal(daemon, &a->conf.realm, rc, told.number);
    }
    if (told.is_complete)
        return RC_OK;
    gather_progress(g, &told);
    return admin_fail(a, RC_NO_SHARES, "%s: %u of %u shares of the master key of %s", a->opt[OPT_SHARES_FILE],
                      told.have, told.need, daemon);
}

static enum rc take_terminal(struct admin *a, const char *daemon, struct gather *g)
{
    struct gather_told told;

    gather_progress(g, &told);
    while (!told.is_complete) {
        AUTO(buf_done) struct buf text = {0};
        TRY(ask(a, daemon, &told, &text));
        if (text.n == 0)
            return admin_fail(a, RC_NO_SHARES, "%u of %u shares of the master key of %s", told.have, told.need, daemon);
        enum rc rc = gather_take(g, buf_slice(&text), &told);
        if (rc != RC_OK)
            tell_refusal(daemon, &a->conf.realm, rc, told.number);
    }
    return RC_OK;
}

static unsigned bit_of(const char *daemon)
{
    for (unsigned i = 0; i < MKEY_DAEMONS; i++)
        if (strcmp(mkey_daemons[i], daemon) == 0)
            return 1U << i;
    return 0;
}

enum rc admin_daemon(struct admin *a, const char *text)
{
    return bit_of(text) ? RC_OK : admin_fail(a, RC_NOT_FOUND, "the daemon is as, tgs or chat, not '%s'", text);
}

/* Too few shares of one daemon may be enough of another; a file or a terminal that is not there is so for all. */
static enum rc gather(struct admin *a, const char *daemon, struct gather *g)
{
    enum rc rc = a->opt[OPT_SHARES_FILE] ? take_file(a, daemon, g) : take_terminal(a, daemon, g);

    if (rc == RC_OK || !a->has_told)
        return rc;
    a->sealed |= rc == RC_NO_SHARES ? bit_of(daemon) : ~0U;
    return RC_NO_SHARES;
}

enum rc admin_unseal(struct admin *a, const char *daemon)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(gather_done) struct gather *g = NULL;
    struct gather_told told;

    TRY(master_place_of(&a->conf, daemon, &place));
    if (place.source != MASTER_SHARES)
        return RC_OK;
    if (a->sealed & bit_of(daemon))
        return RC_NO_SHARES;
    enum rc rc = gather_open(&place, &g);
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s/" MASTER_SHARES_NAME ": %s", place.dir, rc_text(rc));
    gather_progress(g, &told);
    return told.is_complete ? RC_OK : gather(a, daemon, g);
}

/* --- unseal: for the daemon --- */

static enum rc ask_daemon(struct admin *a, const struct master_place *place, struct slice text,
                          struct unseal_reply *ret)
{
    enum rc rc = unseal_ask(place, text, ret);

    if (rc == RC_NOT_FOUND)
        return admin_fail(a, rc, "kerb-%s does not wait for shares (there is no %s/" UNSEAL_SOCKET ")", place->daemon,
                          place->dir);
    return rc == RC_OK ? rc : admin_fail(a, rc, "%s/" UNSEAL_SOCKET ": %s", place->dir, rc_text(rc));
}

static enum rc show_progress(struct admin *a, const struct unseal_reply *r)
{
    AUTO(buf_done) struct buf out = {0};

    if (a->opt[OPT_JSON])
        return RC_OK;
    if (r->told.number)
        TRY(buf_printf(&out, "share %u: ", r->told.number));
    TRY(buf_printf(&out, "%u of %u%s\n", r->told.have, r->told.need,
                   r->told.is_complete ? "; the master key is there, the daemon starts" : ""));
    return admin_print(a, &out);
}

static enum rc show_end(struct admin *a, const struct unseal_reply *r)
{
    AUTO(buf_done) struct buf out = {0};

    if (!a->opt[OPT_JSON])
        return RC_OK;
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "daemon", slice_text(a->arg));
    jw_int(&w, "have", r->told.have);
    jw_int(&w, "need", r->told.need);
    jw_bool(&w, "complete", r->told.is_complete);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

/* The next share: a line of standard input, or what is typed. Empty: no more. */
static enum rc next_share(struct admin *a, const struct gather_told *told, struct buf *ret)
{
    if (isatty(STDIN_FILENO))
        return ask(a, a->arg, told, ret);
    enum rc rc = terminal_line(STDIN_FILENO, SHARE_TEXT_MAX, ret);
    return rc == RC_OK ? rc : admin_fail(a, rc, "cannot read the share: %s", strerror(errno));
}

static enum rc hand_in(struct admin *a, const struct master_place *place, struct unseal_reply *r, unsigned *refused)
{
    while (!r->told.is_complete) {
        AUTO(buf_done) struct buf text = {0};
        TRY(next_share(a, &r->told, &text));
        if (text.n == 0)
            return RC_OK;
        if (text.n > SHARE_TEXT_MAX) {
            tell_refusal(a->arg, &a->conf.realm, RC_MALFORMED, 0);
            *refused += 1;
            if (!isatty(STDIN_FILENO))
                return RC_OK;
            continue;
        }
        TRY(ask_daemon(a, place, buf_slice(&text), r));
        if (r->rc == RC_OK) {
            TRY(show_progress(a, r));
            continue;
        }
        tell_refusal(a->arg, &a->conf.realm, r->rc, r->told.number);
        *refused += 1;
    }
    return RC_OK;
}

enum rc cmd_unseal(struct admin *a)
{
    AUTO(master_place_done) struct master_place place = {0};
    struct unseal_reply r = {.rc = RC_OK};
    unsigned refused = 0;

    TRY(admin_daemon(a, a->arg));
    TRY(admin_load(a));
    TRY(master_place_of(&a->conf, a->arg, &place));
    TRY(ask_daemon(a, &place, slice_text("?"), &r));
    TRY(show_progress(a, &r));
    TRY(hand_in(a, &place, &r, &refused));
    TRY(show_end(a, &r));
    if (refused && !r.told.is_complete)
        return admin_fail(a, RC_NOT_US, "%u refused; %u of %u are there", refused, r.told.have, r.told.need);
    return RC_OK;
}

/* --- split --- */

enum rc admin_print_shares(struct admin *a, const char *daemon, const struct admin_split *how, const struct buf *texts)
{
    AUTO(buf_done) struct buf out = {0};

    TRY(buf_printf(&out, "shares of the master key of %s; %u of them open it; they are not shown again:\n", daemon,
                   how->threshold));
    TRY(buf_add(&out, buf_slice(texts)));
    return admin_print(a, &out);
}

void admin_shares_json(struct jw *w, const char *member, const struct buf *texts)
{
    struct slice rest = buf_slice(texts), line;

    jw_open(w, member, '[');
    while (next_line(&rest, &line))
        jw_text(w, NULL, line);
    jw_close(w, ']');
}

enum rc admin_split(struct admin *a, const char *daemon, const struct admin_split *how, struct buf *ret_texts)
{
    AUTO(master_place_done) struct master_place place = {0};
    uint32_t kvno;

    TRY(master_place_of(&a->conf, daemon, &place));
    if (place.source == MASTER_CREDENTIAL)
        return admin_fail(a, RC_BAD_CONFIG, "the master key of %s is a credential: let it come from a file first",
                          daemon);
    enum rc rc = shares_split(&place, how->threshold, how->n, ret_texts, &kvno);
    if (rc == RC_EXISTS)
        return admin_fail(a, rc, "there is a version already that is not used yet ('mkey use')");
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s/" MASTER_SHARES_NAME ": %s", place.dir, rc_text(rc));
    return RC_OK;
}

static enum rc take_count(struct admin *a, const char *text, unsigned *ret)
{
    uint64_t value = 0;

    if (!text || parse_u64(slice_text(text), SHARES_MAX, &value) != RC_OK || value < 1)
        return admin_fail(a, RC_MALFORMED, "a number of shares is 1 to %d", SHARES_MAX);
    *ret = (unsigned)value;
    return RC_OK;
}

static enum rc check_counts(struct admin *a, const struct admin_split *how)
{
    if (how->threshold > how->n)
        return admin_fail(a, RC_MALFORMED, "%u shares cannot be asked for when there are %u", how->threshold, how->n);
    return RC_OK;
}

/* "3/5": three of five. */
enum rc admin_split_parse(struct admin *a, const char *text, struct admin_split *ret)
{
    const char *slash = strchr(text, '/');
    AUTO(str_done) char *first = NULL;

    if (!slash)
        return admin_fail(a, RC_MALFORMED, "shares are written like 3/5: three of five open the key");
    first = slice_dup(slice_of(text, (size_t)(slash - text)));
    if (!first)
        return RC_NO_MEMORY;
    TRY(take_count(a, first, &ret->threshold));
    TRY(take_count(a, slash + 1, &ret->n));
    return check_counts(a, ret);
}

/* Who makes new shares proves the old ones. */
static enum rc unseal_older(struct admin *a, const char *daemon)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(shares_done) struct shares *s = NULL;

    TRY(master_place_of(&a->conf, daemon, &place));
    return shares_load(&place, &s) == RC_NOT_FOUND ? RC_OK : admin_unseal(a, daemon);
}

enum rc cmd_mkey_split(struct admin *a)
{
    AUTO(buf_done) struct buf texts = {0}, out = {0};
    struct admin_split how;

    TRY(admin_daemon(a, a->arg));
    TRY(take_count(a, a->opt[OPT_THRESHOLD], &how.threshold));
    TRY(take_count(a, a->opt[OPT_SHARES], &how.n));
    TRY(check_counts(a, &how));
    TRY(admin_load(a));
    TRY(admin_lock(a));
    TRY(unseal_older(a, a->arg));
    TRY(admin_split(a, a->arg, &how, &texts));
    if (!a->opt[OPT_JSON])
        return admin_print_shares(a, a->arg, &how, &texts);
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "daemon", slice_text(a->arg));
    jw_int(&w, "threshold", how.threshold);
    admin_shares_json(&w, "shares", &texts);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}
