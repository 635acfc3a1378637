/*
 * kerb-shamir: split a secret into shares, and combine shares into the secret.
 *
 * The number that is split is the byte 01 followed by the secret, so that leading zeros come back; combine looks for
 * that byte. One thread. Secrets come on standard input and go to standard output, never through arguments.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "shamir/shamir.h"
#include "shamir/terminal.h"
#include "shared/base/base64.h"
#include "shared/base/text.h"
#include "shared/crypto/primitives.h"

enum exit_status { DONE = 0, FAILED = 1, USAGE = 2 };

#define SMALL_FIELD "2^255-19"
#define LARGE_FIELD "2^521-1"
#define MARK        0x01 /* in front of the secret */

static const char usage[] = "Usage: kerb-shamir split -t THRESHOLD -n SHARES [--field NAME] [--text]\n"
                            "       kerb-shamir combine [--field NAME] [--text]\n"
                            "\n"
                            "split reads a secret from standard input, one line of hexadecimal, and prints\n"
                            "one share a line. combine reads as many shares as the threshold, one a line, and\n"
                            "prints the secret. Fewer shares than the threshold say nothing about it.\n"
                            "\n"
                            "  -t, --threshold N  shares that are needed to get the secret back, 1 to 255\n"
                            "  -n, --shares N     shares to make, 1 to 255\n"
                            "  -f, --field NAME   2^127-1, 2^130-5, 2^255-19 or 2^521-1\n"
                            "                     (split: 2^255-19 for up to 31 bytes, else 2^521-1;\n"
                            "                     combine: 2^255-19 if every share fits it, else 2^521-1)\n"
                            "      --text         the secret is a line of text, not hexadecimal\n"
                            "  -h, --help         print this\n"
                            "      --version      print the version\n";

struct options {
    const char *command;
    const struct shamir_field *field; /* NULL: not given */
    uint64_t threshold, shares;
    bool is_text;
};

static int fail(const char *sentence)
{
    fprintf(stderr, "kerb-shamir: %s\n", sentence);
    return FAILED;
}

static int fail_rc(const char *what, enum rc rc)
{
    fprintf(stderr, "kerb-shamir: %s: %s\n", what, rc_text(rc));
    return FAILED;
}

/* Never repeats an argument: someone may have typed a secret there. */
static int wrong_usage(const char *sentence)
{
    fprintf(stderr, "kerb-shamir: %s\nTry 'kerb-shamir --help'.\n", sentence);
    return USAGE;
}

/* Takes the first line out of *rest, without its end. Returns false when nothing is left. */
static bool next_line(struct slice *rest, struct slice *ret)
{
    if (rest->n == 0)
        return false;
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    *ret = slice_of(rest->p, n);
    *rest = slice_of(rest->p + n + (end ? 1 : 0), rest->n - n - (end ? 1 : 0));
    return true;
}

/* One line of UTF-8 that a terminal shows as it is: no control characters but the tab. */
static bool is_plain_text(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f || (i && s.p[i - 1] == 0xc2 && s.p[i] < 0xa0))
            return false;
    return utf8_valid(s);
}

/* The number as a field element: 01, secret, on the right side of `value`. Errors: LIMIT (does not fit). */
static enum rc pack(const struct shamir_field *f, struct slice secret, uint8_t value[SHAMIR_VALUE_MAX])
{
    size_t len = shamir_value_len(f);

    if (secret.n + 1 > len)
        return RC_LIMIT;
    memset(value, 0, SHAMIR_VALUE_MAX);
    value[len - secret.n - 1] = MARK;
    memcpy(value + len - secret.n, secret.p, secret.n);
    return RC_OK;
}

/* The bytes behind the 01, borrowed. Returns false when the 01 is not there. */
static bool unpack(const struct shamir_field *f, const uint8_t *value, struct slice *ret)
{
    size_t len = shamir_value_len(f), i = 0;

    while (i < len && value[i] == 0)
        i++;
    if (i + 1 >= len || value[i] != MARK)
        return false;
    *ret = slice_of(value + i + 1, len - i - 1);
    return true;
}

struct work {
    struct shamir_share shares[SHAMIR_SHARES_MAX];
    uint8_t value[SHAMIR_VALUE_MAX];
};

static void work_done(struct work *w)
{
    wipe(w, sizeof(*w));
}

/* The secret's bytes from the one line of input. Returns an exit status. */
static int read_secret(const struct options *o, struct buf *ret)
{
    AUTO(buf_done) struct buf input = {0};
    struct slice line;

    enum rc rc = input_read(o->is_text ? "Secret (one line of text, not shown):" : "Secret (hexadecimal, not shown):",
                            INPUT_ONE_LINE, &input);
    if (rc != RC_OK)
        return fail_rc("cannot read the secret", rc);
    struct slice rest = buf_slice(&input);
    if (!next_line(&rest, &line) || line.n == 0)
        return fail("the secret is empty");
    if (rest.n)
        return fail("the secret has more than one line");
    if (o->is_text && !is_plain_text(line))
        return fail("the secret is not a line of UTF-8 text: give it in hexadecimal");
    rc = o->is_text ? buf_add(ret, line) : hex_decode(line, ret);
    if (rc == RC_MALFORMED)
        return fail("the secret is not hexadecimal with two digits a byte (for text, say --text)");
    return rc == RC_OK ? DONE : fail_rc("cannot take the secret", rc);
}

static int cmd_split(const struct options *o)
{
    AUTO(buf_done) struct buf secret = {0}, out = {0};
    AUTO(work_done) struct work w = {0};
    const struct shamir_field *f = o->field;

    int status = read_secret(o, &secret);
    if (status != DONE)
        return status;
    if (!f)
        f = shamir_field_named(secret.n < shamir_value_len(shamir_field_named(SMALL_FIELD)) ? SMALL_FIELD
                                                                                            : LARGE_FIELD);
    enum rc rc = pack(f, buf_slice(&secret), w.value);
    if (rc == RC_OK)
        rc = shamir_split(f, w.value, (unsigned)o->threshold, (unsigned)o->shares, w.shares);
    if (rc == RC_LIMIT || rc == RC_MALFORMED) /* one byte too many, or exactly the prime */
        return fail("the secret does not fit the field");
    for (size_t i = 0; i < o->shares && rc == RC_OK; i++) {
        rc = shamir_share_text(f, &w.shares[i], &out);
        if (rc == RC_OK)
            rc = buf_byte(&out, '\n');
    }
    if (rc == RC_OK)
        rc = output_write(buf_slice(&out));
    return rc == RC_OK ? DONE : fail_rc("cannot split", rc);
}

/* Every line is a share of the field; blank lines are passed over. Returns the number of a bad line, or 0. */
static size_t parse_shares(const struct shamir_field *f, struct slice input, struct work *w, size_t *ret_n)
{
    struct slice line;
    size_t n = 0;

    for (size_t number = 1; next_line(&input, &line); number++) {
        if (line.n == 0)
            continue;
        if (n == SHAMIR_SHARES_MAX || shamir_share_parse(f, line, &w->shares[n]) != RC_OK)
            return number;
        n++;
    }
    *ret_n = n;
    return 0;
}

/* The number of the line whose index an earlier line has, or 0. */
static size_t repeated_line(const struct shamir_field *f, struct slice input)
{
    AUTO(shamir_share_done) struct shamir_share s = {0};
    bool seen[SHAMIR_SHARES_MAX + 1] = {false};
    struct slice line;

    for (size_t number = 1; next_line(&input, &line); number++) {
        if (shamir_share_parse(f, line, &s) != RC_OK)
            continue;
        if (seen[s.index])
            return number;
        seen[s.index] = true;
    }
    return 0;
}

static int fail_line(size_t number, const char *why)
{
    fprintf(stderr, "kerb-shamir: line %zu: %s\n", number, why);
    return FAILED;
}

static int print_secret(const struct options *o, struct slice secret)
{
    AUTO(buf_done) struct buf out = {0};

    if (o->is_text && !is_plain_text(secret))
        return fail("the shares give no text: too few or foreign shares, or a secret that was given in hexadecimal");
    enum rc rc = o->is_text ? buf_add(&out, secret) : hex_encode(secret, &out);
    if (rc == RC_OK)
        rc = buf_byte(&out, '\n');
    if (rc == RC_OK)
        rc = output_write(buf_slice(&out));
    return rc == RC_OK ? DONE : fail_rc("cannot print the secret", rc);
}

static int cmd_combine(const struct options *o)
{
    AUTO(buf_done) struct buf input = {0};
    AUTO(work_done) struct work w = {0};
    const struct shamir_field *f = o->field ? o->field : shamir_field_named(SMALL_FIELD);
    struct slice secret;
    size_t n = 0;

    enum rc rc = input_read("Shares (one a line, not shown; an empty line ends):", INPUT_EMPTY_LINE, &input);
    if (rc != RC_OK)
        return fail_rc("cannot read the shares", rc);
    size_t bad = parse_shares(f, buf_slice(&input), &w, &n);
    if (bad && !o->field) { /* shares of the large field that all fit the small one do not happen by chance */
        f = shamir_field_named(LARGE_FIELD);
        bad = parse_shares(f, buf_slice(&input), &w, &n);
    }
    if (bad)
        return fail_line(bad, "not a share (number from 1 to 255, '-', lower-case hexadecimal that fits the field)");
    if (n == 0)
        return fail("no shares");
    bad = repeated_line(f, buf_slice(&input));
    if (bad)
        return fail_line(bad, "an earlier line has a share of this number");
    rc = shamir_combine(f, w.shares, n, w.value);
    if (rc != RC_OK)
        return fail_rc("cannot combine", rc);
    if (!unpack(f, w.value, &secret))
        return fail("too few or foreign shares");
    return print_secret(o, secret);
}

/* Returns true to go on; else *ret_exit is the exit status. */
static bool parse_options(int argc, char **argv, struct options *o, int *ret_exit)
{
    static const struct option longs[] = {
        {"threshold", required_argument, NULL, 't'},
        {"shares",    required_argument, NULL, 'n'},
        {"field",     required_argument, NULL, 'f'},
        {"text",      no_argument,       NULL, 'x'},
        {"help",      no_argument,       NULL, 'h'},
        {"version",   no_argument,       NULL, 'V'},
        {NULL,        0,                 NULL, 0  },
    };
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "t:n:f:h", longs, NULL)) != -1) {
        const char *wrong = NULL;
        if (c == 't' && parse_u64(slice_text(optarg), SHAMIR_SHARES_MAX, &o->threshold) != RC_OK)
            wrong = "the threshold must be a number from 1 to 255";
        else if (c == 'n' && parse_u64(slice_text(optarg), SHAMIR_SHARES_MAX, &o->shares) != RC_OK)
            wrong = "the number of shares must be from 1 to 255";
        else if (c == 'f' && !(o->field = shamir_field_named(optarg)))
            wrong = "the field must be 2^127-1, 2^130-5, 2^255-19 or 2^521-1";
        else if (c == '?')
            wrong = "unknown option, or an option without its value";
        if (wrong) {
            *ret_exit = wrong_usage(wrong);
            return false;
        }
        if (c == 'x')
            o->is_text = true;
        if (c == 'h' || c == 'V') {
            *ret_exit = fputs(c == 'h' ? usage : "kerb-shamir " KERB_VERSION "\n", stdout) < 0 ? FAILED : DONE;
            return false;
        }
    }
    o->command = optind < argc ? argv[optind++] : "";
    if (optind < argc) {
        *ret_exit = wrong_usage("too many arguments; secrets and shares are read from standard input");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    int status;

    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return fail("cannot keep secrets out of a core file");
    if (!parse_options(argc, argv, &o, &status))
        return status;
    enum rc rc = crypto_setup();
    if (rc != RC_OK)
        return fail_rc("cannot start", rc);

    if (strcmp(o.command, "split") == 0) {
        if (o.threshold < 1 || o.shares < o.threshold)
            return wrong_usage("split needs -t THRESHOLD and -n SHARES, 1 <= THRESHOLD <= SHARES <= 255");
        return cmd_split(&o);
    }
    if (strcmp(o.command, "combine") == 0) {
        if (o.threshold || o.shares)
            return wrong_usage("combine takes no -t and no -n: it uses all shares that it reads");
        return cmd_combine(&o);
    }
    return wrong_usage("the command is split or combine");
}
