/* kerb chat: what the person says. A text that does not get to the chat is shown once more, since it is nowhere else.
 */
#include "client/chat_ui.h"

/* --- what the outbox tells --- */

static enum rc send_now(void *ctx, const json_t *message, uint64_t *ret_id)
{
    const struct ui *ui = ctx;

    client_begin(ui->cmd->k);
    enum rc rc = chat_send(ui->chat, message, ret_id);
    if (rc != RC_OK)
        (void)client_end(ui->cmd->k, rc);
    return rc;
}

static void tell_waits(void *ctx, const json_t *message, enum outbox_wait why)
{
    static const char *const words[] = {
        [OUTBOX_CONNECTION] = "waits for the connection",
        [OUTBOX_ROOM] = "the room is closed (/open asks for the shares); waits until it is open",
        [OUTBOX_SERVER] = "the chat cannot store anything at the moment; waits",
    };
    AUTO(buf_done) struct buf shown = {0};

    ui_say(ctx, NOTE, "%s: %s", words[why], show(talk_text(message, "message"), &shown));
}

static void tell_refused(struct ui *ui, const char *why, struct slice text)
{
    AUTO(buf_done) struct buf shown = {0};

    ui->has_refused = true;
    ui_say(ui, BAD, "not sent, %s: %s", why, show(text, &shown));
}

static void on_refused(void *ctx, const json_t *message, const json_t *error)
{
    AUTO(buf_done) struct buf why = {0};

    tell_refused(ctx, show(talk_text(error, "error"), &why), talk_text(message, "message"));
}

enum rc ui_open_outbox(struct ui *ui)
{
    const struct outbox_ops ops = {.send = send_now, .waits = tell_waits, .refused = on_refused, .ctx = ui};

    ui->outbox = outbox_new(&ops);
    return ui->outbox ? RC_OK : RC_NO_MEMORY;
}

/* --- saying --- */

static enum rc put(struct ui *ui, struct slice text)
{
    AUTO(json_done)
    json_t *message = json_pack("{s:s, s:s, s:s%}", "type", "new_message", "room", ui->room.s, "message",
                                (const char *)text.p, text.n);

    if (!message)
        return RC_NO_MEMORY;
    TRY(chat_name_message(message));
    return outbox_add(ui->outbox, json_incref(message));
}

void ui_send(struct ui *ui, struct slice text)
{
    if (!ui->room.n) {
        ui_say(ui, BAD, "you are in no room yet: /open ROOM, or /rooms to see yours");
        tell_refused(ui, "for it is in no room", text);
        return;
    }
    if (text.n > MESSAGE_TEXT_MAX) {
        ui->has_refused = true;
        ui_say(ui, BAD, "the text is longer than %d bytes", MESSAGE_TEXT_MAX);
        return;
    }
    enum rc rc = put(ui, text);
    if (rc == RC_LIMIT)
        tell_refused(ui, "too many messages wait", text);
    else if (rc != RC_OK)
        tell_refused(ui, rc_text(rc), text);
}

bool ui_tell_unsent(struct ui *ui)
{
    AUTO(buf_done) struct buf room = {0}, shown = {0};
    bool some = false;

    for (json_t *message; (message = outbox_take(ui->outbox)); json_done(&message), some = true)
        ui_say(ui, BAD, "not acknowledged in %s: %s", show(talk_text(message, "room"), &room),
               show(talk_text(message, "message"), &shown));
    return some;
}
