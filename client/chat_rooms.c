/* kerb chat: rooms, from the list of them to the end of one. */
#include <string.h>

#include "client/chat_ui.h"

#define KEEP_DAYS_MAX 36500 /* as the chat says */

void ui_refresh(struct ui *ui)
{
    AUTO(json_done) json_t *reply = ui_ask(ui, json_pack("{s:s, s:b}", "type", "subscribe", "presence", true));

    if (reply)
        ui_take_presence(ui, reply);
}

/* A room that the person named, or the one he is in. NULL after a sentence. */
const json_t *ui_which(struct ui *ui, char **words, int n)
{
    AUTO(buf_done) struct buf shown = {0};
    const char *word = n > 1 ? words[1] : ui->room.s;

    if (!word[0]) {
        ui_say(ui, BAD, "which room? /rooms lists yours");
        return NULL;
    }
    const json_t *room = ui_find_room(ui, word);
    if (!room) {
        ui_refresh(ui);
        room = ui_find_room(ui, word);
    }
    if (!room)
        ui_say(ui, BAD, "you are in no room %s; /rooms lists yours", show(slice_text(word), &shown));
    return room;
}

static enum rc read_here(const struct ui *ui, const json_t *room, struct buf *ret)
{
    if (!ui->online)
        return RC_OK;
    TRY(buf_text(ret, "; online: "));
    return talk_names(json_object_get(room, "users"), ui->online, ret);
}

static void tell_room(struct ui *ui, const char *id, const json_t *room)
{
    AUTO(buf_done) struct buf name = {0}, state = {0}, here = {0};

    if (talk_state(room, &state) == RC_OK && buf_cstr(&state) && read_here(ui, room, &here) == RC_OK && buf_cstr(&here))
        ui_say(ui, NOTE, "%s: %s%s", show(slice_text(id), &name), (char *)state.p, (char *)here.p);
}

void ui_rooms(struct ui *ui, char **words, int n)
{
    const char *id;
    json_t *room;

    (void)words, (void)n;
    ui_mark_read(ui);
    ui_refresh(ui);
    json_object_foreach (ui->rooms, id, room)
        tell_room(ui, id, room);
    if (json_object_size(ui->rooms) == 0)
        ui_say(ui, NOTE, "you are in no room; /new makes one");
}

/* "2" or "2,30d": with how many shares it opens, and for how long it keeps its messages. */
static bool read_terms(const char *word, uint64_t *ret_threshold, uint64_t *ret_days)
{
    size_t n = strcspn(word, ",");
    struct slice days = slice_text(word[n] ? word + n + 1 : "");

    *ret_days = 0;
    if (parse_u64(slice_of(word, n), 255, ret_threshold) != RC_OK)
        return false;
    if (!word[n])
        return true;
    return days.n > 0 && days.p[days.n - 1] == 'd' &&
           parse_u64(slice_of(days.p, days.n - 1), KEEP_DAYS_MAX, ret_days) == RC_OK && *ret_days > 0;
}

static json_t *new_request(struct ui *ui, char **words, int n)
{
    uint64_t threshold, days;

    if (n < 3 || !read_terms(words[2], &threshold, &days)) {
        ui_say(ui, BAD,
               "/new ROOM N[,DAYSd] USER...: 0 makes a room without a secret, 2 one that opens with two shares, 2,30d "
               "one that "
               "keeps its messages for 30 days, too");
        return NULL;
    }
    json_t *users = json_array();
    for (int i = 3; i < n; i++)
        if (json_array_append_new(users, json_string(words[i])) != 0)
            ui_say(ui, BAD, "the name of a user is not UTF-8");
    json_t *request = json_pack("{s:s, s:s, s:I, s:o}", "type", "new_room", "room", words[1], "threshold",
                                (json_int_t)threshold, "users", users);
    if (days > 0 && json_object_set_new(request, "keep_days", json_integer((json_int_t)days)) != 0)
        json_done(&request);
    return request;
}

void ui_new(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *request = new_request(ui, words, n), *reply = NULL;

    if (!request)
        return;
    reply = ui_ask(ui, json_incref(request));
    if (!reply)
        return;
    if (json_object_get(reply, "room") && json_is_object(json_object_get(reply, "room")))
        ui_on_new_room(ui, reply);
    ui_refresh(ui);
}

void ui_leave(struct ui *ui, char **words, int n)
{
    AUTO(json_done) json_t *reply = NULL;
    AUTO(buf_done) struct buf shown = {0};
    struct name id;

    if (n < 2) {
        ui_say(ui, BAD, "/leave ROOM: name the room");
        return;
    }
    const json_t *room = ui_which(ui, words, n);
    if (!room || name_parse(talk_text(room, "room"), &id) != RC_OK)
        return;
    size_t members = json_array_size(json_object_get(room, "users"));
    bool ends = (size_t)talk_int(room, "threshold") >= members || members == 1;
    if (ends && (n < 3 || strcmp(words[2], "delete") != 0)) {
        ui_say(ui, ASK, "without you it could never be opened, so it would be deleted for everybody: /leave %s delete",
               ui_show_word(name_slice(&id), &shown));
        return;
    }
    reply = ui_ask(ui, json_pack("{s:s, s:s}", "type", "delete_chat", "room", id.s));
    if (!reply)
        return;
    if (kerb_chat_forget_share(ui->chat, id.s) != KERB_OK)
        ui_say(ui, BAD, "%s", kerb_error(ui->cmd->k));
    ui_say(ui, NOTE, "%s %s", ends ? "deleted" : "left", show(name_slice(&id), &shown));
    ui_refresh(ui);
}
