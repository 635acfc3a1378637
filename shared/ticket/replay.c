/*
 * The replay cache: a tree of owners, in each a tree of what he has shown; and a tree of seconds, in each the list of
 * what ends then. An expired second is taken out whole, so dropping costs as much as adding did.
 */
#include "shared/ticket/replay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "shared/base/file.h"
#include "shared/base/tree.h"
#include "shared/ticket/replay_file.h"

#define DEAD_MIN    4096        /* dead records that a journal may hold before it is worth writing anew */
#define CLOCK_TRUST (24 * 3600) /* seconds; see load() */

struct seen {
    RB_ENTRY(seen) in_owner;
    uint8_t digest[SHA256_LEN]; /* beside the links: a walk through the tree reads only these */
    SLIST_ENTRY(seen) in_second;
    struct owner *owner;
};
RB_HEAD(seen_tree, seen);
SLIST_HEAD(seen_list, seen);

struct owner {
    RB_ENTRY(owner) link;
    struct seen_tree seen;
    size_t n;
    uint8_t id[ID_LEN];
};
RB_HEAD(owner_tree, owner);

struct second {
    RB_ENTRY(second) link;
    struct seen_list ending;
    int64_t until_s;
};
RB_HEAD(second_tree, second);

struct replay {
    pthread_mutex_t lock; /* guards all below */
    struct owner_tree owners;
    struct second_tree seconds;
    size_t n;      /* remembered */
    int64_t now_s; /* the newest second that was ever seen here */
    enum replay_mode mode;
    char *path; /* NULL: no file */
    struct journal journal;
    size_t records; /* in the journal */
};

/* Nearly always the first bytes differ. */
static int seen_cmp(const struct seen *a, const struct seen *b)
{
    uint64_t x = get_u64be(a->digest), y = get_u64be(b->digest);
    return x != y ? (x > y) - (x < y) : memcmp(a->digest, b->digest, SHA256_LEN);
}

static int owner_cmp(const struct owner *a, const struct owner *b)
{
    return memcmp(a->id, b->id, ID_LEN);
}

static int second_cmp(const struct second *a, const struct second *b)
{
    return (a->until_s > b->until_s) - (a->until_s < b->until_s);
}

TREE_GENERATE(seen_tree, seen, in_owner, seen_cmp)
TREE_GENERATE(owner_tree, owner, link, owner_cmp)
TREE_GENERATE(second_tree, second, link, second_cmp)

static struct owner *owner_find(struct replay *r, const uint8_t id[ID_LEN])
{
    struct owner key;
    memcpy(key.id, id, ID_LEN);
    return RB_FIND(owner_tree, &r->owners, &key);
}

static bool is_seen(struct owner *owner, const uint8_t digest[SHA256_LEN])
{
    struct seen key;
    memcpy(key.digest, digest, SHA256_LEN);
    return RB_FIND(seen_tree, &owner->seen, &key) != NULL;
}

static struct owner *owner_add(struct replay *r, const uint8_t id[ID_LEN])
{
    struct owner *owner = calloc(1, sizeof(*owner));

    if (!owner)
        return NULL;
    memcpy(owner->id, id, ID_LEN);
    RB_INIT(&owner->seen);
    (void)RB_INSERT(owner_tree, &r->owners, owner);
    return owner;
}

/* An owner of nothing is forgotten. */
static void owner_trim(struct replay *r, struct owner *owner)
{
    if (owner->n)
        return;
    (void)RB_REMOVE(owner_tree, &r->owners, owner);
    free(owner);
}

static struct second *second_get(struct replay *r, int64_t until_s)
{
    struct second key = {.until_s = until_s}, *second = RB_FIND(second_tree, &r->seconds, &key);

    if (second)
        return second;
    second = calloc(1, sizeof(*second));
    if (!second)
        return NULL;
    second->until_s = until_s;
    SLIST_INIT(&second->ending);
    (void)RB_INSERT(second_tree, &r->seconds, second);
    return second;
}

static void seen_drop(struct replay *r, struct seen *seen)
{
    struct owner *owner = seen->owner;

    (void)RB_REMOVE(seen_tree, &owner->seen, seen);
    free(seen);
    owner->n--;
    r->n--;
    owner_trim(r, owner);
}

static void second_drop(struct replay *r, struct second *second)
{
    while (!SLIST_EMPTY(&second->ending)) {
        struct seen *seen = SLIST_FIRST(&second->ending);
        SLIST_REMOVE_HEAD(&second->ending, in_second);
        seen_drop(r, seen);
    }
    (void)RB_REMOVE(second_tree, &r->seconds, second);
    free(second);
}

static void expire(struct replay *r, int64_t now_s)
{
    struct second *first;

    if (now_s > r->now_s)
        r->now_s = now_s;
    while ((first = RB_MIN(second_tree, &r->seconds)) && first->until_s < r->now_s)
        second_drop(r, first);
}

/* What must hold before something is remembered. */
static enum rc check(struct replay *r, const struct owner *owner, int64_t until_s)
{
    if (until_s < r->now_s)
        return RC_REPEAT; /* the clock was set back: it may have been remembered and forgotten */
    if (owner && owner->n >= REPLAY_PER_OWNER_MAX)
        return RC_RATE_LIMITED;
    return r->n >= REPLAY_TOTAL_MAX ? RC_CACHE_FULL : RC_OK;
}

/* Links an entry, which is owned from then on; the owner is made when needed. */
static enum rc insert(struct replay *r, const uint8_t owner_id[ID_LEN], int64_t until_s, struct seen *seen)
{
    struct second *second = second_get(r, until_s);
    struct owner *owner = owner_find(r, owner_id);

    if (!owner)
        owner = owner_add(r, owner_id);
    if (!second || !owner) {
        if (second && SLIST_EMPTY(&second->ending))
            second_drop(r, second);
        if (owner)
            owner_trim(r, owner);
        return RC_NO_MEMORY;
    }
    seen->owner = owner;
    (void)RB_INSERT(seen_tree, &owner->seen, seen);
    SLIST_INSERT_HEAD(&second->ending, seen, in_second);
    owner->n++;
    r->n++;
    return RC_OK;
}

static enum rc add_record(const struct record *record, struct buf *out)
{
    uint8_t bytes[RECORD_LEN];

    TRY(record_encode(record, bytes));
    return buf_add(out, SLICE(bytes));
}

static enum rc encode_all(struct replay *r, bool with_end, struct buf *out)
{
    const struct record clock = {.kind = RECORD_CLOCK, .time_s = r->now_s};
    const struct record end = {.kind = RECORD_END, .time_s = r->now_s};
    struct second *second;
    struct seen *seen;

    TRY(buf_reserve(out, (r->n + 2) * RECORD_LEN));
    TRY(add_record(&clock, out));
    RB_FOREACH (second, second_tree, &r->seconds) {
        SLIST_FOREACH (seen, &second->ending, in_second) {
            struct record record = {.kind = RECORD_SEEN, .time_s = second->until_s};
            memcpy(record.owner, seen->owner->id, ID_LEN);
            memcpy(record.digest, seen->digest, SHA256_LEN);
            TRY(add_record(&record, out));
        }
    }
    return with_end ? add_record(&end, out) : RC_OK;
}

static enum rc write_all(struct replay *r, bool with_end)
{
    AUTO(buf_done) struct buf content = {0};

    TRY(encode_all(r, with_end, &content));
    return file_write_atomic(r->path, buf_slice(&content), 0600);
}

/* Writes the journal anew. Where the new file cannot be opened, nothing may go to the old one, which has no name now.
 */
static enum rc journal_renew(struct replay *r)
{
    TRY(write_all(r, false));
    journal_close(&r->journal);
    TRY(journal_open(&r->journal, r->path));
    r->records = r->n + 1;
    return RC_OK;
}

static bool has_journal(const struct replay *r)
{
    return r->path && r->mode == REPLAY_JOURNAL;
}

/* Room for a record. A file mostly of the dead is written anew, and so is one that had to be given up. */
static enum rc journal_prepare(struct replay *r)
{
    if (r->journal.fd < 0 || r->records > 2 * r->n + DEAD_MIN)
        TRY(journal_renew(r));
    return journal_reserve(&r->journal);
}

/* With the lock held; the entry is owned when this succeeds. bytes: its record. */
static enum rc remember(struct replay *r, const struct record *record, const uint8_t bytes[RECORD_LEN],
                        struct seen *seen)
{
    struct owner *owner = owner_find(r, record->owner);

    if (owner && is_seen(owner, record->digest))
        return RC_REPEAT;
    TRY(check(r, owner, record->time_s));
    if (has_journal(r))
        TRY(journal_prepare(r));
    TRY(insert(r, record->owner, record->time_s, seen));
    if (has_journal(r)) {
        journal_put(&r->journal, bytes);
        r->records++;
    }
    return RC_OK;
}

static struct seen *seen_new(const uint8_t digest[SHA256_LEN])
{
    struct seen *seen = calloc(1, sizeof(*seen));

    if (seen)
        memcpy(seen->digest, digest, SHA256_LEN);
    return seen;
}

/* What can be made without the lock is. */
enum rc replay_check(struct replay *r, const uint8_t owner_id[ID_LEN], const uint8_t digest[SHA256_LEN],
                     int64_t until_s, int64_t now_s)
{
    struct record record = {.kind = RECORD_SEEN, .time_s = until_s};
    uint8_t bytes[RECORD_LEN];

    memcpy(record.owner, owner_id, ID_LEN);
    memcpy(record.digest, digest, SHA256_LEN);
    if (has_journal(r))
        TRY(record_encode(&record, bytes));
    struct seen *seen = seen_new(digest);
    if (!seen)
        return RC_NO_MEMORY;
    (void)pthread_mutex_lock(&r->lock);
    expire(r, now_s);
    enum rc rc = remember(r, &record, bytes, seen);
    (void)pthread_mutex_unlock(&r->lock);
    if (rc != RC_OK)
        free(seen);
    return rc;
}

bool replay_has(struct replay *r, const uint8_t owner_id[ID_LEN], const uint8_t digest[SHA256_LEN])
{
    (void)pthread_mutex_lock(&r->lock);
    struct owner *owner = owner_find(r, owner_id);
    bool has = owner && is_seen(owner, digest);
    (void)pthread_mutex_unlock(&r->lock);
    return has;
}

size_t replay_count(struct replay *r)
{
    (void)pthread_mutex_lock(&r->lock);
    size_t n = r->n;
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}

static void replay_free(struct replay *r)
{
    struct second *second;

    while ((second = RB_MIN(second_tree, &r->seconds)))
        second_drop(r, second);
    journal_close(&r->journal);
    str_done(&r->path);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

static void replay_done(struct replay **r)
{
    if (*r)
        replay_free(*r);
}

static enum rc replay_new(const char *path, enum replay_mode mode, int64_t now_s, struct replay **ret)
{
    struct replay *r = calloc(1, sizeof(*r));

    if (!r || pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return RC_NO_MEMORY;
    }
    RB_INIT(&r->owners);
    RB_INIT(&r->seconds);
    r->mode = mode;
    r->now_s = now_s;
    r->journal.fd = -1;
    *ret = r;
    if (!path)
        return RC_OK;
    r->path = slice_dup(slice_text(path));
    return r->path ? RC_OK : RC_NO_MEMORY;
}

static enum rc load_record(struct replay *r, const struct record *record)
{
    struct seen *seen = seen_new(record->digest);

    if (!seen)
        return RC_NO_MEMORY;
    enum rc rc = insert(r, record->owner, record->time_s, seen);
    if (rc != RC_OK)
        free(seen);
    return rc;
}

/* Takes over the records that still count; returns the newest clock among them. */
static enum rc load_records(struct replay *r, struct slice content, size_t n, int64_t *ret_clock_s)
{
    int64_t clock_s = 0;

    for (size_t i = 0; i < n; i++) {
        struct record record;
        if (!record_decode(content.p + i * RECORD_LEN, &record))
            continue; /* an empty place */
        if (record.kind != RECORD_SEEN) {
            clock_s = record.time_s > clock_s ? record.time_s : clock_s;
            continue;
        }
        struct owner *owner = owner_find(r, record.owner);
        if (record.time_s >= r->now_s && !(owner && is_seen(owner, record.digest)))
            TRY(load_record(r, &record));
    }
    *ret_clock_s = clock_s;
    return RC_OK;
}

/*
 * The clock of the file goes on, so that a stop does not let it go back. One that is more than a day ahead of ours was
 * wrong then, or ours is now: then what was forgotten under it may come again, and the stop does not count as orderly.
 */
static enum rc load(struct replay *r, bool *ret_clean)
{
    AUTO(buf_done) struct buf content = {0};
    size_t n;
    int64_t clock_s;

    enum rc rc = replay_file_read(r->path, &content, &n, ret_clean);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    TRY(load_records(r, buf_slice(&content), n, &clock_s));
    if (clock_s > r->now_s && clock_s - r->now_s > CLOCK_TRUST)
        *ret_clean = false;
    else
        expire(r, clock_s);
    return RC_OK;
}

enum rc replay_open(const char *path, enum replay_mode mode, int64_t now_s, struct replay **ret, bool *ret_clean)
{
    AUTO(replay_done) struct replay *r = NULL;
    bool clean = false;

    TRY(replay_new(path, mode, now_s, &r));
    if (path) {
        TRY(load(r, &clean));
        TRY(mode == REPLAY_JOURNAL ? journal_renew(r) : replay_file_remove(path));
    }
    *ret = r;
    *ret_clean = clean;
    r = NULL;
    return RC_OK;
}

static enum rc journal_end(struct replay *r)
{
    const struct record end = {.kind = RECORD_END, .time_s = r->now_s};
    uint8_t bytes[RECORD_LEN];

    TRY(record_encode(&end, bytes));
    TRY(journal_reserve(&r->journal));
    journal_put(&r->journal, bytes);
    return journal_trim(&r->journal);
}

static enum rc write_last(struct replay *r)
{
    if (has_journal(r))
        return journal_end(r);
    return r->path ? write_all(r, true) : RC_OK;
}

enum rc replay_close(struct replay *r)
{
    if (!r)
        return RC_OK;
    enum rc rc = write_last(r);
    replay_free(r);
    return rc;
}
