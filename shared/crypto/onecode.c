/* One-time codes as text, as an id, as a key. */
#include "shared/crypto/onecode.h"

#include <string.h>

#define LETTERS 26 /* 130 bits: the last two are 0 */
#define GROUP   5

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void onecode_done(struct onecode *code)
{
    wipe(code, sizeof *code);
}

enum rc onecode_make(struct onecode *ret)
{
    return random_bytes(ret->bytes, sizeof ret->bytes);
}

enum rc onecode_write(const struct onecode *code, struct buf *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t next = 0;

    TRY(buf_reserve(out, ONECODE_TEXT));
    for (size_t i = 0; i < LETTERS; i++) {
        if (have < 5) {
            bits = bits << 8 | (next < ONECODE_LEN ? code->bytes[next] : 0);
            next++;
            have += 8;
        }
        have -= 5;
        if (i && i % GROUP == 0 && i + 1 < LETTERS)
            TRY(buf_byte(out, '-'));
        TRY(buf_byte(out, (uint8_t)alphabet[bits >> have & 31]));
    }
    return RC_OK;
}

/* The value of a letter, -1 when it is none. */
static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        c = (uint8_t)(c - 'A' + 'a');
    if (c == 'o')
        c = '0';
    if (c == 'i' || c == 'l')
        c = '1';
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

enum rc onecode_read(struct slice text, struct onecode *ret)
{
    AUTO(onecode_done) struct onecode code = {0};
    uint32_t bits = 0;
    unsigned have = 0;
    size_t letters = 0, n = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '-' || text.p[i] == ' ')
            continue;
        int value = value_of(text.p[i]);
        if (value < 0 || ++letters > LETTERS)
            return RC_MALFORMED;
        bits = (bits << 5 | (uint32_t)value) & 0xFFFF;
        have += 5;
        if (have >= 8 && n < ONECODE_LEN) {
            have -= 8;
            code.bytes[n++] = (uint8_t)(bits >> have);
        }
    }
    if (letters != LETTERS || (bits & 3) != 0)
        return RC_MALFORMED;
    *ret = code;
    return RC_OK;
}

enum rc onecode_id(const struct onecode *code, uint8_t ret[ONECODE_ID_LEN])
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t digest[SHA256_LEN];

    TRY(buf_text(&text, "kerb1 code id"));
    TRY(buf_add(&text, SLICE(code->bytes)));
    TRY(sha256(buf_slice(&text), digest));
    memcpy(ret, digest, ONECODE_ID_LEN);
    return RC_OK;
}

enum rc onecode_key(const struct onecode *code, struct key *ret)
{
    *ret = (struct key){.etype = ETYPE_AES128_CBC_HS256, .n = KEY_MAX};
    return hkdf_sha256(SLICE(code->bytes), slice_text(""), slice_text("kerb1 code"), ret->bytes, KEY_MAX);
}
