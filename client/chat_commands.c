/* kerb chat: what the person wants. A share leaves only from here: by /open or /approve. */
#include <string.h>

#include "client/chat_ui.h"

#define WORDS_MAX 260 /* of a command: a room may have 255 members */

json_t *ui_ask(struct ui *ui, json_t *request)
{
    AUTO(buf_done) struct buf why = {0};
    struct name code;

    json_t *reply = talk_ask(ui->chat, request, &why, &code);
    if (!reply)
        ui_say(ui, BAD, "%s%s", why.p ? (char *)why.p : "out of memory",
               strcmp(code.s, "room_closed") == 0 ? " (/open asks for them)" : "");
    return reply;
}

static void do_who(struct ui *ui, char **words, int n)
{
    AUTO(buf_done) struct buf names = {0}, shown = {0};
    const json_t *room = ui->room.n || n > 1 ? ui_which(ui, words, n) : NULL;

    if (n > 1 && !room)
        return;
    ui_refresh(ui);
    ui_tell_online(ui);
    room = ui->room.n ? ui_room_of(ui, &ui->room) : NULL;
    if (room && talk_names(json_object_get(room, "users"), NULL, &names) == RC_OK && buf_cstr(&names))
        ui_say(ui, NOTE, "members of %s: %s", show(talk_text(room, "room"), &shown), (char *)names.p);
}

static void tell_progress(struct ui *ui, const json_t *ack)
{
    AUTO(buf_done) struct buf shown = {0};

    ui_say(ui, NOTE, "%s: presented %lld of %lld%s", show(talk_text(ack, "room"), &shown),
           (long long)talk_int(ack, "presented"), (long long)talk_int(ack, "threshold"),
           json_is_true(json_object_get(ack, "opened")) ? ", it is open" : "; the others who are here are asked");
}

/* One's own share, or NULL after a sentence. */
static char *get_share(struct ui *ui, const struct name *id)
{
    AUTO(buf_done) struct buf shown = {0};
    char *share = NULL;

    if (kerb_chat_share(ui->chat, id->s, &share) != KERB_OK)
        ui_say(ui, BAD, "%s", kerb_error(ui->cmd->k));
    else if (!share)
        ui_say(ui, BAD, "your share of %s is neither here nor in your vault", show(name_slice(id), &shown));
    return share;
}

static json_t *go_request(struct ui *ui, const json_t *room, const struct name *id)
{
    AUTO(str_done) char *share = NULL;

    if (ui_is_open(room))
        return json_pack("{s:s, s:s}", "type", "go_room", "room", id->s);
    share = get_share(ui, id);
    return share ? json_pack("{s:s, s:s, s:s}", "type", "go_room", "room", id->s, "secret", share) : NULL;
}

static void enter_open(struct ui *ui, const json_t *reply, const struct name *id)
{
    outbox_open(ui->outbox, name_slice(id));
    ui_enter(ui, reply);
}

void ui_open(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *request = NULL, *reply = NULL;
    const json_t *room = ui_which(ui, words, n);
    struct name id;

    if (!room || name_parse(talk_text(room, "room"), &id) != RC_OK)
        return;
    request = go_request(ui, room, &id);
    if (!request)
        return;
    ui->waiting = id;
    reply = ui_ask(ui, json_incref(request));
    if (!reply)
        ui->waiting.n = 0;
    else if (json_is_array(json_object_get(reply, "messages")))
        enter_open(ui, reply, &id);
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

    const json_t *room = n > 1 ? ui_which(ui, words, n) : ui_which(ui, last, ui->last_ask.n ? 2 : 1);
    if (!room || name_parse(talk_text(room, "room"), &id) != RC_OK)
        return;
    share = get_share(ui, &id);
    if (!share)
        return;
    reply = ui_ask(ui, json_pack("{s:s, s:s, s:s}", "type", "secret", "room", id.s, "secret", share));
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
        ui_say(ui, NOTE, "nobody waits for your share there");
        return;
    }
    ui_say(ui, NOTE, "your share of %s stays with you; nobody is told", show(name_slice(&ui->last_ask), &shown));
    ui->last_ask.n = 0;
    ui->last_ask.s[0] = 0;
}

static void do_history(struct ui *ui, char **words, int n)
{
    const json_t *room = ui_which(ui, words, n);

    if (!room)
        return;
    if (slice_eq(talk_text(room, "room"), name_slice(&ui->room)))
        ui->last_seq = ui->own_seq = 0;
    if (ui_is_open(room))
        ui_open(ui, words, n);
    else
        ui_say(ui, NOTE, "it is closed: /open asks for the shares");
}

static void do_quit(struct ui *ui, char **words, int n)
{
    (void)words, (void)n;
    ui->is_over = true;
}

static void do_help(struct ui *ui, char **words, int n);

static const struct {
    const char *word, *arg, *help;
    bool is_text; /* what stands behind the command is one word, as it was typed */
    void (*run)(struct ui *ui, char **words, int n);
} commands[] = {
    {"/rooms",   "",                       "your rooms, and who of them is online",                          false, ui_rooms  },
    {"/who",     "",                       "who is online, and who is in the room",                          false, do_who    },
    {"/open",    "[ROOM]",                 "go to a room; a closed one: present your share, ask the others", false, ui_open   },
    {"/approve", "[ROOM]",                 "give your share to open the room",                               false, do_approve},
    {"/refuse",  "[ROOM]",                 "do not give it",                                                 false, do_refuse },
    {"/new",     "ROOM N[,DAYSd] USER...", "make a room that N shares open; 0: without a secret",            false, ui_new    },
    {"/history", "[ROOM]",                 "show the messages again",                                        false, do_history},
    {"/search",  "WORD...",                "look for messages with all of these words",                      true,  ui_search },
    {"/edit",    "[#N] TEXT",              "give your last message, or that one, another text",              true,  ui_edit   },
    {"/delete",  "[#N]",                   "take it back",                                                   true,  ui_delete },
    {"/leave",   "ROOM",                   "leave a room for good",                                          false, ui_leave  },
    {"/help",    "",                       "this",                                                           false, do_help   },
    {"/quit",    "",                       "end (also Ctrl-D)",                                              false, do_quit   },
};

static void do_help(struct ui *ui, char **words, int n)
{
    (void)words, (void)n;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        ui_say(ui, NOTE, "%-8s %-22s %s", commands[i].word, commands[i].arg, commands[i].help);
    ui_say(ui, NOTE, "%-31s %s", "//TEXT", "send a text that begins with a slash");
    ui_say(ui, NOTE, "Names with blanks stand in double quotes.");
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

static int split_text(char *text, char *words[WORDS_MAX])
{
    words[0] = text;
    text += strcspn(text, " ");
    if (*text)
        *text++ = 0;
    words[1] = text + strspn(text, " ");
    return words[1][0] ? 2 : 1;
}

static void do_command(struct ui *ui, char *text)
{
    AUTO(buf_done) struct buf shown = {0};
    char *words[WORDS_MAX];
    size_t len = strcspn(text, " ");

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strlen(commands[i].word) == len && strncmp(commands[i].word, text, len) == 0) {
            int n = commands[i].is_text ? split_text(text, words) : split(text, words);
            commands[i].run(ui, words, n);
            return;
        }
    }
    ui_say(ui, BAD, "there is no command %s; /help lists them", show(slice_of(text, len), &shown));
}

void ui_take_line(struct ui *ui, struct buf *line)
{
    const char *text = buf_cstr(line);

    if (!text || line->n == 0)
        return;
    chat_seek(ui->chat);
    if (!utf8_valid(buf_slice(line)) || strlen(text) != line->n)
        ui_say(ui, BAD, "this is not UTF-8 text");
    else if (text[0] == '/' && text[1] != '/')
        do_command(ui, (char *)line->p);
    else
        ui_send(ui, text[0] == '/' ? slice_of(line->p + 1, line->n - 1) : buf_slice(line));
}
