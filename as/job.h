/*
 * Inside the AS exchange: one request on its way, the rules that both profiles share, and what a profile adds.
 */
#ifndef KERB_AS_JOB_H
#define KERB_AS_JOB_H

#include "as/serve.h"

/* Owns what it finds; req and store are borrowed. */
struct as_job {
    const struct as_req *req;
    struct as_store *store;
    int64_t now_s, ticks_s;
    struct name login, server; /* server: sealed only */
    struct as_login found;     /* `why` set: this client may not log in, whatever it proves */
    struct buf text;           /* of the classic proof */
    uint8_t replay[SHA256_LEN];
    json_t *proof;
    struct slice tgs_name;
    int64_t stamp_s;
    struct cookie cookie;
    struct gate_try attempt;
    struct ticket tgt;
    bool is_issued, has_stamp; /* has_stamp: stamp_s was told under the key */
};

typedef enum rc as_rule(const struct as_env *env, struct as_job *job);

struct as_profile {
    as_rule *const *rules; /* in this order; the first that does not hold ends the request */
    size_t rules_n;
    enum rc (*gather)(const struct as_env *env, struct as_job *job); /* after the client was read */
    /* How long the ticket lives: its end and renew_till. */
    void (*lifetime)(const struct as_env *env, const struct as_job *job, struct ticket *t);
    /* The answer to an issued ticket: its text and what the client must know. */
    enum rc (*reply)(const struct as_env *env, const struct as_job *job, struct slice ticket, struct as_rep *ret);
    /* The answer PREAUTH_REQUIRED. */
    enum rc (*offer)(const struct as_env *env, const struct as_job *job, struct as_rep *ret);
};

/*
 * Before the key is tried: asks the gate. One who is held is carried on with a key that nobody has, so that it costs
 * what a wrong key costs. Errors: FLOODED.
 */
as_rule as_gate_lets_in;

extern const struct as_profile as_classic, as_sealed;

#endif
