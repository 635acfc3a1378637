/* The words of commands and error codes. */
#include "chat/core/request.h"

static const char *const command_words[CMD_COUNT] = {
#define X(name, word) [CMD_##name] = word,
    CHAT_COMMAND_TABLE(X)
#undef X
};

static const struct {
    const char *word, *text;
} codes[CODE_COUNT] = {
#define X(name, word, text) [CODE_##name] = {word, text},
    CHAT_CODE_TABLE(X)
#undef X
};

const char *chat_code_word(enum chat_code code)
{
    return codes[code].word;
}

const char *chat_code_text(enum chat_code code)
{
    return codes[code].text;
}

const char *chat_command_word(enum chat_command cmd)
{
    return command_words[cmd];
}

enum chat_command chat_command_of(struct slice word)
{
    for (enum chat_command cmd = CMD_NONE + 1; cmd < CMD_COUNT; cmd++)
        if (slice_eq(word, slice_text(command_words[cmd])))
            return cmd;
    return CMD_NONE;
}
