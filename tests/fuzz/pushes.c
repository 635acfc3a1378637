/*
 * What `kerb chat` shows of the server's messages, one a line: whatever others have written, no control character
 * reaches the terminal. Terminal and connection are played here.
 */
#include <stdlib.h>

#include "client/chat_ui.h"
#include "tests/fuzz/fuzz.h"

void __wrap_line_say(struct line *l, const char *text);
void __wrap_line_prompt(struct line *l, const char *prompt);
bool __wrap_line_is_terminal(const struct line *l);
enum rc __wrap_chat_send(struct kerb_chat *chat, const json_t *request, uint64_t *ret_id);

static void check_shown(const char *text)
{
    CHECK(utf8_valid(slice_text(text)));
    for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
        CHECK(*p >= 0x20 && *p != 0x7f);
        CHECK(p[0] != 0xc2 || p[1] >= 0xa0); /* U+0080 to U+009F */
    }
}

void __wrap_line_say(struct line *l, const char *text)
{
    (void)l;
    check_shown(text);
}

void __wrap_line_prompt(struct line *l, const char *prompt)
{
    (void)l;
    check_shown(prompt);
}

bool __wrap_line_is_terminal(const struct line *l)
{
    (void)l;
    return true;
}

/* All requests have the number of the first, so that answers of the input are answers to what is under way. */
enum rc __wrap_chat_send(struct kerb_chat *chat, const json_t *request, uint64_t *ret_id)
{
    (void)chat;
    CHECK(json_is_object(request));
    *ret_id = 1;
    return RC_OK;
}

void fuzz_open(void)
{
}

/* As the library hands a message over: JSON of its own writing, of the type that stands in it. */
static void give(struct ui *ui, struct slice line)
{
    AUTO(json_done) json_t *j = NULL;
    struct slice type;

    if (json_parse_object(line, JSON_DEPTH_CHAT, &j) != RC_OK || json_get_text(j, "type", &type) != RC_OK)
        return;
    char *text = json_dumps(j, JSON_COMPACT);
    CHECK(text);
    ui_on_message(ui, (const char *)type.p, text);
    free(text);
}

void fuzz_one(struct slice input)
{
    struct kerb k = {0};
    struct cmd cmd = {.k = &k};
    struct ui ui = {.cmd = &cmd, .rooms = json_object(), .online = json_array()};

    CHECK_OK(ui_open_outbox(&ui));
    ui.room = fuzz_name("r");
    ui_send(&ui, slice_text("one"));
    ui_send(&ui, slice_text("two"));
    while (input.n) {
        (void)outbox_poll(ui.outbox, INT64_MAX);
        give(&ui, fuzz_line(&input));
    }
    outbox_free(ui.outbox);
    buf_done(&k.error);
    CHECK(ui.last_seq >= 0);
    json_decref(ui.rooms);
    json_decref(ui.online);
    buf_done(&ui.present);
}
