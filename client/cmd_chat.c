/* kerb chat, send, rooms, history. */
#include "client/cmd_chat.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMN 20

/* --- one question and its answer --- */

static void on_event(void *ctx, enum kerb_chat_event event, const char *text)
{
    AUTO(buf_done) struct buf room = {0};

    (void)ctx;
    if (event == KERB_CHAT_KEPT_HERE)
        (void)cmd_fail(EXIT_SUCCESS, "your share of the room %s came and is kept on this machine only",
                       show(slice_text(text), &room));
}

/* stay_lost: for what need not be done. */
static int open_chat(struct cmd *c, bool stay_lost, struct kerb_chat **ret)
{
    const struct kerb_chat_options o = {.stay_lost = stay_lost, .event = on_event};

    (void)signal(SIGPIPE, SIG_IGN);
    return cmd_end(c, kerb_chat_open(c->k, &o, ret));
}

static void say_no_room(const char *id)
{
    AUTO(buf_done) struct buf shown = {0};
    (void)cmd_fail(EXIT_FAILURE, "you are in no room %s; 'kerb rooms' lists yours", show(slice_text(id), &shown));
}

/* room: that it is about; NULL: none. */
static json_t *ask(struct kerb_chat *chat, const char *room, json_t *request)
{
    AUTO(buf_done) struct buf why = {0};
    struct name code;

    json_t *reply = talk_ask(chat, request, &why, &code);
    if (!reply && room && strcmp(code.s, "not_found") == 0)
        say_no_room(room);
    else if (!reply)
        (void)cmd_fail(EXIT_FAILURE, "%s%s", why.p ? (const char *)why.p : "out of memory",
                       strcmp(code.s, "room_closed") == 0 ? "; 'kerb chat' opens it" : "");
    return reply;
}

static int print_json(json_t *j)
{
    char *text = j ? json_dumps(j, JSON_ENSURE_ASCII | JSON_COMPACT) : NULL;

    if (!text)
        return cmd_fail(EXIT_FAILURE, "out of memory");
    (void)puts(text);
    str_done(&text);
    return EXIT_SUCCESS;
}

/* --- kerb send --- */

static int read_all(struct buf *text)
{
    while (text->n <= MESSAGE_TEXT_MAX) {
        if (buf_reserve(text, MESSAGE_TEXT_MAX) != RC_OK)
            return cmd_fail(EXIT_FAILURE, "out of memory");
        ssize_t n = read(STDIN_FILENO, text->p + text->n, MESSAGE_TEXT_MAX);
        if (n < 0)
            return cmd_fail(EXIT_FAILURE, "standard input cannot be read");
        if (n == 0)
            break;
        text->n += (size_t)n;
    }
    if (text->n > 0 && text->p[text->n - 1] == '\n')
        text->n--;
    return EXIT_SUCCESS;
}

static int get_text(const struct cmd *c, struct buf *text)
{
    int status = EXIT_SUCCESS;

    if (c->args_n > 1)
        status = buf_text(text, c->args[1]) == RC_OK ? EXIT_SUCCESS : cmd_fail(EXIT_FAILURE, "out of memory");
    else
        status = read_all(text);
    if (status != EXIT_SUCCESS)
        return status;
    if (text->n == 0)
        return cmd_fail(EXIT_USAGE, "there is no text to send");
    if (text->n > MESSAGE_TEXT_MAX)
        return cmd_fail(EXIT_USAGE, "the text is longer than %d bytes", MESSAGE_TEXT_MAX);
    return utf8_valid(buf_slice(text)) ? EXIT_SUCCESS : cmd_fail(EXIT_USAGE, "the text is not UTF-8");
}

static int room_of(struct cmd *c, struct name *ret)
{
    client_begin(c->k);
    return cmd_end(c, client_end(c->k, client_name(c->k, "room", c->args[0], ret)));
}

int cmd_send(struct cmd *c)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(json_done) json_t *reply = NULL;
    struct kerb_chat *chat = NULL;
    struct name room;

    int status = room_of(c, &room);
    if (status == EXIT_SUCCESS)
        status = get_text(c, &text);
    if (status == EXIT_SUCCESS)
        status = open_chat(c, false, &chat);
    if (status != EXIT_SUCCESS)
        return status;
    reply = ask(
        chat, room.s,
        json_pack("{s:s, s:s, s:s%}", "type", "new_message", "room", room.s, "message", (const char *)text.p, text.n));
    kerb_chat_close(chat);
    if (!reply)
        return EXIT_FAILURE;
    return c->opt[OPT_JSON] ? print_json(reply) : EXIT_SUCCESS;
}

/* --- kerb rooms --- */

static int print_room(const json_t *room, const json_t *online)
{
    AUTO(buf_done) struct buf name = {0}, state = {0}, members = {0};

    if (talk_state(room, &state) != RC_OK || talk_names(json_object_get(room, "users"), NULL, &members) != RC_OK ||
        !buf_cstr(&state) || !buf_cstr(&members))
        return cmd_fail(EXIT_FAILURE, "out of memory");
    (void)printf("%-*s %s; members: %s", COLUMN, show(talk_text(room, "room"), &name), (const char *)state.p,
                 (const char *)members.p);
    buf_reset(&members);
    if (talk_names(json_object_get(room, "users"), online, &members) != RC_OK || !buf_cstr(&members))
        return cmd_fail(EXIT_FAILURE, "out of memory");
    (void)printf("; online: %s\n", (const char *)members.p);
    return EXIT_SUCCESS;
}

static int print_rooms(const json_t *reply)
{
    static const char *const lists[] = {"rooms", "rooms_waiting"};
    size_t n = 0;

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const json_t *rooms = json_object_get(reply, lists[l]);
        for (size_t i = 0; i < json_array_size(rooms); i++, n++) {
            int status = print_room(json_array_get(rooms, i), json_object_get(reply, "users_online"));
            if (status != EXIT_SUCCESS)
                return status;
        }
    }
    if (n == 0)
        (void)puts("You are in no room. In 'kerb chat', /new makes one.");
    return EXIT_SUCCESS;
}

static json_t *rooms_as_json(const json_t *reply)
{
    json_t *rooms = json_array(), *more = json_object_get(reply, "rooms_waiting");

    if (!rooms)
        return NULL;
    (void)json_array_extend(rooms, json_object_get(reply, "rooms"));
    (void)json_array_extend(rooms, more);
    return json_pack("{s:O, s:o}", "users_online", json_object_get(reply, "users_online"), "rooms", rooms);
}

int cmd_rooms(struct cmd *c)
{
    AUTO(json_done) json_t *reply = NULL, *out = NULL;
    struct kerb_chat *chat = NULL;

    int status = open_chat(c, true, &chat);
    if (status != EXIT_SUCCESS)
        return status;
    reply = ask(chat, NULL, json_pack("{s:s}", "type", "online"));
    kerb_chat_close(chat);
    if (!reply)
        return EXIT_FAILURE;
    if (!c->opt[OPT_JSON])
        return print_rooms(reply);
    out = rooms_as_json(reply);
    return print_json(out);
}

/* --- kerb history --- */

static const json_t *find_room(const json_t *reply, const char *id)
{
    static const char *const lists[] = {"rooms", "rooms_waiting"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const json_t *rooms = json_object_get(reply, lists[l]);
        for (size_t i = 0; i < json_array_size(rooms); i++)
            if (slice_eq(talk_text(json_array_get(rooms, i), "room"), slice_text(id)))
                return json_array_get(rooms, i);
    }
    return NULL;
}

/* A closed room is not asked for anything: that would ask the others for their shares. */
static bool is_open_room(struct kerb_chat *chat, const char *id)
{
    AUTO(json_done) json_t *rooms = ask(chat, NULL, json_pack("{s:s}", "type", "online"));
    AUTO(buf_done) struct buf shown = {0};

    if (!rooms)
        return false;
    const json_t *room = find_room(rooms, id);
    if (!room) {
        say_no_room(id);
        return false;
    }
    if (talk_int(room, "threshold") && !json_is_true(json_object_get(room, "opened"))) {
        (void)cmd_fail(EXIT_FAILURE, "the room %s is closed; 'kerb chat %s' asks its members to open it",
                       show(slice_text(id), &shown), show(slice_text(id), &shown));
        return false;
    }
    return true;
}

/* Asks one thing, which it takes over, of the room that the command names, when that is open. */
static int ask_of_room(struct cmd *c, json_t *request, json_t **ret)
{
    AUTO(json_done) json_t *mine = request;
    struct kerb_chat *chat = NULL;
    struct name room;

    int status = room_of(c, &room);
    if (status == EXIT_SUCCESS)
        status = open_chat(c, true, &chat);
    if (status != EXIT_SUCCESS)
        return status;
    bool is_whole = json_object_set_new(mine, "room", json_string(room.s)) == 0;
    if (is_open_room(chat, room.s))
        *ret = ask(chat, room.s, is_whole ? json_incref(mine) : NULL);
    kerb_chat_close(chat);
    return *ret ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_history(const json_t *messages)
{
    AUTO(buf_done) struct buf from = {0}, text = {0};
    char time[CLASSIC_TIME_LEN + 1];

    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i);
        if (talk_int(m, "edits") || talk_int(m, "deletes")) /* the messages stand there as they are now */
            continue;
        time_format_classic(talk_int(m, "time"), time);
        (void)printf("%s #%lld %s", time, (long long)talk_int(m, "seq"), show(talk_text(m, "from"), &from));
        if (talk_int(m, "deleted"))
            (void)puts(" (deleted)");
        else
            (void)printf(": %s%s\n", show(talk_text(m, "text"), &text), talk_int(m, "edited") ? " (edited)" : "");
    }
}

int cmd_history(struct cmd *c)
{
    AUTO(json_done) json_t *reply = NULL;

    int status = ask_of_room(c, json_pack("{s:s}", "type", "go_room"), &reply);
    if (status != EXIT_SUCCESS)
        return status;
    json_t *messages = json_object_get(reply, "messages");
    if (!json_is_array(messages))
        return cmd_fail(EXIT_FAILURE, "the room has closed meanwhile");
    if (c->opt[OPT_JSON])
        return print_json(messages);
    print_history(messages);
    return EXIT_SUCCESS;
}

/* --- kerb search --- */

/* Oldest first, like a history. */
static void print_found(const json_t *reply)
{
    AUTO(json_done) json_t *list = json_array();
    const json_t *messages = json_object_get(reply, "messages");

    for (size_t i = json_array_size(messages); list && i-- > 0;)
        (void)json_array_append(list, json_array_get(messages, i));
    print_history(list);
    if (json_is_true(json_object_get(reply, "more")))
        (void)fputs("kerb: there are older ones\n", stderr);
    if (!json_is_true(json_object_get(reply, "complete")))
        (void)fputs("kerb: the oldest messages of the room were not searched\n", stderr);
}

int cmd_search(struct cmd *c)
{
    AUTO(json_done) json_t *reply = NULL;

    int status =
        ask_of_room(c, json_pack("{s:s, s:s, s:i}", "type", "search", "text", c->args[1], "limit", 50), &reply);
    if (status != EXIT_SUCCESS)
        return status;
    if (c->opt[OPT_JSON])
        return print_json(reply);
    print_found(reply);
    return EXIT_SUCCESS;
}

/* --- kerb chat --- */

int cmd_chat(struct cmd *c)
{
    struct line *line = NULL;
    struct name room;
    int status = EXIT_SUCCESS;

    if (c->args_n > 0)
        status = room_of(c, &room);
    if (status != EXIT_SUCCESS)
        return status;
    (void)signal(SIGPIPE, SIG_IGN);
    if (line_open(&line) != RC_OK)
        return cmd_fail(EXIT_FAILURE, "the terminal cannot be used");
    status = chat_ui(c, line, c->args_n > 0 ? room.s : NULL);
    line_close(line);
    return status;
}
