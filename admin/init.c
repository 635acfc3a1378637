/*
 * kerbadm init: a realm from nothing, or nothing at all.
 *
 * What is there is looked at first: a finished realm or a half-made one is refused and left alone. From then on every
 * file of the table that exists is ours, so a failure takes it away again. Signals wait until that is settled; after a
 * SIGKILL or a power cut the next init tells what it finds.
 */
#include "admin/admin.h"
#include "admin/password.h"
#include "shared/unseal/place.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF_MODE  0644 /* no secret in it, and three users read it */
#define FIRST_KVNO 1

static const char *const folders[] = {"as", "tgs", "chat"};

static const struct {
    const char *path;
    enum { MADE, SHARES, LATER } when; /* SHARES: made in place of master.key; LATER: appears when a daemon runs */
} files[] = {
    {"as/master.key",      MADE  },
    {"as/as.db",           MADE  },
    {"tgs/master.key",     MADE  },
    {"tgs/tgs.db",         MADE  },
    {ADMIN_TGS_KEYTAB,     MADE  },
    {ADMIN_AS_KEYTAB,      MADE  },
    {ADMIN_CHAT_MASTER,    MADE  },
    {ADMIN_CHAT_KEYTAB,    MADE  },
    {"chat/chat.db",       LATER },
    {"as/replay",          LATER },
    {"tgs/replay",         LATER },
    {"chat/replay",        LATER },
    {"as/master.shares",   SHARES},
    {"tgs/master.shares",  SHARES},
    {"chat/master.shares", SHARES},
};

/* What init has made so far and takes away again when it fails. */
struct made {
    bool config_dir, config, state_dir, folder[ARRAY_LEN(folders)];
    bool surveyed; /* nothing of files[] was there before us */
    struct admin_split split;
    struct buf shares[ARRAY_LEN(folders)]; /* one a line */
};

static void made_done(struct made *made)
{
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        buf_done(&made->shares[i]);
}

/* In doubt it is: what is there is never taken away. */
static bool is_there(const struct conf *conf, const char *sub)
{
    AUTO(str_done) char *path = NULL;
    struct stat st;

    return conf_path(conf, sub, &path) != RC_OK || lstat(path, &st) == 0 || errno != ENOENT;
}

/* Makes a directory that may be there. */
static enum rc make_dir(struct admin *a, const char *path, bool *ret_made)
{
    if (mkdir(path, 0700) == 0) {
        *ret_made = true;
        return RC_OK;
    }
    return errno == EEXIST ? RC_OK : admin_fail(a, RC_IO, "%s: %s", path, strerror(errno));
}

/* Only what differs from the defaults: they stand in the reference, and a later program may choose better ones. */
static enum rc write_config(struct admin *a, const char *path, struct made *made)
{
    AUTO(buf_done) struct buf text = {0};
    struct name realm;

    if (access(path, F_OK) == 0)
        return RC_OK;
    conf_default(&a->conf);
    const char *wanted = a->opt[OPT_REALM] ? a->opt[OPT_REALM] : a->conf.realm_name;
    if (name_parse(slice_text(wanted), &realm) != RC_OK)
        return admin_fail(a, RC_MALFORMED,
                          "this cannot be the name of a realm: 1 to 64 characters, no control "
                          "characters, no space at an end");
    TRY(buf_printf(&text,
                   "# Only what differs from the defaults; all keys: kerbadm config --example\n[realm]\nname = %s\n",
                   realm.s));
    if (a->opt[OPT_SEALED_ONLY])
        TRY(buf_text(&text, "profiles = sealed\n"));
    if (a->opt[OPT_UNSEAL_SHARES])
        TRY(buf_text(&text, "\n[as]\nmaster = shares\n\n[tgs]\nmaster = shares\n\n[chat]\nmaster = shares\n"));
    made->config = true;
    enum rc rc = file_write_atomic(path, buf_slice(&text), CONF_MODE);
    return rc == RC_OK ? RC_OK : admin_fail(a, rc, "%s: %s", path, rc_text(rc));
}

/* Shares are asked for when, and only when, the file lets every master key come from them. */
static enum rc check_shares(struct admin *a)
{
    const char *const sources[] = {a->conf.as_master, a->conf.tgs_master, a->conf.chat_master};

    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        bool is_shares = strcmp(sources[i], "shares") == 0;
        if (is_shares && !a->opt[OPT_UNSEAL_SHARES])
            return admin_fail(a, RC_BAD_CONFIG, "[%s] master = shares: say how many with --unseal-shares", folders[i]);
        if (!is_shares && a->opt[OPT_UNSEAL_SHARES])
            return admin_fail(a, RC_BAD_CONFIG, "%s has other master keys: write 'master = shares' into [%s]",
                              admin_config_path(a), folders[i]);
    }
    return RC_OK;
}

/* What was asked for and what the file says must be the same, also when we wrote it: "a ; b" is cut at its comment. */
static enum rc check_realm(struct admin *a)
{
    struct name wanted;

    if (a->opt[OPT_SEALED_ONLY] && conf_profiles(&a->conf) != PROFILE_SEALED)
        return admin_fail(a, RC_BAD_CONFIG, "%s allows other profiles: write 'profiles = sealed' into [realm]",
                          admin_config_path(a));
    TRY(check_shares(a));
    if (!a->opt[OPT_REALM])
        return RC_OK;
    TRY(name_parse(slice_text(a->opt[OPT_REALM]), &wanted));
    if (slice_eq(name_slice(&wanted), name_slice(&a->conf.realm)))
        return RC_OK;
    return admin_fail(a, RC_BAD_CONFIG, "%s names the realm '%s', not '%s'", admin_config_path(a), a->conf.realm.s,
                      wanted.s);
}

/* With shares, or as a credential, a master key is no file of the state. */
static bool is_needed(const struct admin *a, const char *path, bool is_made)
{
    const char *const sources[] = {a->conf.as_master, a->conf.tgs_master, a->conf.chat_master};

    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        size_t n = strlen(folders[i]);
        if (strncmp(path, folders[i], n) == 0 && strcmp(path + n, "/" MASTER_FILE_NAME) == 0)
            return strcmp(sources[i], "file") == 0;
    }
    return is_made;
}

/* Refuses a state that is there, and says which kind it is. */
static enum rc survey(struct admin *a, const struct made *made)
{
    AUTO(buf_done) struct buf has = {0}, lacks = {0};
    const char *state = a->conf.realm_state;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        bool there = is_there(&a->conf, files[i].path);
        if (there)
            TRY(buf_printf(&has, " %s", files[i].path));
        else if (is_needed(a, files[i].path, files[i].when == MADE))
            TRY(buf_printf(&lacks, " %s", files[i].path));
    }
    if (has.n == 0)
        return RC_OK;
    if (made->config) /* so it was not there */
        TRY(buf_text(&lacks, " " ADMIN_CONFIG_NAME));
    if (lacks.n == 0)
        return admin_fail(a, RC_EXISTS, "there is a realm in %s already; nothing was changed", state);
    if (!buf_cstr(&has) || !buf_cstr(&lacks))
        return RC_NO_MEMORY;
    return admin_fail(a, RC_EXISTS,
                      "%s is half made: it has%s, but not%s. Nothing was changed. Move it away, or restore what is "
                      "missing from a backup",
                      state, (char *)has.p, (char *)lacks.p);
}

static enum rc make_folders(struct admin *a, struct made *made)
{
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        AUTO(str_done) char *path = NULL;
        TRY(conf_path(&a->conf, folders[i], &path));
        TRY(make_dir(a, path, &made->folder[i]));
        enum rc rc = dir_check_private(path);
        if (rc != RC_OK)
            return admin_fail(a, rc, "%s: %s; it must be its daemon's alone (0700)", path, rc_text(rc));
    }
    return RC_OK;
}

/* One step of the making, told with the file it was about. */
static enum rc tell(struct admin *a, enum rc rc, const char *sub)
{
    if (rc == RC_OK || a->has_told)
        return rc;
    return admin_fail(a, rc, "%s/%s: %s", a->conf.realm_state, sub, rc_text(rc));
}

/* In folders[i]: a file, or shares, which are printed when all is made. */
static enum rc make_master(struct admin *a, size_t i, struct made *made)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(buf_done) struct buf path = {0};

    TRY(master_place_of(&a->conf, folders[i], &place));
    if (place.source == MASTER_SHARES)
        return admin_split(a, folders[i], &made->split, &made->shares[i]);
    if (place.source == MASTER_CREDENTIAL)
        return RC_OK; /* somebody else's work */
    TRY(buf_printf(&path, "%s/" MASTER_FILE_NAME, place.dir));
    const char *name = buf_cstr(&path);
    return name ? tell(a, master_create(name), folders[i]) : RC_NO_MEMORY;
}

static enum rc save_single(struct admin *a, const char *sub, const struct name *principal, const struct key *key)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(str_done) char *path = NULL;

    TRY(conf_path(&a->conf, sub, &path));
    TRY(keytab_new(&kt));
    TRY(keytab_add(kt, principal, key));
    return tell(a, keytab_save(kt, path), sub);
}

static enum rc make_as(struct admin *a)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(key_done) struct key key = {0};
    struct name tgs;

    TRY(name_parse(slice_text(AS_TGS_NAME), &tgs));
    TRY(admin_open_as(a, DB_CREATE, &s));
    TRY(key_random(ETYPE_AES128_CBC_HS256, FIRST_KVNO, clock_s(), &key));
    TRY(tell(a, as_store_add_tgs_key(s, &key), "as/as.db"));
    return save_single(a, ADMIN_TGS_KEYTAB, &tgs, &key);
}

/* What the AS itself serves. */
static enum rc make_own_services(struct admin *a, struct tgs_store *s)
{
    AUTO(keytab_done) struct keytab *kt = NULL;
    AUTO(str_done) char *path = NULL;

    TRY(conf_path(&a->conf, ADMIN_AS_KEYTAB, &path));
    TRY(keytab_new(&kt));
    for (size_t i = 0; i < ADMIN_OWN_N; i++) {
        AUTO(key_done) struct key key = {0};
        struct name name;
        TRY(name_parse(slice_text(admin_own_services[i]), &name));
        TRY(tell(a, tgs_store_add(s, &name, clock_s(), &key), "tgs/tgs.db"));
        TRY(keytab_add(kt, &name, &key));
    }
    return tell(a, keytab_save(kt, path), ADMIN_AS_KEYTAB);
}

static enum rc make_tgs(struct admin *a)
{
    AUTO(tgs_store_done) struct tgs_store *s = NULL;
    AUTO(key_done) struct key key = {0};
    struct name chat;

    if (name_parse(slice_text(a->conf.chat_service), &chat) != RC_OK)
        return admin_fail(a, RC_BAD_CONFIG, "[chat] service = '%s' is not a name", a->conf.chat_service);
    TRY(admin_open_tgs(a, DB_CREATE, &s));
    TRY(tell(a, tgs_store_add(s, &chat, clock_s(), &key), "tgs/tgs.db"));
    TRY(make_own_services(a, s));
    return save_single(a, ADMIN_CHAT_KEYTAB, &chat, &key);
}

static enum rc make_all(struct admin *a, const char *dir, struct made *made)
{
    TRY(make_dir(a, dir, &made->config_dir));
    TRY(admin_lock(a));
    TRY(write_config(a, admin_config_path(a), made));
    TRY(admin_load(a));
    TRY(check_realm(a));
    TRY(make_dir(a, a->conf.realm_state, &made->state_dir));
    TRY(survey(a, made));
    made->surveyed = true;
    TRY(make_folders(a, made));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        TRY(make_master(a, i, made));
    TRY(make_as(a));
    return make_tgs(a);
}

static void remove_file(const struct conf *conf, const char *sub, const char *suffix)
{
    AUTO(buf_done) struct buf path = {0};

    if (buf_printf(&path, "%s/%s%s", conf->realm_state, sub, suffix) == RC_OK && buf_cstr(&path))
        (void)unlink((char *)path.p);
}

static void undo(struct admin *a, const char *dir, const struct made *made)
{
    for (size_t i = 0; made->surveyed && i < ARRAY_LEN(files); i++) {
        if (files[i].when == LATER)
            continue;
        remove_file(&a->conf, files[i].path, "");
        remove_file(&a->conf, files[i].path, "-wal");
        remove_file(&a->conf, files[i].path, "-shm");
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        AUTO(str_done) char *path = NULL;
        if (made->folder[i] && conf_path(&a->conf, folders[i], &path) == RC_OK)
            (void)rmdir(path);
    }
    if (made->state_dir)
        (void)rmdir(a->conf.realm_state);
    if (made->config)
        (void)unlink(admin_config_path(a));
    if (made->config_dir)
        (void)rmdir(dir);
}

/* The name on a line of the terminal; empty: none. */
static enum rc ask_admin_name(struct admin *a, struct name *ret)
{
    char line[NAME_MAX_BYTES + 2];

    ret->n = 0;
    (void)fputs("Name of the first administrator (empty: none): ", stderr);
    if (!fgets(line, sizeof line, stdin))
        return RC_OK;
    line[strcspn(line, "\n")] = 0;
    return line[0] ? admin_name_of(a, line, ret) : RC_OK;
}

static enum rc add_admin(struct admin *a, const struct name *name, struct slice password)
{
    AUTO(as_store_done) struct as_store *s = NULL;
    AUTO(as_keys_done) struct as_keys keys = {0};

    TRY(password_keys(a, name, password, &keys));
    TRY(admin_open_as(a, DB_WRITE, &s));
    TRY(admin_tell_user(a, as_store_add(s, name, &keys, clock_s()), s, name));
    return admin_tell_user(a, as_store_set_admin(s, name, true), s, name);
}

/* The realm stands whatever happens here: 'admin code' makes the first administrator later. */
static enum rc first_admin(struct admin *a)
{
    AUTO(buf_done) struct buf password = {0};
    struct name name;

    if (a->opt[OPT_JSON] || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return RC_OK;
    TRY(ask_admin_name(a, &name));
    if (name.n == 0)
        return RC_OK;
    TRY(password_get(a, &name, &password));
    return add_admin(a, &name, buf_slice(&password));
}

static enum rc show(struct admin *a, const struct made *made)
{
    AUTO(buf_done) struct buf out = {0};
    const char *config = admin_config_path(a);

    if (!a->opt[OPT_JSON]) {
        TRY(buf_printf(&out, "realm %s is made in %s\n", a->conf.realm.s, a->conf.realm_state));
        TRY(buf_printf(&out, "next: kerbadm --config %s user add NAME\n", config));
        TRY(admin_print(a, &out));
        for (size_t i = 0; i < ARRAY_LEN(folders) && a->opt[OPT_UNSEAL_SHARES]; i++)
            TRY(admin_print_shares(a, folders[i], &made->split, &made->shares[i]));
        return RC_OK;
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "realm", name_slice(&a->conf.realm));
    jw_text(&w, "state", slice_text(a->conf.realm_state));
    jw_text(&w, "config", slice_text(config));
    jw_open(&w, "services", '[');
    jw_text(&w, NULL, slice_text(a->conf.chat_service));
    for (size_t i = 0; i < ADMIN_OWN_N; i++)
        jw_text(&w, NULL, slice_text(admin_own_services[i]));
    jw_close(&w, ']');
    if (a->opt[OPT_UNSEAL_SHARES])
        jw_open(&w, "shares", '{');
    for (size_t i = 0; i < ARRAY_LEN(folders) && a->opt[OPT_UNSEAL_SHARES]; i++)
        admin_shares_json(&w, folders[i], &made->shares[i]);
    if (a->opt[OPT_UNSEAL_SHARES])
        jw_close(&w, '}');
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

enum rc cmd_init(struct admin *a)
{
    AUTO(buf_done) struct buf dir = {0};
    AUTO(made_done) struct made made = {0};
    sigset_t block, old;

    if (a->opt[OPT_UNSEAL_SHARES])
        TRY(admin_split_parse(a, a->opt[OPT_UNSEAL_SHARES], &made.split));
    TRY(admin_config_dir(a, &dir));
    (void)sigemptyset(&block);
    (void)sigaddset(&block, SIGINT);
    (void)sigaddset(&block, SIGTERM);
    (void)sigaddset(&block, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &block, &old);
    enum rc rc = make_all(a, (char *)dir.p, &made);
    if (rc != RC_OK)
        undo(a, (char *)dir.p, &made);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    TRY(rc);
    TRY(show(a, &made));
    return first_admin(a);
}
