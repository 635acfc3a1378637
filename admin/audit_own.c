/* What kerbadm itself did, who did it and to whom. */
#include "admin/audit.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/service/ops.h"
#include "shared/unseal/audit_key.h"

const struct audit_place audit_places[] = {
    {"as",   OPS_AUDIT_LOG,   "kerb-as"  },
    {"tgs",  OPS_AUDIT_LOG,   "kerb-tgs" },
    {"chat", OPS_AUDIT_LOG,   "kerb-chat"},
    {"as",   ADMIN_AUDIT_LOG, "kerbadm"  },
    {"tgs",  ADMIN_AUDIT_LOG, "kerbadm"  },
    {"chat", ADMIN_AUDIT_LOG, "kerbadm"  },
};
const size_t audit_places_n = ARRAY_LEN(audit_places);

enum rc audit_place_open(const struct admin *a, const struct audit_place *p, struct audit_options *ret, char **ret_path,
                         struct master **ret_master)
{
    TRY(ops_path(&a->conf, p->folder, p->file, ret_path));
    TRY(master_of(&a->conf, p->folder, ret_master));
    *ret = (struct audit_options){
        .path = *ret_path,
        .daemon = p->daemon,
        .realm = a->conf.realm,
        .key = master_audit_key,
        .key_ctx = *ret_master,
    };
    return RC_OK;
}

/* Commands that change something, and where. NULL: in the folder that their argument names. */
static const struct {
    const char *words, *folder;
} changes[] = {
    {"user add",       "as" },
    {"user passwd",    "as" },
    {"user disable",   "as" },
    {"user enable",    "as" },
    {"user del",       "as" },
    {"user profiles",  "as" },
    {"user code",      "as" },
    {"user unlock",    "as" },
    {"user reset",     "as" },
    {"user grant",     "as" },
    {"user revoke",    "as" },
    {"invite",         "as" },
    {"admin grant",    "as" },
    {"admin revoke",   "as" },
    {"admin code",     "as" },
    {"service add",    "tgs"},
    {"service rotate", "tgs"},
    {"service purge",  "tgs"},
    {"keytab export",  "tgs"},
    {"mkey add",       NULL },
    {"mkey use",       NULL },
    {"mkey rewrap",    NULL },
    {"mkey purge",     NULL },
    {"mkey split",     NULL },
};

static const struct audit_place *own_place(const char *folder)
{
    for (size_t i = 0; folder && i < audit_places_n; i++)
        if (strcmp(audit_places[i].folder, folder) == 0 && strcmp(audit_places[i].file, ADMIN_AUDIT_LOG) == 0)
            return &audit_places[i];
    return NULL;
}

static const char *who(void)
{
    const struct passwd *p = getpwuid(getuid());
    return p ? p->pw_name : "?";
}

static enum rc record(struct admin *a, const struct audit_place *place, const char *words, enum rc rc)
{
    AUTO(str_done) char *path = NULL;
    AUTO(master_done) struct master *master = NULL;
    struct audit_options options;
    struct audit *audit;
    struct audit_line l;
    char op_id[OP_ID_LEN + 1];

    TRY(audit_place_open(a, place, &options, &path, &master));
    TRY(audit_open(&options, &audit));
    op_id_make(op_id);
    audit_begin(audit, &l, "kerbadm", op_id);
    audit_str(&l, "what", words);
    audit_str(&l, "client", who());
    audit_num(&l, "uid", (int64_t)getuid());
    audit_str(&l, "sudo_user", getenv("SUDO_USER"));
    audit_str(&l, "target", a->arg);
    audit_str(&l, "more", a->arg2);
    audit_rc(&l, rc);
    audit_end(audit, &l);
    audit_close(audit);
    return RC_OK;
}

void audit_record(struct admin *a, const char *words, enum rc rc)
{
    if (!a->conf.realm.n)
        return; /* it did not get so far as to know where it is */
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        if (strcmp(changes[i].words, words) != 0)
            continue;
        const struct audit_place *place = own_place(changes[i].folder ? changes[i].folder : a->arg);
        enum rc recorded = place ? record(a, place, words, rc) : RC_OK;
        if (recorded != RC_OK && rc == RC_OK)
            (void)fprintf(stderr, "kerbadm: done, but not recorded in %s/%s: %s\n", place->folder, place->file,
                          rc_text(recorded));
        return;
    }
}

enum rc audit_rewrap(struct admin *a, const char *folder)
{
    for (size_t i = 0; i < audit_places_n; i++) {
        AUTO(str_done) char *path = NULL;
        AUTO(master_done) struct master *master = NULL;
        struct audit_options options;
        if (strcmp(audit_places[i].folder, folder) != 0)
            continue;
        TRY(audit_place_open(a, &audit_places[i], &options, &path, &master));
        TRY(audit_reseal(&options));
    }
    return RC_OK;
}
