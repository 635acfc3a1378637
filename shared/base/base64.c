/* Base64 and hexadecimal: tables in, strict tables out. */
#include "shared/base/base64.h"

#include <string.h>

static const char std_letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* An alphabet's letters two by two, for twelve bits at once. */
struct pairs {
    char letters[4096][2];
};
static struct pairs std_pairs, url_pairs;

static void fill_pairs(struct pairs *pairs, const char letters[64])
{
    for (size_t i = 0; i < ARRAY_LEN(pairs->letters); i++) {
        pairs->letters[i][0] = letters[i >> 6];
        pairs->letters[i][1] = letters[i & 63];
    }
}

size_t base64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes whole and partial groups; returns the letters written, without padding. */
static size_t encode_groups(const char letters[64], const struct pairs *pairs, struct slice s, uint8_t *o)
{
    uint8_t *start = o;
    size_t i = 0;

    for (; i + 8 <= s.n; i += 6) { /* two groups of one load, which reads two bytes more */
        uint64_t v = get_u64be(s.p + i) >> 16;
#pragma GCC unroll 4
        for (int shift = 36; shift >= 0; shift -= 12, o += 2)
            memcpy(o, pairs->letters[v >> shift & 4095], 2);
    }
    for (; i + 3 <= s.n; i += 3) {
        uint32_t v = (uint32_t)s.p[i] << 16 | (uint32_t)s.p[i + 1] << 8 | s.p[i + 2];
        *o++ = (uint8_t)letters[v >> 18];
        *o++ = (uint8_t)letters[v >> 12 & 63];
        *o++ = (uint8_t)letters[v >> 6 & 63];
        *o++ = (uint8_t)letters[v & 63];
    }
    if (i < s.n) {
        bool two = s.n - i == 2;
        uint32_t v = (uint32_t)s.p[i] << 16 | (two ? (uint32_t)s.p[i + 1] << 8 : 0);
        *o++ = (uint8_t)letters[v >> 18];
        *o++ = (uint8_t)letters[v >> 12 & 63];
        if (two)
            *o++ = (uint8_t)letters[v >> 6 & 63];
    }
    return (size_t)(o - start);
}

enum rc base64_encode(struct slice s, struct buf *out)
{
    TRY(buf_reserve(out, base64_len(s.n) + 1));
    size_t n = encode_groups(std_letters, &std_pairs, s, out->p + out->n);
    while (n % 4)
        out->p[out->n + n++] = '=';
    out->n += n;
    return RC_OK;
}

enum rc base64url_encode(struct slice s, struct buf *out)
{
    TRY(buf_reserve(out, base64_len(s.n) + 1));
    out->n += encode_groups(url_letters, &url_pairs, s, out->p + out->n);
    return RC_OK;
}

/* What a letter stands for, plus 1; 0: a letter of no alphabet; SKIP: a line break where those are skipped. */
#define SKIP 65
#define LETTERS_AND_DIGITS                                                                                         \
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, \
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19,    \
    ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,    \
    ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37,    \
    ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46,    \
    ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55,    \
    ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62
static const uint8_t url_values[256] = {LETTERS_AND_DIGITS, ['-'] = 63, ['_'] = 64};
static const uint8_t lenient_values[256] = {
    LETTERS_AND_DIGITS, ['+'] = 63, [' '] = 63, ['/'] = 64, ['\r'] = SKIP, ['\n'] = SKIP};

/* What a letter stands for at each of the four places of a group; FOREIGN: nothing. */
#define FOREIGN UINT32_C(0x80000000)
struct places {
    uint32_t value[4][256];
};
static struct places url_places, lenient_places;

static void fill_places(struct places *places, const uint8_t values[256])
{
    for (unsigned place = 0; place < 4; place++)
        for (unsigned c = 0; c < 256; c++)
            places->value[place][c] =
                values[c] == 0 || values[c] == SKIP ? FOREIGN : (values[c] - 1U) << 6 * (3 - place);
}

/* Before main, so before any thread. */
__attribute__((constructor)) static void setup(void)
{
    fill_pairs(&std_pairs, std_letters);
    fill_pairs(&url_pairs, url_letters);
    fill_places(&url_places, url_values);
    fill_places(&lenient_places, lenient_values);
}

/* Decodes whole groups of four letters up to the first that is not; returns how many letters were read. */
static size_t decode_groups(struct slice text, const struct places *places, uint8_t *o)
{
    size_t i = 0;

    for (; i + 4 <= text.n; i += 4) {
        uint32_t v = places->value[0][text.p[i]] | places->value[1][text.p[i + 1]] | places->value[2][text.p[i + 2]] |
                     places->value[3][text.p[i + 3]];
        if (v & FOREIGN)
            break;
        *o++ = (uint8_t)(v >> 16);
        *o++ = (uint8_t)(v >> 8);
        *o++ = (uint8_t)v;
    }
    return i;
}

/* Decodes letters without padding into o, which has room; returns false on a foreign letter or a second spelling. */
static bool decode_letters(struct slice text, const uint8_t values[256], const struct places *places, uint8_t *o,
                           size_t *ret_n)
{
    size_t start = decode_groups(text, places, o), n = start / 4 * 3, have = 0;
    uint32_t v = 0;

    for (size_t i = start; i < text.n; i++) {
        uint8_t value = values[text.p[i]];
        if (value == SKIP)
            continue;
        if (value == 0)
            return false;
        v = v << 6 | (value - 1U);
        if (++have % 4 == 0) {
            o[n++] = (uint8_t)(v >> 16);
            o[n++] = (uint8_t)(v >> 8);
            o[n++] = (uint8_t)v;
        }
    }
    switch (have % 4) {
    case 1:
        return false;
    case 2:
        if (v & 15)
            return false;
        o[n++] = (uint8_t)(v >> 4);
        break;
    case 3:
        if (v & 3)
            return false;
        o[n++] = (uint8_t)(v >> 10);
        o[n++] = (uint8_t)(v >> 2);
        break;
    default:
        break;
    }
    *ret_n = n;
    return true;
}

enum rc base64url_decode(struct slice text, struct buf *out)
{
    size_t n;
    TRY(buf_reserve(out, text.n + 1));
    if (!decode_letters(text, url_values, &url_places, out->p + out->n, &n))
        return RC_MALFORMED;
    out->n += n;
    return RC_OK;
}

enum rc base64url_decode_exact(struct slice text, uint8_t *ret, size_t n)
{
    size_t letters = n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0), got;

    return text.n == letters && decode_letters(text, url_values, &url_places, ret, &got) ? RC_OK : RC_MALFORMED;
}

enum rc base64_decode_lenient(struct slice text, struct buf *out)
{
    size_t letters = 0, pads = 0, end = text.n, n;

    for (size_t i = 0; i < text.n; i++)
        letters += text.p[i] != '\r' && text.p[i] != '\n';
    while (end && (text.p[end - 1] == '=' || text.p[end - 1] == '\r' || text.p[end - 1] == '\n')) {
        pads += text.p[end - 1] == '=';
        end--;
    }
    if (letters % 4 || pads > 2)
        return RC_MALFORMED;
    TRY(buf_reserve(out, text.n + 1));
    if (!decode_letters(slice_of(text.p, end), lenient_values, &lenient_places, out->p + out->n, &n))
        return RC_MALFORMED;
    out->n += n;
    return RC_OK;
}

enum rc hex_encode(struct slice s, struct buf *out)
{
    static const char digits[16] = "0123456789abcdef";

    TRY(buf_reserve(out, s.n * 2 + 1));
    for (size_t i = 0; i < s.n; i++) {
        out->p[out->n++] = (uint8_t)digits[s.p[i] >> 4];
        out->p[out->n++] = (uint8_t)digits[s.p[i] & 15];
    }
    return RC_OK;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rc hex_decode(struct slice text, struct buf *out)
{
    if (text.n % 2)
        return RC_MALFORMED;
    TRY(buf_reserve(out, text.n / 2 + 1));
    for (size_t i = 0; i < text.n; i += 2) {
        int hi = hex_value(text.p[i]), lo = hex_value(text.p[i + 1]);
        if (hi < 0 || lo < 0)
            return RC_MALFORMED;
        out->p[out->n + i / 2] = (uint8_t)(hi << 4 | lo);
    }
    out->n += text.n / 2;
    return RC_OK;
}
