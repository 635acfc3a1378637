/*
 * kerb: the user's command. Log in once, list and use tickets, change the password.
 *
 * Two tables say what there is: options, and commands with the options that go with them. Help is printed from both.
 * `kerb trace COMMAND` runs any of them and shows what goes over the wire. One thread.
 */
#include "client/cmd.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define BIT(option) (1U << (option))
#define EVERYWHERE                                                                                         \
    (BIT(OPT_HELP) | BIT(OPT_VERSION) | BIT(OPT_URL) | BIT(OPT_REALM) | BIT(OPT_CONFIG) | BIT(OPT_CACHE) | \
     BIT(OPT_CA_FILE))
#define HELP_COLUMN 28

static const struct {
    const char *name;
    char letter;              /* 0: none */
    const char *value, *help; /* value: NULL for a flag */
} options[OPT_COUNT] = {
    [OPT_HELP] = {"help",      'h', NULL,   "print this and exit"                                             },
    [OPT_VERSION] = {"version",   0,   NULL,   "print the version and exit"                                      },
    [OPT_URL] = {"url",       0,   "URL",  "where the realm is (else KERB_URL, else kerb.conf: [client] url)"},
    [OPT_REALM] = {"realm",     0,   "NAME", "the realm's name: another one is refused (KERB_REALM)"           },
    [OPT_CONFIG] = {"config",    0,   "FILE", "kerb.conf, wherever it is (KERB_CONFIG)"                         },
    [OPT_CACHE] = {"cache",     0,   "FILE", "where the tickets are kept (KERB_CCACHE)"                        },
    [OPT_CA_FILE] = {"ca-file",   0,   "FILE", "authorities to trust instead of the system's, PEM (KERB_CA_FILE)"},
    [OPT_JSON] = {"json",      0,   NULL,   "print JSON, for a script"                                        },
    [OPT_SILENT] = {"silent",    's', NULL,   "print nothing: the exit status tells whether the login is good"  },
    [OPT_LIFETIME] = {"lifetime",  0,   "TIME", "how long the login shall be good, e.g. 8h, 30m, 2d"              },
    [OPT_RENEWABLE] = {"renewable", 0,   NULL,   "let 'kerb renew' make it longer without the password"            },
    [OPT_CUT_OFF] = {"cut-off",   0,   NULL,   "make all logins and tickets of before worthless, everywhere"     },
    [OPT_CODE] = {"code",      0,   "CODE", "the one-time code that an administrator gave"                    },
};

struct command {
    const char *name, *arg; /* arg: for people, NULL when it takes none */
    int args_min, args_max;
    unsigned options; /* bits that go with it, beside EVERYWHERE */
    const char *help;
    int (*run)(struct cmd *c);
};

/* clang-format off */
static const struct command commands[] = {
    /* name       argument   min max  options                               help                                                  handler */
    {"login",    "[USER]",   0,  1,   BIT(OPT_LIFETIME) | BIT(OPT_RENEWABLE), "prove the password and keep the tickets",            cmd_login},
    {"list",     NULL,       0,  0,   BIT(OPT_JSON) | BIT(OPT_SILENT),       "show the tickets; fails when there is no good login", cmd_list},
    {"renew",    NULL,       0,  0,   0,                                     "make a renewable login last longer",                 cmd_renew},
    {"logout",   NULL,       0,  0,   0,                                     "wipe the tickets",                                   cmd_logout},
    {"ticket",   "SERVICE",  1,  1,   BIT(OPT_JSON),                         "get a ticket for a service and keep it",             cmd_ticket},
    {"passwd",   "[USER]",   0,  1,   BIT(OPT_CUT_OFF),                      "change the password",                                cmd_passwd},
    {"register", "[USER]",   0,  1,   BIT(OPT_CODE),                         "make an account, or set the password with a code",   cmd_register},
    {"chat",     "[ROOM]",   0,  1,   0,                                     "talk, in the terminal; /help in there tells more",   cmd_chat},
    {"send",     "ROOM [TEXT]", 1, 2, BIT(OPT_JSON),                         "send a text, or standard input, to an open room",    cmd_send},
    {"rooms",    NULL,       0,  0,   BIT(OPT_JSON),                         "list your rooms, and who of them is online",         cmd_rooms},
    {"history",  "ROOM",     1,  1,   BIT(OPT_JSON),                         "print the messages of an open room",                 cmd_history},
    {"search",   "ROOM TEXT", 2, 2,   BIT(OPT_JSON),                         "print messages of an open room with all the words",  cmd_search},
    {"vault",    "[recover|new]", 0, 1, 0,                                   "whether your shares can be kept with the chat",      cmd_vault},
};
/* clang-format on */

/* --- help --- */

static void print_help_line(FILE *f, int width, const char *help)
{
    (void)fprintf(f, "%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 1, "", help);
}

static void print_option(FILE *f, size_t i)
{
    char letter[8] = "    ";

    if (options[i].letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", options[i].letter);
    int n = fprintf(f, "  %s--%s%s%s", letter, options[i].name, options[i].value ? " " : "",
                    options[i].value ? options[i].value : "");
    print_help_line(f, n, options[i].help);
}

static void print_options(FILE *f, unsigned bits)
{
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (bits & BIT(i))
            print_option(f, i);
}

static void print_command(FILE *f, const struct command *c)
{
    int n = fprintf(f, "  %s%s%s", c->name, c->arg ? " " : "", c->arg ? c->arg : "");
    print_help_line(f, n, c->help);
}

static void print_usage(FILE *f)
{
    (void)fputs("usage: kerb [OPTION...] [trace] COMMAND\n\ncommands:\n", f);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        print_command(f, &commands[i]);
    print_help_line(f, fprintf(f, "  trace COMMAND ..."),
                    "any of them, and show what goes over the wire, without secrets");
    print_help_line(f, fprintf(f, "  help [COMMAND]"), "print this, or the help of a command, as --help does");
    (void)fputs("\noptions of every command:\n", f);
    print_options(f, EVERYWHERE);
    (void)fputs("\n'kerb COMMAND --help' tells its own options.\n", f);
}

static void print_command_help(const struct command *c)
{
    (void)printf("usage: kerb [OPTION...] [trace] %s%s%s\n\n%s\n\noptions:\n", c->name, c->arg ? " " : "",
                 c->arg ? c->arg : "", c->help);
    print_options(stdout, c->options | EVERYWHERE);
}

/* --- the command line --- */

static int option_of(int found, int index)
{
    for (int i = 0; found && i < OPT_COUNT; i++)
        if (options[i].letter == found)
            return i;
    return index;
}

static bool parse_options(int argc, char **argv, struct cmd *c)
{
    struct option table[OPT_COUNT + 1] = {0};
    int index = 0, found;

    for (size_t o = 0; o < OPT_COUNT; o++)
        table[o] =
            (struct option){.name = options[o].name, .has_arg = options[o].value ? required_argument : no_argument};
    while ((found = getopt_long(argc, argv, "hs", table, &index)) != -1) {
        if (found == '?') { /* getopt has told which one */
            (void)fputs("'kerb --help' lists the options, 'kerb COMMAND --help' those of a command\n", stderr);
            return false;
        }
        c->opt[option_of(found, index)] = optarg ? optarg : "";
    }
    return true;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool fits(const struct cmd *c, const struct command *command)
{
    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (!c->opt[i] || (BIT(i) & (command->options | EVERYWHERE)))
            continue;
        (void)fprintf(stderr, "kerb: --%s does not go with '%s'\n", options[i].name, command->name);
        return false;
    }
    if (c->args_n >= command->args_min && c->args_n <= command->args_max)
        return true;
    (void)fprintf(stderr, "usage: kerb [OPTION...] %s%s%s\n", command->name, command->arg ? " " : "",
                  command->arg ? command->arg : "");
    return false;
}

/* --- running --- */

static void on_trace(void *ctx, const char *line)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", line);
}

static int run(struct cmd *c, const struct command *command)
{
    const struct kerb_options o = {
        .url = c->opt[OPT_URL],
        .realm = c->opt[OPT_REALM],
        .config = c->opt[OPT_CONFIG],
        .ca_file = c->opt[OPT_CA_FILE],
        .cache = c->opt[OPT_CACHE],
        .trace = c->traces ? on_trace : NULL,
    };

    enum kerb_status status = kerb_open(&o, &c->k);
    int exit_status = status == KERB_OK ? command->run(c) : cmd_end(c, status);
    kerb_close(c->k);
    if (fflush(stdout) != 0 || ferror(stdout))
        return cmd_fail(EXIT_FAILURE, "standard output cannot be written");
    return exit_status;
}

static int choose(struct cmd *c, char **words, int n)
{
    bool is_help = n > 0 && strcmp(words[0], "help") == 0;
    if (is_help || (n > 0 && strcmp(words[0], "trace") == 0)) {
        c->traces = !is_help;
        words++;
        n--;
    }
    const struct command *command = n > 0 ? find_command(words[0]) : NULL;
    if (c->opt[OPT_VERSION]) {
        (void)puts("kerb " KERB_VERSION);
        return EXIT_SUCCESS;
    }
    if (c->opt[OPT_HELP] || (is_help && (command || n == 0))) {
        command ? print_command_help(command) : print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (!command) {
        if (n > 0)
            return cmd_fail(EXIT_USAGE, "there is no command '%s'; 'kerb --help' lists them", words[0]);
        print_usage(stderr);
        return EXIT_USAGE;
    }
    c->args = words + 1;
    c->args_n = n - 1;
    return fits(c, command) ? run(c, command) : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct rlimit no_core;
    struct cmd c = {0};

    (void)umask(S_IRWXG | S_IRWXO);
    (void)setrlimit(RLIMIT_CORE, &no_core); /* there are passwords in here */
    return parse_options(argc, argv, &c) ? choose(&c, argv + optind, argc - optind) : EXIT_USAGE;
}
