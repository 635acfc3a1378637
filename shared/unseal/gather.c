/* Shares of a master key, made and gathered. */
#include "shared/unseal/gather.h"

#include <stdlib.h>
#include <string.h>

#include "shamir/shamir.h"
#include "shared/base/pages.h"

/* --- making --- */

struct split {
    uint8_t secret[SHAMIR_VALUE_MAX];
    struct shamir_share share[SHARES_MAX];
};

static void split_done(struct split *s)
{
    wipe(s, sizeof *s);
}

static enum rc commit_all(const struct shares *s, struct shares_set *set, const struct split *split, struct buf *texts)
{
    const struct shamir_field *f = shamir_field_named(SHARES_FIELD);

    for (unsigned i = 0; i < set->n; i++) {
        AUTO(buf_done) struct buf text = {0};
        TRY(shamir_share_text(f, &split->share[i], &text));
        TRY(shares_commitment(s, set, buf_slice(&text), set->commitment[i]));
        TRY(buf_add(texts, buf_slice(&text)));
        TRY(buf_byte(texts, '\n'));
    }
    return RC_OK;
}

static enum rc make_set(const struct shares *s, struct shares_set *set, struct buf *texts)
{
    const struct shamir_field *f = shamir_field_named(SHARES_FIELD);
    AUTO(split_done) struct split split = {0};

    TRY(random_bytes(set->id, sizeof set->id));
    TRY(shamir_random(f, split.secret));
    TRY(shamir_split(f, split.secret, set->threshold, set->n, split.share));
    TRY(commit_all(s, set, &split, texts));
    return shares_supply(set->id, split.secret);
}

/* What there is already: none in a state that is just being made. */
static enum rc list(const struct master_place *place, struct master_list *ret)
{
    enum rc rc = master_list(place, ret);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* The next version over those of key file and shares, whatever the configuration says now. */
static enum rc next_version(const struct master_place *place, struct master_version *ret)
{
    struct master_place both = *place;
    struct master_list file, all = {0};

    both.source = MASTER_FILE;
    TRY(list(&both, &file));
    both.source = MASTER_SHARES;
    TRY(list(&both, &all));
    const struct master_list *l = all.n ? &all : &file;
    if (l->n && l->version[l->n - 1].valid_from >= MASTER_UNUSED)
        return RC_EXISTS;
    *ret = (struct master_version){.kvno = 1, .valid_from = 0, .is_shared = true};
    if (l->n) {
        ret->kvno = l->version[l->n - 1].kvno + 1;
        ret->valid_from = MASTER_UNUSED;
    }
    return RC_OK;
}

enum rc shares_split(const struct master_place *place, unsigned threshold, unsigned n, struct buf *ret_texts,
                     uint32_t *ret_kvno)
{
    AUTO(shares_done) struct shares *s = NULL;
    AUTO(buf_done) struct buf texts = {0};
    struct master_version version;

    if (threshold < 1 || threshold > n || n > SHARES_MAX)
        return RC_LIMIT;
    TRY(next_version(place, &version));
    enum rc rc = shares_load(place, &s);
    if (rc == RC_NOT_FOUND)
        rc = shares_new(place, &s);
    TRY(rc);
    if (s->n == SHARES_SETS_MAX)
        return RC_LIMIT;
    struct shares_set *set = &s->set[s->n++];
    set->threshold = threshold;
    set->n = n;
    set->version[set->versions_n++] = version;
    TRY(make_set(s, set, &texts));
    TRY(shares_save(place, s));
    *ret_kvno = version.kvno;
    buf_done(ret_texts);
    *ret_texts = buf_take(&texts);
    return RC_OK;
}

/* --- gathering --- */

struct gathered {
    struct shamir_share share[SHARES_MAX]; /* as they came */
    unsigned n;
    bool given[SHARES_MAX + 1]; /* by number */
    bool is_complete;
};

struct gather {
    struct shares *shares;
    struct gathered set[SHARES_SETS_MAX];
};

enum rc gather_open(const struct master_place *place, struct gather **ret)
{
    struct gather *g = pages_take(sizeof *g);

    if (!g)
        return RC_NO_MEMORY;
    enum rc rc = shares_load(place, &g->shares);
    if (rc != RC_OK) {
        gather_done(&g);
        return rc;
    }
    for (size_t i = 0; i < g->shares->n; i++)
        g->set[i].is_complete = shares_supplied(g->shares->set[i].id) != NULL;
    *ret = g;
    return RC_OK;
}

void gather_done(struct gather **g)
{
    if (!*g)
        return;
    shares_done(&(*g)->shares);
    pages_give(*g, sizeof **g);
    *g = NULL;
}

static void tell(const struct gather *g, size_t set, struct gather_told *ret)
{
    ret->need = g->shares->set[set].threshold;
    ret->have = g->set[set].is_complete ? ret->need : g->set[set].n;
    ret->is_complete = true;
    for (size_t i = 0; i < g->shares->n; i++)
        ret->is_complete = ret->is_complete && g->set[i].is_complete;
}

void gather_progress(const struct gather *g, struct gather_told *ret)
{
    size_t at = 0;

    while (at + 1 < g->shares->n && g->set[at].is_complete)
        at++;
    ret->number = 0;
    tell(g, at, ret);
}

static enum rc find_set(const struct gather *g, const struct shamir_share *share, struct slice text, size_t *ret)
{
    uint8_t commitment[SHA256_LEN];

    for (size_t i = 0; i < g->shares->n; i++) {
        const struct shares_set *set = &g->shares->set[i];
        TRY(shares_commitment(g->shares, set, text, commitment));
        if (share->index <= set->n && ct_equal(commitment, set->commitment[share->index - 1], sizeof commitment)) {
            *ret = i;
            return RC_OK;
        }
    }
    return RC_NOT_US;
}

/* The threshold is there: the secret, and the shares are of no more use. */
static enum rc complete(struct gather *g, size_t at)
{
    uint8_t secret[SHAMIR_VALUE_MAX];
    struct gathered *set = &g->set[at];

    enum rc rc = shamir_combine(shamir_field_named(SHARES_FIELD), set->share, set->n, secret);
    if (rc == RC_OK)
        rc = shares_supply(g->shares->set[at].id, secret);
    wipe(secret, sizeof secret);
    if (rc != RC_OK)
        return rc;
    wipe(set->share, sizeof set->share);
    set->is_complete = true;
    return RC_OK;
}

enum rc gather_take(struct gather *g, struct slice text, struct gather_told *ret)
{
    AUTO(shamir_share_done) struct shamir_share share = {0};
    size_t at = 0;

    gather_progress(g, ret);
    text = slice_trim(text, " \t\r\n");
    if (text.n > SHARE_TEXT_MAX || shamir_share_parse(shamir_field_named(SHARES_FIELD), text, &share) != RC_OK)
        return RC_MALFORMED;
    ret->number = share.index;
    TRY(find_set(g, &share, text, &at));
    struct gathered *set = &g->set[at];
    tell(g, at, ret);
    if (set->given[share.index] || set->is_complete)
        return RC_REPEAT;
    set->given[share.index] = true;
    set->share[set->n++] = share;
    enum rc rc = set->n == g->shares->set[at].threshold ? complete(g, at) : RC_OK;
    tell(g, at, ret);
    return rc;
}
