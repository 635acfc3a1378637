/* The file of shares, and the secrets that were supplied. */
#include "shared/db/shares.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/base64.h"
#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/pages.h"

#define SHARES_VERSION 1
#define SUPPLY_MAX     16 /* secrets: kerbadm may need those of three daemons */

/* --- the supply --- */

struct supply {
    struct {
        uint8_t id[ID_LEN], secret[SHARES_SECRET];
    } item[SUPPLY_MAX];
    size_t n;
};

static struct supply *supply;

static struct supply *supply_get(void)
{
    if (!supply)
        supply = pages_take(sizeof *supply);
    return supply;
}

enum rc shares_supply(const uint8_t id[ID_LEN], const uint8_t secret[SHARES_SECRET])
{
    struct supply *s = supply_get();

    if (!s)
        return RC_NO_MEMORY;
    if (shares_supplied(id))
        return RC_OK;
    if (s->n == SUPPLY_MAX)
        return RC_LIMIT;
    memcpy(s->item[s->n].id, id, ID_LEN);
    memcpy(s->item[s->n].secret, secret, SHARES_SECRET);
    s->n++;
    return RC_OK;
}

const uint8_t *shares_supplied(const uint8_t id[ID_LEN])
{
    for (size_t i = 0; supply && i < supply->n; i++)
        if (slice_eq(SLICE(supply->item[i].id), slice_of(id, ID_LEN)))
            return supply->item[i].secret;
    return NULL;
}

void shares_forget(void)
{
    pages_give(supply, sizeof *supply);
    supply = NULL;
}

/* --- derivation --- */

enum rc shares_commitment(const struct shares *s, const struct shares_set *set, struct slice text,
                          uint8_t out[SHA256_LEN])
{
    AUTO(buf_done) struct buf b = {0};

    TRY(buf_text(&b, "kerb1 master share"));
    TRY(buf_add(&b, SLICE(set->id)));
    TRY(buf_lp(&b, name_slice(&s->realm)));
    TRY(buf_lp(&b, name_slice(&s->daemon)));
    TRY(buf_lp(&b, text));
    return sha256(buf_slice(&b), out);
}

enum rc shares_key(const struct shares *s, const uint8_t secret[SHARES_SECRET], const struct master_version *v,
                   struct key *ret)
{
    AUTO(buf_done) struct buf info = {0};

    TRY(buf_text(&info, "kerb1 master"));
    TRY(buf_lp(&info, name_slice(&s->realm)));
    TRY(buf_lp(&info, name_slice(&s->daemon)));
    TRY(buf_u32be(&info, v->kvno));
    *ret =
        (struct key){.etype = ETYPE_AES128_CBC_HS256, .kvno = v->kvno, .valid_from = v->valid_from, .n = SHARES_SECRET};
    return hkdf_sha256(slice_of(secret, SHARES_SECRET), slice_text(""), buf_slice(&info), ret->bytes, ret->n);
}

/* --- the file --- */

void shares_done(struct shares **s)
{
    if (*s) {
        wipe(*s, sizeof **s);
        free(*s);
    }
    *s = NULL;
}

static enum rc file_path(const struct master_place *place, struct buf *ret)
{
    TRY(buf_printf(ret, "%s/" MASTER_SHARES_NAME, place->dir));
    return buf_cstr(ret) ? RC_OK : RC_NO_MEMORY;
}

enum rc shares_new(const struct master_place *place, struct shares **ret)
{
    AUTO(shares_done) struct shares *s = calloc(1, sizeof *s);

    if (!s)
        return RC_NO_MEMORY;
    s->realm = place->realm;
    TRY(name_parse(slice_text(place->daemon), &s->daemon));
    *ret = s;
    s = NULL;
    return RC_OK;
}

static enum rc take_commitments(const json_t *list, struct shares_set *set)
{
    size_t n = json_array_size(list);

    if (n == 0 || n > SHARES_MAX)
        return RC_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(list, i);
        if (!json_is_string(text))
            return RC_MALFORMED;
        TRY(base64url_decode_exact(slice_of(json_string_value(text), json_string_length(text)), set->commitment[i],
                                   SHA256_LEN));
    }
    set->n = (unsigned)n;
    return RC_OK;
}

static enum rc take_versions(const json_t *list, struct shares_set *set)
{
    size_t n = json_array_size(list);

    if (n == 0 || n > MASTER_VERSIONS_MAX)
        return RC_MALFORMED;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        int64_t kvno, from;
        TRY(json_get_int(one, "kvno", &kvno));
        TRY(json_get_int(one, "valid_from", &from));
        if (kvno < 1 || kvno > UINT32_MAX)
            return RC_MALFORMED;
        set->version[i] = (struct master_version){.kvno = (uint32_t)kvno, .valid_from = from, .is_shared = true};
    }
    set->versions_n = n;
    return RC_OK;
}

static enum rc take_set(const json_t *json, struct shares_set *set)
{
    struct slice id;
    int64_t threshold;

    TRY(json_get_text(json, "id", &id));
    TRY(base64url_decode_exact(id, set->id, ID_LEN));
    TRY(take_commitments(json_object_get(json, "commitments"), set));
    TRY(take_versions(json_object_get(json, "versions"), set));
    TRY(json_get_int(json, "threshold", &threshold));
    if (threshold < 1 || threshold > (int64_t)set->n)
        return RC_MALFORMED;
    set->threshold = (unsigned)threshold;
    return RC_OK;
}

static enum rc take_file(const json_t *json, struct shares *s)
{
    const json_t *sets = json_object_get(json, "sets");
    struct slice realm, daemon;
    int64_t version;

    TRY(json_get_int(json, "kerb_master_shares", &version));
    TRY(json_get_text(json, "realm", &realm));
    TRY(json_get_text(json, "daemon", &daemon));
    if (version != SHARES_VERSION || json_array_size(sets) == 0 || json_array_size(sets) > SHARES_SETS_MAX)
        return RC_MALFORMED;
    if (!slice_eq(realm, name_slice(&s->realm)) || !slice_eq(daemon, name_slice(&s->daemon)))
        return RC_NOT_US;
    for (; s->n < json_array_size(sets); s->n++)
        TRY(take_set(json_array_get(sets, s->n), &s->set[s->n]));
    return RC_OK;
}

enum rc shares_load(const struct master_place *place, struct shares **ret)
{
    AUTO(buf_done) struct buf path = {0}, text = {0};
    AUTO(shares_done) struct shares *s = NULL;
    AUTO(json_done) json_t *json = NULL;

    TRY(file_path(place, &path));
    TRY(file_read((const char *)path.p, SHARES_FILE_MAX, FILE_PRIVATE, &text));
    TRY(json_parse_object(buf_slice(&text), JSON_DEPTH_HTTP, &json));
    TRY(shares_new(place, &s));
    TRY(take_file(json, s));
    *ret = s;
    s = NULL;
    return RC_OK;
}

static void write_set(struct jw *w, const struct shares_set *set)
{
    jw_open(w, NULL, '{');
    jw_base64url(w, "id", SLICE(set->id));
    jw_int(w, "threshold", set->threshold);
    jw_open(w, "commitments", '[');
    for (unsigned i = 0; i < set->n; i++)
        jw_base64url(w, NULL, SLICE(set->commitment[i]));
    jw_close(w, ']');
    jw_open(w, "versions", '[');
    for (size_t i = 0; i < set->versions_n; i++) {
        jw_open(w, NULL, '{');
        jw_int(w, "kvno", set->version[i].kvno);
        jw_int(w, "valid_from", set->version[i].valid_from);
        jw_close(w, '}');
    }
    jw_close(w, ']');
    jw_close(w, '}');
}

enum rc shares_save(const struct master_place *place, const struct shares *s)
{
    AUTO(buf_done) struct buf path = {0}, text = {0};
    struct jw w = jw_start(&text);

    TRY(file_path(place, &path));
    jw_open(&w, NULL, '{');
    jw_int(&w, "kerb_master_shares", SHARES_VERSION);
    jw_text(&w, "realm", name_slice(&s->realm));
    jw_text(&w, "daemon", name_slice(&s->daemon));
    jw_open(&w, "sets", '[');
    for (size_t i = 0; i < s->n; i++)
        write_set(&w, &s->set[i]);
    jw_close(&w, ']');
    jw_close(&w, '}');
    TRY(jw_end(&w));
    TRY(buf_byte(&text, '\n'));
    return file_write_atomic((const char *)path.p, buf_slice(&text), 0600);
}
