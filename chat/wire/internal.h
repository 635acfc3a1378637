/*
 * What the files of chat/wire share with each other and with nobody else.
 */
#ifndef KERB_CHAT_WIRE_INTERNAL_H
#define KERB_CHAT_WIRE_INTERNAL_H

#include "chat/wire/stamps.h"
#include "chat/wire/wire.h"
#include "shared/base/json.h"
#include "shared/crypto/box.h"
#include "shared/ticket/authenticator.h"

/* What one frame was decoded into; lives until the next one. */
struct scratch {
    json_t *json;
    struct buf plain, data;
    struct slice *users;
    struct chat_request request;
    struct chat_login login;
};

struct wire {
    struct wire_options options;
    struct skew skew;
    struct replay *replay;
    struct stamps *stamps;
    char *stamps_path; /* NULL: kept nowhere */
    bool clean;        /* the last stop was orderly, so tickets of before are still good */
    struct scratch scratch;
    struct buf names;       /* `users_online` as JSON ... */
    uint64_t names_version; /* ... of this version */
    bool has_names;
};

struct wire_conn {
    struct wire *wire;
    bool authed;
    uint8_t key[BOX_KEY];
    struct stamps_window *stamps; /* of the ticket; NULL before login */
    char *name;
    char address[ADDRESS_MAX];
};

/* login.c: checks the ticket and the authenticator of the login in w->scratch.json; fills w->scratch.login. */
MUST enum rc login_check(struct wire_conn *c, int64_t time_s);

/* decode.c: reads the fields of `cmd` from w->scratch.json into w->scratch.request. CODE_COUNT: all is well. */
enum chat_code decode_fields(struct wire_conn *c, enum chat_command cmd);

#endif
