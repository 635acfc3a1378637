/* What the admin service answers, read and shown as the local commands show it. */
#ifndef KERB_ADMIN_REMOTE_REPLY_H
#define KERB_ADMIN_REMOTE_REPLY_H

#include "admin/user_list.h"

/* Tells that an answer is not what it must be. Always fails. */
enum rc remote_malformed(struct admin *a);

/* One answer each; tell. */
MUST enum rc remote_show_user(struct admin *a, const json_t *reply);
MUST enum rc remote_show_code(struct admin *a, const json_t *reply);
MUST enum rc remote_show_rotation(struct admin *a, const json_t *reply);
MUST enum rc remote_show_nothing(struct admin *a, const json_t *reply);

/* A list, which comes in parts. */
struct remote_list {
    struct user_list list;
    struct name after; /* the last one listed */
    bool more;
};
MUST enum rc remote_take_part(struct admin *a, const json_t *reply, struct remote_list *l); /* tells */

#endif
