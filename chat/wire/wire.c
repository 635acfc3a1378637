/* The wire: opened and closed, frames read, pushes sealed. */
#include "chat/wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat/wire/internal.h"
#include "shared/base/file.h"

#define STAMPS_FILE_MAX ((size_t)64 * 1024 * 1024)

static void scratch_reset(struct scratch *s)
{
    json_done(&s->json);
    buf_reset(&s->plain);
    buf_reset(&s->data);
    free(s->users);
    s->users = NULL;
    s->request = (struct chat_request){0};
    s->login = (struct chat_login){0};
    wipe(s->token, sizeof(s->token));
    wipe(s->resumes, sizeof(s->resumes));
}

/*
 * What an orderly stop has kept; read once, so that after a crash nobody trusts an older one. Where it is missing, old
 * frames could come again: then the stop does not count as orderly.
 */
static enum rc stamps_read(struct wire *w)
{
    AUTO(buf_done) struct buf saved = {0};

    enum rc rc = file_read(w->stamps_path, STAMPS_FILE_MAX, FILE_PRIVATE, &saved);
    if (rc == RC_NOT_FOUND) {
        w->clean = false;
        return RC_OK;
    }
    TRY(rc);
    if (unlink(w->stamps_path) != 0)
        return RC_IO;
    return w->clean ? stamps_restore(w->stamps, buf_slice(&saved)) : RC_OK;
}

static enum rc open_state(struct wire *w)
{
    const char *dir = w->options.state_dir;
    AUTO(str_done) char *replay_path = NULL;

    if (!dir)
        return replay_open(NULL, REPLAY_AT_STOP, w->options.started_s, &w->replay, &w->clean);
    if (asprintf(&replay_path, "%s/replay", dir) < 0 || asprintf(&w->stamps_path, "%s/stamps", dir) < 0)
        return RC_NO_MEMORY;
    TRY(replay_open(replay_path, REPLAY_AT_STOP, w->options.started_s, &w->replay, &w->clean));
    return stamps_read(w);
}

enum rc wire_open(const struct wire_options *options, struct wire **ret)
{
    struct wire *w = calloc(1, sizeof(*w));
    if (!w)
        return RC_NO_MEMORY;
    w->options = *options;
    w->skew.behind_s = options->conf->realm_clock_skew;
    w->skew.ahead_s = options->conf->realm_clock_skew_ahead;
    w->stamps = stamps_new(w->skew.behind_s);
    enum rc rc = w->stamps ? open_state(w) : RC_NO_MEMORY;
    if (rc != RC_OK) {
        stamps_free(w->stamps);
        str_done(&w->stamps_path);
        free(w);
        return rc;
    }
    *ret = w;
    return RC_OK;
}

void wire_close(struct wire *w)
{
    AUTO(buf_done) struct buf saved = {0};

    if (!w)
        return;
    /* Without its stamps the replay cache must not call the stop orderly: then old tickets are refused instead. */
    bool kept = !w->stamps_path || (stamps_save(w->stamps, &saved) == RC_OK &&
                                    file_write_atomic(w->stamps_path, buf_slice(&saved), 0600) == RC_OK);
    if (kept)
        (void)replay_close(w->replay);
    stamps_free(w->stamps);
    scratch_reset(&w->scratch);
    buf_done(&w->scratch.plain);
    buf_done(&w->scratch.data);
    buf_done(&w->names);
    for (size_t i = 0; i < WIRE_PROFILES; i++)
        buf_done(&w->shared[i].json);
    str_done(&w->stamps_path);
    free(w);
}

bool wire_allows(const struct wire *w, enum wire_profile profile)
{
    return (conf_profiles(w->options.conf) & (profile == WIRE_SEALED ? PROFILE_SEALED : PROFILE_CLASSIC)) != 0;
}

struct wire_conn *wire_conn_new(struct wire *w, enum wire_profile profile, const char *address)
{
    struct wire_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->wire = w;
    c->profile = profile;
    (void)snprintf(c->address, sizeof(c->address), "%s", address);
    if (profile == WIRE_SEALED && sealed_new(c) != RC_OK) {
        free(c);
        return NULL;
    }
    return c;
}

void wire_conn_free(struct wire_conn *c)
{
    if (!c)
        return;
    stamps_release(c->classic.stamps);
    sealed_free(c->sealed);
    free(c->name);
    wipe(c, sizeof(*c));
    free(c);
}

enum wire_profile wire_conn_profile(const struct wire_conn *c)
{
    return c->profile;
}

bool wire_conn_is_authed(const struct wire_conn *c)
{
    return c->authed;
}

struct slice wire_conn_name(const struct wire_conn *c)
{
    return c->name ? name_slice(c->name) : slice_of("", 0);
}

const struct wire_shown *wire_shown(const struct wire *w)
{
    return &w->shown;
}

size_t wire_replay_entries(struct wire *w)
{
    return replay_count(w->replay);
}

/* The label is read first, so that the refusal of everything else can carry it. */
static enum rc read_label(struct scratch *s)
{
    struct slice label;

    if (!json_object_get(s->json, "id"))
        return RC_OK;
    TRY(json_get_text(s->json, "id", &label));
    if (utf8_chars(label) > LABEL_MAX_CHARS)
        return RC_MALFORMED;
    s->request.label = label;
    return RC_OK;
}

enum rc wire_read_type(struct scratch *s)
{
    struct slice word;

    TRY(read_label(s));
    TRY(json_get_text(s->json, "type", &word));
    s->request.cmd = chat_command_of(word);
    return s->request.cmd == CMD_NONE ? RC_MALFORMED : RC_OK;
}

void wire_refuse(struct wire_conn *c, enum chat_code code, struct chat_event *ret)
{
    ret->kind = CHAT_REFUSED;
    ret->code = code;
    ret->request = &c->wire->scratch.request;
}

static enum rc check_from(const struct wire_conn *c, const json_t *object)
{
    struct slice from;

    if (!json_object_get(object, "from"))
        return RC_OK;
    TRY(json_get_text(object, "from", &from));
    struct name name;
    TRY(name_parse(from, &name));
    return slice_eq(name_slice(&name), wire_conn_name(c)) ? RC_OK : RC_BAD_MATCH;
}

enum rc wire_check_from(const struct wire_conn *c)
{
    const json_t *frame = c->wire->scratch.json, *inner = json_object_get(frame, "message");

    TRY(check_from(c, frame));
    return json_is_object(inner) ? check_from(c, inner) : RC_OK;
}

void wire_read(struct wire_conn *c, struct slice message, bool is_binary, int64_t time_s, struct chat_event *ret,
               enum rc *ret_rc)
{
    struct wire *w = c->wire;

    *ret = (struct chat_event){0};
    scratch_reset(&w->scratch);
    w->attempt = (struct gate_try){0};
    w->shown = (struct wire_shown){0};
    wire_refuse(c, CODE_MALFORMED, ret);
    enum rc rc =
        c->sealed ? sealed_read(c, message, is_binary, time_s, ret) : classic_read(c, message, is_binary, time_s, ret);
    gate_tell(w->options.gate, &w->attempt, rc, time_s);
    if (rc == RC_FLOODED)
        ret->code = CODE_RATE_LIMITED;
    *ret_rc = rc;
}

enum rc wire_seal(struct wire_conn *c, struct slice json, struct buf *out, bool *ret_binary)
{
    *ret_binary = c->authed && c->sealed;
    if (!c->authed)
        return buf_add(out, json);
    return c->sealed ? sealed_seal(c->sealed, json, out) : box_seal(c->classic.key, json, out);
}
