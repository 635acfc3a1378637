/* An AS on a fake clock with one user, alice, who has keys of both profiles: what the tests of the AS have in common.
 */
#ifndef KERB_TESTS_AS_WORLD_H
#define KERB_TESTS_AS_WORLD_H

#include "as/login.h"
#include "tests/unit/sealing.h"
#include "tests/unit/state.h"
#include "tests/unit/users.h"

#define NOW   1780000000
#define NONCE "AAECAwQFBgcICQoLDA0ODw"

static struct conf conf;
static struct as_store *store;
static struct pool pool;
static struct as_env env;
static struct as_keys alice;
static struct key tgs;
static int64_t now_s, ticks;

/* What the audit was told last. */
static struct {
    unsigned n;
    enum rc rc;
    bool has_ticket;
    char kind[16], what[32], client[AS_LOGIN_MAX + 1], target[AS_LOGIN_MAX + 1], refusal[32];
} audited;

static inline int64_t fake_clock(void)
{
    return now_s;
}

static inline int64_t fake_ticks(void)
{
    return ticks;
}

static inline void keep(char *to, size_t room, struct slice text)
{
    assert_true(text.n < room);
    if (text.n)
        memcpy(to, text.p, text.n);
    to[text.n] = 0;
}

static inline void audit(void *ctx, const struct as_event *event)
{
    (void)ctx;
    audited.n++;
    audited.rc = event->rc;
    audited.has_ticket = event->out != NULL;
    keep(audited.kind, sizeof audited.kind, slice_text(event->kind));
    keep(audited.what, sizeof audited.what, slice_text(event->what ? event->what : ""));
    keep(audited.client, sizeof audited.client, event->client);
    keep(audited.target, sizeof audited.target, event->target);
    keep(audited.refusal, sizeof audited.refusal, slice_text(event->refusal ? event->refusal : ""));
}

static inline void add_keys(const char *text, const struct as_keys *keys)
{
    struct name name = named(text);
    assert_ok(as_store_add(store, &name, keys, NOW));
}

static inline struct as_principal found(const char *text)
{
    struct name name = named(text);
    struct as_principal p;
    assert_ok(as_store_find(store, &name, &p));
    return p;
}

static inline int start(void **state)
{
    bool clean;

    (void)state;
    state_make(&conf, "as");
    assert_ok(name_parse(slice_text(conf.realm_name), &conf.realm));
    assert_ok(as_store_open(&conf, DB_CREATE, &store));
    alice = both_keys(654321);
    add_keys("alice", &alice);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &tgs));
    assert_ok(as_store_add_tgs_key(store, &tgs));
    pool_init(&pool);
    pool_put(&pool, store);
    now_s = NOW;
    ticks = 1000;
    env = (struct as_env){.conf = &conf, .stores = &pool, .clock = fake_clock, .ticks = fake_ticks, .audit = audit};
    assert_ok(as_env_open(&env));
    assert_ok(replay_open(NULL, REPLAY_JOURNAL, NOW, &env.replay, &clean));
    memset(&audited, 0, sizeof audited);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    assert_ok(replay_close(env.replay));
    as_env_close(&env);
    assert_ptr_equal(pool_drain(&pool), store);
    pool_done(&pool);
    as_store_close(store);
    state_remove(&conf);
    return 0;
}

static inline struct slice member(const json_t *j, const char *name)
{
    struct slice text;
    assert_ok(json_get_text(j, name, &text));
    return text;
}

static inline int64_t number(const json_t *j, const char *name)
{
    int64_t v;
    assert_ok(json_get_int(j, name, &v));
    return v;
}

#endif
