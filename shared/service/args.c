/* The command line that all daemons share. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "shared/service/conf.h"

enum { OPT_CONFIG = 1, OPT_CHECK, OPT_UNSEAL, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    {"config",       required_argument, NULL, OPT_CONFIG },
    {"check-config", no_argument,       NULL, OPT_CHECK  },
    {"unseal",       no_argument,       NULL, OPT_UNSEAL },
    {"version",      no_argument,       NULL, OPT_VERSION},
    {"help",         no_argument,       NULL, OPT_HELP   },
    {NULL,           0,                 NULL, 0          },
};

static const char *program_name(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    return slash ? slash + 1 : argv0 ? argv0 : "kerb";
}

static void print_usage(FILE *to, const char *program)
{
    (void)fprintf(to, "usage: %s --config FILE [--check-config] [--unseal]\n", program);
}

static void print_help(const char *program, const char *summary)
{
    (void)printf("%s: %s\n\n", program, summary);
    print_usage(stdout, program);
    (void)printf(
        "\n"
        "  --config FILE    the configuration, usually STATE/kerb.conf\n"
        "  --check-config   read it, say what is wrong, and end\n"
        "  --unseal         the master key comes from shares: wait for them (kerbadm unseal)\n"
        "  --version        print the version and end\n"
        "  --help           print this and end\n\n"
        "Runs in the foreground and logs to standard error. SIGTERM ends it in order, SIGHUP re-reads keys.\n");
}

static bool done(int *ret_exit, int status)
{
    *ret_exit = status;
    return false;
}

bool daemon_args_parse(int argc, char **argv, const char *summary, struct daemon_args *ret, int *ret_exit)
{
    const char *program = program_name(argc > 0 ? argv[0] : NULL);
    struct daemon_args args = {0};
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case OPT_CONFIG:
            args.config = optarg;
            break;
        case OPT_CHECK:
            args.check_only = true;
            break;
        case OPT_UNSEAL:
            args.unseal = true;
            break;
        case OPT_VERSION:
            (void)printf("%s %s\n", program, KERB_VERSION);
            return done(ret_exit, 0);
        case OPT_HELP:
            print_help(program, summary);
            return done(ret_exit, 0);
        default:
            print_usage(stderr, program);
            return done(ret_exit, 2);
        }
    }
    if (optind < argc || !args.config) {
        if (optind < argc)
            (void)fprintf(stderr, "%s: '%s' is one word too many\n", program, argv[optind]);
        print_usage(stderr, program);
        return done(ret_exit, 2);
    }
    *ret = args;
    return true;
}
