/*
 * What the commands of kerbadm share: options, the configuration, the state directory, sentences and output.
 *
 * A handler returns RC_OK or the code of what failed, and has then told so in a sentence (admin_fail); where a plain
 * TRY returned, main tells. Secrets live in bufs and keys that wipe. One thread.
 */
#ifndef KERB_ADMIN_ADMIN_H
#define KERB_ADMIN_ADMIN_H

#include "as/store.h"
#include "shared/base/file.h"
#include "shared/base/json.h"
#include "tgs/store.h"

#define ADMIN_STATE_DEFAULT "/var/lib/kerb" /* of an installed system */
#define ADMIN_CONFIG_NAME   "kerb.conf"

#define ADMIN_TGS_KEYTAB  "tgs/tgs.keytab"
#define ADMIN_AS_KEYTAB   "as/as.keytab"
#define ADMIN_CHAT_KEYTAB "chat/chat.keytab"
#define ADMIN_CHAT_MASTER "chat/master.key"

enum admin_option {
    OPT_HELP,
    OPT_VERSION,
    OPT_STATE,
    OPT_CONFIG,
    OPT_JSON,
    OPT_REALM,
    OPT_SEALED_ONLY,
    OPT_PASSWORD_FILE,
    OPT_RANDOM,
    OPT_CUT_OFF,
    OPT_NAME,
    OPT_CLIENT,
    OPT_RESULT,
    OPT_SINCE,
    OPT_OUT,
    OPT_FORCE,
    OPT_MARKDOWN,
    OPT_EXAMPLE,
    OPT_REMOTE,
    OPT_URL,
    OPT_LOGIN,
    OPT_UNSEAL_SHARES,
    OPT_THRESHOLD,
    OPT_SHARES,
    OPT_SHARES_FILE,
    OPT_YES,
    OPT_COUNT
};

struct admin {
    const char *opt[OPT_COUNT]; /* the option's value, "" for a flag that was given, NULL when absent */
    const char *arg, *arg2;     /* the command's arguments, NULL when it takes none */
    struct buf config_path;     /* NUL-terminated */
    struct buf shares;          /* of --shares-file, once it was read */
    unsigned sealed;            /* daemons whose shares are not there, which was told: bits as in mkey_daemons */
    struct conf conf;           /* after admin_load */
    bool has_told;              /* a sentence about the failure is on standard error */
};

/* Handlers, one per row of the table in main.c. */
MUST enum rc cmd_init(struct admin *a);
MUST enum rc cmd_user_add(struct admin *a);
MUST enum rc cmd_user_passwd(struct admin *a);
MUST enum rc cmd_user_disable(struct admin *a);
MUST enum rc cmd_user_enable(struct admin *a);
MUST enum rc cmd_user_del(struct admin *a);
MUST enum rc cmd_user_list(struct admin *a);
MUST enum rc cmd_user_show(struct admin *a);
MUST enum rc cmd_user_profiles(struct admin *a);
MUST enum rc cmd_user_unlock(struct admin *a);
MUST enum rc cmd_user_code(struct admin *a);
MUST enum rc cmd_invite(struct admin *a);
MUST enum rc cmd_admin_grant(struct admin *a);
MUST enum rc cmd_admin_revoke(struct admin *a);
MUST enum rc cmd_admin_code(struct admin *a);
MUST enum rc cmd_report_classic(struct admin *a);
MUST enum rc cmd_service_add(struct admin *a);
MUST enum rc cmd_service_list(struct admin *a);
MUST enum rc cmd_service_rotate(struct admin *a);
MUST enum rc cmd_service_purge(struct admin *a);
MUST enum rc cmd_keytab_list(struct admin *a);
MUST enum rc cmd_keytab_export(struct admin *a);
MUST enum rc cmd_mkey_list(struct admin *a);
MUST enum rc cmd_mkey_add(struct admin *a);
MUST enum rc cmd_mkey_use(struct admin *a);
MUST enum rc cmd_mkey_rewrap(struct admin *a);
MUST enum rc cmd_mkey_purge(struct admin *a);
MUST enum rc cmd_mkey_split(struct admin *a);
MUST enum rc cmd_unseal(struct admin *a);
MUST enum rc cmd_remote_only(struct admin *a);
MUST enum rc cmd_upgrade(struct admin *a);
MUST enum rc cmd_check(struct admin *a);
MUST enum rc cmd_config(struct admin *a);

/* Prints "kerbadm: <sentence>" on standard error and returns rc. */
enum rc admin_fail(struct admin *a, enum rc rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Which kerb.conf is meant, as a string. NULL when out of memory. */
const char *admin_config_path(struct admin *a);

/* The directory of that file, NUL-terminated. */
MUST enum rc admin_config_dir(struct admin *a, struct buf *ret);

/* Reads kerb.conf and sees that --state is its state. Tells. */
MUST enum rc admin_load(struct admin *a);

/* One kerbadm at a time where files are read, changed and written back. Held until the process ends. Tells. */
MUST enum rc admin_lock(struct admin *a);

/* The argument as a name. Tells. */
MUST enum rc admin_name(struct admin *a, struct name *ret);

/* Any text as a name. Tells. */
MUST enum rc admin_name_of(struct admin *a, const char *text, struct name *ret);

/* Whether the text is as, tgs or chat. Tells: NOT_FOUND. */
MUST enum rc admin_daemon(struct admin *a, const char *text);

/* Profiles as they are written in kerb.conf. Tells. */
MUST enum rc admin_profiles(struct admin *a, const char *text, unsigned *ret);

/* The two services that the AS itself serves: their keys also lie in ADMIN_AS_KEYTAB. */
#define ADMIN_OWN_N 2
extern const char *const admin_own_services[ADMIN_OWN_N];

/* After a change of a user's row: nothing, a sentence, and RC_OK for RC_OK. */
enum rc admin_tell_user(struct admin *a, enum rc rc, const struct as_store *s, const struct name *name);

/*
 * Says, before it is done, what a user loses by a password that somebody else gives him; asks on a terminal whether to
 * go on, without --yes. Errors: STOPPED, told.
 */
MUST enum rc admin_warn_of_vault(struct admin *a, const struct name *user);

/*
 * Has the master key of a daemon there, where it comes from shares: asks for them, or reads --shares-file. Tells, and
 * neither asks nor tells again what was in vain before. Errors: NO_SHARES; as shares_load.
 */
MUST enum rc admin_unseal(struct admin *a, const char *daemon);

/* A new secret in shares: threshold of n open it. */
struct admin_split {
    unsigned threshold, n;
};
MUST enum rc admin_split_parse(struct admin *a, const char *text, struct admin_split *ret); /* "3/5". Tells. */
MUST enum rc admin_split(struct admin *a, const char *daemon, const struct admin_split *how, struct buf *ret_texts);
MUST enum rc admin_print_shares(struct admin *a, const char *daemon, const struct admin_split *how,
                                const struct buf *texts);
void admin_shares_json(struct jw *w, const char *member, const struct buf *texts);

/* All of one user. */
MUST enum rc admin_show_user(struct admin *a, const struct as_principal *p);

/* The two stores; NOT_FOUND, DB_NEWER and so on are told. */
MUST enum rc admin_open_as(struct admin *a, enum db_mode mode, struct as_store **ret);
MUST enum rc admin_open_tgs(struct admin *a, enum db_mode mode, struct tgs_store **ret);

/* Writes the text to standard output, whole. Tells. */
MUST enum rc admin_print(struct admin *a, const struct buf *text);

/* As admin_print, for the writer's JSON and a line end. */
MUST enum rc admin_print_json(struct admin *a, const struct jw *w);

#endif
