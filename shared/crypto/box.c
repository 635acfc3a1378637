/* The classic box: read as every known client writes it, written as every known client reads it. */
#include "shared/crypto/box.h"

#include <string.h>

#include "shared/base/base64.h"

static bool is_json_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

enum rc box_password_key(struct slice password, uint8_t key[BOX_KEY])
{
    uint8_t digest[SHA256_LEN];

    TRY(sha256(password, digest));
    memcpy(key, digest, BOX_KEY);
    wipe(digest, sizeof(digest));
    return RC_OK;
}

enum rc box_seal(const uint8_t key[BOX_KEY], struct slice text, struct buf *out)
{
    AUTO(buf_done) struct buf raw = {0};
    uint8_t iv[AES_BLOCK];

    TRY(random_bytes(iv, sizeof(iv)));
    TRY(buf_reserve(&raw, AES_BLOCK + text.n + AES_BLOCK));
    TRY(buf_add(&raw, SLICE(iv)));
    TRY(aes128_cbc_encrypt(key, iv, text, &raw));
    return base64_encode(buf_slice(&raw), out);
}

/* The text inside the decrypted blocks: [*ret_start, *ret_end). False when there is none. */
static bool find_text(struct slice plain, size_t *ret_start, size_t *ret_end)
{
    size_t start = 0, end = plain.n;

    (void)pkcs7_unpad(plain, &end); /* not consistent: the original's spaces, or a line end that looks like padding */
    while (end > 0 && is_json_space(plain.p[end - 1]))
        end--;
    while (start < end && is_json_space(plain.p[start]))
        start++;
    *ret_start = start;
    *ret_end = end;
    return start < end;
}

/*
 * The blocks that carry the text, from the one with its first character to the one with its last. Blocks of blanks
 * around it do not count: an attacker who knows how an old block decrypts could put one in front.
 */
static struct slice text_blocks(struct slice ct, size_t start, size_t end)
{
    size_t first = start / AES_BLOCK, last = (end - 1) / AES_BLOCK;
    return slice_of(ct.p + first * AES_BLOCK, (last - first + 1) * AES_BLOCK);
}

static enum rc open_raw(const uint8_t key[BOX_KEY], struct slice raw, struct buf *text, uint8_t ret_replay[SHA256_LEN])
{
    AUTO(buf_done) struct buf plain = {0};
    size_t start, end;

    if (raw.n < (size_t)2 * AES_BLOCK || raw.n % AES_BLOCK)
        return RC_MODIFIED;
    struct slice ct = slice_of(raw.p + AES_BLOCK, raw.n - AES_BLOCK);
    TRY(aes128_cbc_decrypt_raw(key, raw.p, ct, &plain));
    if (!find_text(buf_slice(&plain), &start, &end))
        return RC_MODIFIED;
    TRY(buf_add(text, slice_of(plain.p + start, end - start)));
    return sha256(text_blocks(ct, start, end), ret_replay);
}

enum rc box_open(const uint8_t key[BOX_KEY], struct slice wire, struct buf *ret_text, uint8_t ret_replay[SHA256_LEN])
{
    AUTO(buf_done) struct buf raw = {0}, text = {0};

    enum rc rc = base64_decode_lenient(wire, &raw);
    if (rc != RC_OK)
        return rc == RC_MALFORMED ? RC_MODIFIED : rc;
    TRY(open_raw(key, buf_slice(&raw), &text, ret_replay));
    buf_done(ret_text);
    *ret_text = buf_take(&text);
    return RC_OK;
}
