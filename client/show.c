/* Foreign text made harmless. */
#include "client/show.h"

#include "shared/base/text.h"

/* Ranges of characters that act instead of being seen. */
static const struct {
    uint32_t first, last;
} acting[] = {
    {0x00,    0x1f   }, /* C0 */
    {0x7f,    0x9f   }, /* DEL, C1 */
    {0xad,    0xad   }, /* soft hyphen */
    {0x61c,   0x61c  }, /* Arabic letter mark */
    {0x180e,  0x180e }, /* Mongolian vowel separator */
    {0x200b,  0x200f }, /* zero width, marks of direction */
    {0x2028,  0x202e }, /* separators, embeddings, overrides */
    {0x2060,  0x206f }, /* invisible operators, isolates */
    {0xfeff,  0xfeff }, /* byte order mark */
    {0xfff9,  0xfffb }, /* interlinear */
    {0xe0000, 0xe007f}, /* tags */
};

static bool acts(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_LEN(acting); i++)
        if (c >= acting[i].first && c <= acting[i].last)
            return true;
    return false;
}

/* Bytes of the character that starts at p; 0: not UTF-8. */
static size_t read_char(struct slice s, uint32_t *ret)
{
    uint8_t first = s.p[0];
    size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (n > s.n || !utf8_valid(slice_of(s.p, n)))
        return 0;
    uint32_t c = n == 1 ? first : first & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (s.p[i] & 0x3fU);
    *ret = c;
    return n;
}

static enum rc escape(uint32_t c, struct buf *out)
{
    if (c == '\n')
        return buf_text(out, "\\n");
    if (c == '\t')
        return buf_text(out, "\\t");
    return buf_printf(out, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
}

enum rc show_text(struct slice text, struct buf *out)
{
    while (text.n > 0) {
        uint32_t c = text.p[0];
        size_t n = read_char(text, &c);
        if (n == 0 || acts(c))
            TRY(escape(c, out));
        else
            TRY(buf_add(out, slice_of(text.p, n)));
        n = n ? n : 1;
        text = slice_of(text.p + n, text.n - n);
    }
    return RC_OK;
}

const char *show(struct slice text, struct buf *b)
{
    buf_reset(b);
    const char *s = show_text(text, b) == RC_OK ? buf_cstr(b) : NULL;
    return s ? s : "?";
}
