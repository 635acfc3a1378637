/* kerb chat: the loop over terminal and connection. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/chat_ui.h"

#define WAIT_MS          500 /* a signal ends no wait while the connection is sought: then it is seen after this time */
#define SETTLE_MS        3000
#define SETTLE_SCRIPT_MS 30000

static volatile sig_atomic_t was_resized, was_interrupted;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        was_resized = 1;
    else
        was_interrupted = 1;
}

/* A line can be taken; a script is not read while there is no place for what it says. */
static bool may_read(const struct ui *ui)
{
    return line_is_terminal(ui->line) || !outbox_is_full(ui->outbox);
}

/* Sends what is due and waits; fd: another descriptor, -1: none. False after a sentence: it is over. */
static bool step(struct ui *ui, int fd, int max_ms, bool *ret_input)
{
    int send_ms = outbox_poll(ui->outbox, clock_monotonic_ms()), mark_ms = ui_poll_mark(ui);
    int due_ms = send_ms < mark_ms ? send_ms : mark_ms;

    if (kerb_chat_wait(ui->chat, fd, due_ms < max_ms ? due_ms : max_ms, ret_input) == KERB_OK)
        return true;
    ui_say(ui, BAD, "%s", kerb_error(ui->cmd->k));
    ui->is_broken = ui->is_over = true;
    return false;
}

/* Waits until what was said is answered, but for what a closed room holds back; a person waits for a moment only. */
static void settle(struct ui *ui)
{
    int64_t max_ms = line_is_terminal(ui->line) ? SETTLE_MS : SETTLE_SCRIPT_MS;
    int64_t end_ms = clock_monotonic_ms() + max_ms;
    bool input;

    for (int64_t left = max_ms; left > 0 && !was_interrupted && !ui->is_broken && outbox_is_busy(ui->outbox);
         left = end_ms - clock_monotonic_ms())
        (void)step(ui, -1, left < WAIT_MS ? (int)left : WAIT_MS, &input);
}

static void look_at_input(struct ui *ui)
{
    AUTO(buf_done) struct buf line = {0};

    switch (line_read(ui->line, &line)) {
    case LINE_PART:
        break;
    case LINE_WHOLE:
        if (!line_is_terminal(ui->line) && line.n && line.p[0] == '/')
            settle(ui); /* a script's /edit is about what it has said before, and its /leave comes after it */
        ui_take_line(ui, &line);
        break;
    case LINE_END:
        ui->is_over = true;
        break;
    }
}

static void loop(struct ui *ui)
{
    while (!ui->is_over && !was_interrupted) {
        bool input = false, reads = may_read(ui), more = reads && line_has_more(ui->line);
        if (!step(ui, reads ? STDIN_FILENO : -1, more ? 0 : WAIT_MS, &input))
            return;
        if (was_resized) {
            was_resized = 0;
            line_resized(ui->line);
        }
        if (input || more)
            look_at_input(ui);
    }
}

/* Nothing that was said is lost without a word; a script learns of it by the status. */
static int finish(struct ui *ui)
{
    chat_seek(ui->chat);
    settle(ui);
    ui_mark_read(ui);
    bool has_unsent = ui_tell_unsent(ui), has_refused = ui->has_refused && !line_is_terminal(ui->line);
    return ui->is_broken || has_unsent || has_refused ? EXIT_FAILURE : EXIT_SUCCESS;
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
    loop(ui);
    status = finish(ui);
    kerb_chat_close(ui->chat);
    return status;
}

int chat_ui(struct cmd *c, struct line *line, const char *room)
{
    const char *no_color = getenv("NO_COLOR");
    struct ui ui = {.cmd = c, .line = line, .rooms = json_object(), .online = json_array()};

    ui.has_colours = line_is_terminal(line) && !(no_color && no_color[0]);
    catch_signals();
    bool has_all = ui.rooms && ui.online && ui_open_outbox(&ui) == RC_OK;
    int status = has_all ? run(&ui, room) : cmd_fail(EXIT_FAILURE, "out of memory");
    outbox_free(ui.outbox);
    json_decref(ui.rooms);
    json_decref(ui.online);
    buf_done(&ui.present);
    return status;
}
