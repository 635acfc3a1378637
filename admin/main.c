/*
 * kerbadm: the administrator's command on the state directory.
 *
 * Two tables say what there is: options, and commands with the options that go with them. Help is printed from both.
 * Exit status: 0 done, 1 failed (a sentence on standard error), 2 called wrongly. One thread.
 */
#include "admin/audit.h"
#include "admin/remote.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/service/lifecycle.h"

#define EXIT_USAGE 2

#define BIT(option)   (1U << (option))
#define PASSWORD_BITS (BIT(OPT_PASSWORD_FILE) | BIT(OPT_RANDOM))
#define PRINT_BITS    (BIT(OPT_MARKDOWN) | BIT(OPT_EXAMPLE))
#define EVERYWHERE                                                                                               \
    (BIT(OPT_REMOTE) | BIT(OPT_URL) | BIT(OPT_LOGIN) | BIT(OPT_SHARES_FILE) | BIT(OPT_HELP) | BIT(OPT_VERSION) | \
     BIT(OPT_STATE) | BIT(OPT_CONFIG) | BIT(OPT_JSON))
#define EXCLUDE_N   3
#define HELP_COLUMN 32

static const struct {
    const char *name, *value, *help; /* value: NULL for a flag */
} options[OPT_COUNT] = {
    [OPT_HELP] = {"help",          NULL,   "print this and exit"                                                            },
    [OPT_VERSION] = {"version",       NULL,   "print the version and exit"                                                     },
    [OPT_STATE] = {"state",         "DIR",  "state directory with its kerb.conf (default " ADMIN_STATE_DEFAULT ")"           },
    [OPT_CONFIG] = {"config",        "FILE", "kerb.conf, wherever it is"                                                      },
    [OPT_JSON] = {"json",          NULL,   "print JSON, for a script"                                                       },
    [OPT_REALM] = {"realm",         "NAME", "name of the new realm"                                                          },
    [OPT_SEALED_ONLY] = {"sealed-only",   NULL,   "let the sealed profile alone log in: no unsalted keys"                          },
    [OPT_PASSWORD_FILE] = {"password-file", "FILE", "the password is the first line of FILE (-: standard input)"                     },
    [OPT_RANDOM] = {"random",        NULL,   "draw a random password and print it, once"                                      },
    [OPT_CUT_OFF] = {"cut-off",       NULL,   "make the tickets that the user has worthless"                                   },
    [OPT_NAME] = {"name",          "NAME", "for this name only"                                                             },
    [OPT_CLIENT] = {"client",        "NAME", "lines of this client, or about him"                                             },
    [OPT_RESULT] = {"result",        "WORD", "lines with this result, as the log or the client has it; help: all of them"     },
    [OPT_SINCE] = {"since",         "TIME", "lines from then on, UTC, e.g. 2026-11-20T10:30"                                 },
    [OPT_OUT] = {"out",           "FILE", "file to write"                                                                  },
    [OPT_FORCE] = {"force",         NULL,   "replace the file if it is there"                                                },
    [OPT_REMOTE] = {"remote",        NULL,   "by the admin service of the realm, as who is logged in with kerb"               },
    [OPT_URL] = {"url",           "URL",  "of the realm, with --remote (or KERB_URL, or [client] url)"                     },
    [OPT_LOGIN] = {"login",         "NAME", "with --remote: be this administrator for the one command; asks for the password"},
    [OPT_UNSEAL_SHARES] = {"unseal-shares", "T/N",
                  "split each master key into N shares, of which T open it; prints them, once"                              },
    [OPT_THRESHOLD] = {"threshold",     "T",    "-t T: how many shares open the key"                                             },
    [OPT_SHARES] = {"shares",        "N",    "-n N: how many shares to make"                                                  },
    [OPT_SHARES_FILE] = {"shares-file",   "FILE",
                  "shares of the master keys that kerbadm needs, one a line (-: standard input)"                            },
    [OPT_YES] = {"yes",           NULL,   "do not ask whether to go on"                                                    },
    [OPT_MARKDOWN] = {"markdown",      NULL,   "as a Markdown reference"                                                        },
    [OPT_EXAMPLE] = {"example",       NULL,   "as a kerb.conf with all defaults"                                               },
};

struct command {
    const char *words, *arg; /* arg: NULL when it takes none */
    unsigned options;        /* bits that go with it, beside EVERYWHERE */
    unsigned needs;          /* at least one of these bits */
    const char *help;
    enum rc (*run)(struct admin *a);
};

/* clang-format off */
static const struct command commands[] = {
    /* words            argument   options                        needs         help                                                handler */
    {"init",           NULL,      BIT(OPT_REALM) | BIT(OPT_SEALED_ONLY) | BIT(OPT_UNSEAL_SHARES), 0,            "make a realm: keys, databases, the service chat", cmd_init},
    {"user add",       "NAME",    PASSWORD_BITS,                 0,            "add a user; asks for the password",                cmd_user_add},
    {"user passwd",    "NAME",    PASSWORD_BITS | BIT(OPT_CUT_OFF) | BIT(OPT_YES), 0,            "give a user another password",                     cmd_user_passwd},
    {"user disable",   "NAME",    0,                             0,            "let a user log in no more",       cmd_user_disable},
    {"user enable",    "NAME",    0,                             0,            "let a disabled user log in again",                     cmd_user_enable},
    {"user del",       "NAME",    0,                             0,            "delete a user for good",                           cmd_user_del},
    {"user list",      "[PREFIX]", 0,                            0,            "list the users, or those whose names begin so",                                  cmd_user_list},
    {"user show",      "NAME",    0,                             0,            "show one user",                                    cmd_user_show},
    {"user profiles",  "NAME PROFILES", 0,                       0,            "keep the keys of these profiles only (sealed)",    cmd_user_profiles},
    {"user code",      "NAME",    BIT(OPT_YES),                  0,            "print a code with which a user sets a new password; his vault is lost", cmd_user_code},
    {"user reset",     "NAME",    BIT(OPT_YES),                  0,            "the same as 'user code'",                          cmd_user_code},
    {"user cut-off",   "NAME",    0,                             0,            "make the tickets that a user has worthless (--remote)", cmd_remote_only},
    {"user grant",     "NAME",    0,                             0,            "the same as 'admin grant'",                        cmd_admin_grant},
    {"user revoke",    "NAME",    0,                             0,            "the same as 'admin revoke'",                       cmd_admin_revoke},
    {"chat kick",      "NAME",    0,                             0,            "end a user's sessions in the chat (--remote)",     cmd_remote_only},
    {"chat notice",    "TEXT",    0,                             0,            "tell everybody in the chat a text (--remote)",     cmd_remote_only},
    {"drain",          "DAEMON",  0,                             0,            "let a daemon finish and end: as, tgs, chat (--remote)", cmd_remote_only},
    {"shutdown",       "DAEMON",  0,                             0,            "let a daemon end at once (--remote)",              cmd_remote_only},
    {"invite",         NULL,      BIT(OPT_NAME),                 0,            "print a code with which somebody makes an account", cmd_invite},
    {"admin grant",    "NAME",    0,                             0,            "make a user an administrator",                     cmd_admin_grant},
    {"admin revoke",   "NAME",    0,                             0,            "take that back",                                   cmd_admin_revoke},
    {"admin code",     NULL,      BIT(OPT_NAME),                 0,            "print a code with which somebody becomes the first administrator", cmd_admin_code},
    {"report classic", NULL,      0,                             0,            "list who still has an unsalted classic key",       cmd_report_classic},
    {"user unlock",    "NAME",    0,                             0,            "forget the wrong passwords that slow a user's logins down", cmd_user_unlock},
    {"audit verify",   "[DAEMON]", 0,                            0,            "check that the audit logs are as they were written", cmd_audit_verify},
    {"audit show",     "[DAEMON]", BIT(OPT_CLIENT) | BIT(OPT_RESULT) | BIT(OPT_SINCE), 0, "print lines of the audit logs", cmd_audit_show},
    {"audit explain",  "OP_ID",   0,                             0,            "tell in words what came of a request, and of its ticket before and after", cmd_audit_explain},
    {"service add",    "NAME",    0,                             0,            "add a service with a random key",                  cmd_service_add},
    {"service list",   NULL,      0,                             0,            "list the services",                                cmd_service_list},
    {"service rotate", "NAME",    0,                             0,            "give a service, or the TGS (tgs), its next key",   cmd_service_rotate},
    {"service purge",  "NAME",    0,                             0,            "delete its old keys under which no ticket can live", cmd_service_purge},
    {"keytab list",    "FILE",    0,                             0,            "show what a keytab holds, without the keys",       cmd_keytab_list},
    {"keytab export",  "SERVICE", BIT(OPT_OUT) | BIT(OPT_FORCE), BIT(OPT_OUT), "write a service's keys to a keytab",               cmd_keytab_export},
    {"mkey list",      "DAEMON",  0,                             0,            "show the versions of a daemon's master key and what is sealed under each (as, tgs, chat)", cmd_mkey_list},
    {"mkey add",       "DAEMON",  0,                             0,            "make the next version; it seals nothing yet",      cmd_mkey_add},
    {"mkey use",       "DAEMON",  0,                             0,            "let the newest version seal from now on",          cmd_mkey_use},
    {"mkey rewrap",    "DAEMON",  0,                             0,            "seal anew what lies under older versions",         cmd_mkey_rewrap},
    {"mkey purge",     "DAEMON",  0,                             0,            "remove older versions, when nothing lies under them", cmd_mkey_purge},
    {"mkey split",     "DAEMON",  BIT(OPT_THRESHOLD) | BIT(OPT_SHARES), BIT(OPT_THRESHOLD), "make the next version from a secret in shares, printed once (-t T -n N)", cmd_mkey_split},
    {"unseal",         "DAEMON",  0,                             0,            "hand shares to a daemon that waits for them",      cmd_unseal},
    {"upgrade",        NULL,      0,                             0,            "bring a realm of an older kerb up to date: databases, services of the AS", cmd_upgrade},
    {"check",          NULL,      0,                             0,            "look for what is wrong with the state",            cmd_check},
    {"config",         NULL,      PRINT_BITS,                    PRINT_BITS,   "print all keys of kerb.conf",                      cmd_config},
};
/* clang-format on */

/* Two options that contradict each other. */
static const enum admin_option exclude[EXCLUDE_N][2] = {
    {OPT_STATE,         OPT_CONFIG },
    {OPT_PASSWORD_FILE, OPT_RANDOM },
    {OPT_MARKDOWN,      OPT_EXAMPLE}
};

/* --- help --- */

static void print_option(FILE *f, size_t i)
{
    int n = fprintf(f, "  --%s%s%s", options[i].name, options[i].value ? " " : "",
                    options[i].value ? options[i].value : "");
    (void)fprintf(f, "%*s%s\n", n < HELP_COLUMN ? HELP_COLUMN - n : 1, "", options[i].help);
}

static void print_options(FILE *f, unsigned bits)
{
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (bits & BIT(i))
            print_option(f, i);
}

static void print_command(FILE *f, const struct command *c)
{
    int n = fprintf(f, "  %s %s", c->words, c->arg ? c->arg : "");
    (void)fprintf(f, "%*s%s\n", n < HELP_COLUMN ? HELP_COLUMN - n : 1, "", c->help);
}

static void print_usage(FILE *f)
{
    (void)fputs("usage: kerbadm [OPTION...] COMMAND\n\ncommands:\n", f);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        print_command(f, &commands[i]);
    (void)fputs("\noptions of every command:\n", f);
    print_options(f, EVERYWHERE);
    (void)fputs("\n'kerbadm COMMAND --help' tells its own options.\n", f);
}

/* An unknown command: those that begin with its first word, or where all of them are told. */
static void say_unknown(char **words, int n)
{
    size_t len = strlen(words[0]);
    bool any = false;

    (void)fprintf(stderr, "kerbadm: there is no command '%s%s%s'", words[0], n > 1 ? " " : "", n > 1 ? words[1] : "");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strncmp(commands[i].words, words[0], len) != 0 || commands[i].words[len] != ' ')
            continue;
        (void)fputs(any ? "" : "; there are:\n", stderr);
        print_command(stderr, &commands[i]);
        any = true;
    }
    (void)fputs(any ? "" : "; 'kerbadm --help' lists them\n", stderr);
}

static void print_command_help(const struct command *c)
{
    (void)printf("usage: kerbadm [OPTION...] %s %s\n\n%s\n\noptions:\n", c->words, c->arg ? c->arg : "", c->help);
    print_options(stdout, c->options | EVERYWHERE);
}

/* --- the command line --- */

static bool parse_options(int argc, char **argv, struct admin *a)
{
    struct option table[OPT_COUNT + 1] = {0};
    int i = 0, found;

    for (size_t o = 0; o < OPT_COUNT; o++)
        table[o] =
            (struct option){.name = options[o].name, .has_arg = options[o].value ? required_argument : no_argument};
    while ((found = getopt_long(argc, argv, "t:n:", table, &i)) == 0 || found == 't' || found == 'n') {
        size_t o = found == 't' ? OPT_THRESHOLD : found == 'n' ? OPT_SHARES : (size_t)i;
        a->opt[o] = optarg ? optarg : "";
    }
    if (found != -1) /* getopt has told which one */
        (void)fputs("'kerbadm --help' lists the options, 'kerbadm COMMAND --help' those of a command\n", stderr);
    return found == -1;
}

/* The command of the first one or two words; *ret_used tells how many. */
static const struct command *find_command(char **words, int n, int *ret_used)
{
    char pair[64];

    for (int used = n < 2 ? n : 2; used > 0; used--) {
        int len = snprintf(pair, sizeof pair, used == 2 ? "%s %s" : "%s", words[0], used == 2 ? words[1] : "");
        if (len < 0 || (size_t)len >= sizeof pair)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
            if (strcmp(commands[i].words, pair) == 0) {
                *ret_used = used;
                return &commands[i];
            }
        }
    }
    return NULL;
}

static bool check_options(const struct admin *a, const struct command *c)
{
    unsigned given = 0;

    for (size_t i = 0; i < OPT_COUNT; i++)
        given |= a->opt[i] ? BIT(i) : 0;
    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (!(given & BIT(i) & ~(c->options | EVERYWHERE)))
            continue;
        (void)fprintf(stderr, "kerbadm: --%s does not go with '%s'\n", options[i].name, c->words);
        return false;
    }
    for (size_t i = 0; i < EXCLUDE_N; i++) {
        if (!a->opt[exclude[i][0]] || !a->opt[exclude[i][1]])
            continue;
        (void)fprintf(stderr, "kerbadm: --%s and --%s contradict each other\n", options[exclude[i][0]].name,
                      options[exclude[i][1]].name);
        return false;
    }
    if (!a->opt[OPT_REMOTE] && (a->opt[OPT_URL] || a->opt[OPT_LOGIN])) {
        (void)fprintf(stderr, "kerbadm: --url and --login go with --remote only\n");
        return false;
    }
    if (!c->needs || (given & c->needs))
        return true;
    (void)fprintf(stderr, "kerbadm: '%s' needs one of these:\n", c->words);
    print_options(stderr, c->needs);
    return false;
}

/* An argument in brackets may be left out. */
static bool is_optional(const struct command *c)
{
    return c->arg && c->arg[0] == '[';
}

/* How many arguments a command takes: one, or two with a blank between their names. */
static int arguments(const struct command *c)
{
    return !c->arg ? 0 : strchr(c->arg, ' ') ? 2 : 1;
}

/* The arguments, exactly as many as the command takes. */
static bool take_arguments(struct admin *a, const struct command *c, char **rest, int n)
{
    if (n == arguments(c) || (n == 0 && is_optional(c))) {
        a->arg = n > 0 ? rest[0] : NULL;
        a->arg2 = n > 1 ? rest[1] : NULL;
        return true;
    }
    (void)fprintf(stderr, "usage: kerbadm [OPTION...] %s %s\n", c->words, c->arg ? c->arg : "");
    return false;
}

static int run(struct admin *a, char **words, int n)
{
    int used = 0;
    const struct command *c = find_command(words, n, &used);

    if (a->opt[OPT_VERSION]) {
        (void)puts("kerbadm " KERB_VERSION);
        return EXIT_SUCCESS;
    }
    if (a->opt[OPT_HELP] && c) {
        print_command_help(c);
        return EXIT_SUCCESS;
    }
    if (a->opt[OPT_HELP]) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (!c) {
        n > 0 ? say_unknown(words, n) : print_usage(stderr);
        return EXIT_USAGE;
    }
    if (!check_options(a, c) || !take_arguments(a, c, words + used, n - used))
        return EXIT_USAGE;
    enum rc rc = a->opt[OPT_REMOTE] ? admin_remote(a, c->words) : c->run(a);
    if (!a->opt[OPT_REMOTE]) /* the realm has its own line about it */
        audit_record(a, c->words, rc);
    if (rc != RC_OK && !a->has_told)
        (void)admin_fail(a, rc, "%s: %s", c->words, rc_text(rc));
    return rc == RC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

enum rc cmd_config(struct admin *a)
{
    AUTO(buf_done) struct buf out = {0};

    TRY(a->opt[OPT_MARKDOWN] ? conf_markdown(&out) : conf_example(&out));
    return admin_print(a, &out);
}

int main(int argc, char **argv)
{
    struct admin a = {0};

    enum rc rc = lifecycle_setup();
    if (rc != RC_OK) {
        (void)admin_fail(&a, rc, "%s", rc_text(rc));
        return EXIT_FAILURE;
    }
    int status = parse_options(argc, argv, &a) ? run(&a, argv + optind, argc - optind) : EXIT_USAGE;
    buf_done(&a.config_path);
    buf_done(&a.shares);
    return status;
}
