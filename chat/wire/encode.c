/* Pushes as JSON. The profiles differ in how they write times, and classic says a message twice. */
#include "chat/wire/internal.h"

#define NAMES_MAX        (256 * 1024) /* bytes of `users_online`; whoever does not fit is left out */
#define MESSAGE_OVERHEAD 256          /* bytes of a message beside its text and names: field names, time, mid, seq */

static void put_time(const struct encoder *e, struct jw *j, const char *name, int64_t time_s)
{
    if (e->profile == WIRE_SEALED)
        jw_int(j, name, time_s);
    else
        jw_time(j, name, time_s);
}

static bool add_name(void *ctx, const struct chat_user *user)
{
    struct jw *j = ctx;

    jw_text(j, NULL, name_slice(&user->name));
    return j->out->n < NAMES_MAX;
}

/* The list of users is the same for everybody: written once per change. */
static enum rc names_refresh(struct wire *w, const struct chat *chat)
{
    uint64_t version = chat_online_names_version(chat);

    if (w->has_names && w->names_version == version)
        return RC_OK;
    buf_reset(&w->names);
    struct jw j = jw_start(&w->names);
    jw_open(&j, NULL, '[');
    chat_each_online(chat, add_name, &j);
    jw_close(&j, ']');
    w->names_version = version;
    w->has_names = j.rc == RC_OK;
    return jw_end(&j);
}

/* own: whose list it is in; NULL: of no list. What is additive is for those who asked for it. */
static void put_room_of(struct jw *j, const char *name, const struct chat_push *p, const struct chat_room *room,
                        const struct chat_member *own)
{
    const struct chat_member *m;

    jw_open(j, name, '{');
    jw_text(j, "room", name_slice(&room->id));
    jw_text(j, "name", name_slice(&room->name));
    jw_open(j, "users", '[');
    TAILQ_FOREACH (m, &room->members, of_room)
        if (!m->leaving)
            jw_text(j, NULL, name_slice(&m->user->name));
    jw_close(j, ']');
    jw_int(j, "threshold", room->threshold);
    jw_bool(j, "opened", room->open);
    jw_int(j, "pending", room->pending_n);
    if (p->extensions && own) {
        jw_int(j, "head", (int64_t)room->head);
        jw_int(j, "read", (int64_t)own->read);
    }
    if (p->extensions && room->keep_days)
        jw_int(j, "keep_days", room->keep_days);
    jw_close(j, '}');
}

/* The one that the push is about. */
static void put_room(struct jw *j, const struct chat_push *p)
{
    put_room_of(j, "room", p, p->room, NULL);
}

/* Writes the room if it fits; false when it does not. */
static bool put_listed_room(struct jw *j, const struct chat_push *p, const struct chat_member *own)
{
    const struct jw before = *j;
    size_t n = j->out->n;

    put_room_of(j, NULL, p, own->room, own);
    if (j->rc != RC_OK || j->out->n <= ROOMS_MAX)
        return true;
    *j = before;
    j->out->n = n;
    return false;
}

/* Up to the first that does not fit: to try all of them could cost far more than what is sent. */
void put_rooms(struct jw *j, const char *name, const struct chat_push *p,
               bool (*is_listed)(const struct chat_room *room), bool wanted)
{
    const struct chat_member *m;

    jw_open(j, name, '[');
    if (p->user)
        TAILQ_FOREACH (m, &p->user->rooms, of_user)
            if (!m->leaving && is_listed(m->room) == wanted && !put_listed_room(j, p, m))
                break;
    jw_close(j, ']');
}

/* Of many people a login with extensions is not told the names, or each would cost as much as there are others. */
static bool is_listing_names(const struct chat_push *p)
{
    return p->kind == PUSH_ONLINE || !p->extensions || chat_shows_names(p->chat);
}

static void put_online(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    if (is_listing_names(p)) {
        if (j->rc == RC_OK)
            j->rc = names_refresh(e->wire, p->chat);
        jw_raw(j, "users_online", buf_slice(&e->wire->names));
    }
    put_rooms(j, "rooms", p, chat_room_is_available, true);
    if (p->kind == PUSH_ONLINE)
        put_rooms(j, "rooms_waiting", p, chat_room_is_available, false);
    else if (e->profile == WIRE_CLASSIC)
        jw_time(j, "authenticator_timestamp", p->authenticator_s);
    if (p->history_id)
        jw_base64url(j, "history_id", slice_of(p->history_id, ID_LEN));
    if (p->resumed != RESUME_NOT_ASKED)
        jw_bool(j, "resumed", p->resumed == RESUMED);
}

/* What became of a message, or which one this revises. */
static void put_revision(struct jw *j, const struct chat_shown_message *m)
{
    if (m->target)
        jw_int(j, m->is_deleted ? "deletes" : "edits", (int64_t)m->target);
    else if (m->rev)
        jw_int(j, m->is_deleted ? "deleted" : "edited", (int64_t)m->rev);
}

/* What known clients read of a message, and, `numbered`, where it stands in the room. */
static void put_message(const struct encoder *e, struct jw *j, const char *name, const struct chat_push *p,
                        const struct chat_shown_message *m, bool numbered, bool nested)
{
    jw_open(j, name, '{');
    jw_text(j, "from", m->from);
    put_time(e, j, "time", m->time_s);
    jw_text(j, "room", name_slice(&p->room->id));
    if (!m->is_deleted && !m->is_outdated)
        jw_text(j, "text", m->text);
    if (numbered) {
        jw_base64url(j, "mid", SLICE(m->mid));
        jw_int(j, "seq", (int64_t)m->seq);
        put_revision(j, m);
    }
    if (nested)
        put_message(e, j, "message", p, m, false, false);
    jw_close(j, '}');
}

static void put_new_message(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "room", name_slice(&p->room->id));
    put_message(e, j, "new_message", p, &p->messages[0], true, e->profile == WIRE_CLASSIC);
}

static void put_revised(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    jw_text(j, "room", name_slice(&p->room->id));
    put_message(e, j, p->kind == PUSH_EDITED ? "edited" : "deleted", p, &p->messages[0], true, false);
}

static void put_new_room(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    put_room(j, p);
    jw_text(j, "secret", p->share);
}

static void put_get_secret(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    put_room(j, p);
    jw_text(j, "asked_by", p->asked_by);
}

/* Bytes that a message may take: a letter may be six as JSON. */
static size_t room_for(const struct chat_push *p, const struct chat_shown_message *m)
{
    size_t n = MESSAGE_OVERHEAD + 6 * (m->from.n + p->room->id.n);

    for (size_t k = 0; k < m->text.n; k++)
        n += m->text.p[k] < 0x20 || m->text.p[k] == '"' || m->text.p[k] == '\\' ? 6 : 1;
    return n;
}

/* What of the messages fits into one frame: first to end. Left out are the farthest from where they were asked for. */
struct window {
    size_t first, end;
};

/* Where the page was asked from: its first message that is not before that. */
static size_t middle_of(const struct chat_push *p)
{
    size_t i = 0;

    if (p->kind == PUSH_FOUND)
        return 0;
    if (!p->is_page || p->side == SIDE_NEWEST || p->side == SIDE_BEFORE)
        return p->messages_n;
    while (p->side == SIDE_AROUND && i < p->messages_n && p->messages[i].seq < p->seq)
        i++;
    return i;
}

/* Grows to both sides from the middle. */
static struct window what_fits(const struct chat_push *p, size_t used)
{
    size_t middle = middle_of(p);
    struct window w = {middle, middle};

    while (w.first > 0 || w.end < p->messages_n) {
        bool back = w.end == p->messages_n || (w.first > 0 && middle - w.first < w.end - middle);
        used += room_for(p, &p->messages[back ? w.first - 1 : w.end]);
        if (used > WIRE_JSON_MAX)
            break;
        if (back)
            w.first--;
        else
            w.end++;
    }
    return w;
}

static void put_room_messages(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    put_room(j, p);
    struct window w = what_fits(p, j->out->n + MESSAGE_OVERHEAD);
    jw_open(j, "messages", '[');
    for (size_t i = w.first; i < w.end; i++)
        put_message(e, j, NULL, p, &p->messages[i], true, false);
    jw_close(j, ']');
    bool more_before = p->more || w.first > 0;
    jw_bool(j, "more", more_before);
    if (p->extensions && p->floor)
        jw_int(j, "floor", (int64_t)p->floor);
    if (!p->is_page)
        return;
    jw_int(j, "head", (int64_t)p->room->head);
    jw_bool(j, "more_before", more_before);
    jw_bool(j, "more_after", p->more_after || w.end < p->messages_n);
}

/* Newest first; how far back the words of the room are known. */
static void put_found(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    jw_text(j, "room", name_slice(&p->room->id));
    struct window w = what_fits(p, j->out->n + MESSAGE_OVERHEAD);
    jw_open(j, "messages", '[');
    for (size_t i = w.first; i < w.end; i++)
        put_message(e, j, NULL, p, &p->messages[i], true, false);
    jw_close(j, ']');
    jw_bool(j, "more", p->more_after || w.end < p->messages_n);
    jw_int(j, "from_seq", (int64_t)p->seq);
    jw_bool(j, "complete", p->is_complete);
}

static void put_close_room(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    put_room(j, p);
    jw_text(j, "reason", slice_text(p->reason));
}

/* One value, "" when it is not there; or the whole dictionary. */
static void put_data(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "key", p->key);
    if (p->key.n) {
        jw_raw(j, "data", p->pairs_n ? buf_slice(&p->pairs[0].value) : slice_text("\"\""));
        return;
    }
    jw_open(j, "data", '{');
    for (size_t i = 0; i < p->pairs_n; i++) {
        AUTO(buf_done) struct buf name = {0};
        if (buf_add(&name, buf_slice(&p->pairs[i].key)) != RC_OK || !buf_cstr(&name))
            j->rc = RC_NO_MEMORY;
        else
            jw_raw(j, (const char *)name.p, buf_slice(&p->pairs[i].value));
    }
    jw_close(j, '}');
}

static void put_error(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    AUTO(buf_done) struct buf text = {0};

    (void)e;
    enum rc rc = buf_text(&text, chat_code_text(p->code));
    if (rc == RC_OK && p->detail.n) {
        rc = buf_text(&text, ": ");
        if (rc == RC_OK)
            rc = buf_add(&text, p->detail);
    }
    if (j->rc == RC_OK)
        j->rc = rc;
    jw_text(j, "error", buf_slice(&text));
    jw_text(j, "code", slice_text(chat_code_word(p->code)));
    jw_text(j, "request", slice_text(chat_command_word(p->request)));
    if (p->retry_after_ms)
        jw_int(j, "retry_after_ms", p->retry_after_ms);
}

/* What was asked for is done; of a message, where it went; of a closed room, how far its quorum is. */
static void put_ack(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "request", slice_text(chat_command_word(p->request)));
    if (p->room)
        jw_text(j, "room", name_slice(&p->room->id));
    if (p->messages_n) {
        jw_base64url(j, "mid", SLICE(p->messages[0].mid));
        jw_int(j, "seq", (int64_t)p->messages[0].seq);
        put_time(e, j, "time", p->messages[0].time_s);
        if (p->messages[0].target)
            jw_int(j, "target", (int64_t)p->messages[0].target);
        if (p->cid.n)
            jw_text(j, "cid", p->cid);
        if (p->dup)
            jw_bool(j, "dup", true);
    } else if (p->room) {
        jw_bool(j, "opened", p->room->open);
        jw_int(j, "presented", p->room->presenters_n);
        jw_int(j, "threshold", p->room->threshold);
    }
}

static void put_reauth_ok(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_int(j, "expires", p->expires_s);
}

static void put_notice(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "text", p->text);
}

static void put_read(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "room", name_slice(&p->room->id));
    jw_int(j, "seq", (int64_t)p->seq);
}

static void put_typing(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "room", name_slice(&p->room->id));
    jw_text(j, "from", p->asked_by);
}

static void put_lagged(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_text(j, "room", p->text);
    jw_int(j, "from_seq", (int64_t)p->seq);
}

static void put_restart(const struct encoder *e, struct jw *j, const struct chat_push *p)
{
    (void)e;
    jw_int(j, "retry_after_ms", p->retry_after_ms);
}

static const struct {
    const char *type;
    void (*put)(const struct encoder *e, struct jw *j, const struct chat_push *p);
} pushes[] = {
    [PUSH_HANDSHAKE] = {"handshake",     put_online       },
    [PUSH_ONLINE] = {"online",        put_online       },
    [PUSH_NEW_MESSAGE] = {"new_message",   put_new_message  },
    [PUSH_EDITED] = {"edited",        put_revised      },
    [PUSH_DELETED] = {"deleted",       put_revised      },
    [PUSH_NEW_ROOM] = {"new_room",      put_new_room     },
    [PUSH_GET_SECRET] = {"get_secret",    put_get_secret   },
    [PUSH_ROOM_MESSAGES] = {"room_messages", put_room_messages},
    [PUSH_FOUND] = {"found",         put_found        },
    [PUSH_CLOSE_ROOM] = {"close_room",    put_close_room   },
    [PUSH_DATA] = {"data",          put_data         },
    [PUSH_ERROR] = {"error",         put_error        },
    [PUSH_ACK] = {"ack",           put_ack          },
    [PUSH_REAUTH_OK] = {"reauth_ok",     put_reauth_ok    },
    [PUSH_NOTICE] = {"notice",        put_notice       },
    [PUSH_RESTART] = {"restart",       put_restart      },
    [PUSH_READ] = {"read",          put_read         },
    [PUSH_TYPING] = {"typing",        put_typing       },
    [PUSH_LAGGED] = {"lagged",        put_lagged       },
    [PUSH_PRESENCE] = {"presence",      put_presence     },
};

enum rc push_write(const struct encoder *e, const struct chat_push *push, struct buf *ret)
{
    buf_reset(ret);
    struct jw j = jw_start(ret);
    jw_open(&j, NULL, '{');
    jw_text(&j, "type", slice_text(pushes[push->kind].type));
    if (push->label.n)
        jw_text(&j, "id", push->label);
    put_time(e, &j, "timestamp", push->time_s);
    jw_text(&j, "service", name_slice(&e->wire->options.service));
    pushes[push->kind].put(e, &j, push);
    jw_close(&j, '}');
    return jw_end(&j);
}

enum rc wire_write(struct wire *w, const struct chat_push *push, enum wire_profile profile, struct buf *ret)
{
    const struct encoder e = {.wire = w, .profile = profile};

    if (presence_is_shared(push))
        return presence_write(&e, push, ret);
    TRY(push_write(&e, push, ret));
    if (ret->n <= WIRE_JSON_MAX)
        return RC_OK;
    struct chat_push error = {
        .kind = PUSH_ERROR, .time_s = push->time_s, .label = push->label, .request = push->request, .code = CODE_LIMIT};
    return push_write(&e, &error, ret);
}
