/*
 * JSON in (Jansson, strict and bounded, its memory wiped) and JSON out (a small writer for replies and frames).
 *
 * Source: RFC 8259; duplicate member names are refused (section 4 leaves it open).
 */
#ifndef KERB_BASE_JSON_H
#define KERB_BASE_JSON_H

#include <jansson.h>

#include "shared/base/text.h"

#define JSON_DEPTH_HTTP 8  /* nesting of request bodies; PROTOCOL.md section 1 */
#define JSON_DEPTH_CHAT 16 /* nesting of chat frames */

/* Once per process, before threads: hash seed, and memory that is wiped when Jansson frees it. */
void json_setup(void);

/*
 * The same for a daemon, whose threads keep their objects to themselves: an object is freed by the thread that made it.
 * A program that libkerb is part of makes no such promise.
 */
void json_setup_daemon(void);

/*
 * Parse one object: UTF-8, no duplicate names, nothing behind it, at most max_depth deep.
 * Out: ret - owned by the caller: AUTO(json_done) json_t *. Errors: MALFORMED.
 */
MUST enum rc json_parse_object(struct slice text, int max_depth, json_t **ret);

/* Drops a reference; for AUTO(json_done). Accepts NULL. */
void json_done(json_t **j);

/* The text of member `name`, borrowed from the object. Errors: MALFORMED (absent or not a text). */
MUST enum rc json_get_text(const json_t *object, const char *name, struct slice *ret);

/* The text of member `name` as classic UTC time. Errors: MALFORMED. */
MUST enum rc json_get_time(const json_t *object, const char *name, int64_t *ret_s);

/* An integer member. Errors: MALFORMED (absent, not an integer). */
MUST enum rc json_get_int(const json_t *object, const char *name, int64_t *ret);

/*
 * The writer: members in the order of the calls, one comma rule, text escaped. Errors stick: the first failed call
 * makes all later ones do nothing, and jw_end tells.
 *
 *   struct jw w = jw_start(&out);
 *   jw_open(&w, NULL, '{');  jw_text(&w, "type", slice_text("online"));  jw_close(&w, '}');
 *   TRY(jw_end(&w));
 */
struct jw {
    struct buf *out;
    enum rc rc;
    bool comma;
};

struct jw jw_start(struct buf *out);
void jw_open(struct jw *w, const char *name, char bracket); /* '{' or '['; name NULL inside an array or at the top */
void jw_close(struct jw *w, char bracket);                  /* '}' or ']' */
void jw_text(struct jw *w, const char *name, struct slice value); /* value: valid UTF-8 */
void jw_int(struct jw *w, const char *name, int64_t value);
void jw_bool(struct jw *w, const char *name, bool value);
void jw_base64(struct jw *w, const char *name, struct slice bytes);
void jw_base64url(struct jw *w, const char *name, struct slice bytes);
void jw_time(struct jw *w, const char *name, int64_t unix_s);      /* classic text */
void jw_plain(struct jw *w, const char *name, struct slice value); /* a text that needs no escape: base64, say */
void jw_raw(struct jw *w, const char *name, struct slice json);    /* a value that is JSON already */
MUST enum rc jw_end(const struct jw *w);

/*
 * The reader of what jw has written and nobody can have changed since, as the text of a ticket: members in the order
 * of the calls, no blanks. It needs no memory. For all other JSON there is json_parse_object(). Errors stick: after
 * the first, all calls give nothing, and jr_end tells (MALFORMED). What stands behind the last member read is ignored.
 */
struct jr {
    struct slice rest;
    enum rc rc;
    bool comma;
};

struct jr jr_start(struct slice text);
bool jr_is(const struct jr *r, const char *name); /* is this the next member? */
void jr_open(struct jr *r, const char *name, char bracket);
void jr_close(struct jr *r, char bracket);
struct slice jr_text(struct jr *r, const char *name);           /* borrowed; a text with an escape is refused */
void jr_name(struct jr *r, const char *name, struct name *ret); /* in its one spelling */
int64_t jr_int(struct jr *r, const char *name);
int64_t jr_time(struct jr *r, const char *name); /* classic text */
MUST enum rc jr_end(const struct jr *r);

#endif
