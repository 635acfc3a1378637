/*
 * kerb.conf, read: inih splits the lines, the table says what may stand there, then the values are looked at together.
 *
 * inih is told to be plain (no values over several lines) and is given one line at a time by a reader of ours, which
 * counts the lines and refuses those that inih would cut.
 */
#include "shared/service/conf.h"

#include <ini.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/file.h"
#include "shared/service/conf_table.h"
#include "shared/service/inner.h"
#include "shared/service/listen.h"
#include "shared/service/log.h"
#include "shared/service/proxy.h"

#define LINE_MAX_LEN 1024 /* bytes: the longest value, its key, and blanks */

struct reading {
    struct slice rest; /* of the file */
    const char *path;
    int line;            /* that inih is working on */
    int seen[CONF_KEYS]; /* line of each key, 0: not there */
    struct conf *conf;
    struct buf *error;
    enum rc rc;
};

/* Writes "path:line: sentence" for the first thing that is wrong. */
static enum rc refuse(struct reading *r, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

static enum rc refuse(struct reading *r, int line, const char *fmt, ...)
{
    char sentence[LINE_MAX_LEN + 256];
    va_list ap;

    if (r->rc != RC_OK)
        return r->rc;
    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    r->rc = RC_BAD_CONFIG;
    enum rc rc = line ? buf_printf(r->error, "%s:%d: %s", r->path, line, sentence)
                      : buf_printf(r->error, "%s: %s", r->path, sentence);
    return rc == RC_OK ? RC_BAD_CONFIG : rc;
}

static bool is_section(struct slice name)
{
    for (size_t i = 0; i < CONF_KEYS; i++)
        if (slice_eq(slice_text(conf_keys[i].section), name))
            return true;
    return false;
}

/* inih forgets a heading without keys and what stands behind the bracket, so headings are looked at here. */
static bool heading_may_be(struct reading *r, const char *line)
{
    line += strspn(line, " \t");
    if (line[0] != '[')
        return true;
    const char *end = strchr(line, ']');
    if (!end)
        return true; /* inih refuses it */
    struct slice name = slice_of(line + 1, (size_t)(end - line) - 1);
    const char *behind = end + 1 + strspn(end + 1, " \t\r\n");
    if (!is_section(name))
        (void)refuse(r, r->line, "unknown section [%.*s]", SLICE_FMT(name));
    else if (behind[0] && behind[0] != ';')
        (void)refuse(r, r->line, "there is something behind [%.*s]", SLICE_FMT(name));
    return r->rc == RC_OK;
}

/* inih's reader: the next line, whole, or the end of the file after something wrong. */
static char *next_line(char *out, int size, void *ctx)
{
    struct reading *r = ctx;

    if (r->rest.n == 0 || r->rc != RC_OK)
        return NULL;
    const uint8_t *newline = memchr(r->rest.p, '\n', r->rest.n);
    size_t n = newline ? (size_t)(newline - r->rest.p) + 1 : r->rest.n;
    r->line++;
    if (n > LINE_MAX_LEN || n + 1 > (size_t)size) {
        (void)refuse(r, r->line, "the line is longer than %d bytes", LINE_MAX_LEN);
        return NULL;
    }
    memcpy(out, r->rest.p, n);
    out[n] = 0;
    r->rest = slice_of(r->rest.p + n, r->rest.n - n);
    return heading_may_be(r, out) ? out : NULL;
}

static enum rc set_text(struct reading *r, const struct conf_key *key, const char *value)
{
    size_t n = strlen(value);

    if (n > CONF_TEXT_MAX)
        return refuse(r, r->line, "'%s' is longer than %d bytes", key->name, CONF_TEXT_MAX);
    memcpy((char *)r->conf + key->offset, value, n + 1);
    return RC_OK;
}

static enum rc set_number(struct reading *r, const struct conf_key *key, const char *value)
{
    uint64_t v;

    if (parse_u64(slice_text(value), (uint64_t)key->max, &v) != RC_OK || (int64_t)v < key->min)
        return refuse(r, r->line, "'%s' must be a whole number from %lld to %lld", key->name, (long long)key->min,
                      (long long)key->max);
    int64_t number = (int64_t)v;
    memcpy((char *)r->conf + key->offset, &number, sizeof number);
    return RC_OK;
}

static enum rc set_yes_no(struct reading *r, const struct conf_key *key, const char *value)
{
    bool yes = strcmp(value, "yes") == 0, no = strcmp(value, "no") == 0;

    if (!yes && !no)
        return refuse(r, r->line, "'%s' must be yes or no", key->name);
    memcpy((char *)r->conf + key->offset, &yes, sizeof yes);
    return RC_OK;
}

static enum rc set(struct reading *r, const struct conf_key *key, const char *value)
{
    switch (key->kind) {
    case CONF_TEXT:
        return set_text(r, key, value);
    case CONF_NUMBER:
        return set_number(r, key, value);
    case CONF_YES_NO:
    default:
        return set_yes_no(r, key, value);
    }
}

/* inih's handler: one key with its value. Returns 0 when it is wrong. */
static int on_value(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *r = ctx;
    int at = conf_key_find(section, name);

    if (section[0] == 0)
        return refuse(r, r->line, "'%s' stands before the first [section]", name) == RC_OK;
    if (at < 0)
        return refuse(r, r->line, "unknown key '%s' in [%s]", name, section) == RC_OK;
    if (r->seen[at])
        return refuse(r, r->line, "'%s' stands in line %d already", name, r->seen[at]) == RC_OK;
    r->seen[at] = r->line;
    return set(r, &conf_keys[at], value) == RC_OK;
}

static void inih_be_plain(void)
{
    ini_allow_multiline = false;
    ini_allow_inline_comments = true;
    ini_use_stack = true;
    ini_max_line = LINE_MAX_LEN + 3;
    ini_stop_on_first_error = true;
    ini_allow_no_value = false;
}

/* Text is UTF-8 without control characters: an editor shows what the daemon reads. */
static enum rc check_bytes(struct reading *r, struct slice text)
{
    int line = 1;

    if (!utf8_valid(text))
        return refuse(r, 0, "the file is not UTF-8");
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '\n')
            line++;
        else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F)
            return refuse(r, line, "there is a control character");
    }
    return RC_OK;
}

static struct slice without_bom(struct slice s)
{
    bool has = s.n >= 3 && memcmp(s.p, "\xEF\xBB\xBF", 3) == 0;
    return has ? slice_of(s.p + 3, s.n - 3) : s;
}

static bool origin_may_be(struct slice s)
{
    const uint8_t *sep = memmem(s.p, s.n, "://", 3);

    if (!sep || sep == s.p)
        return false;
    struct slice host = slice_of(sep + 3, s.n - (size_t)(sep - s.p) - 3);
    if (host.n && host.p[host.n - 1] == '/')
        host.n--;
    return host.n && !memchr(host.p, '/', host.n) && !memchr(host.p, '*', host.n);
}

static bool origins_may_be(const char *text)
{
    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, " ");
        if (n == 0)
            return true;
        if (!origin_may_be(slice_of(text, n)))
            return false;
        text += n;
    }
}

static bool is_listen(const char *text)
{
    struct listen_address a;
    return listen_parse(text, &a) == RC_OK;
}

static bool is_inner(const char *text)
{
    return text[0] == 0 || listen_is_loopback(text);
}

static bool is_name(const char *text)
{
    struct name name;
    return name_parse(slice_text(text), &name) == RC_OK;
}

static bool is_level(const char *text)
{
    enum log_level level;
    return log_level_parse(text, &level) == RC_OK;
}

static bool is_proxy_list(const char *text)
{
    struct proxy_list list;
    return proxy_list_parse(text, &list) == RC_OK;
}

static bool is_profiles(const char *text)
{
    unsigned set;
    return conf_profiles_parse(text, &set) == RC_OK;
}

static bool is_registration(const char *text)
{
    return strcmp(text, "closed") == 0 || strcmp(text, "invite") == 0 || strcmp(text, "open") == 0;
}

static bool is_master(const char *text)
{
    enum master_source source;
    return master_source_parse(text, &source) == RC_OK;
}

static bool is_path(const char *text)
{
    return text[0] == 0 || text[0] == '/';
}

const char *profile_name(enum etype etype)
{
    return etype == ETYPE_AES128_CBC_HS256 ? "sealed" : "classic";
}

static unsigned profile_bit(struct slice word)
{
    static const enum etype all[] = {ETYPE_AES128_CBC_HS256, ETYPE_AES128_CBC};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (slice_eq(word, slice_text(profile_name(all[i]))))
            return PROFILE_BIT(all[i]);
    return 0;
}

enum rc conf_profiles_parse(const char *text, unsigned *ret)
{
    unsigned set = 0;

    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, ",");
        size_t word_n = n;
        while (word_n && text[word_n - 1] == ' ')
            word_n--;
        unsigned bit = profile_bit(slice_of(text, word_n));
        if (!bit || (set & bit))
            return RC_BAD_CONFIG;
        set |= bit;
        if (!text[n])
            break;
        text += n + 1;
    }
    *ret = set;
    return RC_OK;
}

unsigned conf_profiles(const struct conf *conf)
{
    unsigned set = 0;

    return conf_profiles_parse(conf->realm_profiles, &set) == RC_OK ? set : 0;
}

/* What a text must be, beside short. */
static const struct {
    const char *section, *name;
    bool (*may_be)(const char *text);
    const char *must;
} text_rules[] = {
    {"realm", "name",         is_name,         "must be a name of 1 to 64 characters"                                     },
    {"realm", "state",        is_path,         "must begin with '/'"                                                      },
    {"realm", "profiles",     is_profiles,     "must name sealed or classic or both, separated by a comma"                },
    {"realm", "registration", is_registration, "must be closed, invite or open"                                           },
    {"as",    "master",       is_master,       "must be file, credential or shares"                                       },
    {"tgs",   "master",       is_master,       "must be file, credential or shares"                                       },
    {"chat",  "master",       is_master,       "must be file, credential or shares"                                       },
    {"as",    "listen",       is_listen,       "must be address:port, e.g. 127.0.0.1:8801 or [::1]:8801"                  },
    {"tgs",   "listen",       is_listen,       "must be address:port, e.g. 127.0.0.1:8802 or [::1]:8802"                  },
    {"chat",  "listen",       is_listen,       "must be address:port, e.g. 127.0.0.1:8803 or [::1]:8803"                  },
    {"as",    "inner",        is_inner,        "must be address:port of loopback, e.g. 127.0.0.1:8811, or empty"          },
    {"tgs",   "inner",        is_inner,        "must be address:port of loopback, e.g. 127.0.0.1:8812, or empty"          },
    {"tgs",   "feed",         is_inner,        "must be address:port of loopback, e.g. 127.0.0.1:8811, or empty"          },
    {"chat",  "inner",        is_inner,        "must be address:port of loopback, e.g. 127.0.0.1:8813, or empty"          },
    {"chat",  "feed",         is_inner,        "must be address:port of loopback, e.g. 127.0.0.1:8812, or empty"          },
    {"chat",  "service",      is_name,         "must be a name of 1 to 64 characters"                                     },
    {"chat",  "origins",      origins_may_be,  "must be scheme://host:port, separated by spaces"                          },
    {"proxy", "trusted",      is_proxy_list,   "must be at most 32 addresses or networks (a.b.c.d/n), separated by spaces"},
    {"log",   "level",        is_level,        "must be debug, info, warn or error"                                       },
};

static enum rc check_texts(struct reading *r)
{
    for (size_t i = 0; i < ARRAY_LEN(text_rules); i++) {
        int at = conf_key_find(text_rules[i].section, text_rules[i].name);
        if (!text_rules[i].may_be((const char *)r->conf + conf_keys[at].offset))
            return refuse(r, r->seen[at], "'%s' %s", text_rules[i].name, text_rules[i].must);
    }
    return RC_OK;
}

static enum rc parse(struct reading *r)
{
    inih_be_plain();
    int bad_line = ini_parse_stream(next_line, r, on_value, r);
    if (r->rc == RC_OK && bad_line)
        (void)refuse(r, bad_line, "this is neither a [section] nor a 'key = value'");
    TRY(r->rc);
    TRY(check_texts(r));
    return name_parse(slice_text(r->conf->realm_name), &r->conf->realm);
}

static enum rc default_state(struct reading *r)
{
    AUTO(str_done) char *copy = slice_dup(slice_text(r->path));

    if (r->conf->realm_state[0])
        return RC_OK;
    if (!copy)
        return RC_NO_MEMORY;
    const char *dir = dirname(copy);
    if (strlen(dir) > CONF_TEXT_MAX)
        return refuse(r, 0, "the path of its directory is longer than %d bytes", CONF_TEXT_MAX);
    memcpy(r->conf->realm_state, dir, strlen(dir) + 1);
    return RC_OK;
}

static enum rc read_file(struct reading *r, struct buf *ret)
{
    enum rc rc = file_read(r->path, CONF_FILE_MAX, FILE_TRUSTED, ret);

    if (rc == RC_NOT_FOUND)
        (void)refuse(r, 0, "there is no such file");
    else if (rc == RC_UNSAFE_FILE)
        (void)refuse(r, 0, "others may write this file, or it is not ours, or not a regular file (chmod go-w)");
    else if (rc == RC_LIMIT)
        (void)refuse(r, 0, "the file is larger than %d bytes", CONF_FILE_MAX);
    else if (rc != RC_OK)
        (void)refuse(r, 0, "the file cannot be read");
    return rc == RC_LIMIT ? RC_BAD_CONFIG : rc;
}

enum rc conf_load(const char *path, struct conf *ret, struct buf *error)
{
    AUTO(buf_done) struct buf text = {0};
    struct conf conf;
    struct reading r = {.path = path, .conf = &conf, .error = error};

    conf_default(&conf);
    TRY(read_file(&r, &text));
    TRY(check_bytes(&r, buf_slice(&text)));
    r.rest = without_bom(buf_slice(&text));
    TRY(parse(&r));
    TRY(default_state(&r));
    *ret = conf;
    return RC_OK;
}

#define SERVERS_SKEW_S 600 /* a ticket may start so far ahead of the clock of who reads it */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t conf_service_ticket_s(const struct conf *conf)
{
    return later(conf->policy_classic_service_lifetime, conf->policy_sealed_service_lifetime) + SERVERS_SKEW_S;
}

int64_t conf_tgt_s(const struct conf *conf)
{
    return later(conf->policy_classic_tgt_lifetime, conf->policy_sealed_tgt_lifetime) + SERVERS_SKEW_S;
}

enum rc conf_path(const struct conf *conf, const char *sub, char **ret)
{
    AUTO(buf_done) struct buf path = {0};

    TRY(buf_printf(&path, "%s/%s", conf->realm_state, sub));
    char *copy = slice_dup(buf_slice(&path));
    if (!copy)
        return RC_NO_MEMORY;
    *ret = copy;
    return RC_OK;
}
