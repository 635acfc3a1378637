/* kerb passwd, register. */
#include "client/cmd.h"

#include <stdio.h>
#include <stdlib.h>

#define PROMPT 512 /* bytes: a longest name and words */

/* A new password that the policy takes: told before it must be typed again. */
static int ask_new(struct cmd *c, const struct name *user, struct buf *ret)
{
    char prompt[PROMPT];

    (void)snprintf(prompt, sizeof prompt, "New password of %s (10 characters or more): ", user->s);
    int status = cmd_password(prompt, ret);
    if (status != EXIT_SUCCESS)
        return status;
    enum kerb_status policy = kerb_password_check(c->k, user->s, (const char *)ret->p, ret->n);
    if (policy != KERB_OK)
        return cmd_fail(EXIT_FAILURE, "%s", kerb_error(c->k));
    return cmd_password_again(ret);
}

static int who(struct cmd *c, struct name *ret)
{
    const char *user = cmd_user(c);

    if (!user)
        return EXIT_USAGE;
    client_begin(c->k);
    return client_name(c->k, "user", user, ret) == RC_OK ? EXIT_SUCCESS : cmd_end(c, KERB_BAD_ARGUMENT);
}

int cmd_passwd(struct cmd *c)
{
    AUTO(buf_done) struct buf old = {0}, new = {0};
    char prompt[PROMPT];
    struct name user;

    int status = who(c, &user);
    if (status != EXIT_SUCCESS)
        return status;
    (void)snprintf(prompt, sizeof prompt, "Present password of %s: ", user.s);
    status = cmd_password(prompt, &old);
    if (status == EXIT_SUCCESS)
        status = ask_new(c, &user, &new);
    if (status != EXIT_SUCCESS)
        return status;
    const struct kerb_passwd p = {.user = user.s,
                                  .old_password = (const char *)old.p,
                                  .old_len = old.n,
                                  .new_password = (const char *)new.p,
                                  .new_len = new.n,
                                  .cut_off = c->opt[OPT_CUT_OFF] != NULL};
    enum kerb_status done = kerb_passwd(c->k, &p);
    if (done == KERB_OK)
        (void)printf("The password of %s is changed.%s\n", user.s,
                     p.cut_off ? " All logins of before are worthless now." : "");
    return cmd_end(c, done);
}

int cmd_register(struct cmd *c)
{
    AUTO(buf_done) struct buf password = {0};
    struct name user;

    int status = who(c, &user);
    if (status == EXIT_SUCCESS)
        status = ask_new(c, &user, &password);
    if (status != EXIT_SUCCESS)
        return status;
    const struct kerb_register r = {
        .user = user.s, .code = c->opt[OPT_CODE], .password = (const char *)password.p, .password_len = password.n};
    enum kerb_status done = kerb_register(c->k, &r);
    if (done == KERB_OK)
        (void)printf("%s can log in with this password now: kerb login %s\n", user.s, user.s);
    return cmd_end(c, done);
}
