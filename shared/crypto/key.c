/* Keys: an encryption type, a version, a time from which they are used. */
#include "shared/crypto/key.h"

static const struct etype_row {
    enum etype etype;
    const char *name;
    size_t key_len;
} etypes[] = {
    {ETYPE_AES128_CBC_HS256, "aes128-cbc-hs256", AEAD_KEY  },
    {ETYPE_AES128_CBC,       "aes128-cbc",       AES128_KEY},
};

static const struct etype_row *etype_row(enum etype etype)
{
    for (size_t i = 0; i < ARRAY_LEN(etypes); i++)
        if (etypes[i].etype == etype)
            return &etypes[i];
    return NULL;
}

const char *etype_name(enum etype etype)
{
    const struct etype_row *row = etype_row(etype);
    return row ? row->name : "";
}

size_t etype_key_len(enum etype etype)
{
    const struct etype_row *row = etype_row(etype);
    return row ? row->key_len : 0;
}

enum rc etype_parse(struct slice name, enum etype *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(etypes); i++)
        if (slice_eq(name, slice_text(etypes[i].name))) {
            *ret = etypes[i].etype;
            return RC_OK;
        }
    return RC_MALFORMED;
}

void key_done(struct key *key)
{
    wipe(key, sizeof(*key));
}

struct slice key_slice(const struct key *key)
{
    return slice_of(key->bytes, key->n);
}

enum rc key_random(enum etype etype, uint32_t kvno, int64_t valid_from, struct key *ret)
{
    AUTO(key_done) struct key key = {.etype = etype, .kvno = kvno, .valid_from = valid_from};

    key.n = (uint8_t)etype_key_len(etype);
    if (key.n == 0)
        return RC_BAD_ETYPE;
    TRY(random_bytes(key.bytes, key.n));
    *ret = key;
    return RC_OK;
}
