/* kerb chat: the loop over terminal and connection. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/chat_ui.h"

#define WAIT_MS 60000

static volatile sig_atomic_t was_resized, was_interrupted;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        was_resized = 1;
    else
        was_interrupted = 1;
}

static void look_at_input(struct ui *ui)
{
    AUTO(buf_done) struct buf line = {0};

    switch (line_read(ui->line, &line)) {
    case LINE_PART:
        break;
    case LINE_WHOLE:
        ui_take_line(ui, &line);
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
            ui_say(ui, BAD, "%s", kerb_error(ui->cmd->k));
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

    ui_say(ui, NOTE, "%s in %s; /help lists the commands", show(slice_text(kerb_client(ui->cmd->k)), &client),
           show(slice_text(kerb_realm(ui->cmd->k)), &realm));
    if (!kerb_chat_has_vault(ui->chat))
        ui_say(ui, BAD, "your vault is not open: shares of sealed rooms are kept on this machine only ('kerb vault')");
}

static int run(struct ui *ui, const char *room)
{
    const struct kerb_chat_options o = {.presence = true, .message = ui_on_message, .event = ui_on_event, .ctx = ui};
    char *words[2] = {(char *)(uintptr_t) "/open", (char *)(uintptr_t)room};

    int status = cmd_end(ui->cmd, kerb_chat_open(ui->cmd->k, &o, &ui->chat));
    if (status != EXIT_SUCCESS)
        return status;
    if (name_parse(slice_text(kerb_client(ui->cmd->k)), &ui->self) != RC_OK)
        ui->self.n = 0;
    ui_set_prompt(ui);
    greet(ui);
    if (room)
        ui_open(ui, words, 2);
    else
        ui_rooms(ui, words, 1);
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
