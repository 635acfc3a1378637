/* The table of keys: defaults, the reference, the example. */
#include "shared/service/conf_table.h"

#include <string.h>

const struct conf_key conf_keys[CONF_KEYS] = {
#define T(s, k, d, text)         {#s, #k, CONF_TEXT, offsetof(struct conf, s##_##k), d, 0, 0, 0, text},
#define N(s, k, d, lo, hi, text) {#s, #k, CONF_NUMBER, offsetof(struct conf, s##_##k), "", d, lo, hi, text},
#define B(s, k, d, text)         {#s, #k, CONF_YES_NO, offsetof(struct conf, s##_##k), "", d, 0, 1, text},
    CONF_TABLE(T, N, B)
#undef T
#undef N
#undef B
};

int conf_key_find(const char *section, const char *name)
{
    for (int i = 0; i < CONF_KEYS; i++)
        if (strcmp(conf_keys[i].section, section) == 0 && strcmp(conf_keys[i].name, name) == 0)
            return i;
    return -1;
}

void conf_default(struct conf *ret)
{
    struct conf conf = {
#define T(s, k, d, text)         .s##_##k = d,
#define N(s, k, d, lo, hi, text) .s##_##k = d,
#define B(s, k, d, text)         .s##_##k = d,
        CONF_TABLE(T, N, B)
#undef T
#undef N
#undef B
    };
    if (name_parse(slice_text(conf.realm_name), &conf.realm) == RC_OK)
        *ret = conf;
}

static enum rc default_text(const struct conf_key *key, struct buf *out)
{
    switch (key->kind) {
    case CONF_TEXT:
        return buf_text(out, key->def_text);
    case CONF_NUMBER:
        return buf_printf(out, "%lld", (long long)key->def);
    case CONF_YES_NO:
    default:
        return buf_text(out, key->def ? "yes" : "no");
    }
}

/* True for the first key of a section. */
static bool begins_section(size_t i)
{
    return i == 0 || strcmp(conf_keys[i - 1].section, conf_keys[i].section) != 0;
}

static enum rc markdown_row(const struct conf_key *key, struct buf *out)
{
    AUTO(buf_done) struct buf def = {0};

    TRY(default_text(key, &def));
    TRY(buf_printf(out, "| `%s` | ", key->name));
    if (def.n)
        TRY(buf_printf(out, "`%.*s`", SLICE_FMT(buf_slice(&def))));
    TRY(buf_text(out, " | "));
    if (key->kind == CONF_NUMBER)
        TRY(buf_printf(out, "%lld to %lld", (long long)key->min, (long long)key->max));
    else
        TRY(buf_text(out, key->kind == CONF_YES_NO ? "yes, no" : "text"));
    return buf_printf(out, " | %s |\n", key->doc);
}

enum rc conf_markdown(struct buf *out)
{
    TRY(buf_text(out,
                 "# kerb.conf\n\n"
                 "One file for all daemons and `kerbadm`: sections in brackets, one `key = value` a line, comments "
                 "behind `#` or `;` at the\nstart of a line. An unknown section or key, a key that stands twice, a "
                 "value out of its range, or a file that others can\nwrite is refused with file and line "
                 "(`--check-config`). A key that is absent has its default.\n\n"
                 "This page is printed by `kerbadm config --markdown`.\n"));
    for (size_t i = 0; i < CONF_KEYS; i++) {
        if (begins_section(i))
            TRY(buf_printf(out, "\n## [%s]\n\n| key | default | range | what it is |\n|---|---|---|---|\n",
                           conf_keys[i].section));
        TRY(markdown_row(&conf_keys[i], out));
    }
    return RC_OK;
}

enum rc conf_example(struct buf *out)
{
    TRY(buf_text(out, "# kerb.conf with all keys and their defaults: uncomment what you change.\n"));
    for (size_t i = 0; i < CONF_KEYS; i++) {
        if (begins_section(i))
            TRY(buf_printf(out, "\n[%s]\n", conf_keys[i].section));
        TRY(buf_printf(out, "# %s\n#%s = ", conf_keys[i].doc, conf_keys[i].name));
        TRY(default_text(&conf_keys[i], out));
        TRY(buf_byte(out, '\n'));
    }
    return RC_OK;
}
