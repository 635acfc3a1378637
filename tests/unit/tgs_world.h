/* A TGS on a fake clock with one service and one client: what its tests have in common. */
#ifndef KERB_TESTS_TGS_WORLD_H
#define KERB_TESTS_TGS_WORLD_H

#include "tests/unit/state.h"
#include "tgs/grant.h"

#define NOW 1780000000

static struct conf conf;
static struct tgs_store *store;
static struct pool pool;
static struct tgs_env env;
static struct key tgs, chat;
static struct ticket tgt; /* what the client holds; a test changes it before it is sealed */
static int64_t now_s;

/* What the audit was told last. */
static struct {
    unsigned n;
    enum rc rc;
    bool has_tgt, has_ticket;
    int64_t skew_s;
} audited;

static inline int64_t fake_clock(void)
{
    return now_s;
}

static inline void audit(void *ctx, const struct tgs_event *event)
{
    (void)ctx;
    audited.n++;
    audited.rc = event->rc;
    audited.has_tgt = event->tgt != NULL;
    audited.has_ticket = event->ticket != NULL;
    audited.skew_s = event->skew_s;
}

static inline struct name named(const char *text)
{
    struct name name;
    assert_ok(name_parse(slice_text(text), &name));
    return name;
}

static UNUSED_OK void save_keytab(const struct key *keys, size_t n)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(str_done) char *path = state_path(&conf, "tgs/tgs.keytab");

    assert_ok(keytab_new(&kt));
    for (size_t i = 0; i < n; i++)
        assert_ok(keytab_add(kt, &env.name, &keys[i]));
    assert_ok(keytab_save(kt, path));
}

static UNUSED_OK void fill_tgt(enum etype profile)
{
    tgt = (struct ticket){
        .kind = TICKET_TGT,
        .client = named("alice"),
        .address = "192.0.2.7",
        .server = env.name,
        .epoch = 5,
        .auth_time = NOW - 60,
        .start = NOW - 30,
        .end = NOW + 1800,
    };
    assert_ok(random_bytes(tgt.client_id, ID_LEN));
    assert_ok(random_bytes(tgt.id, ID_LEN));
    assert_ok(key_random(profile, 0, 0, &tgt.session));
}

static UNUSED_OK int start(void **state)
{
    bool clean;
    struct name service = named("chat");

    (void)state;
    state_make(&conf, "tgs");
    assert_ok(name_parse(slice_text(conf.realm_name), &conf.realm));
    assert_ok(tgs_store_open(&conf, DB_CREATE, &store));
    assert_ok(tgs_store_add(store, &service, NOW, &chat));
    pool_init(&pool);
    pool_put(&pool, store);
    now_s = NOW;
    env = (struct tgs_env){.conf = &conf, .stores = &pool, .crash_s = -1, .clock = fake_clock, .audit = audit};
    env.name = named(TGS_OWN_NAME);
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 3, 0, &tgs));
    save_keytab(&tgs, 1);
    AUTO(str_done) char *path = state_path(&conf, "tgs/tgs.keytab");
    assert_ok(keytab_file_open(path, &env.keys));
    assert_ok(tgs_epochs_new(&env.epochs));
    assert_ok(replay_open(NULL, REPLAY_AT_STOP, NOW, &env.replay, &clean));
    memset(&audited, 0, sizeof audited);
    fill_tgt(ETYPE_AES128_CBC);
    return 0;
}

static UNUSED_OK int stop(void **state)
{
    (void)state;
    assert_ok(replay_close(env.replay));
    tgs_epochs_free(env.epochs);
    keytab_file_close(env.keys);
    assert_ptr_equal(pool_drain(&pool), store);
    pool_done(&pool);
    tgs_store_close(store);
    state_remove(&conf);
    return 0;
}

/* The TGT as it stands, sealed under the TGS key. */
static UNUSED_OK void seal_tgt(struct buf *out)
{
    assert_ok(ticket_seal(&tgs, &conf.realm, &tgt, out));
}

static UNUSED_OK int post(const char *body, struct buf *ret)
{
    const struct http_request req = {slice_text(body), "192.0.2.7", "op"};
    struct http_reply reply = {.status = 200};

    tgs_grant_post(&env, &req, &reply);
    if (ret)
        *ret = buf_take(&reply.body);
    buf_done(&reply.body);
    return reply.status;
}

#endif
