/* The audit log's reader: every line in its place, and the end where the head says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/file.h"
#include "shared/service/audit_chain.h"

struct reader {
    const struct audit_options *options;
    struct audit_head at, head; /* the chain so far; what the head says */
    bool has_head, was_torn;
    uint64_t line, broken_line;
    struct audit_report *report;
};

static enum rc wrong(struct reader *r, const char *what)
{
    r->report->bad_line = r->line;
    r->report->what = what;
    return RC_MODIFIED;
}

/* Half a line is what a crash leaves, if the next line says so. */
static enum rc torn(struct reader *r)
{
    if (r->was_torn)
        return wrong(r, "two broken lines, one behind the other");
    r->was_torn = true;
    r->report->torn++;
    return RC_OK;
}

static enum rc check_line(struct reader *r, struct slice text, enum rc (*each)(void *ctx, const json_t *line),
                          void *ctx)
{
    AUTO(json_done) json_t *j = NULL;
    uint8_t hash[SHA256_LEN];
    struct slice body, event = {0};
    int64_t n;

    r->line++;
    if (audit_line_split(text, &body, hash) != RC_OK || json_parse_object(text, JSON_DEPTH_HTTP, &j) != RC_OK)
        return torn(r);
    if (json_get_text(j, "event", &event) != RC_OK)
        return wrong(r, "it names no event");
    if (r->was_torn && !slice_eq(event, slice_text(AUDIT_RESUMED)))
        return wrong(r, "the broken line before it was not left by a crash");
    r->was_torn = false;
    TRY(audit_chain(&r->at, body));
    if (!ct_equal(r->at.hash, hash, SHA256_LEN))
        return wrong(r, "its hash is wrong: this line or the order of lines was changed");
    if (json_get_int(j, "n", &n) != RC_OK || n < 0 || (uint64_t)n != r->at.n)
        return wrong(r, "its number is not the next one");
    if (r->has_head && r->at.n == r->head.n && !ct_equal(r->at.hash, r->head.hash, SHA256_LEN))
        return wrong(r, "the log was written anew: the head under the master key names another line");
    r->report->lines++;
    if (slice_eq(event, slice_text(AUDIT_BROKEN)) && r->broken_line == 0)
        r->broken_line = r->line;
    return each ? each(ctx, j) : RC_OK;
}

static void file_done(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

static void line_done(char **line)
{
    free(*line);
}

static enum rc check_end(struct reader *r)
{
    if (r->was_torn && r->has_head && r->at.n < r->head.n)
        return wrong(r, "the last line is broken");
    if (!r->has_head && r->at.n > 0)
        return wrong(r, "there is no head beside the log");
    if (r->has_head && r->at.n < r->head.n)
        return wrong(r, "lines behind it were cut off");
    if (r->broken_line == 0)
        return RC_OK;
    r->line = r->broken_line;
    return wrong(r, "a start found that the log before it had been cut off or replaced");
}

enum rc audit_verify(const struct audit_options *options, enum rc (*each)(void *ctx, const json_t *line), void *ctx,
                     struct audit_report *ret)
{
    struct reader r = {.options = options, .report = ret};
    AUTO(file_done) FILE *f = fopen(options->path, "re");
    AUTO(line_done) char *line = NULL;
    size_t cap = 0;
    struct stat st;

    *ret = (struct audit_report){0};
    if (!f)
        return errno == ENOENT ? RC_NOT_FOUND : RC_IO;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        return RC_IO;
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return RC_UNSAFE_FILE;
    enum rc rc = audit_head_read(options, &r.head);
    if (rc == RC_MODIFIED || rc == RC_NO_KVNO)
        return wrong(&r, "the head beside the log does not open");
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    r.has_head = rc == RC_OK;
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0;)
        TRY(check_line(&r, slice_of(line, (size_t)n - (line[n - 1] == '\n')), each, ctx));
    if (ferror(f))
        return RC_IO;
    return check_end(&r);
}
