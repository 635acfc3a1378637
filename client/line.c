/*
 * The line editor. libedit reads key by key ("unbuffered"), so nothing waits in here; before something else is printed,
 * the rows of the line are wiped, and afterwards it is drawn again.
 */
#include "client/line.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define MEMORY_LINES 200
#define PIECE        4096
#define COLUMNS      80
#define CTRL_D       4
#define REST_MS      200 /* in which the rest of a key must come */

struct line {
    EditLine *el; /* NULL: no terminal */
    History *history;
    struct buf prompt, in; /* in: without a terminal, what was read */
    bool is_end;
};

/* --- a terminal --- */

static char *get_prompt(EditLine *el)
{
    struct line *l = NULL;

    (void)el_get(el, EL_CLIENTDATA, &l);
    return l && l->prompt.n ? (char *)l->prompt.p : (char *)(uintptr_t) "";
}

/* A byte; 0: none came, for a key that libedit takes for the beginning of more (Escape alone). */
static unsigned char get_byte(bool *ret_end)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char byte = 0;

    errno = 0;
    int n = poll(&fd, 1, REST_MS);
    if (n > 0 && read(STDIN_FILENO, &byte, 1) <= 0)
        *ret_end = errno != EINTR;
    return byte;
}

/* A character. Ctrl-D on an empty line is the end of input. (EL_ADDFN would do it, and leak.) */
static int get_char(EditLine *el, wchar_t *ret)
{
    const LineInfo *info = el_line(el);
    mbstate_t state = {0};
    struct line *l = NULL;
    size_t used;

    (void)el_get(el, EL_CLIENTDATA, &l);
    do {
        const char byte = (char)get_byte(&l->is_end);
        if (byte == CTRL_D && info->lastchar == info->buffer)
            l->is_end = true;
        if (l->is_end)
            return 0;
        *ret = L'\0';
        used = mbrtowc(ret, &byte, 1, &state);
    } while (used == (size_t)-2);
    if (used == (size_t)-1)
        *ret = L'?';
    return 1;
}

static void use_utf8(void)
{
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

static bool setup(struct line *l)
{
    HistEvent ev;

    use_utf8();
    l->el = el_init("kerb", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->el || !l->history)
        return false;
    (void)history(l->history, &ev, H_SETSIZE, MEMORY_LINES);
    (void)history(l->history, &ev, H_SETUNIQUE, 1);
    (void)el_set(l->el, EL_CLIENTDATA, l);
    (void)el_set(l->el, EL_PROMPT, get_prompt);
    (void)el_set(l->el, EL_EDITOR, "emacs");
    (void)el_set(l->el, EL_SIGNAL, 0);
    (void)el_set(l->el, EL_HIST, history, l->history);
    (void)el_wset(l->el, EL_GETCFN, get_char);
    (void)el_set(l->el, EL_UNBUFFERED, 1);
    return true;
}

enum rc line_open(struct line **ret)
{
    struct line *l = calloc(1, sizeof *l);
    const char *term = getenv("TERM");

    if (!l)
        return RC_NO_MEMORY;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !setup(l)) {
        line_close(l);
        return RC_IO;
    }
    *ret = l;
    return RC_OK;
}

void line_close(struct line *l)
{
    if (!l)
        return;
    if (l->el) {
        (void)el_set(l->el, EL_UNBUFFERED, 0);
        el_end(l->el);
        (void)putchar('\n');
    }
    if (l->history)
        history_end(l->history);
    (void)fflush(stdout);
    buf_done(&l->prompt);
    buf_done(&l->in);
    free(l);
}

bool line_is_terminal(const struct line *l)
{
    return l->el != NULL;
}

/* Columns of a text. */
static size_t width_of(const char *p, size_t n)
{
    mbstate_t state = {0};
    size_t width = 0;
    wchar_t c;

    while (n > 0) {
        size_t used = mbrtowc(&c, p, n, &state);
        if (used == 0 || used > n)
            break;
        int w = wcwidth(c);
        width += w > 0 ? (size_t)w : 0;
        p += used;
        n -= used;
    }
    return width;
}

static size_t columns(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

/* Moves to the first row of what is typed and wipes it; rows: below the first one the cursor is now. */
static void wipe_rows(size_t rows)
{
    if (rows > 0)
        (void)printf("\033[%zuA", rows);
    (void)fputs("\r\033[J", stdout);
}

static void wipe_line(const struct line *l)
{
    const LineInfo *info = el_line(l->el);

    wipe_rows((width_of((const char *)l->prompt.p, l->prompt.n) +
               width_of(info->buffer, (size_t)(info->cursor - info->buffer))) /
              columns());
}

static void draw(struct line *l)
{
    (void)fflush(stdout);
    (void)el_set(l->el, EL_REFRESH);
    (void)fflush(stdout);
}

void line_prompt(struct line *l, const char *prompt)
{
    if (!l->el)
        return;
    wipe_line(l);
    buf_reset(&l->prompt);
    if (buf_text(&l->prompt, prompt) != RC_OK || !buf_cstr(&l->prompt))
        buf_done(&l->prompt);
    draw(l);
}

void line_say(struct line *l, const char *text)
{
    if (l->el)
        wipe_line(l);
    (void)puts(text);
    if (l->el)
        draw(l);
    (void)fflush(stdout);
}

void line_resized(struct line *l)
{
    if (!l->el)
        return;
    el_resize(l->el);
    wipe_line(l);
    draw(l);
}

/* A whole line: taken, remembered, wiped from the screen (what it does will show), and a new one begun. */
static enum line_state take_typed(struct line *l, const char *text, size_t n, struct buf *ret)
{
    size_t rows = (width_of((const char *)l->prompt.p, l->prompt.n) + width_of(text, n)) / columns();
    HistEvent ev;

    enum rc rc = buf_add(ret, slice_of(text, n));
    (void)el_set(l->el, EL_UNBUFFERED, 0);
    wipe_rows(rows + 1);
    const char *line = rc == RC_OK && ret->n ? buf_cstr(ret) : NULL;
    if (line)
        (void)history(l->history, &ev, H_ENTER, line);
    (void)el_set(l->el, EL_UNBUFFERED, 1);
    return rc == RC_OK ? LINE_WHOLE : LINE_END;
}

static enum line_state read_key(struct line *l, struct buf *ret)
{
    int n = 0;
    const char *text = el_gets(l->el, &n);

    if (l->is_end) /* n is -1 also for a key on an empty line */
        return LINE_END;
    if (text && n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        return take_typed(l, text, (size_t)n - 1, ret);
    return LINE_PART;
}

/* --- no terminal --- */

static bool take_line(struct line *l, struct buf *ret)
{
    const uint8_t *end = l->in.n ? memchr(l->in.p, '\n', l->in.n) : NULL;
    size_t n = end ? (size_t)(end - l->in.p) : l->in.n;

    if (!end && !(l->is_end && l->in.n > 0) && l->in.n < LINE_MAX_BYTES)
        return false;
    if (buf_add(ret, slice_of(l->in.p, n)) != RC_OK)
        return false;
    size_t used = end ? n + 1 : n;
    memmove(l->in.p, l->in.p + used, l->in.n - used);
    l->in.n -= used;
    return true;
}

static enum line_state read_plain(struct line *l, struct buf *ret)
{
    if (take_line(l, ret))
        return LINE_WHOLE;
    if (!l->is_end && buf_reserve(&l->in, PIECE) == RC_OK) {
        ssize_t n = read(STDIN_FILENO, l->in.p + l->in.n, PIECE);
        l->is_end = n <= 0;
        l->in.n += n > 0 ? (size_t)n : 0;
    }
    return take_line(l, ret) ? LINE_WHOLE : l->is_end ? LINE_END : LINE_PART;
}

enum line_state line_read(struct line *l, struct buf *ret)
{
    buf_reset(ret);
    return l->el ? read_key(l, ret) : read_plain(l, ret);
}

bool line_has_more(const struct line *l)
{
    return !l->el && (l->is_end || (l->in.n > 0 && memchr(l->in.p, '\n', l->in.n)));
}
