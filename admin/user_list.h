/*
 * Lists of users: all of them, or those who still depend on an unsalted key. Where they come from does not matter, so
 * the local and the remote commands print the same.
 */
#ifndef KERB_ADMIN_USER_LIST_H
#define KERB_ADMIN_USER_LIST_H

#include "admin/admin.h"

/* What a name may begin with. Tells. */
MUST enum rc user_list_prefix(struct admin *a, const char *text);

enum user_list_kind { USER_LIST_ALL, USER_LIST_CLASSIC };

struct user_list {
    enum user_list_kind kind;
    bool is_json;
    struct buf out;
    struct jw w; /* writes to out, so a list stays where it was begun */
    size_t users, classic, classic_only;
};

MUST enum rc user_list_begin(const struct admin *a, enum user_list_kind kind, struct user_list *ret);
void user_list_done(struct user_list *l);                            /* for AUTO */
MUST enum rc user_list_add(void *ctx, const struct as_principal *p); /* ctx: the list; for as_store_list */
MUST enum rc user_list_print(struct admin *a, struct user_list *l);  /* ends it. Tells */

/* "sealed,classic". */
const char *user_profiles_text(const struct as_principal *p);

#endif
