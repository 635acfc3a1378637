/* What the commands on services share. */
#ifndef KERB_ADMIN_SERVICE_H
#define KERB_ADMIN_SERVICE_H

#include "admin/admin.h"

/* Says what went wrong with a service, if anything; returns rc. */
enum rc service_tell(struct admin *a, enum rc rc, const struct tgs_store *s, const struct name *name);

/* Adds a service with a random key; that of a service of the AS itself goes to its keytab, too. Tells. */
MUST enum rc service_add(struct admin *a, struct tgs_store *s, const struct name *name);

bool service_is_tgs(const struct name *name);

/* The keytab that kerbadm keeps up to date for the service; NULL: its owner fetches it himself. */
const char *service_keytab(const struct admin *a, const struct name *name);

/* Before anything is changed. Tells. */
MUST enum rc service_load_keytab(struct admin *a, const char *path, struct keytab **ret);

/* The file was read before anything was changed, so what remains to go wrong is a full disk: then says what to do. */
MUST enum rc service_append(struct admin *a, const struct name *name, const struct key *key, struct keytab *kt,
                            const char *path);

#endif
