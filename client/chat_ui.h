/*
 * kerb chat: what the person types, and what others say above it.
 *
 * A line is a message to the room one is in, or a command that starts with a slash. Everything that others have written
 * goes through show(). Internal to the command.
 */
#ifndef KERB_CLIENT_CHAT_UI_H
#define KERB_CLIENT_CHAT_UI_H

#include "client/chat_outbox.h"
#include "client/cmd_chat.h"

enum style {
    PLAIN,
    NOTE, /* of the program */
    ASK,  /* wants an answer */
    BAD,
};

#define UI_AHEAD_MAX 64

/* A message that was shown with what it says since a revision, which may come yet. */
struct ui_ahead {
    int64_t seq, rev;
};

struct ui {
    struct cmd *cmd;
    struct kerb_chat *chat;
    struct line *line;
    bool has_colours, is_over;
    bool is_broken;   /* the connection is over for good */
    bool has_refused; /* a text was not taken, and is shown again */
    struct chat_outbox *outbox;
    json_t *rooms;  /* id -> room object */
    json_t *online; /* names; NULL: only their number is told */
    int64_t online_n;
    struct name room;     /* where one is; n 0: nowhere */
    struct name waiting;  /* asked to be opened */
    struct name last_ask; /* room of the last request for one's share */
    int64_t last_seq;     /* shown in `room` */
    struct name self;     /* who one is */
    int64_t marked_seq;   /* told to have been read in `room` */
    int64_t mark_ms;      /* monotonic; before, the next mark is not told */
    uint64_t mark_id;     /* of the last request that did */
    int64_t own_seq;      /* of one's last message in there; 0: none was shown */
    struct ui_ahead ahead[UI_AHEAD_MAX];
    size_t ahead_n;
    struct name history; /* the server's history_id; n 0: not heard yet */
    struct buf present;  /* members online in `room`, as last told */
};

/* --- chat_view.c --- */

void ui_say(struct ui *ui, enum style style, const char *fmt, ...) PRINTF_LIKE(3, 4);
void ui_set_prompt(struct ui *ui);
const char *ui_show_word(struct slice room, struct buf *b); /* as it would be typed behind a command; borrowed from b */

void ui_know(struct ui *ui, json_t *room);
const json_t *ui_room_of(const struct ui *ui, const struct name *id); /* NULL: not known */
const json_t *ui_find_room(const struct ui *ui, const char *word);    /* by id, else by name */
bool ui_is_open(const json_t *room);
void ui_enter(struct ui *ui, const json_t *j); /* a room's messages have come */

/* --- chat_said.c --- */

void ui_show_message(struct ui *ui, const json_t *m);     /* or an edit, or a deletion */
void ui_show_list(struct ui *ui, const json_t *messages); /* what of a history was not shown yet */
size_t ui_count_messages(const json_t *messages);         /* without edits, deletions and what was deleted */
void ui_tell_floor(struct ui *ui, const json_t *j);       /* what of a history is no longer kept */
void ui_edit(struct ui *ui, char **words, int n);
void ui_delete(struct ui *ui, char **words, int n);
void ui_search(struct ui *ui, char **words, int n);

/* --- chat_say.c --- */

MUST enum rc ui_open_outbox(struct ui *ui); /* errors: NO_MEMORY */
void ui_send(struct ui *ui, struct slice text);
bool ui_tell_unsent(struct ui *ui); /* takes it out of the outbox; false: there was nothing */

/* --- chat_mark.c --- */

void ui_mark_read(struct ui *ui); /* tells how far one has read, if it is not told yet */
int ui_poll_mark(struct ui *ui);  /* ... when that is due. Out: ms until the next time; INT_MAX: there is none */

/* --- chat_people.c --- */

void ui_tell_present(struct ui *ui); /* who of the room one is in is here, when it has changed */
void ui_tell_online(struct ui *ui);  /* who is, or how many are */
void ui_take_presence(struct ui *ui, const json_t *j);

/* --- chat_pushes.c --- */

void ui_on_message(void *ctx, const char *type, const char *json);
void ui_on_event(void *ctx, enum kerb_chat_event event, const char *text);
void ui_on_new_room(struct ui *ui, const json_t *j);

/* --- chat_commands.c --- */

void ui_take_line(struct ui *ui, struct buf *line);
json_t *ui_ask(struct ui *ui, json_t *request); /* takes the request; NULL after a sentence */
void ui_open(struct ui *ui, char **words, int n);

/* --- chat_rooms.c --- */

void ui_refresh(struct ui *ui);                             /* asks which rooms there are */
const json_t *ui_which(struct ui *ui, char **words, int n); /* that was named, or one is in; NULL after a sentence */
void ui_rooms(struct ui *ui, char **words, int n);
void ui_new(struct ui *ui, char **words, int n);
void ui_leave(struct ui *ui, char **words, int n);

#endif
