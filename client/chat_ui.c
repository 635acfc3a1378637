/*
 * kerb chat: what the person types, and what others say above it.
 *
 * A line is a message to the room one is in, or a command that starts with a slash. A share leaves only by the person's
 * own /open, /join or /approve; a request for it is shown, and waits. Everything that others have written goes through
 * show().
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cmd_chat.h"

#define WORDS_MAX 260 /* of a command: a room may have 255 members */
#define WAIT_MS   60000
#define TIME_TEXT 32

enum style {
    PLAIN,
    NOTE, /* of the program */
    ASK,  /* wants an answer */
    BAD,
};

struct ui {
    struct cmd *cmd;
    struct kerb_chat *chat;
    struct line *line;
    bool has_colours, is_over;
    json_t *rooms;        /* id -> room object */
    json_t *online;       /* names */
    struct name room;     /* where one is; n 0: nowhere */
    struct name waiting;  /* asked to be opened */
    struct name last_ask; /* room of the last request for one's share */
    int64_t last_seq;     /* shown in `room` */
    struct buf present;   /* members online in `room`, as last told */
};

static volatile sig_atomic_t was_resized, was_interrupted;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        was_resized = 1;
    else
        was_interrupted = 1;
}

/* --- saying --- */

static void say(struct ui *ui, enum style style, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void say(struct ui *ui, enum style style, const char *fmt, ...)
{
    static const char *const colours[] = {[PLAIN] = "", [NOTE] = "\033[2m", [ASK] = "\033[1;33m", [BAD] = "\033[31m"};
    AUTO(buf_done) struct buf text = {0};
    AUTO(str_done) char *line = NULL;
    bool coloured = ui->has_colours && style != PLAIN;
    va_list ap;

    va_start(ap, fmt);
    int n = vasprintf(&line, fmt, ap);
    va_end(ap);
    if (n < 0)
        line = NULL;
    if (n >= 0 &&
        buf_printf(&text, "%s%s%s%s", coloured ? colours[style] : "", style == PLAIN ? "" : "* ", line,
                   coloured ? "\033[0m" : "") == RC_OK &&
        buf_cstr(&text))
        line_say(ui->line, (const char *)text.p);
}

static void local_time(int64_t unix_s, char out[TIME_TEXT])
{
    time_t t = (time_t)unix_s, now = (time_t)clock_s();
    struct tm tm = {0}, today = {0};

    (void)localtime_r(&t, &tm);
    (void)localtime_r(&now, &today);
    bool is_today = tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday;
    if (strftime(out, TIME_TEXT, is_today ? "%H:%M" : "%Y-%m-%d %H:%M", &tm) == 0)
        out[0] = 0;
}

static void show_message(struct ui *ui, const json_t *m)
{
    AUTO(buf_done) struct buf from = {0}, text = {0}, room = {0};
    struct slice in = talk_text(m, "room");
    bool here = slice_eq(in, name_slice(&ui->room));
    char time[TIME_TEXT];

    local_time(talk_int(m, "time"), time);
    if (here && talk_int(m, "seq") > ui->last_seq)
        ui->last_seq = talk_int(m, "seq");
    say(ui, PLAIN, "%s%s%s%s %s%s:%s %s", here ? "" : "[", here ? "" : show(in, &room), here ? "" : "] ", time,
        ui->has_colours ? "\033[1m" : "", show(talk_text(m, "from"), &from), ui->has_colours ? "\033[0m" : "",
        show(talk_text(m, "text"), &text));
}

/* A room as it would be typed behind a command. */
static const char *show_word(struct slice room, struct buf *b)
{
    AUTO(buf_done) struct buf shown = {0};
    bool blank = room.n == 0 || memchr(room.p, ' ', room.n);

    buf_reset(b);
    const char *text = show(room, &shown);
    if (buf_printf(b, blank ? "\"%s\"" : "%s", text) != RC_OK)
        buf_done(b);
    text = buf_cstr(b);
    return text ? text : "?";
}

static void set_prompt(struct ui *ui)
{
    AUTO(buf_done) struct buf shown = {0}, prompt = {0};

    if (buf_printf(&prompt, "%s> ", show(name_slice(&ui->room), &shown)) == RC_OK && buf_cstr(&prompt))
        line_prompt(ui->line, (const char *)prompt.p);
}

/* --- what is known of rooms --- */

static void know(struct ui *ui, json_t *room)
{
    struct slice id = talk_text(room, "room");

    if (id.n)
        (void)json_object_setn(ui->rooms, (const char *)id.p, id.n, room);
}

static const json_t *room_of(const struct ui *ui, const struct name *id)
{
    return json_object_get(ui->rooms, id->s);
}

/* By id, else by name. */
static const json_t *find_room(const struct ui *ui, const char *word)
{
    const json_t *room = json_object_get(ui->rooms, word);
    const char *id;
    json_t *each;

    if (room)
        return room;
    json_object_foreach ((json_t *)(uintptr_t)ui->rooms, id, each)
        if (slice_eq(talk_text(each, "name"), slice_text(word)))
            return each;
    return NULL;
}

static bool is_open(const json_t *room)
{
    return talk_int(room, "threshold") == 0 || json_is_true(json_object_get(room, "opened"));
}

/* Who of the room one is in is here, told when it has changed. */
static void tell_present(struct ui *ui)
{
    AUTO(buf_done) struct buf names = {0};
    const json_t *room = ui->room.n ? room_of(ui, &ui->room) : NULL;

    if (!room || talk_names(json_object_get(room, "users"), ui->online, &names) != RC_OK || !buf_cstr(&names) ||
        slice_eq(buf_slice(&names), buf_slice(&ui->present)))
        return;
    buf_done(&ui->present);
    ui->present = buf_take(&names);
    say(ui, NOTE, "online here: %s", buf_cstr(&ui->present));
}

static void take_online(struct ui *ui, const json_t *j)
{
    static const char *const lists[] = {"rooms", "rooms_waiting"};
    json_t *online = json_object_get(j, "users_online");

    json_decref(ui->online);
    ui->online = json_incref(online);
    (void)json_object_clear(ui->rooms);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_array_size(json_object_get(j, lists[l])); i++)
            know(ui, json_array_get(json_object_get(j, lists[l]), i));
    if (ui->room.n && !room_of(ui, &ui->room)) {
        AUTO(buf_done) struct buf shown = {0};
        say(ui, NOTE, "you are no longer in %s", show(name_slice(&ui->room), &shown));
        ui->room.n = 0;
        ui->room.s[0] = 0;
        set_prompt(ui);
    }
    tell_present(ui);
}

/* --- entering a room --- */

static void enter(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0};
    const json_t *messages = json_object_get(j, "messages"), *room = json_object_get(j, "room");
    bool same = slice_eq(talk_text(room, "room"), name_slice(&ui->room));

    if (!same) {
        if (name_parse(talk_text(room, "room"), &ui->room) != RC_OK)
            return;
        ui->last_seq = 0;
        buf_done(&ui->present);
        set_prompt(ui);
    }
    if (slice_eq(name_slice(&ui->waiting), name_slice(&ui->room)))
        ui->waiting.n = 0;
    say(ui, NOTE, "%s is open: %zu message%s%s", show(name_slice(&ui->room), &shown), json_array_size(messages),
        json_array_size(messages) == 1 ? "" : "s",
        json_is_true(json_object_get(j, "more")) ? ", and older ones that are not shown" : "");
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (talk_int(json_array_get(messages, i), "seq") > ui->last_seq)
            show_message(ui, json_array_get(messages, i));
    tell_present(ui);
}

/* --- what comes by itself --- */

static void on_new_message(struct ui *ui, const json_t *j)
{
    show_message(ui, json_object_get(j, "new_message"));
}

static void on_new_room(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0}, members = {0}, state = {0};
    json_t *room = json_object_get(j, "room");

    bool is_new = !json_object_get(ui->rooms, (const char *)talk_text(room, "room").p);
    know(ui, room);
    if (!is_new || talk_names(json_object_get(room, "users"), NULL, &members) != RC_OK || !buf_cstr(&members) ||
        talk_state(room, &state) != RC_OK || !buf_cstr(&state))
        return;
    say(ui, NOTE, "you are in the room %s (%s) with %s", show(talk_text(room, "room"), &shown), (char *)state.p,
        (char *)members.p);
}

static void on_get_secret(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf who = {0}, shown = {0};
    json_t *room = json_object_get(j, "room");

    know(ui, room);
    if (name_parse(talk_text(room, "room"), &ui->last_ask) != RC_OK)
        return;
    const char *room_word = show_word(name_slice(&ui->last_ask), &shown);
    say(ui, ASK, "%s asks for your share to open %s: /approve %s gives it, /refuse %s does not",
        show(talk_text(j, "asked_by"), &who), room_word, room_word, room_word);
}

static void on_room_messages(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0};
    json_t *room = json_object_get(j, "room");
    struct slice id = talk_text(room, "room");

    know(ui, room);
    if (slice_eq(id, name_slice(&ui->waiting)) || slice_eq(id, name_slice(&ui->room)) || !ui->room.n)
        enter(ui, j);
    else
        say(ui, NOTE, "a room is open now: /open %s", show_word(id, &shown));
}

static void on_close_room(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0}, reason = {0};
    json_t *room = json_object_get(j, "room");

    know(ui, room);
    bool quorum = slice_eq(talk_text(j, "reason"), slice_text("quorum_lost"));
    say(ui, NOTE, "%s is closed: %s", show(talk_text(room, "room"), &shown),
        quorum ? "too few of its members are here; /open asks for their shares again"
               : show(talk_text(j, "reason"), &reason));
}

static void on_notice(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf text = {0};
    say(ui, ASK, "notice from the administrator: %s", show(talk_text(j, "text"), &text));
}

static void on_error(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf text = {0};
    say(ui, BAD, "%s", show(talk_text(j, "error"), &text));
}

static void on_online(struct ui *ui, const json_t *j)
{
    take_online(ui, j);
}

static const struct {
    const char *type;
    void (*take)(struct ui *ui, const json_t *j);
} pushes[] = {
    {"online",        on_online       },
    {"new_message",   on_new_message  },
    {"new_room",      on_new_room     },
    {"get_secret",    on_get_secret   },
    {"room_messages", on_room_messages},
    {"close_room",    on_close_room   },
    {"notice",        on_notice       },
    {"error",         on_error        },
};

static void on_message(void *ctx, const char *type, const char *json)
{
    AUTO(json_done) json_t *j = NULL;
    struct ui *ui = ctx;

    if (json_parse_object(slice_text(json), JSON_DEPTH_CHAT, &j) != RC_OK)
        return;
    for (size_t i = 0; i < ARRAY_LEN(pushes); i++)
        if (strcmp(pushes[i].type, type) == 0)
            pushes[i].take(ui, j);
}

static void on_event(void *ctx, enum kerb_chat_event event, const char *text)
{
    AUTO(buf_done) struct buf shown = {0};
    struct ui *ui = ctx;

    switch (event) {
    case KERB_CHAT_LOST:
        say(ui, BAD, "%s; trying again", show(slice_text(text), &shown));
        break;
    case KERB_CHAT_BACK:
        say(ui, NOTE, "the connection is back; to a sealed room your share must be presented again (/open)");
        break;
    case KERB_CHAT_KEPT:
        say(ui, NOTE, "your share of %s is kept in your vault, for your other devices, too",
            show(slice_text(text), &shown));
        break;
    case KERB_CHAT_KEPT_HERE:
        say(ui, BAD, "your share of %s is kept on this machine only: the vault is not open; 'kerb vault' tells more",
            show(slice_text(text), &shown));
        break;
    }
}

/* --- what the person wants --- */

/* The reply, or NULL after a sentence. */
static json_t *ask(struct ui *ui, json_t *request)
{
    AUTO(buf_done) struct buf why = {0};
    struct name code;

    json_t *reply = talk_ask(ui->chat, request, &why, &code);
    if (!reply)
        say(ui, BAD, "%s%s", why.p ? (char *)why.p : "out of memory",
            strcmp(code.s, "room_closed") == 0 ? " (/open asks for them)" : "");
    return reply;
}

static void refresh(struct ui *ui)
{
    AUTO(json_done) json_t *reply = ask(ui, json_pack("{s:s}", "type", "online"));

    if (reply)
        take_online(ui, reply);
}

/* A room that the person named, or the one he is in. NULL after a sentence. */
static const json_t *which(struct ui *ui, char **words, int n)
{
    AUTO(buf_done) struct buf shown = {0};
    const char *word = n > 1 ? words[1] : ui->room.s;

    if (!word[0]) {
        say(ui, BAD, "which room? /rooms lists yours");
        return NULL;
    }
    const json_t *room = find_room(ui, word);
    if (!room) {
        refresh(ui);
        room = find_room(ui, word);
    }
    if (!room)
        say(ui, BAD, "you are in no room %s; /rooms lists yours", show(slice_text(word), &shown));
    return room;
}

static void do_rooms(struct ui *ui, char **words, int n)
{
    const char *id;
    json_t *room;

    (void)words, (void)n;
    refresh(ui);
    json_object_foreach (ui->rooms, id, room) {
        AUTO(buf_done) struct buf name = {0}, state = {0}, here = {0};
        if (talk_state(room, &state) == RC_OK && buf_cstr(&state) &&
            talk_names(json_object_get(room, "users"), ui->online, &here) == RC_OK && buf_cstr(&here))
            say(ui, NOTE, "%s: %s; online: %s", show(slice_text(id), &name), (char *)state.p, (char *)here.p);
    }
    if (json_object_size(ui->rooms) == 0)
        say(ui, NOTE, "you are in no room; /new makes one");
}

static void do_who(struct ui *ui, char **words, int n)
{
    AUTO(buf_done) struct buf names = {0}, shown = {0};
    const json_t *room = ui->room.n || n > 1 ? which(ui, words, n) : NULL;

    if (n > 1 && !room)
        return;
    refresh(ui);
    if (talk_names(ui->online, NULL, &names) != RC_OK || !buf_cstr(&names))
        return;
    say(ui, NOTE, "online: %s", (char *)names.p);
    room = ui->room.n ? room_of(ui, &ui->room) : NULL;
    buf_reset(&names);
    if (room && talk_names(json_object_get(room, "users"), NULL, &names) == RC_OK && buf_cstr(&names))
        say(ui, NOTE, "members of %s: %s", show(talk_text(room, "room"), &shown), (char *)names.p);
}

static void tell_progress(struct ui *ui, const json_t *ack)
{
    AUTO(buf_done) struct buf shown = {0};

    say(ui, NOTE, "%s: presented %lld of %lld%s", show(talk_text(ack, "room"), &shown),
        (long long)talk_int(ack, "presented"), (long long)talk_int(ack, "threshold"),
        json_is_true(json_object_get(ack, "opened")) ? ", it is open" : "; the others who are here are asked");
}

/* One's own share, or NULL after a sentence. */
static char *get_share(struct ui *ui, const struct name *id)
{
    AUTO(buf_done) struct buf shown = {0};
    char *share = NULL;

    if (kerb_chat_share(ui->chat, id->s, &share) != KERB_OK)
        say(ui, BAD, "%s", kerb_error(ui->cmd->k));
    else if (!share)
        say(ui, BAD, "your share of %s is neither here nor in your vault", show(name_slice(id), &shown));
    return share;
}

static json_t *go_request(struct ui *ui, const json_t *room, const struct name *id)
{
    AUTO(str_done) char *share = NULL;

    if (is_open(room))
        return json_pack("{s:s, s:s}", "type", "go_room", "room", id->s);
    share = get_share(ui, id);
    return share ? json_pack("{s:s, s:s, s:s}", "type", "go_room", "room", id->s, "secret", share) : NULL;
}

static void do_open(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *request = NULL, *reply = NULL;
    const json_t *room = which(ui, words, n);
    struct name id;

    if (!room || name_parse(talk_text(room, "room"), &id) != RC_OK)
        return;
    request = go_request(ui, room, &id);
    if (!request)
        return;
    ui->waiting = id;
    reply = ask(ui, json_incref(request));
    if (!reply)
        ui->waiting.n = 0;
    else if (json_is_array(json_object_get(reply, "messages")))
        enter(ui, reply);
    else
        tell_progress(ui, reply);
}

/* Only here does a share go out that somebody else has asked for. */
static void do_approve(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *reply = NULL;
    AUTO(str_done) char *share = NULL;
    char *last[2] = {words[0], ui->last_ask.s};
    struct name id;

    const json_t *room = n > 1 ? which(ui, words, n) : which(ui, last, ui->last_ask.n ? 2 : 1);
    if (!room || name_parse(talk_text(room, "room"), &id) != RC_OK)
        return;
    share = get_share(ui, &id);
    if (!share)
        return;
    reply = ask(ui, json_pack("{s:s, s:s, s:s}", "type", "secret", "room", id.s, "secret", share));
    if (!reply)
        return;
    if (slice_eq(name_slice(&ui->last_ask), name_slice(&id)))
        ui->last_ask.n = 0;
    tell_progress(ui, reply);
}

static void do_refuse(struct ui *ui, char **words, int n)
{
    AUTO(buf_done) struct buf shown = {0};

    if (n > 1 ? strcmp(words[1], ui->last_ask.s) != 0 || !ui->last_ask.n : !ui->last_ask.n) {
        say(ui, NOTE, "nobody waits for your share there");
        return;
    }
    say(ui, NOTE, "your share of %s stays with you; nobody is told", show(name_slice(&ui->last_ask), &shown));
    ui->last_ask.n = 0;
    ui->last_ask.s[0] = 0;
}

static void do_new(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *users = json_array(), *reply = NULL;
    uint64_t threshold;

    if (n < 3 || parse_u64(slice_text(words[2]), 255, &threshold) != RC_OK || !users) {
        say(ui, BAD, "/new ROOM THRESHOLD USER...: 0 makes a room without a secret, 2 one that opens with two shares");
        return;
    }
    for (int i = 3; i < n; i++)
        if (json_array_append_new(users, json_string(words[i])) != 0)
            say(ui, BAD, "the name of a user is not UTF-8");
    reply = ask(ui, json_pack("{s:s, s:s, s:I, s:O}", "type", "new_room", "room", words[1], "threshold",
                              (json_int_t)threshold, "users", users));
    if (!reply)
        return;
    if (json_object_get(reply, "room") && json_is_object(json_object_get(reply, "room")))
        on_new_room(ui, reply);
    refresh(ui);
}

static void do_leave(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *reply = NULL;
    AUTO(buf_done) struct buf shown = {0};
    struct name id;

    if (n < 2) {
        say(ui, BAD, "/leave ROOM: name the room");
        return;
    }
    const json_t *room = which(ui, words, n);
    if (!room || name_parse(talk_text(room, "room"), &id) != RC_OK)
        return;
    size_t members = json_array_size(json_object_get(room, "users"));
    bool ends = (size_t)talk_int(room, "threshold") >= members || members == 1;
    if (ends && (n < 3 || strcmp(words[2], "delete") != 0)) {
        say(ui, ASK, "without you it could never be opened, so it would be deleted for everybody: /leave %s delete",
            show_word(name_slice(&id), &shown));
        return;
    }
    reply = ask(ui, json_pack("{s:s, s:s}", "type", "delete_chat", "room", id.s));
    if (!reply)
        return;
    if (kerb_chat_forget_share(ui->chat, id.s) != KERB_OK)
        say(ui, BAD, "%s", kerb_error(ui->cmd->k));
    say(ui, NOTE, "%s %s", ends ? "deleted" : "left", show(name_slice(&id), &shown));
    refresh(ui);
}

static void do_history(struct ui *ui, char **words, int n)
{
    const json_t *room = which(ui, words, n);

    if (!room)
        return;
    if (slice_eq(talk_text(room, "room"), name_slice(&ui->room)))
        ui->last_seq = 0;
    if (is_open(room))
        do_open(ui, words, n);
    else
        say(ui, NOTE, "it is closed: /open asks for the shares");
}

static void do_quit(struct ui *ui, char **words, int n)
{
    (void)words, (void)n;
    ui->is_over = true;
}

static void do_help(struct ui *ui, char **words, int n);

static const struct {
    const char *word, *arg, *help;
    void (*run)(struct ui *ui, char **words, int n);
} commands[] = {
    {"/rooms",   "",                       "your rooms, and who of them is online",                          do_rooms  },
    {"/who",     "",                       "who is online, and who is in the room",                          do_who    },
    {"/open",    "[ROOM]",                 "go to a room; a closed one: present your share, ask the others", do_open   },
    {"/approve", "[ROOM]",                 "give your share to open the room",                               do_approve},
    {"/refuse",  "[ROOM]",                 "do not give it",                                                 do_refuse },
    {"/new",     "ROOM THRESHOLD USER...", "make a room (names with blanks in double quotes)",               do_new    },
    {"/history", "[ROOM]",                 "show the messages again",                                        do_history},
    {"/leave",   "ROOM",                   "leave a room for good",                                          do_leave  },
    {"/help",    "",                       "this",                                                           do_help   },
    {"/quit",    "",                       "end (also Ctrl-D)",                                              do_quit   },
};

static void do_help(struct ui *ui, char **words, int n)
{
    (void)words, (void)n;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        say(ui, NOTE, "%-8s %-22s %s", commands[i].word, commands[i].arg, commands[i].help);
    say(ui, NOTE, "%-31s %s", "//TEXT", "send a text that begins with a slash");
}

/* Splits in place at blanks, but for those in double quotes. */
static int split(char *text, char *words[WORDS_MAX])
{
    int n = 0;

    while (n < WORDS_MAX) {
        text += strspn(text, " ");
        if (!*text)
            break;
        bool quoted = *text == '"';
        words[n++] = text += quoted;
        text += strcspn(text, quoted ? "\"" : " ");
        if (!*text)
            break;
        *text++ = 0;
    }
    return n;
}

static void do_command(struct ui *ui, char *text)
{
    AUTO(buf_done) struct buf shown = {0};
    char *words[WORDS_MAX];

    int n = split(text, words);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].word, words[0]) == 0) {
            commands[i].run(ui, words, n);
            return;
        }
    }
    say(ui, BAD, "there is no command %s; /help lists them", show(slice_text(words[0]), &shown));
}

static void do_send(struct ui *ui, struct slice text)
{
    AUTO(json_done) json_t *reply = NULL;

    if (!ui->room.n)
        say(ui, BAD, "you are in no room yet: /open ROOM, or /rooms to see yours");
    else if (text.n > MESSAGE_TEXT_MAX)
        say(ui, BAD, "the text is longer than %d bytes", MESSAGE_TEXT_MAX);
    else
        reply = ask(ui, json_pack("{s:s, s:s, s:s%}", "type", "new_message", "room", ui->room.s, "message",
                                  (const char *)text.p, text.n));
}

static void take_line(struct ui *ui, struct buf *line)
{
    const char *text = buf_cstr(line);

    if (!text || line->n == 0)
        return;
    if (!utf8_valid(buf_slice(line)) || strlen(text) != line->n)
        say(ui, BAD, "this is not UTF-8 text");
    else if (text[0] == '/' && text[1] != '/')
        do_command(ui, (char *)line->p);
    else
        do_send(ui, text[0] == '/' ? slice_of(line->p + 1, line->n - 1) : buf_slice(line));
}

/* --- the loop --- */

static void look_at_input(struct ui *ui)
{
    AUTO(buf_done) struct buf line = {0};

    switch (line_read(ui->line, &line)) {
    case LINE_PART:
        break;
    case LINE_WHOLE:
        take_line(ui, &line);
        break;
    case LINE_END:
        ui->is_over = true;
        break;
    }
}

static int loop(struct ui *ui)
{
    while (!ui->is_over && !was_interrupted) {
        bool input = false, more = line_has_more(ui->line);
        enum kerb_status status = kerb_chat_wait(ui->chat, STDIN_FILENO, more ? 0 : WAIT_MS, &input);
        if (status != KERB_OK) {
            say(ui, BAD, "%s", kerb_error(ui->cmd->k));
            return EXIT_FAILURE;
        }
        if (was_resized) {
            was_resized = 0;
            line_resized(ui->line);
        }
        if (input || more)
            look_at_input(ui);
    }
    return EXIT_SUCCESS;
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: the wait must end */

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        (void)sigaction(numbers[i], &action, NULL);
}

static void greet(struct ui *ui)
{
    AUTO(buf_done) struct buf client = {0}, realm = {0};

    say(ui, NOTE, "%s in %s; /help lists the commands", show(slice_text(kerb_client(ui->cmd->k)), &client),
        show(slice_text(kerb_realm(ui->cmd->k)), &realm));
    if (!kerb_chat_has_vault(ui->chat))
        say(ui, BAD, "your vault is not open: shares of sealed rooms are kept on this machine only ('kerb vault')");
}

static int run(struct ui *ui, const char *room)
{
    const struct kerb_chat_options o = {.message = on_message, .event = on_event, .ctx = ui};
    char *words[2] = {(char *)(uintptr_t) "/open", (char *)(uintptr_t)room};

    int status = cmd_end(ui->cmd, kerb_chat_open(ui->cmd->k, &o, &ui->chat));
    if (status != EXIT_SUCCESS)
        return status;
    set_prompt(ui);
    greet(ui);
    refresh(ui);
    if (room)
        do_open(ui, words, 2);
    else
        do_rooms(ui, words, 1);
    status = loop(ui);
    kerb_chat_close(ui->chat);
    return status;
}

int chat_ui(struct cmd *c, struct line *line, const char *room)
{
    const char *no_color = getenv("NO_COLOR");
    struct ui ui = {.cmd = c, .line = line, .rooms = json_object(), .online = json_array()};

    ui.has_colours = line_is_terminal(line) && !(no_color && no_color[0]);
    catch_signals();
    int status = ui.rooms && ui.online ? run(&ui, room) : cmd_fail(EXIT_FAILURE, "out of memory");
    json_decref(ui.rooms);
    json_decref(ui.online);
    buf_done(&ui.present);
    return status;
}
