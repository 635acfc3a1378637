/* Structured log: how a line is put together. Where it goes then: log_out.c. */
#include "shared/service/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shared/base/base64.h"
#include "shared/base/text.h"
#include "shared/crypto/primitives.h"
#include "shared/service/log_out.h"

#define LINE_FIRST    512 /* bytes: most lines need no second allocation */
#define TEXT_SHOWN    512 /* bytes of one value; a peer cannot make the log longer than that */
#define TIME_TEXT_LEN 24  /* "2026-11-20T10:00:00.123Z" */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static const char *log_daemon = "kerb";
static enum log_level log_least = LOG_INFO;

void log_setup(const char *daemon, enum log_level least)
{
    log_daemon = daemon;
    log_least = least;
}

enum rc log_level_parse(const char *text, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return RC_OK;
        }
    }
    return RC_BAD_CONFIG;
}

/* The second is formatted once and kept per thread: most lines share it with the one before. */
static void time_text(char out[TIME_TEXT_LEN + 1])
{
    static _Thread_local int64_t kept_s = -1;
    static _Thread_local char kept[CLASSIC_TIME_LEN + 1];

    int64_t ms = clock_ms();
    if (ms / 1000 != kept_s) {
        kept_s = ms / 1000;
        time_format_classic(kept_s, kept);
        kept[10] = 'T';
    }
    int rest = (int)(ms % 1000);
    memcpy(out, kept, CLASSIC_TIME_LEN);
    out[19] = '.';
    out[20] = (char)('0' + rest / 100);
    out[21] = (char)('0' + rest / 10 % 10);
    out[22] = (char)('0' + rest % 10);
    out[23] = 'Z';
    out[24] = 0;
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    *l = (struct log_line){.on = level >= log_least, .level = level};
    if (!l->on)
        return;
    char now[TIME_TEXT_LEN + 1];
    time_text(now);
    enum rc rc = buf_reserve(&l->text, LINE_FIRST);
    l->json = jw_start(&l->text);
    l->json.rc = rc;
    jw_open(&l->json, NULL, '{');
    jw_text(&l->json, "time", slice_of(now, TIME_TEXT_LEN));
    jw_text(&l->json, "level", slice_text(level_names[level]));
    jw_text(&l->json, "daemon", slice_text(log_daemon));
    jw_text(&l->json, "event", slice_text(event));
}

/* Valid UTF-8 without NUL and what a terminal might obey: DEL and C1 (JSON escapes the other C0). */
static bool is_showable(struct slice s)
{
    if (!utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 0 || s.p[i] == 0x7F || (s.p[i] == 0xC2 && s.p[i + 1] < 0xA0))
            return false;
    return true;
}

/* At most TEXT_SHOWN bytes, not cut within a character. */
static struct slice shortened(struct slice s)
{
    if (s.n <= TEXT_SHOWN)
        return s;
    size_t n = TEXT_SHOWN;
    while (n > TEXT_SHOWN - 4 && (s.p[n] & 0xC0) == 0x80)
        n--;
    return slice_of(s.p, n);
}

static void log_hex(struct log_line *l, const char *name, struct slice bytes)
{
    AUTO(buf_done) struct buf hex = {0};

    enum rc rc = buf_text(&hex, "hex:");
    if (rc == RC_OK)
        rc = hex_encode(bytes, &hex);
    if (rc == RC_OK)
        jw_text(&l->json, name, buf_slice(&hex));
}

void log_slice(struct log_line *l, const char *name, struct slice utf8)
{
    if (!l->on)
        return;
    struct slice shown = shortened(utf8);
    if (is_showable(shown))
        jw_text(&l->json, name, shown);
    else
        log_hex(l, name, shown);
}

void log_str(struct log_line *l, const char *name, const char *text)
{
    if (l->on)
        log_slice(l, name, slice_text(text));
}

void log_num(struct log_line *l, const char *name, int64_t value)
{
    if (l->on)
        jw_int(&l->json, name, value);
}

void log_rc(struct log_line *l, enum rc rc)
{
    log_str(l, "result", rc_name(rc));
    if (rc != RC_OK)
        log_str(l, "reason", rc_text(rc));
}

void log_end(struct log_line *l)
{
    if (!l->on)
        return;
    int saved_errno = errno;
    jw_close(&l->json, '}');
    if (jw_end(&l->json) == RC_OK && buf_byte(&l->text, '\n') == RC_OK)
        log_out(buf_slice(&l->text), l->level >= LOG_WARN);
    buf_done(&l->text);
    l->on = false;
    errno = saved_errno;
}

void log_note(enum log_level level, const char *event, const char *fmt, ...)
{
    struct log_line l;
    char message[TEXT_SHOWN + 1];
    va_list ap;

    log_begin(&l, level, event);
    if (!l.on)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (n > 0)
        log_str(&l, "message", message);
    log_end(&l);
}

void op_id_make(char out[OP_ID_LEN + 1])
{
    uint8_t id[OP_ID_LEN / 4 * 3];
    struct buf text = {.p = (uint8_t *)out, .cap = OP_ID_LEN + 1};

    /* An id is no secret: without random bytes the request fails elsewhere, and this one still names the line. */
    if (random_bytes(id, sizeof id) != RC_OK)
        memset(id, 0, sizeof id);
    if (base64url_encode(SLICE(id), &text) != RC_OK)
        memset(out, 'A', OP_ID_LEN);
    if (out[0] == '-' || out[0] == '_') /* it is given to commands as a word */
        out[0] = (char)('a' + id[OP_ID_LEN / 4 * 3 - 1] % 26);
    out[OP_ID_LEN] = 0;
}
