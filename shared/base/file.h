/*
 * Small files that matter: read whole and bounded, replaced whole, refused when others could read or write them.
 */
#ifndef KERB_BASE_FILE_H
#define KERB_BASE_FILE_H

#include "shared/base/buf.h"

enum file_safety {
    FILE_PRIVATE,    /* regular, owned by us or root, no access for group and others (a key, a state) */
    FILE_CREDENTIAL, /* as FILE_PRIVATE; but one of root may let its group read, as root's access lists for a daemon
                        show */
    FILE_TRUSTED,    /* regular, owned by us or root, not writable for group and others (a configuration) */
};

/*
 * Errors: NOT_FOUND, IO, UNSAFE_FILE, LIMIT (longer than max). Looked at on the open descriptor, so there is no gap
 * between check and read.
 */
MUST enum rc file_read(const char *path, size_t max, enum file_safety safety, struct buf *ret);

/*
 * Replaces the file: temporary file beside it, fsync, rename, fsync of the directory. Run by root, the file is given to
 * the owner of its directory. Errors: IO.
 */
MUST enum rc file_write_atomic(const char *path, struct slice content, unsigned mode);

/* A directory that others cannot enter. Errors: NOT_FOUND, IO, UNSAFE_FILE. */
MUST enum rc dir_check_private(const char *path);

#endif
