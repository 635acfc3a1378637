/* Where a daemon's master keys lie, by the configuration. */
#ifndef KERB_UNSEAL_PLACE_H
#define KERB_UNSEAL_PLACE_H

#include "shared/db/master.h"
#include "shared/service/conf.h"

/* daemon: "as", "tgs" or "chat". Errors: NOT_FOUND (another word), NO_MEMORY. */
MUST enum rc master_place_of(const struct conf *conf, const char *daemon, struct master_place *ret);

/* The master keys of that daemon. Errors: as master_open. */
MUST enum rc master_of(const struct conf *conf, const char *daemon, struct master **ret);

#endif
