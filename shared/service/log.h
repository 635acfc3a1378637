/*
 * Structured log: one JSON object a line on standard error, whole lines only.
 *
 *   {"time":"2026-11-20T10:00:00.123Z","level":"info","daemon":"kerb-as","event":"as","op_id":"...","client":"alice"}
 *
 * Never a secret: no function here takes a key, a password, a share, a text or a saved value, and callers give none.
 * Names and addresses come from outside and are escaped as JSON. Thread: any.
 *
 * Between log_start and log_stop, lines below LOG_WARN are gathered for up to 100 ms or 32 KiB: a process that is
 * killed takes the last of them with it. The others are written at once, behind all that came before them.
 */
#ifndef KERB_SERVICE_LOG_H
#define KERB_SERVICE_LOG_H

#include "shared/base/json.h"

#define OP_ID_LEN 16 /* letters: 12 random bytes as base64url; stands in the answer and in the log */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* daemon must outlive the process's use of the log. */
void log_setup(const char *daemon, enum log_level least);
MUST enum rc log_level_parse(const char *text, enum log_level *ret);

/* Main thread. log_start: gather from here on. log_stop: writes what is gathered; may be called without log_start. */
void log_start(void);
void log_stop(void);

struct log_line {
    struct buf text;
    struct jw json;
    enum log_level level;
    bool on; /* below the level: all calls do nothing */
};

/* log_begin(&l, LOG_INFO, "as"); log_slice(&l, "client", name); log_end(&l); */
void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_slice(struct log_line *l, const char *name, struct slice utf8); /* invalid UTF-8 is shown as hexadecimal */
void log_str(struct log_line *l, const char *name, const char *text);
void log_num(struct log_line *l, const char *name, int64_t value);
void log_rc(struct log_line *l, enum rc rc); /* "result" and, unless OK, "reason" */
void log_end(struct log_line *l);

/* One line with a message, for the rare ones. */
void log_note(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A fresh id for one operation. */
void op_id_make(char out[OP_ID_LEN + 1]);

#endif
