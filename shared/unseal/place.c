/* Where a daemon's master keys lie. */
#include "shared/unseal/place.h"

#include <string.h>

enum rc master_place_of(const struct conf *conf, const char *daemon, struct master_place *ret)
{
    const struct {
        const char *daemon, *source;
    } daemons[] = {
        {"as",   conf->as_master  },
        {"tgs",  conf->tgs_master },
        {"chat", conf->chat_master},
    };

    for (size_t i = 0; i < ARRAY_LEN(daemons); i++) {
        if (strcmp(daemon, daemons[i].daemon) != 0)
            continue;
        struct master_place place = {.daemon = daemons[i].daemon, .realm = conf->realm};
        TRY(master_source_parse(daemons[i].source, &place.source));
        TRY(conf_path(conf, daemon, &place.dir));
        *ret = place;
        return RC_OK;
    }
    return RC_NOT_FOUND;
}

enum rc master_of(const struct conf *conf, const char *daemon, struct master **ret)
{
    AUTO(master_place_done) struct master_place place = {0};

    TRY(master_place_of(conf, daemon, &place));
    return master_open(&place, ret);
}
