/*
 * Inside the TGS exchange: one request on its way, the rules that both profiles share, and what a profile adds.
 */
#ifndef KERB_TGS_JOB_H
#define KERB_TGS_JOB_H

#include "tgs/serve.h"

/* Owns what it finds; req is borrowed. */
struct tgs_job {
    const struct tgs_req *req;
    int64_t now_s;
    struct name service;
    struct gate_try attempt;
    struct ticket tgt;
    bool is_opened;                     /* tgt is filled, if only for the log */
    struct authenticator authenticator; /* replay: classic only */
    bool is_proved;                     /* authenticator is filled */
    struct envelope_key reply_key;      /* sealed only: what the answer is sealed under */
    struct key target_key;              /* what the new ticket is sealed under */
    struct ticket ticket;
    bool is_issued;
};

typedef enum rc tgs_rule(const struct tgs_env *env, struct tgs_job *job);

struct tgs_profile {
    tgs_rule *const *rules; /* in this order; the first that does not hold ends the request */
    size_t rules_n;
    /* The answer to an issued ticket: its text and what the client must know. */
    enum rc (*reply)(const struct tgs_env *env, const struct tgs_job *job, struct slice ticket, struct tgs_rep *ret);
};

extern const struct tgs_profile tgs_classic, tgs_sealed;

/* Shared rules. */
tgs_rule tgs_ticket_is_of_the_profile; /* BAD_ETYPE, PROFILE_OFF */
tgs_rule tgs_client_is_not_cut_off;    /* CUT_OFF */
tgs_rule tgs_address_is_the_tickets;   /* BAD_ADDRESS */
tgs_rule tgs_names_match;              /* BAD_MATCH */
tgs_rule tgs_service_is_known;         /* NO_SERVICE, SERVICE_DISABLED; gives target_key */

#endif
