/*
 * Bytes: a slice borrows them, a buffer owns and wipes them.
 *
 * A buffer that grows copies into fresh memory and wipes the old one, so that no secret is left behind in the heap.
 * Thread: a buffer has one owner; slices may be read by anyone while their owner lives.
 */
#ifndef KERB_BASE_BUF_H
#define KERB_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/rc.h"

struct slice {
    const uint8_t *p;
    size_t n; /* bytes */
};

struct buf {
    uint8_t *p;
    size_t n, cap; /* bytes */
};

/* Views. slice_text: the string must outlive the slice. */
struct slice slice_of(const void *p, size_t n);
struct slice slice_text(const char *text);
struct slice buf_slice(const struct buf *b);
bool slice_eq(struct slice a, struct slice b);               /* not for secrets: see crypto/ct.h */
int slice_cmp(struct slice a, struct slice b);               /* bytewise, shorter first */
struct slice slice_trim(struct slice s, const char *blanks); /* without the blanks at both ends */

#define SLICE(array) slice_of((array), sizeof(array))
/* printf("%.*s", SLICE_FMT(s)) */
#define SLICE_FMT(s) (int)(s).n, (const char *)(s).p

/* Wipes and frees; the buffer is empty and usable afterwards. */
void buf_done(struct buf *b);

/* Wipes the content and keeps the memory. */
void buf_reset(struct buf *b);

/* Moves the content out; *b is empty afterwards. */
struct buf buf_take(struct buf *b);

/* Room for `more` further bytes behind n; on success b->p + b->n may be written to. Errors: NO_MEMORY. */
MUST enum rc buf_reserve(struct buf *b, size_t more);

/* Append. Errors: NO_MEMORY. buf_text adds no terminating zero. */
MUST enum rc buf_add(struct buf *b, struct slice s);
MUST enum rc buf_byte(struct buf *b, uint8_t byte);
MUST enum rc buf_text(struct buf *b, const char *text);
MUST enum rc buf_u16be(struct buf *b, uint16_t v);
MUST enum rc buf_u32be(struct buf *b, uint32_t v);
MUST enum rc buf_u64be(struct buf *b, uint64_t v);
MUST enum rc buf_lp(struct buf *b, struct slice s); /* LP(x) of the protocol: u16be length, x. Errors: also LIMIT */
MUST enum rc buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Guarantees a zero byte behind the content (not counted in n) and returns it as a string; NULL when out of memory. */
const char *buf_cstr(struct buf *b);

/* A fresh NUL-terminated copy, to be given to str_done; NULL when out of memory. */
char *slice_dup(struct slice s);

/* Wipes and frees a string made by slice_dup; for AUTO(str_done) char *s. */
void str_done(char **s);

/* Wipes memory in a way that the compiler keeps. */
void wipe(void *p, size_t n);

uint32_t get_u32be(const uint8_t p[4]);
uint64_t get_u64be(const uint8_t p[8]);
void put_u32be(uint8_t p[4], uint32_t v);
void put_u64be(uint8_t p[8], uint64_t v);

#endif
