/* kerbadm --remote: commands that the realm's admin service carries out. */
#ifndef KERB_ADMIN_REMOTE_H
#define KERB_ADMIN_REMOTE_H

#include "admin/admin.h"

/* words: the command's, as in the table of main.c. Tells. */
MUST enum rc admin_remote(struct admin *a, const char *words);

#endif
