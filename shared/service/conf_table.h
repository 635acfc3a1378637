/* The rows of CONF_TABLE as data. Internal to the folder. */
#ifndef KERB_SERVICE_CONF_TABLE_H
#define KERB_SERVICE_CONF_TABLE_H

#include "shared/service/conf.h"

enum conf_kind { CONF_TEXT, CONF_NUMBER, CONF_YES_NO };

struct conf_key {
    const char *section, *name;
    enum conf_kind kind;
    size_t offset;        /* in struct conf */
    const char *def_text; /* CONF_TEXT */
    int64_t def;          /* the others */
    int64_t min, max;
    const char *doc;
};

enum {
#define CONF_COUNT(...) +1
    CONF_KEYS = CONF_TABLE(CONF_COUNT, CONF_COUNT, CONF_COUNT)
#undef CONF_COUNT
};

extern const struct conf_key conf_keys[CONF_KEYS];

/* Index of a key, or -1. */
int conf_key_find(const char *section, const char *name);

#endif
