/* A quick way to read the objects that nearly all requests are. Internal to the folder. */
#ifndef KERB_BASE_JSON_FLAT_H
#define KERB_BASE_JSON_FLAT_H

#include <jansson.h>

#include "shared/base/buf.h"

/*
 * Reads an object whose members are texts of plain ASCII, whole numbers, true, false, null and, where max_depth is 2 or
 * more, lists of such texts: exactly what Jansson would give, without its work for each byte. NULL: it is not such an
 * object, or is not well formed, or memory is short; ask Jansson.
 */
json_t *json_flat(struct slice text, int max_depth);

#endif
