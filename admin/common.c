/* What the commands of kerbadm share. */
#include "admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum rc admin_fail(struct admin *a, enum rc rc, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)fputs("kerbadm: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    a->has_told = true;
    return rc;
}

const char *admin_config_path(struct admin *a)
{
    const char *state = a->opt[OPT_STATE] ? a->opt[OPT_STATE] : ADMIN_STATE_DEFAULT;
    enum rc rc = RC_OK;

    if (a->config_path.n == 0)
        rc = a->opt[OPT_CONFIG] ? buf_text(&a->config_path, a->opt[OPT_CONFIG])
                                : buf_printf(&a->config_path, "%s/" ADMIN_CONFIG_NAME, state);
    return rc == RC_OK ? buf_cstr(&a->config_path) : NULL;
}

/* --state names a directory whose kerb.conf may place the state elsewhere: then nobody can be sure what was meant. */
static enum rc check_state_option(struct admin *a)
{
    char *meant = NULL, *is = NULL;

    if (!a->opt[OPT_STATE])
        return RC_OK;
    meant = realpath(a->opt[OPT_STATE], NULL);
    is = realpath(a->conf.realm_state, NULL);
    bool same = meant && is && strcmp(meant, is) == 0;
    free(meant);
    free(is);
    if (same)
        return RC_OK;
    return admin_fail(a, RC_BAD_CONFIG, "%s/" ADMIN_CONFIG_NAME " places the state in %s; name the file with --config",
                      a->opt[OPT_STATE], a->conf.realm_state);
}

enum rc admin_load(struct admin *a)
{
    AUTO(buf_done) struct buf error = {0};
    const char *path = admin_config_path(a);

    if (!path)
        return RC_NO_MEMORY;
    if (access(path, F_OK) != 0)
        return admin_fail(a, RC_NOT_FOUND, "%s: %s ('kerbadm init' makes a realm)", path, strerror(errno));
    enum rc rc = conf_load(path, &a->conf, &error);
    if (rc != RC_OK) {
        const char *text = error.n ? buf_cstr(&error) : NULL;
        return text ? admin_fail(a, rc, "%s", text) : admin_fail(a, rc, "%s: %s", path, rc_text(rc));
    }
    return check_state_option(a);
}

enum rc admin_config_dir(struct admin *a, struct buf *ret)
{
    const char *path = admin_config_path(a), *slash = path ? strrchr(path, '/') : NULL;

    if (!path)
        return RC_NO_MEMORY;
    if (!slash)
        TRY(buf_text(ret, "."));
    else
        TRY(buf_add(ret, slice_of(path, slash == path ? 1 : (size_t)(slash - path))));
    return buf_cstr(ret) ? RC_OK : RC_NO_MEMORY;
}

enum rc admin_lock(struct admin *a)
{
    AUTO(buf_done) struct buf path = {0};

    TRY(admin_config_dir(a, &path));
    const char *dir = (char *)path.p;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        return admin_fail(a, RC_IO, "%s: cannot lock it: %s", dir, strerror(errno));
    return RC_OK; /* fd stays open, and with it the lock */
}

const char *const admin_own_services[ADMIN_OWN_N] = {"kerb/admin", "kerb/changepw"};

enum rc admin_name(struct admin *a, struct name *ret)
{
    return admin_name_of(a, a->arg, ret);
}

enum rc admin_name_of(struct admin *a, const char *text, struct name *ret)
{
    enum rc rc = name_parse(slice_text(text), ret);

    if (rc != RC_OK)
        return admin_fail(a, rc, "this is not a name: 1 to 64 characters, no control characters, no space at an end");
    return RC_OK;
}

static enum rc confirm(struct admin *a)
{
    char line[8];

    if (a->opt[OPT_YES] || !isatty(STDIN_FILENO))
        return RC_OK;
    (void)fputs("Go on? (y/N) ", stderr);
    if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y'))
        return RC_OK;
    return admin_fail(a, RC_STOPPED, "nothing was changed");
}

enum rc admin_warn_of_vault(struct admin *a, const struct name *user)
{
    (void)fprintf(stderr,
                  "kerbadm: under a new password the shares that %s has kept in the vault cannot be read any more, "
                  "unless %s still knows the old one ('kerb vault recover')\n",
                  user->s, user->s);
    return confirm(a);
}

enum rc admin_profiles(struct admin *a, const char *text, unsigned *ret)
{
    enum rc rc = conf_profiles_parse(text, ret);
    return rc == RC_OK ? rc : admin_fail(a, rc, "profiles are sealed, or classic, or sealed,classic");
}

/* The handle is gone, but the database's last words are kept. */
static enum rc tell_store(struct admin *a, enum rc rc, const char *part)
{
    const struct db none = {0};
    const char *words = db_error(&none);

    return admin_fail(a, rc, "%s/%s: %s%s%s ('kerbadm check' may tell more)", a->conf.realm_state, part, rc_text(rc),
                      words[0] ? ": " : "", words);
}

enum rc admin_open_as(struct admin *a, enum db_mode mode, struct as_store **ret)
{
    TRY(admin_unseal(a, "as"));
    enum rc rc = as_store_open(&a->conf, mode, ret);
    return rc == RC_OK ? RC_OK : tell_store(a, rc, "as");
}

enum rc admin_open_tgs(struct admin *a, enum db_mode mode, struct tgs_store **ret)
{
    TRY(admin_unseal(a, "tgs"));
    enum rc rc = tgs_store_open(&a->conf, mode, ret);
    return rc == RC_OK ? RC_OK : tell_store(a, rc, "tgs");
}

/* write() and not stdio: what is printed may be a password, and stdio keeps a copy. */
enum rc admin_print(struct admin *a, const struct buf *text)
{
    struct slice rest = buf_slice(text);

    while (rest.n) {
        ssize_t put = write(STDOUT_FILENO, rest.p, rest.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return admin_fail(a, RC_IO, "standard output: %s", strerror(errno));
        rest = slice_of(rest.p + put, rest.n - (size_t)put);
    }
    return RC_OK;
}

enum rc admin_print_json(struct admin *a, const struct jw *w)
{
    TRY(jw_end(w));
    TRY(buf_byte(w->out, '\n'));
    return admin_print(a, w->out);
}
