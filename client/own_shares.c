/* The file of shares: {"v":1,"shares":[{"realm","client","room","share"}]}. */
#include "client/own_shares.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/file.h"

#define FILE_MAX (2 * 1024 * 1024)
#define VERSION  1
#define MODE     0600

struct share {
    struct buf realm, client, room, share;
};

struct own_shares {
    struct buf path; /* empty: in memory only */
    struct name realm, client;
    struct share *all;
    size_t n;
};

static void share_done(struct share *s)
{
    buf_done(&s->realm);
    buf_done(&s->client);
    buf_done(&s->room);
    buf_done(&s->share);
}

void own_shares_free(struct own_shares *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        share_done(&s->all[i]);
    free(s->all);
    buf_done(&s->path);
    free(s);
}

/* --- in memory --- */

static bool is_ours(const struct own_shares *s, const struct share *x)
{
    return slice_eq(buf_slice(&x->realm), name_slice(&s->realm)) &&
           slice_eq(buf_slice(&x->client), name_slice(&s->client));
}

static struct share *find(const struct own_shares *s, struct slice room)
{
    for (size_t i = 0; i < s->n; i++)
        if (is_ours(s, &s->all[i]) && slice_eq(buf_slice(&s->all[i].room), room))
            return &s->all[i];
    return NULL;
}

static enum rc append(struct own_shares *s, const struct slice texts[4])
{
    if (s->n >= SHARES_MAX || texts[3].n > SHARE_TEXT_MAX)
        return RC_LIMIT;
    struct share *more = realloc(s->all, (s->n + 1) * sizeof *more); /* the texts themselves stay where they are */
    if (!more)
        return RC_NO_MEMORY;
    s->all = more;
    struct share *x = &s->all[s->n++];
    *x = (struct share){0};
    TRY(buf_add(&x->realm, texts[0]));
    TRY(buf_add(&x->client, texts[1]));
    TRY(buf_add(&x->room, texts[2]));
    return buf_add(&x->share, texts[3]);
}

struct slice own_shares_get(const struct own_shares *s, struct slice room)
{
    const struct share *x = find(s, room);
    return x ? buf_slice(&x->share) : slice_of(NULL, 0);
}

bool own_shares_at(const struct own_shares *s, size_t at, struct slice *ret_room, struct slice *ret_share)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!is_ours(s, &s->all[i]) || at-- > 0)
            continue;
        *ret_room = buf_slice(&s->all[i].room);
        *ret_share = buf_slice(&s->all[i].share);
        return true;
    }
    return false;
}

/* --- the file --- */

static enum rc save(const struct own_shares *s)
{
    AUTO(buf_done) struct buf text = {0};

    if (!s->path.n)
        return RC_OK;
    if (s->n == 0)
        return unlink((const char *)s->path.p) == 0 ? RC_OK : RC_IO;
    struct jw w = jw_start(&text);
    jw_open(&w, NULL, '{');
    jw_int(&w, "v", VERSION);
    jw_open(&w, "shares", '[');
    for (size_t i = 0; i < s->n; i++) {
        jw_open(&w, NULL, '{');
        jw_text(&w, "realm", buf_slice(&s->all[i].realm));
        jw_text(&w, "client", buf_slice(&s->all[i].client));
        jw_text(&w, "room", buf_slice(&s->all[i].room));
        jw_text(&w, "share", buf_slice(&s->all[i].share));
        jw_close(&w, '}');
    }
    jw_close(&w, ']');
    jw_close(&w, '}');
    TRY(jw_end(&w));
    return file_write_atomic((const char *)s->path.p, buf_slice(&text), MODE);
}

static enum rc read_all(struct own_shares *s, struct slice text)
{
    static const char *const members[] = {"realm", "client", "room", "share"};
    AUTO(json_done) json_t *j = NULL;
    struct slice texts[ARRAY_LEN(members)];

    TRY(json_parse_object(text, JSON_DEPTH_HTTP, &j));
    TRY(sealed_version(j));
    const json_t *all = json_object_get(j, "shares");
    if (!json_is_array(all))
        return RC_MALFORMED;
    for (size_t i = 0; i < json_array_size(all); i++) {
        for (size_t m = 0; m < ARRAY_LEN(members); m++)
            TRY(json_get_text(json_array_get(all, i), members[m], &texts[m]));
        TRY(append(s, texts));
    }
    return RC_OK;
}

static enum rc load(const struct kerb *k, struct own_shares *s)
{
    AUTO(buf_done) struct buf text = {0};

    s->realm = k->cache.realm;
    s->client = k->cache.client;
    if (k->no_cache)
        return RC_OK;
    TRY(buf_printf(&s->path, "%s.shares", kerb_cache_path(k)));
    if (!buf_cstr(&s->path))
        return RC_NO_MEMORY;
    enum rc rc = file_read((const char *)s->path.p, FILE_MAX, FILE_PRIVATE, &text);
    return rc == RC_NOT_FOUND ? RC_OK : rc == RC_OK ? read_all(s, buf_slice(&text)) : rc;
}

enum rc own_shares_load(const struct kerb *k, struct own_shares **ret)
{
    struct own_shares *s = calloc(1, sizeof *s);

    if (!s)
        return RC_NO_MEMORY;
    enum rc rc = load(k, s);
    if (rc != RC_OK) {
        own_shares_free(s);
        return rc;
    }
    *ret = s;
    return RC_OK;
}

enum rc own_shares_put(struct own_shares *s, struct slice room, struct slice share)
{
    struct share *x = find(s, room);

    if (x && slice_eq(buf_slice(&x->share), share))
        return RC_OK;
    if (share.n > SHARE_TEXT_MAX)
        return RC_LIMIT;
    if (x) {
        buf_reset(&x->share);
        TRY(buf_add(&x->share, share));
    } else {
        TRY(append(s, (struct slice[]){name_slice(&s->realm), name_slice(&s->client), room, share}));
    }
    return save(s);
}

enum rc own_shares_drop(struct own_shares *s, struct slice room, struct slice share)
{
    struct share *x = find(s, room);

    if (!x || (share.n && !slice_eq(buf_slice(&x->share), share)))
        return RC_OK;
    share_done(x);
    *x = s->all[--s->n];
    return save(s);
}
