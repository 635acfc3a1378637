/*
 * kerb chat: how far the person has read, which his other devices and `kerb rooms` learn. It is told now and then,
 * since what comes fast is read no faster. A script reads nothing.
 */
#include <limits.h>

#include "client/chat_ui.h"

#define MARK_MS 2000 /* between two marks */

static bool is_due(const struct ui *ui)
{
    return ui->room.n && ui->last_seq > ui->marked_seq && line_is_terminal(ui->line);
}

/* What does not get there is told with the next mark, or by the next chat: it is not worth a word. */
void ui_mark_read(struct ui *ui)
{
    AUTO(json_done) json_t *mark = NULL;

    if (!is_due(ui))
        return;
    mark = json_pack("{s:s, s:s, s:I}", "type", "mark_read", "room", ui->room.s, "seq", (json_int_t)ui->last_seq);
    client_begin(ui->cmd->k);
    enum rc rc = mark ? chat_send(ui->chat, mark, &ui->mark_id) : RC_NO_MEMORY;
    (void)client_end(ui->cmd->k, rc);
    ui->mark_ms = clock_monotonic_ms() + MARK_MS;
    if (rc == RC_OK)
        ui->marked_seq = ui->last_seq;
}

int ui_poll_mark(struct ui *ui)
{
    int64_t left = ui->mark_ms - clock_monotonic_ms();

    if (!is_due(ui))
        return INT_MAX;
    if (left > 0)
        return (int)left;
    ui_mark_read(ui);
    return is_due(ui) ? MARK_MS : INT_MAX;
}
