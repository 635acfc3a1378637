/* The master key of a running daemon, looked at once a second. */
#include "shared/unseal/watch.h"

#include "shared/service/log.h"
#include "shared/service/metrics.h"

enum rc master_watch_open(const struct conf *conf, const char *daemon, struct master_watch *ret)
{
    struct master_watch w = {0};

    TRY(master_of(conf, daemon, &w.master));
    w.told = master_kvno(w.master);
    *ret = w;
    return RC_OK;
}

void master_watch_done(struct master_watch *w)
{
    master_done(&w->master);
}

static void measure(const struct master_watch *w)
{
    struct master_version v;

    for (size_t i = 0; master_at(w->master, i, &v); i++)
        if (v.kvno == master_kvno(w->master) && v.valid_from > 0)
            metric_set(GAUGE_master_key_age_seconds, clock_s() - v.valid_from);
}

void master_watch_look(struct master_watch *w)
{
    bool changed;
    enum rc rc = master_refresh(w->master, &changed);

    if (rc != RC_OK && !w->was_bad)
        log_note(LOG_ERROR, "master", "the master key cannot be read, the old versions stay in use: %s", rc_text(rc));
    w->was_bad = rc != RC_OK;
    measure(w);
    if (master_kvno(w->master) == w->told)
        return;
    w->told = master_kvno(w->master);
    log_note(LOG_INFO, "master", "version %u of the master key seals now", w->told);
}
