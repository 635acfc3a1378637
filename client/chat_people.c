/* kerb chat: who is here, who came and who went. Of very many people the server tells the number only. */
#include "client/chat_ui.h"

/* Who of the room one is in is here; false: it is not known, or one is in none. */
static bool read_present(const struct ui *ui, struct buf *ret)
{
    const json_t *room = ui->room.n ? ui_room_of(ui, &ui->room) : NULL;

    return room && ui->online && talk_names(json_object_get(room, "users"), ui->online, ret) == RC_OK && buf_cstr(ret);
}

void ui_tell_present(struct ui *ui)
{
    AUTO(buf_done) struct buf names = {0};

    if (!read_present(ui, &names) || slice_eq(buf_slice(&names), buf_slice(&ui->present)))
        return;
    buf_done(&ui->present);
    ui->present = buf_take(&names);
    ui_say(ui, NOTE, "online here: %s", buf_cstr(&ui->present));
}

void ui_tell_online(struct ui *ui)
{
    AUTO(buf_done) struct buf names = {0};

    if (!ui->online)
        ui_say(ui, NOTE, "%lld people are online", (long long)ui->online_n);
    else if (talk_names(ui->online, NULL, &names) == RC_OK && buf_cstr(&names))
        ui_say(ui, NOTE, "online: %s", (char *)names.p);
}

/* --- what is told --- */

static void take_names(struct ui *ui, json_t *names)
{
    json_decref(ui->online);
    ui->online = names;
    if (!names)
        buf_done(&ui->present);
}

static json_t *without(const json_t *names, const json_t *gone)
{
    json_t *rest = json_array();

    for (size_t i = 0; i < json_array_size(names); i++) {
        json_t *name = json_array_get(names, i);
        if (!talk_has(gone, slice_of(json_string_value(name), json_string_length(name))))
            (void)json_array_append(rest, name);
    }
    return rest;
}

/* Of the people of one's room, or of all when one is in none. */
static void tell_some(struct ui *ui, const char *what, const json_t *names)
{
    AUTO(buf_done) struct buf shown = {0};
    const json_t *room = ui->room.n ? ui_room_of(ui, &ui->room) : NULL;

    if (talk_names(names, room ? json_object_get(room, "users") : NULL, &shown) == RC_OK && shown.n > 0 &&
        buf_cstr(&shown))
        ui_say(ui, NOTE, "%s: %s", what, (char *)shown.p);
}

static void take_changes(struct ui *ui, const json_t *joined, const json_t *left)
{
    AUTO(buf_done) struct buf names = {0};

    take_names(ui, without(ui->online, left));
    if (!ui->online || json_array_extend(ui->online, (json_t *)(uintptr_t)joined) != 0)
        return;
    tell_some(ui, "came", joined);
    tell_some(ui, "went", left);
    if (!read_present(ui, &names))
        return;
    buf_done(&ui->present);
    ui->present = buf_take(&names);
}

static void take_available(struct ui *ui, const json_t *ids)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        AUTO(buf_done) struct buf shown = {0};
        const json_t *id = json_array_get(ids, i);
        ui_say(ui, NOTE, "enough members of %s are online to open it",
               show(slice_of(json_string_value(id), json_string_length(id)), &shown));
    }
}

static void take_delta(struct ui *ui, const json_t *j)
{
    const json_t *joined = json_object_get(j, "joined");

    if (joined) {
        take_changes(ui, joined, json_object_get(j, "left"));
    } else if (ui->online) {
        take_names(ui, NULL);
        ui_say(ui, NOTE, "%lld people are online: of so many only the number is told", (long long)ui->online_n);
    }
    take_available(ui, json_object_get(j, "available"));
}

static void take_rooms(struct ui *ui, const json_t *j)
{
    static const char *const lists[] = {"rooms", "rooms_waiting"};

    (void)json_object_clear(ui->rooms);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_array_size(json_object_get(j, lists[l])); i++)
            ui_know(ui, json_array_get(json_object_get(j, lists[l]), i));
    if (ui->room.n && !ui_room_of(ui, &ui->room)) {
        AUTO(buf_done) struct buf shown = {0};
        ui_say(ui, NOTE, "you are no longer in %s", show(name_slice(&ui->room), &shown));
        ui->room.n = 0;
        ui->room.s[0] = 0;
        ui_set_prompt(ui);
    }
}

void ui_take_presence(struct ui *ui, const json_t *j)
{
    ui->online_n = talk_int(j, "count");
    if (json_object_get(j, "from")) {
        take_delta(ui, j);
        return;
    }
    take_names(ui, json_incref(json_object_get(j, "users")));
    take_rooms(ui, j);
    ui_tell_present(ui);
}
