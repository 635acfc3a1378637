/* Inside of shared/service/log: where finished lines go. */
#ifndef KERB_SERVICE_LOG_OUT_H
#define KERB_SERVICE_LOG_OUT_H

#include "shared/base/buf.h"

/* A line with its line end. at_once: it, and what was gathered before it, is written before this returns. */
void log_out(struct slice line, bool at_once);

#endif
