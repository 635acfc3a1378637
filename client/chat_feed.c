/* What is said in rooms, each message once and in order. */
#include "client/chat_feed.h"

#include <bsd/sys/queue.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat_retry.h"

#define NUMBER_MAX ((INT64_C(1) << 53) - 1) /* what all JSON keeps whole; sums with it do not overflow */

struct feed_room {
    LIST_ENTRY(feed_room) of_feed;
    struct name id;
    int64_t last;      /* handed out, or before the program came; what follows is last + 1 */
    bool is_followed;  /* something of it was handed out */
    bool is_behind;    /* something is missing behind `last` */
    uint64_t asked;    /* the request for it; 0: none is on its way */
    int64_t ask_at_ms; /* when it is to be asked again; 0: not by itself */
    bool is_plain;     /* without a secret, as far as is known */
    bool is_in_login;  /* the handshake at hand has it */
};

struct chat_feed {
    struct feed_ops ops;
    struct name history;
    bool has_login;
    LIST_HEAD(, feed_room) rooms;
};

struct chat_feed *feed_new(const struct feed_ops *ops)
{
    struct chat_feed *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    f->ops = *ops;
    LIST_INIT(&f->rooms);
    return f;
}

static void room_free(struct feed_room *r)
{
    LIST_REMOVE(r, of_feed);
    free(r);
}

void feed_free(struct chat_feed *f)
{
    if (!f)
        return;
    while (!LIST_EMPTY(&f->rooms))
        room_free(LIST_FIRST(&f->rooms));
    free(f);
}

/* --- reading --- */

/* 0: there is none, or it is none that can count something. */
static int64_t number(const json_t *object, const char *member)
{
    int64_t n;
    return json_get_int(object, member, &n) == RC_OK && n > 0 && n <= NUMBER_MAX ? n : 0;
}

static struct slice text(const json_t *object, const char *member)
{
    struct slice s;
    return json_get_text(object, member, &s) == RC_OK ? s : slice_of("", 0);
}

static struct feed_room *find(const struct chat_feed *f, struct slice id)
{
    struct feed_room *r;

    LIST_FOREACH(r, &f->rooms, of_feed)
    if (slice_eq(name_slice(&r->id), id))
        return r;
    return NULL;
}

/* NULL: it has no name, or there is no memory. */
static struct feed_room *add(struct chat_feed *f, struct slice id, int64_t last)
{
    struct feed_room *r = calloc(1, sizeof *r);

    if (!r || name_parse(id, &r->id) != RC_OK) {
        free(r);
        return NULL;
    }
    r->last = last;
    LIST_INSERT_HEAD(&f->rooms, r, of_feed);
    return r;
}

/* --- asking --- */

static void ask(struct chat_feed *f, struct feed_room *r, int64_t now_ms)
{
    r->is_behind = true;
    r->ask_at_ms = 0;
    if (!r->asked && f->ops.ask(f->ops.ctx, r->id.s, r->last, &r->asked) != RC_OK) {
        r->asked = 0;
        r->ask_at_ms = now_ms + FEED_AGAIN_MS;
    }
}

int feed_poll(struct chat_feed *f, int64_t now_ms)
{
    struct feed_room *r;
    int64_t next = INT_MAX;

    LIST_FOREACH(r, &f->rooms, of_feed)
    {
        if (r->ask_at_ms && r->ask_at_ms <= now_ms)
            ask(f, r, now_ms);
        if (r->ask_at_ms && r->ask_at_ms - now_ms < next)
            next = r->ask_at_ms - now_ms;
    }
    return (int)next;
}

void feed_lost(struct chat_feed *f)
{
    struct feed_room *r;

    LIST_FOREACH(r, &f->rooms, of_feed)
    {
        r->asked = 0;
        r->ask_at_ms = 0;
    }
}

/* --- what was said --- */

/* The member in which a push has what was said; NULL: it is of another kind. */
static const char *said_in(const json_t *message)
{
    static const char *const kinds[] = {"new_message", "edited", "deleted"};
    struct slice type = text(message, "type");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (slice_eq(type, slice_text(kinds[i])))
            return kinds[i];
    return NULL;
}

static void hand_out(struct chat_feed *f, struct feed_room *r, json_t *message, int64_t seq)
{
    r->last = seq;
    r->is_followed = true;
    f->ops.hand_out(f->ops.ctx, message);
}

static void take_push(struct chat_feed *f, json_t *message, const char *kind, int64_t now_ms)
{
    struct slice id = text(message, "room");
    int64_t seq = number(json_object_get(message, kind), "seq");
    struct feed_room *r = find(f, id);

    if (!r && seq)
        r = add(f, id, seq - 1);
    if (!r || seq <= r->last)
        return;
    if (seq == r->last + 1)
        hand_out(f, r, message, seq);
    else
        ask(f, r, now_ms);
}

/* As the push would have been, had it come. */
static void take_row(struct chat_feed *f, struct feed_room *r, json_t *row)
{
    const char *kind = json_object_get(row, "edits")     ? "edited"
                       : json_object_get(row, "deletes") ? "deleted"
                                                         : "new_message";
    int64_t seq = number(row, "seq");

    if (seq <= r->last)
        return;
    json_t *message = json_pack("{s:s, s:s, s:O}", "type", kind, "room", r->id.s, kind, row);
    if (!message)
        return;
    hand_out(f, r, message, seq);
    json_decref(message);
}

/* The last page says up to where the history goes; what is missing before that is kept no more. */
static void take_page(struct chat_feed *f, struct feed_room *r, const json_t *page, int64_t now_ms)
{
    const json_t *rows = json_object_get(page, "messages");

    r->asked = 0;
    for (size_t i = 0; i < json_array_size(rows); i++)
        take_row(f, r, json_array_get(rows, i));
    r->is_behind = json_array_size(rows) > 0 && json_is_true(json_object_get(page, "more_after"));
    if (r->is_behind)
        ask(f, r, now_ms);
    else if (number(page, "head") > r->last)
        r->last = number(page, "head");
}

/* A room that has closed is asked again when it opens. */
static void take_refusal(struct feed_room *r, const json_t *error, int64_t now_ms)
{
    struct slice code = text(error, "code");
    int64_t wait_ms = retry_after(error);

    r->asked = 0;
    if (!slice_eq(code, slice_text("room_closed")) && !slice_eq(code, slice_text("not_found")))
        r->ask_at_ms = now_ms + (wait_ms ? wait_ms : FEED_AGAIN_MS);
}

static struct feed_room *find_asked(const struct chat_feed *f, uint64_t id)
{
    struct feed_room *r;

    LIST_FOREACH(r, &f->rooms, of_feed)
    if (id && r->asked == id)
        return r;
    return NULL;
}

/* The newest of a room that one enters, or that opens: all that is missing may be among them, or more is. */
static void take_newest(struct chat_feed *f, json_t *message, int64_t now_ms)
{
    const json_t *rows = json_object_get(message, "messages");
    struct slice id = text(json_object_get(message, "room"), "room");
    size_t n = json_array_size(rows);
    int64_t first = n ? number(json_array_get(rows, 0), "seq") : 0,
            last = n ? number(json_array_get(rows, n - 1), "seq") : 0;
    struct feed_room *r = find(f, id);

    if (!r)
        r = add(f, id, last);
    if (!r || last <= r->last)
        return;
    if (first > r->last + 1 && number(message, "floor") < first - 1) {
        (void)json_object_set_new(message, "messages", json_array());
        ask(f, r, now_ms);
        return;
    }
    r->last = last;
    r->is_followed = true;
    r->is_behind = false;
}

static void take_new_room(struct chat_feed *f, const json_t *message)
{
    const json_t *room = json_object_get(message, "room");
    struct feed_room *r = find(f, text(room, "room"));

    if (r && number(room, "threshold") == 0) /* that one is gone; a sealed one may be told again, for its share */
        room_free(r);
    if (!r || number(room, "threshold") == 0)
        (void)add(f, text(room, "room"), 0);
}

static void take_close(struct chat_feed *f, const json_t *message)
{
    struct feed_room *r = find(f, text(json_object_get(message, "room"), "room"));

    if (r && slice_eq(text(message, "reason"), slice_text("deleted")))
        room_free(r);
}

bool feed_takes(struct chat_feed *f, json_t *message, uint64_t id, int64_t now_ms)
{
    struct slice type = text(message, "type");
    struct feed_room *asked = find_asked(f, id), *r;
    const char *kind = said_in(message);

    if (asked && slice_eq(type, slice_text("error"))) {
        take_refusal(asked, message, now_ms);
    } else if (asked) {
        take_page(f, asked, message, now_ms);
    } else if (kind) {
        take_push(f, message, kind, now_ms);
    } else if (slice_eq(type, slice_text("lagged"))) {
        if ((r = find(f, text(message, "room"))))
            ask(f, r, now_ms);
    } else {
        if (slice_eq(type, slice_text("room_messages")) && !json_object_get(message, "more_after"))
            take_newest(f, message, now_ms);
        else if (slice_eq(type, slice_text("new_room")))
            take_new_room(f, message);
        else if (slice_eq(type, slice_text("close_room")))
            take_close(f, message);
        return false;
    }
    return true;
}

/* --- a new connection --- */

static bool is_open(const json_t *room)
{
    return number(room, "threshold") == 0 || json_is_true(json_object_get(room, "opened"));
}

/* The server's database was replaced by an older one: what was followed is told anew, from its beginning. */
static void begin_anew(struct feed_room *r, int64_t head)
{
    r->last = r->is_followed ? 0 : head;
}

static void login_room(struct chat_feed *f, const json_t *room, bool is_same, bool is_resumed, int64_t now_ms)
{
    int64_t head = number(room, "head");
    struct feed_room *r = find(f, text(room, "room"));

    if (!r && !is_resumed) /* of one that was made meanwhile nothing is known yet */
        r = add(f, text(room, "room"), f->has_login && number(room, "threshold") == 0 ? 0 : head);
    if (!r)
        return;
    r->is_in_login = true;
    r->is_plain = number(room, "threshold") == 0;
    if (!is_same || head < r->last)
        begin_anew(r, head);
    if (is_open(room) && head > r->last && (r->is_behind || !is_resumed))
        ask(f, r, now_ms);
}

/* Rooms without a secret are all in a handshake; one that is not there is gone. */
static void forget_gone(struct chat_feed *f)
{
    struct feed_room *r, *next;

    for (r = LIST_FIRST(&f->rooms); r; r = next) {
        next = LIST_NEXT(r, of_feed);
        if (!r->is_in_login && r->is_plain)
            room_free(r);
        else
            r->is_in_login = false;
    }
}

void feed_login(struct chat_feed *f, const json_t *handshake, int64_t now_ms)
{
    const json_t *rooms = json_object_get(handshake, "rooms");
    bool is_same = !f->has_login || slice_eq(text(handshake, "history_id"), name_slice(&f->history));
    bool is_resumed = json_is_true(json_object_get(handshake, "resumed"));

    feed_lost(f);
    for (size_t i = 0; i < json_array_size(rooms); i++)
        login_room(f, json_array_get(rooms, i), is_same, is_resumed, now_ms);
    forget_gone(f);
    if (name_parse(text(handshake, "history_id"), &f->history) != RC_OK)
        f->history = (struct name){0};
    f->has_login = true;
}
