/*
 * What `kerb chat` and its scriptable sisters share: one question to the chat, and rooms and messages in words.
 */
#ifndef KERB_CLIENT_CMD_CHAT_H
#define KERB_CLIENT_CMD_CHAT_H

#include "client/chat.h"
#include "client/cmd.h"
#include "client/line.h"
#include "client/show.h"

#define MESSAGE_TEXT_MAX LINE_MAX_BYTES

/*
 * Asks the chat; takes the request. NULL: it failed, and *why is a sentence, harmless on a terminal; *ret_code, if
 * asked for, is the error's stable word, or "".
 */
json_t *talk_ask(struct kerb_chat *chat, json_t *request, struct buf *why, struct name *ret_code);

/* Members of objects that the server sent; "" and 0 where there is none of that kind. Borrowed. */
struct slice talk_text(const json_t *object, const char *member);
int64_t talk_int(const json_t *object, const char *member);

/* Appends "open to its members", "sealed, opens with 2 of 3 shares", ..., what is unread, and for how long messages are
 * kept. */
MUST enum rc talk_state(const json_t *room, struct buf *out);

/* Appends the names of an array, with commas; only those that stand in `among`, too, if that is not NULL. */
MUST enum rc talk_names(const json_t *names, const json_t *among, struct buf *out);
bool talk_has(const json_t *names, struct slice name);

/* kerb chat, on an open line. Returns the exit status. */
int chat_ui(struct cmd *c, struct line *line, const char *room);

#endif
