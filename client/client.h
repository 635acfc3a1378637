/*
 * What the parts of libkerb share: the handle, failures in words, the trace, and one request to a server.
 *
 * Inside, functions return enum rc as everywhere. What a person must be told goes through client_fail(), which keeps
 * the status and the sentence and returns a code that is not RC_OK; client_end() turns both into the public result.
 */
#ifndef KERB_CLIENT_CLIENT_H
#define KERB_CLIENT_CLIENT_H

#include "client/cache.h"
#include "client/kerb.h"
#include "shared/base/json.h"
#include "shared/crypto/envelope.h"
#include "shared/ticket/sealed.h"
#include "shared/ticket/ticket.h"

#define CLIENT_ANSWER_MAX (64 * 1024) /* bytes of an answer; a reply with two longest names takes about 8,000 */
#define CLIENT_TGS_NAME   "tgs"
#define CLIENT_MARGIN_S   60 /* a ticket that ends sooner is fetched anew */

struct answer {
    long status; /* of HTTP */
    struct buf body;
    int64_t took_ms;
    char error[256]; /* after RC_IO: why, in words */
};

void answer_done(struct answer *a); /* for AUTO */

/* Posts JSON to a URL. One way to do it is libcurl (client/http.h); tests have another. */
struct transport {
    enum rc (*post)(void *ctx, const char *url, struct slice body, struct answer *ret); /* IO: no answer */
    void *ctx;
};

struct http;
struct login_result;

/* Where the record of the vault is kept: the chat, by save_data. Set by client/chat_vault.c; absent: no vault. */
struct vault_store {
    enum rc (*get)(void *ctx, struct kerb *k, struct buf *ret_record); /* NOT_FOUND: the server has none. Tells */
    enum rc (*put)(void *ctx, struct kerb *k, struct slice record);    /* Tells */
    void *ctx;
};

struct kerb {
    struct buf url;    /* NUL-terminated, without a slash at the end */
    struct name realm; /* n 0: not known yet */
    struct buf cache_path;
    char ca_file[4096];
    bool no_cache;
    uint32_t iterations_min;
    unsigned timeout_s;
    void (*trace)(void *ctx, const char *line);
    void *trace_ctx;
    struct transport transport;
    struct http *http;
    struct vault_store vault_store;
    struct cache cache; /* n 0: nothing loaded */
    enum kerb_status status;
    struct buf error, notice;
    struct name op_id; /* of the last answer, when it was an error that has one */
};

/* Keeps the sentence, and the status for client_end(). Always returns a code that is not RC_OK. */
enum rc client_fail(struct kerb *k, enum kerb_status status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Every public function starts with the first and ends with the second. */
void client_begin(struct kerb *k);
enum kerb_status client_end(struct kerb *k, enum rc rc);

/* What did not work beside something that did; see kerb_notice(). */
void client_notice(struct kerb *k, const char *fmt, ...) PRINTF_LIKE(2, 3);

void client_trace(const struct kerb *k, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Where the realm is: options, environment, kerb.conf. Tells. */
MUST enum rc client_discover(struct kerb *k, const struct kerb_options *options);

/* A URL that may be a realm's: http or https, a host, no user, query or fragment. Tells. */
MUST enum rc client_take_url(struct kerb *k, const char *text);

/* A realm's URL with a path behind it, NUL-terminated. */
MUST enum rc client_url(const struct kerb *k, const char *path, struct buf *ret);

/* The realm is on this machine: what we send does not leave it. */
bool client_url_is_loopback(const struct kerb *k);

/* A name that a person gave. Tells. */
MUST enum rc client_name(struct kerb *k, const char *what, const char *text, struct name *ret);

/* An answer that was read: the object, and whether it says yes. */
struct reply {
    bool is_ok;       /* 200 */
    struct name code; /* else: of the error, "KDC_ERR_..." */
    json_t *json;
};

void reply_done(struct reply *r); /* for AUTO */

/* Posts a request and reads the JSON of the answer, whatever its status. Tells. */
MUST enum rc client_post(struct kerb *k, const char *path, struct slice request, struct reply *ret);

/* 1 to max letters, digits, - and _: may go to a terminal, whoever has written it. */
bool client_is_word(struct slice s, size_t max);

/*
 * Tells that a server has refused, and by which decision: the op_id of the last answer ends the sentence. Always fails.
 * The second one has the sentence for every error.
 */
enum rc client_refuse(struct kerb *k, enum kerb_status status, const char *sentence);
enum rc client_refused(struct kerb *k, const struct reply *r);
bool reply_is_error(const struct reply *r, const char *code);

/* Tells that an answer cannot be trusted, and why. Always fails. */
enum rc client_distrust(struct kerb *k, const char *why);

/* The object in the sealed `reply`, bound to the request. Tells. */
struct binding {
    const struct key *key;
    enum label label;
    struct slice client, server;
    struct slice request; /* whole */
};

MUST enum rc client_open_reply(struct kerb *k, const struct reply *r, const struct binding *b, json_t **ret);

/* Appends base64url of an envelope, in the realm of the handle. */
struct sealing {
    const struct key *key;
    enum label label;
    struct slice client, server, context;
};

MUST enum rc client_seal(const struct kerb *k, const struct sealing *s, struct slice plain, struct buf *out);

/* `start_time`, `end_time`, `renew_till`. Errors: MALFORMED (absent, or they make no sense together). */
MUST enum rc client_read_times(const json_t *reply, struct cache_entry *e);

/* What a server's nonce, name or key must be. Errors: MALFORMED, MODIFIED. */
MUST enum rc client_same_name(const json_t *reply, const char *member, const struct name *expected);
MUST enum rc client_same_nonce(const json_t *reply, const uint8_t nonce[SEALED_NONCE]);
MUST enum rc client_read_session(const json_t *reply, const char *ticket_member, struct cache_entry *e);

/* --- the cache of the handle --- */

/* Reads the file when nothing is loaded. Tells: NO_TICKET, BAD_CACHE. */
MUST enum rc client_load(struct kerb *k);

/* Writes the file; see cache_save() for with_tgt. Tells. */
MUST enum rc client_save(struct kerb *k, struct slice with_tgt);

/* Key version that a ticket names; 0 when it cannot be read. */
unsigned client_kvno(const struct cache_entry *e);

/* A ticket for a service, from the cache or from the realm, which is then kept; ret owns a copy. Tells. */
MUST enum rc client_ticket(struct kerb *k, const struct name *service, struct cache_entry *ret);

/* The same, always from the realm: for a service that does not take the one we have. Tells. */
MUST enum rc client_fresh_ticket(struct kerb *k, const struct name *service, struct cache_entry *ret);

/*
 * The TGS says that the login is worth nothing, whatever its times: it is over from now on, in the file too. Whose it
 * is stays known, and the vault's key is kept: a reset of the password must not lose it.
 */
void client_end_login(struct kerb *k);

/* The tickets of a login, in place of what was there; takes r->tgt. The file is not written. */
MUST enum rc client_adopt(struct kerb *k, struct login_result *r);

/* Loads the file when nothing is loaded and it is for this realm; else nothing. Tells nothing. */
void client_peek(struct kerb *k);

/* The TGT, still good. Tells: NO_TICKET, EXPIRED. */
MUST enum rc client_tgt(struct kerb *k, const struct cache_entry **ret);

/* --- exchanges --- */

struct login_wish {
    int64_t lifetime_s; /* 0: the realm's */
    bool renewable;
};

/* What a login gives. */
struct login_result {
    struct name client;
    struct key user_key;
    struct userkey_params params;
    uint32_t iterations_wanted; /* by the realm, for new keys; 0: it does not say */
    struct cache_entry tgt;
    int64_t offset_s;
};

void login_result_done(struct login_result *r); /* for AUTO */

/* The sealed AS exchange; learns the realm's name when it is not known. Tells. */
MUST enum rc client_as(struct kerb *k, const struct name *user, struct slice password, const struct login_wish *wish,
                       struct login_result *ret);

/* Only its first half: what the realm is called, and how it makes keys. Tells. */
struct offer {
    struct name realm;
    struct userkey_params params;
    json_t *etypes; /* as offered */
    struct buf cookie;
};

void offer_done(struct offer *o); /* for AUTO */
MUST enum rc client_offer(struct kerb *k, const struct name *user, struct offer *ret);

/* The sealed TGS exchange: a ticket for a service, or (renew) for the TGS itself. Tells. */
struct tgs_wish {
    const struct name *client;
    const struct cache_entry *tgt;
    struct name service;
    bool renew;
};

MUST enum rc client_tgs(struct kerb *k, const struct tgs_wish *wish, struct cache_entry *ret);

/*
 * A call of a service over HTTP. `body` writes the object that is asked for, when the challenge is known.
 * Out: ret - the sealed object of the reply. Tells.
 */
struct ap_wish {
    const char *path;
    const struct name *client;
    const struct cache_entry *ticket;
    enum rc (*body)(void *ctx, const struct reply *challenge, struct slice challenge_text, struct buf *out);
    void *ctx;
};

MUST enum rc client_ap(struct kerb *k, const struct ap_wish *wish, json_t **ret);

/* Posts stronger keys when the realm wants them. Says nothing when it fails. */
void client_strengthen(struct kerb *k, struct slice password, const struct login_result *r);

/* Seconds by the server's clock. */
int64_t client_now(const struct kerb *k);

#endif
