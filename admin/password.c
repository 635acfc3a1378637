/* Passwords: asked, read or drawn. */
#include "admin/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/policy.h"
#include "shared/crypto/box.h"
#include "shared/service/terminal.h"

/* 32 letters that nobody mistakes for each other (no i, l, o, u), in groups: 25 of them are 125 bits. */
static const char random_alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
#define RANDOM_GROUPS  5
#define RANDOM_LETTERS 5 /* of a group */

static void fd_done(int *fd)
{
    if (*fd > STDERR_FILENO)
        (void)close(*fd);
}

static enum rc draw(struct buf *out)
{
    uint8_t bytes[RANDOM_GROUPS * RANDOM_LETTERS];
    enum rc rc = random_bytes(bytes, sizeof bytes);

    for (size_t i = 0; rc == RC_OK && i < sizeof bytes; i++) {
        if (i && i % RANDOM_LETTERS == 0)
            rc = buf_byte(out, '-');
        if (rc == RC_OK)
            rc = buf_byte(out, (uint8_t)random_alphabet[bytes[i] & 31]);
    }
    wipe(bytes, sizeof bytes);
    return rc;
}

static enum rc ask_once(struct admin *a, const char *prompt, struct buf *out)
{
    enum rc rc = terminal_ask(prompt, PASSWORD_MAX, out);

    if (rc == RC_NOT_FOUND)
        return admin_fail(a, RC_IO, "no terminal to ask for the password: use --password-file or --random");
    return rc == RC_IO ? admin_fail(a, rc, "cannot read the password: %s", strerror(errno)) : rc;
}

/* The rules without which there are no keys. */
static enum rc check(struct admin *a, struct slice password)
{
    if (password.n == 0)
        return admin_fail(a, RC_MALFORMED, "the password is empty");
    if (password.n > PASSWORD_MAX)
        return admin_fail(a, RC_MALFORMED, "the password is longer than %d bytes", PASSWORD_MAX);
    if (!utf8_valid(password))
        return admin_fail(a, RC_MALFORMED, "the password is not valid UTF-8");
    return RC_OK;
}

/* Twice, on the terminal. */
static enum rc ask(struct admin *a, const struct name *user, struct buf *out)
{
    AUTO(buf_done) struct buf prompt = {0}, again = {0};

    TRY(buf_printf(&prompt, "Password of %s: ", user->s));
    const char *text = buf_cstr(&prompt);
    if (!text)
        return RC_NO_MEMORY;
    TRY(ask_once(a, text, out));
    TRY(check(a, buf_slice(out)));
    TRY(ask_once(a, "The same once more: ", &again));
    if (out->n != again.n || !ct_equal(out->p, again.p, again.n))
        return admin_fail(a, RC_MALFORMED, "the two passwords are not the same; nothing was changed");
    return RC_OK;
}

static void warn_when_readable(const char *path, int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)))
        (void)fprintf(stderr, "kerbadm: warning: other users may read %s\n", path);
}

/* The first line without its end; what follows is not looked at. */
static enum rc read_line(struct admin *a, const char *path, struct buf *out)
{
    bool is_stdin = strcmp(path, "-") == 0;
    AUTO(fd_done) int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return admin_fail(a, RC_IO, "%s: %s", path, strerror(errno));
    if (!is_stdin)
        warn_when_readable(path, fd);
    enum rc rc = terminal_line(fd, PASSWORD_MAX, out);
    if (rc == RC_IO)
        return admin_fail(a, rc, "%s: %s", path, strerror(errno));
    TRY(rc);
    return check(a, buf_slice(out));
}

/* What kerb tells who chooses such a password; the handle is there for the sentence alone. */
static void warn_when_weak(const struct name *user, struct slice password)
{
    struct kerb k = {0};

    client_begin(&k);
    if (client_end(&k, policy_check(&k, user, password)) != KERB_OK)
        (void)fprintf(stderr, "kerbadm: warning: '%s' could not choose this password with kerb: %s\n", user->s,
                      kerb_error(&k));
    buf_done(&k.error);
}

enum rc password_get(struct admin *a, const struct name *user, struct buf *ret)
{
    AUTO(buf_done) struct buf password = {0};

    if (a->opt[OPT_RANDOM])
        TRY(draw(&password));
    else if (a->opt[OPT_PASSWORD_FILE])
        TRY(read_line(a, a->opt[OPT_PASSWORD_FILE], &password));
    else
        TRY(ask(a, user, &password));
    warn_when_weak(user, buf_slice(&password));
    buf_done(ret);
    *ret = buf_take(&password);
    return RC_OK;
}

static enum rc sealed_key(struct admin *a, const struct name *user, struct slice password, struct as_keys *keys)
{
    TRY(userkey_params_make((uint32_t)a->conf.policy_pbkdf2_iterations, &keys->params));
    return userkey_derive(password, &a->conf.realm, user, &keys->params, &keys->sealed);
}

enum rc password_keys(struct admin *a, const struct name *user, struct slice password, struct as_keys *ret)
{
    unsigned profiles = conf_profiles(&a->conf);

    *ret = (struct as_keys){0};
    if (profiles & PROFILE_SEALED)
        TRY(sealed_key(a, user, password, ret));
    if (!(profiles & PROFILE_CLASSIC))
        return RC_OK;
    ret->classic = (struct key){.etype = ETYPE_AES128_CBC, .n = BOX_KEY};
    return box_password_key(password, ret->classic.bytes);
}
