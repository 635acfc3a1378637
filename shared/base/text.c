/* UTF-8, names, numbers and times. */
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* Length of the valid sequence at p, 0 when there is none. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    utf8proc_int32_t cp;
    utf8proc_ssize_t len = utf8proc_iterate(p, (utf8proc_ssize_t)n, &cp);
    return len > 0 ? (size_t)len : 0;
}

bool utf8_valid(struct slice s)
{
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] < 0x80) {
            i++;
            continue;
        }
        size_t len = utf8_sequence(s.p + i, s.n - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

size_t utf8_chars(struct slice s)
{
    size_t chars = 0;
    for (size_t i = 0; i < s.n; i++)
        chars += (s.p[i] & 0xC0) != 0x80;
    return chars;
}

#define TIME_MAX_S INT64_C(253402300799) /* 9999-12-31 23:59:59 */

/* Appends s, mapped by utf8proc with the given options. */
static enum rc utf8_map(struct slice s, utf8proc_option_t options, struct buf *out)
{
    utf8proc_uint8_t *mapped = NULL;

    if (!utf8_valid(s))
        return RC_MALFORMED;
    utf8proc_ssize_t n = utf8proc_map(s.p, (utf8proc_ssize_t)s.n, &mapped, options);
    if (n < 0) {
        free(mapped);
        return n == UTF8PROC_ERROR_NOMEM ? RC_NO_MEMORY : RC_MALFORMED;
    }
    enum rc rc = buf_add(out, slice_of(mapped, (size_t)n));
    free(mapped);
    return rc;
}

enum rc text_nfc(struct slice text, struct buf *out)
{
    return utf8_map(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE, out);
}

static bool is_space(utf8proc_int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

/* The rules for a name that is in NFC already. */
static bool name_may_be(struct slice s)
{
    size_t chars = 0;
    bool space = false;

    for (size_t i = 0; i < s.n;) {
        utf8proc_int32_t cp = 0;
        utf8proc_ssize_t len = utf8proc_iterate(s.p + i, (utf8proc_ssize_t)(s.n - i), &cp);
        if (len <= 0 || utf8proc_category(cp) == UTF8PROC_CATEGORY_CC)
            return false;
        space = is_space(cp);
        if (space && i == 0)
            return false;
        i += (size_t)len;
        chars++;
    }
    return chars >= 1 && chars <= NAME_MAX_CHARS && !space;
}

/* Printable ASCII without a space at an end is in NFC and allowed. */
static bool is_plain_name(struct slice s)
{
    if (s.n == 0 || s.n > NAME_MAX_CHARS || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7E)
            return false;
    return true;
}

enum rc name_parse(struct slice raw, struct name *ret)
{
    if (is_plain_name(raw)) {
        *ret = (struct name){.n = (uint16_t)raw.n};
        memcpy(ret->s, raw.p, raw.n);
        return RC_OK;
    }
    /* NFC shortens or keeps; four times the limit leaves room for decomposed input and bounds the work. */
    if (raw.n == 0 || raw.n > (size_t)4 * NAME_MAX_BYTES || memchr(raw.p, 0, raw.n))
        return RC_MALFORMED;
    AUTO(buf_done) struct buf nfc = {0};
    TRY(text_nfc(raw, &nfc));
    if (!name_may_be(buf_slice(&nfc)))
        return RC_MALFORMED;
    *ret = (struct name){.n = (uint16_t)nfc.n};
    memcpy(ret->s, nfc.p, nfc.n);
    return RC_OK;
}

struct slice name_slice(const struct name *name)
{
    return slice_of(name->s, name->n);
}

/* Of ASCII, which most names are. False: there is more in it. */
static bool fold_ascii(const struct name *name, char out[NAME_MAX_BYTES])
{
    for (size_t i = 0; i < name->n; i++) {
        if ((unsigned char)name->s[i] >= 0x80)
            return false;
        out[i] = (char)(name->s[i] >= 'A' && name->s[i] <= 'Z' ? name->s[i] + ('a' - 'A') : name->s[i]);
    }
    return true;
}

enum rc name_fold(const struct name *name, struct buf *out)
{
    char folded[NAME_MAX_BYTES];

    if (fold_ascii(name, folded))
        return buf_add(out, slice_of(folded, name->n));
    return utf8_map(name_slice(name), UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD, out);
}

enum rc parse_u64(struct slice text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
        return RC_MALFORMED;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return RC_MALFORMED;
        uint64_t d = (uint64_t)(text.p[i] - '0');
        if (v > (UINT64_MAX - d) / 10)
            return RC_MALFORMED;
        v = v * 10 + d;
    }
    if (v > max)
        return RC_MALFORMED;
    *ret = v;
    return RC_OK;
}

/* Two digits at p, or -1. */
static int two_digits(const uint8_t *p)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return -1;
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. Source: Howard Hinnant, days_from_civil. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = y / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static int days_in_month(int y, int m)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m == 2 && leap ? 29 : days[m - 1];
}

enum rc time_parse_classic(struct slice t, int64_t *ret_s)
{
    if (t.n != CLASSIC_TIME_LEN || t.p[4] != '-' || t.p[7] != '-' || t.p[10] != ' ' || t.p[13] != ':' || t.p[16] != ':')
        return RC_MALFORMED;
    int century = two_digits(t.p), year = two_digits(t.p + 2), m = two_digits(t.p + 5), d = two_digits(t.p + 8);
    int hh = two_digits(t.p + 11), mm = two_digits(t.p + 14), ss = two_digits(t.p + 17);
    if (century < 0 || year < 0 || m < 1 || m > 12 || d < 1 || hh < 0 || hh > 23 || mm < 0 || mm > 59 || ss < 0 ||
        ss > 59)
        return RC_MALFORMED;
    int y = century * 100 + year;
    if (y < 1970 || d > days_in_month(y, m))
        return RC_MALFORMED;
    *ret_s = ((days_from_civil(y, m, d) * 24 + hh) * 60 + mm) * 60 + ss;
    return RC_OK;
}

static void put_two(char *p, int v)
{
    p[0] = (char)('0' + v / 10);
    p[1] = (char)('0' + v % 10);
}

/* The reverse. Source: Howard Hinnant, civil_from_days. */
static void civil_from_days(int64_t days, int *ret_y, int *ret_m, int *ret_d)
{
    days += 719468;
    int64_t era = days / 146097;
    int doe = (int)(days - era * 146097);
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (5 * doy + 2) / 153;

    *ret_d = doy - (153 * mp + 2) / 5 + 1;
    *ret_m = mp < 10 ? mp + 3 : mp - 9;
    *ret_y = (int)(yoe + era * 400) + (*ret_m <= 2);
}

void time_format_classic(int64_t unix_s, char out[CLASSIC_TIME_LEN + 1])
{
    int y, m, d, s = (int)(unix_s % 86400);

    memcpy(out, "1970-01-01 00:00:00", CLASSIC_TIME_LEN + 1);
    if (unix_s < 0 || unix_s > TIME_MAX_S)
        return;
    civil_from_days(unix_s / 86400, &y, &m, &d);
    put_two(out, y / 100);
    put_two(out + 2, y % 100);
    put_two(out + 5, m);
    put_two(out + 8, d);
    put_two(out + 11, s / 3600);
    put_two(out + 14, s / 60 % 60);
    put_two(out + 17, s % 60);
}

static int64_t clock_read_ms(clockid_t id)
{
    struct timespec ts = {0};
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_s(void)
{
    return clock_read_ms(CLOCK_REALTIME) / 1000;
}

int64_t clock_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t time_bounded(int64_t time_s)
{
    return time_s < 0 ? 0 : time_s > UINT32_MAX ? UINT32_MAX : time_s;
}
