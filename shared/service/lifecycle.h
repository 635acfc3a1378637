/*
 * The life of a daemon: hardened at the start, its port opened when the second of its start is over, signals
 * waited for.
 */
#ifndef KERB_SERVICE_LIFECYCLE_H
#define KERB_SERVICE_LIFECYCLE_H

#include "shared/crypto/key.h"
#include "shared/service/log.h"

/* First thing in main: umask 077, no core dumps, not ptraceable, SIGPIPE ignored, JSON and crypto set up. */
MUST enum rc lifecycle_setup(void);

/* Blocks SIGTERM, SIGINT and SIGHUP for this thread and all that it starts: call before any thread. */
MUST enum rc lifecycle_block_signals(void);

/* Before any thread: the log, a warning where keys may be swapped out, signals as by lifecycle_block_signals. */
MUST enum rc lifecycle_begin(const char *daemon, enum log_level level);

/* Waits until the wall clock shows a later second than start_s (PROTOCOL.md section 1, Restart). */
void lifecycle_wait_second(int64_t start_s);

enum lifecycle_wake { WAKE_TICK, WAKE_RELOAD, WAKE_STOP };

/* Waits for a signal, at most timeout_ms. */
enum lifecycle_wake lifecycle_wait(int timeout_ms);

/* Reads a keytab again when its file has changed, or when forced; name: of the file, for the log. */
void lifecycle_keys(struct keytab_file *keys, const char *name, bool force);

/* The line "listening", and READY=1 to the service manager. listen: as configured; inner_port: 0 for none. */
void lifecycle_serves(const char *listen, unsigned port, unsigned inner_port);

/*
 * A stop that takes longer, since a disk or whatever else does not answer, ends there, with status 1 and a line in the
 * log.
 */
void lifecycle_end_within(unsigned seconds);

/* Tells a service manager ("READY=1", "STOPPING=1") when $NOTIFY_SOCKET is set. */
void lifecycle_notify(const char *state);

#endif
