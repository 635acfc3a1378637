/* kerb chat: what comes by itself. A request for one's share is shown, and waits. */
#include <stdlib.h>
#include <string.h>

#include "client/chat_ui.h"

static void on_new_message(struct ui *ui, const json_t *j)
{
    ui_show_message(ui, json_object_get(j, "new_message"));
}

static void on_edited(struct ui *ui, const json_t *j)
{
    ui_show_message(ui, json_object_get(j, "edited"));
}

static void on_deleted(struct ui *ui, const json_t *j)
{
    ui_show_message(ui, json_object_get(j, "deleted"));
}

void ui_on_new_room(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0}, members = {0}, state = {0};
    json_t *room = json_object_get(j, "room");

    bool is_new = !json_object_get(ui->rooms, (const char *)talk_text(room, "room").p);
    ui_know(ui, room);
    if (!is_new || talk_names(json_object_get(room, "users"), NULL, &members) != RC_OK || !buf_cstr(&members) ||
        talk_state(room, &state) != RC_OK || !buf_cstr(&state))
        return;
    ui_say(ui, NOTE, "you are in the room %s (%s) with %s", show(talk_text(room, "room"), &shown), (char *)state.p,
           (char *)members.p);
}

static void on_get_secret(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf who = {0}, shown = {0};
    json_t *room = json_object_get(j, "room");

    ui_know(ui, room);
    if (name_parse(talk_text(room, "room"), &ui->last_ask) != RC_OK)
        return;
    const char *room_word = ui_show_word(name_slice(&ui->last_ask), &shown);
    ui_say(ui, ASK, "%s asks for your share to open %s: /approve %s gives it, /refuse %s does not",
           show(talk_text(j, "asked_by"), &who), room_word, room_word, room_word);
}

/* Another history is told from its beginning. */
static void on_handshake(struct ui *ui, const json_t *j)
{
    bool is_first = ui->history.n == 0;
    bool is_same = slice_eq(talk_text(j, "history_id"), name_slice(&ui->history));

    if (!is_same && name_parse(talk_text(j, "history_id"), &ui->history) != RC_OK)
        return;
    if (!is_first && !is_same)
        ui->last_seq = ui->marked_seq = 0;
}

static void on_room_messages(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0};
    json_t *room = json_object_get(j, "room");
    struct slice id = talk_text(room, "room");

    ui_know(ui, room);
    outbox_open(ui->outbox, id);
    if (slice_eq(id, name_slice(&ui->waiting)) || slice_eq(id, name_slice(&ui->room)) || !ui->room.n)
        ui_enter(ui, j);
    else
        ui_say(ui, NOTE, "a room is open now: /open %s", ui_show_word(id, &shown));
}

static void on_close_room(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf shown = {0}, reason = {0};
    json_t *room = json_object_get(j, "room");

    ui_know(ui, room);
    bool quorum = slice_eq(talk_text(j, "reason"), slice_text("quorum_lost"));
    ui_say(ui, NOTE, "%s is closed: %s", show(talk_text(room, "room"), &shown),
           quorum ? "too few of its members are here; /open asks for their shares again"
                  : show(talk_text(j, "reason"), &reason));
}

static void on_notice(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf text = {0};
    ui_say(ui, ASK, "notice from the administrator: %s", show(talk_text(j, "text"), &text));
}

static void on_error(struct ui *ui, const json_t *j)
{
    AUTO(buf_done) struct buf text = {0};
    ui_say(ui, BAD, "%s", show(talk_text(j, "error"), &text));
}

static const struct {
    const char *type;
    void (*take)(struct ui *ui, const json_t *j);
} pushes[] = {
    {"handshake",     on_handshake    },
    {"presence",      ui_take_presence},
    {"new_message",   on_new_message  },
    {"edited",        on_edited       },
    {"deleted",       on_deleted      },
    {"new_room",      ui_on_new_room  },
    {"get_secret",    on_get_secret   },
    {"room_messages", on_room_messages},
    {"close_room",    on_close_room   },
    {"notice",        on_notice       },
    {"error",         on_error        },
};

void ui_on_message(void *ctx, const char *type, const char *json)
{
    AUTO(json_done) json_t *j = NULL;
    struct ui *ui = ctx;

    if (json_parse_object(slice_text(json), JSON_DEPTH_CHAT, &j) != RC_OK)
        return;
    uint64_t id = chat_id_of(j);
    if (outbox_takes(ui->outbox, j, id, clock_monotonic_ms()) || (id && id == ui->mark_id))
        return;
    for (size_t i = 0; i < ARRAY_LEN(pushes); i++)
        if (strcmp(pushes[i].type, type) == 0)
            pushes[i].take(ui, j);
}

static bool is_in_sealed(const struct ui *ui)
{
    return ui->room.n && talk_int(ui_room_of(ui, &ui->room), "threshold") > 0;
}

void ui_on_event(void *ctx, enum kerb_chat_event event, const char *text)
{
    AUTO(buf_done) struct buf shown = {0};
    struct ui *ui = ctx;

    switch (event) {
    case KERB_CHAT_LOST:
        ui_say(ui, BAD, "%s; trying again", show(slice_text(text), &shown));
        outbox_lost(ui->outbox);
        break;
    case KERB_CHAT_BACK:
        ui_say(ui, NOTE, "the connection is back%s",
               is_in_sealed(ui) ? "; to a sealed room your share must be presented again (/open)" : "");
        outbox_back(ui->outbox);
        break;
    case KERB_CHAT_KEPT:
        ui_say(ui, NOTE, "your share of %s is kept in your vault, for your other devices, too",
               show(slice_text(text), &shown));
        break;
    case KERB_CHAT_KEPT_HERE:
        ui_say(ui, BAD, "your share of %s is kept on this machine only: the vault is not open; 'kerb vault' tells more",
               show(slice_text(text), &shown));
        break;
    }
}
