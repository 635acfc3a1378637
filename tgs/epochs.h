/*
 * Which tickets were cut off: for each client whose epoch was raised, the epoch from which tickets count.
 *
 * In memory, since every request asks; tgs.db keeps it over a restart. Thread: any, all calls lock.
 */
#ifndef KERB_TGS_EPOCHS_H
#define KERB_TGS_EPOCHS_H

#include "shared/base/text.h"

struct tgs_epochs;

MUST enum rc tgs_epochs_new(struct tgs_epochs **ret);
void tgs_epochs_free(struct tgs_epochs *e); /* accepts NULL */

/* An epoch never goes down. */
MUST enum rc tgs_epochs_raise(struct tgs_epochs *e, const uint8_t client_id[ID_LEN], uint32_t epoch);

/* The epoch from which this client's tickets count; 0: all do. */
uint32_t tgs_epochs_of(struct tgs_epochs *e, const uint8_t client_id[ID_LEN]);

#endif
