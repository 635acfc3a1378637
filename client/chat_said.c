/*
 * kerb chat: what was said, and what became of it.
 *
 * Each message has its number in the room; an edit or a deletion has one, too, and tells of whose. In what is read from
 * the history a message stands as it is now, so its revisions are told only when it was shown before.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/chat_ui.h"

#define TIME_TEXT 32

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

/* --- showing --- */

static int64_t target_of(const json_t *m)
{
    int64_t edits = talk_int(m, "edits");
    return edits ? edits : talk_int(m, "deletes");
}

static void note_seen(struct ui *ui, const json_t *m)
{
    int64_t seq = talk_int(m, "seq"), edited = talk_int(m, "edited"), rev = edited ? edited : talk_int(m, "deleted");
    bool is_own = slice_eq(talk_text(m, "from"), name_slice(&ui->self));

    if (!slice_eq(talk_text(m, "room"), name_slice(&ui->room)))
        return;
    if (seq > ui->last_seq)
        ui->last_seq = seq;
    if (is_own && !target_of(m) && !talk_int(m, "deleted"))
        ui->own_seq = seq;
    if (rev)
        ui->ahead[ui->ahead_n++ % UI_AHEAD_MAX] = (struct ui_ahead){.seq = seq, .rev = rev};
}

/* A revision that tells nothing new: its message was shown with what it says since, or a later one follows. */
static bool is_covered(const struct ui *ui, const json_t *m)
{
    if (!target_of(m) || !slice_eq(talk_text(m, "room"), name_slice(&ui->room)))
        return false;
    for (size_t i = 0; i < UI_AHEAD_MAX; i++)
        if (ui->ahead[i].seq == target_of(m) && ui->ahead[i].rev >= talk_int(m, "seq"))
            return true;
    return talk_int(m, "edits") && !json_object_get(m, "text");
}

/* What stands between the name of who spoke and the text: "", " (deleted)", " edits #7:", " deletes #7". */
static const char *verb_of(const json_t *m, char out[TIME_TEXT])
{
    if (talk_int(m, "deleted"))
        return " (deleted)";
    if (!target_of(m))
        return "";
    bool is_edit = talk_int(m, "edits") != 0;
    (void)snprintf(out, TIME_TEXT, " %s #%lld%s", is_edit ? "edits" : "deletes", (long long)target_of(m),
                   is_edit ? ":" : "");
    return out;
}

void ui_show_message(struct ui *ui, const json_t *m)
{
    AUTO(buf_done) struct buf from = {0}, text = {0}, room = {0};
    struct slice in = talk_text(m, "room");
    bool here = slice_eq(in, name_slice(&ui->room));
    const char *bold = ui->has_colours ? "\033[1m" : "", *faint = ui->has_colours ? "\033[2m" : "",
               *end = ui->has_colours ? "\033[0m" : "";
    char time[TIME_TEXT], verb[TIME_TEXT];

    note_seen(ui, m);
    if (is_covered(ui, m))
        return;
    local_time(talk_int(m, "time"), time);
    const char *says = verb_of(m, verb);
    bool has_text = json_object_get(m, "text");
    ui_say(ui, PLAIN, "%s%s%s%s %s#%lld%s %s%s%s%s%s%s%s%s", here ? "" : "[", here ? "" : show(in, &room),
           here ? "" : "] ", time, faint, (long long)talk_int(m, "seq"), end, bold, show(talk_text(m, "from"), &from),
           says[0] ? "" : ":", end, says, has_text ? " " : "", show(talk_text(m, "text"), &text),
           talk_int(m, "edited") ? " (edited)" : "");
}

void ui_show_list(struct ui *ui, const json_t *messages)
{
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (talk_int(json_array_get(messages, i), "seq") > ui->last_seq)
            ui_show_message(ui, json_array_get(messages, i));
}

size_t ui_count_messages(const json_t *messages)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i);
        n += !target_of(m) && !talk_int(m, "deleted");
    }
    return n;
}

void ui_tell_floor(struct ui *ui, const json_t *j)
{
    int64_t floor = talk_int(j, "floor");

    if (floor > ui->last_seq)
        ui_say(ui, NOTE, "messages up to #%lld are no longer kept", (long long)floor);
}

/* --- asking --- */

/* "#7 and the rest": the number, and the rest in *text; 0: there is none. */
static int64_t take_number(const char **text)
{
    uint64_t n = 0;
    size_t len = strcspn(*text, " ");

    if ((*text)[0] != '#' || parse_u64(slice_of(*text + 1, len - 1), INT64_MAX, &n) != RC_OK)
        return 0;
    *text += len + strspn(*text + len, " ");
    return (int64_t)n;
}

/* The message that is meant: by its number, or one's last. 0 after a sentence. */
static int64_t which_message(struct ui *ui, const char **text)
{
    int64_t n = take_number(text);

    if (!ui->room.n)
        ui_say(ui, BAD, "you are in no room yet: /open ROOM, or /rooms to see yours");
    else if (!n && !ui->own_seq)
        ui_say(ui, BAD, "which message? Those of yours have their numbers in front: /edit #7 ..., /delete #7");
    else
        return n ? n : ui->own_seq;
    return 0;
}

void ui_edit(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *reply = NULL;
    const char *text = n > 1 ? words[1] : "";
    int64_t seq = which_message(ui, &text);

    if (!seq)
        return;
    if (!text[0])
        ui_say(ui, BAD, "/edit [#N] TEXT: the new text is missing; /delete takes a message back");
    else
        reply = ui_ask(ui, json_pack("{s:s, s:s, s:I, s:s}", "type", "edit_message", "room", ui->room.s, "seq",
                                     (json_int_t)seq, "text", text));
}

void ui_delete(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *reply = NULL;
    const char *text = n > 1 ? words[1] : "";
    int64_t seq = which_message(ui, &text);

    if (!seq)
        return;
    if (text[0])
        ui_say(ui, BAD, "/delete [#N]: one message, by its number");
    else
        reply = ui_ask(
            ui, json_pack("{s:s, s:s, s:I}", "type", "delete_message", "room", ui->room.s, "seq", (json_int_t)seq));
}

static void show_found(struct ui *ui, const json_t *reply)
{
    const json_t *messages = json_object_get(reply, "messages");
    size_t n = json_array_size(messages);

    for (size_t i = n; i-- > 0;) {
        int64_t last = ui->last_seq, own = ui->own_seq;
        ui_show_message(ui, json_array_get(messages, i));
        ui->last_seq = last;
        ui->own_seq = own;
    }
    ui_say(ui, NOTE, "%zu found%s", n, json_is_true(json_object_get(reply, "more")) ? ", and older ones" : "");
    if (!json_is_true(json_object_get(reply, "complete")))
        ui_say(ui, NOTE, "only what came from #%lld on was searched", (long long)talk_int(reply, "from_seq"));
}

void ui_search(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *reply = NULL;

    if (!ui->room.n || n < 2) {
        ui_say(ui, BAD, "/search WORD...: looks for all of the words in the room that you are in");
        return;
    }
    reply = ui_ask(ui, json_pack("{s:s, s:s, s:s}", "type", "search", "room", ui->room.s, "text", words[1]));
    if (reply)
        show_found(ui, reply);
}
