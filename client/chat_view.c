/* kerb chat: what is shown, and what is known of rooms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chat_ui.h"

/* --- saying --- */

void ui_say(struct ui *ui, enum style style, const char *fmt, ...)
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

/* A room as it would be typed behind a command. */
const char *ui_show_word(struct slice room, struct buf *b)
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

void ui_set_prompt(struct ui *ui)
{
    AUTO(buf_done) struct buf shown = {0}, prompt = {0};

    if (buf_printf(&prompt, "%s> ", show(name_slice(&ui->room), &shown)) == RC_OK && buf_cstr(&prompt))
        line_prompt(ui->line, (const char *)prompt.p);
}

/* --- what is known of rooms --- */

void ui_know(struct ui *ui, json_t *room)
{
    struct slice id = talk_text(room, "room");

    if (id.n)
        (void)json_object_setn(ui->rooms, (const char *)id.p, id.n, room);
}

const json_t *ui_room_of(const struct ui *ui, const struct name *id)
{
    return json_object_get(ui->rooms, id->s);
}

/* By id, else by name. */
const json_t *ui_find_room(const struct ui *ui, const char *word)
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

bool ui_is_open(const json_t *room)
{
    return talk_int(room, "threshold") == 0 || json_is_true(json_object_get(room, "opened"));
}

/* --- entering a room --- */

void ui_enter(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0};
    const json_t *messages = json_object_get(j, "messages"), *room = json_object_get(j, "room");
    bool same = slice_eq(talk_text(room, "room"), name_slice(&ui->room));
    size_t n = ui_count_messages(messages);

    if (!same) {
        ui_mark_read(ui);
        if (name_parse(talk_text(room, "room"), &ui->room) != RC_OK)
            return;
        ui->last_seq = ui->own_seq = ui->marked_seq = 0;
        memset(ui->ahead, 0, sizeof ui->ahead);
        buf_done(&ui->present);
        ui_set_prompt(ui);
    }
    if (slice_eq(name_slice(&ui->waiting), name_slice(&ui->room)))
        ui->waiting.n = 0;
    ui_say(ui, NOTE, "%s is open: %zu message%s%s", show(name_slice(&ui->room), &shown), n, n == 1 ? "" : "s",
           json_is_true(json_object_get(j, "more")) ? ", and older ones that are not shown" : "");
    ui_tell_floor(ui, j);
    ui_show_list(ui, messages);
    ui_tell_present(ui);
}
