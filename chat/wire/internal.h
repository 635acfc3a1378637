/*
 * What the files of chat/wire share with each other and with nobody else.
 */
#ifndef KERB_CHAT_WIRE_INTERNAL_H
#define KERB_CHAT_WIRE_INTERNAL_H

#include "chat/wire/stamps.h"
#include "chat/wire/wire.h"
#include "shared/base/json.h"
#include "shared/crypto/box.h"
#include "shared/crypto/record.h"
#include "shared/ticket/authenticator.h"

#define ROOMS_MAX (700 * 1024) /* bytes of a push up to its last room; what does not fit is left out */

/* What one frame was decoded into; lives until the next one. */
struct scratch {
    json_t *json;
    struct buf plain, data;
    struct slice *users;
    struct chat_request request;
    struct chat_login login;
    uint8_t token[SHA256_LEN], resumes[SHA256_LEN]; /* of a login */
};

/* The last delta that was the same for many subscribers. */
struct shared_push {
    uint64_t from, state;
    int64_t time_s;
    struct buf json;
};

struct wire {
    struct wire_options options;
    struct skew skew;
    struct replay *replay;
    struct gate_try attempt;
    struct wire_shown shown;
    struct stamps *stamps;
    char *stamps_path; /* NULL: kept nowhere */
    bool clean;        /* the last stop was orderly, so tickets of before are still good */
    struct scratch scratch;
    struct buf names;       /* `users_online` as JSON ... */
    uint64_t names_version; /* ... of this version */
    bool has_names;
    struct shared_push shared[WIRE_PROFILES];
};

struct classic_conn {
    uint8_t key[BOX_KEY];
    struct stamps_window *stamps; /* of the ticket; NULL before login */
};

#define SEALED_NONCE 32

struct sealed_conn; /* sealed.c */

struct wire_conn {
    struct wire *wire;
    enum wire_profile profile;
    bool authed;
    struct classic_conn classic;
    struct sealed_conn *sealed; /* NULL: a classic one */
    struct name *name;          /* of the client; NULL before login */
    uint8_t client_id[ID_LEN];
    char address[ADDRESS_MAX];
};

/* What a login or a message refused for; sets the event to CHAT_REFUSED. */
void wire_refuse(struct wire_conn *c, enum chat_code code, struct chat_event *ret);

/* The `id` and the `type` of the message in w->scratch.json. Errors: MALFORMED. */
MUST enum rc wire_read_type(struct scratch *s);

/* A `from`, also one inside `message`, must be the client's own name. Errors: BAD_MATCH, MALFORMED. */
MUST enum rc wire_check_from(const struct wire_conn *c);

/* The ticket for this service of etype, and what holds for it at any time. Out: released with ticket_done(). */
MUST enum rc wire_check_ticket(const struct wire_conn *c, struct slice text, enum etype etype, int64_t time_s,
                               struct ticket *ret);

/* An authenticator has opened that says this time. */
void wire_show_skew(const struct wire_conn *c, int64_t stamp_s, int64_t time_s);

/* Fills w->scratch.login from a good ticket and makes its client this connection's. */
MUST enum rc wire_adopt(struct wire_conn *c, const struct ticket *t);

/* classic.c and sealed.c: a message before and after login. ret is a CHAT_REFUSED already, with a code to change. */
MUST enum rc classic_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s,
                          struct chat_event *ret);
MUST enum rc sealed_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s,
                         struct chat_event *ret);
MUST enum rc sealed_new(struct wire_conn *c);
void sealed_free(struct sealed_conn *s);
MUST enum rc sealed_seal(struct sealed_conn *s, struct slice json, struct buf *out);

/* decode.c: reads the fields of `cmd` from w->scratch.json into w->scratch.request. CODE_COUNT: all is well. */
enum chat_code decode_fields(struct wire_conn *c, enum chat_command cmd);

/* Where a push is written to whom. */
struct encoder {
    struct wire *wire;
    enum wire_profile profile;
};

/* encode.c */
MUST enum rc push_write(const struct encoder *e, const struct chat_push *push, struct buf *ret);
/* The user's rooms of which is_listed says what is wanted. */
void put_rooms(struct jw *j, const char *name, const struct chat_push *p,
               bool (*is_listed)(const struct chat_room *room), bool wanted);

/* presence.c */
void put_presence(const struct encoder *e, struct jw *j, const struct chat_push *p);
bool presence_is_shared(const struct chat_push *push);
MUST enum rc presence_write(const struct encoder *e, const struct chat_push *push, struct buf *ret);

#endif
