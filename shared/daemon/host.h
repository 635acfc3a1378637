/*
 * What the main of every daemon does alike: command line and configuration, the wait for the shares of its master key,
 * throttle, audit log and metrics, and telling that it serves.
 *
 * What fails is told in one line on standard error. Thread: main.
 */
#ifndef KERB_DAEMON_HOST_H
#define KERB_DAEMON_HOST_H

#include "shared/service/conf.h"
#include "shared/service/ops.h"

struct host {
    const char *name, *folder, *summary;            /* "kerb-as", "as", "the Authentication Server" */
    const char *listen;                             /* of conf: where it serves */
    char *master;                                   /* of conf, CONF_TEXT_MAX bytes: where its master key comes from */
    enum rc (*check)(void *ctx, struct buf *error); /* more to refuse in the configuration; NULL: nothing */
    void *check_ctx;

    struct conf conf; /* from host_begin on */
    struct ops *ops;  /* from host_open_ops on */
    struct master *audit_master;
};

/* Prints "NAME: what: why" (why NULL or empty: what rc means). Returns 1, the exit status. */
int host_fail(const struct host *h, const char *what, const char *why, enum rc rc);

/* First thing in main. Returns true to go on, with the log open and signals blocked; else *ret_status is the end. */
bool host_begin(struct host *h, int argc, char **argv, int *ret_status);

/* Waits for the shares of the master key, where it comes from shares. Returns false when that is the end. */
bool host_unseal(const struct host *h, int *ret_status);

/* Returns 0, or 1 after host_fail. */
int host_open_ops(struct host *h, int64_t start_s);

/* Writes what is left of throttle and audit log. */
void host_close_ops(struct host *h);

#endif
