/* Bytes that are wiped when they are released. */
#include "shared/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 64 /* bytes: most names and numbers fit without a second allocation */

struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){p, n};
}

struct slice slice_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->p, b->n};
}

bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : (a.n > b.n) - (a.n < b.n);
}

struct slice slice_trim(struct slice s, const char *blanks)
{
    size_t n = strlen(blanks);

    while (s.n && memchr(blanks, s.p[s.n - 1], n))
        s.n--;
    while (s.n && memchr(blanks, s.p[0], n))
        s = slice_of(s.p + 1, s.n - 1);
    return s;
}

void wipe(void *p, size_t n)
{
    if (p)
        explicit_bzero(p, n);
}

void buf_done(struct buf *b)
{
    wipe(b->p, b->cap);
    free(b->p);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    wipe(b->p, b->n);
    b->n = 0;
}

struct buf buf_take(struct buf *b)
{
    struct buf taken = *b;
    *b = (struct buf){0};
    return taken;
}

/* Not inlined: it would make buf_reserve too large to be. */
__attribute__((noinline)) static enum rc grow(struct buf *b, size_t more)
{
    if (more > SIZE_MAX / 2 - b->n)
        return RC_NO_MEMORY;
    size_t need = b->n + more, cap = b->cap ? b->cap * 2 : BUF_FIRST;
    if (cap < need)
        cap = need;
    uint8_t *p = malloc(cap);
    if (!p)
        return RC_NO_MEMORY;
    if (b->n)
        memcpy(p, b->p, b->n);
    wipe(b->p, b->cap);
    free(b->p);
    b->p = p;
    b->cap = cap;
    return RC_OK;
}

/* Small, so that it is inlined where bytes are put one by one. */
enum rc buf_reserve(struct buf *b, size_t more)
{
    return more <= b->cap - b->n ? RC_OK : grow(b, more);
}

enum rc buf_add(struct buf *b, struct slice s)
{
    TRY(buf_reserve(b, s.n));
    if (s.n)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    return RC_OK;
}

enum rc buf_byte(struct buf *b, uint8_t byte)
{
    return buf_add(b, slice_of(&byte, 1));
}

enum rc buf_text(struct buf *b, const char *text)
{
    return buf_add(b, slice_text(text));
}

enum rc buf_u16be(struct buf *b, uint16_t v)
{
    uint8_t p[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    return buf_add(b, SLICE(p));
}

enum rc buf_u32be(struct buf *b, uint32_t v)
{
    uint8_t p[4];
    put_u32be(p, v);
    return buf_add(b, SLICE(p));
}

enum rc buf_u64be(struct buf *b, uint64_t v)
{
    uint8_t p[8];
    put_u64be(p, v);
    return buf_add(b, SLICE(p));
}

enum rc buf_lp(struct buf *b, struct slice s)
{
    if (s.n > UINT16_MAX)
        return RC_LIMIT;
    TRY(buf_u16be(b, (uint16_t)s.n));
    return buf_add(b, s);
}

enum rc buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (need < 0)
        return RC_MALFORMED;
    TRY(buf_reserve(b, (size_t)need + 1));
    va_start(ap, fmt);
    (void)vsnprintf((char *)b->p + b->n, (size_t)need + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)need;
    return RC_OK;
}

const char *buf_cstr(struct buf *b)
{
    if (buf_reserve(b, 1) != RC_OK)
        return NULL;
    b->p[b->n] = 0;
    return (const char *)b->p;
}

char *slice_dup(struct slice s)
{
    char *copy = malloc(s.n + 1);
    if (!copy)
        return NULL;
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    return copy;
}

void str_done(char **s)
{
    if (*s)
        wipe(*s, strlen(*s));
    free(*s);
    *s = NULL;
}

uint32_t get_u32be(const uint8_t p[4])
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t get_u64be(const uint8_t p[8])
{
    return (uint64_t)get_u32be(p) << 32 | get_u32be(p + 4);
}

void put_u32be(uint8_t p[4], uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

void put_u64be(uint8_t p[8], uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}
