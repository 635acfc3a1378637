/*
 * What the commands of kerb share: the command line, the library's handle, questions to the person, sentences.
 *
 * A handler returns the exit status: 0 done, 1 failed (a sentence is on standard error), 2 called wrongly.
 */
#ifndef KERB_CLIENT_CMD_H
#define KERB_CLIENT_CMD_H

#include "client/client.h"

#define EXIT_USAGE 2

enum cmd_option {
    OPT_HELP,
    OPT_VERSION,
    OPT_URL,
    OPT_REALM,
    OPT_CONFIG,
    OPT_CACHE,
    OPT_CA_FILE,
    OPT_JSON,
    OPT_SILENT,
    OPT_LIFETIME,
    OPT_RENEWABLE,
    OPT_CUT_OFF,
    OPT_CODE,
    OPT_COUNT
};

struct cmd {
    const char *opt[OPT_COUNT]; /* the option's value, "" for a flag that was given, NULL when absent */
    char **args;                /* behind the command's name */
    int args_n;
    bool traces;
    struct kerb *k; /* opened before the handler runs */
};

/* Handlers, one per row of the table in main.c. */
int cmd_login(struct cmd *c);
int cmd_list(struct cmd *c);
int cmd_renew(struct cmd *c);
int cmd_logout(struct cmd *c);
int cmd_ticket(struct cmd *c);
int cmd_passwd(struct cmd *c);
int cmd_register(struct cmd *c);
int cmd_chat(struct cmd *c);
int cmd_send(struct cmd *c);
int cmd_rooms(struct cmd *c);
int cmd_history(struct cmd *c);
int cmd_search(struct cmd *c);
int cmd_vault(struct cmd *c);

/* "kerb: <sentence>" on standard error. Returns status. */
int cmd_fail(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Tells what the library says; the exit status that goes with it. KERB_OK: 0, and the notice, if there is one. */
int cmd_end(const struct cmd *c, enum kerb_status status);

/* Who is meant: the argument, whose tickets are here, $USER. NULL, told: nobody. Borrowed. */
const char *cmd_user(struct cmd *c);

/*
 * A password: asked on the terminal without echo, or, when standard input is no terminal, its next line. Appended.
 * Returns 0 or the exit status, told.
 */
int cmd_password(const char *prompt, struct buf *ret);

/* On a terminal: asks for the same once more. Returns 0 or the exit status, told. */
int cmd_password_again(const struct buf *first);

/* "9 h 59 min", for people. At most CMD_SPAN letters with the zero. */
#define CMD_SPAN 32
void cmd_span(int64_t seconds, char out[CMD_SPAN]);

/* Seconds of "36000", "90m", "10h", "7d". False: it is none. */
bool cmd_seconds(const char *text, int64_t *ret);

#endif
