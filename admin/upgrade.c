/*
 * kerbadm upgrade: a realm that an older kerb made gets what this one needs.
 *
 * Opening a database for writing brings its schema up to date; the AS's own services get their keys. Nothing is lost
 * and nothing replaced, so it may run at any time, and again.
 */
#include "admin/mkey.h"
#include "admin/service.h"

static enum rc add_own_services(struct admin *a, struct tgs_store *s)
{
    struct tgs_service svc;
    struct name name;

    for (size_t i = 0; i < ADMIN_OWN_N; i++) {
        TRY(name_parse(slice_text(admin_own_services[i]), &name));
        enum rc rc = tgs_store_find(s, &name, &svc);
        if (rc == RC_NO_SERVICE)
            rc = service_add(a, s, &name);
        else
            rc = service_tell(a, rc, s, &name);
        TRY(rc);
    }
    return RC_OK;
}

enum rc cmd_upgrade(struct admin *a)
{
    TRY(admin_load(a));
    TRY(admin_lock(a));
    for (size_t i = 0; i < MKEY_DAEMONS; i++) {
        AUTO(mkey_rows_done) struct mkey_rows rows = {0};
        TRY(mkey_rows_open(a, mkey_daemons[i], DB_WRITE, &rows));
        if (rows.tgs)
            TRY(add_own_services(a, rows.tgs));
    }
    return RC_OK;
}
